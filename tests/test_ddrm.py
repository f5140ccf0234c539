"""DDRM: the table of slide 11, Proposition 3.1, Algorithm 2 and its exact law (slides 10-19)."""

import contextlib
import itertools
import json
import math
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from laws import (
    GaussianCase,
    consistency_error,
    ddrm_law,
    default_schedule,
    identity_error,
    known_noise,
    largest,
    literal_algorithm_2,
    marginal_error,
    noising_law,
    nonlinear_denoiser,
    probed_law,
    random_case,
    relative_w2,
    sampler_law_error,
    slide_11,
    table_error,
    theorem_eta_b,
    vp_error,
)
from oracles import inpainting_matrix, super_resolution_matrix
from strategies import operators, seeds

from ddrm_edu import (
    BlockOperator,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    Dense,
    GaussianPrior,
    Inpainting,
    NoiseSchedule,
    PatchFunctional,
    SeparableBlur,
    SuperResolution,
    ddrm_coefficients,
    ddrm_samples,
    restore,
)
from ddrm_edu import ddrm as ddrm_module
from ddrm_edu import diffusion as diffusion_module
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.diffusion import StepCoefficients, combine
from ddrm_edu.law import sampler_law
from ddrm_edu.operators import base as base_module

EPS = torch.finfo(torch.float64).eps
GAP = json.loads((Path(__file__).parent / "data" / "gap_example.json").read_text())
# Not uniform in any scale, with one level that almost repeats.
LEVELS = [31.0, 12.5, 3.1, 3.05, 0.6, 0.21, 0.02, 0.0]


# ------------------------------------------------------------------------ the table of slide 11


class TableStep(NamedTuple):
    """One step for several coordinates, with parameters that are admissible."""

    s: list[float]
    sigma: float
    sigma_next: float
    sigma_y: float
    eta: float
    eta_b: float

    def arguments(self):
        return (torch.tensor(self.s, dtype=torch.float64), *self[1:4])

    @property
    def etas(self):
        return {"eta": self.eta, "eta_b": self.eta_b}


def admissible_eta_b(s, sigma_next: float, sigma_y: float) -> float:
    """S11.2: the smallest sigma_t s / sigma_y of case 1; infinite if nothing limits it.

    Equality up to rounding is equality, so the boundary admits exactly eta_b = 1.
    """
    ratios = [si * sigma_next / sigma_y for si in s if sigma_y > 0]
    return min((max(1.0, ratio) for ratio in ratios if ratio >= 1 - 1e-12), default=math.inf)


singular_values = st.one_of(
    st.just(0.0), st.sampled_from([0.25, 0.7]), st.floats(1e-9, 1e-6), st.floats(1e-3, 20)
)


@st.composite
def table_steps(draw) -> TableStep:
    s = draw(st.lists(singular_values, min_size=1, max_size=5))
    sigma_next = draw(st.one_of(st.just(0.0), st.floats(1e-3, 200)))
    sigma = draw(st.one_of(st.just(math.inf), st.floats(1.001, 50).map(lambda f: f * sigma_next)))
    assume(sigma > sigma_next)
    sigma_y = draw(st.one_of(st.just(0.0), st.floats(1e-6, 50)))
    on_boundary = draw(st.sampled_from(["no", "sigma_y = s sigma", "sigma = sigma_y / s"]))
    if on_boundary == "sigma_y = s sigma":
        sigma_y = s[0] * sigma_next
    elif on_boundary == "sigma = sigma_y / s" and s[0] > 1e-3 and sigma_y > 0:
        sigma_next = sigma_y / s[0]
        sigma = sigma_next * draw(st.floats(1.001, 50))
    # At most 10, so that rounding of the sum x0 + xt + y stays at rounding of numbers below 10.
    limit = min(admissible_eta_b(s, sigma_next, sigma_y), 10.0)
    kind = draw(st.sampled_from(["fraction", "theorem", "default"]))
    eta_b = draw(st.floats(0, 1)) * limit if kind == "fraction" else 1.0
    if kind == "theorem":  # at the coordinate that allows least, hence admissible for all
        eta_b = min([theorem_eta_b(si, sigma_next, sigma_y) for si in s if si > 0], default=1.0)
        eta_b = min(eta_b, limit)
    # From infinite noise nothing of x_t can be kept: only eta = 1 is a step, that of the start.
    eta = draw(st.floats(0, 1)) if math.isfinite(sigma) else 1.0
    return TableStep(s, sigma, sigma_next, sigma_y, eta, eta_b)


@settings(max_examples=400)
@given(table_steps())
def test_weights_sum_to_one_and_variances_to_the_level(step):
    """S14.1, S15.1, S16.1: x0 + xt + y = 1 and the variance given x_0 is sigma_t^2, for any s."""
    error = identity_error(ddrm_coefficients, *step[:4], **step.etas)
    assert error <= 100 * EPS  # ten roundings of numbers below 10


@settings(max_examples=400)
@given(table_steps())
def test_coefficients_are_real_numbers_of_the_shape_of_s(step):
    """S11.2: no negative variance, not even at the boundary; float64."""
    coefficients = ddrm_coefficients(*step.arguments(), **step.etas)
    for number in coefficients:
        assert number.shape == (len(step.s),)
        assert number.dtype == torch.float64
        assert number.isfinite().all()
    assert (coefficients.noise >= 0).all()


