"""check_sampler passes right samplers of every form and says in a sentence what it cannot test."""

from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch

from ddrm_edu import (
    Denoising,
    Dense,
    Inpainting,
    NoiseSchedule,
    SuperResolution,
    SVDOperator,
    ddrm_coefficients,
    ddrm_samples,
    restore,
)
from ddrm_edu.checks import Report, check_sampler, sampler_of, svd_of
from ddrm_edu.checks.runs import Factors, Runs, boundary_problem
from ddrm_edu.checks.scores import Chance
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.diffusion import combine
from ddrm_edu.noise import standard_normal

FEW = 2000
GENERIC, PAPER = {"eta": 0.6, "eta_b": 0.7}, {"eta": 0.85, "eta_b": 1.0}


def assert_holds(report: Report, *, not_asked: int = 0) -> None:
    assert report.ok, str(report)
    assert len(report.findings) - len(report.asked) == not_asked, str(report)


def first_failure(sampler, **options) -> str:
    report = check_sampler(sampler, draws=FEW, **options)
    assert report.failures, str(report)
    return str(report.failures[0])


# ------------------------------------------------------------- right samplers, in several forms


def literal_algorithm_2(H, y, denoiser, sigmas, sigma_y, eta, eta_b, generator):
    """Slide 18 read off in pixels, with an SVD of its own and a loop over coordinates."""
    n = H.shape[1]
    U, values, Vh = torch.linalg.svd(H)
    s = torch.zeros(n, dtype=H.dtype)
    s[: len(values)] = values * (values > 1e-10 * values.max())
    V, rest = Vh.T, math.sqrt(1 - eta**2)
    randn = lambda: torch.randn(len(y), generator=generator, dtype=y.dtype)  # noqa: E731
    columns, y_spec = [], []
    for i in range(n):
        y_spec.append(y @ U[:, i] / s[i] if s[i] > 0 else torch.zeros(len(y), dtype=y.dtype))
        if s[i] > 0 and sigmas[0] >= sigma_y / s[i]:
            variance = sigmas[0] ** 2 - sigma_y**2 / s[i] ** 2
            columns.append(y_spec[i] + variance.sqrt() * randn())
        else:
            columns.append(sigmas[0] * randn())
    x = torch.stack(columns, 1) @ V.T
    for t in reversed(range(len(sigmas) - 1)):
        above, level = sigmas[-2 - t], sigmas[-1 - t]
        theta = denoiser(x, above) @ V
        old, columns = x @ V, []
        for i in range(n):
            if s[i] == 0:
                mean = theta[:, i] + rest * level * (old[:, i] - theta[:, i]) / above
                std = eta * level
            elif level < sigma_y / s[i]:
                mean = theta[:, i] + rest * level * (y_spec[i] - theta[:, i]) / (sigma_y / s[i])
                std = eta * level
            else:
                mean = (1 - eta_b) * theta[:, i] + eta_b * y_spec[i]
                std = (level**2 - eta_b**2 * sigma_y**2 / s[i] ** 2).sqrt()
            columns.append(mean + std * randn())
        x = torch.stack(columns, 1) @ V.T
    return x


def noise_drawn_in_pixels(denoiser, op, y, sigmas, sigma_y, eta, eta_b, generator):
    """V z is as good as z, because V is orthogonal (S12.2)."""
    y_spec = op.measure_spec(y)
    draw = lambda: op.Vt(standard_normal(y_spec, generator))  # noqa: E731
    c = ddrm_start_coefficients(op.s, sigmas[0], sigma_y)
    x = combine(c, 0 * y_spec, 0 * y_spec, y_spec, draw())
    for pair in itertools.pairwise(sigmas):
        c = ddrm_coefficients(op.s, *pair, sigma_y, eta=eta, eta_b=eta_b)
        x = combine(c, op.Vt(denoiser(op.V(x), pair[0])), x, y_spec, draw())
    return op.V(x)


def right_step(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, generator):
    c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
    return combine(c, x0_hat, x, y_spec, standard_normal(x, generator))


def a_list_of_images(denoiser, op, y, *, generator, **known):
    """With the noise of torch's global generator."""
    torch.manual_seed(generator.initial_seed())
    return [step.x for step in ddrm_samples(denoiser, op, y, **known)]


def in_float32(denoiser, op, y, **known):
    return ddrm_samples(denoiser, op, y.float(), **known)


def positional_only(denoiser, op, y, /, sigmas, sigma_y, generator, eta, eta_b):
    numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b, "generator": generator}
    return ddrm_samples(denoiser, op, y, sigmas, **numbers)


