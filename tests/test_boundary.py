"""The door of public functions: what an annotation says is asked of an argument, once a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ddrm_edu import Denoising, NoiseSchedule, SVDOperator
from ddrm_edu.boundary import checked, require_arguments
from ddrm_edu.noise import Generators


@checked
def number(x: float) -> float:
    return x


@checked
def level(sigma: float | Tensor) -> float | Tensor:
    return sigma


@checked
def rate(eta: float | Tensor | str | None = None) -> object:
    return eta


@checked
def image(x: Tensor) -> Tensor:
    return x


@checked
def drawn(generator: Generators = None) -> object:
    return generator


@checked
def measured(op: SVDOperator) -> object:
    return op


@checked
def scheduled(schedule: NoiseSchedule | None = None) -> object:
    return schedule


@checked
def called(f: Callable[[Tensor, Tensor], Tensor]) -> object:
    return f


class Methods:
    def one(self, x):
        return x

    @staticmethod
    def three(x, sigma, t):
        return x


@checked
def made(make: Callable[[], Tensor]) -> object:
    return make


@checked
def joined(f: Callable[[Callable[[int, int], int], Tensor], Tensor]) -> object:
    return f


@checked
def named(*names: str, given: Sequence[str] = ()) -> object:
    return names, given


@checked
def told(flag: bool, path: Path, dtype: torch.dtype) -> object:
    return flag, path, dtype


@checked
def anything(a, b: object = None) -> object:
    return a, b


@pytest.mark.parametrize(
    "given", [2, 2.0, np.float32(2), np.array(2), np.array([2]), torch.tensor([2]), Fraction(2)]
)
def test_a_number_arrives_as_pythons(given):
    assert number(given) == 2
    assert type(number(given)) in (int, float)


def test_what_fits_arrives_as_it_is():
    def empty():
        return x

    x, generator, op, schedule = (
        torch.ones(2),
        torch.Generator(),
        Denoising((2,)),
        NoiseSchedule.linear(3),
    )
    assert image(x) is x
    assert level(x) is x
    assert rate(x) is x
    assert (rate(), rate(None), rate("tight"), rate(0.5)) == (None, None, "tight", 0.5)
    assert drawn(generator) is generator
    assert drawn([generator]) == [generator]
    assert drawn() is None
    assert measured(op) is op
    assert scheduled(schedule) is schedule
    assert scheduled() is None
    assert called(torch.add) is torch.add
    assert made(empty) is empty
    assert joined(torch.add) is torch.add
    assert named("a", "b", given=["c"]) == (("a", "b"), ["c"])
    assert told(np.True_, "a.png", torch.float16) == (True, Path("a.png"), torch.float16)
    assert anything(3, b="x") == (3, "x")


REFUSED = {
    "text": (number, ("2",), {}, "x must be one number, but was '2', of type str"),
    "an int too large": (number, (10**400,), {}, "x must be one number"),
    "by name": (number, (), {"x": None}, "x must be one number, but was None"),
    "two numbers": (number, (torch.ones(2),), {}, r"one number, but was of shape \(2,\)"),
    "a level too large": (level, (1e101,), {}, "sigma must be at most 1e[+]100"),
    "no rate": (rate, ([0.5],), {}, r"eta must be one number, a tensor or a text, but was \[0.5\]"),
    "a complex rate": (rate, (torch.ones(2) * 1j,), {}, "eta must hold real numbers"),
    "an array": (image, (np.ones(2),), {}, "x must be a torch tensor, but was a ndarray"),
    "meta": (image, (torch.ones(2, device="meta"),), {}, "lies on the device meta"),
    "sparse": (image, (torch.eye(2).to_sparse(),), {}, r"dense .* Pass x.to_dense\(\)"),
    "float8": (image, (torch.ones(2).to(torch.float8_e5m2),), {}, "16 bits or more"),
    "booleans": (image, (torch.ones(2) > 0,), {}, "must hold numbers, but was torch.bool"),
    "a seed": (drawn, (5,), {}, r"one torch.Generator, a list with one per image, or None"),
    "no generators": (drawn, ([None],), {}, "one torch.Generator, a list"),
    "a matrix": (measured, (torch.eye(2),), {}, "op must be an SVDOperator, .* from_function"),
    "an empty operator": (measured, (Denoising((2,)).to("meta"),), {}, "op.s .*device meta"),
    "no schedule": (scheduled, (7,), {}, "schedule must be a NoiseSchedule, but was 7"),
    "one argument": (called, (lambda x: x,), {}, "callable with 2 arguments, but: too many"),
    "one argument, bound": (called, (Methods().one,), {}, "2 arguments, but: too many"),
    "three": (called, (Methods.three,), {}, "2 arguments, but: missing a required argument: 't'"),
    "arguments of an argument": (joined, (lambda x: x,), {}, "with 2 arguments, but: too many"),
    "a class": (called, (NoiseSchedule,), {}, "but was the class NoiseSchedule itself"),
    "no callable": (called, (3,), {}, "f must be callable with 2 arguments, but was 3"),
    "a name that is none": (named, ("a", 3), {}, "names must be a text, but was 3"),
    "a list of numbers": (
        named,
        (),
        {"given": [1]},
        r"given must be a list of names, but was \[1\]",
    ),
    "no flag": (told, (1, "a", torch.float32), {}, "flag must be True or False, but was 1"),
    "no path": (told, (True, "", torch.float32), {}, "path must be the path of a file"),
    "no float": (told, (True, "a", torch.int64), {}, "dtype must be one of torch.float32"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name):
    function, arguments, options, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        function(*arguments, **options)


def test_a_missing_argument_is_pythons_own_error():
    with pytest.raises(TypeError, match=r"number.* missing 1 required positional argument: 'x'"):
        number()


def test_methods_and_what_makes_a_class_stand_behind_doors_too():
    @checked
    class Thing:
        def __init__(self, size: float) -> None:
            self.size = size

        def twice(self, by: float) -> float:
            return self.size * by

        @classmethod
        def small(cls, by: float) -> Thing:
            return cls(by)

        def _inner(self, by: float) -> str:
            return by

    assert Thing(Fraction(1, 2)).twice(np.float64(3)) == 1.5
    assert Thing.small(2).size == 2
    assert Thing(1)._inner("text") == "text"
    for call in (Thing, Thing(1).twice, Thing.small):
        with pytest.raises(ValueError, match="must be one number"):
            call("text")


def test_a_function_of_c_is_not_asked_what_it_takes():
    assert require_arguments(max, "f", 2) is max