@given(
    st.lists(st.floats(0.01, 5) | st.just(0.0), min_size=1, max_size=6),
    st.floats(0.01, 100),
    st.floats(1.01, 30),
    st.floats(0.003, 30),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_coefficients_are_those_of_slide_11(s, sigma_next, ratio, sigma_y, eta, fraction):
    """S11.2-S11.4: against the formulas of the slide, one by one, up to eta_b's limit."""
    assume(all(abs(si * sigma_next / sigma_y - 1) > 1e-9 for si in s))  # the boundary: see below
    eta_b = fraction * min(admissible_eta_b(s, sigma_next, sigma_y), 10.0)
    numbers = (s, sigma_next * ratio, sigma_next, sigma_y)
    assert table_error(ddrm_coefficients, *numbers, eta=eta, eta_b=eta_b) <= 1000 * EPS


def test_each_case_has_the_value_worked_out_by_hand():
    """S11.2-S11.4: sigma 0.9 -> 0.5, sigma_y = 0.3, eta = 0.6 (so c = 0.8), eta_b = 0.7."""
    s = torch.tensor([2.0, 0.4, 0.0])  # tau = 0.15 (case 1), 0.75 (case 2), none (case 3)
    c = ddrm_coefficients(s, 0.9, 0.5, 0.3, eta=0.6, eta_b=0.7)
    hand = StepCoefficients(
        x0=[0.3, 1 - 0.8 * 0.5 / 0.75, 1 - 0.8 * 0.5 / 0.9],
        xt=[0, 0, 0.8 * 0.5 / 0.9],
        y=[0.7, 0.8 * 0.5 / 0.75, 0],
        noise=[math.sqrt(0.25 - 0.49 * 0.0225), 0.3, 0.3],
    )
    # s was float32 and 0.4 is not a float32 number: hence seven digits there.
    for got, want in zip(c, hand, strict=True):
        torch.testing.assert_close(got, torch.tensor(want).double(), atol=1e-7, rtol=1e-7)


def test_singular_values_keep_their_shape():
    """One coefficient per coordinate, whatever array s comes in."""
    s = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    flat = ddrm_coefficients(s.flatten(), 2.0, 0.7, 0.3, eta=0.4, eta_b=0.9)
    shaped = ddrm_coefficients(s, 2.0, 0.7, 0.3, eta=0.4, eta_b=0.9)
    for got, want in zip(shaped, flat, strict=True):
        assert torch.equal(got, want.reshape(2, 3, 4))


# ---------------------------------------------------------------------------------- the boundary


@given(st.floats(0.01, 10), st.floats(0.01, 100), st.floats(0, 1), st.floats(0, 1))
def test_boundary_belongs_to_case_1_when_sigma_y_is_computed(s, sigma_next, eta, eta_b):
    """S11.2: sigma_t >= sigma_y / s with equality, sigma_y = s * sigma_next in floating point."""
    numbers = (torch.tensor([s], dtype=torch.float64), 2 * sigma_next, sigma_next, s * sigma_next)
    c = ddrm_coefficients(*numbers, eta=eta, eta_b=eta_b)
    assert (c.y.item(), c.xt.item()) == (eta_b, 0.0)
    assert c.noise.item() ** 2 == pytest.approx(
        sigma_next**2 * (1 - eta_b**2), abs=10 * EPS * sigma_next**2
    )


@given(st.floats(0.01, 10), st.floats(0.01, 100), st.floats(0, 1), st.floats(0, 1))
def test_boundary_belongs_to_case_1_when_the_level_is_computed(s, sigma_y, eta, eta_b):
    """S11.2: sigma_next = sigma_y / s in floating point, which may round to either side."""
    sigma_next = sigma_y / s
    numbers = (torch.tensor([s], dtype=torch.float64), 2 * sigma_next, sigma_next, sigma_y)
    c = ddrm_coefficients(*numbers, eta=eta, eta_b=eta_b)
    assert (c.y.item(), c.xt.item()) == (eta_b, 0.0)
    assert c.noise.item() ** 2 == pytest.approx(
        sigma_next**2 * (1 - eta_b**2), abs=10 * EPS * sigma_next**2
    )


@pytest.mark.parametrize("s", [1 / math.sqrt(3), 0.1, 7 / 3])
def test_boundary_survives_the_rounding_of_a_singular_value(s):
    """S11.2: a singular value that a library computed, a few ulp off, is still on the boundary."""
    sigma_next, sigma_y = 0.7, 0.7 * s
    for ulps in range(-4, 5):
        perturbed = torch.tensor([s * (1 + ulps * EPS)], dtype=torch.float64)
        c = ddrm_coefficients(perturbed, 1.3, sigma_next, sigma_y, eta=0.4, eta_b=1.0)
        assert c.y.item() == 1.0
        assert c.noise.item() <= sigma_next * math.sqrt(20 * EPS)


@pytest.mark.parametrize("side", [-1, 1])
def test_neighbourhood_of_the_boundary_is_not_swallowed(side):
    """S11.2, S11.3: a part in 1e9 away from equality, the cases are those of the slide."""
    s, sigma_next = 0.8, 0.5
    sigma_y = s * sigma_next * (1 + side * 1e-9)
    spectrum = torch.tensor([s], dtype=torch.float64)
    c = ddrm_coefficients(spectrum, 1.0, sigma_next, sigma_y, eta=0.6, eta_b=0.9)
    want = slide_11(0.8, 1.0, sigma_next, sigma_y, 0.6, 0.9)
    assert c.y.item() == pytest.approx(want[2], rel=1e-8)
    assert (c.y.item() == 0.9) == (side < 0)


def test_cases_1_and_2_meet_where_eta_and_eta_b_are_on_the_circle():
    """S11.6: at sigma_t = sigma_y / s both give the same kernel iff eta^2 + eta_b^2 = 1."""
    s, sigma_y = torch.tensor([0.5], dtype=torch.float64), 0.3
    gaps = {}
    for eta, eta_b in ((0.6, 0.8), (0.85, 1.0)):
        above, below = (
            ddrm_coefficients(s, 2.0, 0.6 * factor, sigma_y, eta=eta, eta_b=eta_b)
            for factor in (1 + 1e-9, 1 - 1e-9)
        )
        gaps[eta] = largest(*(a - b for a, b in zip(above, below, strict=True)))
    assert gaps[0.6] < 1e-8
    assert gaps[0.85] > 0.3


# ------------------------------------------------------------------------------- eta_b and start


@given(st.lists(st.floats(0.05, 5), min_size=1, max_size=5), st.floats(0.1, 50), st.floats(0, 1))
def test_eta_b_is_refused_just_above_its_limit_and_not_below(s, sigma_next, eta):
    """S11.2, E15: admissible iff eta_b <= sigma_t s / sigma_y for every coordinate of case 1."""
    sigma_y = 0.4 * max(s) * sigma_next  # some coordinates in case 1, perhaps some in case 2
    limit = admissible_eta_b(s, sigma_next, sigma_y)
    assume(all(abs(si * sigma_next / sigma_y - 1) > 1e-6 for si in s))
    numbers = (torch.tensor(s, dtype=torch.float64), 2 * sigma_next, sigma_next, sigma_y)
    c = ddrm_coefficients(*numbers, eta=eta, eta_b=limit * (1 - 1e-9))
    assert c.noise.isfinite().all()
    with pytest.raises(ValueError, match=r"eta_b must lie in \[0, "):
        ddrm_coefficients(*numbers, eta=eta, eta_b=limit * (1 + 1e-9))


def test_message_names_the_admissible_range_of_eta_b():
    """S11.2: s sigma / sigma_y = 2 * 0.5 / 0.4 = 2.5."""
    s = torch.tensor([4.0, 2.0, 0.1, 0.0])
    with pytest.raises(ValueError, match=r"\[0, 2\.5\] at the level sigma = 0\.5.*2\.51"):
        ddrm_coefficients(s, 1.0, 0.5, 0.4, eta=0.85, eta_b=2.51)


@pytest.mark.parametrize("eta_b", [-1e-9, -1.0, math.nan, math.inf])
def test_impossible_eta_b_is_refused_even_without_noise(eta_b):
    """S11.2: sigma_y = 0 sets no upper limit, but a finite number of at least 0 it must be."""
    with pytest.raises(ValueError, match="eta_b"):
        ddrm_coefficients(torch.tensor([1.3, 0.0]), 1.0, 0.5, 0.0, eta=0.85, eta_b=eta_b)


def test_without_noise_any_eta_b_is_admissible():
    """X06: the variance is sigma_t^2 whatever eta_b; 2 is the reflection 2 y - x0_hat."""
    c = ddrm_coefficients(torch.tensor([1.3]), 1.0, 0.5, 0.0, eta=0.85, eta_b=2.0)
    assert [number.item() for number in c] == [-1.0, 0.0, 2.0, 0.5]


@given(st.floats(0.01, 5), st.floats(0.01, 100), st.floats(0.01, 0.999))
def test_eta_b_of_theorem_3_2_is_admissible_and_exceeds_one(s, sigma_next, ratio):
    """X03, E15: 1 <= eta_b* < 2, never above sigma_t s / sigma_y; the variance is a square."""
    sigma_y = ratio * s * sigma_next
    eta_b = theorem_eta_b(s, sigma_next, sigma_y)
    assert 1 <= eta_b < 2
    s = torch.tensor([s], dtype=torch.float64)
    c = ddrm_coefficients(s, 2 * sigma_next, sigma_next, sigma_y, eta=1.0, eta_b=eta_b)
    a, b = sigma_next**2, (sigma_y / s.item()) ** 2
    assert c.noise.item() ** 2 == pytest.approx(a * ((a - b) / (a + b)) ** 2, abs=20 * EPS * a)


# --------------------------------------------------------------- rates per coordinate and by rule


@settings(max_examples=200)
@given(table_steps(), seeds)
def test_rates_per_coordinate_are_those_of_single_coordinates(step, seed):
    """Theorem 3.2 needs one eta_b for each coordinate: a vector of rates is a list of calls."""
    rng = np.random.default_rng(seed)
    eta = rng.random(len(step.s)) if math.isfinite(step.sigma) else np.ones(len(step.s))
    limits = [min(admissible_eta_b([s], *step[2:4]), 10.0) for s in step.s]
    eta_b = rng.random(len(step.s)) * limits
    together = ddrm_coefficients(
        *step.arguments(), eta=torch.as_tensor(eta), eta_b=torch.as_tensor(eta_b)
    )
    for i, s in enumerate(step.s):
        alone = ddrm_coefficients(
            torch.tensor([s], dtype=torch.float64),
            *step[1:4],
            eta=float(eta[i]),
            eta_b=float(eta_b[i]),
        )
        for got, want in zip(together, alone, strict=True):
            assert abs(float(got[i] - want[0])) <= 4 * EPS * (1 + abs(float(want[0])))


@settings(max_examples=200)
@given(table_steps())
def test_theorem_rule_is_the_formula_for_each_coordinate(step):
    """X01, E15: eta_b* = 2 sigma_t^2 / (sigma_t^2 + b) in [1, 2], admissible for every s."""
    got = ddrm_coefficients(*step.arguments(), eta=step.eta, eta_b="theorem")
    for i, s in enumerate(step.s):
        weight = theorem_eta_b(s, *step[2:4])
        if s > 0 and s * step.sigma_next >= step.sigma_y * (1 - 1e-12):
            assert got.y[i].item() == pytest.approx(weight, rel=1e-11)
            assert 1 - 1e-11 <= got.y[i] <= 2
    assert identity_error(ddrm_coefficients, *step[:4], eta=step.eta, eta_b="theorem") <= 1e-12


@settings(max_examples=200)
@given(table_steps())
def test_tight_rule_is_the_formula_for_each_coordinate(step):
    """X16, G12: eta^2 = 1 - s^2 sigma_t^2 / sigma_y^2 in case 2, and 1 where s = 0."""
    sigma = step.sigma if math.isfinite(step.sigma) else 1e6
    s, *levels = step._replace(sigma=max(sigma, 1.1 * step.sigma_next)).arguments()
    got = ddrm_coefficients(s, *levels, eta="tight", eta_b=step.eta_b)
    for i, value in enumerate(step.s):
        snr = value * step.sigma_next / step.sigma_y if step.sigma_y else math.inf
        if value == 0:
            assert got.noise[i].item() == pytest.approx(step.sigma_next, rel=1e-15)
            assert (got.x0[i], got.xt[i]) == (1, 0)
        elif snr < 1 - 1e-12:
            assert got.y[i].item() == pytest.approx(snr**2, rel=1e-12)
            variance = step.sigma_next**2 * (1 - snr**2)
            assert got.noise[i].item() ** 2 == pytest.approx(variance, abs=1e-15 + 1e-12 * variance)


def test_rates_take_the_shape_of_one_image():
    """A rate of shape in_shape for singular values that are stored once for all pixels."""
    op = Denoising((1, 2, 2))
    eta = torch.tensor([[[0.1, 0.5], [0.9, 1.0]]])
    c = ddrm_coefficients(op.s, 2.0, 0.5, 0.9, eta=eta, eta_b=1.0)
    assert c.noise.shape == c.y.shape == (1, 2, 2)
    assert largest(c.noise.numpy() - 0.5 * eta.double().numpy()) <= EPS
    y = torch.zeros(3, 1, 2, 2)
    *_, last = ddrm_samples(lambda x, s: x, op, y, [2.0, 0.5, 0.0], sigma_y=0.9, eta=eta)
    assert last.x.shape == (3, 1, 2, 2)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"eta": "theorem"}, "the rule 'tight'"),
        ({"eta_b": "tight"}, "the rule 'theorem'"),
        ({"eta": torch.tensor([0.5, 1.1, 0.2])}, r"\[0, 1\], but was 1.1"),
        ({"eta": torch.tensor([0.5, -0.1, 0.2])}, r"\[0, 1\], but was -0.1"),
        ({"eta": torch.tensor([0.5, math.nan, 0.2])}, r"\[0, 1\]"),
        ({"eta": torch.ones(2)}, r"\(3,\), but had shape \(2,\)"),
        ({"eta_b": torch.ones(4)}, r"\(3,\), but had shape \(4,\)"),
        ({"eta": torch.ones(20, 3)}, r"\(3,\), but had shape \(20, 3\)"),  # none per step
        ({"eta_b": torch.tensor([1.0, 1.7, 1.0])}, r"\[0, 1.6\].*was 1.7"),
        ({"eta_b": torch.tensor([-0.2, 1.0, 1.0])}, "was -0.2"),
        ({"eta_b": torch.tensor([1.0, 1.0, math.inf])}, "was inf"),
    ],
)
def test_impossible_rates_are_refused(rates, words):
    """The message names the range, and the coordinate's own value."""
    s = torch.tensor([1.0, 0.8, 0.0])
    with pytest.raises(ValueError, match=words):
        ddrm_coefficients(s, 3.0, 1.0, 0.5, **{"eta": 0.5, "eta_b": 1.0} | rates)


