r"""Probability velocities that generate the paths, in continuous and in discrete time.

Conditional, per position, with :math:`\ell` the pivot [Gat et al., Theorem 3]:

.. math:: u(x, z) = \sum_j a^j w^j(x) + b\, \delta_z(x), \quad
    a^j = \dot\kappa^j - \kappa^j \dot\kappa^\ell / \kappa^\ell, \quad b = \dot\kappa^\ell / \kappa^\ell,

marginal by the posterior of the coupling [Theorem 2]. **A step is the same formula** with the increment
:math:`\kappa' - \kappa` in place of the derivative. The flux :math:`p_t(z) u(x, z)` is formed first, a polynomial, and
divided once, last: so the autoregressive schedule meets no 0/0, and t = 1 is an exact limit for every source.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595, Theorems 2 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    alike,
    asarray,
    beside,
    cast,
    dense_velocity,
    finite,
    fits,
    full,
    gamma,
    gather,
    index_like,
    is_object,
    is_symbolic,
    namespace,
    nonnegative,
    positive_int,
    ratio,
    sequence,
    shaped,
    support,
    to_float,
    tokens,
    total,
)
from ddfm_theory.couplings import AnyCoupling, MaskedCoupling
from ddfm_theory.flux import choose_pivot, conditional_velocity, flux_kernels
from ddfm_theory.paths import (
    base_pmfs,
    check,
    conditional_path,
    has_table,
    mask_factors,
    mask_weights_at,
    reached_path,
    schedule,
    schedule_dot,
    times_outer,
)
from ddfm_theory.schedulers import Scheduler

__all__ = [
    "backward_velocity",
    "choose_pivot",
    "conditional_velocity",
    "corrector_velocity",
    "marginal_velocity",
    "step_backward_velocity",
    "step_velocity",
    "step_velocity_at",
    "velocity_at",
    "velocity_conditions",
]


def _refuse_undetermined(weights: Array, slopes: Array, t: Any) -> None:
    """Refuse t = 1 where first derivatives leave the limit open: three or more bases, several zeros or a double one."""
    if weights.shape[0] < 3 or is_symbolic(weights) or not bool(nonnegative(t, "t") == 1):
        return
    for i in range(weights.shape[1]):
        zeros = [j for j in range(weights.shape[0] - 1) if bool(weights[j, i] == 0)]
        if len(zeros) > 1 or any(bool(slopes[j, i] == 0) for j in zeros):
            raise ValueError(
                f"t must be below 1 where weights {zeros} vanish together or to second order at position {i}"
            )


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end is refused
def _velocity(
    coupling: AnyCoupling, scheduler: Scheduler, weights: Array, slopes: Array, pivot: Sequence[int] | None
) -> Array:
    """Return the marginal velocity for given weights (J, N) and slopes (J, N), derivatives or increments."""
    if pivot is None and isinstance(coupling, MaskedCoupling) and has_table(coupling, scheduler) and _rises(slopes):
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


def _checked_pivot(pivot: Any, weights: Array) -> tuple[int, ...]:
    count, length = int(weights.shape[0]), int(weights.shape[1])
    indices = sequence(pivot, "pivot")
    if len(indices) != length:
        raise ValueError(f"pivot must hold one index a position, {length}, was {pivot!r}")
    return tuple(positive_int(index, "pivot", 0, count - 1) for index in indices)


def _rises(slopes: Array) -> bool:
    """Tell whether kappa rises at every position (of symbols it is a recorded hypothesis)."""
    return is_symbolic(slopes) or not bool((slopes[-1] < 0).any())


@np.errstate(over="ignore")
def _rates(slopes: Array, hidden: Array) -> Array:
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
    rates = _rates(slopes, weights[0])
    for i in (i for i in range(n) if not bool(rates[i] == 0)):
        at = (slice(None),) * i
        law = ratio(namespace(table).moveaxis(table, i, -1), charged[(*at, mask, ..., None)])
        out[(*at, mask, ..., i, slice(None))] = law * (sign * rates[i])
    return out


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
    _refuse_undetermined(weights, slopes, t)
    return _velocity(coupling, scheduler, weights, slopes, pivot)


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
    return _velocity(coupling, scheduler, weights, slopes, pivot)


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


def _before(t: Array, other: Array) -> bool:
    """Tell whether t < other: exactly where both are exact."""
    if is_object(t) and is_object(other):
        return bool(t < other)
    return bool(to_float(t) < to_float(other))


def backward_velocity(coupling: AnyCoupling, scheduler: Scheduler, t: Any) -> Array:
    r"""Return the backward velocity, with the pivot at the arg max: minus it moves a sample back in time.

    Args:
        coupling: pi, enumerated.
        scheduler: kappa.
        t: the time in (0, 1).

    Returns:
        u~, shape (d,) * N + (N, d): it generates the same path, and -u~ satisfies the velocity conditions.

    Raises:
        ValueError: a weight that rises from zero at t, where the rate is infinite.

    References:
        Gat et al., arXiv 2407.15595 (backward-time velocity and corrector).
    """
    weights, slopes = schedule(coupling, scheduler, t), schedule_dot(coupling, scheduler, t)
    return _velocity(coupling, scheduler, weights, slopes, choose_pivot(weights, slopes, backward=True))


def step_backward_velocity(coupling: AnyCoupling, scheduler: Scheduler, t: Any, t_next: Any) -> Array:
    """Return the backward velocity of a step from t to t_next, with that step's ratios; shapes as ``step_velocity``."""
    weights, slopes = increment(coupling, scheduler, t, t_next)
    return _velocity(coupling, scheduler, weights, slopes, choose_pivot(weights, slopes, backward=True))


