"""Systems times checks: a generator of pairs, a decorator for pytest, and a verdict a person can read and repeat."""

from __future__ import annotations

import sys
import unittest
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ddfm_theory.arrays import instance, sequence
from ddfm_theory.ledger.records import FAILS, UNDECIDED, Check
from ddfm_theory.showing import table
from ddfm_theory.testing.checks import CHECKS, ConformanceCheck
from ddfm_theory.testing.registry import EXAMPLES
from ddfm_theory.testing.systems import System, parts_of

__all__ = ["Answers", "NonConformance", "conforms", "message", "pairs", "parametrize_with_checks", "report"]

Expected = Mapping[str, str] | Callable[[System], Mapping[str, str]] | None


class NonConformance(AssertionError):  # noqa: N818
    """A system fails a check; its text is the verdict."""

    def __init__(self, text: str, check: Check) -> None:
        super().__init__(text)
        self.check = check


def pairs(systems: Iterable[System]) -> Iterator[tuple[System, ConformanceCheck]]:
    """Yield each system with each check that speaks of its kind.

    Raises:
        ValueError: something that is no system.
    """
    for system in systems:
        kind = parts_of(system).kind
        for check in CHECKS:
            if check.kind in (None, kind):
                yield system, check


class Answers(dict[str, Check]):
    """Records by the names of their checks; a table in Jupyter."""

    def _repr_html_(self) -> str:
        columns = {
            "check": list(self),
            "claim": [check.claim for check in self.values()],
            "outcome": [check.outcome for check in self.values()],
            "off by": [check.residual if check.outcome == FAILS else "" for check in self.values()],
            "where, or what is missing": [check.where or check.note for check in self.values()],
        }
        return table(columns)._repr_html_()


def report(system: System, *, examples: int = EXAMPLES, seed: int = 0) -> Answers:
    """Return the record of every check that speaks of the system's kind, by the check's name."""
    return Answers({check.__name__: check(system, examples=examples, seed=seed) for _, check in pairs([system])})


def conforms(
    system: System, check: ConformanceCheck, *, examples: int = EXAMPLES, seed: int = 0, **options: Any
) -> Check:
    """Run a check for a test: return its record if it holds.

    Raises:
        NonConformance: it fails; the text has claim, got, expected, where, and a snippet that repeats it.
        unittest.SkipTest: it is undecided, which pytest and unittest show as skipped, with what is missing.
    """
    __tracebackhide__ = True
    record = check(system, examples=examples, seed=seed, **options)
    if record.outcome == FAILS:
        raise NonConformance(message(system, check.__name__, record, examples=examples, seed=seed), record)
    if record.outcome == UNDECIDED:
        raise unittest.SkipTest(f"undecided: {record.note}")
    return record


def message(system: System, check: str, record: Check, *, examples: int = EXAMPLES, seed: int = 0) -> str:
    """Return the text of a failure."""
    from ddfm_theory.ledger.claims import CLAIMS

    statement, _, place = record.where.partition(" at ")
    got, _, expected = record.note.removeprefix("got ").partition(", expected ")
    lines = [
        f"{system.name} fails {check}",
        f"  claim      {record.claim}: {CLAIMS[record.claim].title}",
        f"  statement  {statement}",
        f"  where      {place or 'anywhere'}",
        f"  got        {got}",
        f"  expected   {expected}",
        f"  off by     {record.residual}, where rounding may cost {record.bound}",
        "  repeat it with",
        *(f"    {line}" for line in _snippet(system, check, examples, seed)),
    ]
    return "\n".join(lines)


def _snippet(system: System, check: str, examples: int, seed: int) -> list[str]:
    module, name = _stands(system)
    source = f"from {module} import {name}" if module else f"{name} = ...  # {system.name!r}"
    call = f"print({check}({name}, examples={examples}, seed={seed}))"
    return [f"from ddfm_theory.testing.checks import {check}", source, call]


def _stands(system: System) -> tuple[str, str]:
    """Return the module and name under which a system stands, so that a snippet can import it."""
    for module, loaded in sorted(sys.modules.items()):
        for name, value in list(getattr(loaded, "__dict__", {}).items()):
            if value is system and not name.startswith("_"):
                return module, name
    return "", "system"


def identifier(system: System, check: ConformanceCheck) -> str:
    """Return the name of a pair, as test ids and files of expected failures have it."""
    return f"{system.name}-{check.__name__}"


def parametrize_with_checks(systems: Sequence[System], *, expected_failed_checks: Expected = None) -> Any:
    """Return a pytest decorator for a test with arguments ``system`` and ``check``.

    Args:
        systems: what is under test.
        expected_failed_checks: name of a check -> why it is known to fail, or a function from a system to such a
            mapping. These are expected failures, and one that passes after all fails.

    Raises:
        ValueError: a name that is no check's, no systems, or something that is none.
    """
    import pytest

    parameters = []
    for system, check in pairs(sequence(systems, "systems")):
        expected = expected_failed_checks(system) if callable(expected_failed_checks) else expected_failed_checks or {}
        instance(expected, Mapping, "expected_failed_checks")
        unknown = sorted(set(expected) - {known.__name__ for known in CHECKS})
        if unknown:
            raise ValueError(f"expected_failed_checks must name checks, named {unknown}")
        reason = expected.get(check.__name__)
        marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True, raises=NonConformance)]
        parameters.append(pytest.param(system, check, marks=marks, id=identifier(system, check)))
    return pytest.mark.parametrize(("system", "check"), parameters)