def test_rates_may_be_0_in_some_coordinates():
    """eta_b = 0 ignores the measurement of a coordinate, eta = 0 adds no noise to it."""
    s = torch.tensor([1.0, 1.0, 0.1, 0.0])
    zero = torch.tensor([0.0, 0.5, 0.0, 0.0])
    c = ddrm_coefficients(s, 3.0, 1.0, 0.5, eta=zero, eta_b=zero)
    assert c.y[0] == 0
    assert c.noise[2:].tolist() == [0, 0]


def test_rates_at_the_start_must_be_one():
    """From infinite noise nothing is kept, in no coordinate."""
    s = torch.tensor([1.0, 0.0])
    with pytest.raises(ValueError, match=r"infinite.*0\.5"):
        ddrm_coefficients(s, math.inf, 1.0, 0.1, eta=torch.tensor([1.0, 0.5]), eta_b=1.0)


def test_impossible_rates_per_coordinate_are_refused_by_the_call_itself():
    """Before the first step, as for single numbers."""
    op = Dense([[1.0, 0.0], [0.0, 0.5]])
    with pytest.raises(ValueError, match="eta_b must lie in"):
        ddrm_samples(
            lambda x, s: x,
            op,
            torch.zeros(1, 2),
            [3.0, 0.4, 0.0],
            sigma_y=0.1,
            eta_b=torch.tensor([1.0, 2.5]),
        )


