"""Bad arguments by kind: what stands in the place of one good argument of a call.

Each kind is a function of the good value; ``kinds(value)`` yields those that fit every argument,
then those that fit its type.  Nothing here knows the library, but for ``other_operators``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddrm_edu import Dense, SVDOperator

NAN, INF = float("nan"), float("inf")
Kind = tuple[str, str, Callable[[], Any]]
"""Family, name, and what makes the bad argument."""


class OwnError(Exception):
    """What a callable of the caller's raises: it must arrive as it is."""


def kinds(value: Any) -> Iterator[Kind]:
    yield from _any_argument()
    if isinstance(value, Tensor | np.ndarray):
        yield from _arrays(value)
    elif isinstance(value, bool | str) or value is None:
        pass
    elif isinstance(value, int | float):
        yield from _numbers(value)
    elif isinstance(value, tuple | list) and value and isinstance(value[0], int | float):
        yield from _lists(value)
    elif isinstance(value, torch.Generator):
        yield from _generators()
    elif isinstance(value, SVDOperator):
        yield from other_operators(value)
    elif isinstance(value, torch.dtype):
        for dtype in (torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.float16):
            yield "wrong dtype", str(dtype), lambda dtype=dtype: dtype
    elif isinstance(value, torch.device):
        for device in ("cuda", "meta", "nowhere"):
            yield "wrong value", device, lambda device=device: device
    elif callable(value) and not isinstance(value, type):
        yield from callables(value)


def _any_argument() -> Iterator[Kind]:
    yield "wrong type", "None", lambda: None
    for text in ("text", ""):
        yield "wrong type", repr(text), lambda text=text: text
    yield "wrong type", "bytes", lambda: b"bytes"
    yield "wrong type", "[]", list
    yield "wrong type", "()", tuple
    yield "wrong type", "{}", dict
    yield "wrong type", "a set", lambda: {1.0, 2.0}
    yield "wrong type", "a mapping", lambda: {"a": 1.0}
    yield "wrong type", "an object", object
    yield "wrong type", "a function of nothing", lambda: lambda: None
    yield "wrong type", "a class", lambda: int
    yield "wrong type", "a path", lambda: Path("/nowhere/at/all")
    yield "wrong type", "an iterator", lambda: iter([1.0, 0.5, 0.0])
    yield "wrong type", "an ellipsis", lambda: ...
    yield "wrong type", "a module", lambda: np
    yield "wrong type", "nested lists", lambda: [[1.0, 2.0], [3.0]]
    yield "wrong type", "a list of text", lambda: ["a", "b"]
    yield "wrong type", "a list of None", lambda: [None, None]
    yield "wrong type", "a dtype", lambda: torch.float32
    yield "wrong type", "a torch generator", lambda: torch.Generator().manual_seed(0)
    yield "wrong type", "a numpy generator", lambda: np.random.default_rng(0)
    yield "wrong type", "random.Random", lambda: random.Random(0)
    yield "wrong type", "Decimal", lambda: Decimal("0.3")
    yield "wrong type", "Fraction", lambda: Fraction(1, 3)
    yield "wrong type", "complex", lambda: 1j
    yield "wrong type", "True", lambda: True
    for number in (0, -1, 7, 2.5, -0.5):
        yield "number", repr(number), lambda number=number: number
    for number in (1e300, 1e-300, -1e300, 10**400):
        yield "huge and tiny", repr(number)[:6], lambda number=number: number
    for number in (NAN, INF, -INF):
        yield "NaN, inf", repr(number), lambda number=number: number
    yield "wrong dtype", "a tensor of integers", lambda: torch.tensor([[1, 2, 3]])
    yield "wrong dtype", "a tensor of booleans", lambda: torch.tensor([True, False])
    yield "wrong dtype", "a complex tensor", lambda: torch.ones(2, dtype=torch.complex64)
    yield "wrong shape", "a tensor of no dimension", lambda: torch.tensor(0.7)
    yield "wrong shape", "an empty tensor", lambda: torch.zeros(0)
    yield "wrong shape", "a tensor of five dimensions", lambda: torch.ones(1, 2, 1, 2, 1)
    yield "meta", "a meta tensor", lambda: torch.ones(2, 2, device="meta")
    yield "sparse", "a sparse tensor", lambda: torch.eye(2).to_sparse()
    yield "float8", "a float8 tensor", lambda: torch.ones(2, 2).to(torch.float8_e4m3fn)
    yield "NaN, inf", "a tensor of NaN", lambda: torch.full((2, 2), NAN)
    yield "odd numpy", "an array of objects", lambda: np.array([object(), None])
    yield "odd numpy", "an array of text", lambda: np.array(["a", "b"])
    yield "odd numpy", "an array of dates", lambda: np.array(["2022-03-18"], "datetime64[D]")
    yield "odd numpy", "a structured array", lambda: np.zeros(2, [("a", "f4"), ("b", "i4")])
    yield "odd numpy", "an empty array", lambda: np.zeros((0, 3))
    yield "odd numpy", "a masked array", lambda: np.ma.masked_array([1.0, 2.0], [True, False])
    yield "odd numpy", "a numpy integer", lambda: np.int8(2)
    yield "odd numpy", "a numpy half", lambda: np.float16(0.5)


