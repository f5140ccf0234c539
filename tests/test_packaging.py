"""pyproject.toml, constraints.txt and environment.yml describe one environment."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import ddrm_edu

ROOT = Path(__file__).parents[1]
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


def test_every_direct_dependency_is_pinned_inside_its_range():
    for requirement in REQUIRED:
        assert requirement.name in PINS, f"constraints.txt lacks {requirement.name}"
        assert Version(PINS[requirement.name]) in requirement.specifier, requirement


def test_exact_pins_stand_in_the_constraints_only():
    for requirement in REQUIRED:
        assert {s.operator for s in requirement.specifier} <= {">="}, requirement
    assert PINS["torch"] == "2.13.0"


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
    assert f"## {ddrm_edu.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
    hook = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]
    assert hook["rev"] == f"v{PINS['ruff']}"


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
