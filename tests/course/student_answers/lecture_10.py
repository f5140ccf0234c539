"""Answers to the exercises of lecture 10 as students give them."""

import math

import numpy as np
import torch

from ddrm_edu import (
    BlockOperator,
    ChangeOfBasis,
    Colorization,
    Dense,
    PatchFunctional,
    SuperResolution,
    SVDOperator,
    as_operator,
)

GREY = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)


def camera(weights=GREY, height=2, width=4, total=8, kind=torch.float64):
    k = torch.as_tensor(weights)[:, None, None].expand(3, height, width) / total
    return lambda in_shape: PatchFunctional(in_shape, k.to(kind))


def by_a_loop(in_shape):
    k = np.zeros((3, 2, 4), dtype=np.float32)
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        k[channel] = weight / 8
    return PatchFunctional(in_shape, k)


def by_lists(in_shape):
    return PatchFunctional(in_shape, [[[w / 8] * 4] * 2 for w in (0.299, 0.587, 0.114)])


def by_one_row(in_shape):
    return BlockOperator(GREY.repeat_interleave(8)[None] / 8, in_shape, patch=(3, 2, 4))


def measured(x):
    grey = (GREY.to(x) * x.movedim(1, -1)).sum(-1, keepdim=True).movedim(-1, 1)
    return torch.nn.functional.avg_pool2d(grey, (2, 4))


