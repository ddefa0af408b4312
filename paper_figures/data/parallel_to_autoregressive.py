"""The exact error of the discrete-time sampler against steps and overlap, in rationals (C05, C20).

The target is Dirichlet(1) over 2^3 from NumPy's default generator, rounded to rationals of denominator 10^12.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.sampling import sampler_law
from ddfm_theory.schedulers import Scheduler, Windowed
from ddfm_theory.stability import total_variation

SEED, ARITHMETIC = 1, "rationals, total variation to float64 last"
LENGTH, GRID = 3, 10**12
STEPS = (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 24, 32, 48, 64)
OVERLAPS = tuple(Fraction(i, 4) for i in range(5))
FINE, FEW = tuple(Fraction(i, 24) for i in range(25)), (2, 3, 4, 6, 8)


def compute(seed: int) -> dict[str, Any]:
    """Return the total variation of every overlap and number of steps, and the bound sum_{i<j} Dk^i Dk^j of C20."""
    coupling = MaskedCoupling(target(seed))
    by_steps = [{"overlap": float(w), "tv": [error(coupling, w, n) for n in STEPS],
                 "bound": [float(bound(Windowed(w), n)) for n in STEPS]} for w in OVERLAPS]  # fmt: skip
    by_overlap = [{"steps": n, "tv": [error(coupling, w, n) for w in FINE]} for n in FEW]
    return {"length": LENGTH, "vocabulary": 2, "steps": list(STEPS), "by_steps": by_steps,
            "overlaps": [float(w) for w in FINE], "by_overlap": by_overlap}  # fmt: skip


def target(seed: int) -> np.ndarray:
    """Return the target, shape (2,) * 3, in rationals."""
    law = np.random.default_rng(seed).dirichlet(np.ones(2**LENGTH))
    counts = np.rint(law * GRID).astype(np.int64)
    counts[-1] += GRID - counts.sum()
    return np.array([Fraction(int(count), GRID) for count in counts], dtype=object).reshape((2,) * LENGTH)


def times(steps: int) -> list[Fraction]:
    """Return equal steps from 0 to 1."""
    return [Fraction(s, steps) for s in range(steps + 1)]


def error(coupling: MaskedCoupling, overlap: Fraction, steps: int) -> float:
    """Return TV of the sampler's law to the target; zero is exactly zero."""
    law = sampler_law(coupling, Windowed(overlap), times(steps))
    data = law[(slice(2),) * LENGTH]
    distance = total_variation(data.ravel(), coupling.target.ravel())
    return _plain(distance)


def bound(schedule: Scheduler, steps: int) -> Fraction:
    """Return the sum over steps of sum_{i<j} Dk^i Dk^j."""
    half = Fraction(1, 2)
    rows = [[_fraction(k) for k in schedule.kappa(t, LENGTH)] for t in times(steps)]
    moves = [[b - a for a, b in zip(row, after, strict=True)] for row, after in zip(rows, rows[1:], strict=False)]
    return sum((half * (sum(m) ** 2 - sum(x * x for x in m)) for m in moves), Fraction(0))


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _plain(value: Any) -> float:
    return float(_fraction(value.item() if hasattr(value, "item") else value))
