"""How two arrays that should be equal differ, in a sentence and with the likely reason."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "columns_in_words",
    "differing_entries",
    "lengths_in_words",
    "listed",
    "spectrum_in_words",
]

RTOL = 1e-9


def lengths_in_words(factors: dict[str, float], n: int) -> str:
    """What it means that methods multiply lengths by ``factors``."""
    words = {name: _factor(c, n) for name, c in factors.items()}
    if len(set(words.values())) == 1:
        many = "multiply" if len(words) > 1 else "multiplies"
        told = f"{' and '.join(words)} {many} every length by {next(iter(words.values()))}"
    else:
        told = "; ".join(f"{name} multiplies every length by {c}" for name, c in words.items())
    lost = "sqrt" in told and f"({n})" in told
    why = ": the normalisation 1 / sqrt(n) of a transform is missing." if lost else "."
    return f"{told}, but an orthogonal map keeps lengths{why}"


def _factor(c: float, n: int) -> str:
    """A factor of lengths, as a root or a fraction where it is one."""
    for value, form in ((c, "{}"), (1 / c, "1 / {}")):
        square = round(value**2)
        if square <= 1 or abs(value**2 / square - 1) > RTOL:
            continue
        root, whole = f"sqrt({square})", math.isqrt(square) ** 2 == square
        if whole and square == n:
            return f"{form.format(math.isqrt(square))} = {form.format(root)}"
        return form.format(math.isqrt(square) if whole else root)
    return f"{c:.4g}"


def listed(places: Tensor, kind: str = "coordinate", limit: int = 6) -> str:
    """Indices for a sentence: "coordinates 0, 3 and 5"."""
    many = {"coordinate": "coordinates", "entry": "entries"}[kind]
    first = [str(place) for place in places.flatten()[:limit].tolist()]
    if len(places) > limit:
        return f"{many} {', '.join(first)}, ... ({len(places)} in all)"
    if len(first) > 1:
        return f"{many} {', '.join(first[:-1])} and {first[-1]}"
    return f"{kind} {first[0]}"


def spectrum_in_words(s: Tensor, due: Tensor) -> str:
    """What ``s (n,)`` is, where ``due = u_i . H v_i``, with its sign, is the truth."""
    size, seen = float(due.abs().max()), due.abs() > 1e-12 * due.abs().max()
    close = lambda a, b: bool((a - b).abs().max() <= RTOL * float(b.abs().max()))  # noqa: E731
    d = due.where(seen, torch.zeros_like(due))
    positive = d.abs().where(seen, torch.ones_like(d))
    flipped = (d < 0).nonzero()[:, 0]
    if size and close(s, d.abs()) and len(flipped) == int(seen.sum()):
        return "This is the SVD of -H: U or V needs the other sign, not both."
    if size and close(s, d.abs()):
        return (
            f"u_i and v_i do not fit together in sign in {listed(flipped)}: U and V of two "
            "separate decompositions have signs of their own. Compute u_i = H v_i / s_i."
        )
    if size and close(s.sort().values, d.abs().sort().values):
        places = ((s - d.abs()).abs() > RTOL * size).nonzero()[:, 0]
        return (
            f"The singular values are right but stand in another order than the columns of U and V "
            f"(see {listed(places)}). Sort all three together, or none."
        )
    if close(s, d**2):
        return (
            "s holds the squares of the singular values, as the eigenvalues of H^T H and the "
            "variances are: take s.sqrt()."
        )
    if close(s**2, d.abs()):
        return "s holds the roots of the singular values: one square root too many."
    if close(s * seen, seen / positive):
        return "s holds 1 / s_i, the singular values of H^+: s must be those of H."
    ratio = float((s[seen] / positive[seen]).mean()) if seen.any() else math.nan
    if ratio > 0 and close(s, ratio * d.abs()):
        return f"s is {ratio:.6g} times what it must be: scale s by {1 / ratio:.6g}."
    spare, cut = ((s > 0) & ~seen).nonzero()[:, 0], ((s == 0) & seen).nonzero()[:, 0]
    if len(spare) and close(s * seen, d.abs()):
        return (
            f"s is not 0 on the null space: H v_i = 0 in {listed(spare)}, where s must be an exact "
            "0, not a small number and not 1."
        )
    if len(cut) and close(s.where(s > 0, d.abs()), d.abs()):
        return (
            f"s is 0 although H v_i is not, in {listed(cut)}: singular values up to "
            f"{d[cut].abs().max():.3g} were cut off. Lower the relative cut."
        )
    i = int((s - d.abs()).abs().argmax())
    return (
        f"U and V are right, s is not: in coordinate {i} it is {s[i]:.4g}, but H v_i is "
        f"{d[i].abs():.4g} long."
    )


def columns_in_words(name: str, other: str, got: Tensor, due: Tensor) -> str:
    """How the matrix of ``name`` differs from ``due``, the transpose of that of ``other``."""
    one = f"{name} and {other}"
    orders = _orders_in_words(one, got, due)
    if orders:
        return orders
    if got.shape == due.shape[::-1] and _close(got, due.T):
        return (
            f"{one} apply the same matrix, but one must be the transpose of the other: for images "
            "as rows x @ Vh and x @ Vh.T, where Vh is what the decomposition returns."
        )
    if _close(got, due, 1e-4):
        return (
            f"{one} agree to {float((got - due).abs().max()):.0e} only, float32's rounding: keep "
            "the factors in float64 and convert them in the method, matrix.to(x)."
        )
    missing = ((got.norm(dim=0) < RTOL) & (due.norm(dim=0) > RTOL)).nonzero()[:, 0]
    if len(missing) and _close(got * (got.norm(dim=0) > RTOL), due * (got.norm(dim=0) > RTOL)):
        return f"{name} leaves out {listed(missing)}, which {other} does not: keep all n in both."
    for axis, kind in ((0, "coordinate"), (1, "entry")):
        sign = torch.where((got * due).sum(axis, keepdim=True) < 0, -1.0, 1.0).to(got)
        if _close(got * sign, due):
            places = listed((sign.flatten() < 0).nonzero()[:, 0], kind)
            return f"{one} have different signs in {places}: write the same sign into both."
    return f"{name} is not the transpose of {other}; with {other}'s in its place all laws hold."


def _orders_in_words(one: str, got: Tensor, due: Tensor) -> str:
    if _is_permutation(got @ due.T):
        return (
            f"{one} put the entries of the image in different places: a permutation that is "
            "applied twice is not undone. Where one takes x[:, order], the other takes "
            "x[:, order.argsort()]."
        )
    got, due = (columns[:, columns.norm(dim=0) > RTOL] for columns in (got, due))
    if got.shape == due.shape and _is_permutation(got.T @ due):
        return f"{one} list the coordinates in different orders: use one order for U, V and s."
    return ""


def differing_entries(got: Tensor, due: Tensor, out_shape: tuple[int, ...]) -> str:
    """Where the matrix (m, n) of an operator differs from the true one."""
    wrong = (got - due).abs() > RTOL * due.abs().max()
    rows, columns = wrong.any(1), wrong.any(0)
    border = _width_of_border(rows, out_shape)
    if border:
        return (
            f"It differs from H only at the border of y, {border} pixel{'s' * (border > 1)} deep: "
            "the two treat the border differently (black, repeated, periodic or mirrored)."
        )
    i, j = divmod(int(wrong.flatten().nonzero()[0]), got.shape[1])
    return (
        f"It is a perfect SVD of another matrix: {int(rows.sum())} of {len(rows)} rows and "
        f"{int(columns.sum())} of {len(columns)} columns differ from H, first H[{i}, {j}], which "
        f"is {got[i, j]:.4g} here and must be {due[i, j]:.4g}."
    )


def _width_of_border(rows: Tensor, out_shape: tuple[int, ...]) -> int:
    """How many pixels from the border the wrong entries of y reach; 0 if also to the middle."""
    if len(out_shape) not in (2, 3) or min(out_shape[-2:]) < 5:
        return 0
    height, width = out_shape[-2:]
    wrong = rows.reshape(-1, height, width).any(0)
    for border in range(1, (min(height, width) - 1) // 2):
        if not wrong[border:-border, border:-border].any():
            return border
    return 0


def _close(got: Tensor, due: Tensor, rtol: float = RTOL) -> bool:
    return got.shape == due.shape and bool((got - due).abs().max() <= rtol * due.abs().max())


def _is_permutation(matrix: Tensor) -> bool:
    """A single 1 in each row and column up to rounding, not all of them on the diagonal."""
    nearest = matrix.round()
    if not len(matrix) or (matrix - nearest).abs().max() > 1e-6:
        return False
    single = all((nearest.abs().sum(axis) == 1).all() for axis in (0, 1)) and nearest.min() >= 0
    return single and not nearest.diagonal().all()