def by_a_function(in_shape):
    return as_operator(measured, in_shape, (1, in_shape[1] // 2, in_shape[2] // 4))


def by_a_matrix(in_shape):
    _, h, w = in_shape
    rows, columns = (np.kron(np.eye(n // k), np.full((1, k), 1 / k)) for n, k in ((h, 2), (w, 4)))
    H = np.kron(GREY.numpy()[None], np.kron(rows, columns))
    return Dense(H, in_shape)  # y as a vector


def by_a_convolution(in_shape):
    k = GREY[None, :, None, None].expand(1, 3, 2, 4) / 8
    shape = (1, in_shape[1] // 2, in_shape[2] // 4)
    act = lambda x: torch.nn.functional.conv2d(x, k.to(x), stride=(2, 4))  # noqa: E731
    return as_operator(act, in_shape, shape)


def by_an_outer_product(in_shape):
    k = torch.einsum("c,i,j->cij", GREY, torch.full((2,), 1 / 2), torch.full((4,), 1 / 4))
    return PatchFunctional(in_shape, k) if k.is_floating_point() else None


class Own(SVDOperator):
    """A reflection of every patch, written by hand."""

    def __init__(self, in_shape):
        self.in_shape, (_, h, w) = tuple(in_shape), in_shape
        self.out_shape = (1, h // 2, w // 4)
        k = GREY.repeat_interleave(8) / 8
        v = k / k.norm() - torch.eye(24)[0].double()
        self.turn = torch.eye(24).double() - 2 * torch.outer(v, v) / (v @ v)
        s = torch.zeros(24, h // 2, w // 4).double()
        s[0] = k.norm()
        self.s = self.image(s[None])[0]

    def patches(self, x):
        b, _, h, w = x.shape
        x = x.reshape(b, 3, h // 2, 2, w // 4, 4).permute(0, 1, 3, 5, 2, 4)
        return x.reshape(b, 24, h // 2, w // 4)

    def image(self, p):
        b, _, h, w = p.shape
        return p.reshape(b, 3, 2, 4, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, 3, 2 * h, 4 * w)

    def V(self, x):
        return self.image(torch.einsum("ij,bjhw->bihw", self.turn.to(x), self.patches(x)))

    Vt = V

    def U(self, x):
        return self.patches(x)[:, :1].clone()

    def Ut(self, y):
        zeros = y.new_zeros(len(y), 23, *y.shape[2:])
        return self.image(torch.cat([y, zeros], 1))


def rms(r):
    return r.square().mean().sqrt()


def choose(key):
    def answer(y, op, restored, candidates):
        return min(candidates, key=lambda sigma: key(y - op(restored(sigma)), sigma))

    return answer


def choose_by_a_loop(y, op, restored, candidates):
    best, smallest = None, math.inf
    for sigma in candidates:
        r = (y - op(restored(sigma))).flatten().tolist()
        ratio = math.sqrt(sum(one**2 for one in r) / len(r)) / sigma
        worse = max(ratio, 1 / ratio)
        if worse < smallest:
            best, smallest = sigma, worse
    return best


def choose_in_numpy(y, op, restored, candidates):
    residuals = [np.asarray(y - op(restored(sigma))) for sigma in candidates]
    size = np.array([np.sqrt(np.mean(r**2)) for r in residuals])
    return candidates[np.argmin(np.abs(np.log(size) - np.log(candidates)))]


def choose_in_torch(y, op, restored, candidates):
    sigmas = torch.tensor(candidates)
    sizes = torch.stack([(y - op(restored(s))).norm() / y.numel() ** 0.5 for s in sigmas])
    return sigmas[(sizes / sigmas).log().abs().argmin()]


def crossing(y, op, restored, candidates):
    for sigma in sorted(candidates):
        if rms(y - op(restored(sigma))) <= sigma:
            return sigma
    return max(candidates)


def last_above(y, op, restored, candidates):
    above = [sigma for sigma in candidates if rms(y - op(restored(sigma))) >= sigma]
    return max(above, default=min(candidates))


RIGHT = {
    "10.1": [
        lambda v, k: v * (1 + 1 / k),
        lambda v, k: v + k * (v / k**2),
        lambda v, k: v * (k + 1) / k,
        lambda v, k: np.array([1] + [-1 / k] * k) @ np.array([1] + [-1 / k] * k) * v,
        lambda v, k: torch.var(torch.tensor([0.0, (2 * v * (1 + 1 / k)) ** 0.5]).double()),
    ],
    "10.2": [
        camera(),
        by_a_loop,
        by_lists,
        by_one_row,
        by_a_function,
        by_a_matrix,
        by_a_convolution,
        by_an_outer_product,
        camera(kind=torch.float32),
        Own,
    ],
    "10.3": [
        choose(lambda r, sigma: abs(math.log(rms(r) / sigma))),
        choose_by_a_loop,
        choose_in_numpy,
        choose_in_torch,
        choose(lambda r, sigma: (r.square().mean() / sigma**2).log().square()),
    ],
}
WRONG = {
    "10.1": [
        lambda v, k: v / k,
        lambda v, k: 2 * v,
        lambda v, k: v - v / k,
        lambda v, k: v + k * v,
        lambda v, k: v * (1 + 1 / math.sqrt(k)),
        lambda v, k: v,
        lambda v, k: math.sqrt(v * (1 + 1 / k)),
        lambda v, k: v * (1 + 1 / k**2),
        lambda v, k: v * (1 + 1 / (k - 1)) if k > 1 else 2 * v,
        lambda v, k: v**2 * (1 + 1 / k),
    ],
    "10.2": [
        camera(total=1),
        camera(weights=torch.full((3,), 1 / 3)),
        camera(height=4, width=2),
        camera(weights=GREY.flip(0)),
        camera(total=24),
        lambda in_shape: Colorization(in_shape, GREY),
        lambda in_shape: SuperResolution(in_shape, 2),
        camera(weights=[0.299, 0.587, 0.144]),
        lambda in_shape: measured,
        camera(total=2 * 2),
        lambda in_shape: ChangeOfBasis,
    ],
    "10.3": [
        choose(lambda r, sigma: rms(r)),
        choose(lambda r, sigma: abs(rms(r) - sigma)),
        choose(lambda r, sigma: abs(rms(r) / sigma - 1)),
        crossing,
        choose(lambda r, sigma: abs(math.log(r.abs().mean() / sigma))),
        choose(lambda r, sigma: abs(math.log(r.norm() / sigma))),
        choose(lambda r, sigma: abs(math.log(r.square().mean() / sigma))),
        lambda y, op, restored, candidates: 0.2,
        last_above,
        lambda y, op, restored, candidates: sorted(candidates)[len(candidates) // 2],
        choose(lambda r, sigma: abs(math.log(r.std() / sigma))),
        choose(lambda r, sigma: math.log(rms(r) / sigma)),
        lambda y, op, restored, candidates: rms(y - op(restored(candidates[0]))),
    ],
}