def _arrays(value: Tensor | np.ndarray) -> Iterator[Kind]:
    tensor = torch.as_tensor(value).clone()
    back = (lambda x: x) if isinstance(value, Tensor) else lambda x: x.numpy()

    def kind(family: str, name: str, f: Callable[[Tensor], Any]) -> Kind:
        return family, name, lambda: f(tensor.clone())

    def with_entry(x: Tensor, entry: float) -> Any:
        if x.numel() and x.is_floating_point():
            x.view(-1)[-1] = entry
        return back(x)

    for entry in (NAN, INF, -INF):
        yield kind("NaN, inf", f"one entry {entry}", lambda x, e=entry: with_entry(x, e))
    for scale in (1e300, 1e-300, 1e-40, 3e38, -1.0, 0.0):
        family = "number" if abs(scale) <= 1 and scale != 1e-40 and scale != 1e-300 else None
        family = family or "huge and tiny"
        yield kind(family, f"{scale:g} times", lambda x, k=scale: back(x * k))
        double = kind(
            family, f"{scale:g} times, in double", lambda x, k=scale: back(x.double() * k)
        )
        yield double
    yield kind("wrong shape", "the first entry", lambda x: back(x[0] if x.ndim else x))
    yield kind("wrong shape", "one dimension more", lambda x: back(x[None]))
    yield kind(
        "wrong shape",
        "the axes turned",
        lambda x: back(x.T.contiguous() if x.ndim == 2 else x.movedim(0, -1) if x.ndim else x),
    )
    yield kind(
        "wrong shape", "twice as wide", lambda x: back(torch.cat([x, x], -1) if x.ndim else x)
    )
    yield kind("wrong shape", "flat", lambda x: back(x.reshape(-1)))
    yield kind("wrong shape", "no batch at all", lambda x: back(x[:0] if x.ndim else x))
    yield kind("wrong shape", "twice the batch", lambda x: back(torch.cat([x, x]) if x.ndim else x))
    yield kind("wrong shape", "a batch of one", lambda x: back(x[:1] if x.ndim else x))
    for dtype in (torch.int64, torch.uint8, torch.bool, torch.complex64, torch.complex128):
        yield kind("wrong dtype", str(dtype), lambda x, d=dtype: back(x.to(d)))
    yield kind("half precision", "float16", lambda x: back(x.to(torch.float16)))
    yield kind("half precision", "bfloat16", lambda x: x.to(torch.bfloat16))
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        yield kind("float8", str(dtype), lambda x, d=dtype: x.to(d))
    yield kind("meta", "on meta", lambda x: x.to("meta"))
    yield kind("sparse", "sparse", lambda x: x.to_sparse())
    yield kind("sparse", "rows compressed", lambda x: x.to_sparse_csr() if x.ndim == 2 else x)
    yield kind("right, in another way", "double", lambda x: x.double())
    yield kind("right, in another way", "with a gradient", lambda x: x.double().requires_grad_())
    yield kind("right, in another way", "a parameter", lambda x: torch.nn.Parameter(x.double()))
    yield kind("right, in another way", "strided", lambda x: torch.stack([x, x], -1)[..., 0])
    yield kind("right, in another way", "a list", lambda x: x.tolist())
    yield kind("right, in another way", "an array of numpy", lambda x: x.numpy())
    for dtype in ("f2", ">f8", "g", "O", "i2", "U5"):
        yield kind("odd numpy", f"dtype {dtype}", lambda x, d=dtype: x.numpy().astype(d))
    yield kind("odd numpy", "read-only", lambda x: _read_only(x.numpy()))
    yield kind("odd numpy", "backwards", lambda x: x.numpy()[::-1] if x.ndim else x.numpy())
    yield kind("odd numpy", "masked", lambda x: np.ma.masked_array(x.numpy(), x.numpy() > 0))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _numbers(value: float) -> Iterator[Kind]:
    def kind(family: str, name: str, f: Callable[[], Any]) -> Kind:
        return family, name, f

    for scale in (-1, 1e3, 1e-3, 1e150, 1e-150):
        family = "huge and tiny" if abs(scale) in (1e150, 1e-150) else "number"
        yield kind(family, f"{scale:g} times", lambda k=scale: value * k)
    yield kind("wrong type", "as text", lambda: str(value))
    yield kind("wrong type", "in a list", lambda: [value])
    yield kind("wrong shape", "a tensor of one entry", lambda: torch.tensor([float(value)]))
    yield kind("wrong shape", "a tensor of two entries", lambda: torch.tensor([float(value)] * 2))
    yield kind("wrong dtype", "complex", lambda: complex(value))
    yield kind("wrong dtype", "a complex tensor", lambda: torch.tensor(complex(value)))
    yield kind("meta", "a number on meta", lambda: torch.tensor(float(value), device="meta"))
    yield kind("right, in another way", "0-d tensor", lambda: torch.tensor(value))
    yield kind(
        "right, in another way",
        "0-d with gradient",
        lambda: torch.tensor(float(value), requires_grad=True),
    )
    yield kind("right, in another way", "numpy float64", lambda: np.float64(value))
    yield kind("odd numpy", "longdouble", lambda: np.longdouble(value))
    yield kind("odd numpy", "numpy complex", lambda: np.complex64(value))
    yield kind("odd numpy", "0-d array", lambda: np.array(value))


