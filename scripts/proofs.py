"""Build the machine-checked proofs of proofs/, have Coq's kernel check them, print the axioms.

``python scripts/proofs.py`` builds and checks everything; ``--table`` writes proofs/THEOREMS.md,
for which no Coq is needed; ``--wrong`` compiles the wrong versions of proofs/wrong.toml, each of
which must fail in the proof of the statement that it changes.  Needs nothing but Python and, for
what it builds, the two Debian packages ``coq`` and ``libcoq-coquelicot``.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PROOFS = ROOT / "proofs"
BUILD = ROOT / "build" / "proofs"
LIBRARY = "Ddrm"
PAGE = "Main.v"  # the main statements again, on one page
OPTIONS = ["-q", "-w", "-ambiguous-paths"]  # Coquelicot's coercion to extended real numbers

ID = r"[SXGE]\d{1,2}(?:\.\d)?"
PART = "one coordinate|spectral coordinates"  # of what the slides say
#: "(S13.1)", "(S17.2, X05)", "(S09.5, corrected)" in the comment above a statement.
TAG = re.compile(rf"\(({ID}(?:, {ID})*)(?:, (?:corrected|{PART}))?\)")
STATEMENT = re.compile(
    r"(?:^\(\*\* (?P<comment>(?:(?!\*\)).)*)\*\)\n)?"
    r"^(?P<kind>Theorem|Definition|Fixpoint) (?P<name>[\w']+)",
    re.MULTILINE | re.DOTALL,
)

#: What the proofs may rest on: classical logic and the real numbers of Coq's standard library.
AXIOMS = {
    "Coq.Logic.Classical_Prop.classic": "a statement is true or false",
    "Coq.Logic.FunctionalExtensionality.functional_extensionality_dep": "one function per table",
    "Coq.Reals.ClassicalDedekindReals.sig_forall_dec": "real numbers: all n, or a counterexample",
    "Coq.Reals.ClassicalDedekindReals.sig_not_dec": "real numbers: not P, or not not P",
}

HOW_TO_INSTALL = (
    "Coq was not found (coqc, coqchk). On Debian or Ubuntu install two packages:\n"
    "    apt-get install coq libcoq-coquelicot\n"
    "They need 600 MB; the proofs were written for Coq 8.16 and Coquelicot 3.2."
)


class Statement(NamedTuple):
    """A theorem or definition with its comment and the ledger IDs that the comment names."""

    kind: str
    name: str
    file: str
    line: int
    ids: tuple[str, ...]
    comment: str


class Wrong(NamedTuple):
    """A wrong version: ``right`` stands in the file once; ``theorem`` is where it must fail."""

    file: str
    theorem: str
    right: str
    wrong: str
    what: str
    why: str
    refuted: str = ""


# ------------------------------------------------------------------------------------ the sources


def files() -> list[str]:
    """The names of the files in the order in which they depend on each other."""
    lines = (PROOFS / "_CoqProject").read_text().splitlines()
    return [line for line in lines if line.endswith(".v")]


def without_comments(text: str) -> str:
    """Coq source with every comment blanked out, so that line numbers stay."""
    result, depth = [], 0
    for part in re.split(r"(\(\*|\*\))", text):
        depth -= part == "*)"
        keep = depth == 0 and part not in ("(*", "*)")
        result.append(part if keep else re.sub(r"[^\n]", " ", part))
        depth += part == "(*"
    return "".join(result)


def statements() -> list[Statement]:
    """Every theorem and definition, in the order of the files."""
    found = []
    for file in files():
        text = (PROOFS / file).read_text()
        for match in STATEMENT.finditer(text):
            comment = " ".join((match["comment"] or "").split())
            ids = [id for tag in TAG.findall(comment) for id in tag.split(", ")]
            line = text.count("\n", 0, match.start("kind")) + 1
            found.append(Statement(match["kind"], match["name"], file, line, tuple(ids), comment))
    return found


def theorems() -> list[Statement]:
    """The theorems alone."""
    return [entry for entry in statements() if entry.kind == "Theorem"]


def about_a_part(theorem: Statement) -> bool:
    """True if the comment says that the theorem is about less than the whole statement."""
    return bool(re.search(rf", (?:{PART})\)", theorem.comment))


def span(text: str, theorem: str) -> tuple[int, int]:
    """First and last line of a theorem, from its statement to the end of its proof."""
    start = re.search(rf"^(?:Theorem|Lemma) {re.escape(theorem)}\b", text, re.MULTILINE)
    if start is None:
        raise ValueError(f"There is no theorem {theorem!r} in the file. Was it renamed?")
    end = text.index("Qed.", start.start())
    return text.count("\n", 0, start.start()) + 1, text.count("\n", 0, end) + 1


def forbidden(file: str, source: str, longest_proof: int = 40) -> list[str]:
    """What may not stand in a file: gaps, own axioms, and proofs longer than a screen."""
    words = re.compile(
        r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjectures?|Abort|bypass_check)\b"
    )
    scopes = re.compile(r"\b(Section|End|Variables?|Hypothes[ie]s|Context)\b")
    found, depth, text = [], 0, without_comments(source)
    for number, line in enumerate(text.splitlines(), 1):
        found += [f"{file}:{number}: {word}" for word in words.findall(line)]
        for word in scopes.findall(line):
            depth += {"Section": 1, "End": -1}.get(word, 0)
            if word not in ("Section", "End") and not depth:
                found.append(f"{file}:{number}: {word} outside of a section is an axiom")
    for proof in re.finditer(r"^Proof\..*?Qed\.", text, re.MULTILINE | re.DOTALL):
        if (length := proof[0].count("\n") + 1) > longest_proof:
            number = text.count("\n", 0, proof.start()) + 1
            found.append(f"{file}:{number}: a proof of {length} lines")
    return found


def all_forbidden() -> list[str]:
    """The same for all files."""
    return [entry for file in files() for entry in forbidden(file, (PROOFS / file).read_text())]


# -------------------------------------------------------------------------------------- the table


def table() -> str:
    """proofs/THEOREMS.md: for each ledger ID the statements about it, then the wrong versions."""
    known = statements()
    by_id: dict[str, list[Statement]] = {}
    for entry in known:
        for id in entry.ids:
            by_id.setdefault(id, []).append(entry)
    proved = [id for id, entries in by_id.items() if any(e.kind == "Theorem" for e in entries)]
    total = sum(entry.kind == "Theorem" and entry.file != PAGE for entry in known)
    lines = [
        "# What the machine has checked",
        "",
        "Made by `python scripts/proofs.py --table` from the comments in the files; a test keeps",
        f"it true. {total} theorems; **{len(proved)} IDs of the equation ledger** have at least",
        f"one. [{PAGE}]({PAGE}) repeats the main ones in full.",
        "",
        "| ID | statement | in words |",
        "|---|---|---|",
    ]
    for id in sorted(by_id, key=_order):
        for entry in by_id[id]:
            name = entry.name if entry.kind == "Theorem" else f"{entry.name} (definition)"
            link = f"[{name}]({entry.file}#L{entry.line})"
            lines.append(f"| {id} | {link} | {_cell(TAG.sub('', entry.comment))} |")
    lines += [
        "",
        "## Wrong versions",
        "",
        "Each was compiled by `python scripts/proofs.py --wrong` and fails in the proof of the",
        "statement that it changes. Where a theorem is named, the wrong version is *proved* false.",
        "",
        "| statement | change | why it fails | refuted by |",
        "|---|---|---|---|",
    ]
    where = {entry.name: entry for entry in known}
    for wrong in wrong_versions():
        changed = f"[{wrong.theorem}]({wrong.file})"
        proof = where.get(wrong.refuted)
        refuted = f"[{proof.name}]({proof.file}#L{proof.line})" if proof else ""
        lines.append(f"| {changed} | {_cell(wrong.what)} | {_cell(wrong.why)} | {refuted} |")
    return "\n".join(lines) + "\n"


def _order(id: str) -> tuple[int, float]:
    """S, X, G, E, and numbers within each."""
    return "SXGE".index(id[0]), float(id[1:])


def _cell(text: str) -> str:
    """Text that may stand in a cell of a Markdown table."""
    text = re.sub(r"\s+([,.:])", r"\1", text).replace("|", "\\|").replace("*", "\\*")
    return re.sub(r"\[([^\]]*)\]", r"`\1`", text).replace("_", "\\_")


# ----------------------------------------------------------------------------------------- Coq


def coq_is_here() -> bool:
    """True if the compiler and the checker are installed."""
    return all(shutil.which(program) for program in ("coqc", "coqchk"))


def coqc(file: Path, library: Path = BUILD) -> subprocess.CompletedProcess[str]:
    """Compile one file against the compiled library."""
    command = ["coqc", *OPTIONS, "-Q", str(library), LIBRARY, str(file)]
    return subprocess.run(command, capture_output=True, text=True, cwd=file.parent)


def build() -> None:
    """Compile what is new or changed, and all that comes after it, into build/proofs."""
    import fcntl  # not on Windows, where there is no Debian package either

    BUILD.mkdir(parents=True, exist_ok=True)
    state = ""
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run in parallel wait for the first to build
        for file in files():
            source, copy = (PROOFS / file).read_text(), BUILD / file
            state = hashlib.sha256((state + source).encode()).hexdigest()
            stamp = copy.with_suffix(".stamp")  # what was compiled, with all that came before it
            if stamp.exists() and stamp.read_text() == state:
                continue
            copy.write_text(source)
            run = coqc(copy)
            if run.returncode:
                raise SystemExit(f"proofs/{file} does not compile:\n{run.stdout}{run.stderr}")
            stamp.write_text(state)


def check() -> list[str]:
    """Have the kernel check the compiled files once more; the axioms that all of them rest on."""
    modules = [f"{LIBRARY}.{Path(file).stem}" for file in files()]
    command = ["coqchk", "-silent", "-o", "-Q", str(BUILD), LIBRARY, *modules]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode:
        raise SystemExit(f"coqchk does not accept the proofs:\n{run.stdout}")
    summary = dict(re.findall(r"^\* ([^:\n]+):\s*(.*?)(?=^\*|\Z)", run.stdout, re.M | re.S))
    if doubts := [
        what
        for what, names in summary.items()
        if "unsafe" in what or "type-in-type" in what or "assumed" in what
        if names.strip() != "<none>"
    ]:
        raise SystemExit(f"coqchk has doubts: {', '.join(doubts)}\n{run.stdout}")
    return sorted(summary["Axioms"].split())


def axioms_of_the_page() -> dict[str, list[str]]:
    """What each main statement rests on, by Print Assumptions."""
    names = [entry.name for entry in theorems() if entry.file == PAGE]
    page = Path(PAGE).stem
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "Assumptions.v"
        lines = [f"Print Assumptions {page}.{name}." for name in names]
        file.write_text("\n".join([f"From {LIBRARY} Require {page}.", *lines]) + "\n")
        run = coqc(file)
    if run.returncode:
        raise SystemExit(f"The axioms could not be printed:\n{run.stdout}{run.stderr}")
    answers = re.split(r"^(?=Axioms:|Closed under)", run.stdout, flags=re.MULTILINE)[1:]
    found = [
        re.findall(r"^([\w.]+)(?: *:|$)", answer.partition("\n")[2], re.M) for answer in answers
    ]
    return dict(zip(names, found, strict=True))


# ------------------------------------------------------------------------------ wrong versions


def wrong_versions() -> list[Wrong]:
    """The wrong versions of proofs/wrong.toml."""
    entries = tomllib.loads((PROOFS / "wrong.toml").read_text())["wrong"]
    return [Wrong(**entry) for entry in entries]


def cut_after(text: str, theorem: str) -> str:
    """The file up to the end of a theorem's proof, its open sections closed."""
    _, last = span(text, theorem)
    kept = text.splitlines()[:last]
    opened: list[str] = []
    for word, name in re.findall(
        r"^(Section|End) (\w+)\.", without_comments("\n".join(kept)), re.M
    ):
        if word == "Section":
            opened.append(name)
        else:
            opened.remove(name)
    return "\n".join([*kept, *(f"End {name}." for name in reversed(opened))]) + "\n"