def by_schedule(denoiser, op, y, *, sigmas, **known):
    return restore(
        denoiser, op, y, steps=len(sigmas) - 1, schedule=NoiseSchedule.from_sigmas(sigmas), **known
    )


def by_matrices(denoiser, op, y, *, sigmas, sigma_y, generator, eta, eta_b):
    return literal_algorithm_2(
        op.matrix(), y, denoiser, sigmas, sigma_y, eta=eta, eta_b=eta_b, generator=generator
    )


def test_ddrm_samples_holds_every_claim_with_the_default_draws():
    """S10-S18: all fourteen claims are asked, and hold."""
    report = check_sampler(ddrm_samples)
    assert_holds(report)
    assert len(report.findings) == 14
    assert report.title == "Sampler ddrm_samples, N = 100,000"


@pytest.mark.parametrize("rates", [GENERIC, PAPER], ids=["generic", "paper"])
@pytest.mark.parametrize(
    "sampler",
    [
        noise_drawn_in_pixels,
        a_list_of_images,
        in_float32,
        positional_only,
        by_schedule,
        by_matrices,
    ],
    ids=lambda sampler: sampler.__name__,
)
def test_a_right_sampler_passes_in_any_form(sampler, rates):
    report = check_sampler(functools.partial(sampler, **rates), draws=FEW, **rates)
    assert_holds(report, not_asked=int(rates["eta_b"] != 1))
    assert report.title == f"Sampler {sampler.__name__}, N = 2,000"


def test_a_right_step_becomes_a_right_sampler_of_the_same_name():
    sampler = sampler_of(functools.partial(right_step, **PAPER))
    report = check_sampler(sampler, draws=FEW)
    assert_holds(report)
    assert report.title == "Sampler right_step, N = 2,000"


def test_a_step_takes_place_in_the_loop_of_the_library():
    """Slide 18: bit for bit `ddrm_samples`, whose step it is."""
    op, levels = Dense([[1.0, 2.0, 0.5], [0.0, -1.0, 0.3]]), torch.tensor([9.0, 2.0, 0.5, 0.0])
    known = {"sigmas": levels.double(), "sigma_y": 0.2}
    y, denoiser = torch.tensor([[0.7, -0.4]], dtype=torch.float64), lambda x, sigma: 0.3 * x.tanh()
    mine = sampler_of(functools.partial(right_step, **GENERIC))
    x = mine(denoiser, op, y, **known, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    *_, last = ddrm_samples(denoiser, op, y, **known, generator=generator, **GENERIC)
    assert torch.equal(x, last.x)


@pytest.mark.parametrize("seed", range(3))
def test_a_right_sampler_passes_with_any_seed(seed):
    assert_holds(check_sampler(ddrm_samples, draws=FEW, seed=seed))


@pytest.mark.parametrize(
    ("fixed", "not_asked"),
    [
        ({"eta": 1.0}, 0),
        ({"eta": 0.0}, 0),
        ({"eta": 0.6, "eta_b": 0.7}, 1),
        ({"eta_b": 0.0}, 1),
        ({"eta": "tight", "eta_b": "theorem"}, 0),
        ({"sigma_y": 0.4}, 2),
        ({"sigma_y": 0.0}, 2),
        ({"sigmas": [5.0, 2.0, 0.3, 0.0]}, 0),
        ({"sigmas": [2.0, 0.0]}, 3),
        ({"op": Denoising((1, 2, 3))}, 3),
        ({"op": Inpainting(torch.tensor([[[True, False], [False, True]]])), "eta": 0.85}, 1),
        ({"op": SuperResolution((3, 4, 2), 2), "sigma_y": 0.1}, 2),
        ({"op": Dense(torch.diag(torch.tensor([2.0, 0.5, 0.0])))}, 1),
    ],
    ids=str,
)
def test_what_the_caller_fixes_is_used_and_what_cannot_be_asked_is_told(fixed, not_asked):
    rates = {name: fixed[name] for name in ("eta", "eta_b") if name in fixed}
    report = check_sampler(functools.partial(ddrm_samples, **rates), draws=FEW, **fixed)
    assert_holds(report, not_asked=not_asked)


def test_numbers_that_a_sampler_has_built_in_are_given_by_the_caller():
    op, levels = Denoising((1, 2, 2)), torch.tensor([3.0, 1.0, 0.2, 0.0])
    numbers = {"sigma_y": 0.3, "eta": 0.8, "eta_b": 0.9}
    built = lambda denoiser, _, y, **__: ddrm_samples(denoiser, op, y, levels, **numbers)  # noqa: E731
    found = first_failure(built, op=op, sigmas=levels, **numbers)
    assert "the same seed gave another result" in found
    assert "torch.manual_seed(generator.initial_seed())" in found
    built = lambda denoiser, _, y, *, generator, **__: ddrm_samples(  # noqa: E731
        denoiser, op, y, levels, **numbers, generator=generator
    )
    fixed = {"op": op, "sigmas": levels, **numbers}
    assert check_sampler(built, draws=FEW, **fixed).ok
    wrong = check_sampler(built, draws=FEW, **fixed | {"eta": 0.7})
    assert wrong.failures[0].name.startswith("step of case 2")
    assert wrong.failures[0].fix == "Or are other rates built in than eta = 0.7, eta_b = 0.9?"
    wrong = check_sampler(built, draws=FEW, **fixed | {"sigma_y": 0.35})
    assert wrong.failures[0].name.startswith("step of case 2")


def test_the_same_seed_gives_the_same_report_and_leaves_the_global_noise_alone():
    torch.manual_seed(5)
    one = check_sampler(a_list_of_images, draws=FEW, seed=3)
    after = torch.rand(1)
    assert str(check_sampler(a_list_of_images, draws=FEW, seed=3)) == str(one)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)


