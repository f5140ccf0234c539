"""The noise schedule and the two dynamics (slides 3 and 19)."""

import json
import math
from dataclasses import FrozenInstanceError
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import exact_alpha_bar, jump_kernel_error, schedule_error

from ddrm_edu import GaussianPrior, Inpainting, NoiseSchedule, restore
from ddrm_edu.schedule import alpha_bar_of, decreasing_sigmas, sigma_of, to_ve, to_vp

GAP = json.loads((Path(__file__).parent / "data" / "gap_example.json").read_text())

SCHEDULES = {
    "linear": NoiseSchedule.linear(),
    "cosine": NoiseSchedule.cosine(),
    "linear, T = 37": NoiseSchedule.linear(37, 3e-3, 0.4),
    "one step": NoiseSchedule(torch.tensor([0.0, 0.3])),
}
EPS = torch.finfo(torch.float64).eps
schedules = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())

betas = st.lists(st.floats(1e-6, 0.9), min_size=1, max_size=40)


@schedules
def test_clean_image_is_level_zero_exactly(schedule):
    """S03.3, E20: alpha_bar_0 = 1 and sigma_0 = +0."""
    assert schedule.alpha_bar[0].item() == 1
    assert schedule.alpha[0].item() == 1
    assert schedule.beta[0].item() == 0
    assert math.copysign(1, schedule.sigma[0].item()) == 1
    assert schedule.sigma[0].item() == 0


@schedules
def test_arrays_are_float64_and_indexed_by_the_lectures_t(schedule):
    """S03.3: one entry for each t = 0..T."""
    for array in (schedule.beta, schedule.alpha, schedule.alpha_bar, schedule.sigma):
        assert array.dtype == torch.float64
        assert array.shape == (schedule.T + 1,)


@schedules
def test_alpha_bar_is_the_product_of_alpha(schedule):
    """S03.3: against 50-digit arithmetic; a sum of T logarithms of size <= 1 rounds by T eps."""
    bound = 4 * (schedule.T + 10) * EPS
    assert schedule_error(lambda beta: NoiseSchedule(beta).alpha_bar, schedule.beta) <= bound


