"""``pytest --H my_file.py:make_H``: the checks of a reader's own H as tests.

The options are those of ``_ddrm_edu_pytest``, which imports this module if ``--H`` is given.  What
is tested, and every word of a failure, is that of :func:`ddrm_edu.check_H`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .checks.own import attribute_of, loaded, own, shape_of
from .checks.suite import OTHERS, SECTIONS, Suite

__all__ = ["OwnHPlugin"]

PREFIX = "H::"
NOTE = "note on H"


class OwnHPlugin:
    """Puts one test for each law of H in the place of all other tests."""

    def __init__(self, config: pytest.Config):
        option = config.getoption
        try:
            H, module = loaded(option("ddrm_H"))
            truth = option("ddrm_truth")
            mine = own(
                H,
                shape_of(option("ddrm_in_shape")) if option("ddrm_in_shape") else None,
                truth=attribute_of(module, truth) if truth else None,
            )
            self.suite = Suite(mine, sigma_y=option("ddrm_sigma_y"))
        except ValueError as error:
            raise pytest.UsageError(f"--H: {error}") from error
        self.path = Path(module.__file__)
        # pytest prints failures as H::law, so that this may be copied behind the command.
        self.chosen = {arg.removeprefix(PREFIX) for arg in config.args if arg.startswith(PREFIX)}
        config.args[:] = [str(self.path)]
        config.args_source = config.ArgsSource.ARGS

    def pytest_report_header(self) -> str:
        mine = self.suite.mine
        return f"H: {mine.title if mine.op is None else repr(mine.op)} of {self.path.name}"

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector):
        yield  # the file defines H; whatever else pytest would find in it are other tests
        return [_Checks.from_parent(parent, path=file_path, nodeid="H", plugin=self)]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        passed = terminalreporter.getreports("passed")
        notes = [text for report in passed for what, text in report.user_properties if what == NOTE]
        if notes:
            terminalreporter.section("assumptions that do not hold for H, which is no error")
            for text in notes:
                terminalreporter.write_line(text)


class _Checks(pytest.File):
    """All the checks of one H."""

    def __init__(self, *, plugin: OwnHPlugin, **kwargs):
        super().__init__(**kwargs)
        self.plugin = plugin

    def collect(self) -> Iterator[pytest.Item]:
        for section, names in SECTIONS.items():
            for name in names:
                if name in (self.plugin.chosen or names):
                    yield _Check.from_parent(
                        self, name=name, suite=self.plugin.suite, section=section
                    )


class _Check(pytest.Item):
    """One law, asked together with the others of its section when the first of them runs."""

    def __init__(self, *, suite: Suite, section: str, **kwargs):
        super().__init__(**kwargs)
        self.suite, self.section = suite, section

    def runtest(self) -> None:
        report = self.suite.report(self.section)
        law = next((law for law in report.laws if law.name == self.name), None)
        if law is None:
            pytest.skip(self._reason(report.not_asked))
        if not law.ok:
            raise _LawFails(law.sentence)
        if not law.holds:
            self.user_properties.append((NOTE, f"{law.name}: {law.sentence}"))

    def _reason(self, not_asked: tuple[str, ...]) -> str:
        for name in (self.name, OTHERS):
            for entry in not_asked:
                if entry.startswith(f"{name}: "):
                    return entry.removeprefix(f"{name}: ")
        return "it does not apply to this H."

    def repr_failure(self, excinfo: pytest.ExceptionInfo, style=None):
        if isinstance(excinfo.value, _LawFails):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, self.nodeid


class _LawFails(Exception):
    """A law that does not hold; its sentence is shown, and not where this was raised."""
