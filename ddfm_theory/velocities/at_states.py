"""Velocities at given states of the all-mask source: any length, real vocabularies, nothing enumerated."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import (
    Array,
    full,
    gather,
    index_like,
    namespace,
    ratio,
    support,
    tokens,
)
from ddfm_theory.couplings import AnyCoupling
from ddfm_theory.paths import (
    has_table,
    mask_weights_at,
    schedule,
    schedule_dot,
)
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.velocities.marginal import increment, leaving_rates, marginal_velocity, rises, step_velocity


def velocity_at(coupling: AnyCoupling, scheduler: Scheduler, t: Any, states: Any) -> Array:
    r"""Return :math:`u_t^i(x, z)` for given states: the twin of :func:`marginal_velocity` for any coupling.

    Args:
        coupling: pi, enumerated or empirical.
        scheduler: kappa.
        t: the time.
        states: tokens, shape (B, N).

    Returns:
        Shape (B, N, d); zeros at states with p_t(z) = 0.
    """
    table = has_table(coupling, scheduler)
    rows = tokens(states, "states", coupling.size, coupling.length)
    if not table:
        return gather(marginal_velocity(coupling, scheduler, t), rows)
    weights, slopes = schedule(coupling, scheduler, t), schedule_dot(coupling, scheduler, t)
    return _unmasking_velocity_at(coupling, weights, slopes, rows)


def step_velocity_at(coupling: AnyCoupling, scheduler: Scheduler, t: Any, t_next: Any, states: Any) -> Array:
    """Return the increments of a step for given states, shape (B, N, d): the twin of :func:`step_velocity`."""
    table = has_table(coupling, scheduler)
    rows = tokens(states, "states", coupling.size, coupling.length)
    if not table:
        return gather(step_velocity(coupling, scheduler, t, t_next), rows)
    weights, slopes = increment(coupling, scheduler, t, t_next)
    return _unmasking_velocity_at(coupling, weights, slopes, rows)


def _unmasking_velocity_at(coupling: Any, weights: Array, slopes: Array, rows: Any) -> Array:
    if not rises(slopes):
        raise ValueError("scheduler must rise where the all-mask source is evaluated at states")
    rates, mass = leaving_rates(slopes[-1], weights[0]), coupling.mass_at(rows)
    factors = mask_weights_at(weights, rows, coupling.mask)
    for i in range(coupling.length):  # support from its factors, never from an underflowed product
        mass = mass * support(factors[:, i])
    moving = namespace(mass).where(index_like(rows == coupling.mask, mass), rates, full((), 0, rates))
    law = ratio(coupling.reveal_at(rows), mass[:, None, None])
    out = full((*law.shape[:-1], coupling.size), 0, mass)
    out[..., : coupling.vocabulary] = law * moving[..., None]
    out[..., coupling.mask] = -moving * support(mass)[:, None]
    return out