def corrector_velocity(forward: Array, backward: Array, alpha: Any, beta: Any) -> Array:
    r"""Return :math:`\alpha u - \beta \tilde u`, which generates the same path for every alpha - beta = 1.

    Args:
        forward: u, shape (..., N, d).
        backward: u~, shape (..., N, d).
        alpha: alpha >= 0.
        beta: beta = alpha - 1 >= 0; the rates are nonnegative then.

    Raises:
        ValueError: a negative alpha or beta, or alpha - beta other than one.
    """
    forward, backward = alike(forward, backward, ("forward", "backward"))
    a = beside(nonnegative(alpha, "alpha"), forward, "alpha", (), "()")
    b = beside(nonnegative(beta, "beta"), forward, "beta", (), "()")
    exact = is_object(forward)
    slack = 0 if exact else gamma(forward.dtype, 3) * (1 + float(a) + float(b))
    if not (bool(a - b == 1) if exact else abs(float(a - b) - 1) <= slack):
        raise ValueError(f"alpha must be one more than beta, was {alpha} against {beta}")
    return finite(combine(forward, backward, a, b), "alpha u - beta u~")


def combine(forward: Array, backward: Array, alpha: Array, beta: Array) -> Array:
    """Return alpha u - beta u~, unchecked."""
    return forward * alpha - backward * beta


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
    if not _rises(slopes):
        raise ValueError("scheduler must rise where the all-mask source is evaluated at states")
    rates, mass = _rates(slopes[-1], weights[0]), coupling.mass_at(rows)
    factors = mask_weights_at(weights, rows, coupling.mask)
    for i in range(coupling.length):  # support from its factors, never from an underflowed product
        mass = mass * support(factors[:, i])
    moving = namespace(mass).where(index_like(rows == coupling.mask, mass), rates, full((), 0, rates))
    law = ratio(coupling.reveal_at(rows), mass[:, None, None])
    out = full((*law.shape[:-1], coupling.size), 0, mass)
    out[..., : coupling.vocabulary] = law * moving[..., None]
    out[..., coupling.mask] = -moving * support(mass)[:, None]
    return out


def velocity_conditions(velocity: Array, states: Any = None) -> tuple[Array, Array]:
    r"""Return what the velocity conditions speak of: the sums over x of u^i(x, z), and the rates at x != z^i.

    Args:
        velocity: shape (d,) * N + (N, d), or (B, N, d) with ``states``.
        states: tokens (B, N) where the velocity is given at states.

    Returns:
        The sums, shape (..., N), which must be zero, and the velocity with the entries x = z^i set to zero, which must
        be nonnegative.

    Raises:
        ValueError: another shape, not finite, or tokens out of range.
    """
    if states is None:
        velocity = dense_velocity(velocity, "velocity")
    else:
        velocity = shaped(asarray(velocity, "velocity"), "velocity", (None, None, None), "(B, N, d)")
        rows = tokens(states, "states", int(velocity.shape[2]), int(velocity.shape[1]))
        shaped(rows, "states", tuple(velocity.shape[:2]), f"{tuple(velocity.shape[:2])}, as velocity")
    sums, zero = total(velocity, velocity.ndim - 1), full((1,), 0, velocity)[0]
    rates = velocity + zero
    for i in range(int(velocity.shape[-2])):
        if states is not None:
            rates[index_like(np.arange(len(rows)), velocity), i, index_like(rows[:, i], velocity)] = zero
        for token in range(int(velocity.shape[-1]) if states is None else 0):
            rates[(slice(None),) * i + (token, ..., i, token)] = zero
    return sums, rates
