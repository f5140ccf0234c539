"""What the site is made of, as far as it needs neither Sphinx nor a browser."""

import importlib
import inspect
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import nbformat
import pytest
import yaml
from nbconvert import HTMLExporter

import ddrm_edu

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:  # for good, scripts/proofs.py would hide tests/proofs
    for folder in ("docs", "scripts"):
        patch.syspath_prepend(ROOT / folder)
    api = importlib.import_module("pages.api")
    back = importlib.import_module("pages.back")
    bibliography = importlib.import_module("pages.bibliography")
    chromium = importlib.import_module("chromium")
    labels = importlib.import_module("pages.labels")
    mirror = importlib.import_module("pages.mirror")
    news = importlib.import_module("pages.news")
    npm = importlib.import_module("npm")
    sources = importlib.import_module("pages.sources")
AUTHORS = re.compile(r"(?:[A-Z][a-zé]+(?:, | and )?)+(?: et al\.)?,? \(?(?:19|20)\d\d")


def test_every_public_name_is_documented_and_shows_an_example():
    assert api.undocumented() == []
    assert api.without_example() == []


def test_the_reference_has_every_public_name_once():
    names = [name for group in api.groups().values() for name in group]
    assert sorted(names) == ddrm_edu.__all__
    assert all(group[0].islower() or group[0] == "H" for group in api.groups())


def test_a_public_name_without_docstring_is_refused(monkeypatch):
    def silent():
        pass

    monkeypatch.setattr(ddrm_edu, "gap", silent)
    with pytest.raises(ValueError, match="without a docstring: gap"):
        list(api.api_pages([]))


def test_an_id_is_found_alone_in_a_range_and_in_brackets_only_as_a_word():
    assert labels.ID.findall("(S11.2-S11.4), E15; X1a, HS02.1, S1.25") == ["S11.2", "S11.4", "E15"]


def test_sources_named_in_docstrings_stand_in_the_bibliography():
    known = [_plain(entry["text"]) for entry in bibliography.references()]
    cited = []
    for module in api.modules():
        for value in [importlib.import_module(module), *api.members(module).values()]:
            cited += AUTHORS.findall(" ".join((inspect.getdoc(value) or "").split()))
    assert len(cited) > 10
    for source in cited:
        words = re.findall(r"[A-Z][a-z]+|\d{4}", _plain(source))
        assert any(all(word in text for word in words) for text in known), source


def _plain(text: str) -> str:
    """Without accents."""
    return unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode()


def test_the_source_folder_is_kept_up_to_date(tmp_path):
    mirror.assemble(tmp_path, {"api/one.rst": "one", "api/other.rst": "other"})
    lecture = next((ROOT / "lectures").glob("01_*.ipynb"))
    assert (tmp_path / "lectures" / lecture.name).read_bytes() == lecture.read_bytes()
    assert (tmp_path / "index.md").read_bytes() == (ROOT / "docs" / "index.md").read_bytes()
    before = (tmp_path / "api/one.rst").stat().st_mtime_ns
    mirror.assemble(tmp_path, {"api/one.rst": "one"})
    assert (tmp_path / "api/one.rst").stat().st_mtime_ns == before
    assert not (tmp_path / "api/other.rst").exists()
    with pytest.raises(ValueError, match=r"as well: CHANGELOG\.md"):
        mirror.assemble(tmp_path, {"CHANGELOG.md": "another"})


def test_without_npm_the_pages_of_lectures_take_mathjax_from_the_web(tmp_path, monkeypatch, capsys):
    def unreachable(*args, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(npm, "STORE", tmp_path / "store")
    monkeypatch.setattr(npm.pooch, "retrieve", unreachable)
    monkeypatch.setattr(sys, "argv", ["npm.py", str(tmp_path)])
    npm.main()
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert not (tmp_path / "mathjax").exists()
    stored = tmp_path / "store" / npm.MATHJAX[0] / Path(npm.MATHJAX[1]).name
    stored.parent.mkdir(parents=True)
    stored.write_text("// MathJax")
    npm.main()
    assert capsys.readouterr().out == ""
    assert (tmp_path / "mathjax" / "tex-svg.js").read_text() == "// MathJax"


def test_a_page_of_a_lecture_takes_nothing_else_from_the_web():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("$$x\\tag{G06}$$")])
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    folders = [str(ROOT / "scripts" / "templates")]
    exporter = HTMLExporter(template_name="described", extra_template_basedirs=folders)
    text, _ = exporter.from_notebook_node(notebook)
    assert re.search(r'<script [^>]*src="mathjax/tex-svg\.js"', text)
    fetched = re.findall(r"(?:src|href|from|import) ?[=(]? ?[\"']https?://([^/\"']+)", text)
    assert fetched == ["cdn.jsdelivr.net"]  # in the onerror


