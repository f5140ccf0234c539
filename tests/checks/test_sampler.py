"""check_sampler passes right samplers of every form and says in a sentence what it cannot test."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from ddrm_edu import (
    Denoising,
    Dense,
    Inpainting,
    SuperResolution,
    ddrm_coefficients,
    ddrm_samples,
    restore,
)
from ddrm_edu.checks import Report, check_sampler
from ddrm_edu.checks.calling import Subject
from ddrm_edu.checks.problems import generic_settings
from ddrm_edu.checks.tally import Chance
from ddrm_edu.ddrm import ddrm_start_coefficients
from ddrm_edu.diffusion import combine
from ddrm_edu.noise import standard_normal

FEW = 2000


def assert_holds(report: Report, *, not_asked: int = 0) -> None:
    assert report.ok, str(report)
    assert len(report.not_asked) == not_asked, str(report)


def first_failure(sampler, **options) -> str:
    report = check_sampler(sampler, draws=FEW, **options)
    assert report.failures, str(report)
    return str(report.failures[0])


# ------------------------------------------------------------- right samplers, in several forms


def literal_algorithm_2(denoiser, H, y, sigmas, sigma_y, eta, eta_b, generator):
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


def step_with_z(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z):
    c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
    return combine(c, x0_hat, x, y_spec, z)


def step_with_generator(
    xt_spec, x0_hat_spec, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, *, generator, note=""
):
    z = standard_normal(xt_spec, generator)
    c = ddrm_coefficients(s, sigma, sigma_next, sigma_y, eta=eta, eta_b=eta_b)
    return combine(c, x0_hat_spec, xt_spec, y_spec, z)


def step_with_global_noise(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b):
    z = torch.randn(x.shape, dtype=x.dtype)
    return step_with_z(x, x0_hat, y_spec, s, sigma, sigma_next, sigma_y, eta, eta_b, z)


def a_list_of_images(denoiser, op, y, sigmas, *, sigma_y, eta, eta_b):
    """No generator either: torch's global one is seeded."""
    numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b}
    return [step.x for step in ddrm_samples(denoiser, op, y, sigmas, **numbers)]


def in_float32(denoiser, op, y, sigmas, sigma_y, eta, eta_b, generator):
    numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b, "generator": generator}
    return ddrm_samples(denoiser, op, y.float(), sigmas, **numbers)


def positional_only(denoiser, op, y, sigmas, sigma_y, eta, eta_b, generator, /):
    numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b, "generator": generator}
    return ddrm_samples(denoiser, op, y, sigmas, **numbers)


def test_ddrm_samples_and_restore_hold_every_law_with_the_default_draws():
    """S10-S18: all fourteen laws are asked, and hold."""
    for sampler in (ddrm_samples, restore):
        report = check_sampler(sampler)
        assert_holds(report)
        assert len(report.laws) == 14
        assert report.title == f"Sampler {sampler.__name__}, N = 100,000"


@pytest.mark.parametrize(
    "sampler",
    [
        noise_drawn_in_pixels,
        step_with_z,
        step_with_generator,
        step_with_global_noise,
        a_list_of_images,
        in_float32,
        positional_only,
    ],
    ids=lambda sampler: sampler.__name__,
)
def test_a_right_sampler_passes_in_any_form(sampler):
    assert_holds(check_sampler(sampler, draws=FEW))


def test_a_literal_algorithm_2_passes_but_its_own_svd_cannot_be_asked_for_equality():
    """S18.1; s sigma_next == sigma_y is a matter of the last bit, which a computed s has not."""
    report = check_sampler(literal_algorithm_2, draws=FEW)
    assert_holds(report, not_asked=1)
    assert "boundary" in report.not_asked[0]


@pytest.mark.parametrize("seed", range(3))
def test_a_right_sampler_passes_with_any_seed(seed):
    assert_holds(check_sampler(ddrm_samples, draws=FEW, seed=seed))


@pytest.mark.parametrize(
    ("fixed", "not_asked"),
    [
        ({"eta": 1.0}, 0),
        ({"eta": 0.0}, 0),
        ({"eta_b": 1.0}, 0),
        ({"eta_b": 0.0}, 2),
        ({"eta": "tight", "eta_b": "theorem"}, 2),
        ({"sigma_y": 0.4}, 2),
        ({"sigma_y": 0.0, "eta_b": 1.0}, 2),
        ({"sigmas": [5.0, 2.0, 0.3, 0.0]}, 0),
        ({"sigmas": [2.0, 0.0]}, 2),
        ({"op": Denoising((1, 2, 3))}, 2),
        ({"op": Inpainting(torch.tensor([[[True, False], [False, True]]])), "eta": 0.85}, 1),
        ({"op": SuperResolution((3, 4, 2), 2), "sigma_y": 0.1}, 2),
        ({"op": Dense(torch.diag(torch.tensor([2.0, 0.5, 0.0])))}, 1),
    ],
    ids=str,
)
def test_what_the_caller_fixes_is_used_and_what_cannot_be_asked_is_told(fixed, not_asked):
    assert_holds(check_sampler(ddrm_samples, draws=FEW, **fixed), not_asked=not_asked)


