"""Where a student's process runs: what it sees, may write and can reach.

Three cages.  *bubblewrap* shows the process Python, its packages and this library without exercises
and solutions, read-only, a scratch folder in memory, and nothing else: no files, processes or
network of the machine.  *user* is for a container, which is the wall itself: the process becomes a
user of its own.  *none* has limits only.  A cage is not believed but tried: `chosen` lets
a process in it read, write and reach what it must not, and refuses if anything succeeds.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .wire import Gone, Peer

PACKAGE = Path(__file__).resolve().parents[1]
_START = 120.0  # seconds until Python and the libraries must be there
_FIRST_USER = 60_600  # between 60,578 and 61,183 nobody gives out numbers
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")


@dataclass(frozen=True)
class Limits:
    """What one copy may use.

    Attributes
    ----------
    seconds : float
        For one cell, and for one call of a function.
    copy : float
        Seconds for the whole copy.
    memory : int
        Bytes of one process, beyond what Python and its libraries take.
    processes : int
        Processes and threads of one copy at a time.
    files : int
        Bytes of one file, and of the scratch folder of bubblewrap.
    """

    seconds: float = 30.0
    copy: float = 600.0
    memory: int = 2**31
    processes: int = 64
    files: int = 2**26


@dataclass(frozen=True)
class Cage:
    """How a student's process is started.

    ``library`` holds the package without exercises; it is made by `library`.
    """

    kind: Literal["bubblewrap", "user", "none"]
    library: Path
    limits: Limits = field(default_factory=Limits)

    @contextlib.contextmanager
    def student(self, place: int = 0) -> Iterator[Peer]:
        """A new process, ready for cells; it and all that it started is ended afterwards.

        Of processes that run at the same time, each has another ``place``.
        """
        ours, theirs = socket.socketpair()
        user = _FIRST_USER + place if self.kind != "none" and os.getuid() == 0 else 0
        with ours, tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
            scratch = "/tmp" if self.kind == "bubblewrap" else folder
            if user and self.kind == "user":
                os.chown(scratch, user, user)
            python = [sys.executable, "-P", "-m", f"{__package__}.candidate"]
            with theirs:
                process = subprocess.Popen(
                    [*self._wrapping(user), *python, str(theirs.fileno()), str(user)],
                    pass_fds=[theirs.fileno()],
                    cwd=folder,
                    env=self._environment(scratch),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
            try:
                peer = Peer(ours, seconds=_START, trusting=False)
                try:
                    peer.ask("leaks", secrets=[], places=[])
                except Gone as error:
                    said.seek(0)
                    last = said.read().decode(errors="replace").strip().splitlines()[-1:]
                    words = " ".join(last) or "nothing"
                    raise RuntimeError(f"{error}, and said: {words}") from None
                # The process has an alarm of its own; whoever defies it is ended from here.
                peer.seconds = 2 * self.limits.seconds + 5
                yield peer
            finally:
                _end(process, user if self.kind == "user" else 0)

    def _environment(self, scratch: str) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join([str(self.library), *_packages()]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MPLBACKEND": "Agg",
            "USER": "student",
            **dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"), scratch),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }

    def _wrapping(self, user: int) -> list[str]:
        if self.kind != "bubblewrap":
            return []
        shown = [*_SYSTEM, sys.prefix, sys.base_prefix, *_packages()]
        above = {folder for path in [*shown, str(self.library)] for folder in Path(path).parents}
        # A user namespace is what gives others than root the right to all this; root has it, and
        # needs a bit of it still, to become somebody else.
        rights = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if user else []
        namespaces = ["ipc", "pid", "net", "uts", *([] if user else ["user"])]
        return [
            "bwrap",
            *(f"--unshare-{each}" for each in namespaces),
            *rights,
            *("--die-with-parent", "--new-session"),
            *("--perms", "1777", "--size", str(self.limits.files), "--tmpfs", "/tmp"),
            # bubblewrap makes the folders above a mount for root alone.
            *(
                part
                for path in sorted(above)[1:]
                for part in ("--perms", "755", "--dir", str(path))
            ),
            *(part for path in shown for part in ("--ro-bind-try", path, path)),
            *(part for path in _hidden(shown) for part in ("--tmpfs", path)),
            *("--ro-bind", str(self.library), str(self.library)),
            *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--remount-ro", "/"),
            *("--chdir", "/tmp", "--"),
        ]


def _packages() -> list[str]:
    """Where Python finds what was installed."""
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def _hidden(shown: Sequence[str]) -> list[str]:
    """Folders with exercises or solutions that lie in what is shown."""
    places = [Path(path) / "ddrm_edu" for path in _packages()]
    places += [PACKAGE, PACKAGE.parent / "lectures"]
    inside = [p for p in places if p.is_dir() and any(p.is_relative_to(path) for path in shown)]
    return sorted(set(map(str, inside)))


def _end(process: subprocess.Popen[bytes], user: int) -> None:
    """End the process, its group, and whatever else runs as its user."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()
    if user:
        everything = ["/bin/sh", "-c", "kill -9 -1"]
        subprocess.run(everything, user=user, group=user, extra_groups=[], check=False)


@contextlib.contextmanager
def library() -> Iterator[Path]:
    """A folder with this package, but without its exercises."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copy = Path(folder) / "ddrm_edu"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("exercises", "__pycache__"))
        compileall.compile_dir(copy, quiet=2)
        yield Path(folder)


def chosen(library: Path, limits: Limits, secrets: Sequence[Path], *, unsafe: bool) -> Cage:
    """The first cage from which nothing leaks.

    Parameters
    ----------
    library : Path
        As made by `library`.
    limits : Limits
    secrets : sequence of Path
        What a student must not read, besides the exercises: the other copies, the solutions.
    unsafe : bool
        Take limits for enough.

    Raises
    ------
    ValueError
        If there is none, with what leaks from each.
    """
    if unsafe:
        return Cage("none", library, limits)
    private = [*secrets, PACKAGE / "course" / "exercises"]
    writable = [*secrets, PACKAGE, library]
    common = ("/", "/usr", "/etc", "/tmp", "/var/tmp", "/dev/shm", tempfile.gettempdir())
    for place in (*common, sys.prefix, os.getcwd(), os.path.expanduser("~")):
        writable.append(Path(place))
    reasons = []
    kinds: tuple[Any, ...] = ("bubblewrap", "user")
    for cage in (Cage(kind, library, limits) for kind in kinds):
        leaks = _leaks(cage, list(map(str, private)), list(map(str, writable)))
        if not leaks:
            return cage
        reasons.append(f"{cage.kind}: {'; '.join(leaks)}")
    raise ValueError(
        "What students wrote is run only where it can do no harm, and neither way is open here. "
        f"{'. '.join(reasons)}. Install bubblewrap (apt install bubblewrap), or use the container "
        "of lectures/GRADING.md; --unsafe runs it all the same, with your rights."
    )


def _leaks(cage: Cage, secrets: list[str], places: list[str]) -> list[str]:
    if cage.kind == "bubblewrap" and not shutil.which("bwrap"):
        return ["bwrap is not installed"]
    if cage.kind == "user" and os.getuid() != 0:
        return ["only root can become another user"]
    if cage.kind == "bubblewrap":
        places = [place for place in places if place != "/tmp"]  # its own, in memory
    try:
        with cage.student() as peer:
            return list(peer.ask("leaks", secrets=secrets, places=places))
    except (OSError, RuntimeError) as error:
        return [f"the process does not start: {error}"]