def test_the_printed_report_of_right_samplers_does_not_depend_on_the_draws():
    """Bounds are printed, not errors: a stored lecture cell is the same on every machine."""
    assert str(check_sampler(ddrm_samples, draws=FEW, seed=1)) == str(
        check_sampler(ddrm_samples, draws=FEW, seed=2)
    )


# -------------------------------------------------------------------------- the problems and levels


def test_the_generic_problems_pass_through_every_case():
    """Spread, repeated, tiny and zero s; wide, tall, deficient; each s > 0 ends in case 2."""
    problems = Runs(ddrm_samples, FEW, 0, GENERIC).problems
    shapes = [(problem.op.m, problem.op.n, problem.op.rank) for problem in problems]
    assert any(m < n for m, n, _ in shapes)
    assert any(m > n for m, n, _ in shapes)
    assert any(rank < min(m, n) for m, n, rank in shapes)
    for problem in problems:
        cases = torch.stack([problem.case(k) for k in range(1, problem.T)])
        seen, starts = problem.s > 0, problem.coefficients[0].y > 0
        first = (cases == 1).any(0) | starts  # the start is case 1 as well
        assert (cases[:, ~seen] == 3).all()
        assert (cases[-1, seen] == 2).all()
        spread = problem.sigma_y / problem.s[seen]
        assert (first[seen] == (spread <= problem.sigmas[0])).all()
        U, s, Vt = svd_of(problem.op)
        assert torch.equal(s, problem.op.s)
        assert (problem.op.matrix() - U * s @ Vt).abs().max() < 1e-14 * s.max()
        assert torch.equal(Vt.T, problem.op._V)


@pytest.mark.parametrize(
    ("fixed", "count"),
    [
        ({}, 3),
        ({"op": Denoising((4,))}, 3),
        ({"sigmas": torch.tensor([3.0, 1.0, 0.0])}, 3),
        ({"op": Denoising((4,)), "sigmas": torch.tensor([3.0, 1.0, 0.0])}, 1),
    ],
    ids=["nothing", "op", "sigmas", "both"],
)
def test_no_problem_is_posed_twice(fixed, count):
    """With operator and levels fixed the three generic problems are one."""
    problems = Runs(ddrm_samples, FEW, 0, PAPER, **fixed).problems
    assert len(problems) == count
    seen = {(problem.op, tuple(problem.sigmas.tolist()), problem.sigma_y) for problem in problems}
    assert len(seen) == count


def test_at_the_boundary_even_an_svd_of_ones_own_is_exact():
    """X04: else a right sampler could not be asked for equality."""
    problem, k = boundary_problem(Runs(ddrm_samples, FEW, 0, PAPER).problems[0])
    assert problem.s[0] * problem.sigmas[k] == problem.sigma_y
    values = torch.linalg.svdvals(problem.op.matrix())
    assert torch.equal(values, problem.s.sort(descending=True).values)


def test_factors_are_a_decomposition_with_zeros_anywhere():
    op = Factors([0, 1.5, 0, 0.2], 3, torch.Generator().manual_seed(0))
    U, s, Vt = svd_of(op)
    assert (U[:, s == 0] == 0).all()
    assert torch.allclose(torch.linalg.svdvals(op.matrix())[:2], torch.tensor([1.5, 0.2]).double())
    assert torch.allclose(Vt @ Vt.T, torch.eye(4).double(), atol=1e-14)


