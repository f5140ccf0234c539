"""The form of every lecture: order, length, checks, figures, links."""

from __future__ import annotations

import ast
import itertools
import re
import statistics

import numpy as np
import pytest
from notebooks import LECTURES, PARTS, ROOT, SOLUTIONS, cells, read, tagged
from PIL import Image

NOTEBOOKS = [*LECTURES.values(), *SOLUTIONS.values()]
CHECK = re.compile(r"\b(check(_mc|_operator|_sampler)?|assert_\w+|exercise)\(")
FIGURES = ROOT / "figures"

every_lecture = pytest.mark.parametrize("path", LECTURES.values(), ids=lambda path: path.stem)
every_number = pytest.mark.parametrize("number", PARTS)
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(cell, *kinds):
    """The outputs of a code cell that are of one of the kinds."""
    return [output for output in cell.outputs if output.output_type in kinds]


def printed(cell) -> str:
    """All the text that a code cell wrote to stdout."""
    return "".join(output.text for output in outputs(cell, "stream") if output.name == "stdout")


def pictures(cell):
    """The outputs of a cell that are pictures."""
    shown = outputs(cell, "display_data", "execute_result")
    return [output for output in shown if "image/png" in output.data]


def sections(path) -> dict[str, list]:
    """Heading of each second-level section, and its code cells."""
    found, heading = {}, None
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for line in re.findall(r"^## (.+)$", cell.source, re.MULTILINE):
                heading = line
                found[heading] = []
        elif heading:
            found[heading].append(cell)
    return found


def code(cell) -> str:
    """The source of a code cell without IPython's magic lines."""
    return re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE)


# ---------------------------------------------------------------------------- stored outputs


@every_notebook
def test_a_notebook_was_run_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


@every_notebook
def test_nothing_was_written_to_stderr(path):
    for cell in cells(path, "code"):
        assert not [o for o in outputs(cell, "stream") if o.name == "stderr"], cell.source


@every_notebook
def test_no_slider_is_stored(path):
    """Without a kernel it is a line of raw text."""
    for cell in cells(path, "code"):
        for output in outputs(cell, "display_data", "execute_result"):
            assert not [kind for kind in output.data if "widget" in kind], cell.source


@every_notebook
def test_a_stored_error_is_announced_by_a_tag_and_a_tagged_cell_fails(path):
    for cell in cells(path, "code"):
        assert bool(outputs(cell, "error")) == tagged(cell, "raises-exception"), cell.source


@every_notebook
def test_a_stored_error_is_one_that_a_check_or_a_refusal_raises(path):
    """A misspelt name would fail as well, and prove nothing."""
    for cell in cells(path, "code"):
        for error in outputs(cell, "error"):
            assert error.ename in ("AssertionError", "ValueError", "TooLarge"), error.ename


@every_notebook
def test_outputs_carry_no_path_of_the_machine_that_ran_them(path):
    for cell in cells(path, "code"):
        for output in cell.outputs:
            assert not re.search(r"/(home|tmp|root|work|Users)/", str(output)), cell.source


@every_notebook
def test_a_notebook_is_smaller_than_a_megabyte(path):
    assert path.stat().st_size < 1_000_000


# ------------------------------------------------------------------------------ form


@every_lecture
def test_a_lecture_opens_with_aim_time_needs_and_slides(path):
    first = read(path).cells[0].source
    assert re.match(rf"# {path.name.split('_')[0]} · \S", first)
    for word in ("**Aim.**", "**Time.**", "**You need**", "**Slides.**"):
        assert word in first


@every_lecture
def test_sections_are_three_or_more_and_end_with_summary_exercises_and_sources(path):
    headings = list(sections(path))
    assert headings[-3:] == ["What we verified", "Exercises", "Sources"]
    assert len(headings) >= 6


@every_number
def test_sections_are_numbered_through_all_parts_of_a_lecture(number):
    found = [heading for part in PARTS[number] for heading in sections(LECTURES[part])]
    numbers = [heading.split(" · ")[0] for heading in found if " · " in heading]
    assert numbers == [str(k) for k in range(1, len(numbers) + 1)]
    assert len(found) == len(numbers) + 3 * len(PARTS[number])


