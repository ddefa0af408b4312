"""A schedule as a drawing: kappa of each position over time, which is how schedules show themselves in Jupyter."""

from __future__ import annotations

import numpy as np

from ddfm_theory.arrays import is_symbolic, to_float
from ddfm_theory.schedulers.base import Scheduler
from ddfm_theory.schedulers.given import Autoregressive, Given, PerPosition, Steps
from ddfm_theory.showing import Drawing, can_draw, curves

POSITIONS, MOMENTS = 4, 201


def own_length(scheduler: Scheduler) -> int:
    """Return the number of positions that a schedule is tied to, or four where it serves any."""
    if isinstance(scheduler, Steps):
        return int(scheduler.table.shape[1])
    if isinstance(scheduler, PerPosition):
        return len(scheduler.schedulers)
    return len(getattr(scheduler, "order", None) or range(POSITIONS))


def picture(scheduler: Scheduler, length: int | None = None) -> Drawing:
    r"""Draw :math:`\kappa_t^i` over t, one curve a position, or one curve where all positions agree.

    Args:
        scheduler: kappa.
        length: N; None is the schedule's own, or four.

    Raises:
        ValueError: values that have no time or no numbers (``Given``, symbols), or matplotlib is not installed.
    """
    count = own_length(scheduler) if length is None else length
    if isinstance(scheduler, Given) or (isinstance(scheduler, Steps) and is_symbolic(scheduler.table)):
        raise ValueError(f"scheduler must have numbers over time to be drawn, was {scheduler!r}")
    discrete = isinstance(scheduler, Steps | Autoregressive)
    end = scheduler.steps if isinstance(scheduler, Steps) else count
    times = list(range(end + 1)) if discrete else np.linspace(0.0, 1.0, MOMENTS).tolist()
    rows = np.stack([to_float(scheduler.kappa(t, count)) for t in times])
    alike = bool((rows == rows[:, :1]).all())
    series = {"every position": rows[:, 0]} if alike else {f"position {i + 1}": rows[:, i] for i in range(count)}
    return curves(times, series, labels=("step t" if discrete else "time t", "kappa"), steps=discrete)


def shown(scheduler: Scheduler) -> str | None:
    """Return the drawing's SVG, or None where there is nothing to draw or nothing to draw with."""
    if not can_draw():
        return None
    try:
        return picture(scheduler).svg
    except ValueError:
        return None
