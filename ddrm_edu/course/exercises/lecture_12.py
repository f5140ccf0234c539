"""Lecture 12: the spectrum of two taps, a camera of edges, a Bayer sensor with crosstalk."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question, tensor
from ddrm_edu.course.operator_cases import an_operator, examined
from ddrm_edu.operators import BlockOperator, CircularBlur, Dense, PatchFunctional


@question("12.1", "The spectrum of two taps", kind="paper", part="a", of="a, b, k, n")
@hints(
    "Put the wave x_j = exp(2 pi i j k / n) into H: it comes out multiplied by one number.",
    "That number is a + b exp(-2 pi i k / n), and the singular value is its modulus.",
    "|a + b e^(-i t)|^2 = (a + b cos t)^2 + (b sin t)^2 with t = 2 pi k / n. Multiply it out.",
)
@mistakes(
    lambda a, b, k, n: a**2 + b**2 + 2 * a * b * math.cos(2 * math.pi * k / n),
    "That is the eigenvalue of H^T H: take its root.",
    lambda a, b, k, n: a + b * math.cos(2 * math.pi * k / n),
    "That is the real part of the eigenvalue. The kernel is not symmetric, so there is an "
    "imaginary part, and the singular value is the modulus of both.",
    lambda a, b, k, n: math.sqrt(a**2 + b**2 + 2 * a * b * math.cos(math.pi * k / n)),
    "The wave of frequency k turns k times around the ring: the angle is 2 pi k / n.",
    lambda a, b, k, n: math.sqrt(a**2 + b**2 - 2 * a * b * math.cos(2 * math.pi * k / n)),
    "At frequency 0 the image is constant, and H multiplies it by a + b: check the sign.",
    lambda a, b, k, n: abs(a) + abs(b),
    "That is the largest value it could have; it depends on the frequency.",
    lambda a, b, k, n: abs(a + b * math.cos(2 * math.pi * k / n)),
    "The eigenvalue is complex: the modulus contains its imaginary part, b sin(2 pi k / n).",
    lambda a, b, k, n: math.hypot(a, b),
    "That is the length of a row. The two taps add up at frequency 0, to |a + b|.",
    lambda a, b, k, n: math.sqrt(a**2 + b**2 + a * b * math.cos(2 * math.pi * k / n)),
    "The mixed term of a square is 2 a b cos.",
)
def two_taps(answer: Answer) -> Cases:
    for a, b, n in ((1.0, 1.0, 4), (0.5, -0.5, 5), (0.75, 0.25, 6), (-0.3, 1.1, 7)):
        pixel = torch.eye(n, dtype=torch.float64)
        H = a * pixel + b * pixel.roll(-1, dims=1)
        for k in range(n):
            # A real wave of frequency k, whose image is as long as the singular value says.
            wave = tensor([math.cos(2 * math.pi * j * k / n) for j in range(n)])
            length = (H @ wave).norm() / wave.norm()
            yield f"a = {a:g}, b = {b:g}, n = {n}, k = {k}", answer(a, b, k, n), length


def _edges_matrix(shape: tuple[int, int, int]) -> Tensor:
    channels, height, width = shape
    pixel = torch.eye(width, dtype=torch.float64)
    return torch.kron(torch.eye(channels * height), pixel.roll(1, dims=1) - pixel)


def _without_last_column(shape: tuple[int, int, int]) -> Tensor:
    H = _edges_matrix(shape)
    H[shape[2] - 1 :: shape[2]] = 0.0
    return H


@question("12.2", "A camera that sees only edges", kind="code", part="a", of="shape")
@hints(
    "The same weights everywhere and a periodic image: this is a CircularBlur with two taps.",
    "The centre of a kernel is ((k - 1) // 2, (l - 1) // 2), and a convolution flips it: a tap to "
    "the left of the centre looks at the right neighbour.",
    "CircularBlur(shape, [[1.0, -1.0, 0.0]]): 1 at the right neighbour, -1 at the pixel.",
)
@mistakes(
    lambda shape: CircularBlur(shape, [[0.0, -1.0, 1.0]]),
    "This is the left neighbour minus the pixel. A convolution flips the kernel, and the first of "
    "two taps is the centre.",
    lambda shape: Dense(_without_last_column(shape), shape, shape),
    "The last column has a right neighbour, too: the first column, since the image is periodic.",
    lambda shape: CircularBlur(shape, [[-1.0, 1.0, 0.0]]),
    "The sign: the pixel itself is subtracted.",
    lambda shape: CircularBlur(shape, [[1.0], [-1.0], [0.0]]),
    "This is the difference to the pixel below. The second index j counts columns.",
    lambda shape: PatchFunctional(shape, [[[-1.0, 1.0]]]),
    "Patches tile the image, so every second difference is missing. Here they overlap.",
    lambda shape: CircularBlur(shape, [[0.5, 0.0, -0.5]]),
    "That is the central difference, over two pixels.",
    lambda shape: CircularBlur(shape, [[1.0, 1.0, 0.0]]),
    "That is a sum of neighbours.",
)
def edges(answer: Answer) -> Cases:
    for shape in ((1, 2, 4), (2, 3, 6)):
        yield from examined(answer(shape), f"shape {shape}", _edges_matrix(shape))


_FILTERS = (0, 1, 1, 2)  # red, green, green, blue, row by row


def _bayer_matrix(shape: tuple[int, int, int]) -> Tensor:
    _, height, width = shape
    rows, columns = height // 2, width // 2
    H = torch.zeros(4 * rows * columns, math.prod(shape), dtype=torch.float64)
    for place, colour in enumerate(_FILTERS):
        for i in range(height):
            for j in range(width):
                own = (i % 2, j % 2) == divmod(place, 2)
                row = (place * rows + i // 2) * columns + j // 2
                H[row, (colour * height + i) * width + j] = 0.7 if own else 0.1
    return H


def _bayer(
    filters: tuple[int, ...] = _FILTERS,
    own: float = 0.7,
    other: float = 0.1,
    *,
    colours_last: bool = False,
) -> Answer:
    """The sensor of the exercise with other colours, weights or order of the columns."""
    K = torch.zeros(4, 3, 4, dtype=torch.float64)
    for place, colour in enumerate(filters):
        K[place, colour] = other
        K[place, colour, place] = own
    K = K.transpose(1, 2) if colours_last else K
    return lambda shape: BlockOperator(K.reshape(4, 12), shape, patch=(3, 2, 2))


@question("12.3", "A Bayer sensor with crosstalk", kind="code", part="b", of="shape")
@hints(
    "Four weighted sums of every cell of 2 x 2 pixels: a BlockOperator with patch=(3, 2, 2).",
    "K has 4 rows and 12 columns; a patch is flattened channel by channel and row by row, so "
    "column 4 c + p is colour c at place p of the cell.",
    "Row p of K is 0.1 in the four columns of its colour, and 0.7 in column 4 c + p. The colours "
    "are c = 0, 1, 1, 2.",
)
@mistakes(
    _bayer(own=1.0, other=0.0),
    "No light leaks here: three more places of each colour have the weight 0.1.",
    _bayer(filters=(2, 1, 1, 0)),
    "Red and blue are exchanged: red is channel 0 and sits at the top left.",
    _bayer(colours_last=True),
    "A patch is flattened channel by channel: first the four places of red, then green.",
    _bayer(own=0.8),
    "The pixel itself has 0.7; 0.1 is for the other three places only.",
    lambda shape: Dense(_bayer_matrix(shape), shape),
    "The right numbers, as a vector: measurements are to have shape (4, h / 2, w / 2). Pass "
    "out_shape, or use BlockOperator.",
    _bayer(other=0.0),
    "The other three places of the colour have the weight 0.1, and yours have 0.",
    _bayer(filters=(1, 0, 2, 1)),
    "Red is at the top left, and green at the top right and the bottom left.",
)
def bayer(answer: Answer) -> Cases:
    for shape in ((3, 2, 2), (3, 4, 6)):
        out = (4, shape[1] // 2, shape[2] // 2)
        op = an_operator(answer(shape))
        yield f"shape {shape}, shape of a measurement", str(tuple(op.out_shape)), str(out)
        yield from examined(op, f"shape {shape}", _bayer_matrix(shape))
