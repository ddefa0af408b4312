"""What the ledger is made of: statements, claims, controls, and the evidence found for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ddfm_theory.arrays import Array
from ddfm_theory.showing import record

KINDS = ("numeric", "property", "exact", "symbolic")
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"


@dataclass(frozen=True)
class Equation:
    """``got == expected``, entry by entry."""

    name: str
    got: Array
    expected: Array


@dataclass(frozen=True)
class Inequality:
    """``lower <= upper``, entry by entry; symbols, which have no order, are not asked."""

    name: str
    lower: Array
    upper: Array


Statement = Equation | Inequality
Law = Callable[..., Iterator[Statement]]


@dataclass(frozen=True)
class Control:
    """A smallest instance on which a claim must fail when a hypothesis is dropped, with the exact value it fails by.

    Attributes:
        says: the hypothesis dropped, and what comes instead.
        instance: the instance, in rationals.
        broken: the ingredients of the law that are replaced; without them it holds on the same instance.
        statement: the name of the law's statement that must fail.
        measure: ``largest`` (difference), ``l1``, ``tv`` (half of it), ``gap`` (lower less upper), ``first`` entry.
        value: the exact value of that measure.
    """

    says: str
    instance: Any
    broken: dict[str, Any]
    statement: str
    measure: str
    value: Any


@dataclass(frozen=True)
class Claim:
    """A row of the ledger.

    Attributes:
        id: C01..C22.
        title: a few words.
        statement: LaTeX.
        hypotheses: what is assumed.
        source: where it is said.
        family: draws an instance, in the number system of the draw.
        law: ``(instance, **ingredients) -> statements``, written once for every number system.
        controls: what must fail.
        without: the kinds of evidence that make no sense here, with the reason.
    """

    id: str
    title: str
    statement: str
    hypotheses: str
    source: str
    family: Callable[[Any], Any]
    law: Law
    controls: tuple[Control, ...]
    without: dict[str, str] = field(default_factory=dict)

    def _repr_markdown_(self) -> str:
        head = f"**{self.id}, {self.title}.**\n\n$$\n{self.statement}\n$$\n\n"
        return f"{head}Hypotheses: {self.hypotheses}. Source: {self.source}.\n"


@dataclass(frozen=True)
class Check:
    """Evidence: one claim, one kind, one outcome.

    Attributes:
        claim: C01..C22.
        kind: numeric, property, exact, symbolic, formal or data.
        outcome: holds, fails or undecided.
        cases: how many instances were decided.
        residual: the largest difference met (numeric), or its exact text.
        bound: the bound it was held against.
        where: statement, entry and instance of the worst or failing case.
        note: what is missing, or what was covered.
    """

    claim: str
    kind: str
    outcome: str
    cases: int = 0
    residual: str = "0"
    bound: str = "0"
    where: str = ""
    note: str = ""

    def __bool__(self) -> bool:
        raise TypeError("a Check has three outcomes: ask for .outcome, undecided is not true")

    def _repr_html_(self) -> str:
        return record(self)._repr_html_()


@dataclass(frozen=True)
class Witness:
    """A failing control: where it fails, both exact values, the measured failure and the value the ledger states."""

    claim: str
    says: str
    outcome: str
    where: str
    got: str
    expected: str
    measured: str
    stated: str
    restored: str

    def _repr_html_(self) -> str:
        return record(self)._repr_html_()
