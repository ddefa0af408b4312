"""Intervals over seeds: what training by chance does to a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student


def across_seeds(values: Sequence[float], level: float = 0.95) -> dict[str, float]:
    r"""Return the mean over seeds and Student's interval :math:`\bar v \pm t_{n-1}\, s / \sqrt n`.

    Args:
        values: one number a seed, two or more.
        level: the probability covered, in (0, 1).

    Returns:
        mean, low, high.

    Raises:
        ValueError: fewer than two numbers, of whose spread nothing is known; a level outside (0, 1).
    """
    row = np.asarray(values, dtype=np.float64)
    if row.ndim != 1 or len(row) < 2 or not 0 < level < 1:
        raise ValueError(f"values must be one number a seed, two or more, level in (0, 1), were {values} and {level}")
    half = float(student.ppf((1 + level) / 2, len(row) - 1)) * float(row.std(ddof=1)) / len(row) ** 0.5
    return {"mean": float(row.mean()), "low": float(row.mean()) - half, "high": float(row.mean()) + half}
