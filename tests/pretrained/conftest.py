"""The two shipped networks, one after the other."""

from __future__ import annotations

import pytest

from ddrm_edu import load_denoiser


@pytest.fixture(scope="module", params=["natural", "fashion"])
def denoiser(request):
    return load_denoiser(request.param)
