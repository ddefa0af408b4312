"""The negative ELBO: the loss of a step integrated over a schedule, exactly where it is a polynomial in t."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import (
    Array,
    asarray,
    cast,
    is_object,
    positive_int,
    stack,
    total,
)
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.objectives.losses import denoising, masked, weighted_losses
from ddfm_theory.paths import has_table, schedule, schedule_dot
from ddfm_theory.schedulers import Scheduler


def negative_elbo(coupling: MaskedCoupling, scheduler: Scheduler, law: Array, *, nodes: int | None = None) -> Array:
    r"""Return :math:`\int_0^1 \mathcal L_t\, dt`, which bounds -E log q and equals H(q) at the perfect denoiser.

    Between breakpoints the integrand is a polynomial in t wherever kappa is one; it is then integrated exactly, by
    interpolation at rational nodes. Other schedules (cosine) are integrated in floats, by Gauss-Legendre.

    Args:
        coupling: q with the all-mask source.
        scheduler: a continuous-time schedule from 0 to 1.
        law: the model's denoiser, shape (d,) * N + (N, V).
        nodes: Gauss-Legendre nodes per smooth piece; None integrates polynomials exactly, others with 48.

    Returns:
        A 0-d array.

    Raises:
        ValueError: exact entries with a schedule that is no polynomial in t.
    """
    count = None if nodes is None else positive_int(nodes, "nodes", high=1024)
    if not has_table(masked(coupling), scheduler):
        raise ValueError("scheduler must have two bases, had more")
    law = denoising(law, coupling)
    exact, degree = is_object(coupling.target), None if count else _degree(scheduler, coupling)
    if degree is None and exact:
        raise ValueError(f"scheduler must be a polynomial in t among exact entries, was {scheduler!r}")
    _check_ends(coupling, scheduler)
    rule = _gauss(count or 48) if degree is None else _interpolation(degree)
    # t = s^p makes t^(1/p) smooth at 0, where its derivative is infinite; p = 1 for every other schedule
    power = 1 / min(1.0, float(getattr(scheduler, "exponent", 1)))
    ends, pieces = [Fraction(0), *scheduler.breakpoints(coupling.length), Fraction(1)], []
    for a, b in zip(ends, ends[1:], strict=False):
        for place, weight in rule:
            s = a + (b - a) * place
            time, stretch = (s, 1) if power == 1 else (s**power, power * s ** (power - 1))
            slope = schedule_dot(coupling, scheduler, time)[-1]
            slope = slope * cast(asarray((b - a) * weight * stretch, "nodes"), coupling.target)
            pieces.append(total(weighted_losses(coupling, schedule(coupling, scheduler, time), slope, law)))
    return total(stack(pieces))


def _degree(scheduler: Scheduler, coupling: MaskedCoupling) -> int | None:
    """Return how many nodes integrate a piece exactly; None where no number does, or among floats not stably."""
    if scheduler.degree is None:
        return None
    count = scheduler.degree * coupling.length
    return count if is_object(coupling.target) or count <= 8 else None


def _check_ends(coupling: MaskedCoupling, scheduler: Scheduler) -> None:
    for t in (0, 1):
        if not bool((scheduler.kappa(t, coupling.length) == t).all()):
            raise ValueError(f"scheduler must go from 0 at t = 0 to 1 at t = 1, {scheduler!r} does not at t = {t}")


def _gauss(count: int) -> list[tuple[Any, Any]]:
    """Return Gauss-Legendre nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(count)
    return [((1 + float(s)) / 2, float(v) / 2) for s, v in zip(x, w, strict=True)]


def _interpolation(count: int) -> list[tuple[Fraction, Fraction]]:
    """Return the nodes j / count, j < count, and the weights that integrate polynomials of degree < count exactly."""
    places, rule = [flint.fmpq(j, count) for j in range(count)], []
    for j in range(count):
        basis = flint.fmpq_poly([1])
        for i in range(count):
            if i != j:
                basis *= flint.fmpq_poly([-places[i], 1]) / (places[j] - places[i])
        weight = basis.integral()(flint.fmpq(1))
        rule.append((Fraction(j, count), Fraction(int(weight.p), int(weight.q))))
    return rule
