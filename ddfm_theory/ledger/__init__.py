"""The ledger: the claims C01-C22 as data, and the evidence for each."""

from ddfm_theory.ledger.claims import CLAIMS
from ddfm_theory.ledger.records import Check, Claim, Control, Equation, Inequality, Witness
from ddfm_theory.ledger.runner import Report, verify

__all__ = ["CLAIMS", "Check", "Claim", "Control", "Equation", "Inequality", "Report", "Witness", "verify"]