def test_a_true_sampler_fails_as_often_as_is_claimed(monkeypatch):
    """At a level of 20 % for each of the five findings that judge by chance.

    20 reports have 100 chances.  If each fails with probability 0.2 or less, more than 37 failures
    have a probability below 1e-4 (binomial); if Bonferroni were idle and it were below 0.1, none
    at all would have one of 3e-5.
    """
    monkeypatch.setattr(Chance, "SHARE", 0.2)
    reports = [check_sampler(ddrm_samples, draws=1000, seed=seed) for seed in range(20)]
    failures = [finding.name for report in reports for finding in report.failures]
    assert 1 <= len(failures) <= 37, failures


# ---------------------------------------------------------------------------------- bad samplers


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (lambda denoiser, H, noise_level: None, "unexpected keyword argument 'sigmas'"),
        (lambda denoiser, op, y: None, "unexpected keyword argument 'sigmas'"),
        (noise_drawn_in_pixels, "missing a required argument: 'eta'"),
        (lambda op, y, *, sigmas, sigma_y, generator: y, "too many positional arguments"),
        (restore, "unexpected keyword argument 'sigmas'"),
    ],
    ids=["foreign names", "no levels", "rates", "no denoiser", "restore"],
)
def test_what_cannot_be_called_is_refused_with_a_lambda_that_can(sampler, words):
    with pytest.raises(ValueError, match=words) as refused:
        check_sampler(sampler)
    sentence = str(refused.value)
    assert sentence.startswith("check_sampler calls sampler(denoiser, op, y, sigmas=..., sigma_y=")
    assert "lambda denoiser, op, y, *, sigmas, sigma_y, generator: mine(" in sentence
    assert "partial(mine, eta=0.6, eta_b=0.7), eta=0.6, eta_b=0.7)" in sentence
    for helper in (svd_of, NoiseSchedule.from_sigmas, sampler_of):
        assert helper.__name__ in sentence


def test_a_callable_without_a_signature_is_told_by_its_first_run():
    found = first_failure(max)
    assert "it runs" in found
    assert "it raised TypeError" in found


def test_the_lambda_of_the_refusal_can_be_called():
    def mine(H, y, denoiser, *, noise, levels, generator):
        return literal_algorithm_2(H, y, denoiser, levels, noise, 0.85, 1.0, generator)

    wrapped = lambda denoiser, op, y, *, sigmas, sigma_y, generator: mine(  # noqa: E731
        op.matrix(), y, denoiser, noise=sigma_y, levels=sigmas, generator=generator
    )
    assert_holds(check_sampler(wrapped, draws=FEW))


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="at least 1,000"):
        check_sampler(ddrm_samples, draws=999)


def test_an_eta_b_out_of_range_is_refused_before_any_run():
    with pytest.raises(ValueError, match="eta_b must"):
        check_sampler(_broken(_raise), eta_b=5.0)


def _broken(change):
    """ddrm_samples with something done to its arguments or its result."""

    def sampler(denoiser, op, y, **known):
        return change(
            lambda d=denoiser, **more: list(ddrm_samples(d, op, y, **known | more))[-1].x,
            denoiser,
            y,
        )

    return sampler


def _raise(run, denoiser, y):
    raise KeyError("pixels")


def _write(run, denoiser, y):
    x = run()
    y += 1
    return x


def _own_seed(run, denoiser, y):
    return run(generator=torch.Generator().manual_seed(1))


def _global_noise(run, denoiser, y):
    return run(generator=None)


def _one_by_one(run, denoiser, y):
    return run(lambda x, sigma: torch.cat([denoiser(image[None], sigma) for image in x]))


def _twice(run, denoiser, y):
    return run(lambda x, sigma: (denoiser(x, sigma) + denoiser(x, sigma)) / 2)


def _levels_of_a_batch(run, denoiser, y):
    return run(lambda x, sigma: denoiser(x, sigma * (1 + torch.arange(len(x)))))


BROKEN = {
    "raises": (_raise, "it raised KeyError: 'pixels'."),
    "writes into y": (_write, "it wrote into y."),
    "seeds itself": (_own_seed, "another seed gave the same result."),
    "ignores the generator": (_global_noise, "the same seed gave another result."),
    "one image at a time": (_one_by_one, "images of the whole batch were due"),
    "calls twice": (_twice, "calls found"),
    "several levels in a batch": (_levels_of_a_batch, "was at sigma = nan"),
    "returns nothing": (lambda run, denoiser, y: (run(), None)[1], "returned a NoneType"),
    "returns one image": (lambda run, denoiser, y: run()[0], "The sampler returned shape"),
    "returns NaN": (lambda run, denoiser, y: run() * math.nan, "NaN or infinite"),
    "returns integers": (lambda run, denoiser, y: run().long(), "floating-point"),
    "returns an empty list": (lambda run, denoiser, y: [], "The sampler returned a NoneType"),
}


