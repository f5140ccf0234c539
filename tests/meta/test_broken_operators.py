"""Broken operators are caught, and the report says which mistake was made, in a sentence.

Each is the right operator with one change, as a student makes it; none of them is told apart by its
name, its class or its author, only by what it does to random images.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from oracles import super_resolution_matrix
from strategies import operators
from torch.nn.functional import conv2d, pad

from ddrm_edu import CircularBlur, Dense, Inpainting, Kronecker, SVDOperator, check_operator

RNG = np.random.default_rng(11)
H = RNG.standard_normal((4, 3)) @ RNG.standard_normal((3, 6))  # wide and of rank 3, s all distinct
TALL = RNG.standard_normal((7, 5))
SQUARE = RNG.standard_normal((5, 5))
SINGULAR_SQUARE = RNG.standard_normal((5, 3)) @ RNG.standard_normal((3, 5))
A, B = RNG.standard_normal((2, 3)), RNG.standard_normal((4, 5))

ARGUMENTS = "arguments are left as they were"
BATCH = "a batch is a stack of single images"
DEVICE = "results live on the device of the argument"
DTYPE = "float32 in, float32 out, and the same numbers"
LINEAR = "H(2 x - 3 a) = 2 H x - 3 H a"
METHODS_LINEAR = "V, Vt, U and Ut are linear"
PENROSE1, PENROSE2 = "H H^+ H = H", "H^+ H H^+ = H^+"
RESULTS = "V, Vt, U, Ut return real tensors of the right shape and dtype"
SINGULAR = "s: finite, not negative, one per coordinate, no more positive ones than measurements"
TINY = "s is 0 or larger than rounding"
TRUTH = "U diag(s) V^T = H"
U_IGNORES = "U(x) ignores coordinates with s = 0"
U_ORTHONORMAL = "Ut(U(x)) = x where s > 0, 0 elsewhere"
U_TRANSPOSE = "<U a, y> = <a, Ut y>"
V_INVERSE, V_ONTO = "Vt(V(x)) = x", "V(Vt(x)) = x"
V_ORTHOGONAL = "<V a, x> = <a, Vt x>"
ADJOINT = "<H x, y> = <x, adjoint(y)>"
AS_ABOVE = "It has the same cause."


class Mine(SVDOperator):
    """What a student writes after slide 9, without a mistake: images are rows of a batch."""

    def __init__(self, H):
        U, s, Vh = np.linalg.svd(H)
        m, n = H.shape
        k = int((s > 1e-12 * s[0]).sum())
        self.in_shape, self.out_shape = (n,), (m,)
        self.s = pad(torch.from_numpy(s[:k].copy()), (0, n - k))
        self.left = pad(torch.from_numpy(U[:, :k].copy()), (0, n - k))  # (m, n)
        self.right = torch.from_numpy(Vh.T.copy())  # (n, n)

    def V(self, x):
        return x @ self.right.T.to(x)

    def Vt(self, x):
        return x @ self.right.to(x)

    def U(self, x):
        return x @ self.left.T.to(x)

    def Ut(self, y):
        return y @ self.left.to(y)


# -- s ---------------------------------------------------------------------------------------------


class SInAnotherOrder(Mine):
    """Sorted upwards, the columns downwards."""

    def __init__(self, H):
        super().__init__(H)
        k = self.rank
        self.s[:k] = self.s[:k].flip(0)


class SOnWrongCoordinates(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s = self.s.flip(0)


class Variances(Mine):
    """Eigenvalues of H^T H."""

    def __init__(self, H):
        super().__init__(H)
        self.s = self.s**2


class RootsOfS(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s = self.s.sqrt()


class Inverses(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s = torch.where(self.s > 0, 1 / self.s, 0.0)


class ScaledS(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s = self.s * 255


class ConstantOnTheNullSpace(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s[-1] = 1.0


class CutTooHigh(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s[self.rank - 1] = 0.0


class OneWrongS(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s[1] *= 1.01


class RoundedZeros(Mine):
    """The full decomposition of a tall matrix of deficient rank, its rounding errors kept as s."""

    def __init__(self, H):
        super().__init__(H)
        self.s[-1] = 3e-17 * self.s[0]
        self.left = torch.linalg.svd(torch.from_numpy(H)).U[:, : H.shape[1]]


class NegativeS(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s = -self.s


class NanS(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s[1] = float("nan")


class TooManySingularValues(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s = self.s + 0.1


class ThinS(Mine):
    """As numpy.linalg.svd returns it."""

    def __init__(self, H):
        super().__init__(H)
        self.s = self.s[:4]


class SOfNumpy(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s = self.s.numpy()


class ComplexS(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.s = self.s + 0j


class NoOutShape(Mine):
    def __init__(self, H):
        super().__init__(H)
        del self.out_shape


# -- V ---------------------------------------------------------------------------------------------


class ExchangedV(Mine):
    def V(self, x):
        return x @ self.right.to(x)

    def Vt(self, x):
        return x @ self.right.T.to(x)


class SameV(Mine):
    def V(self, x):
        return x @ self.right.to(x)


class ThinV(Mine):
    """The null space is dropped (M13)."""

    def __init__(self, H):
        super().__init__(H)
        self.right = self.right * (self.s > 0)


class ThinShapedV(Mine):
    """As ThinV, but with coordinates of length rank, as numpy.linalg.svd returns them."""

    def Vt(self, x):
        return (x @ self.right.to(x))[:, : self.rank]


class OneThinV(Mine):
    def V(self, x):
        return super().V(x * (self.s > 0).to(x))


class LongV(Mine):
    """Inverse, but not orthogonal: a factor sits in one of the two."""

    def V(self, x):
        return 2 * super().V(x)

    def Vt(self, x):
        return super().Vt(x) / 2


class SignOfV(Mine):
    def V(self, x):
        return super().V(x * torch.tensor([1, -1, 1, 1, 1, -1]).to(x))


class HadamardV(SVDOperator):
    """Walsh and Hadamard's matrix of plus and minus ones, as scipy.linalg.hadamard returns it."""

    def __init__(self, n, kept):
        matrix = torch.ones(1, 1, dtype=torch.float64)
        while len(matrix) < n:
            matrix = torch.kron(torch.tensor([[1, 1], [1, -1]], dtype=torch.float64), matrix)
        self.matrix_of_signs = matrix
        self.in_shape, self.out_shape = (n,), (kept,)
        self.s = (torch.arange(n) < kept).double()

    def V(self, x):
        return x @ self.matrix_of_signs.to(x)

    def Vt(self, x):
        return x @ self.matrix_of_signs.to(x)

    def U(self, x):
        return x[:, : self.m].clone()

    def Ut(self, y):
        return pad(y, (0, self.n - self.m))


