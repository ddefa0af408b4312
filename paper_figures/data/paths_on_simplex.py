"""The law of the number of revealed positions along four schedules, two tokens from the all-mask source."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.paths import marginal_path
from ddfm_theory.schedulers import Autoregressive, Cosine, Linear, Scheduler, Windowed

SEED, ARITHMETIC = 0, "float64"
LENGTH, VOCABULARY, STEPS, OVERLAP = 2, 3, 48, 0.5
SCHEDULES: dict[str, Scheduler] = {
    "linear": Linear(),
    "cosine": Cosine(),
    "windowed": Windowed(OVERLAP),
    "autoregressive": Autoregressive(),
}


def compute(seed: int) -> dict[str, Any]:
    """Return per schedule the times, kappa at both positions, and the law of the number of revealed positions."""
    target = np.random.default_rng(seed).dirichlet(np.ones(VOCABULARY**LENGTH)).reshape((VOCABULARY,) * LENGTH)
    coupling = MaskedCoupling(target)
    found = {name: _schedule(coupling, schedule) for name, schedule in SCHEDULES.items()}
    return {"length": LENGTH, "vocabulary": VOCABULARY, "overlap": OVERLAP, "schedules": found}


def _schedule(coupling: MaskedCoupling, schedule: Scheduler) -> dict[str, Any]:
    discrete = isinstance(schedule, Autoregressive)
    times = range(LENGTH + 1) if discrete else [s / STEPS for s in range(STEPS + 1)]
    return {"times": [t / LENGTH for t in times] if discrete else list(times),
            "kappa": [np.asarray(schedule.kappa(t, LENGTH), dtype=float) for t in times],
            "law": [revealed(marginal_path(coupling, schedule, t)) for t in times]}  # fmt: skip


def revealed(path: np.ndarray) -> list[float]:
    """Return the probabilities that 0, 1, ..., N positions are revealed."""
    counts = (np.indices(path.shape) < path.shape[0] - 1).sum(axis=0)
    return [float(path[counts == n].sum()) for n in range(path.ndim + 1)]
