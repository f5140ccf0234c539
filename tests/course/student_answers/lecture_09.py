"""Answers to the exercises of lecture 09 as students give them."""

import math

import numpy as np
import torch

from ddrm_edu import BlockOperator, Colorization, Dense, SVDOperator


def largest_by_counting(side):
    r = 1
    while side**2 + (r + 1) ** 4 <= 2 * side**2:
        r += 1
    return r


def order(h, w, r):
    return torch.arange(h * w).reshape(h // r, r, w // r, r).swapaxes(1, 2).flatten()


def back_by_reshape(h, w, r):
    return torch.arange(h * w).reshape(h // r, w // r, r, r).transpose(1, 2).reshape(-1)


def back_by_a_loop(h, w, r):
    places = []
    for i in range(h):
        for j in range(w):
            patch = (i // r) * (w // r) + j // r
            places.append(patch * r * r + (i % r) * r + j % r)
    return places


def back_by_a_dictionary(h, w, r):
    listed = [
        (a * r + i, b * r + j)
        for a in range(h // r)
        for b in range(w // r)
        for i in range(r)
        for j in range(r)
    ]
    place = {pixel: k for k, pixel in enumerate(listed)}
    return np.array([[place[i, j] for j in range(w)] for i in range(h)], dtype=np.int32)


def back_by_scattering(h, w, r):
    inverse = torch.zeros(h * w, dtype=torch.int64)
    return inverse.scatter_(0, order(h, w, r), torch.arange(h * w))


class Mixed(SVDOperator):
    """M on the channels of every pixel."""

    def __init__(self, M, shape, *, kind=torch.float64, expanded=False):
        U, s, Vt = np.linalg.svd(np.asarray(M))
        self.small_u, self.small_v = (
            torch.from_numpy(U).to(kind),
            torch.from_numpy(Vt.T.copy()).to(kind),
        )
        self.in_shape, self.out_shape = tuple(shape), (len(M), *shape[1:])
        self.s = torch.tensor([*s] + [0.0] * (shape[0] - len(s))).double()[:, None, None]
        if expanded:
            self.s = self.s.expand(*shape)  # a view: nothing is stored

    def V(self, x):
        return (self.small_v.to(x) @ x.flatten(2)).reshape(x.shape)

    def Vt(self, x):
        return (self.small_v.T.to(x) @ x.flatten(2)).reshape(x.shape)

    def U(self, x):
        y = self.small_u.to(x) @ x[:, : len(self.small_u)].flatten(2)
        return y.reshape(len(x), *self.out_shape)

    def Ut(self, y):
        x = y.new_zeros(len(y), *self.in_shape)
        x[:, : len(self.small_u)] = torch.tensordot(y, self.small_u.to(y), ([1], [0])).movedim(
            -1, 1
        )
        return x


class ByEigenvectors(SVDOperator):
    """The same from the eigenvectors of M^T M; U = M V / s."""

    def __init__(self, M, shape):
        values, vectors = torch.linalg.eigh(M.T @ M)
        self.M, self.small = M, vectors.flip(1)
        self.in_shape, self.out_shape = tuple(shape), (len(M), *shape[1:])
        s = values.flip(0)[: len(M)].sqrt()
        self.left = M @ self.small[:, : len(M)] / s
        self.s = torch.zeros(shape[0], 1, 1).double()
        self.s[: len(M), 0, 0] = s

    def V(self, x):
        return torch.einsum("ij,bjhw->bihw", self.small.to(x), x)

    def Vt(self, x):
        return torch.einsum("ji,bjhw->bihw", self.small.to(x), x)

    def U(self, x):
        return torch.einsum("ij,bjhw->bihw", self.left.to(x), x[:, : len(self.M)])

    def Ut(self, y):
        x = torch.einsum("ji,bjhw->bihw", self.left.to(y), y)
        return torch.nn.functional.pad(x, (0, 0, 0, 0, 0, self.in_shape[0] - len(self.M)))


class Pixelwise(Mixed):
    """The channels moved to the end and back."""

    def V(self, x):
        return (x.movedim(1, -1) @ self.small_v.T.to(x)).movedim(-1, 1)

    def Vt(self, x):
        return (x.movedim(1, -1) @ self.small_v.to(x)).movedim(-1, 1)


class InALoop(Mixed):
    """Sums of channels, written out."""

    def V(self, x):
        v = self.small_v.to(x)
        rows = [sum(v[i, j] * x[:, j] for j in range(len(v))) for i in range(len(v))]
        return torch.stack(rows, 1)


class WithSigns(Mixed):
    """Each pair of singular vectors may be turned round."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        self.small_u, self.small_v = -self.small_u, self.small_v.clone()
        self.small_v[:, : len(M)] *= -1


class Lists(Mixed):
    """A few small matrices in a list are allowed."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        self.factors = [self.small_u.tolist(), self.small_v.tolist()]


class DenseInAList(Mixed):
    """Right, but a dense V hides in a list."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        self.mats = [torch.kron(self.small_v, torch.eye(shape[1] * shape[2]).double())]

    def V(self, x):
        return (x.flatten(1) @ self.mats[0].T.to(x)).reshape(x.shape)


class DenseInAClosure(Mixed):
    """Right, but a dense V hides in a function."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        large = np.kron(self.small_v.numpy(), np.eye(shape[1] * shape[2]))
        self.apply = lambda x: (x.flatten(1) @ torch.from_numpy(large).T.to(x)).reshape(x.shape)

    def V(self, x):
        return self.apply(x)


class RepeatedS(Mixed):
    """Right, but with a singular value for each number."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        self.s = self.s.repeat(1, *shape[1:])


class Thin(Mixed):
    """Without the null space."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        self.small_v = self.small_v.clone()
        self.small_v[:, len(M) :] = 0


class Exchanged(Mixed):
    """V and V^T exchanged."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        self.small_v = self.small_v.T.contiguous()


class SquaredS(Mixed):
    """With the eigenvalues of M M^T."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        self.s = self.s**2


class OtherU(Mixed):
    """With the transposed U."""

    def __init__(self, M, shape):
        super().__init__(M, shape)
        self.small_u = torch.diag(torch.ones(len(M))).double().flip(0)


def dense(M, shape):
    H = torch.kron(M, torch.eye(math.prod(shape[1:])).double())
    return Dense(H, shape, (len(M), *shape[1:]))


def dense_interleaved(M, shape):
    H = torch.kron(torch.eye(math.prod(shape[1:])).double(), M)
    return Dense(H, shape, (len(M), *shape[1:]))


RIGHT = {
    "09.1": [
        math.isqrt,
        largest_by_counting,
        lambda side: int(side**0.5),
        lambda side: np.floor(np.sqrt(side)),
        lambda side: torch.tensor(side).sqrt().long(),
        lambda side: max(r for r in range(1, side + 1) if r**4 <= side**2),
    ],
    "09.2": [
        back_by_reshape,
        lambda h, w, r: order(h, w, r).argsort(),
        back_by_a_loop,
        back_by_a_dictionary,
        back_by_scattering,
    ],
    "09.3": [
        Mixed,
        ByEigenvectors,
        Pixelwise,
        InALoop,
        WithSigns,
        Lists,
        lambda M, shape: Mixed(M, shape, expanded=True),
        lambda M, shape: Mixed(M.float(), shape),
        lambda M, shape: Mixed(M, shape, kind=torch.float32),
        lambda M, shape: Mixed(M.tolist(), list(shape)),
    ],
}
WRONG = {
    "09.1": [
        lambda side: side,
        lambda side: int(side**0.25),
        lambda side: int(side**0.5) - 1,
        lambda side: int((2 * side) ** 0.5),
        lambda side: round(side**0.5),
        lambda side: math.ceil(side**0.5),
        lambda side: math.sqrt(side),
        lambda side: side // 2,
        lambda side: int((2 * side**2) ** 0.25),
        lambda side: side**2,
    ],
    "09.2": [
        order,
        lambda h, w, r: np.arange(h * w),
        lambda h, w, r: (
            torch.arange(h * w).reshape(w // r, h // r, r, r).permute(1, 2, 0, 3).flatten()
        ),
        lambda h, w, r: back_by_reshape(h, w, r).reshape(h, w).T.flatten(),
        lambda h, w, r: (
            torch.arange(h * w).reshape(h // r, w // r, r, r).permute(0, 3, 1, 2).flatten()
        ),
        lambda h, w, r: order(h, w, r).flip(0),
        lambda h, w, r: back_by_reshape(h, w, r) + 1,
        lambda h, w, r: torch.eye(h * w)[order(h, w, r)],
        lambda h, w, r: order(h, w, r)[order(h, w, r)],
        lambda h, w, r: back_by_reshape(w, h, r),
        lambda h, w, r: list(reversed(range(h * w))),
    ],
    "09.3": [
        dense,
        dense_interleaved,
        Thin,
        Exchanged,
        DenseInAList,
        DenseInAClosure,
        RepeatedS,
        SquaredS,
        OtherU,
        lambda M, shape: BlockOperator(M, shape, patch=(shape[0], 1, 1)),  # s for every pixel
        lambda M, shape: M,
        lambda M, shape: Colorization(shape, M[0]),
        lambda M, shape: Mixed(M.abs(), shape),
    ],
}