class Shuffled(SVDOperator):
    """Inpainting after a permutation that is not its own inverse (M40)."""

    def __init__(self):
        self.order = torch.tensor([2, 0, 3, 1, 4])
        self.in_shape, self.out_shape = (5,), (3,)
        self.s = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)

    def V(self, x):
        return x[:, self.order]

    def Vt(self, x):
        return x[:, self.order]

    def U(self, x):
        return x[:, :3].clone()

    def Ut(self, y):
        return pad(y, (0, 2))


class FourierV(Mine):
    """Complex Fourier coefficients in the place of real coordinates."""

    def Vt(self, x):
        return torch.fft.fft(x, norm="ortho")

    def V(self, x):
        return torch.fft.ifft(x, norm="ortho").real


class Float32Factors(Mine):
    """Decomposed in single precision."""

    def __init__(self, H):
        super().__init__(H)
        for name in ("left", "right", "s"):
            setattr(self, name, getattr(self, name).float())


# -- U ---------------------------------------------------------------------------------------------


class ExchangedU(Mine):
    def U(self, x):
        return x @ self.left.to(x)

    def Ut(self, y):
        return y @ self.left.T.to(y)


class SignOfU(Mine):
    """The sign of one column, in U but not in Ut."""

    def U(self, x):
        return super().U(x * torch.tensor([-1, 1, 1, 1, 1, 1]).to(x))


class UnpairedSigns(Mine):
    """U from eigh(H H^T) and V from eigh(H^T H): each has signs of its own."""

    def __init__(self, H):
        super().__init__(H)
        self.left = self.left * torch.tensor([1, -1, 1, 1, 1, 1])


class LongU(Mine):
    def U(self, x):
        return 2 * super().U(x)

    def Ut(self, y):
        return 2 * super().Ut(y)


class UIsHV(Mine):
    """Not divided by s."""

    def __init__(self, H):
        super().__init__(H)
        self.left = self.left * self.s


