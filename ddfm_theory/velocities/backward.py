"""The backward velocity, with the pivot at the arg max, and the corrector that joins it with the forward one."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import (
    Array,
    alike,
    beside,
    finite,
    gamma,
    is_object,
    nonnegative,
)
from ddfm_theory.couplings import AnyCoupling
from ddfm_theory.flux import choose_pivot
from ddfm_theory.paths import (
    schedule,
    schedule_dot,
)
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.velocities.marginal import flux_velocity, increment


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
    return flux_velocity(coupling, scheduler, weights, slopes, choose_pivot(weights, slopes, backward=True))


def step_backward_velocity(coupling: AnyCoupling, scheduler: Scheduler, t: Any, t_next: Any) -> Array:
    """Return the backward velocity of a step from t to t_next, with that step's ratios; shapes as ``step_velocity``."""
    weights, slopes = increment(coupling, scheduler, t, t_next)
    return flux_velocity(coupling, scheduler, weights, slopes, choose_pivot(weights, slopes, backward=True))


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
    if not (bool(a - b == 1) if is_object(forward) else abs(float(a - b) - 1) <= _slack(forward, a, b)):
        raise ValueError(f"alpha must be one more than beta, was {alpha} against {beta}")
    return finite(combine(forward, backward, a, b), "alpha u - beta u~")


def _slack(like: Array, a: Array, b: Array) -> float:
    """Return what rounding alpha, beta and their difference can cost."""
    return gamma(like.dtype, 3) * (1 + float(a) + float(b))


def combine(forward: Array, backward: Array, alpha: Array, beta: Array) -> Array:
    """Return alpha u - beta u~, unchecked."""
    return forward * alpha - backward * beta