def _lists(value: tuple | list) -> Iterator[Kind]:
    make = type(value)
    for name, entry in (
        ("NaN", NAN),
        ("inf", INF),
        ("None", None),
        ("text", "1"),
        ("negative", -1),
        ("0", 0),
        ("half", 1.5),
        ("a list", [1]),
        ("True", True),
        ("complex", 1j),
        ("1e300", 1e300),
        ("1e-300", 1e-300),
        ("numpy", np.int64(1)),
        ("a tensor", torch.tensor(1)),
    ):
        family = {"NaN": "NaN, inf", "inf": "NaN, inf", "1e300": "huge and tiny"}.get(
            name, "number"
        )
        family = "wrong type" if name in ("None", "text", "a list", "complex") else family
        yield family, f"last entry {name}", lambda entry=entry: make([*value[:-1], entry])
    yield "wrong shape", "one entry fewer", lambda: make(value[:-1])
    yield "wrong shape", "one entry more", lambda: make([*value, value[-1]])
    yield "wrong shape", "one entry", lambda: make(value[:1])
    yield "wrong shape", "backwards", lambda: make(value[::-1])
    yield (
        "right, in another way",
        "the other sequence",
        lambda: (list if make is tuple else tuple)(value),
    )
    yield "right, in another way", "an array", lambda: np.array(value)
    yield "right, in another way", "a tensor", lambda: torch.tensor(value)


def _generators() -> Iterator[Kind]:
    def torch_ones(count: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(k) for k in range(count)]

    yield "generator", "one in a list", lambda: torch_ones(1)
    yield "generator", "three", lambda: torch_ones(3)
    yield "generator", "seeds", lambda: [1, 2]
    yield "generator", "one and None", lambda: [*torch_ones(1), None]
    yield "generator", "numpy's in a list", lambda: [np.random.default_rng(0)] * 2
    yield "generator", "the same twice", lambda: torch_ones(1) * 2
    yield "generator", "numpy's old state", lambda: np.random.RandomState(0)