@pytest.mark.parametrize("rates", [("tight", "theorem"), (0.6, "theorem"), ("tight", 0.7)])
def test_sampler_by_rule_has_the_law_of_the_rules(rates):
    """S18.1: the real sampler, probed with unit vectors, against the recursion of law.py."""
    case = CASES["wide and rank-deficient"]
    prior = GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov))
    op = Dense(case.H)
    got = probed_law(ddrm_samples, case, LEVELS, eta=rates[0], eta_b=rates[1]).last(op.n)
    law = sampler_law(prior, op, LEVELS, sigma_y=case.sigma_y, eta=rates[0], eta_b=rates[1])
    y = torch.as_tensor(np.random.default_rng(0).standard_normal((1, op.m)))
    want = law.given(y)
    assert largest(got.cov - want.cov.numpy()) <= 1e-11
    assert largest(got.offset + got.gain @ y[0].numpy() - want.mean[0].numpy()) <= 1e-11


def test_start_is_the_measurement_or_pure_noise():
    """S11.1, S17.1: N(y-bar, sigma_T^2 - sigma_y^2 / s^2), or variance sigma_T^2 if unmeasured."""
    s = torch.tensor([1.0, 0.25, 0.0], dtype=torch.float64)
    c = ddrm_start_coefficients(s, 3.0, 0.5)
    assert c.y.tolist() == [1.0, 1.0, 0.0]
    assert c.x0.tolist() == [0.0, 0.0, 1.0]
    assert c.xt.tolist() == [0.0, 0.0, 0.0]
    want = torch.tensor([9 - 0.25, 9 - 4, 9], dtype=torch.float64).sqrt()
    torch.testing.assert_close(c.noise, want, rtol=10 * EPS, atol=0)


def test_start_ignores_measurements_noisier_than_the_first_level():
    """E5, X12: sigma_T < sigma_y / s starts as unobserved; at equality it starts at y exactly."""
    c = ddrm_start_coefficients(torch.tensor([0.1, 0.25], dtype=torch.float64), 2.0, 0.5)
    assert c.y.tolist() == [0.0, 1.0]
    assert c.x0.tolist() == [1.0, 0.0]
    assert c.noise.tolist() == [2.0, 0.0]


@given(st.floats(0.01, 10), st.floats(0, 1), st.floats(1.01, 30), st.floats(0.1, 50))
def test_unmeasured_coordinates_follow_case_3_whatever_the_noise(sigma_y, eta, ratio, sigma_next):
    """X13: s = 0 is case 3, never case 2, whose limit s -> 0 keeps nothing of x_t."""
    numbers = (ratio * sigma_next, sigma_next, sigma_y)
    zero = ddrm_coefficients(torch.zeros(2).double(), *numbers, eta=eta, eta_b=1.0)
    tiny = ddrm_coefficients(torch.full((2,), 1e-12).double(), *numbers, eta=eta, eta_b=1.0)
    kept = math.sqrt(1 - eta**2)
    assert zero.xt.tolist() == pytest.approx([kept / ratio] * 2, rel=10 * EPS, abs=0)
    assert zero.y.tolist() == [0.0, 0.0]
    assert tiny.xt.tolist() == [0.0, 0.0]
    # Relative to all noise that is missing: the limit of case 2 keeps none of x_t.
    assert tiny.x0.tolist() == pytest.approx([1.0] * 2, abs=1e-7)


@given(st.floats(0.01, 2), st.floats(0.5, 5))
def test_eta_one_forgets_measurement_and_state_in_cases_2_and_3(s, sigma_y):
    """X14: with eta = 1 only the prediction and fresh noise are left."""
    sigma_next = 0.5 * sigma_y / s
    spectrum = torch.tensor([s, 0.0], dtype=torch.float64)
    c = ddrm_coefficients(spectrum, 2 * sigma_next, sigma_next, sigma_y, eta=1.0, eta_b=1.0)
    assert c.y.tolist() == c.xt.tolist() == [0.0, 0.0]
    assert c.x0.tolist() == [1.0, 1.0]
    assert c.noise.tolist() == [sigma_next, sigma_next]


def test_noisy_rule_tends_to_the_noiseless_one():
    """X06: for each sigma_t > 0, as sigma_y -> 0."""
    s = torch.tensor([1.3, 0.2, 0.0], dtype=torch.float64)
    clean = ddrm_coefficients(s, 1.0, 0.3, 0.0, eta=0.6, eta_b=0.8)
    noisy = ddrm_coefficients(s, 1.0, 0.3, 1e-9, eta=0.6, eta_b=0.8)
    assert largest(*(a - b for a, b in zip(clean, noisy, strict=True))) < 1e-12


@pytest.mark.parametrize(("sigma", "sigma_next"), [(0.5, 0.5), (0.4, 0.5), (0.5, -0.1)])
def test_steps_that_do_not_go_down_are_refused(sigma, sigma_next):
    """S11.4: sigma_{t+1} > sigma_t >= 0."""
    with pytest.raises(ValueError, match="larger noise level to a smaller"):
        ddrm_coefficients(torch.ones(2), sigma, sigma_next, 0.1, eta=0.85, eta_b=1.0)


# ------------------------------------------------------------------------------- Proposition 3.1


@st.composite
def level_lists(draw) -> list[float]:
    """Strictly decreasing, not uniform, ending in 0."""
    level, levels = draw(st.floats(0.5, 200)), []
    for ratio in draw(st.lists(st.floats(0.05, 0.99), min_size=1, max_size=6)):
        levels.append(level)
        level *= ratio
    return [*levels, level, 0.0]


