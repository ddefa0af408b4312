"""The ledger as a LaTeX longtable (booktabs): statements, instances decided by kind of evidence, controls."""

from __future__ import annotations

from typing import Any

from paper_figures.entries import table
from paper_figures.records import Record


@table("paper_figures/data/ledger.json")
def latex(data: Record) -> str:
    """Return the table that ``ddfm verify --latex`` writes, made from the committed evidence."""
    from ddfm_theory.ledger.records import Check, Witness
    from ddfm_theory.ledger.report import latex as longtable
    from ddfm_theory.ledger.runner import Report

    def made(kind: type[Any], key: str) -> tuple[Any, ...]:
        try:
            return tuple(kind(**row) for claim in data["claims"] for row in claim[key])
        except TypeError as error:
            raise ValueError(f"{data.place}.claims must hold {key} as ddfm verify writes them: {error}") from None

    report = Report(data["profile"], data["seed"], data["data"], made(Check, "evidence"), made(Witness, "controls"))
    return longtable(report)
