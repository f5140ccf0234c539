"""The student's process: runs cells that it is given, and answers for the functions in them.

Started by `ddrm_edu.course.cage`, with one number: that of the socket to the examiner.  There are
no exercises and no solutions here.  What a cell prints goes nowhere, and `exercise` only notes the
answer that it is given.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_PR_SET_NO_NEW_PRIVS = 38


class TimeIsUp(BaseException):
    """Not an Exception: a student's `except Exception` does not catch it."""


def _time_is_up(*_: Any) -> None:
    raise TimeIsUp


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """An endless loop costs one exercise; whoever defies this is ended by the examiner."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except TimeIsUp:
        raise TimeoutError(f"it did not end within {seconds:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def become(user: int) -> None:
    """Give up the rights of root, and all ways to more rights."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    for name in ("HOME", "TMPDIR"):
        os.environ[name] = os.getcwd()


def limit(memory: int, processes: int, files: int) -> None:
    """Limits of the kernel, on top of what Python and the libraries take themselves."""
    taken, running = 0, 0
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        running = sum(1 for _ in Path("/proc").glob("[0-9]*/task/[0-9]*"))
    for what, most in (
        (resource.RLIMIT_AS, taken + memory),
        (resource.RLIMIT_NPROC, running + processes),
        (resource.RLIMIT_FSIZE, files),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError):  # macOS knows no limit of memory
            resource.setrlimit(what, (most, most))


def leaks(secrets: list[str], places: list[str]) -> list[str]:
    """What is possible here that must not be, in words; it is tried."""
    found = [f"it can read {path}" for path in secrets if os.access(path, os.R_OK)]
    for place in places:
        probe = Path(place) / f"written-by-{os.getpid()}"
        with contextlib.suppress(OSError):
            probe.write_text("")
            probe.unlink()
            found.append(f"it can write to {place}")
    for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as outwards:
            outwards.connect((address, 9))  # sends nothing, but fails if there is no way out
            found.append("it reaches the network")
    if os.getuid() == 0:
        found.append("it is root")
    return found


def main() -> None:
    """Obey the examiner at the socket whose number is the only argument."""
    end = socket.socket(fileno=int(sys.argv[1]))
    user = int(sys.argv[2])
    if sys.platform == "linux":  # if the machine's memory ends, this one goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    if user:
        become(user)

    import IPython
    from traitlets.config import Config

    from ddrm_edu.course import engine
    from ddrm_edu.course.wire import Gone, Peer

    given: dict[str, Any] = {}

    def exercise(id: str, answer: Any = ..., *, hints: int = 0) -> None:
        given[str(id)] = answer

    engine.exercise = exercise  # where the library takes it from, when a cell asks for it
    quiet = Config()
    quiet.HistoryManager.enabled = False
    shell = IPython.core.interactiveshell.InteractiveShell.instance(config=quiet)
    peer = Peer(end)
    seconds = 0.0

    def start(alarm: float, **limits: int) -> None:
        nonlocal seconds
        seconds = alarm
        limit(**limits)

    def run(source: str) -> tuple[dict[str, Any], list[str] | None]:
        given.clear()
        with _at_most(seconds):
            result = shell.run_cell(source)
        error = result.error_before_exec or result.error_in_exec
        if isinstance(error, TimeIsUp):
            error = TimeoutError(f"it did not end within {seconds:g} s")
        return given, error and [type(error).__name__, str(error)]

    def call(*args: Any, **options: Any) -> Any:
        with _at_most(seconds):
            return calls(*args, **options)

    calls: Callable[..., Any] = peer.calls["call"]
    peer.calls |= {"start": start, "run": run, "call": call, "leaks": leaks}
    signal.signal(signal.SIGALRM, _time_is_up)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    with contextlib.suppress(Gone):
        peer.serve()


if __name__ == "__main__":
    main()
