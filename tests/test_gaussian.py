"""Gaussian laws against numpy, scipy and torch.distributions; the two hints of slide 13."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import bures as bures_in_numpy
from laws import largest, relative
from prior_laws import posterior_in_many_digits, random_factor
from strategies import seeds
from torch.distributions import MultivariateNormal, kl_divergence

from ddrm_edu.gaussian import (
    Gaussian,
    GaussianNetwork,
    bures,
    expected_kl,
    factor_of,
    hint_1,
    hint_2,
)

sizes = st.integers(1, 6)


def random_law(n: int, seed: int, *, rank: int | None = None) -> Gaussian:
    """A law with correlations and variances of several sizes; singular if rank < n."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n if rank is None else rank)) * np.geomspace(3, 0.2, n)[:, None]
    return Gaussian(rng.standard_normal(n), A @ A.T + (0.01 * np.eye(n) if rank is None else 0))


def numpy_law(law: Gaussian) -> tuple[np.ndarray, np.ndarray]:
    return law.mean.numpy(), law.cov.numpy()


# --------------------------------------------------------------------- affine maps and conditionals


@given(sizes, sizes, seeds)
def test_push_is_the_law_of_an_affine_map_with_noise(n, k, seed):
    """S13.1: mean A m + b and covariance A C A^T + N, here for any shapes."""
    law, rng = random_law(n, seed), np.random.default_rng(seed)
    A, b, N = rng.standard_normal((k, n)), rng.standard_normal(k), np.diag(rng.random(k))
    mean, cov = numpy_law(law)
    got = law.push(A, b, N)
    assert relative(got.mean, A @ mean + b) <= 1e-13
    assert relative(got.cov, A @ cov @ A.T + N) <= 1e-13


def test_vectors_are_diagonals_and_numbers_multiples_of_the_identity():
    """The short forms of push, joint and add mean the same as the matrices."""
    law, d = random_law(3, 0), np.array([0.5, -2.0, 0.0])
    whole = law.push(np.diag(d), np.full(3, 0.7), 0.3 * np.eye(3))
    short = law.push(d, 0.7, 0.3)
    assert largest(whole.mean - short.mean, whole.cov - short.cov) == 0
    assert largest(law.push(2.0).cov - 4 * law.cov) <= 1e-13


@given(sizes, sizes, seeds)
def test_joint_has_both_marginals_and_their_covariance(n, k, seed):
    """Cov(x, A x + b + e) = C A^T."""
    law, rng = random_law(n, seed), np.random.default_rng(seed)
    A, b, noise = rng.standard_normal((k, n)), rng.standard_normal(k), rng.random(k)
    joint, image = law.joint(A, b, noise), law.push(A, b, noise)
    assert largest(joint.mean[:n] - law.mean, joint.mean[n:] - image.mean) <= 1e-13
    assert relative(joint.cov[:n, n:], law.cov.numpy() @ A.T) <= 1e-13
    assert relative(joint.cov[n:, n:], image.cov) <= 1e-13
    assert relative(joint.marginal(slice(0, n)).cov, law.cov) == 0
    first = joint.marginal([n + k - 1, 0])
    assert first.mean.tolist() == [joint.mean[-1], joint.mean[0]]
    assert first.cov[0, 1] == joint.cov[-1, 0]


@given(st.integers(2, 6), seeds)
def test_conditional_is_the_block_of_the_precision(n, seed):
    """Independent route: Cov[a|b] = (P_aa)^-1, mean m_a - P_aa^-1 P_ab (b - m_b)."""
    law, rng = random_law(n, seed), np.random.default_rng(seed)
    known = sorted(rng.choice(n, size=rng.integers(1, n), replace=False).tolist())
    rest = [i for i in range(n) if i not in known]
    value = rng.standard_normal(len(known))
    mean, cov = numpy_law(law)
    precision = np.linalg.inv(cov)
    paa, pab = precision[np.ix_(rest, rest)], precision[np.ix_(rest, known)]
    got = law.conditional(known, value)
    condition = np.linalg.cond(cov)
    assert relative(got.cov, np.linalg.inv(paa)) <= 1e-14 * n * condition
    want = mean[rest] - np.linalg.solve(paa, pab @ (value - mean[known]))
    assert largest(got.mean.numpy() - want) <= 1e-14 * n * condition * (1 + largest(value))