def compile_up_to(file: str, theorem: str, text: str) -> str | None:
    """None if the text compiles up to the end of the theorem; Coq's error if it fails in there."""
    first, last = span(text, theorem)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file
        copy.write_text(cut_after(text, theorem))
        run = coqc(copy)
    if not run.returncode:
        return None
    where = re.findall(r"line (\d+), characters", run.stderr)
    message = run.stderr[run.stderr.rfind("Error:") :].strip()
    if not where or not first <= int(where[-1]) <= last or "Syntax error" in message:
        raise ValueError(f"proofs/{file} fails elsewhere than in {theorem}:\n{run.stderr}")
    return message


def failure(wrong: Wrong) -> str | None:
    """Coq's message about a wrong version, or None if it is not noticed."""
    text = (PROOFS / wrong.file).read_text()
    if text.count(wrong.right) != 1:
        raise ValueError(
            f"{wrong.right!r} must stand in proofs/{wrong.file} exactly once, "
            f"but stands there {text.count(wrong.right)} times."
        )
    return compile_up_to(wrong.file, wrong.theorem, text.replace(wrong.right, wrong.wrong))


# -------------------------------------------------------------------------------------- main


def report() -> int:
    """Build, check, print every theorem, and the axioms; 1 if there is an axiom of our own."""
    began = time.monotonic()
    build()
    print(f"built {len(files())} files in {time.monotonic() - began:.0f} s", flush=True)
    began = time.monotonic()
    found = check()
    print(f"coqchk accepts them ({time.monotonic() - began:.0f} s)\n")
    for entry in theorems():
        print(f"{entry.file:<20} {entry.name:<32} {' '.join(entry.ids)}".rstrip())
    letters = {axiom: chr(97 + i) for i, axiom in enumerate(found)}
    print("\nAll of them together rest on these axioms of Coq's standard library:")
    for axiom, letter in letters.items():
        print(f"  {letter}  {axiom:<68} {AXIOMS.get(axiom, 'NOT OF THE STANDARD LIBRARY')}")
    print("\nThe main statements, one by one:")
    for name, resting in axioms_of_the_page().items():
        short = [letter for axiom, letter in letters.items() if axiom.endswith(tuple(resting))]
        print(f"  {name:<32} {''.join(short)}")
    ids = {id for entry in theorems() for id in entry.ids}
    print(f"\n{len(theorems())} theorems, about {len(ids)} IDs of the ledger.")
    return int(not set(found) <= set(AXIOMS))


def report_wrong() -> int:
    """Compile every wrong version; 1 if one of them is not noticed."""
    build()
    missed = 0
    for wrong in wrong_versions():
        noticed = failure(wrong) is not None
        missed += not noticed
        print(f"{'fails' if noticed else 'NOT NOTICED'}: {wrong.theorem}: {wrong.what}", flush=True)
    print(f"\n{len(wrong_versions()) - missed} of {len(wrong_versions())} wrong versions fail.")
    return int(missed > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="write proofs/THEOREMS.md")
    parser.add_argument("--wrong", action="store_true", help="compile the wrong versions")
    options = parser.parse_args()
    if options.table:
        (PROOFS / "THEOREMS.md").write_text(table())
        print("Wrote proofs/THEOREMS.md")
        return 0
    if not coq_is_here():
        print(HOW_TO_INSTALL)
        return 2
    if found := all_forbidden():
        print("\n".join(found))
        return 1
    if options.wrong:
        return report_wrong()
    return report()


if __name__ == "__main__":
    sys.exit(main())
