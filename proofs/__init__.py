"""Derivations of the ledger's statements: readable, printed as a paper's appendix, and checked step by step.

Each claim has a module ``proofs.c01`` ... ``proofs.c22`` whose ``DERIVATIONS`` are chains of expressions with reasons;
``proofs.check`` decides each step. ``proofs/rocq`` holds the machine-checked theorems.
"""

from __future__ import annotations

import importlib

from proofs.derivation import Derivation, Grid, Outcome, Step, check, check_by_solver

CLAIMS = tuple(f"C{number:02d}" for number in range(1, 23))

__all__ = ["CLAIMS", "Derivation", "Grid", "Outcome", "Step", "check", "check_by_solver", "derivations"]


def derivations(claim: str) -> tuple[Derivation, ...]:
    """Return the derivations of a claim.

    Args:
        claim: C01..C22.

    Raises:
        ValueError: no such claim.
    """
    if claim not in CLAIMS:
        raise ValueError(f"claim must be one of C01..C22, was {claim!r}")
    found: tuple[Derivation, ...] = importlib.import_module(f"proofs.{claim.lower()}").DERIVATIONS
    return found
