"""What a function asks of its number system beyond the field operations and == 0."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays.doors import asarray
from ddfm_theory.arrays.systems import is_float, is_object, system_of

# Order and logarithm are had by floats, rationals and roundoff entries, a logarithm also by symbols, randomness by
# floats alone.
NEEDS = {
    "decentralization.top_k_gate": "order",
    "objectives.cross_entropy": "logarithm",
    "objectives.generalized_kl": "logarithm",
    "sharpening.greedy": "order",
    "sharpening.nucleus": "order",
    "sampling.sample_categorical": "randomness",
    "stability.kl_divergence": "logarithm",
    "stability.total_variation": "order",
}
_HAS = {
    "order": {"rational", "roundoff"},
    "logarithm": {"rational", "roundoff", "symbol"},
    "randomness": set(),
}


def refuse(function: str, values: Any, name: str) -> None:
    """Raise ValueError where a function of the table NEEDS is called with a number system that lacks what it needs."""
    need, logs = NEEDS[function], is_object(values) and system_of(values) == "logarithm"
    array = values if logs or is_float(values) else asarray(values, name)  # SymPy's symbols in a list are symbols too
    if is_object(array) and system_of(array) not in _HAS[need]:
        raise ValueError(f"{name} of {function} must have {need}, was of {system_of(array)} entries")
