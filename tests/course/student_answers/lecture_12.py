"""Answers to the exercises of lecture 12 as students give them."""

import cmath
import math

import numpy as np
import torch

from ddrm_edu import (
    BlockOperator,
    CircularBlur,
    Dense,
    Kronecker,
    PatchFunctional,
    SVDOperator,
    as_operator,
)


def by_the_transform(a, b, k, n):
    kernel = np.zeros(n)
    kernel[0], kernel[1] = a, b
    return np.abs(np.fft.fft(kernel))[k]


def by_torch(a, b, k, n):
    kernel = torch.zeros(n)
    kernel[0], kernel[1] = a, b
    return torch.fft.fft(kernel)[k].abs()


def by_the_gram_matrix(a, b, k, n):
    H = a * np.eye(n) + b * np.eye(n, k=-1)
    H[0, n - 1] += b
    wave = np.exp(2j * np.pi * np.arange(n) * k / n) / np.sqrt(n)
    return np.linalg.norm(H @ wave)


def differences(x):
    return x.roll(-1, -1) - x


def pair(n):
    return np.roll(np.eye(n), 1, axis=1) - np.eye(n)


def edges_by_the_spectrum(shape):
    blur = CircularBlur(shape, [[1.0, -1.0, 0.0]])
    assert isinstance(blur, SVDOperator)
    return blur


def edges_by_indices(shape):
    c, h, w = shape
    H = torch.zeros(c * h * w, c * h * w)
    places = torch.arange(c * h * w).reshape(shape)
    H[places.flatten(), places.flatten()] -= 1
    H[places.flatten(), places.roll(-1, 2).flatten()] += 1
    return Dense(H, shape, shape)


def kernel(taps=(0, 1, 1, 2), own=0.7, other=0.1, kind=torch.float64):
    K = torch.zeros(4, 3, 4, dtype=kind)
    for place, colour in enumerate(taps):
        K[place, colour] = other
        K[place, colour, place] = own
    return K.reshape(4, 12)


def sensor(K):
    return lambda shape: BlockOperator(K, shape, patch=(3, 2, 2))


def kernel_by_kron():
    colours = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    cross = 0.6 * np.eye(4) + 0.1
    return (colours[:, :, None] * cross[:, None, :]).reshape(4, 12)


def kernel_by_rows():
    K = []
    for row, (p, c) in enumerate([(0, 0), (1, 1), (2, 1), (3, 2)]):
        assert row == p
        K.append([(0.7 if q == p else 0.1) if d == c else 0.0 for d in range(3) for q in range(4)])
    return K