@settings(max_examples=120)
@given(
    level_lists(),
    st.lists(singular_values, min_size=1, max_size=5),
    st.just(0.0) | st.floats(1e-4, 20),
    st.floats(0, 1),
    st.floats(0, 1) | st.just("theorem") | st.just("limit"),
    st.booleans(),
    seeds,
)
def test_every_level_has_the_marginal_of_plain_noise(
    levels, s, sigma_y, eta, eta_b, on_boundary, seed
):
    """S12.1, S12.2, S11.1: q(x_t | x_0) = N(x_0, sigma_t^2 I), full covariances, any schedule."""
    if on_boundary and s[0] > 1e-3:
        sigma_y = s[0] * levels[len(levels) // 2]
    if eta_b == "theorem":
        eta_b = theorem_eta_b
    elif eta_b == "limit":
        eta_b = lambda si, sigma, noise: min(admissible_eta_b([si], sigma, noise), 10.0)  # noqa: E731
    samplers = (ddrm_coefficients, ddrm_start_coefficients)
    error = marginal_error(*samplers, s, levels, sigma_y, eta=eta, eta_b=eta_b, seed=seed)
    assert error <= 1e-10


@pytest.mark.parametrize(("eta", "eta_b"), [(0.85, 1.0), (0.6, 0.7), (0.0, 0.4), (1.0, 0.0)])
@pytest.mark.parametrize("sigma_y", [0.0, 0.31, 4.0, 100.0])
def test_marginals_hold_at_any_noise_of_the_measurement(eta, eta_b, sigma_y):
    """S12.1, E5: also when sigma_T < sigma_y / s for some or all coordinates."""
    s = [1.7, 0.8, 0.8, 0.31, 0.04, 0.0, 0.0]
    samplers = (ddrm_coefficients, ddrm_start_coefficients)
    assert marginal_error(*samplers, s, LEVELS, sigma_y, eta=eta, eta_b=eta_b) <= 1e-12


@pytest.mark.parametrize(("eta", "eta_b", "sigma_y"), [(0.6, 0.7, 0.5), (0.85, 1.0, 0.15)])
def test_real_sampler_has_the_joint_law_of_the_inference_chain(eta, eta_b, sigma_y):
    """S12.1, S18.1: Monte Carlo, N = 40,000 draws, FULL covariance incl. cross-time, z <= 5.

    y is drawn afresh for each image and the denoiser knows x_0, so that the chain is q itself (but
    for its start, where the sampler puts 0 for unmeasured coordinates).  15 means and 120 distinct
    covariances: the largest of as many |z| exceeds 5 with probability below 1e-4.
    """
    N, levels = 40_000, [3.1, 1.2, 0.7, 0.25, 0.0]
    case = random_case(5, 4, 3, sigma_y, seed=2)
    x0 = np.random.default_rng(3).standard_normal(5)
    law = noising_law(case, levels, eta, eta_b, x0)
    for t, level in enumerate(levels[1:]):
        block = slice(5 * t, 5 * t + 5)
        assert largest(law.cov[block, block] - level**2 * np.eye(5)) <= 1e-12  # Proposition 3.1

    generator = torch.Generator().manual_seed(4)
    op, clean = Dense(case.H), torch.as_tensor(x0).expand(N, 5)
    z = torch.randn(N, 4, generator=generator, dtype=torch.float64)
    y = op(clean) + sigma_y * z
    numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b, "generator": generator}
    steps = list(ddrm_samples(lambda x, sigma: clean, op, y, levels, **numbers))
    torch.testing.assert_close(steps[-1].x, clean, atol=1e-13, rtol=0)  # sigma_0 = 0

    path = torch.cat([step.x for step in steps[:-1]], dim=1).numpy()
    offset, cov = law.offset[:-5], law.cov[:-5, :-5]
    centred, variance = path - offset, np.diag(cov)
    z_mean = centred.mean(0) / np.sqrt(variance / N)
    z_cov = (centred.T @ centred / N - cov) / np.sqrt((np.outer(variance, variance) + cov**2) / N)
    assert largest(z_mean, z_cov) <= 5


# --------------------------------------------------------------------- the exact law of the output

CASES = {
    "wide and rank-deficient": random_case(6, 5, 3, 0.2, seed=0),
    "tall": random_case(3, 5, 3, 0.1, seed=1),
    "tall and rank-deficient": random_case(4, 6, 2, 0.5, seed=5),
    "square": random_case(4, 4, 4, 0.07, seed=2),
    "noiseless": random_case(5, 3, 2, 0.0, seed=3),
    "noisier than the first level": random_case(4, 3, 3, 4.0, seed=4),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@cases
@pytest.mark.parametrize(("eta", "eta_b"), [(0.85, 1.0), (0.6, 0.7), (0.0, 0.3), (1.0, 0.0)])
def test_law_equals_the_bruteforce_joint_gaussian(case, eta, eta_b):
    """S18.1, section 4: offset, gain on y and FULL covariance of all steps, cross-time too."""
    assert sampler_law_error(ddrm_samples, case, LEVELS, eta=eta, eta_b=eta_b) <= 1e-10


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_law_holds_for_the_levels_of_a_schedule(steps):
    """S18.1: also for one step, and from large first levels."""
    levels = NoiseSchedule.linear().sigmas(steps)
    case = CASES["wide and rank-deficient"]
    assert sampler_law_error(ddrm_samples, case, levels, eta=0.85, eta_b=0.9) <= 1e-10


@pytest.mark.parametrize("eta_b", [1.3, 1.55])
def test_law_holds_for_weights_of_the_measurement_above_one(eta_b):
    """E15: eta_b in (1, limit], here with all levels in case 1 or at the exact 0 in case 2."""
    H = np.diag([1.7, 1.4, 0.0])
    case = random_case(3, 3, 3, 0.2, seed=6)._replace(H=H)
    assert (
        sampler_law_error(ddrm_samples, case, [9.0, 2.0, 0.6, 0.0], eta=0.7, eta_b=eta_b) <= 1e-10
    )


STRUCTURED = {
    "super-resolution": (
        SuperResolution((1, 2, 4), 2),
        super_resolution_matrix((1, 2, 4), 2),
    ),
    "inpainting": (
        Inpainting([[[True, False, False], [True, True, False]]]),
        inpainting_matrix(np.array([[[True, False, False], [True, True, False]]])),
    ),
    "denoising": (Denoising((2, 1, 2)), np.eye(4)),
}


@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("sigma_y", [0.0, 0.3])
def test_law_holds_for_structured_operators_on_images(name, sigma_y):
    """S18.2, S20-S23: V and s of the operator against numpy's SVD of an independent matrix."""
    op, H = STRUCTURED[name]
    case = random_case(op.n, op.m, 1, sigma_y, seed=7)._replace(H=H)
    assert sampler_law_error(ddrm_samples, case, LEVELS, eta=0.6, eta_b=0.7, op=op) <= 1e-10


@pytest.fixture(scope="module")
def gap_case() -> GaussianCase:
    return GaussianCase(*(np.array(GAP[key]) for key in ("m", "C", "H")), GAP["sigma_y"])


@pytest.mark.parametrize("row", GAP["expected"][:4], ids=lambda row: f"{row['steps']} steps")
def test_gap_to_the_posterior_is_that_of_the_worked_example(gap_case, row):
    """Section 4: relative W2 of ddrm_samples to six digits, its law probed with unit vectors."""
    levels = NoiseSchedule.linear().sigmas(row["steps"])
    law = probed_law(ddrm_samples, gap_case, levels, eta=row["eta"], eta_b=row["eta_b"])
    assert relative_w2(law, gap_case) == pytest.approx(row["relative_W2"], abs=5.1e-7)


@pytest.mark.parametrize("row", GAP["expected"], ids=lambda row: f"{row['steps']} steps")
def test_bruteforce_law_reproduces_the_worked_example(gap_case, row):
    """Section 4: the reference of these tests is itself right, to six digits."""
    levels = NoiseSchedule.linear().sigmas(row["steps"])
    law = ddrm_law(gap_case, levels, row["eta"], row["eta_b"], only_last=True)
    assert relative_w2(law, gap_case) == pytest.approx(row["relative_W2"], abs=5.1e-7)


@pytest.mark.parametrize(("eta", "eta_b"), [(0.85, 1.0), (0.6, 0.7), (0.3, 0.2)])
@pytest.mark.parametrize("steps", [1, 6])
def test_literal_algorithm_2_with_a_vp_network_is_the_sampler(steps, eta, eta_b):
    """X08, S18.1, S19.2: VP pixels and the network at the matched time, for the same noise."""
    for name in ("wide and rank-deficient", "noiseless", "noisier than the first level"):
        error = vp_error(
            literal_algorithm_2, CASES[name], default_schedule(), steps, eta=eta, eta_b=eta_b
        )
        assert error <= 1e-10


def slow_algorithm_2(denoiser, op, y, sigmas, sigma_y, eta, eta_b, noise) -> list[np.ndarray]:
    """Algorithm 2 (slide 18) in numpy, one coordinate of one image at a time.

    V and U are matrices, and so is everything else that the library keeps as a map; of its code
    only the singular vectors are used, and they are tested elsewhere.
    """
    unit = torch.eye(op.n, dtype=torch.float64).reshape(-1, *op.in_shape)
    V, U = (f(unit).flatten(1).numpy().T for f in (op.V, op.U))
    s, path = op.spectrum().flatten().tolist(), []
    y, noise = y.flatten(1).double().numpy(), noise.flatten(2).double().numpy()
    y_spec = [[U[:, i] @ image / s[i] if s[i] > 0 else 0.0 for i in range(op.n)] for image in y]
    x_spec = np.zeros((len(y), op.n))
    for b, i in np.ndindex(x_spec.shape):
        if s[i] > 0 and sigmas[0] >= sigma_y / s[i]:
            spread = math.sqrt(sigmas[0] ** 2 - (sigma_y / s[i]) ** 2)
            x_spec[b, i] = y_spec[b][i] + spread * noise[0, b, i]
        else:
            x_spec[b, i] = sigmas[0] * noise[0, b, i]
    for k, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas)):
        images = torch.as_tensor(x_spec @ V.T).reshape(-1, *op.in_shape)
        x_theta = denoiser(images, sigma).flatten(1).numpy() @ V
        new = np.zeros_like(x_spec)
        for b, i in np.ndindex(x_spec.shape):
            x0, xt, weight, variance = slide_11(s[i], sigma, sigma_next, sigma_y, eta, eta_b)
            new[b, i] = x0 * x_theta[b, i] + xt * x_spec[b, i] + weight * y_spec[b][i]
            new[b, i] += math.sqrt(variance) * noise[k + 1, b, i]
        x_spec = new
        path.append(x_spec @ V.T)
    return path


