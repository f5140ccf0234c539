"""pyproject.toml, constraints.txt and environment.yml describe one environment."""

import re
import subprocess
import tomllib
from datetime import date
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import ddrm_edu

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIRED = [
    Requirement(line) for line in PROJECT["dependencies"] + EXTRAS["lectures"] + EXTRAS["test"]
]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().lower().splitlines()
    if line and not line.startswith("#")
)
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
    assert ddrm_edu.__version__ in released
    hook = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]
    assert hook["rev"] == f"v{PINS['ruff']}"


def test_what_is_released_is_dated_and_the_newest_comes_first():
    titles = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    released = [title.split(" - ") for title in titles if title != "Unreleased"]
    assert "Unreleased" not in titles[1:]
    versions = [Version(version) for version, _ in released]
    dates = [date.fromisoformat(day) for _, day in released]
    assert versions == sorted(versions, reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_public_names_are_sorted_unique_and_importable():
    names = ddrm_edu.__all__
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(ddrm_edu, name).__doc__, f"{name} has no docstring"


def test_links_of_the_readme_lead_to_files():
    text = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), f"README.md links to {link}, which does not exist"


def test_readme_has_at_most_150_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_a_workflow_may_only_read_and_ends(name):
    workflow = yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 180 for job in workflow["jobs"].values())


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