@every_number
def test_parts_of_a_lecture_are_a_and_b_and_lead_to_each_other(number):
    parts = PARTS[number]
    assert parts in ([number], [f"{number}a", f"{number}b"])
    for one, other in itertools.permutations(parts, 2):
        assert f"]({LECTURES[other].name})" in read(LECTURES[one]).cells[0].source


@every_lecture
def test_every_section_checks_something(path):
    for heading, found in list(sections(path).items())[:-3]:
        assert any(CHECK.search(cell.source) for cell in found), f"no check in section {heading}"


@every_lecture
def test_a_lecture_breaks_something_and_shows_the_check_that_fails(path):
    assert any(tagged(cell, "raises-exception") for cell in cells(path, "code"))


@every_lecture
def test_cells_are_short_and_few(path):
    own = [cell for cell in cells(path, "code") if not tagged(cell, "install")]
    lengths = [len(cell.source.splitlines()) for cell in own]
    assert 12 <= len(lengths) <= 50
    assert max(lengths) <= 30
    assert statistics.median(lengths) <= 14


@every_notebook
def test_no_definition_is_longer_than_fifteen_lines(path):
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(code(cell))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 15, f"{node.name} is too long"


@every_lecture
def test_the_library_does_the_work(path):
    in_definitions = total = 0
    for cell in cells(path, "code"):
        tree = ast.parse(code(cell))
        total += sum(bool(line.strip()) for line in code(cell).splitlines())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                in_definitions += node.end_lineno - node.lineno + 1
    # The audit is made of suspects, which are definitions.
    assert in_definitions <= (0.6 if "bug" in path.stem else 0.25) * total


# --------------------------------------------------------------------------- figures


@every_lecture
def test_every_figure_has_a_description_a_number_and_a_file(path):
    code_cells = cells(path, "code")
    for cell, following in zip(code_cells, [*code_cells[1:], None], strict=True):
        if tagged(cell, "nbval-ignore-output") or not pictures(cell):
            continue
        for picture in pictures(cell):
            assert len(picture.metadata["image/png"]["alt"]) > 30, cell.source
        text = printed(cell) + (printed(following) if following else "")
        assert re.search(r"\d", text), f"no number beside the figure of:\n{cell.source}"


def code_of(number: str) -> dict[str, str]:
    """All code of each part of a lecture."""
    parts = PARTS[number]
    return {part: "\n".join(c.source for c in cells(LECTURES[part], "code")) for part in parts}


@every_number
def test_names_of_figures_begin_with_the_lecture_and_lie_in_the_folder(number):
    shown = [source.count("figures.show(") for source in code_of(number).values()]
    names = re.findall(rf'"({number}_\w+)"', "\n".join(code_of(number).values()))
    files = {file.stem for file in FIGURES.glob(f"{number}_*.png")}
    assert all(shown)
    assert len(names) == len(set(names)), "a figure is written twice"
    assert {name for name in names if name in files} == set(names)
    assert len(files) >= sum(shown)


def test_no_figure_is_left_over():
    """Every file in figures/ is shown by a lecture (in a loop its name is made of parts)."""
    sources = {number: "".join(code_of(number).values()) for number in PARTS}
    for file in FIGURES.glob("*.png"):
        parts = {file.stem[:cut] for cut in range(4, len(file.stem) + 1)}
        assert any(f'"{part}' in sources[file.stem[:2]] for part in parts), file.name


def test_nothing_is_cut_off_at_the_border_of_a_figure():
    """A title or a label ends before the border; only a picture from a file reaches it."""
    sources = "".join("".join(code_of(number).values()) for number in PARTS)
    from_files = re.findall(r'figures\.stored\(.*\),\s*"(\w+)"', sources)
    for file in FIGURES.glob("[01]*.png"):
        pixels = np.asarray(Image.open(file).convert("L"))
        border = [*pixels[0], *pixels[-1], *pixels[:, 0], *pixels[:, -1]]
        assert min(border) > 200 or file.stem in from_files, file.name


@every_lecture
def test_a_slider_has_a_picture_for_readers_without_a_kernel(path):
    for cell in cells(path, "code"):
        for function in re.findall(r"\binteract(?:ive)?\(\s*(\w+)", cell.source):
            assert tagged(cell, "nbval-ignore-output"), cell.source
            others = [other.source for other in cells(path, "code") if other is not cell]
            assert any(
                re.search(rf"figures\.show\(\s*{function}\(", source) for source in others
            ), f"{function} is not shown at rest"