@schedules
def test_sigma_keeps_all_digits_where_alpha_bar_is_near_one(schedule):
    """S19.1: sigma^2 = (1 - alpha_bar) / alpha_bar, relative to sigma and not to 1."""
    for t in {1, 2, schedule.T // 3, schedule.T} & set(range(1, schedule.T + 1)):
        alpha_bar = exact_alpha_bar(schedule.beta)[t]
        want = float(((1 - alpha_bar) / alpha_bar).sqrt())
        # t logarithms of one sign: the relative error of their sum is at most t eps.
        assert schedule.sigma[t].item() == pytest.approx(want, rel=4 * EPS * (t + 10), abs=0)


@given(betas)
def test_levels_grow_strictly_for_any_beta(beta):
    """S03.3: alpha_bar falls from 1 to above 0, sigma rises from 0."""
    schedule = NoiseSchedule(torch.tensor([0.0, *beta], dtype=torch.float64))
    assert (schedule.alpha_bar.diff() < 0).all()
    assert (schedule.alpha_bar > 0).all()
    assert (schedule.sigma.diff() > 0).all()


@given(betas)
def test_beta_is_recovered_from_the_levels(beta):
    """S19.1, E17: beta_t = (sigma_t^2 - sigma_{t-1}^2) / (1 + sigma_t^2)."""
    schedule = NoiseSchedule(torch.tensor([0.0, *beta], dtype=torch.float64))
    variance = schedule.sigma**2
    got = variance.diff() / (1 + variance[1:])
    # The variances are rounded relative to their own size, so beta is relative to at most 1.
    torch.testing.assert_close(got, schedule.beta[1:], atol=1e-13, rtol=0)


@schedules
def test_jump_to_level_t_is_t_small_steps(schedule):
    """S03.1, S03.2: q(x_t | x_0) of the chain is sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps."""
    jump = lambda x0, eps, sigma: to_vp(x0 + sigma * eps, sigma)  # noqa: E731
    assert jump_kernel_error(jump, schedule) <= 1e-12


@given(st.floats(1e-4, 1e3))
def test_level_conversions_undo_each_other(sigma):
    """S19.1: alpha_bar = 1 / (1 + sigma^2) and back; 1 - alpha_bar costs eps / sigma^2 digits."""
    back = sigma_of(alpha_bar_of(sigma))
    assert back == pytest.approx(sigma, rel=4e-16 * (3 + 1 / sigma**2), abs=0)


@given(st.floats(0, 1e3), st.integers(0, 2**31))
def test_ve_and_vp_images_undo_each_other(sigma, seed):
    """S19.1: x_VP = x_VE / sqrt(1 + sigma^2) and back."""
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(to_ve(to_vp(x, sigma), sigma), x, atol=0, rtol=1e-15)
    torch.testing.assert_close(to_vp(x, sigma) * math.hypot(1, sigma), x, atol=0, rtol=1e-15)


@schedules
def test_conversions_of_levels_agree_with_the_arrays(schedule):
    """S19.1: alpha_bar and sigma are two names of one level."""
    torch.testing.assert_close(alpha_bar_of(schedule.sigma), schedule.alpha_bar, atol=0, rtol=1e-12)


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("T", [1, 7, 100])
def test_every_number_of_steps_gives_distinct_levels_that_end_in_zero(T, spacing):
    """S17.3, E7: steps + 1 levels, strictly decreasing, the last an exact 0, for steps = 1..T."""
    schedule = NoiseSchedule.linear(T)
    for steps in range(1, T + 1):
        times, levels = schedule.timesteps(steps, spacing), schedule.sigmas(steps, spacing)
        assert levels.shape == (steps + 1,)
        assert levels.dtype == torch.float64
        assert levels[-1].item() == 0
        assert (levels.diff() < 0).all()
        assert torch.equal(levels[:-1], schedule.sigma[times])
        assert len(set(times)) == steps
        assert T >= times[0] > times[-1] >= 1 or T >= times[0] == times[-1] >= 1


@pytest.mark.parametrize("steps", [1, 3, 20, 999, 1000])
def test_leading_ends_at_one_and_trailing_starts_at_T(steps):
    """X08: the run's network sees t = 1 last, or t = T first."""
    schedule = NoiseSchedule.linear()
    assert schedule.timesteps(steps, "leading")[-1] == 1
    assert schedule.timesteps(steps, "trailing")[0] == schedule.T
    assert schedule.timesteps(steps) == schedule.timesteps(steps, "leading")


def test_all_steps_visit_all_levels():
    """X08: with steps = T both spacings are the whole schedule."""
    schedule = NoiseSchedule.cosine(50)
    assert schedule.timesteps(50, "leading") == list(range(50, 0, -1))
    assert schedule.timesteps(50, "trailing") == list(range(50, 0, -1))
    assert torch.equal(schedule.sigmas(50), schedule.sigma.flip(0))


@pytest.mark.parametrize("row", GAP["expected"], ids=lambda row: f"{row['steps']} steps")
def test_first_level_is_that_of_the_worked_example(row):
    """Section 4: gap_example.json, linear beta from 1e-4 to 0.02 in float64."""
    levels = NoiseSchedule.linear().sigmas(row["steps"])
    assert levels[0].item() == pytest.approx(row["sigma_max"], rel=1e-12, abs=0)


def test_linear_schedule_does_not_depend_on_the_default_dtype():
    """Arrays are float64 whatever torch's default is."""
    want = NoiseSchedule.linear(50).beta
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float16)
        got = NoiseSchedule.linear(50).beta
    finally:
        torch.set_default_dtype(before)
    assert torch.equal(got, want)


