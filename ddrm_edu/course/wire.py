"""What the examiner and a student's process say to each other: plain values, one frame each.

A frame is four bytes of length and JSON; arrays travel as bytes with their dtype and shape.
Nothing is pickled: what arrives becomes numbers, texts, arrays and containers of them, and no code.
A function stays where it is.  The other side gets its number and a stand-in that asks for each
call, so an exercise examines a student's function, or operator, as if it were at hand.
"""

from __future__ import annotations

import base64
import builtins
import json
import math
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddrm_edu.operators import SVDOperator

LARGEST = 2**26  # bytes of one frame
LONGEST = 2_000  # characters of what an exception says
_DTYPES = {
    *("bool", "uint8", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
}


class Gone(RuntimeError):
    """The other side ended, took too long, or does not keep to the protocol."""


class Remote:
    """A function of the other side; to call it is to ask for its value."""

    __slots__ = ("_handle", "_peer")  # nothing hangs on it for who counts what an operator stores

    def __init__(self, peer: Peer, handle: int) -> None:
        self._peer, self._handle = peer, handle

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._peer.ask("call", handle=self._handle, args=args, options=options)


class RemoteOperator(SVDOperator):
    """An operator of the other side: shapes and s are here, V, Vt, U and Ut are asked for."""

    def __init__(self, in_shape: Any, out_shape: Any, s: Any, methods: Any, stored: int) -> None:
        for shape in (in_shape, out_shape):
            if not all(type(side) is int and side > 0 for side in shape):
                raise TypeError(f"a shape has sides that are positive integers, not {shape}")
            if math.prod(shape) > 2**20:
                raise ValueError(f"an operator on {shape} is larger than any exercise needs")
        if not 0 <= stored <= LARGEST:
            raise ValueError(f"an operator cannot store {stored} bytes")
        if not isinstance(s, Tensor) or not all(isinstance(each, Remote) for each in methods):
            raise TypeError("an operator has a tensor s and four methods")
        self.in_shape, self.out_shape, self.s = tuple(in_shape), tuple(out_shape), s
        self._methods = methods
        self.stored = torch.empty(stored, dtype=torch.uint8)  # as much as it keeps over there

    def V(self, x: Tensor) -> Tensor:
        return self._methods[0](x)

    def Vt(self, x: Tensor) -> Tensor:
        return self._methods[1](x)

    def U(self, x: Tensor) -> Tensor:
        return self._methods[2](x)

    def Ut(self, y: Tensor) -> Tensor:
        return self._methods[3](y)


class Peer:
    """One end of the wire.

    Parameters
    ----------
    end : socket
    seconds : float, optional
        How long an answer may take; without end if it is left out.
    trusting : bool
        Whether the other side may hand over functions when it calls one of ours.

    Attributes
    ----------
    seconds : float or None
        As given.
    last : float
        When, on the monotonic clock, nothing more may be asked.
    calls : dict
        What the other side may ask for, by its name in a request.
    failed : bool
        Whether the other side has answered with an exception.
    gone : str
        Why nothing more can be asked; empty while it can.
    """

    def __init__(
        self, end: socket.socket, *, seconds: float | None = None, trusting: bool = False
    ) -> None:
        self._end, self.seconds, self._trusting = end, seconds, trusting
        self._functions: list[Callable[..., Any]] = []
        self._asked = 0  # an answer says to which question: who sends more answers is found out
        self.calls: dict[str, Callable[..., Any]] = {"call": self._call}
        self.last = math.inf
        self.failed = False
        self.gone = ""

    def ask(self, what: str, **about: Any) -> Any:
        """The other side's answer; its exception is raised here, and so is `Gone`."""
        if self.gone:
            raise Gone(self.gone)
        self._asked += 1
        number = self._asked
        self._send(_frame({"do": what, "about": self.pack(about), "number": number}))
        until = self.last
        if self.seconds is not None:
            until = min(until, time.monotonic() + self.seconds)
        while True:
            message = self._receive(until)
            if "do" in message:  # it needs one of our functions first
                self._serve(message, self._trusting)
                continue
            try:
                if message["to"] != number:
                    raise ValueError("an answer to nothing")
                if "value" in message:
                    return self.unpack(message["value"])
                name, text = message["error"]
                error = _exception(name, text)
            except Exception as garbage:
                raise self._lost(f"it sent garbage ({type(garbage).__name__})") from None
            self.failed = True
            raise error

    def serve(self) -> None:
        """Answer until the other side hangs up."""
        while True:
            self._serve(self._receive(math.inf), trusting=True)

    def forget(self) -> None:
        """Take back all functions that were handed over."""
        self._functions.clear()

    def _serve(self, message: dict[str, Any], trusting: bool) -> None:
        to = {"to": message.get("number")}
        try:
            about = self.unpack(message["about"], trusting)
            value = self.calls[message["do"]](**about)
            frame = _frame({"value": self.pack(value)} | to)
        except Gone:
            raise
        except Exception as error:
            frame = _frame({"error": [type(error).__name__, str(error)[:LONGEST]]} | to)
        self._send(frame)

    def _call(self, handle: int, args: Any, options: Any) -> Any:
        return self._functions[handle](*args, **options)

    def _send(self, frame: bytes) -> None:
        try:
            self._end.settimeout(self.seconds)
            self._end.sendall(frame)
        except OSError as error:
            raise self._lost(_ended(error)) from None

    def _receive(self, until: float) -> dict[str, Any]:
        size = int.from_bytes(self._read(4, until), "big")
        if size > LARGEST:
            raise self._lost("it sent garbage (a frame that is too large)")
        try:
            message = json.loads(self._read(size, until))
            if not isinstance(message, dict):
                raise TypeError
        except (ValueError, TypeError, RecursionError):
            raise self._lost("it sent garbage (no JSON)") from None
        return message

    def _read(self, size: int, until: float) -> bytes:
        pieces = []
        while size:
            left = until - time.monotonic()
            if left <= 0:
                raise self._lost("it took too long")
            try:
                self._end.settimeout(None if left == math.inf else left)
                piece = self._end.recv(min(size, 2**20))
            except OSError as error:
                raise self._lost(_ended(error)) from None
            if not piece:
                raise self._lost("its process ended")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _lost(self, why: str) -> Gone:
        self.gone = self.gone or why
        return Gone(self.gone)

    def pack(self, value: Any) -> Any:
        """The value as JSON has it."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if value is ...:
            return {"is": "dots"}
        if isinstance(value, Tensor | np.ndarray | np.generic):
            return _packed_array(value)
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return {"is": kind, "of": [self.pack(each) for each in value]}
        if isinstance(value, dict):
            return {"is": "dict", "of": [[self.pack(k), self.pack(v)] for k, v in value.items()]}
        if isinstance(value, SVDOperator):
            stored = _bytes(each for name, each in vars(value).items() if name != "s")
            shapes = (tuple(value.in_shape), tuple(value.out_shape))
            methods = (value.V, value.Vt, value.U, value.Ut)
            return {"is": "operator", "of": self.pack([*shapes, value.s, methods, stored])}
        if callable(value):
            self._functions.append(value)
            return {"is": "function", "of": len(self._functions) - 1}
        return {"is": "object", "of": type(value).__name__}

    def unpack(self, value: Any, trusting: bool = True) -> Any:
        """The value that `pack` made JSON of; an exception if it is none."""
        if not isinstance(value, dict):
            if isinstance(value, list):
                raise TypeError("a list without its kind")
            return value
        kind = value["is"]
        of: Any = value.get("of")
        match kind:
            case "dots":
                return ...
            case "array":
                return _array(**of)
            case "list" | "tuple":
                return (list if kind == "list" else tuple)(self.unpack(v, trusting) for v in of)
            case "dict":
                return {self.unpack(k, trusting): self.unpack(v, trusting) for k, v in of}
            case "operator" if trusting:
                return RemoteOperator(*self.unpack(of))
            case "function" if trusting:
                return Remote(self, int(of))
            case "object":
                return type(str(of)[:80], (), {})()
        raise ValueError(f"nothing of the kind {kind!r} is expected here")


def _bytes(values: Iterable[Any]) -> int:
    """What the tensors among the values store, each memory counted once."""
    storages = [each.untyped_storage() for each in values if isinstance(each, Tensor)]
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def _frame(message: dict[str, Any]) -> bytes:
    data = json.dumps(message).encode()
    if len(data) > LARGEST:
        raise ValueError(f"{len(data):,} bytes are more than any exercise needs")
    return len(data).to_bytes(4, "big") + data


def _ended(error: OSError) -> str:
    return "it took too long" if isinstance(error, TimeoutError) else "its process ended"


def _packed_array(value: Any) -> dict[str, Any]:
    kind = "scalar" if isinstance(value, np.generic) else "numpy"
    if isinstance(value, Tensor):
        kind = "torch"
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).resolve_conj().numpy()
    if value.dtype.name not in _DTYPES:
        return {"is": "object", "of": f"array of {value.dtype.name}"}
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return {
        "is": "array",
        "of": {"kind": kind, "dtype": value.dtype.name, "shape": value.shape, "data": data},
    }


def _array(kind: str, dtype: str, shape: list[int], data: str) -> Any:
    if dtype not in _DTYPES:
        raise ValueError(f"an array of {dtype!r} is not expected")
    array = np.frombuffer(base64.b64decode(data, validate=True), np.dtype(dtype))
    array = array.reshape(shape).copy()
    if kind == "torch":
        return torch.from_numpy(array)
    return array[()] if kind == "scalar" else array


def _exception(name: str, text: str) -> Exception:
    """Python's own exception of that name; any other one is a RuntimeError that says its name."""
    kind = getattr(builtins, name, None)
    text = str(text)[:LONGEST]
    if isinstance(kind, type) and issubclass(kind, Exception) and kind is not StopIteration:
        try:
            return kind(text)
        except TypeError:  # UnicodeDecodeError and its like want more
            pass
    return RuntimeError(f"{name}: {text}")