SLOW = {
    "denoising": Denoising((1, 4, 4)),
    "inpainting": Inpainting(np.random.default_rng(1).random((4, 4)) < 0.6, channels=2),
    "super-resolution": SuperResolution((2, 4, 4), 2),
    "colorization": Colorization((3, 3, 4), (0.299, 0.587, 0.114)),
    "patch functional": PatchFunctional((2, 4, 4), [[[1.0, -0.4]], [[0.3, 0.8]]]),
    "blocks": BlockOperator(np.random.default_rng(2).random((2, 3)), (3, 2, 4)),
    "circular blur": CircularBlur((2, 5, 4), np.random.default_rng(3).random((3, 3))),
    "separable blur": SeparableBlur((1, 5, 4), [0.25, 0.5, 0.25]),
    "compressed sensing": CompressedSensing(
        (1, 4, 4), 9, generator=torch.Generator().manual_seed(4)
    ),
    "any matrix": Dense(np.random.default_rng(5).random((3, 8)), in_shape=(2, 4)),
}


@pytest.mark.parametrize("op", SLOW.values(), ids=SLOW.keys())
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 3.3e-6)])
@pytest.mark.parametrize(
    ("sigma_y", "eta", "eta_b"), [(0.0, 0.85, 1.0), (0.11, 0.85, 1.0), (0.6, 0.3, 0.8)]
)
def test_sampler_is_the_slow_algorithm_2(op, dtype, bound, sigma_y, eta, eta_b):
    """S18.1: every step for the same noise, however the sampler groups and spares its work."""
    rng = torch.Generator().manual_seed(6)
    y = torch.randn(2, *op.out_shape, generator=rng).to(dtype)
    noise = torch.randn(len(LEVELS), 2, *op.in_shape, generator=rng)
    numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b}
    theirs = slow_algorithm_2(nonlinear_denoiser, op, y, LEVELS, noise=noise, **numbers)
    with known_noise(noise):
        mine = ddrm_samples(nonlinear_denoiser, op, y, LEVELS, **numbers)
        for due, step in zip(theirs, mine, strict=True):
            size = max(1.0, float(np.abs(due).max()))
            assert largest(step.x.flatten(1).double().numpy() - due) <= bound * size


# --------------------------------------------------------------------------------- one run of it