@schedules
def test_nearest_t_inverts_sigma(schedule):
    """X08: t(sigma_t) = t for every t, also from a float32 level."""
    assert [schedule.nearest_t(level) for level in schedule.sigma[1:]] == list(
        range(1, schedule.T + 1)
    )
    assert schedule.nearest_t(schedule.sigma[schedule.T].float()) == schedule.T


def test_nearest_t_takes_the_closer_neighbour():
    """X08: argmin of |sigma_t - sigma|; never t = 0, where there is nothing to predict."""
    schedule = NoiseSchedule.linear()
    low, high = schedule.sigma[400].item(), schedule.sigma[401].item()
    assert schedule.nearest_t(low + 0.49 * (high - low)) == 400
    assert schedule.nearest_t(low + 0.51 * (high - low)) == 401
    assert schedule.nearest_t(0.0) == 1
    assert schedule.nearest_t(1e9) == schedule.T


def test_cosine_schedule_is_a_squared_cosine_up_to_its_cut():
    """Nichol and Dhariwal, eq. 17: alpha_bar_t = f(t) / f(0) until beta is cut at 0.999."""
    T, offset = 1000, 0.008
    schedule = NoiseSchedule.cosine(T)
    f = [math.cos((t / T + offset) / (1 + offset) * math.pi / 2) ** 2 for t in range(T + 1)]
    for t in (1, 10, 500, 900, 998):
        assert schedule.alpha_bar[t].item() == pytest.approx(f[t] / f[0], rel=1e-11)
    assert schedule.beta[T].item() == 0.999


@pytest.mark.parametrize("steps", [1, 4, 17])
def test_restore_calls_the_denoiser_exactly_steps_times(steps):
    """S18.1: one network evaluation per step, at the levels of the schedule, from high to low."""
    prior, seen = GaussianPrior(torch.zeros(2), torch.eye(2)), []

    def counted(x, sigma):
        seen.append(float(sigma))
        return prior(x, sigma)

    op, y = Inpainting(torch.tensor([True, False])), torch.tensor([[0.4]])
    schedule = NoiseSchedule.cosine(60)
    restore(counted, op, y, sigma_y=0.2, steps=steps, schedule=schedule)
    assert seen == schedule.sigmas(steps)[:-1].tolist()


@pytest.mark.parametrize("steps", [0, 61, -3, 2.0, True])
def test_impossible_numbers_of_steps_are_refused(steps):
    """A run cannot visit more levels than there are; the message names the range."""
    with pytest.raises(ValueError, match="from 1 to T = 60"):
        NoiseSchedule.cosine(60).timesteps(steps)


def test_unknown_spacing_is_refused():
    """The message names the two that exist."""
    with pytest.raises(ValueError, match="'leading' or 'trailing'"):
        NoiseSchedule.cosine(60).timesteps(5, "linspace")


@pytest.mark.parametrize(
    "beta",
    [
        [0.1, 0.2],
        [0.0],
        [0.0, 1.0],
        [0.0, 1.2, 0.3],
        [0.0, 0.0],
        [0.0, -0.1],
        [0.0, math.nan],
        [[0.0, 0.1]],
        [[0.0], [0.3]],
    ],
)
def test_arrays_that_are_no_schedule_are_refused(beta):
    """S03.1: 0 < beta_t < 1 for t >= 1, and beta_0 = 0."""
    with pytest.raises(ValueError, match=r"beta\[0\] = 0"):
        NoiseSchedule(torch.tensor(beta))


@pytest.mark.parametrize("t", [1, 4, 7])
def test_the_wrong_entry_of_beta_is_named(t):
    """Not the head of the array; where beta = 1, that eps says nothing and v does."""
    beta = torch.linspace(0.1, 0.6, 8)
    beta[0], beta[t] = 0, 1.0
    with pytest.raises(ValueError, match=rf"beta\[{t}\] = 1,.*eps.*v does.*beta\[:{t}\]\.$"):
        NoiseSchedule(beta)
    beta[t] = 1.25
    with pytest.raises(ValueError, match=rf"beta\[{t}\] = 1\.25\.$"):
        NoiseSchedule(beta)


