"""What the page "With other libraries" uses of deepinv 0.5.0, where deepinv is not installed.

Interfaces as documented there: ``physics.Blur(filter, padding).A / A_adjoint`` and
``physics.DecomposablePhysics(U, V_adjoint, U_adjoint, V, mask).A / A_adjoint / A_dagger``.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch.nn.functional import conv2d, conv_transpose2d


class Blur:
    def __init__(self, filter, padding="valid"):
        assert padding == "valid"
        self.filter = filter

    def _each_channel(self, apply, x):
        planes = x.reshape(-1, 1, *x.shape[-2:])
        blurred = apply(planes, self.filter.to(x))
        return blurred.reshape(*x.shape[:2], *blurred.shape[-2:])

    def A(self, x):
        return self._each_channel(conv2d, x)

    def A_adjoint(self, y):
        return self._each_channel(conv_transpose2d, y)


class DecomposablePhysics:
    def __init__(self, U=None, V_adjoint=None, U_adjoint=None, V=None, mask=1.0):
        self.U, self.V_adjoint, self.U_adjoint, self.V = U, V_adjoint, U_adjoint, V
        self.mask = mask

    def A(self, x):
        return self.U(self.mask * self.V_adjoint(x))

    def A_adjoint(self, y):
        return self.V(self.mask * self.U_adjoint(y))

    def A_dagger(self, y):
        inverse = torch.where(self.mask > 0, 1 / self.mask, 0.0)
        return self.V(inverse * self.U_adjoint(y))


def module() -> ModuleType:
    deepinv, physics = ModuleType("deepinv"), ModuleType("deepinv.physics")
    physics.Blur, physics.DecomposablePhysics = Blur, DecomposablePhysics
    deepinv.physics = physics
    return deepinv