def test_numbers_that_a_sampler_has_built_in_are_given_by_the_caller():
    op, levels = Denoising((1, 2, 2)), torch.tensor([3.0, 1.0, 0.2, 0.0])
    numbers = {"sigma_y": 0.3, "eta": 0.8, "eta_b": 0.9}
    built = lambda denoiser, y: ddrm_samples(denoiser, op, y, levels, **numbers)  # noqa: E731
    fixed = {"op": op, "sigmas": levels, **numbers}
    assert check_sampler(built, draws=FEW, **fixed).ok
    wrong = check_sampler(built, draws=FEW, **fixed | {"eta": 0.7})
    assert wrong.failures[0].name.startswith("step of case 2")
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
    fixed = dict.fromkeys(("op", "sigmas", "sigma_y", "eta", "eta_b"))
    settings = generic_settings(Subject(ddrm_samples), fixed, torch.Generator().manual_seed(0))
    shapes = [(setting.op.m, setting.op.n, setting.op.rank) for setting in settings]
    assert any(m < n for m, n, _ in shapes)
    assert any(m > n for m, n, _ in shapes)
    assert any(rank < min(m, n) for m, n, rank in shapes)
    assert {0, 0.6, 0.35} == {setting.eta for setting in settings}
    for setting in settings:
        cases = torch.stack([setting.case(k) for k in range(1, setting.T)])
        seen, starts = setting.s > 0, setting.coefficients[0].y > 0
        first = (cases == 1).any(0) | starts  # the start is case 1 as well
        assert (cases[:, ~seen] == 3).all()
        assert (cases[-1, seen] == 2).all()
        assert (first[seen] == (setting.spread_of_y()[seen] <= setting.sigmas[0])).all()
        factors = setting.op.matrix() - setting.op._U * setting.s @ setting.op._V.T
        assert factors.abs().max() < 1e-14 * setting.s.max()


def test_a_true_sampler_fails_as_often_as_is_claimed(monkeypatch):
    """At a level of 20 % for each of the five laws that judge by chance.

    20 reports have 100 chances.  If each fails with probability 0.2 or less, more than 37 failures
    have a probability below 1e-4 (binomial); if Bonferroni were idle and it were below 0.1, none
    at all would have one of 3e-5.
    """
    monkeypatch.setattr(Chance, "SHARE", 0.2)
    reports = [check_sampler(ddrm_samples, draws=1000, seed=seed) for seed in range(20)]
    failures = [law.name for report in reports for law in report.failures]
    assert 1 <= len(failures) <= 37, failures


# ---------------------------------------------------------------------------------- bad samplers


def test_unknown_parameters_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"asks for y_measured, noise_level.*denoiser.*lambda"):
        check_sampler(lambda denoiser, y_measured, noise_level: None)
    with pytest.raises(ValueError, match=r"The step asks for t, .*sigma_next"):
        check_sampler(lambda x, x0_hat, t: None)


def test_a_sampler_without_a_denoiser_cannot_be_observed():
    with pytest.raises(ValueError, match="observed through its denoiser"):
        check_sampler(lambda op, y, sigmas, sigma_y, eta, eta_b: y)


@pytest.mark.parametrize("missing", ["op", "sigmas", "sigma_y", "eta", "eta_b"])
def test_what_is_built_in_must_be_given(missing):
    names = [name for name in ("op", "sigmas", "sigma_y", "eta", "eta_b") if name != missing]
    sampler = eval(f"lambda denoiser, y, {', '.join(names)}: y")
    with pytest.raises(ValueError, match=rf"no parameter for {missing} .*{missing}=\.\.\."):
        check_sampler(sampler)


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="at least 1,000"):
        check_sampler(ddrm_samples, draws=999)


def test_an_eta_b_out_of_range_is_refused_before_any_run():
    with pytest.raises(ValueError, match="eta_b must"):
        check_sampler(ddrm_samples, eta_b=5.0)


def _broken(change):
    """ddrm_samples with something done to its arguments or its result."""

    def sampler(denoiser, op, y, sigmas, sigma_y, eta, eta_b, generator):
        numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b, "generator": generator}
        return change(
            lambda d=denoiser, to=y, levels=sigmas, **more: (
                list(ddrm_samples(d, op, to, levels, **numbers | more))[-1].x
            ),
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
    assert len(report.laws) == 1
    assert "all other laws" in str(report)
    assert str(report).endswith("0 of 1 laws hold.")


def test_a_sampler_that_raises_on_some_problems_alone_keeps_what_was_judged_before():
    def fragile(denoiser, op, y, sigmas, sigma_y, eta, eta_b, generator):
        if len(y) > 1000:
            raise MemoryError("too many images")
        numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b, "generator": generator}
        return ddrm_samples(denoiser, op, y, sigmas, **numbers)

    report = check_sampler(fragile, draws=FEW)
    assert [law.ok for law in report.laws] == [True, False]
    assert "it runs in every problem: on Factors" in str(report)
    assert "eta_b = 0.7 it raised MemoryError: too many images." in str(report)


def test_a_sampler_that_divides_by_sigma_y_fails_without_noise():
    def fragile(denoiser, op, y, sigmas, sigma_y, eta, eta_b, generator):
        _ = 1 / sigma_y
        numbers = {"sigma_y": sigma_y, "eta": eta, "eta_b": eta_b, "generator": generator}
        return ddrm_samples(denoiser, op, y, sigmas, **numbers)

    report = check_sampler(fragile, draws=FEW)
    assert [law.name.split(",")[0] for law in report.failures] == ["without noise"]
    assert "it raised ZeroDivisionError: float division by zero. Does it divide by sigma_y" in str(
        report
    )


def test_every_failure_is_a_sentence():
    """Wrong in many ways at once: each line says what was found, what was due, and what to do."""

    def careless(denoiser, op, y, sigmas, sigma_y, eta, eta_b, generator):
        x = standard_normal(op.measure_spec(y), generator)
        for sigma in sigmas[:-1]:
            x = 0.9 * x + 0.1 * denoiser(x, sigma) + op.pinv(y) + sigma
        return x

    report = check_sampler(careless, draws=FEW)
    assert len(report.failures) >= 8
    for law in report.failures:
        assert str(law).endswith((".", "?"))
        assert law.found
        assert "nan" not in str(law)