def _mask(shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.6


PATCH = torch.tensor([[[1.0, -0.4, 0.2]], [[0.3, 0.0, -0.8]]])
ALL_OPERATORS = {
    "denoising": Denoising((2, 4, 6)),
    "inpainting": Inpainting(_mask((2, 4, 6))),
    "super-resolution": SuperResolution((2, 4, 6), 2),
    "colorization": Colorization((3, 4, 5), (0.299, 0.587, 0.114)),
    "patch functional": PatchFunctional((2, 4, 6), PATCH),
    "wide matrix": Dense(random_case(8, 5, 5, 0.0, seed=1).H, in_shape=(2, 4)),
    "tall matrix": Dense(random_case(4, 7, 4, 0.0, seed=2).H),
    "rank-deficient matrix": Dense(random_case(6, 6, 3, 0.0, seed=3).H, in_shape=(1, 2, 3)),
}
all_operators = pytest.mark.parametrize("op", ALL_OPERATORS.values(), ids=ALL_OPERATORS.keys())


def _images(op, batch=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, *op.in_shape, generator=generator, dtype=torch.float64).to(dtype)


def _seeds(count, first=0):
    return [torch.Generator().manual_seed(first + k) for k in range(count)]


@all_operators
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("eta", [0.85, 0.3])
def test_noiseless_measurements_are_kept_exactly(op, dtype, bound, eta):
    """X06, S17.3: H x = y to rounding, for any denoiser whatever."""
    x0 = _images(op, dtype=dtype)
    for levels in (LEVELS, NoiseSchedule.linear().sigmas(4)):
        assert consistency_error(ddrm_samples, op, x0, levels, eta=eta) <= bound


@given(operators(), seeds, st.sampled_from([torch.float32, torch.float64]), st.floats(0, 1))
def test_noiseless_measurements_are_kept_by_any_operator(case, seed, dtype, eta):
    """X06: also for tiny singular values and for H = 0; rounding as of one product with H."""
    x0 = _images(case.op, seed=seed, dtype=dtype)
    y, levels = case.op(x0), [20.0, 3.0, 0.1, 0.0]
    *_, last = ddrm_samples(
        nonlinear_denoiser, case.op, y, levels, sigma_y=0.0, eta=eta, generator=_seeds(3)
    )
    # Sizes of what is rounded: x is carried through V, y through U and division by s and back.
    size = case.op.s.max() * last.x.flatten(1).norm(dim=1) + y.flatten(1).norm(dim=1)
    residual = (case.op(last.x) - y).flatten(1).norm(dim=1)
    assert (residual <= 20 * case.op.n * torch.finfo(dtype).eps * size).all()


@all_operators
def test_a_noisy_measurement_is_followed_only_as_far_as_its_noise(op):
    """S17.3: with sigma_y > 0 the last step is case 2, and the result is the prediction itself."""
    y = op(_images(op)) + 0.2
    *_, last = ddrm_samples(
        nonlinear_denoiser, op, y, LEVELS, sigma_y=0.2, eta_b=0.8, generator=_seeds(3)
    )
    torch.testing.assert_close(last.x, last.x0_hat, atol=1e-12, rtol=0)


def test_steps_count_down_to_the_clean_image():
    """S18.1: one Step per evaluation; t = 0 and sigma = 0 at the end."""
    op = ALL_OPERATORS["super-resolution"]
    levels = default_schedule().sigmas(7)
    steps = list(ddrm_samples(nonlinear_denoiser, op, op(_images(op)), levels, sigma_y=0.1))
    assert [step.t for step in steps] == [6, 5, 4, 3, 2, 1, 0]
    assert [step.sigma.item() for step in steps] == levels[1:].tolist()
    assert all(step.sigma.shape == () and step.sigma.dtype == torch.float64 for step in steps)
    assert steps[-1].sigma.item() == 0
    assert all(step.x.shape == step.x0_hat.shape == (3, *op.in_shape) for step in steps)


def test_prediction_of_a_step_comes_from_the_state_above_it():
    """S06.7, E13: x_theta,t is predicted from x_{t+1} at the level t + 1."""
    op = ALL_OPERATORS["wide matrix"]
    calls = []

    def recorded(x, sigma):
        calls.append((x.clone(), float(sigma)))
        return nonlinear_denoiser(x, sigma)

    steps = list(ddrm_samples(recorded, op, op(_images(op)), LEVELS, sigma_y=0.1))
    assert [sigma for _, sigma in calls] == LEVELS[:-1]
    for step, (x, sigma) in zip(steps, calls, strict=True):
        assert torch.equal(step.x0_hat, nonlinear_denoiser(x, sigma))
    for step, (x, _) in zip(steps, calls[1:], strict=False):
        assert torch.equal(step.x, x)


def test_one_step_is_the_four_term_sum():
    """Slide 11: c.x0 x0_hat + c.xt x + c.y y + c.noise z, cast to the dtype of x at the end."""
    generator = torch.Generator().manual_seed(0)
    x0_hat, x, y, z = torch.randn(4, 2, 3, generator=generator, dtype=torch.float64)
    c = StepCoefficients(*torch.rand(4, 3, generator=generator, dtype=torch.float64))
    want = c.x0 * x0_hat + c.xt * x + c.y * y + c.noise * z
    torch.testing.assert_close(combine(c, x0_hat, x, y, z), want, atol=0, rtol=10 * EPS)
    single = combine(c, *(part.float() for part in (x0_hat, x, y, z)))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), want, atol=1e-6, rtol=0)


@all_operators
def test_restore_is_the_last_step_of_the_sampler(op):
    """S18.1: the same numbers, bit for bit."""
    y, schedule = op(_images(op)), default_schedule()
    numbers = {"sigma_y": 0.13, "eta": 0.6, "eta_b": 0.7}
    *_, last = ddrm_samples(
        nonlinear_denoiser, op, y, schedule.sigmas(6), generator=_seeds(3), **numbers
    )
    x = restore(
        nonlinear_denoiser, op, y, steps=6, schedule=schedule, generator=_seeds(3), **numbers
    )
    assert torch.equal(x, last.x)


def test_defaults_are_those_of_the_paper():
    """Slide 24: 20 steps, eta = 0.85, eta_b = 1, linear schedule with T = 1000."""
    op = ALL_OPERATORS["tall matrix"]
    y = op(_images(op))
    got = restore(nonlinear_denoiser, op, y, sigma_y=0.1, generator=_seeds(3))
    levels = NoiseSchedule.linear(1000).sigmas(20)
    numbers = {"sigma_y": 0.1, "eta": 0.85, "eta_b": 1.0, "generator": _seeds(3)}
    *_, last = ddrm_samples(nonlinear_denoiser, op, y, levels, **numbers)
    assert torch.equal(got, last.x)


def test_schedule_is_the_denoisers_unless_another_is_asked_for():
    """X08: the levels must be those that the network knows."""
    op, seen = ALL_OPERATORS["tall matrix"], []

    class Recorder:
        schedule = NoiseSchedule.cosine(90)

        def __call__(self, x, sigma):
            seen.append(float(sigma))
            return 0.5 * x

    restore(Recorder(), op, op(_images(op)), sigma_y=0.1, steps=3)
    restore(Recorder(), op, op(_images(op)), sigma_y=0.1, steps=3, schedule=default_schedule())
    assert seen[:3] == NoiseSchedule.cosine(90).sigmas(3)[:-1].tolist()
    assert seen[3:] == default_schedule().sigmas(3)[:-1].tolist()


@all_operators
@pytest.mark.parametrize("eta_b", [1.0, "theorem", torch.tensor(0.7)])
def test_a_run_computes_nothing_twice(op, eta_b):
    """Of 5 steps: the start's table and that of all steps, a draw for each but the last, y once."""
    names = {
        "table": (ddrm_module, "ddrm_coefficients"),
        "draws of the start": (ddrm_module, "standard_normal"),
        "draws of the steps": (diffusion_module, "standard_normal"),
        "y": (ddrm_module, "require_batch"),
        "V, Vt, U, Ut": (base_module, "require_batch"),
    }
    with contextlib.ExitStack() as stack:
        calls = {
            what: stack.enter_context(mock.patch.object(*name, wraps=getattr(*name)))
            for what, name in names.items()
        }
        restore(lambda x, sigma: 0.5 * x, op, op(_images(op)), sigma_y=0.1, steps=5, eta_b=eta_b)
    counts = {what: call.call_count for what, call in calls.items()}
    assert counts == {
        "table": 2,
        "draws of the start": 1,
        "draws of the steps": 4,
        "y": 1,
        "V, Vt, U, Ut": 0,  # asked for a sentence only if the argument is refused
    }