def test_the_workflow_of_the_site_writes_pages_only_and_ends():
    text = (ROOT / ".github" / "workflows" / "site.yml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    assert jobs["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert all(job["timeout-minutes"] <= 30 for job in jobs.values())
    assert "was not run where it was written" in text


def test_tools_of_the_site_and_of_its_tests_are_pinned():
    for name in ("docs/requirements.txt", "tests/browser/requirements.txt"):
        lines = (ROOT / name).read_text().splitlines()
        wanted = [line for line in lines if line and not line.startswith("#")]
        assert wanted
        assert all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in wanted), name


def test_every_exercise_is_old_or_new_and_the_old_ones_are_of_the_last_release():
    lectures = sorted((ROOT / "lectures").glob("[0-9][0-9]*_*.ipynb"))
    here = [each.id for found in news.exercises(lectures).values() for each in found]
    version, old = news.RELEASED
    assert version == ddrm_edu.__version__, "a release: renew RELEASED in docs/pages/news.py"
    assert len(here) == len(set(here)) > len(old)
    assert old <= set(here)
    text = news.page(lectures)["docs/project/news.md"]
    assert [line.split(" | ")[0] for line in text.splitlines() if re.match(r"\| \d", line)] == [
        f"| {id}" for id in here
    ]


def test_a_slide_leads_to_its_statements_and_a_lecture_to_the_reference():
    slides = back.anchored((ROOT / "lectures" / "SLIDES.md").read_text(encoding="utf-8"))
    assert slides.count(")=\n**") == 24
    assert "(slide-11-our-words)=\n**[11](#slide-11-ledger). " in slides
    lecture = (ROOT / "lectures" / "06_three_cases.ipynb").read_text(encoding="utf-8")
    *cells, last = nbformat.reads(back.with_reference(lecture, ["restore", "gap"]), 4).cells
    assert cells == nbformat.reads(lecture, 4).cells
    assert "[`gap`](../api/gap.rst), [`restore`](../api/restore.rst)." in last.source


def test_a_source_leads_back_to_its_module_and_its_statements():
    ways = sources._ways_back(ROOT / "tests" / "test_ddrm.py")
    assert "Tests of [`ddrm_edu.ddrm`](../../api/modules/ddrm_edu.ddrm.rst)." in ways
    assert "[S11.2](#ledger-s11-2)" in ways
    assert "Tests of" not in sources._ways_back(ROOT / "tests" / "course" / "test_engine.py")
    assert "`tests/test_restoration.py" not in api._tested("ddrm_edu.ddrm")
    assert "tests/test_ddrm.py" in api._tested("ddrm_edu.ddrm")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (FileNotFoundError(), "no apt-get to install it"),
        (subprocess.CompletedProcess([], 100, "E: Unable to locate package chromium\n"), "locate"),
        (subprocess.CompletedProcess([], 0, ""), "There is no chromium here"),
    ],
)
def test_where_no_chromium_can_be_had_a_sentence_says_so(monkeypatch, answer, said):
    def run(*args, **options):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(chromium, "found", lambda: None)
    monkeypatch.setattr(chromium.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["chromium.py", "--install"])
    with pytest.raises(SystemExit, match=said) as error:
        chromium.main()
    assert "`make browser`" in error.value.code
    assert "apt-get install chromium" in error.value.code


def test_ci_looks_at_the_site_in_a_browser():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line.partition(" #")[0] for line in lines]
    assert "python3 scripts/chromium.py --install" in commands
    assert commands[-3:] == ["make package", "make test", "make browser"]


def test_where_there_is_no_chromium_the_browser_tests_fail_and_skip_nothing(tmp_path):
    (tmp_path / "index.html").touch()
    one = "tests/browser/test_site.py::test_the_first_tab_offers_the_content"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "browser", "-p", "no:cacheprovider", one],
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path), "DDRM_EDU_SITE": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    assert re.search(r"^=+ 1 error in", done.stdout, re.MULTILINE)
    if not Path(chromium.MACOS).exists():
        assert "There is no chromium here." in done.stdout
