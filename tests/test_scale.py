"""The scale of a measurement goes through H: what is right, what is 8 dB worse, what is noticed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddrm_edu import (
    BicubicSuperResolution,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    Dense,
    Inpainting,
    Kronecker,
    SeparableBlur,
    SuperResolution,
    from_symmetric,
    load_denoiser,
    load_images,
    psnr,
    restore,
    scale,
    to_symmetric,
)
from ddrm_edu.scale import warn_if_out_of_range

TAPS = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
SHAPE = (3, 8, 8)
OPERATORS = {
    "mask": lambda: Inpainting(torch.arange(64).reshape(8, 8) % 3 > 0, channels=3),
    "mean": lambda: SuperResolution(SHAPE, 2),
    "sum of channels": lambda: Colorization(SHAPE, (1.0, 2.0, -0.5)),
    "black border": lambda: SeparableBlur(SHAPE, TAPS),
    "brighter": lambda: CircularBlur(SHAPE, np.outer(TAPS, 3 * TAPS)),
    "compressed": lambda: CompressedSensing(SHAPE, 50, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (0, 65535), (-3.0, 0.5)])
@pytest.mark.parametrize("name", OPERATORS)
def test_the_scale_changes_through_h(name, low, high):
    """H of a picture in [low, high] becomes H of the same picture in [-1, 1], by its matrix."""
    op = OPERATORS[name]()
    x = np.random.default_rng(0).uniform(-1, 1, (2, op.n))
    v = (x + 1) / 2 * (high - low) + low
    H = op.matrix().numpy()
    y = torch.from_numpy(v @ H.T).reshape(2, *op.out_shape)
    want = torch.from_numpy(x @ H.T).reshape(y.shape)
    got = to_symmetric(y, op, low=low, high=high)
    assert torch.allclose(got, want, rtol=0, atol=1e-12)
    assert to_symmetric(y.float(), op, low=low, high=high).dtype == torch.float32


def test_of_a_picture_both_ways():
    v = torch.tensor([0.0, 51.0, 255.0], dtype=torch.float64)
    x = to_symmetric(v, high=255)
    assert torch.allclose(x, torch.tensor([-1.0, -0.6, 1.0], dtype=torch.float64))
    assert torch.allclose(from_symmetric(x, high=255), v)
    assert torch.allclose(from_symmetric(x, low=2, high=4), x + 3)


def test_a_natural_file_is_restored_and_the_wrong_scale_costs_8_db():
    """F2: a zero-padded blur in [0, 1] by scipy, changed through H, as 2 y - 1, and as it is."""
    x0 = load_images("natural")[:1]
    kernel, rng = np.outer(TAPS, TAPS), np.random.default_rng(0)
    x01 = (x0[0].numpy() + 1) / 2
    y01 = np.stack([scipy.signal.convolve2d(plane, kernel, mode="same") for plane in x01])
    y01 = torch.from_numpy(y01 + 0.01 * rng.normal(size=y01.shape)).float()[None]
    op = SeparableBlur((3, 32, 32), TAPS)
    scores = []
    for y in (to_symmetric(y01, op), 2 * y01 - op(torch.ones_like(x0)), 2 * y01 - 1, y01):
        generator = torch.Generator().manual_seed(0)
        x = restore(load_denoiser("natural"), op, y, sigma_y=0.02, generator=generator)
        scores.append(float(psnr(x, x0)))
    natural, by_hand, affine, unchanged = scores
    assert abs(natural - by_hand) <= 0.1
    assert natural >= 27  # measured 27.9
    assert max(affine, unchanged) <= natural - 8  # measured 15.4 and 10.6


# ------------------------------------------------------------------------------ what is noticed

LARGE = {
    "mask": lambda: Inpainting(torch.arange(1024).reshape(32, 32) % 3 > 0, channels=3),
    "mean": lambda: SuperResolution((3, 32, 32), 4),
    "bicubic": lambda: BicubicSuperResolution((3, 32, 32), 4),
    "sum of channels": lambda: Colorization((3, 32, 32), (1.0, 1.0, 1.0)),
    "black border": lambda: SeparableBlur((3, 32, 32), TAPS),
    "compressed": lambda: CompressedSensing(
        (3, 32, 32), 512, generator=torch.Generator().manual_seed(0)
    ),
}


def measured(op, sigma_y):
    generator = torch.Generator().manual_seed(1)
    y = op(load_images("natural")[:4].double())
    return y + sigma_y * torch.randn(y.shape, generator=generator, dtype=y.dtype)


@pytest.mark.parametrize("sigma_y", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("name", LARGE)
def test_a_measured_picture_gives_no_warning_and_bytes_do(name, sigma_y):
    op = LARGE[name]()
    y = measured(op, sigma_y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_out_of_range(op, y, sigma_y)
        warn_if_out_of_range(op, y[:0], sigma_y)
    ones = op(torch.ones(1, *op.in_shape, dtype=y.dtype))
    with pytest.warns(UserWarning, match=r"leaves the range.*\[0, 1\] or 0\.\.255.*to_symmetric"):
        warn_if_out_of_range(op, (y + ones) * 127.5, sigma_y)


def test_a_scale_that_was_not_changed_through_h_is_noticed_without_noise():
    """2 y - 1 in the place of 2 y - H 1, if H loses nothing; with noise it hides in that."""
    op = LARGE["black border"]()
    y = measured(op, 0.0)
    wrong = y + op(torch.ones(1, *op.in_shape, dtype=y.dtype)) - 1
    with pytest.warns(UserWarning, match="leaves the range"):
        warn_if_out_of_range(op, wrong, 0.0)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_no_picture_is_warned_of_whatever_h_loses(seed, m, n):
    """Black and white pixels are the extreme: H^+ H x leaves [-1, 1], by no more than is lost."""
    generator = torch.Generator().manual_seed(seed)
    op = Dense(torch.randn(m, n, generator=generator, dtype=torch.float64))
    x = torch.randn(5, n, generator=generator, dtype=torch.float64).sign()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_out_of_range(op, op(x), 0.0)


def test_columns_without_their_mean_may_leave_the_range():
    """Edges: H^+ y of a picture that is white but for one black row reaches 2 - 2 / 32 in it."""
    x = torch.ones(1, 1, 32, 32, dtype=torch.float64)
    x[..., 0, :] = -1
    op = Kronecker(torch.eye(32).double().diff(dim=0), torch.eye(32).double())
    assert op.pinv(op(x)).abs().max() > 1.9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_out_of_range(op, op(x), 0.0)


def test_noise_that_sigma_y_leaves_out_is_noticed_where_h_enlarges_it():
    op = LARGE["black border"]()
    with pytest.warns(UserWarning, match="rounding included"):
        warn_if_out_of_range(op, measured(op, 0.1), 0.01)


def test_restore_asks_it_of_networks_only():
    """A prior in closed form may live on any scale."""
    op = Denoising((1, 8, 8))
    y = torch.full((1, 1, 8, 8), 200.0)
    with pytest.warns(UserWarning, match="leaves the range"):
        restore(load_denoiser("fashion"), op, y, sigma_y=0.1, steps=1)
    restore(lambda x, sigma: x, op, y, sigma_y=0.1, steps=1)


def test_the_warning_tells_of_the_image_that_is_furthest_off():
    y = torch.stack([torch.zeros(1, 4, 4), torch.full((1, 4, 4), 1.5), torch.full((1, 4, 4), 1.2)])
    with pytest.warns(UserWarning, match=r"by 0\.5 .* sigma_y = 0\.1 explains 0\.1 of it"):
        warn_if_out_of_range(Denoising((1, 4, 4)), y, 0.1)


def test_a_tenth_and_half_as_much_again_as_the_noise_explains_are_allowed():
    op = Denoising((1, 4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_out_of_range(op, torch.full((1, 1, 4, 4), 1.09), 0.0)
        warn_if_out_of_range(
            op, torch.full((1, 1, 4, 4), 1.35), 0.3
        )  # the square of noise 1.4 times
    for far, sigma_y in ((0.11, 0.0), (0.45, 0.3)):
        with pytest.warns(UserWarning, match=rf"by {far:g} "):
            warn_if_out_of_range(op, torch.full((1, 1, 4, 4), 1 + far), sigma_y)


@pytest.mark.parametrize("place", [0, -1])
def test_what_leaves_the_range_is_seen_wherever_it_lies(monkeypatch, place):
    """Rows of 16 numbers, looked at one after the other; one of them is far out."""
    monkeypatch.setattr(scale, "AT_ONCE", 16)
    y = torch.zeros(1, 1, 16, 16)
    y[..., place, :] = 3.0  # by 2 in a sixteenth of it: a root mean square of 0.5
    with pytest.warns(UserWarning, match=r"by 0\.5 "):
        warn_if_out_of_range(Denoising((1, 16, 16)), y, 0.0)
