"""The wire between examiner and student: values arrive as they are, and nothing else arrives."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import numpy as np
import pytest
import torch
from notebooks import LECTURES, SOLUTIONS, exercise_cells

import ddrm_edu
from ddrm_edu.course import wire
from ddrm_edu.course.engine import load
from ddrm_edu.course.grading import judged
from ddrm_edu.course.wire import Gone, Peer

ALL = [each for lecture in LECTURES for each in load(lecture)]


@contextlib.contextmanager
def other_side(value=None, **calls):
    """A peer whose other side answers in a thread, and gives ``value`` when it is asked for."""
    ours, theirs = socket.socketpair()
    student = Peer(theirs)
    student.calls |= {"value": lambda: value, **calls}

    def serve():
        with contextlib.suppress(Gone):
            student.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Peer(ours, seconds=20.0)
    finally:
        ours.close()
        thread.join()
        theirs.close()


@contextlib.contextmanager
def raw():
    """A peer, and the socket of an other side that sends what a test likes."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Peer(ours, seconds=0.3), theirs


def frame(message) -> bytes:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    "value",
    [None, True, 7, -0.25, float("inf"), "right", ..., (1, [2.0, "x"]), {"a": 1, (2, 3): None}, ()],
    ids=repr,
)
def test_plain_values_arrive_as_they_are(value):
    with other_side(value) as peer:
        assert peer.ask("value") == value
        assert type(peer.ask("value")) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([[1.5, float("nan")], [0.0, -2.0]]),
        torch.tensor(3, dtype=torch.int16),
        torch.zeros(0, 4, dtype=torch.float64),
        torch.arange(6).reshape(2, 3).T,
        torch.tensor([True, False]),
        torch.tensor([1 + 2j]).conj(),
        torch.ones(2, requires_grad=True) * 0.5,
        np.linspace(0, 1, 5)[::-2],
        np.float32(0.1),
        np.int64(-3),
    ],
    ids=lambda value: f"{type(value).__name__} of {value.dtype}",
)
def test_arrays_keep_library_dtype_and_shape(value):
    with other_side(value) as peer:
        got = peer.ask("value")
    assert type(got) is type(value)
    assert got.dtype == value.dtype
    assert tuple(got.shape) == tuple(value.shape)
    plain = value.detach().resolve_conj().numpy() if isinstance(value, torch.Tensor) else value
    np.testing.assert_array_equal(np.asarray(got), plain)


def test_a_bfloat16_array_keeps_its_values_and_an_object_only_its_name():
    with other_side(
        (torch.tensor(0.5, dtype=torch.bfloat16), {1, 2}, np.array([object()]))
    ) as peer:
        half, unknown, objects = peer.ask("value")
    assert half == 0.5
    assert type(unknown).__name__ == "set"
    assert type(objects).__name__ == "array of object"


def test_functions_are_called_where_they_are_in_both_directions():
    with other_side(lambda f, x, *, times=1: f(x) * times) as peer:
        scaled = peer.ask("value")
        x = torch.tensor([1.0, 2.0])
        assert torch.equal(scaled(lambda x: x + 1, x, times=3), 3 * (x + 1))


def test_an_exception_of_the_other_side_is_raised_here_by_its_name():
    def fails(kind):
        raise {"value": ValueError("so"), "linalg": torch.linalg.LinAlgError("singular")}[kind]

    with other_side(fails) as peer:
        with pytest.raises(ValueError, match=r"^so$"):
            peer.ask("value")("value")
        with pytest.raises(RuntimeError, match=r"^_?LinAlgError: singular$"):
            peer.ask("value")("linalg")
        assert peer.failed
        assert not peer.gone


def test_an_operator_of_the_other_side_is_the_same_linear_map():
    op = ddrm_edu.SuperResolution((2, 4, 6), 2)
    with other_side(op) as peer:
        far = peer.ask("value")
        assert (far.in_shape, far.out_shape) == (op.in_shape, op.out_shape)
        assert torch.equal(far.matrix(), op.matrix())
        assert ddrm_edu.check_operator(far, op.matrix()).ok


def test_an_operator_of_the_other_side_says_how_much_it_stores():
    for m in (3, 5):
        op = ddrm_edu.Dense(torch.eye(m, dtype=torch.float64))
        with other_side(op) as peer:
            told = peer.ask("value").stored
            assert len(told) >= 8 * 2 * m * m  # U and V; s is there besides
            assert len(told) == wire._bytes([v for name, v in vars(op).items() if name != "s"])