@schedules
def test_a_schedule_of_alphas_cumprod_has_these_levels(schedule):
    """S03.3: beta_t = 1 - alpha_bar_t / alpha_bar_{t-1}."""
    again = NoiseSchedule.from_alphas_cumprod(schedule.alpha_bar[1:])
    assert again.T == schedule.T
    assert torch.allclose(again.alpha_bar, schedule.alpha_bar, rtol=1e-12, atol=0)
    # A rounded alpha_bar has an error of eps, beside 1 - alpha_bar.
    bound = 4 * schedule.T * EPS / (1 - schedule.alpha_bar[1])
    assert torch.allclose(again.sigma, schedule.sigma, rtol=bound.item(), atol=0)


def test_an_infinite_last_level_is_dropped_and_told():
    """Zero terminal SNR: sigma_3 = sqrt(0.8 / 0.2) = 2 is the largest."""
    with pytest.warns(UserWarning, match=r"T = 4 .*sigma_3 = 2\.$") as told:
        schedule = NoiseSchedule.from_alphas_cumprod([0.9, 0.5, 0.2, 0.0])
    assert told[0].filename == __file__
    assert torch.allclose(schedule.alpha_bar, torch.tensor([1, 0.9, 0.5, 0.2]).double())


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([1.0, 0.5], "Entry 0 does not"),
        ([0.9, 0.5, 0.5], "Entry 2 does not"),
        ([0.9, 0.0, 0.5], "Entry 1 does not"),
        ([0.9, 0.0, 0.0], "Entry 1 does not"),
        ([0.9, -0.1], "Entry 1 does not"),
        ([0.9, math.nan, 0.1], "Entry 1 does not"),
        ([0.0], "Entry 0 does not"),
        ([], r"shape \(0,\)"),
        ([[0.9, 0.5]], r"shape \(1, 2\)"),
        (0.5, r"shape \(\)"),
    ],
)
def test_alphas_cumprod_that_are_no_levels_are_refused(levels, words):
    with pytest.raises(ValueError, match=rf"decrease strictly.*{words}"):
        NoiseSchedule.from_alphas_cumprod(levels)


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([0.0, 1.0, 2.0], "end in exactly 0"),
        ([2.0, 1.0, 1e-3], "end in exactly 0"),
        ([2.0, 2.0, 0.0], "strictly decreasing"),
        ([1.0, 2.0, 0.0], "strictly decreasing"),
        ([math.inf, 1.0, 0.0], "finite"),
        ([math.nan, 1.0, 0.0], "finite"),
        ([1.0, -1.0, 0.0], "strictly decreasing"),
        ([0.0], "at least two"),
        ([[1.0, 0.0]], "at least two"),
    ],
)
def test_levels_that_no_sampler_can_follow_are_refused(levels, words):
    """S17.3, E7: finite, strictly decreasing, ending in an exact 0."""
    with pytest.raises(ValueError, match=words):
        decreasing_sigmas(levels)


def test_a_schedule_cannot_be_changed_and_is_equal_to_itself_only():
    """Arrays have no single truth value, so two schedules are compared by what they are made of."""
    one, same = (NoiseSchedule(torch.tensor([0.0, 0.3, 0.2])) for _ in range(2))
    with pytest.raises(FrozenInstanceError):
        one.beta = torch.zeros(3)
    assert one != same
    assert len({one, same, one}) == 2


def test_a_schedule_lives_on_the_cpu_whatever_the_default_device():
    """Levels are numbers of the run, not images; the meta device stands for any other."""
    with torch.device("meta"):
        schedule = NoiseSchedule([0.0, 0.3])
    assert schedule.beta.device.type == "cpu"