@all_operators
def test_result_of_an_image_does_not_depend_on_its_batch(op):
    """One generator per image: alone, in a batch, or in another order, the image is the same."""
    x0 = _images(op, batch=4)
    y = op(x0) + 0.1
    numbers = {"sigma_y": 0.1, "steps": 5, "schedule": default_schedule()}
    whole = restore(nonlinear_denoiser, op, y, generator=_seeds(4), **numbers)
    for k in (0, 3):
        alone = restore(nonlinear_denoiser, op, y[k : k + 1], generator=_seeds(1, k), **numbers)
        torch.testing.assert_close(alone[0], whole[k], atol=1e-11, rtol=0)
    backwards = restore(nonlinear_denoiser, op, y.flip(0), generator=_seeds(4)[::-1], **numbers)
    torch.testing.assert_close(backwards.flip(0), whole, atol=1e-11, rtol=0)


@all_operators
def test_runs_in_float32_and_float64_agree_for_the_same_noise(op):
    """Precision changes the last digits of an image, and nothing else."""
    y = op(_images(op)) + 0.1
    smooth = lambda x, sigma: x / (1 + sigma**2)  # noqa: E731
    numbers = {"sigma_y": 0.1, "steps": 5, "schedule": default_schedule()}
    noise = torch.randn(5, len(y), op.n, generator=_seeds(1)[0], dtype=torch.float64)
    with known_noise(noise):
        double = restore(smooth, op, y, **numbers)
    with known_noise(noise):
        single = restore(smooth, op, y.float(), **numbers)
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    # The smallest singular value of these operators is 0.07, and it divides y.
    torch.testing.assert_close(single.double(), double, atol=1e-4, rtol=0)


def test_a_generator_gives_the_same_images_again_and_advances():
    """Reproducible draws; the next run of the same generator is another draw."""
    op = ALL_OPERATORS["inpainting"]
    y, generator = op(_images(op)), torch.Generator().manual_seed(5)
    numbers = {"sigma_y": 0.1, "steps": 3}
    first, second = (
        restore(nonlinear_denoiser, op, y, generator=generator, **numbers) for _ in range(2)
    )
    generator.manual_seed(5)
    again = restore(nonlinear_denoiser, op, y, generator=generator, **numbers)
    assert torch.equal(first, again)
    assert (first - second).abs().max() > 0.1


def test_without_a_generator_torchs_own_is_used():
    """torch.manual_seed reproduces a run."""
    op = ALL_OPERATORS["inpainting"]
    y = op(_images(op))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = restore(nonlinear_denoiser, op, y, sigma_y=0.1, steps=3)
        torch.manual_seed(1)
        again = restore(nonlinear_denoiser, op, y, sigma_y=0.1, steps=3)
    assert torch.equal(first, again)


@all_operators
def test_arguments_are_left_as_they_were(op):
    """y, the levels, s and the global random state."""
    y, levels = op(_images(op)), default_schedule().sigmas(4)
    before = (y.clone(), levels.clone(), op.s.clone(), torch.get_rng_state())
    list(ddrm_samples(nonlinear_denoiser, op, y, levels, sigma_y=0.1, generator=_seeds(3)))
    list(ddrm_samples(nonlinear_denoiser, op, y.float(), levels, sigma_y=0.1, generator=_seeds(3)))
    for got, want in zip((y, levels, op.s, torch.get_rng_state()), before, strict=True):
        assert got.dtype == want.dtype
        assert torch.equal(got, want)


def test_case_of_a_coordinate_does_not_depend_on_the_precision_of_y():
    """S11.2: sigma_y = s sigma exactly; s = 1 / sqrt(3) rounded to float32 would be case 2."""
    op, sigma = Colorization((3, 4, 4)), 0.7
    sigma_y = op.s.max().item() * sigma
    for dtype in (torch.float64, torch.float32):
        y = op(_images(op)).to(dtype)
        run = ddrm_samples(nonlinear_denoiser, op, y, [9.0, sigma, 0.0], sigma_y=sigma_y)
        torch.testing.assert_close(
            op(next(run).x), y, atol=1e-5, rtol=0
        )  # eta_b = 1: x = y, no noise


def test_run_has_the_dtype_of_y_whatever_the_denoiser_returns():
    """The run's dtype is that of y: a network in another precision does not change it."""
    op = ALL_OPERATORS["inpainting"]
    for dtype, other in ((torch.float32, torch.float64), (torch.float64, torch.float32)):
        y = op(_images(op)).to(dtype)
        run = ddrm_samples(
            lambda x, sigma, other=other: 0.5 * x.to(other), op, y, LEVELS, sigma_y=0.1
        )
        for step in run:
            assert (step.x.dtype, step.x0_hat.dtype) == (dtype, dtype)


def test_no_gradient_is_recorded():
    """A run of many steps through a trainable network keeps no graph."""
    op, weight = ALL_OPERATORS["inpainting"], torch.tensor(0.5, requires_grad=True)
    x = restore(lambda x, sigma: weight * x, op, op(_images(op)), sigma_y=0.1, steps=3)
    assert not x.requires_grad
    assert torch.is_grad_enabled()


def test_an_empty_batch_gives_an_empty_batch():
    """Zero images in, zero images out."""
    op = ALL_OPERATORS["super-resolution"]
    x = restore(nonlinear_denoiser, op, op(_images(op, batch=0)), sigma_y=0.1, steps=3)
    assert x.shape == (0, *op.in_shape)


def test_bad_eta_b_is_refused_by_the_call_itself():
    """The limit at the lowest level is known before the first network evaluation."""
    op = Denoising((2,))
    with pytest.raises(ValueError, match=r"eta_b must lie in \[0, 2\] at the level sigma = 0\.2"):
        ddrm_samples(
            nonlinear_denoiser, op, torch.zeros(1, 2), [5.0, 0.2, 0.0], sigma_y=0.1, eta_b=2.1
        )


def test_denoiser_that_returns_another_shape_is_refused():
    """The message states both shapes."""
    op = SuperResolution((1, 4, 4), 2)
    with pytest.raises(ValueError, match=r"\(2, 1, 4, 4\).*\(2, 2, 4, 4\)"):
        restore(lambda x, sigma: x.repeat(1, 2, 1, 1), op, torch.zeros(2, 1, 2, 2), sigma_y=0.1)


def test_noiseless_law_tends_to_the_posterior_at_a_lower_temperature():
    """G14: with finer levels N(E[x|y], tau Cov[x|y]), tau = (1 + sqrt(1 - eta^2)) / 2, not 1."""
    case, eta = CASES["noiseless"], 0.85
    y = case.H @ np.random.default_rng(1).standard_normal(5)
    prior = GaussianPrior(torch.as_tensor(case.mean), torch.as_tensor(case.cov))
    posterior = prior.posterior(Dense(case.H), torch.as_tensor(y)[None], sigma_y=0.0)
    mean, temperature = {}, {}
    for steps in (100, 1000):
        law = ddrm_law(case, NoiseSchedule.linear().sigmas(steps), eta, 1.0, only_last=True)
        mean[steps] = largest(law.offset + law.gain @ y - posterior.mean[0].numpy())
        temperature[steps] = np.trace(law.cov) / posterior.cov.trace().item()
    assert mean[1000] < mean[100] / 3
    assert temperature[1000] == pytest.approx((1 + math.sqrt(1 - eta**2)) / 2, abs=0.005)
    assert abs(temperature[1000] - temperature[100]) < 0.01