class UnmaskedU(Mine):
    """A full orthogonal U, its columns not 0 where s = 0."""

    def __init__(self, H):
        super().__init__(H)
        self.left = pad(torch.from_numpy(np.linalg.svd(H)[0]), (0, 2))


class UnmaskedUt(UnmaskedU):
    def U(self, x):
        return super().U(x * (self.s > 0).to(x))


class UOfAnotherShape(Mine):
    def U(self, x):
        return super().U(x)[:, :-1]


class OtherOrderOfU(Mine):
    def U(self, x):
        return super().U(x[:, [1, 2, 0, 3, 4, 5]])


# -- the whole -------------------------------------------------------------------------------------


class Affine(Mine):
    def U(self, x):
        return super().U(x) + 0.5


class ClippingU(Mine):
    def U(self, x):
        return super().U(x).clamp(-1, 1)


class Noisy(Mine):
    def Ut(self, y):
        return super().Ut(y) + 0.01 * torch.randn(len(y), self.n).to(y) * (self.s > 0).to(y)


class Clipping(Mine):
    def __call__(self, x):
        return super().__call__(x).clamp(-1, 1)


class OwnAdjoint(Mine):
    """A hand-written adjoint that forgot a factor."""

    def adjoint(self, y):
        return super().adjoint(y) / 2


class OwnPinv(Mine):
    """The transpose for the pseudo-inverse: right only where every s is 1."""

    def pinv(self, y):
        return self.adjoint(y)


class WritesInPlace(Mine):
    """The reflection of the first coordinate, done in the caller's memory."""

    def Vt(self, x):
        x[:, 0] *= -1
        return super().Vt(x)

    def V(self, x):
        x = super().V(x)
        x[:, 0] *= -1
        return x


class ReturnsItsArgument(Inpainting):
    def V(self, x):
        return x


class ReturnsAView(Inpainting):
    def Ut(self, y):
        return y.reshape(-1, *self.in_shape)


class MixesTheBatch(Mine):
    def Vt(self, x):
        return super().Vt(x).flip(0)

    def V(self, x):
        return super().V(x.flip(0))


class SeesOneImageOnly(Mine):
    def U(self, x):
        return super().U(x[:1]).expand(len(x), -1)


class ForgetsTheBatch(Mine):
    def Vt(self, x):
        return x[0] @ self.right.to(x)


class Float64Only(Mine):
    def V(self, x):
        return x @ self.right.T


class Float32Only(Mine):
    def __init__(self, H):
        super().__init__(H)
        self.right = self.right.float()

    def V(self, x):
        return x @ self.right.T


class ReturnsFloat64(Mine):
    def Ut(self, y):
        return y.double() @ self.left


class ReturnsFloat32(Mine):
    def Ut(self, y):
        return super().Ut(y.float())


class NanInFloat32(Mine):
    """Overflow in float32 alone: infinity minus infinity."""

    def Ut(self, y):
        return super().Ut(y) + 0 * (y.sum() * 1e30 * 1e30)


class StaysOnTheCpu(Mine):
    """It follows the dtype of its argument, but not its device."""

    def U(self, x):
        return x @ self.left.T.to(x.dtype)


class AnswersOnTheCpu(Mine):
    def Ut(self, y):
        result = torch.zeros(len(y), self.n, dtype=y.dtype)
        return result if y.device.type == "meta" else result.copy_(super().Ut(y))


class NumpyResult(Mine):
    def U(self, x):
        return super().U(x).numpy()


class RaisesSomething(Mine):
    def V(self, x):
        raise KeyError("pixels")


# -- other matrices than they claim to be ----------------------------------------------------------