def tagged(kind, of):
    return {"is": kind, "of": of}


def array(dtype):
    return tagged("array", {"kind": "numpy", "dtype": dtype, "shape": [9], "data": ""})


PARTS = [tagged("tuple", [10**9]), tagged("tuple", [1]), 1.0, tagged("tuple", []), 0]
HUGE = tagged("operator", tagged("list", PARTS))
GARBAGE = {
    "no JSON": frame(b"\x80\x04N."),  # a pickle
    "deep": frame(b"[" * 100_000),
    "no message": frame([1, 2]),
    "no answer": frame({"valu": 1, "to": 1}),
    "an answer to another question": frame({"value": 1, "to": 2}),
    "a bare list": frame({"value": [1, 2], "to": 1}),
    "an unknown kind": frame({"value": tagged("pickle", "gASVBAAAAA=="), "to": 1}),
    "an array of objects": frame({"value": array("object"), "to": 1}),
    "an array that is too short": frame({"value": array("int8"), "to": 1}),
    "an operator of a billion pixels": frame({"value": HUGE, "to": 1}),
    "an error without text": frame({"error": ["ValueError"], "to": 1}),
    "a frame that is too large": b"\xff\xff\xff\xff",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_the_talk_in_words(sent):
    with raw() as (peer, theirs):
        theirs.sendall(sent)
        with pytest.raises(Gone, match="it sent garbage"):
            peer.ask("value")
        with pytest.raises(Gone, match="it sent garbage"):
            peer.ask("value")  # and nothing more is asked


def test_silence_and_the_end_of_the_other_side_are_told_apart():
    with raw() as (peer, theirs):
        theirs.sendall(frame({"value": 1, "to": 1})[:5])
        with pytest.raises(Gone, match="took too long"):
            peer.ask("value")
    with raw() as (peer, theirs):
        theirs.close()
        with pytest.raises(Gone, match="ended"):
            peer.ask("value")


def test_the_other_side_may_call_only_what_it_was_given_and_hands_over_no_functions():
    nothing = [["handle", 0], ["args", tagged("tuple", [])], ["options", tagged("dict", [])]]
    wanted = [
        {"do": "call", "about": tagged("dict", nothing)},
        {"do": "run", "about": tagged("dict", [])},
        {"do": "call", "about": tagged("function", 0)},
    ]
    with raw() as (peer, theirs):
        for request in wanted:
            theirs.sendall(frame(request))
        theirs.sendall(frame({"value": 5, "to": 1}))
        assert peer.ask("value") == 5
        replies = theirs.recv(10_000)
    for refusal in (b"IndexError", b"KeyError", b"nothing of the kind 'function'"):
        assert refusal in replies


def test_a_frame_that_is_too_large_is_not_sent(monkeypatch):
    monkeypatch.setattr(wire, "LARGEST", 1000)
    with other_side(torch.zeros(1000)) as peer:
        with pytest.raises(ValueError, match="more than any exercise needs"):
            peer.ask("value", numbers=torch.zeros(1000))
        with pytest.raises(ValueError, match="more than any exercise needs"):
            peer.ask("value")
        assert not peer.gone


def test_what_was_handed_over_can_be_taken_back():
    with other_side(lambda f: f()) as peer:
        call = peer.ask("value")
        assert call(lambda: 5) == 5
        peer.forget()
        with pytest.raises(IndexError):
            peer.calls["call"](0, (), {})


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_every_exercise_can_be_examined_over_the_wire(each, monkeypatch):
    """The solution is right; a mistake, three dots and a crash are what they are at home."""
    given = {}
    monkeypatch.setattr(ddrm_edu, "exercise", lambda id, answer: given.update({id: answer}))
    exec(exercise_cells(SOLUTIONS[each.id[:2]])[each.id], {})
    with other_side(given[each.id]) as peer:
        assert judged(each, peer.ask("value"), peer)[0] == "right"
    mistake = each.mistakes[0]
    with other_side(mistake.answer) as peer:
        status, message = judged(each, peer.ask("value"), peer)
        assert (status, message.endswith(f"Hint: {mistake.hint}")) == (
            "wrong",
            True,
        )
    with other_side(...) as peer:
        assert judged(each, peer.ask("value"), peer) == ("empty", "")
