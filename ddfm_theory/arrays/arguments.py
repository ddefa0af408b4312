"""The public edge for arguments that are no arrays: classes, sequences, integers, seeds."""

from __future__ import annotations

from typing import Any

import numpy as np


def instance(value: Any, kinds: Any, name: str) -> Any:
    """Check an argument's class: one, or several as a tuple or a union."""
    if not isinstance(value, kinds):
        words = " or ".join(kind.__name__ for kind in getattr(kinds, "__args__", (kinds,)))
        raise ValueError(f"{name} must be a {words}, was of type {type(value).__name__}")
    return value


def sequence(values: Any, name: str, low: int = 1) -> list[Any]:
    """Check that an argument is a sequence (a list, a tuple, a range, an array's rows) of at least ``low``; list it."""
    if isinstance(values, (str, bytes, dict, set, frozenset)) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a nonempty sequence, was {values!r}")
    try:
        items = list(values)
    except TypeError as error:
        raise ValueError(f"{name} must be a nonempty sequence: {error}") from None
    if len(items) < low:
        raise ValueError(f"{name} must be a nonempty sequence, was empty")
    return items


def generator(seed: Any) -> np.random.Generator:
    """Return NumPy's default generator for a seed, or a generator as it is, so that one run draws from one stream."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(positive_int(seed, "seed", 0))


def positive_int(value: Any, name: str, low: int = 1, high: int | None = None) -> int:
    """Check an integer argument's range and return it as ``int``."""
    ok = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not ok or value < low or (high is not None and value > high):
        limit = f"at least {low}" if high is None else f"in {low}..{high}"
        raise ValueError(f"{name} must be an integer {limit}, was {value!r}")
    return int(value)