# ----------------------------------------------------------------------------- links


@every_notebook
def test_links_to_files_resolve(path):
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", cell.source):
            if not re.match(r"https?:", target):
                assert (path.parent / target).exists(), f"{path.name} links to {target}"


@every_notebook
def test_named_files_of_the_repository_exist(path):
    named = re.compile(r"`((?:ddrm_edu|tests|benchmarks|lectures|figures|scripts)/[\w./-]+\.\w+)`")
    for cell in cells(path, "markdown"):
        for name in named.findall(cell.source):
            assert (ROOT / name).exists(), f"{path.name} names {name}"


@every_lecture
def test_the_time_of_a_lecture_is_the_estimate(path):
    """Words / 75 + lines of code / 10 + 8 minutes an exercise, to 5 minutes; and 90 at most."""
    time = int(re.search(r"\*\*Time\.\*\* (\d+) min", read(path).cells[0].source)[1])
    words = sum(len(cell.source.split()) for cell in cells(path, "markdown"))
    code = [line for cell in cells(path, "code") for line in cell.source.splitlines()]
    exercises = {found[1] for line in code if (found := re.search(r'exercise\("(\d\d\.\d)"', line))}
    due = words / 75 + sum(map(bool, map(str.strip, code))) / 10 + 8 * len(exercises)
    assert abs(time - due) <= 5
    assert round(due) <= 90
    assert time <= 90


def test_every_exercise_is_due_in_some_week():
    syllabus = (ROOT / "lectures" / "README.md").read_text().split("## A syllabus")[1]
    due = set()
    for first, last in re.findall(r"(\d\d\.\d)(?:-(\d\d\.\d))?", syllabus.split("**Prereq")[0]):
        numbers = range(int(first[-1]), int((last or first)[-1]) + 1)
        due |= {f"{first[:3]}{number}" for number in numbers}
    written = [cell.source for path in LECTURES.values() for cell in cells(path, "code")]
    assert due == set(re.findall(r'exercise\("(\d\d\.\d)"', "\n".join(written)))


def test_no_week_of_the_syllabus_takes_longer_than_130_minutes():
    first, syllabus = (ROOT / "lectures" / "README.md").read_text().split("## A syllabus")
    minutes = {
        key: int(time) for key, time in re.findall(r"\| \[(\d\d[ab]?) .*\| (\d+) min", first)
    }
    assert list(minutes) == list(LECTURES)
    weeks = re.findall(r"^\| \d+ \| (.*?) \|", syllabus, re.MULTILINE)
    read_in = [re.findall(r"\d\d[ab]?", week) for week in weeks]
    assert max(sum(minutes[key] for key in keys) for keys in read_in) <= 130
    assert sorted(itertools.chain(*read_in)) == [key for key in LECTURES if key[:2] != "12"]


@every_lecture
def test_the_syllabus_lists_the_lecture_and_its_time(path):
    """Both READMEs link to it."""
    time = re.search(r"\*\*Time\.\*\* (\d+ min)", read(path).cells[0].source)[1]
    syllabus = (ROOT / "lectures" / "README.md").read_text()
    assert re.search(rf"\({re.escape(path.name)}\) \|.*\| {time} \|", syllabus)
    assert f"](lectures/{path.name})" in (ROOT / "README.md").read_text()


def test_the_page_of_the_course_and_the_lecture_ask_for_the_same_lectures():
    """Of those that do not need all lectures before them."""
    page = (ROOT / "lectures" / "README.md").read_text().split("**Prerequisites.**")[1]
    exceptions = page.split("except ")[1].split(".\n")[0]
    asked = re.findall(r"\b(\d\d) \(([^)]*)\)", exceptions)
    assert [number for number, _ in asked] == ["09", "12", "13", "14"]
    for number, needs in asked:
        opening = read(LECTURES[PARTS[number][0]]).cells[0].source
        told = opening.split("**You need**")[1].split("\n\n")[0]
        assert set(re.findall(r"\b\d\d\b", needs)) == set(re.findall(r"\b\d\d\b", told)), number
