"""The ledger's evidence, as ``ddfm verify --profile default --data digits --json`` writes it."""

from __future__ import annotations

from typing import Any

SEED, SLOW = 0, True
ARITHMETIC = "as each kind of evidence says"


def compute(seed: int) -> dict[str, Any]:
    """Return the report as plain data."""
    from ddfm_theory.ledger import verify

    return verify(profile="default", data="digits", seed=seed).as_dict()
