"""Evidence by derivation: the chains of ``proofs``, each step decided, named in the row they speak for."""

from __future__ import annotations

from typing import Any

from ddfm_theory.ledger.formal import room
from ddfm_theory.ledger.records import FAILS, HOLDS, Check


def derivation_evidence(claim: str) -> list[Check]:
    """Return a row's derivations, symbolic where free symbols decide every step and exact where a grid does.

    None where the room is not installed.
    """
    if room() is None:
        return []
    import proofs

    return [_checked(derivation, proofs.check(derivation)) for derivation in proofs.derivations(claim)]


def _checked(derivation: Any, outcomes: list[Any]) -> Check:
    kind = "symbolic" if derivation.grid is None else "exact"
    note = f"derivation '{derivation.title}', {len(derivation.steps)} expressions"
    for outcome in outcomes:
        if outcome.outcome != HOLDS:
            where = f"{note}, step {outcome.step}: {outcome.where}"
            return Check(derivation.claim, kind, FAILS, 0, outcome.after, outcome.before, where)
    return Check(derivation.claim, kind, HOLDS, sum(outcome.cases for outcome in outcomes), note=note)