def seen(x):
    own = x.new_zeros(len(x), 4, x.shape[2] // 2, x.shape[3] // 2)
    for place, colour in enumerate((0, 1, 1, 2)):
        i, j = divmod(place, 2)
        cell = 4 * torch.nn.functional.avg_pool2d(x[:, [colour]], 2)[:, 0]
        own[:, place] = 0.6 * x[:, colour, i::2, j::2] + 0.1 * cell
    return own


def convolved(x):
    k = kernel().reshape(4, 3, 2, 2).to(x)
    return torch.nn.functional.conv2d(x, k, stride=2)


def out(shape):
    return 4, shape[1] // 2, shape[2] // 2


def matrix(shape):
    return torch.stack(
        [seen(e.reshape(1, *shape)).flatten() for e in torch.eye(math.prod(shape))], 1
    )


class Bayer(BlockOperator):
    def __init__(self, shape):
        super().__init__(kernel(), shape, (3, 2, 2))


RIGHT = {
    "12.1": [
        lambda a, b, k, n: abs(a + b * cmath.exp(-2j * math.pi * k / n)),
        lambda a, b, k, n: max(a**2 + b**2 + 2 * a * b * math.cos(2 * math.pi * k / n), 0) ** 0.5,
        by_the_transform,
        by_torch,
        by_the_gram_matrix,
        lambda a, b, k, n: math.hypot(
            a + b * math.cos(2 * math.pi * k / n), b * math.sin(2 * math.pi * k / n)
        ),
    ],
    "12.2": [
        lambda shape: CircularBlur(shape, [[1.0, -1.0, 0.0]]),
        lambda shape: CircularBlur(shape, torch.tensor([[1, -1, 0]])),
        lambda shape: CircularBlur(shape, np.array([[0, 0, 0], [1, -1, 0], [0, 0, 0]])),
        lambda shape: CircularBlur(shape, [[0.0, 1.0, -1.0, 0.0, 0.0]]),
        lambda shape: as_operator(differences, shape, shape),
        lambda shape: Dense(np.kron(np.eye(shape[0] * shape[1]), pair(shape[2])), shape, shape),
        lambda shape: Kronecker(np.eye(shape[1]), pair(shape[2]), channels=shape[0]),
        edges_by_the_spectrum,
        edges_by_indices,
        lambda shape: as_operator(
            lambda x: torch.cat([x[..., 1:], x[..., :1]], -1) - x, shape, shape
        ),
    ],
    "12.3": [
        sensor(kernel()),
        sensor(kernel(kind=torch.float32)),
        sensor(kernel_by_kron()),
        sensor(kernel_by_rows()),
        sensor(kernel().numpy().astype(np.float32)),
        lambda shape: as_operator(seen, shape, out(shape)),
        lambda shape: as_operator(convolved, shape, out(shape)),
        lambda shape: Dense(matrix(shape), shape, out(shape)),
        lambda shape: Dense(matrix(shape).double().numpy(), shape, out(shape)),
        Bayer,
    ],
}
WRONG = {
    "12.1": [
        lambda a, b, k, n: a**2 + b**2 + 2 * a * b * math.cos(2 * math.pi * k / n),
        lambda a, b, k, n: a + b * math.cos(2 * math.pi * k / n),
        lambda a, b, k, n: abs(a + b * cmath.exp(-1j * math.pi * k / n)),
        lambda a, b, k, n: abs(a - b * cmath.exp(-2j * math.pi * k / n)),
        lambda a, b, k, n: abs(a) + abs(b),
        lambda a, b, k, n: a + b * cmath.exp(-2j * math.pi * k / n),
        lambda a, b, k, n: abs(a + b * math.cos(2 * math.pi * k / n)),
        lambda a, b, k, n: math.sqrt(a**2 + b**2 + a * b * math.cos(2 * math.pi * k / n)),
        lambda a, b, k, n: math.sqrt(a**2 + b**2),
        lambda a, b, k, n: abs(a + b * cmath.exp(-2j * math.pi * (k + 1) / n)),
        lambda a, b, k, n: torch.abs(a + b),
    ],
    "12.2": [
        lambda shape: CircularBlur(shape, [[0.0, -1.0, 1.0]]),
        lambda shape: CircularBlur(shape, [[-1.0, 1.0]]),
        lambda shape: CircularBlur(shape, [[-1.0, 1.0, 0.0]]),
        lambda shape: CircularBlur(shape, [[1.0], [-1.0], [0.0]]),
        lambda shape: PatchFunctional(shape, [[[-1.0, 1.0]]]),
        lambda shape: as_operator(
            lambda x: torch.nn.functional.pad(x[..., 1:] - x[..., :-1], (0, 1)), shape, shape
        ),
        lambda shape: CircularBlur(shape, [[0.5, 0.0, -0.5]]),
        lambda shape: CircularBlur(shape, [[1.0, -2.0, 1.0]]),
        lambda shape: differences,
        lambda shape: pair(shape[2]),
        lambda shape: CircularBlur(shape, [[1.0, 1.0, 0.0]]),
    ],
    "12.3": [
        sensor(kernel(own=1.0, other=0.0)),
        sensor(kernel(taps=(2, 1, 1, 0))),
        sensor(kernel().reshape(4, 3, 4).transpose(1, 2).reshape(4, 12)),
        sensor(kernel(own=0.8)),
        lambda shape: Dense(matrix(shape), shape),
        sensor(kernel(taps=(1, 0, 2, 1))),
        sensor(kernel()[[0, 2, 1, 3]]),
        sensor(kernel()[[0, 1, 3]]),
        lambda shape: kernel(),
        sensor(kernel(other=0.0)),
        sensor(kernel(own=0.7, other=0.3)),
    ],
}