def test_conditional_on_coordinates_that_repeat_each_other():
    """A singular law: the repeated coordinate counts once, and a contradiction is refused."""
    pair = Gaussian([1.0, 2.0], [[2.0, 0.6], [0.6, 1.0]])
    twice = pair.push([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    once = pair.conditional([0], [1.5])
    got = twice.conditional([0, 1], [1.5, 1.5])
    assert largest(got.mean - once.mean, got.cov - once.cov) <= 1e-13
    with pytest.raises(ValueError, match="cannot occur"):
        twice.conditional([0, 1], [1.5, 1.4])


def test_conditional_on_a_constant_is_no_condition():
    """A coordinate without variance says nothing, but only its own value can be given."""
    law = Gaussian([3.0, 1.0], [[0.0, 0.0], [0.0, 2.0]])
    assert largest(law.conditional([0], [3.0]).cov - 2.0) <= 1e-15  # the root of 2, squared
    with pytest.raises(ValueError, match="cannot occur"):
        law.conditional([0], [3.1])


def test_small_variances_count_beside_large_ones():
    """A coordinate of variance 1e-16 beside one of 1e4 is no rounding error."""
    law = Gaussian(np.zeros(2), np.diag([1e4, 1e-16])).joint(np.array([[1.0, 1.0]]) * [[1, 1e8]])
    got = law.conditional([0, 1], [50.0, 1e-8])
    assert got.mean[0] == pytest.approx(51.0, rel=1e-9)


@pytest.mark.parametrize("rank", [1, 5, 6])
@pytest.mark.parametrize("sigma", [1e-2, 1e-4, 1e-6])
def test_conditional_of_a_network_is_exact_at_small_noise(rank, sigma):
    """S02.3 in 80 digits; the difference of covariances lost all of them, or was refused."""
    L, e = random_factor(6, rank), np.random.default_rng(1).standard_normal(rank)
    network = GaussianNetwork()
    network.add("e", offset=np.zeros(rank), cov=1.0)
    network.add("x", {"e": L})
    network.add("y", {"x": 1.0}, cov=sigma**2)
    got = network.conditional(["x"], {"y": L @ e})
    gain, cov = posterior_in_many_digits(L, np.eye(6), sigma)
    assert largest(got.cov.numpy() - cov) <= 1e-12 * np.trace(cov)
    assert relative(got.mean, gain @ L @ e) <= 1e-12


def test_conditional_of_a_covariance_is_as_exact_as_its_rounding():
    """The joint covariance holds 1 + sigma^2, so that the bound is 10 n eps / sigma^2."""
    L = random_factor(6, 5)
    unit = 10 * 12 * torch.finfo(torch.float64).eps * np.linalg.norm(L, 2) ** 2
    for sigma in (1e-2, 1e-4, 1e-6):
        joint = Gaussian(np.zeros(6), (L @ L.T + (L @ L.T).T) / 2).joint(1.0, cov=sigma**2)
        got, (_, cov) = joint.marginal(slice(0, 12)), posterior_in_many_digits(L, np.eye(6), sigma)
        got = got.conditional(slice(6, 12), L[:, 0])
        assert abs(got.cov.trace() / np.trace(cov) - 1) <= unit / sigma**2
        assert torch.linalg.eigvalsh(got.cov)[0] >= -1e-15 * got.cov.trace()


@pytest.mark.parametrize("n", [4, 16, 64])
@pytest.mark.parametrize("width", [2, 8, 16])
def test_values_drawn_from_a_smooth_law_can_occur(n, width):
    """Eigenvalues fall below rounding without a gap; the draws were said to be impossible."""
    place = np.arange(n)
    law = Gaussian(np.zeros(n), np.exp(-(((place[:, None] - place) / width) ** 2)))
    for draw in law.sample(3, generator=torch.Generator().manual_seed(0)):
        got = law.conditional(slice(0, None, 2), draw[::2])
        std = got.cov.diagonal().sqrt()
        assert largest((got.mean - draw[1::2]) / (std + 1e-5)) <= 5


def test_a_law_by_its_factor_keeps_it():
    """Pushed, joined, picked and conditioned; the smallest variance is 1e-20 of the largest."""
    turn = scipy.linalg.hadamard(4) / 2
    law = Gaussian(np.zeros(4), factor=turn * [1.0, 1e-3, 1e-6, 1e-10])
    assert relative(law.eigenvalues.sqrt(), [1e-10, 1e-6, 1e-3, 1.0]) <= 1e-15
    assert float(law.eigenvalues[0]) == pytest.approx(1e-20, rel=1e-5)
    for same in (law.push(turn), law.joint(turn).marginal([4, 5, 6, 7])):
        assert (
            largest((same.factor @ same.factor.T).numpy() - np.diag([1, 1e-6, 1e-12, 1e-20]))
            <= 1e-15
        )
        assert float(same.eigenvalues[0]) == pytest.approx(1e-20, rel=1e-5)
        known = same.conditional([0, 1, 2], [0.3, -1e-3, 1e-6])
        assert known.cov.item() == pytest.approx(1e-20, rel=1e-5)
    assert law.push(1.0, cov=1e-16).eigenvalues[0].item() == pytest.approx(1.0001e-16, rel=1e-9)
    assert law.log_density(torch.zeros(1, 4)).item() == pytest.approx(
        -2 * math.log(2 * math.pi) + math.log(1e19), rel=1e-7
    )


def test_a_factor_may_have_any_number_of_columns():
    for width in (0, 2, 9):
        factor = np.random.default_rng(0).standard_normal((3, width))
        law = Gaussian(np.zeros(3), factor=factor)
        assert law.factor.shape == (3, min(width, 3))
        want = factor @ factor.T
        rebuilt = law.axes * law.eigenvalues @ law.axes.T
        for got in (law.cov, law.factor @ law.factor.T, rebuilt):
            assert largest(got.numpy() - want) <= 1e-14 * (1 + largest(want))


# ------------------------------------------------------------------- densities, draws and distances


@given(sizes, seeds)
def test_log_density_is_that_of_scipy(n, seed):
    law = random_law(n, seed)
    x = np.random.default_rng(seed).standard_normal((5, n)) * 3
    want = scipy.stats.multivariate_normal(*numpy_law(law)).logpdf(x)
    got = law.log_density(torch.as_tensor(x)).numpy()
    assert largest((got - want) / (1 + np.abs(want))) <= 1e-11


@given(sizes, seeds, st.sampled_from([0.0, 0.3, 40.0]))
def test_log_density_with_noise_is_that_of_the_wider_law(n, seed, sigma):
    """``sigma`` adds sigma^2 I to the covariance, of a singular law as well."""
    law = random_law(n, seed, rank=max(1, n - 1) if sigma else None)
    x = torch.as_tensor(np.random.default_rng(seed).standard_normal((5, n)))
    want = law.push(1.0, cov=sigma**2).log_density(x)
    assert largest((law.log_density(x, sigma) - want) / (1 + want.abs())) <= 1e-10
    centred, variances = law.along_axes(x, sigma)
    wider = law.axes @ variances.diag() @ law.axes.T
    assert largest(wider - law.push(1.0, cov=sigma**2).cov) <= 1e-12 * (1 + sigma**2)
    assert largest(centred @ law.axes.T + law.mean - x) <= 1e-12


@pytest.mark.parametrize("seed", range(8))
def test_a_singular_law_has_no_density(seed):
    """Also where rounding makes its smallest eigenvalue positive."""
    law = random_law(4, seed, rank=3)
    with pytest.raises(ValueError, match="no density"):
        law.log_density(torch.zeros(1, 4))


def test_draws_have_mean_and_full_covariance():
    """N = 100,000: 3 means and 6 covariances, |z| <= 5, false alarm below 1e-5."""
    N, law = 100_000, random_law(3, 5, rank=2)
    x = law.sample(N, generator=torch.Generator().manual_seed(1)).numpy()
    mean, cov = numpy_law(law)
    variance, centred = np.diag(cov), x - mean
    assert largest(centred.mean(0) / np.sqrt(variance / N)) <= 5
    error = (centred.T @ centred / N - cov) / np.sqrt((np.outer(variance, variance) + cov**2) / N)
    assert largest(error) <= 5
    assert x.dtype == np.float64
    again = law.sample(N, generator=torch.Generator().manual_seed(1)).numpy()
    assert (again == x).all()


@given(sizes, seeds)
def test_kl_is_that_of_torch_distributions(n, seed):
    a, b = random_law(n, seed), random_law(n, seed + 1)
    want = kl_divergence(*(MultivariateNormal(law.mean, law.cov) for law in (a, b))).item()
    assert a.kl(b) == pytest.approx(want, rel=1e-9, abs=1e-9)
    assert a.kl(a) == pytest.approx(0, abs=1e-10)


def test_kl_of_singular_laws_is_taken_on_their_plane():
    """Finite on a common plane, infinite as soon as one law leaves it or does not fill it."""
    a, b = random_law(2, 0), random_law(2, 1)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0][:, :2]
    assert a.push(turn).kl(b.push(turn)) == pytest.approx(a.kl(b), rel=1e-10)
    whole = b.push(turn, cov=0.1)
    assert a.push(turn).kl(whole) == math.inf
    assert whole.kl(b.push(turn)) == math.inf
    assert a.push(turn, turn[:, 0] * 0 + 0.2).kl(b.push(turn)) == math.inf  # beside the plane
    dirac = Gaussian([1.0], [[0.0]])
    assert dirac.kl(dirac) == 0


@given(sizes, seeds)
def test_expected_kl_averages_over_the_means(n, seed):
    """Against the same average by Gauss-Hermite quadrature over one random shift."""
    a, b = random_law(n, seed), random_law(n, seed + 1)
    rng = np.random.default_rng(seed)
    direction, shift = rng.standard_normal(n), a.mean.numpy() - b.mean.numpy()
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    mean = sum(
        w * Gaussian(shift + node * direction, a.cov).kl(Gaussian(np.zeros(n), b.cov))
        for node, w in zip(nodes, weights / weights.sum(), strict=True)
    )
    apart = torch.as_tensor(np.stack([shift, direction], 1))
    assert expected_kl(apart, a.factor, b.factor) == pytest.approx(mean, rel=1e-9)


@given(sizes, seeds, st.booleans())
def test_bures_distance_is_that_of_scipys_matrix_root(n, seed, singular):
    rank = max(1, n - 1) if singular else None
    A, B = (random_law(n, seed + k, rank=rank).cov.numpy() for k in range(2))
    assert float(
        bures(factor_of(torch.as_tensor(A)), factor_of(torch.as_tensor(B)))
    ) == pytest.approx(
        bures_in_numpy(A, B), abs=1e-6 * np.trace(A + B)
    )  # the root of rounding: the last step of either is a square root of a difference
    if not singular:
        cross = scipy.linalg.sqrtm(A @ B)
        assert float(
            bures(factor_of(torch.as_tensor(A)), factor_of(torch.as_tensor(B)))
        ) == pytest.approx(np.trace(A + B - 2 * cross.real), abs=1e-9 * np.trace(A + B))


def test_w2_of_two_scalars_is_the_distance_in_mean_and_deviation():
    """W2^2 = (m1 - m2)^2 + (s1 - s2)^2."""
    a, b = Gaussian([1.0], [[4.0]]), Gaussian([-2.0], [[0.25]])
    assert a.w2(b) == pytest.approx(math.hypot(3.0, 1.5), rel=1e-12)
    assert a.w2(a) <= 1e-7


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e12])
def test_distances_of_nearly_singular_laws_are_exact_by_a_factor(condition):
    """KL, W2 and density of laws with common axes, coordinate by coordinate."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    a = np.geomspace(1, 1 / condition, 6)
    b = a * np.linspace(0.5, 2, 6)
    one, other = (Gaussian(np.zeros(6), factor=turn * np.sqrt(v)) for v in (a, b))
    kl = ((a / b - 1) - np.log(a / b)).sum() / 2
    assert one.kl(other) == pytest.approx(kl, rel=1e-10)
    w2 = math.sqrt(((np.sqrt(a) - np.sqrt(b)) ** 2).sum())
    assert one.w2(other) == pytest.approx(w2, rel=1e-12)
    rounded = (Gaussian(np.zeros(6), (c + c.T) / 2) for c in ((turn * v) @ turn.T for v in (a, b)))
    assert next(rounded).w2(next(rounded)) == pytest.approx(w2, rel=1e-12)
    density = -(6 * math.log(2 * math.pi) + np.log(a).sum() + 6) / 2
    point = torch.as_tensor(turn @ np.sqrt(a))[None]
    assert one.log_density(point).item() == pytest.approx(density, rel=1e-10)


@pytest.mark.parametrize("apart", [1e-2, 1e-6, 1e-10])
def test_w2_of_laws_that_hardly_differ_is_no_root_of_rounding(apart):
    """Of N(0, C) and N(0, (1 + apart) C), to 1e-15 of the spread."""
    law = random_law(5, 3)
    spread = math.sqrt(law.cov.trace())
    want = spread * (math.sqrt(1 + apart) - 1)
    other = Gaussian(law.mean, (1 + apart) * law.cov)
    assert law.w2(other) == pytest.approx(want, abs=1e-14 * spread)


# ------------------------------------------------------------------------------------- networks


def precision_of_network(kernels, n: int) -> np.ndarray:
    """Joint precision by adding the quadratic forms of all kernels: no covariance is propagated.

    ``kernels`` lists (own slot, {parent slot: matrix}, covariance) with n numbers per slot.
    """
    count = len(kernels)
    P = np.zeros((count * n, count * n))
    for own, parents, cov in kernels:
        residual = np.zeros((n, count * n))
        residual[:, own * n : own * n + n] = np.eye(n)
        for parent, A in parents.items():
            residual[:, parent * n : parent * n + n] -= A
        P += residual.T @ np.linalg.solve(cov, residual)
    return P


@given(st.integers(1, 3), st.integers(2, 5), seeds)
def test_network_has_the_joint_law_of_its_quadratic_form(n, count, seed):
    """S08.1, S11: full joint covariance of a random network, against the information form."""
    rng = np.random.default_rng(seed)
    network, kernels = GaussianNetwork(), []
    for own in range(count):
        parents = {p: rng.standard_normal((n, n)) for p in range(own) if rng.random() < 0.7}
        root = rng.standard_normal((n, n))
        cov = root @ root.T + 0.3 * np.eye(n)
        named = {str(parent): A for parent, A in parents.items()}
        network.add(str(own), named, offset=np.zeros(n), cov=cov)
        kernels.append((own, parents, cov))
    P = precision_of_network(kernels, n)
    got = network.joint(*map(str, range(count))).cov.numpy()
    assert largest(got @ P - np.eye(n * count)) <= 1e-13 * np.linalg.cond(P)
    order = [count - 1, 0]  # any variables in any order
    picked = np.concatenate([np.arange(own * n, own * n + n) for own in order])
    assert relative(network.joint(*map(str, order)).cov, got[np.ix_(picked, picked)]) <= 1e-15


def test_network_carries_means_and_conditions():
    """A chain with offsets: means by hand, and the conditional as that of the joint law."""
    network = GaussianNetwork()
    network.add("a", offset=[1.0, -1.0], cov=[[1.0, 0.5], [0.5, 2.0]])
    network.add("b", {"a": [2.0, 3.0]}, offset=0.5, cov=0.1)
    network.add("c", {"a": [[1.0, 1.0]], "b": [[0.0, -1.0]]}, offset=[4.0])
    assert network.joint("b", "c").mean.tolist() == [2.5, -2.5, 6.5]
    got = network.conditional(["a"], {"b": [2.0, 0.0], "c": [6.0]})
    want = network.joint("b", "c", "a").conditional([0, 1, 2], [2.0, 0.0, 6.0])
    assert largest(got.mean - want.mean, got.cov - want.cov) == 0
    assert "n=3" in repr(network.joint("b", "c"))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda net: net.add("x", {"y": 1.0}), "added before"),
        (lambda net: net.add("a", offset=[0.0]), "new name"),
        (lambda net: net.add("x", cov=1.0), "length"),
        (lambda net: net.add("x", {"a": 1.0}, offset=[0.0]), "length"),
        (lambda net: net.add("x", {"a": [[1.0]]}), "columns"),
        (lambda net: net.add("x", {"a": 1.0}, cov=-1.0), "negative eigenvalues"),
        (lambda net: net.conditional(["a"], {"a": [1.0]}), "must hold 2"),
    ],
)
def test_impossible_networks_are_refused(build, words):
    network = GaussianNetwork()
    network.add("a", offset=[0.0, 0.0], cov=1.0)
    with pytest.raises(ValueError, match=words):
        build(network)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Gaussian([[0.0]], [[1.0]]), "one vector"),
        (lambda: Gaussian([0.0, 0.0], [[1.0]]), r"shape \(2, 2\)"),
        (lambda: Gaussian([0.0, 0.0], [[1.0, 0.3], [0.0, 1.0]]), "symmetric"),
        (lambda: Gaussian([0.0], [[-1.0]]), "negative eigenvalues"),
        (lambda: Gaussian([math.nan], [[1.0]]), "finite"),
        (lambda: random_law(2, 0).push(np.ones((1, 3))), "2 columns"),
        (lambda: random_law(2, 0).push(1.0, 0.0, -1.0), "negative eigenvalues"),
        (lambda: random_law(2, 0).joint(1.0, 0.0, -1.0), "negative eigenvalues"),
        (lambda: random_law(2, 0).marginal([0.5]), "whole numbers"),
        (lambda: random_law(2, 0).conditional([0.5], [1.0]), "whole numbers"),
        (lambda: Gaussian([0.0]), "but neither was given"),
        (lambda: Gaussian([0.0], [[1.0]], factor=[[1.0]]), "but both was given"),
        (lambda: Gaussian([0.0], factor=[1.0]), r"factor must have shape \(1, r\)"),
        (lambda: Gaussian([0.0], factor=[[1.0], [2.0]]), "transposed"),
        (lambda: Gaussian([0.0], factor=[[math.nan]]), "factor must be finite"),
        (lambda: random_law(2, 0).push(np.full((1, 2), np.inf)), "finite"),
        (lambda: random_law(2, 0).push(1.0, [1.0, 2.0, 3.0]), "offset must hold 2"),
        (lambda: random_law(2, 0).kl(random_law(3, 0)), "same number"),
        (lambda: random_law(2, 0).w2(random_law(3, 0)), "same number"),
        (lambda: random_law(3, 0).kl(random_law(2, 0)), "same number"),
        (lambda: random_law(3, 0).w2(random_law(2, 0)), "same number"),
        (lambda: random_law(2, 0).push(np.ones((2, 2, 2))), "A must have 2 columns"),
        (lambda: random_law(2, 0).push(np.full((1, 2), np.inf)), "A must be finite"),
        (lambda: random_law(2, 0).push(1.0, [0.0, np.nan]), "offset must be finite"),
        (lambda: hint_1(-0.1, 1.0, 1.0), "variances"),
        (lambda: hint_1(0.1, 1.0, -1.0), "variances"),
        (lambda: hint_2(random_law(3, 0)), "one length"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# ------------------------------------------------------------------------------- the two hints


@given(st.floats(0, 4), st.floats(-3, 3), st.floats(0, 4), st.floats(-3, 3))
def test_hint_1_is_the_marginal_of_the_network(V1, alpha, V2, gamma):
    """S13.1, E16: also when the mean of z_2 contains z_0 itself."""
    network = GaussianNetwork()
    network.add("z0", offset=[0.0], cov=1.0)
    network.add("z1", {"z0": 1.0}, cov=V1)
    network.add("z2", {"z1": alpha, "z0": gamma}, cov=V2)
    factor, variance = hint_1(V1, alpha, V2, gamma=gamma)
    joint = network.joint("z0", "z2").cov
    assert joint[0, 1] == pytest.approx(factor, abs=1e-12)
    assert joint[1, 1] == pytest.approx(variance + factor**2, abs=1e-11)


def test_hint_2_adds_independent_laws_and_refuses_dependent_ones():
    """S13.2, E6: z_2 = -z_1 has the two variances and a sum that is 0."""
    z1, z2 = random_law(2, 0), random_law(2, 1)
    pair = Gaussian(torch.cat([z1.mean, z2.mean]), torch.block_diag(z1.cov, z2.cov))
    got = hint_2(pair)
    assert largest(got.mean - z1.mean - z2.mean, got.cov - z1.cov - z2.cov) <= 1e-14
    opposite = z1.joint(-1.0)
    with pytest.raises(ValueError, match="independent"):
        hint_2(opposite)
    assert largest(opposite.push([[1.0, 0, 1, 0], [0, 1, 0, 1]]).cov) <= 1e-15
    weak = z1.joint(1e-6, cov=1.0)  # a correlation of 1e-6 is no rounding error
    with pytest.raises(ValueError, match="independent"):
        hint_2(weak)


# ------------------------------------------------------- defaults, edges, units, laws as values


def test_a_law_cannot_be_changed_and_is_equal_to_itself_only():
    """Arrays have no single truth value, so laws are compared by a distance."""
    one, same = (Gaussian([0.4], [[2.0]]) for _ in range(2))
    with pytest.raises(FrozenInstanceError):
        one.mean = torch.zeros(1)
    assert one != same
    assert len({one, same, one}) == 2


def test_a_number_is_no_mean():
    with pytest.raises(ValueError, match="one vector"):
        Gaussian(0.5, [[1.0]])


def test_a_law_given_everything_has_no_coordinates_left():
    law = random_law(3, 0)
    assert law.conditional([2, 0, 1], law.mean[[2, 0, 1]]).n == 0


def test_values_that_cannot_occur_are_missed_by_the_number_of_deviations_told():
    """Two copies of one coordinate on two scales; the plane is hit half way between the two."""
    twice = Gaussian([1.0], [[4.0]]).push([[1.0], [-0.25]], [0.0, 3.0])
    possible = [1.0 + 2 * 0.7, 2.75 - 0.5 * 0.7]
    assert largest(twice.joint(1.0).conditional([0, 1], possible).mean.numpy() - possible) <= 1e-14
    with pytest.raises(ValueError, match=r"miss it by 0\.35 standard"):
        twice.conditional([0, 1], [possible[0], 2.75])


@pytest.mark.parametrize("deviations", [0.0, 0.3, 1e9])
def test_rounding_of_the_values_is_no_contradiction(deviations):
    """The tolerance is relative far out in the tails, and absolute near the mean."""
    twice = Gaussian([0.0], [[1.0]]).push([[1.0], [1.0]])
    off = 1e-10 * max(1.0, deviations)
    twice.conditional([0, 1], [deviations, deviations + off])
    with pytest.raises(ValueError, match="cannot occur"):
        twice.conditional([0, 1], [deviations, deviations + 1e4 * off])  # unsure: 7e-8


def test_a_variance_that_rounding_made_negative_is_none():
    law = Gaussian([0.3, 1.0], [[-1e-13, 0.0], [0.0, 1.0]])
    got = law.conditional([0], [0.3])
    assert (got.mean.tolist(), got.cov.tolist()) == ([1.0], [[1.0]])


def test_a_dirac_has_no_density():
    with pytest.raises(ValueError, match="no density"):
        Gaussian([0.5], [[0.0]]).log_density(torch.zeros(1, 1))


def test_a_variable_adds_nothing_unless_asked_to():
    """Defaults of add: no offset and no noise of its own."""
    network = GaussianNetwork()
    network.add("a", offset=[0.5, -1.0], cov=0.3)
    network.add("b", {"a": [2.0, 3.0]})
    network.add("c", offset=[7.0])
    joint = network.joint("b", "c")
    assert joint.mean.tolist() == [1.0, -3.0, 7.0]
    assert largest(joint.cov.numpy() - np.diag([1.2, 2.7, 0.0])) <= 1e-15


def test_hint_1_is_the_slide_if_the_mean_does_not_contain_z0():
    """S13.1: the factor of z_0 is alpha alone."""
    assert hint_1(0.25, 0.75, 2.0) == (0.75, 0.75**2 * 0.25 + 2.0)


def test_hint_2_judges_correlations_and_not_covariances():
    """E6: in any units, and beside a coordinate that does not vary."""
    small = Gaussian([0.0, 0.0], [[1e-9, 0.5e-9], [0.5e-9, 1e-9]])
    with pytest.raises(ValueError, match=r"largest correlation is 0\.5\."):
        hint_2(small)
    beside = torch.zeros(4, 4)
    beside[1::2, 1::2] = torch.tensor([[4.0, 1.2], [1.2, 4.0]])
    with pytest.raises(ValueError, match=r"largest correlation is 0\.3\."):
        hint_2(Gaussian(torch.zeros(4), beside))
    edge = 2 * torch.finfo(torch.float64).eps  # the rounding of a correlation of n = 2 numbers
    hint_2(Gaussian([0.0, 0.0], [[1.0, edge], [edge, 1.0]]))
    with pytest.raises(ValueError, match="independent"):
        hint_2(Gaussian([0.0, 0.0], [[1.0, 2 * edge], [2 * edge, 1.0]]))


@pytest.mark.parametrize("seed", range(20))
def test_a_law_has_no_distance_from_itself(seed):
    """Rounding may not make the square of it negative."""
    law = random_law(5, seed, rank=3 if seed % 2 else None)
    assert 0 <= law.w2(law) <= 1e-6 * math.sqrt(law.cov.trace())  # the root of rounding


@pytest.mark.parametrize("unit", [1e-7, 1e7])
def test_kl_has_no_unit(unit):
    """Also for laws that fill a plane only; w2 has the unit of x."""
    turn = np.linalg.qr(np.random.default_rng(6).standard_normal((4, 4)))[0]
    for axes in (turn, turn[:, :2]):
        a, b = (random_law(axes.shape[1], seed).push(axes) for seed in (3, 4))
        assert math.isfinite(a.kl(b))
        assert a.push(unit).kl(b.push(unit)) == pytest.approx(a.kl(b), rel=1e-9)
        assert a.push(unit).w2(b.push(unit)) == pytest.approx(
            unit * a.w2(b), rel=1e-6
        )  # root of rounding


@pytest.mark.parametrize("seed", range(5))
def test_the_plane_of_a_large_law_is_found_beside_rounding(seed):
    """20 of 40 eigenvalues are rounding, of either sign."""
    rng = np.random.default_rng(seed)
    a, b = random_law(20, seed), random_law(20, seed + 100)
    turn = np.linalg.qr(rng.standard_normal((40, 40)))[0][:, :20]
    assert a.push(turn).kl(b.push(turn)) == pytest.approx(a.kl(b), rel=1e-8)


def test_a_spread_and_a_shift_that_leave_the_plane_do_not_cancel():
    leaves = torch.tensor([[0.0, 0.0], [0.0, 0.4]], dtype=torch.float64)
    plane = torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    assert expected_kl(*map(factor_of, (leaves, plane + leaves, plane))) == math.inf
    assert expected_kl(*map(factor_of, (leaves, plane, plane))) == math.inf
    assert expected_kl(*map(factor_of, (0 * leaves, plane, plane))) == 0
