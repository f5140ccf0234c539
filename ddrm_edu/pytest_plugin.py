"""``pytest --H my_file.py:make_H``: the checks of a reader's own H as tests.

What is tested, and every word of a failure, is that of :func:`ddrm_edu.check_H`.  Pytest imports
this module in every run of the environment, so that torch and all that needs it is imported only
if ``--H`` is given.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .checks.own_h import Reports

PLUGIN = "ddrm_edu_own_H"
PREFIX = "H::"
NOTE = "note on H"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ddrm-edu", "your own H, tested with all that DDRM needs of it")
    group.addoption(
        "--H",
        metavar="FILE.py:NAME",
        help="collect the checks of this matrix, operator, function or maker of one, and no other "
        "tests",
    )
    group.addoption("--H-in-shape", metavar="C,H,W", help="shape of one image, if H is a function")
    group.addoption(
        "--H-sigma-y", metavar="SIGMA", type=float, default=0.05, help="noise in y (default: 0.05)"
    )
    group.addoption("--H-truth", metavar="NAME", help="name in FILE.py of H, built another way")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--H"):
        config.pluginmanager.register(OwnHPlugin(config), PLUGIN)


class OwnHPlugin:
    """Puts one test for each claim about H in the place of all other tests."""

    def __init__(self, config: pytest.Config):
        from .checks.own_h import Reports, own_h
        from .operators.convert import attribute_of, loaded, shape_of

        option = config.getoption
        try:
            H, module = loaded(option("--H"))
            in_shape, truth = shape_of(option("--H-in-shape")), option("--H-truth")
            mine = own_h(H, in_shape, truth=attribute_of(module, truth))
            self.reports = Reports(mine, sigma_y=option("--H-sigma-y"))
        except ValueError as error:
            raise pytest.UsageError(f"--H: {error}") from error
        self.path = Path(str(module.__file__))
        # pytest prints failures as H::claim, so that this may be copied behind the command.
        self.chosen = {arg.removeprefix(PREFIX) for arg in config.args if arg.startswith(PREFIX)}
        config.args[:] = [str(self.path)]
        config.args_source = config.ArgsSource.ARGS

    def pytest_report_header(self) -> str:
        mine = self.reports.mine
        return f"H: {mine.title if mine.op is None else repr(mine.op)} of {self.path.name}"

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, Any, list[pytest.Collector]]:
        yield  # the file defines H; whatever else pytest would find in it are other tests
        return [_Checks.from_parent(parent, path=file_path, nodeid="H")]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        passed = terminalreporter.getreports("passed")
        notes = [text for report in passed for what, text in report.user_properties if what == NOTE]
        if notes:
            terminalreporter.section("assumptions that do not hold for H, which is no error")
            for text in notes:
                terminalreporter.write_line(text)


class _Checks(pytest.File):
    """All the checks of one H."""

    def collect(self) -> Iterator[pytest.Item]:
        from .checks.own_h import SECTIONS

        plugin: Any = self.config.pluginmanager.get_plugin(PLUGIN)
        for section, names in SECTIONS.items():
            for name in names:
                if name in (plugin.chosen or names):
                    yield _Check.from_parent(
                        self, name=name, reports=plugin.reports, section=section
                    )


class _Check(pytest.Item):
    """One claim, asked together with the others of its section when the first of them runs."""

    def __init__(self, *, reports: Reports, section: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.reports, self.section = reports, section

    def runtest(self) -> None:
        finding = self.reports.finding(self.section, self.name)
        if finding is None:
            pytest.skip("it does not apply to this H.")
        if finding.status == "not asked":
            pytest.skip(finding.found)
        if not finding.ok:
            pytest.fail(finding.sentence, pytrace=False)
        if not finding.holds:
            self.user_properties.append((NOTE, f"{finding.name}: {finding.sentence}"))

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.nodeid
