"""What Hypothesis calls when it is imported, so that ``st.from_type(MaskedCoupling)`` draws valid couplings.

It imports the rooms whose classes are registered (NumPy and FLINT; no Torch, no SymPy); the strategies come in when one
is first drawn from.
"""

from __future__ import annotations

import importlib
from typing import Any

STRATEGIES = {
    "couplings.Coupling": "joint_couplings",
    "couplings.EmpiricalCoupling": "empirical_couplings",
    "couplings.MaskedCoupling": "masked_couplings",
    "decentralization.Decentralization": "decentralizations",
    "schedulers.Autoregressive": "orders",
    "schedulers.Scheduler": "schedulers",
    "schedulers.Steps": "step_schedulers",
    "testing.systems.Parts": "systems",
}


def register() -> None:
    """Register a strategy for each class that a user may name in a signature."""
    from hypothesis import strategies as st

    for path, name in STRATEGIES.items():
        module, _, kind = path.rpartition(".")
        st.register_type_strategy(getattr(importlib.import_module(f"ddfm_theory.{module}"), kind), _drawing(name))


def _drawing(name: str) -> Any:
    return lambda kind: getattr(importlib.import_module("ddfm_theory.testing.strategies"), name)()