def other_operators(op: SVDOperator) -> Iterator[Kind]:
    def with_s(entry: float) -> SVDOperator:
        changed = op.to(torch.float64)
        changed.s = changed.s.clone()
        changed.s.view(-1)[-1] = entry
        return changed

    yield "wrong type", "its matrix", op.matrix
    yield "wrong type", "its matrix of numpy", lambda: op.matrix().numpy()
    yield "wrong type", "as scipy's", op.as_scipy
    yield "wrong type", "its class", lambda: type(op)
    yield "wrong type", "a function", lambda: lambda x: op(x)
    yield "wrong shape", "of another shape", lambda: Dense(torch.eye(5))
    for entry in (NAN, INF, -1.0):
        yield "NaN, inf", f"s with {entry}", lambda entry=entry: with_s(entry)
    for entry in (1e300, 1e-300):
        yield "huge and tiny", f"s with {entry}", lambda entry=entry: with_s(entry)
    yield "meta", "on meta", lambda: op.to("meta")
    yield "right, in another way", "in float32", lambda: op.to(torch.float32)
    yield "half precision", "in float16", lambda: op.to(torch.float16)
    yield "float8", "in float8", lambda: op.to(torch.float8_e4m3fn)


def callables(good: Callable[..., Any]) -> Iterator[Kind]:
    """The good function, spoilt: what it returns, or what it does to what it is given."""

    def after(change: Callable[[Any], Any]) -> Callable[[], Any]:
        return lambda: lambda *a, **k: change(good(*a, **k))

    def first_tensor(arguments: tuple) -> Tensor | None:
        return next((a for a in arguments if isinstance(a, Tensor) and a.ndim), None)

    def before(change: Callable[[tuple], None]) -> Callable[[], Any]:
        def spoilt(*a: Any, **k: Any) -> Any:
            result = good(*a, **k)
            change(a)
            return result

        return lambda: spoilt

    def raising(*a: Any, **k: Any) -> None:
        raise OwnError("The caller's own.")

    def on_tensor(f: Callable[[Tensor], Any]) -> Callable[[Any], Any]:
        return lambda result: f(result) if isinstance(result, Tensor) else result

    def one_image(x: Tensor) -> Tensor:
        x = x.clone()
        x.reshape(len(x), -1)[-1] = NAN if x.is_floating_point() else 0
        return x

    yield "result", "the caller's own error", lambda: raising
    for name, change in (
        ("None", lambda x: None),
        ("a number", lambda x: 0.5),
        ("text", lambda x: "text"),
        ("a tuple", lambda x: (x, x)),
        ("a list", lambda x: [x]),
        ("a dict", lambda x: {"sample": x}),
        ("numpy", on_tensor(lambda x: x.detach().numpy())),
        ("lists", on_tensor(lambda x: x.tolist())),
        ("an iterator", lambda x: iter([x])),
    ):
        yield "result", f"returns {name}", after(change)
    for name, tensor_change in (
        ("NaN", lambda x: x * NAN),
        ("inf", lambda x: x + INF),
        ("NaN in one image", one_image),
        ("complex", lambda x: x.to(torch.complex64)),
        ("integers", lambda x: x.long()),
        ("booleans", lambda x: x > 0),
        ("meta", lambda x: x.to("meta")),
        ("sparse", lambda x: x.to_sparse()),
        ("float8", lambda x: x.to(torch.float8_e4m3fn)),
        ("half", lambda x: x.to(torch.float16)),
        ("no dimension", lambda x: x.sum()),
        ("twice the channels", lambda x: torch.cat([x, x], 1) if x.ndim > 1 else x),
        ("one image fewer", lambda x: x[1:]),
        ("one dimension more", lambda x: x[None]),
        ("1e300 times", lambda x: x.double() * 1e300),
        ("1e30 times", lambda x: x * 1e30),
    ):
        yield "result", f"returns {name}", after(on_tensor(tensor_change))

    def fill(a: tuple) -> None:
        if (x := first_tensor(a)) is not None:
            with torch.no_grad():
                x.fill_(7.0)

    def level(a: tuple) -> None:
        for x in a:
            if isinstance(x, Tensor) and not x.ndim:
                x.mul_(0.5)

    yield "in place", "fills x", before(fill)
    yield "in place", "halves sigma", before(level)
