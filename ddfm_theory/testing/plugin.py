"""The pytest plugin: options, a header that names what is under test, expected failures, readable verdicts.

It imports nothing but the standard library and pytest until a system is asked for.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "DDFM_SYSTEM"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("ddfm", "decentralized systems (ddfm_theory.testing)")
    group.addoption(
        "--ddfm-system", action="append", metavar="MODULE:NAME",
        help=f"a system under test, or a function that makes one; may be repeated (default: ${VARIABLE})",
    )  # fmt: skip
    group.addoption("--ddfm-xfails", metavar="FILE", help="expected failures: one pattern a line, # begins the reason")
    group.addoption(
        "--ddfm-examples", type=_least(1), default=64, metavar="N", help="rows looked at per length or time"
    )
    group.addoption("--ddfm-seed", type=_least(0), default=0, metavar="N", help="which rows, where there are more")


def _least(low: int) -> Callable[[str], int]:
    """Return what reads an integer of at least ``low``, whose name argparse puts into its refusal."""

    def parse(text: str) -> int:
        if int(text) < low:
            raise ValueError
        return int(text)

    parse.__name__ = f"integer of at least {low}"
    return parse


def references(config: pytest.Config) -> list[str]:
    """Return the references of the systems under test, from the option or the environment variable."""
    given = config.getoption("--ddfm-system")
    return list(given) if given else [name for name in os.environ.get(VARIABLE, "").split(",") if name]


def systems(config: pytest.Config) -> list[Any]:
    """Return the systems under test, loaded once a session."""
    loaded: list[Any] | None = getattr(config, "_ddfm_systems", None)
    if loaded is None:
        from ddfm_theory.testing.systems import load

        try:
            loaded = [load(reference) for reference in references(config)]
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error
        config._ddfm_systems = loaded  # type: ignore[attr-defined]
    return loaded


def expected_failures(config: pytest.Config) -> list[tuple[str, str]]:
    """Return the patterns of the file of expected failures, each with its reason."""
    name = config.getoption("--ddfm-xfails")
    if name is None:
        return []
    path = Path(name)
    if not path.is_file():
        raise pytest.UsageError(f"--ddfm-xfails must be a file that exists, was {name!r}")
    lines = [line.partition("#") for line in path.read_text(encoding="utf-8").splitlines()]
    return [(entry.strip(), reason.strip()) for entry, _, reason in lines if entry.strip()]


def matches(pattern: str, identifier: str) -> bool:
    """Tell whether an entry names a test: by its id, by its check alone, or by a pattern of either."""
    check = identifier.rpartition("-")[2]
    return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for name in (identifier, check))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name what is under test, and what it offers."""
    if not references(config):
        return []
    from ddfm_theory.testing.systems import offered

    lines = []
    for reference, system in zip(references(config), systems(config), strict=True):
        kind = getattr(system, "kind", "prefix")
        size = f"V = {system.vocabulary}, N = {system.length}"
        lines.append(f"ddfm: under test {reference}: {system.name} ({kind}, {size})")
        lines.append(f"ddfm: it offers {', '.join(offered(system))}")
    lines.append(f"ddfm: examples {config.getoption('--ddfm-examples')}, seed {config.getoption('--ddfm-seed')}")
    return lines


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Show a verdict as it is, without the way to it."""
    outcome = yield
    report = outcome.get_result()
    error = call.excinfo.value if call.excinfo is not None else None
    if report.failed and type(error).__name__ == "NonConformance" and hasattr(error, "check"):
        report.longrepr = str(error)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Report what nobody could decide, and entries of the file of expected failures that match nothing."""
    if not references(config):
        return
    from ddfm_theory.testing.parametrize import identifier, pairs

    open_ = [report for report in terminalreporter.stats.get("skipped", []) if _reason(report).startswith("undecided")]
    if open_:
        terminalreporter.section("ddfm: undecided")
        for report in open_:
            terminalreporter.line(f"{report.nodeid.partition('[')[2].rstrip(']')}: {_reason(report)[11:]}")
    names = [identifier(system, check) for system, check in pairs(systems(config))]
    idle = [entry for entry, _ in expected_failures(config) if not any(matches(entry, name) for name in names)]
    if idle:
        terminalreporter.section("ddfm: expected failures that match nothing", red=True)
        for entry in idle:
            terminalreporter.line(entry)


def _reason(report: Any) -> str:
    text: Sequence[Any] | str = report.longrepr
    return str(text[2] if isinstance(text, tuple) else text).removeprefix("Skipped: ")