@pytest.mark.parametrize(("change", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_sampler_is_told_what_is_broken(change, words):
    assert words in first_failure(_broken(change))


def test_after_a_run_that_fails_nothing_more_is_asked():
    report = check_sampler(_broken(_raise), draws=FEW)
    assert [finding.status for finding in report.findings] == ["broken", "not asked"]
    assert "--      all other claims: they need runs that end well." in str(report)
    assert str(report).endswith("0 of 1 claims hold.")


def test_with_other_calls_than_are_due_nothing_more_is_asked():
    report = check_sampler(_broken(_twice), draws=FEW)
    assert [finding.status for finding in report.findings] == ["holds", "broken", "not asked"]
    assert report.findings[-1].found == "with other calls the states are not known."


def test_a_sampler_that_raises_on_some_problems_alone_keeps_what_was_judged_before():
    def fragile(denoiser, op, y, **known):
        if len(y) > 1000:
            raise MemoryError("too many images")
        return ddrm_samples(denoiser, op, y, **known)

    report = check_sampler(fragile, draws=FEW)
    assert [finding.ok for finding in report.findings] == [True, False]
    assert "it runs in every problem: on Factors" in str(report)
    assert "eta = 0.85, eta_b = 1.0 it raised MemoryError: too many images." in str(report)


def test_a_sampler_that_divides_by_sigma_y_fails_without_noise():
    def fragile(denoiser, op, y, *, sigma_y, **known):
        _ = 1 / sigma_y
        return ddrm_samples(denoiser, op, y, sigma_y=sigma_y, **known)

    report = check_sampler(fragile, draws=FEW)
    assert [finding.name.split(",")[0] for finding in report.failures] == ["without noise"]
    assert "it raised ZeroDivisionError: float division by zero. Does it divide by sigma_y" in str(
        report
    )


def test_a_sampler_that_fails_at_the_boundary_alone_is_told_so():
    def fragile(denoiser, op, y, *, sigmas, sigma_y, **known):
        if (op.s[:, None] * sigmas == sigma_y).any() and sigma_y:
            raise ValueError("undecided")
        return ddrm_samples(denoiser, op, y, sigmas, sigma_y=sigma_y, **known)

    report = check_sampler(fragile, draws=FEW)
    assert [finding.name.split(":")[0] for finding in report.failures] == ["boundary"]
    assert "it raised ValueError: undecided." in report.failures[0].found


def test_what_the_sampler_does_to_the_image_that_it_has_shown_is_not_held_against_it():
    """The states are copies, also where V gives back the very tensor that it is given."""

    class Untouched(SVDOperator):
        in_shape = out_shape = (3,)
        s = torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)

        def V(self, x):
            return x

        Vt = V

        def U(self, x):
            return x * (self.s > 0)

        Ut = U

    def in_place(denoiser, op, y, **known):
        def shown(x, sigma):
            mine = x.clone()
            answer = denoiser(mine, sigma)
            mine.zero_()
            return answer

        return ddrm_samples(shown, op, y, **known)

    assert_holds(check_sampler(in_place, op=Untouched(), draws=FEW), not_asked=1)


def test_every_failure_is_a_sentence():
    """Wrong in many ways at once: each line says what was found, what was due, and what to do."""

    def careless(denoiser, op, y, *, sigmas, sigma_y, generator):
        x = standard_normal(op.measure_spec(y), generator)
        for sigma in sigmas[:-1]:
            x = 0.9 * x + 0.1 * denoiser(x, sigma) + op.pinv(y) + sigma
        return x

    report = check_sampler(careless, draws=FEW)
    assert len(report.failures) >= 8
    for finding in report.failures:
        assert str(finding).endswith((".", "?"))
        assert finding.found
        assert "nan" not in str(finding)


def test_the_worst_of_many_scores_is_the_one_that_is_told():
    """Noise a million times too small beside sound noise: told by its variance."""

    def quiet(x, x0_hat, y_spec, *, s, sigma, sigma_next, sigma_y, generator):
        c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, **PAPER)
        size = torch.where(torch.arange(len(s)) == 1, 1e-6, 1.0)
        return combine(c, x0_hat, x, y_spec, size * standard_normal(x, generator))

    failures = {f.name.split(":")[0]: f for f in check_sampler(sampler_of(quiet)).failures}
    for name in ("noise of a step", "marginals"):
        assert "coordinate 1" in failures[name].found
        assert ": variance" in failures[name].found
