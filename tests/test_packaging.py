"""One environment in pyproject.toml, constraints.txt and environment.yml; what an import costs."""

import importlib
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import ddrm_edu

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIRED = [
    Requirement(line) for line in PROJECT["dependencies"] + EXTRAS["lectures"] + EXTRAS["test"]
]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().lower().splitlines()
    if line and not line.startswith("#")
)
STUB = (ROOT / "ddrm_edu/__init__.pyi").read_text()
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def test_every_direct_dependency_is_pinned_inside_its_range():
    for requirement in REQUIRED:
        assert requirement.name in PINS, f"constraints.txt lacks {requirement.name}"
        assert Version(PINS[requirement.name]) in requirement.specifier, requirement


def test_exact_pins_stand_in_the_constraints_only():
    for requirement in REQUIRED:
        assert {s.operator for s in requirement.specifier} <= {">="}, requirement
    assert PINS["torch"] == "2.13.0"


def test_make_lowest_finds_the_oldest_version_of_every_dependency():
    """Its pattern for sed stands in the Makefile; only ranges on a line of their own are found."""
    command = subprocess.run(
        ["make", "--just-print", "lowest"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (sed,) = [line for line in command.stdout.splitlines() if line.startswith("sed ")]
    found = subprocess.run(
        sed.split(" > ")[0], shell=True, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(found) == {f"{r.name}=={next(iter(r.specifier)).version}" for r in REQUIRED}


def test_conda_environment_has_the_same_ranges():
    conda = [line for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]
    ranges = {}
    for line in conda:
        requirement = Requirement(line)
        ranges[CONDA_NAMES.get(requirement.name, requirement.name)] = str(requirement.specifier)
    assert ranges.pop("python") == PROJECT["requires-python"]
    assert ranges.pop("pip") == ""
    assert ranges == {r.name: str(r.specifier) for r in REQUIRED}
    assert ENVIRONMENT["dependencies"][-1] == {"pip": ["-e ."]}
    assert ENVIRONMENT["channels"] == ["conda-forge"]


def test_packages_that_the_course_promises_are_there():
    promised = {"numpy", "scipy", "torch", "matplotlib", "jupyter", "hypothesis", "nbval"}
    assert promised <= {requirement.name for requirement in REQUIRED}


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == ddrm_edu.__version__
    released = re.findall(r"^## (\S+) - \d{4}-\d\d-\d\d$", CHANGELOG, re.MULTILINE)
    assert ddrm_edu.__version__ == released[0]
    hook = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]
    assert hook["rev"] == f"v{PINS['ruff']}"


def test_version_is_read_without_an_import():
    """By hatchling, out of the file; an import would need torch where a wheel is built."""
    path = PYPROJECT["tool"]["hatch"]["version"]["path"]
    line = f'__version__ = "{ddrm_edu.__version__}"'
    assert line in (ROOT / path).read_text().splitlines()


def test_what_is_released_is_dated_and_the_newest_comes_first():
    titles = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    released = [title.split(" - ") for title in titles if title != "Unreleased"]
    assert "Unreleased" not in titles[1:]
    versions = [Version(version) for version, _ in released]
    dates = [date.fromisoformat(day) for _, day in released]
    assert versions == sorted(versions, reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_public_names_are_unique_and_those_of_their_modules():
    names = ddrm_edu.__all__
    assert names == sorted(set(names))
    assert len(names) == len(re.findall(r"^from ", STUB, re.MULTILINE))
    for name in names:
        value = getattr(ddrm_edu, name)
        assert value.__doc__, f"{name} has no docstring"
        assert value is getattr(importlib.import_module(ddrm_edu._HOME[name], "ddrm_edu"), name)


def test_lines_of_the_stub_are_of_the_form_that_the_root_reads():
    code = [line for line in STUB.split('"""')[2].splitlines() if line and line[0] != "#"]
    assert code[:2] == ["__version__: str", "__all__: list[str]"]
    for line in code[2:]:
        assert re.fullmatch(r"from \.[\w.]+ import (\w+) as \1", line), line


def test_names_and_modules_are_seen_before_they_are_imported():
    """By ``dir`` (tab completion), ``import *`` and the attributes of a bare import."""
    code = """
        import ddrm_edu
        print(sorted(name for name in dir(ddrm_edu) if name[0] != "_" and name != "importlib"))
        print(ddrm_edu.law.gap is ddrm_edu.gap, ddrm_edu.noise.__name__)
        from ddrm_edu import *
        print(sorted({*globals()} & {*dir(ddrm_edu)} - {*ddrm_edu.__dict__}), psnr.__name__)
    """
    homes = {*re.findall(r"^from \.(\w+)", STUB, re.MULTILINE)}
    homes |= {place.split(".")[0] for place in ddrm_edu._MOVED.values()}
    seen = sorted({*ddrm_edu.__all__, *homes})
    _modules_after(code, said=f"{seen}\nTrue ddrm_edu.noise\n[] psnr")


@pytest.mark.parametrize(("name", "place"), ddrm_edu._MOVED.items())
def test_a_name_that_left_the_root_says_where_it_went(name, place):
    home, _, last = f"ddrm_edu.{place}".rpartition(".")
    import_it = f"from {home} import {last}"
    told = re.escape(f"ddrm_edu.{name} is now {home}.{last}: {import_it}")
    with pytest.raises(ImportError, match=told):
        exec(f"from ddrm_edu import {name}")
    with pytest.raises(ImportError, match=told):
        getattr(ddrm_edu, name)
    exec(import_it)


def test_a_name_that_never_was_is_no_attribute():
    assert not hasattr(ddrm_edu, "ddnm_samples")
    with pytest.raises(ImportError, match="cannot import name 'ddnm_samples'"):
        exec("from ddrm_edu import ddnm_samples")


HEAVY = {"torch", "numpy", "scipy", "skimage", "matplotlib", "PIL", "pooch", "tqdm", "safetensors"}


@pytest.mark.parametrize(
    "code",
    [
        "import ddrm_edu",
        "from ddrm_edu.cli import main; main(['--help'], standalone_mode=False)",
        "from ddrm_edu.cli import main; main(['restore', '--help'], standalone_mode=False)",
    ],
)
def test_import_and_help_load_nothing_heavy(code):
    loaded = _modules_after(code)
    assert "ddrm_edu" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_restore_loads_torch_and_the_library_only():
    """No scipy, no compiler of torch's, no progress bar: those are imported where they are used."""
    added = _modules_after("from ddrm_edu import restore") - _modules_after("import torch")
    assert "ddrm_edu.ddrm" in added
    own = {name for name in added if name.split(".")[0] == "ddrm_edu"}
    assert {name.split(".")[0] for name in added - own} <= sys.stdlib_module_names
    rooms = {
        "checks",
        "cli",
        "course",
        "exercises",
        "plotting",
        "pretrained",
        "data",
        "law",
        "priors",
    }
    assert rooms.isdisjoint(name.split(".")[1] for name in own if "." in name)


def _modules_after(code: str, said: str | None = None) -> set[str]:
    """The modules of a new interpreter that has run ``code``; what it printed must be ``said``."""
    code = f"{textwrap.dedent(code)}\nimport sys; print('', *sys.modules, sep='\\n  ')"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT)
    printed, _, modules = run.stdout.partition("\n  ")
    assert said is None or printed.strip() == said
    return set(modules.split())


def test_types_ship_and_no_error_is_silenced_without_a_reason():
    assert (ROOT / "ddrm_edu/py.typed").read_text() == ""
    assert PYPROJECT["tool"]["mypy"]["disallow_untyped_defs"]
    for path in ROOT.glob("ddrm_edu/**/*.py*"):
        if path.suffix in (".py", ".pyi"):
            for silenced in re.findall("# type: ignore.*", path.read_text()):
                assert re.fullmatch(r"# type: ignore\[[\w-]+\] # \w.{9,}", silenced), path


def test_tests_run_where_nothing_can_be_written(tmp_path):
    """Of a source tree that is read-only: pytest warns, and warnings are errors here."""
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={tmp_path}/file/cache"]
    one = "tests/test_packaging.py::test_readme_has_at_most_150_lines"
    run = subprocess.run([*command, one], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert "1 passed" in run.stdout


def test_links_of_the_readme_lead_to_files():
    text = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), f"README.md links to {link}, which does not exist"


def test_readme_has_at_most_150_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_ends(path):
    """Only what signs a release, or shows the pages, may write; and that not to the repository."""
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 180
        writes = {what for what, may in job.get("permissions", {}).items() if may == "write"}
        assert writes <= {"id-token", "attestations", "pages"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_the_hash_of_a_commit_and_name_its_version(path):
    """A tag can be moved to other code.  Two workflows that use an action use the same commit."""
    for line in re.findall(r"uses: (.+)", path.read_text()):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
        action = line.split("@")[0]
        everywhere = "\n".join(other.read_text() for other in WORKFLOWS)
        assert set(re.findall(rf"uses: ({action}@.+)", everywhere)) == {line}
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    assert [update["package-ecosystem"] for update in updates] == ["github-actions"]


def test_every_file_that_is_installed_from_a_lock_has_its_hashes():
    """requirements.lock has the pins of constraints.txt, and more: what GPUs and Windows need."""
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.findall(r"^([\w.-]+)==(\S+)[^\n]*((?:\n    --hash=\S+.*)+)", text, re.MULTILINE)
    locked = {canonicalize_name(name): version for name, version, _ in blocks}
    assert len(blocks) == len(re.findall(r"^[\w.-]+==", text, re.MULTILINE))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", hashes) for *_, hashes in blocks)
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    assert {name: pins[name] for name in locked if name in pins} == {
        name: version for name, version in locked.items() if name in pins
    }
    assert {canonicalize_name(requirement.name) for requirement in REQUIRED} <= set(locked)


def test_binder_and_the_container_install_what_the_lectures_need(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    binder = importlib.import_module("binder")
    text = binder.requirements(ROOT)
    assert (ROOT / binder.FILE).read_text() == text
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in text
    lectures = PROJECT["dependencies"] + EXTRAS["lectures"]
    assert set(re.findall(r"^([\w-]+)==", text, re.MULTILINE)) == {
        Requirement(line).name for line in lectures
    }
    runtime = (ROOT / ".binder" / "runtime.txt").read_text().strip().replace("-", ":")
    docker = (ROOT / "Dockerfile").read_text()
    assert f"FROM {runtime}-slim" in docker
    assert binder.FILE in docker
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    folder = ROOT / ".devcontainer"
    assert (folder / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"


def test_ci_runs_every_python_on_every_system_and_both_ends_of_the_dependencies():
    jobs = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())["jobs"]
    pinned = jobs["pinned"]["strategy"]["matrix"]
    assert pinned["os"] == ["ubuntu-latest", "macos-latest"]
    assert f">={pinned['python'][0]}" == PROJECT["requires-python"]
    ends = jobs["dependencies"]["strategy"]["matrix"]["include"]
    assert ends == [
        {"which": "lowest", "python": pinned["python"][0]},
        {"which": "newest", "python": pinned["python"][-1]},
    ]


def test_forms_for_issues_ask_something_and_the_answers_have_names():
    """What GitHub asks of a form, as far as it can be tested here."""
    forms = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
    assert [form.stem for form in forms] == ["bug", "lecture", "own_h"]
    for form in forms:
        form = yaml.safe_load(form.read_text())
        assert form["name"]
        assert form["description"]
        ids = [field["id"] for field in form["body"]]
        assert len(set(ids)) == len(ids) > 0
        assert all(field["type"] in ("input", "textarea") for field in form["body"])
        assert all(field["attributes"]["label"] for field in form["body"])