@schedules
def test_alpha_is_what_beta_leaves(schedule):
    """S03.1: alpha_t = 1 - beta_t, entry by entry."""
    assert schedule.alpha.tolist() == [1 - beta for beta in schedule.beta.tolist()]


@schedules
def test_beta_tilde_is_bayes_rule_for_two_steps(schedule):
    """S05.3: the precisions of x_{t-1} given x_0 and of x_t given x_{t-1} add up."""
    assert schedule.beta_tilde.shape == schedule.beta.shape
    assert schedule.beta_tilde[:2].tolist() == [0.0, 0.0]
    exact = exact_alpha_bar(schedule.beta)
    for t in {2, 3, schedule.T // 2, schedule.T} & set(range(2, schedule.T + 1)):
        beta = float(schedule.beta[t])
        want = 1 / ((1 - beta) / beta + 1 / float(1 - exact[t - 1]))
        # Two sums of t logarithms of one sign, relative to their size.
        assert schedule.beta_tilde[t].item() == pytest.approx(want, rel=8 * EPS * (t + 10), abs=0)


@pytest.mark.parametrize("steps", [3, 7, 9])
def test_times_are_whole_numbers_rounded_as_the_spacing_says(steps):
    """X08: 1 + floor(j T / steps) and ceil((j + 1) T / steps), where T / steps is no integer."""
    schedule, j = NoiseSchedule.linear(100), range(steps)[::-1]
    leading, trailing = (schedule.timesteps(steps, name) for name in ("leading", "trailing"))
    assert leading == [1 + math.floor(Fraction(100 * i, steps)) for i in j]
    assert trailing == [math.ceil(Fraction(100 * (i + 1), steps)) for i in j]
    assert all(isinstance(t, int) for t in leading + trailing)


@pytest.mark.parametrize("spacing", ["", "lead", "trail", "zigzag"])
def test_only_the_two_spacings_are_known(spacing):
    """Names before, between and after the two in the alphabet."""
    with pytest.raises(ValueError, match="'leading' or 'trailing'"):
        NoiseSchedule.cosine(60).timesteps(5, spacing)


def test_a_cosine_schedule_has_a_thousand_steps_by_default():
    """Nichol and Dhariwal: T = 1000."""
    assert NoiseSchedule.cosine().T == 1000


def test_levels_must_be_a_list_and_not_a_table():
    """A table of several rows has no order of levels."""
    with pytest.raises(ValueError, match="at least two"):
        decreasing_sigmas([[2.0, 1.0], [0.0, 0.0]])


def test_levels_live_on_the_cpu_whatever_the_default_device():
    """As for schedules; the meta device stands for any other."""
    with torch.device("meta"):
        levels = decreasing_sigmas([0.3, 0.0])
    assert levels.device.type == "cpu"


def test_a_schedule_of_levels_has_these_levels_to_the_last_bit():
    """S19.1."""
    levels = torch.tensor([157.4, 20.0, 1e-3, 1e-5, 0.0], dtype=torch.float64)
    schedule = NoiseSchedule.from_sigmas(levels)
    assert torch.equal(schedule.sigmas(4), levels)
    again = NoiseSchedule(schedule.beta)  # what its beta alone says
    assert torch.allclose(again.sigma, levels.flip(0), rtol=1e-11, atol=0)


@pytest.mark.parametrize("kind", [torch.DoubleTensor, np.array], ids=["tensor", "numpy"])
def test_a_schedule_and_its_levels_do_not_follow_later_edits(kind):
    """Arrays of float64, whose memory could have been shared."""
    beta, sigmas = kind([0.0, 0.3, 0.2]), kind([0.9, 0.4, 0.0])
    schedule, levels = NoiseSchedule(beta), decreasing_sigmas(sigmas)
    beta[1:], sigmas[:] = 0.7, 0.0
    assert torch.allclose(schedule.beta, torch.tensor([0.0, 0.3, 0.2]).double())
    assert torch.allclose(levels, torch.tensor([0.9, 0.4, 0.0]).double())