def kernel_matrix(kernel, height, width):
    """Correlation on a periodic image, as conv2d computes it: columns are its answers."""
    images = torch.eye(height * width, dtype=torch.float64).reshape(-1, 1, height, width)
    rows, columns = (side // 2 for side in kernel.shape)
    padded = pad(images, (columns, columns, rows, rows), mode="circular")
    return conv2d(padded, torch.from_numpy(kernel)[None, None]).flatten(1).T.numpy()


KERNEL = RNG.standard_normal((3, 3))
MEANS = super_resolution_matrix((1, 4, 6), 2)
PATCH = RNG.standard_normal((2, 2))


def weighted_patches(kernel, ordered=True):
    """One weighted sum per 2 x 2 patch of a 4 x 6 image; else of four pixels that are neighbours
    in memory."""
    if not ordered:
        return np.kron(np.eye(6), kernel.reshape(1, -1))
    rows = []
    for i in range(0, 4, 2):
        for j in range(0, 6, 2):
            image = np.zeros((4, 6))
            image[i : i + 2, j : j + 2] = kernel
            rows.append(image.ravel())
    return np.stack(rows)


def boundary(kind):
    """Mean of three neighbours in a row of nine, 9 rows: black or repeated beyond the border."""
    line = np.zeros((9, 9))
    for i in range(9):
        for k in (-1, 0, 1):
            j = i + k
            if kind == "repeated":
                j = min(max(j, 0), 8)
            if 0 <= j < 9:
                line[i, j] += 1 / 3
    return np.kron(np.eye(9), line)


RGB = np.kron([[0.299, 0.587, 0.114]], np.eye(6))  # channels first
INTERLEAVED = np.kron(np.eye(6), [[0.299, 0.587, 0.114]])
COLOUR = (3, 2, 3)

# name: (operator, truth, the first claim that breaks, words of the diagnosis)
BROKEN = {
    "s in another order": (SInAnotherOrder(H), H, TRUTH, "in another order than the columns"),
    "s on wrong coordinates": (SOnWrongCoordinates(H), H, U_ORTHONORMAL, "in another order"),
    "s as variances": (Variances(TALL), TALL, TRUTH, "squares of the singular values"),
    "roots of s": (RootsOfS(H), H, TRUTH, "one square root too many"),
    "1 / s": (Inverses(H), H, TRUTH, "s holds 1 / s_i"),
    "s scaled": (ScaledS(H), H, TRUTH, "s is 255 times what it must be"),
    "s = 1 on the null space": (
        ConstantOnTheNullSpace(H),
        H,
        U_ORTHONORMAL,
        "coordinate 5, where s must be an exact 0",
    ),
    "cut too high": (CutTooHigh(H), H, U_IGNORES, "Lower the relative cut"),
    "one wrong s": (OneWrongS(TALL), TALL, TRUTH, "in coordinate 1 it is"),
    "rounded zeros": (
        RoundedZeros(SINGULAR_SQUARE),
        SINGULAR_SQUARE,
        TINY,
        "zeros that a decomposition rounded",
    ),
    "negative s": (NegativeS(H), H, SINGULAR, "3 of 6 singular values are negative"),
    "nan in s": (NanS(H), H, SINGULAR, "1 of 6 singular values is NaN"),
    "too many s": (TooManySingularValues(H), H, SINGULAR, "there are only 4 measurements"),
    "thin s": (ThinS(H), H, SINGULAR, "torch.nn.functional.pad(s, (0, 2))"),
    "s of numpy": (SOfNumpy(H), H, SINGULAR, "self.s = torch.as_tensor(s)"),
    "complex s": (ComplexS(H), H, SINGULAR, "Singular values are real"),
    "no out_shape": (NoOutShape(H), H, SINGULAR, "Set in_shape, out_shape"),
    "V and Vt exchanged": (ExchangedV(H), H, TRUTH, "V and Vt are exchanged"),
    "V and Vt the same": (SameV(H), H, V_INVERSE, "apply the same matrix"),
    "thin V": (ThinV(H), H, V_INVERSE, "V is thin: 3 of its 6 columns are missing"),
    "thin shape of V": (ThinShapedV(H), H, RESULTS, "V is thin: it keeps only the 3 directions"),
    "one of V and Vt thin": (OneThinV(H), H, V_INVERSE, "V leaves out coordinates 3, 4 and 5"),
    "V twice as long": (
        LongV(H),
        H,
        V_ORTHOGONAL,
        "V multiplies every length by 2; Vt multiplies every length by 1 / 2",
    ),
    "sign of V": (SignOfV(H), H, V_INVERSE, "different signs in coordinates 1 and 5"),
    "Hadamard without norm": (
        HadamardV(64, 20),
        HadamardV(64, 20).matrix_of_signs[:20] / 8,
        V_INVERSE,
        "V and Vt multiply every length by 8 = sqrt(64)",
    ),
    "permutation twice": (
        Shuffled(),
        np.eye(5)[[2, 0, 3]],
        V_INVERSE,
        "x[:, order.argsort()]",
    ),
    "complex V": (FourierV(H), H, RESULTS, "Vt returned complex numbers"),
    "float32 factors": (Float32Factors(H), H, V_INVERSE, "float32's rounding"),
    "U and Ut exchanged": (ExchangedU(H), H, RESULTS, "U and Ut are exchanged"),
    "U and Ut exchanged, square": (ExchangedU(SQUARE), SQUARE, TRUTH, "U and Ut are exchanged"),
    "sign of U": (SignOfU(H), H, U_ORTHONORMAL, "different signs in coordinate 0"),
    "signs of U and V": (UnpairedSigns(H), H, TRUTH, "do not fit together in sign in coordinate 1"),
    "U twice as long": (LongU(H), H, U_ORTHONORMAL, "U and Ut multiply every length by 2"),
    "U = H V": (UIsHV(H), H, U_ORTHONORMAL, "U is H V here"),
    "U not masked": (UnmaskedU(H), H, U_IGNORES, "U and Ut must be 0 in the 3 coordinates"),
    "Ut not masked": (UnmaskedUt(H), H, U_TRANSPOSE, "Ut must be 0 in the 3 coordinates"),
    "U of another shape": (UOfAnotherShape(H), H, RESULTS, "U returned shape (3, 3), due (3, 4)"),
    "order of U": (OtherOrderOfU(H), H, U_ORTHONORMAL, "coordinates in different orders"),
    "affine": (Affine(H), H, METHODS_LINEAR, "It adds a constant"),
    "clipping U": (ClippingU(H), H, METHODS_LINEAR, "Does it clip"),
    "noisy": (Noisy(H), H, METHODS_LINEAR, "Ut gives two results for one image"),
    "clipping": (Clipping(H), H, ADJOINT, "its own __call__"),
    "own adjoint": (OwnAdjoint(H), H, ADJOINT, "its own adjoint"),
    "own pinv": (OwnPinv(H), H, PENROSE1, "its own pinv"),
    "in place": (WritesInPlace(H), H, ARGUMENTS, "Vt writes into its argument"),
    "returns its argument": (
        ReturnsItsArgument(np.ones((2, 3), dtype=bool)),
        np.eye(6),
        ARGUMENTS,
        "V returns its",
    ),
    "returns a view": (
        ReturnsAView(np.ones((2, 3), dtype=bool)),
        np.eye(6),
        ARGUMENTS,
        "Ut returns its",
    ),
    "mixes the batch": (MixesTheBatch(H), H, BATCH, "V and Vt of three images is not that"),
    "sees one image only": (SeesOneImageOnly(H), H, BATCH, "all images of a batch the same result"),
    "forgets the batch": (ForgetsTheBatch(H), H, RESULTS, "must be kept"),
    "float64 only": (Float64Only(H), H, DTYPE, "matrix.to(x)"),
    "float32 only": (Float32Only(H), H, RESULTS, "different dtypes: write matrix.to(x)"),
    "returns float64": (ReturnsFloat64(H), H, DTYPE, "returned torch.float64"),
    "returns float32": (ReturnsFloat32(H), H, RESULTS, "and returned torch.float32"),
    "nan in float32": (NanInFloat32(H), H, DTYPE, "Ut returns NaN"),
    "stays on the CPU": (StaysOnTheCpu(H), H, DEVICE, "U mixes devices"),
    "answers on the CPU": (AnswersOnTheCpu(H), H, DEVICE, "Ut answers on the cpu"),
    "numpy result": (NumpyResult(H), H, RESULTS, "U returned no tensor, but numpy.ndarray"),
    "raises": (RaisesSomething(H), H, RESULTS, "V raised KeyError"),
    "minus H": (Dense(-TALL), TALL, TRUTH, "This is the SVD of -H"),
    "H transposed": (Dense(SQUARE.T), SQUARE, TRUTH, "This is the SVD of H^T"),
    "H transposed, singular": (
        Dense(SINGULAR_SQUARE.T),
        SINGULAR_SQUARE,
        TRUTH,
        "This is the SVD of H^T",
    ),
    "Kronecker order": (
        Dense(np.kron(B, A), (1, 3, 5), (1, 2, 4)),
        np.kron(A, B),
        TRUTH,
        "factors of a Kronecker",
    ),
    "Kronecker order, flat": (Dense(np.kron(B, A)), np.kron(A, B), TRUTH, "factors of a Kronecker"),
    "column by column": (
        Kronecker(A, B),
        np.kron(A, B)[:, np.arange(15).reshape(5, 3).T.ravel()],
        TRUTH,
        "flattened in order 'F'",
    ),
    "transposed y": (
        Kronecker(A, B),
        np.kron(A, B)[np.arange(8).reshape(2, 4).T.ravel()],
        TRUTH,
        "transpose y",
    ),
    "correlation": (
        CircularBlur((1, 5, 7), KERNEL),
        kernel_matrix(KERNEL, 5, 7),
        TRUTH,
        "the kernel is flipped",
    ),
    "kernel upside down": (
        CircularBlur((1, 5, 7), KERNEL),
        CircularBlur((1, 5, 7), KERNEL[::-1]).matrix(),
        TRUTH,
        "upside down",
    ),
    "kernel off its centre": (
        CircularBlur((1, 5, 7), np.pad(KERNEL, ((0, 0), (2, 0)))),
        CircularBlur((1, 5, 7), KERNEL).matrix(),
        TRUTH,
        "shifted by (0, -1) pixels",
    ),
    "no patch permutation": (
        Dense(weighted_patches(PATCH, ordered=False), (1, 4, 6), (1, 2, 3)),
        weighted_patches(PATCH),
        TRUTH,
        "permutation P of slide 21 is missing",
    ),
    "pixels of a patch": (
        Dense(weighted_patches(PATCH), (1, 4, 6), (1, 2, 3)),
        weighted_patches(PATCH.T),
        TRUTH,
        "The pixels of each 2 x 2 patch are listed column by column",
    ),
    "BGR": (Dense(RGB, COLOUR), RGB.reshape(6, 3, 6)[:, ::-1].reshape(6, 18), TRUTH, "BGR"),
    "channels last": (Dense(RGB, COLOUR), INTERLEAVED, TRUTH, "channels come last"),
    "boundary": (
        Dense(boundary("black"), (1, 9, 9), (1, 9, 9)),
        boundary("repeated"),
        TRUTH,
        "border of y, 1 pixel deep",
    ),
    "another matrix": (
        Dense(H),
        H + 0.1 * np.outer(np.arange(4) == 2, np.arange(6) == 1),
        TRUTH,
        "first H[2, 1], which is",
    ),
}
cases = pytest.mark.parametrize("name", BROKEN)


def advice(failure) -> str:
    return f"{failure.cause} {failure.fix}".strip()


@functools.cache
def report_of(name):
    op, truth, *_ = BROKEN[name]
    return check_operator(op, truth)


@cases
def test_the_first_broken_claim_tells_the_mistake(name):
    report, (*_, claim, words) = report_of(name), BROKEN[name]
    first = report.failures[0]
    assert first.name == claim, str(report)
    assert words in str(first), str(report)


ALONE = {
    ARGUMENTS: ("returns its argument", "returns a view"),
    DTYPE: ("nan in float32",),
    DEVICE: ("stays on the CPU", "answers on the CPU"),
    ADJOINT: ("own adjoint",),
    U_IGNORES: ("U not masked",),
    TRUTH: (
        "V and Vt exchanged",
        "s in another order",
        "s as variances",
        "U and Ut exchanged, square",
        "signs of U and V",
        "H transposed",
        "Kronecker order",
        "correlation",
        "no patch permutation",
        "channels last",
        "another matrix",
    ),
}


@pytest.mark.parametrize(
    ("claim", "name"), [(claim, name) for claim in ALONE for name in ALONE[claim]]
)
def test_one_fault_breaks_one_claim_alone(claim, name):
    assert [failure.name for failure in report_of(name).failures] == [claim]


@pytest.mark.parametrize("name", ALONE[TRUTH])
def test_a_perfect_svd_of_another_matrix_passes_unless_the_truth_is_given(name):
    """The trap of the field: measured and restored with one wrong H, nothing looks wrong."""
    assert check_operator(BROKEN[name][0]).ok


@cases
def test_every_sentence_is_complete(name):
    for failure in report_of(name).failures:
        text = str(failure)
        assert text.endswith((".", "?")), text
        assert "  " not in text.removeprefix("FAILED  "), text
        assert len(advice(failure)) <= 300, text


@cases
def test_what_follows_from_one_cause_is_said_once(name):
    said = [advice(failure) for failure in report_of(name).failures]
    again = {text for text in said if said.count(text) > 1}
    assert again <= {
        "It has the same cause.",
        "It may have the same cause.",
        "It may come from what failed above: repair that first.",
        "A stored tensor stays where it was made. Write matrix.to(x), or index.to(x.device).",
    }


RIGHT = {"wide, rank 3": H, "tall": TALL, "square": SQUARE, "singular": SINGULAR_SQUARE}


@pytest.mark.parametrize("truth", RIGHT.values(), ids=RIGHT)
def test_what_the_mistakes_were_made_in_is_right(truth):
    report = check_operator(Mine(truth), truth)
    assert report.ok, str(report)


def test_a_matrix_of_another_shape_breaks_a_claim():
    for truth, columns in ((np.eye(3), 3), (H.T, 4)):
        failures = check_operator(Dense(H), truth).failures
        assert [failure.name for failure in failures] == [TRUTH]
        for words in (
            f"in_shape = (6,) holds 6 numbers, but H has {columns} columns",
            "H acts on the image flattened row by row",
            "is H transposed?",
            "The truth must take 6 numbers per image",
        ):
            assert words in str(failures[0])


def test_two_mistakes_are_not_taken_for_one():
    """Nothing that is said is false: no single change repairs both, and none is claimed."""

    class Both(ExchangedV):
        def Ut(self, y):
            return super().Ut(y) * 1.5

    text = str(check_operator(Both(H), H))
    assert "exchanged" not in text
    assert "It has the same cause" not in text


def test_large_images_are_diagnosed_without_matrices():
    """The guesses that need no matrix still work at n = 12,288."""

    class Exchanged(CircularBlur):
        def __init__(self, in_shape, kernel):
            super().__init__(in_shape, kernel)
            self.s = self.s.flip(1)

    right = CircularBlur((3, 64, 64), KERNEL)
    failures = check_operator(Exchanged((3, 64, 64), KERNEL), right).failures
    assert failures[0].name == TRUTH
    assert "in another order than the columns" in failures[0].cause


def test_a_method_that_computes_on_the_cpu_alone_is_not_judged_without_a_gpu():
    class OfNumpy(Mine):
        def V(self, x):
            return torch.from_numpy(x.numpy() @ self.right.to(x).numpy().T)

    report = check_operator(OfNumpy(H), H)
    assert report.ok, str(report)
    (finding,) = report.not_asked
    assert (finding.name, finding.found) == (DEVICE, "V can be tried on this device only.")


class Changed(SVDOperator):
    """Any operator with one thing changed, by a function of its parts."""

    def __init__(self, op, change):
        self.in_shape, self.out_shape = op.in_shape, op.out_shape
        parts = {"s": op.s.expand(op.in_shape), "V": op.V, "Vt": op.Vt, "U": op.U, "Ut": op.Ut}
        self.parts = parts | change(**parts)
        self.s = self.parts["s"]

    def V(self, x):
        return self.parts["V"](x)

    def Vt(self, x):
        return self.parts["Vt"](x)

    def U(self, x):
        return self.parts["U"](x)

    def Ut(self, y):
        return self.parts["Ut"](y)


CHANGES = {
    "exchanged": lambda V, Vt, **_: {"V": Vt, "Vt": V},
    "squares": lambda s, **_: {"s": s**2},
    "another order": lambda s, **_: {"s": s.flatten().roll(1).reshape(s.shape)},
    "sign": lambda U, **_: {"U": lambda x: -U(x)},
    "of -H": lambda U, Ut, **_: {"U": lambda x: -U(x), "Ut": lambda y: -Ut(y)},
    "every length by 3": lambda V, **_: {"V": lambda x: 3 * V(x)},
    "every length by 1 / 5": lambda U, Ut, **_: {
        "U": lambda x: U(x) / 5,
        "Ut": lambda y: Ut(y) / 5,
    },
    "adds a constant": lambda Ut, **_: {"Ut": lambda y: Ut(y) + 0.5},
}


@pytest.mark.parametrize("words", CHANGES)
@settings(max_examples=25)
@given(case=operators())
def test_one_change_to_any_operator_is_told(words, case):
    """Or it changes nothing: a symmetric V, equal singular values, s of ones, an H of zeros."""
    report = check_operator(Changed(case.op, CHANGES[words]), case.H)
    assert report.ok or words in report.failures[0].sentence, str(report)
