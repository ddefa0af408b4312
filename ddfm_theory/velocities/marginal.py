"""The marginal velocity of an enumerated space, and of a step: the flux through a pivot, divided once, last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    cast,
    finite,
    fits,
    full,
    is_object,
    is_symbolic,
    namespace,
    nonnegative,
    positive_int,
    ratio,
    sequence,
    support,
    to_float,
)
from ddfm_theory.couplings import AnyCoupling, MaskedCoupling
from ddfm_theory.flux import choose_pivot, flux_kernels
from ddfm_theory.paths import (
    base_pmfs,
    check,
    conditional_path,
    has_table,
    mask_factors,
    reached_path,
    schedule,
    schedule_dot,
    times_outer,
)
from ddfm_theory.schedulers import Scheduler


def marginal_velocity(
    coupling: AnyCoupling, scheduler: Scheduler, t: Any, *, pivot: Sequence[int] | None = None
) -> Array:
    r"""Return the velocity :math:`u_t^i(x, z)` that generates the marginal path in continuous time.

    .. math:: u_t^i(x, z) = \sum_{x_0, x_1} u_t^i(x, z \mid x_0, x_1)\, p_t(z \mid x_0, x_1)\, \pi(x_0, x_1) / p_t(z)

    Args:
        coupling: pi, enumerated.
        scheduler: kappa.
        t: the time in [0, 1]; at t = 1 the left limit.
        pivot: per position the index l; None takes the arg min.

    Returns:
        Shape (d,) * N + (N, d); zeros where p_t(z) = 0, where the velocity is undefined.

    Raises:
        ValueError: an infinite limit, a schedule without a derivative, an empirical coupling.

    References:
        Gat et al., arXiv 2407.15595, Theorems 2 and 3.
    """
    weights, slopes = schedule(coupling, scheduler, t), schedule_dot(coupling, scheduler, t)
    _refuse_undetermined(weights, t)
    return flux_velocity(coupling, scheduler, weights, slopes, pivot)


def step_velocity(
    coupling: AnyCoupling, scheduler: Scheduler, t: Any, t_next: Any, *, pivot: Sequence[int] | None = None
) -> Array:
    r"""Return the increment :math:`u_t^i(x, z)` of a step from t to t_next: X' is drawn from delta + u.

    It is the marginal velocity with :math:`\kappa_{t'} - \kappa_t` in place of the derivative.

    Args:
        coupling: pi, enumerated.
        scheduler: kappa.
        t: the time before the step.
        t_next: the time after it, not before t.
        pivot: per position the index l; None takes the arg min.

    Returns:
        Shape (d,) * N + (N, d); zeros where p_t(z) = 0, where it is undefined.

    Raises:
        ValueError: as for :func:`marginal_velocity`, and t_next before t.
    """
    weights, slopes = increment(coupling, scheduler, t, t_next)
    return flux_velocity(coupling, scheduler, weights, slopes, pivot)


def increment(coupling: AnyCoupling, scheduler: Scheduler, t: Any, t_next: Any) -> tuple[Array, Array]:
    """Return the schedule's weights at t and their increments to t_next, both (J, N), in the coupling's system."""
    times = nonnegative(t, "t"), nonnegative(t_next, "t_next")
    if any(tuple(time.shape) for time in times):
        raise ValueError(f"t and t_next must be one number each, were {t!r} and {t_next!r}")
    if not any(is_symbolic(time) for time in times) and _before(times[1], times[0]):
        raise ValueError(f"t_next must not be before t = {t}, was {t_next}")
    check(coupling, scheduler)
    now, after = (scheduler.weights(time, coupling.length) for time in (t, t_next))
    if type(now) is not type(after) or now.dtype != after.dtype:
        now, after = (cast(weights, coupling.like, "scheduler at t") for weights in (now, after))
    # subtracted before it is rounded to a narrower float: near t = 1 all of a rate's digits hang on it
    moves = cast(after - now, coupling.like, "scheduler at t")
    return cast(now, coupling.like, "scheduler at t"), moves


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end is refused
def flux_velocity(
    coupling: AnyCoupling, scheduler: Scheduler, weights: Array, slopes: Array, pivot: Sequence[int] | None
) -> Array:
    """Return the marginal velocity for given weights (J, N) and slopes (J, N), derivatives or increments."""
    if pivot is None and isinstance(coupling, MaskedCoupling) and has_table(coupling, scheduler) and rises(slopes):
        return _unmasking_velocity(coupling, weights, slopes[-1])
    pivot = choose_pivot(weights, slopes) if pivot is None else _checked_pivot(pivot, weights)
    bases = base_pmfs(coupling, scheduler)
    kernels = [conditional_path(weights[:, i], bases) for i in range(coupling.length)]
    fluxes = flux_kernels(weights, slopes, bases, pivot)
    path = reached_path(coupling, kernels)
    out = full((*path.shape, coupling.length, coupling.size), 0, coupling.like)
    for i in range(coupling.length):
        flux = coupling.contract([*kernels[:i], fluxes[i], *kernels[i + 1 :]])
        out[..., i, :] = ratio(namespace(flux).moveaxis(flux, i + 1, -1), path[..., None])
    return finite(out, "velocity at t")


def rises(slopes: Array) -> bool:
    """Tell whether kappa rises at every position (of symbols it is a recorded hypothesis)."""
    return is_symbolic(slopes) or not bool((slopes[-1] < 0).any())


@np.errstate(over="ignore")
def leaving_rates(slopes: Array, hidden: Array) -> Array:
    """Return the rate of leaving the mask per position, slope / (1 - kappa), refusing what overflows."""
    rates = ratio(slopes, hidden)
    if not is_object(rates) and not bool((abs(rates) < float("inf")).all()):
        raise ValueError("t must leave the rates finite, but a slope over 1 - kappa overflows")
    return rates


def _unmasking_velocity(coupling: MaskedCoupling, weights: Array, slopes: Array) -> Array:
    r"""Return :math:`\dot\kappa^i / (1 - \kappa^i) \big(S(z^{i \to x}) / S(z) - \delta_m(x)\big)` where z^i = m."""
    n, mask = coupling.length, coupling.mask
    fits((coupling.size,) * n + (n, coupling.size), "coupling", "use velocity_at or step_velocity_at")
    table = coupling.revealed
    out, sign = full((*table.shape, n, coupling.size), 0, table), full((coupling.size,), 1, table)
    sign[mask] = -sign[mask]  # at x = m the table reads S(z) / S(z) = 1: what leaves
    charged = times_outer(table, [support(vector) for vector in mask_factors(weights, coupling.size)])
    rates = leaving_rates(slopes, weights[0])
    for i in (i for i in range(n) if not bool(rates[i] == 0)):
        at = (slice(None),) * i
        law = ratio(namespace(table).moveaxis(table, i, -1), charged[(*at, mask, ..., None)])
        out[(*at, mask, ..., i, slice(None))] = law * (sign * rates[i])
    return out


def _refuse_undetermined(weights: Array, t: Any) -> None:
    """Refuse t = 1 with three bases or more: all weights but one vanish there, and first derivatives do not say how."""
    if weights.shape[0] > 2 and bool(nonnegative(t, "t") == 1):
        raise ValueError("t must be below 1 with three bases or more, whose weights vanish together or to second order")


def _checked_pivot(pivot: Any, weights: Array) -> tuple[int, ...]:
    count, length = int(weights.shape[0]), int(weights.shape[1])
    indices = sequence(pivot, "pivot")
    if len(indices) != length:
        raise ValueError(f"pivot must hold one index a position, {length}, was {pivot!r}")
    return tuple(positive_int(index, "pivot", 0, count - 1) for index in indices)


def _before(t: Array, other: Array) -> bool:
    """Tell whether t < other: exactly where both are exact."""
    if is_object(t) and is_object(other):
        return bool(t < other)
    return bool(to_float(t) < to_float(other))
