r"""Probability paths: from the source at t = 0 to the target at t = 1.

.. math:: p_t(x \mid x_0, x_1) = \prod_i \sum_j \kappa_t^{i,j}\, w^j(x^i \mid x_0^i, x_1^i), \qquad
    p_t(x) = \sum_{x_0, x_1} \pi(x_0, x_1)\, p_t(x \mid x_0, x_1).

From the all-mask source with two bases, :math:`p_t(z) = S(z) \prod_i (\kappa^i \text{ or } 1 - \kappa^i)`: one table
for every time and schedule.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    cast,
    fits,
    full,
    gather,
    generator,
    index_like,
    instance,
    is_symbolic,
    namespace,
    outer,
    positive_int,
    smallest_safe,
    stack,
    to_float,
    tokens,
    total,
    underflows,
)
from ddfm_theory.couplings import AnyCoupling, EmpiricalCoupling, MaskedCoupling
from ddfm_theory.schedulers import Scheduler

__all__ = ["marginal_path", "path_at", "path_derivative", "sample_path"]

MOST_DRAWS = (1 << 31) - 1  # at once


def check(coupling: AnyCoupling, scheduler: Scheduler) -> None:
    """Check the two arguments that every path has."""
    instance(coupling, AnyCoupling, "coupling")
    instance(scheduler, Scheduler, "scheduler")


def schedule(coupling: AnyCoupling, scheduler: Scheduler, t: Any) -> Array:
    """Return the schedule's weights (J, N) at t in the coupling's number system."""
    check(coupling, scheduler)
    return cast(scheduler.weights(t, coupling.length), coupling.like, "scheduler at t")


def schedule_dot(coupling: AnyCoupling, scheduler: Scheduler, t: Any) -> Array:
    """Return the derivatives of the schedule's weights (J, N) at t in the coupling's number system."""
    return cast(scheduler.weights_dot(t, coupling.length), coupling.like, "scheduler at t")


def has_table(coupling: AnyCoupling, scheduler: Scheduler) -> bool:
    """Tell whether the table S serves: all-mask source and the two end points as bases."""
    check(coupling, scheduler)
    return coupling.masked and scheduler.bases is None


def base_pmfs(coupling: AnyCoupling, scheduler: Scheduler) -> Array:
    """Return the base pmfs w^j(x | x0, x1) as an array (J, d, d, d), axes j, x0, x1, x."""
    like, d = coupling.like, coupling.size
    fits((2 if scheduler.bases is None else len(scheduler.bases) + 2, d, d, d), "coupling", "use the all-mask source")
    start, end = full((d, d, d), 0, like), full((d, d, d), 0, like)
    for token in range(d):
        start[token, :, token], end[:, token, token] = 1 + start[0, 0, 0] * 0, 1 + end[0, 0, 0] * 0
    if scheduler.bases is None:
        return stack([start, end])
    middle = cast(scheduler.bases, like, "scheduler's bases")
    if middle.shape[-1] != d:
        raise ValueError(f"scheduler's bases must be pmfs over d = {d} tokens, had {middle.shape[-1]}")
    ones = full((d, d, d), 1, like)
    return stack([start, *(ones * middle[j] for j in range(middle.shape[0])), end])


def conditional_path(weights: Array, bases: Array) -> Array:
    r"""Return :math:`p_t(x^i \mid x_0, x_1) = \sum_j \kappa^j w^j(x^i)`, one position.

    Args:
        weights: kappa^j, shape (J,).
        bases: w^j, shape (J, ..., d).

    Returns:
        Shape (..., d).
    """
    return namespace(weights, bases).tensordot(weights, bases, axes=([0], [0]))


def mask_factors(weights: Array, size: int) -> list[Array]:
    """Return per position the vector over tokens that is kappa^i at data tokens and 1 - kappa^i at the mask.

    Both rows of the weights (2, N) are taken as given: 1 - kappa from a rounded kappa would lose its digits near t = 1.
    """
    vectors = []
    for i in range(weights.shape[1]):
        vector = full((size,), 0, weights) + weights[1, i]
        vector[size - 1] = weights[0, i]
        vectors.append(vector)
    return vectors


def marginal_path(coupling: AnyCoupling, scheduler: Scheduler, t: Any) -> Array:
    r"""Return the marginal path :math:`p_t(x) = \sum_{x_0,x_1} \pi(x_0,x_1)\, p_t(x \mid x_0,x_1)`.

    Args:
        coupling: pi, enumerated.
        scheduler: kappa.
        t: the time, in [0, 1] or a step.

    Returns:
        The pmf over states, shape (d,) * N.

    Raises:
        ValueError: an empirical coupling (use :func:`path_at`), or t outside the schedule's range.
    """
    weights = schedule(coupling, scheduler, t)
    if isinstance(coupling, MaskedCoupling) and has_table(coupling, scheduler):
        return times_outer(coupling.revealed, mask_factors(weights, coupling.size))
    bases = base_pmfs(coupling, scheduler)
    return coupling.contract([conditional_path(weights[:, i], bases) for i in range(coupling.length)])


def reached_path(coupling: AnyCoupling, kernels: list[Array]) -> Array:
    """Return p_t(z) to divide by, from its kernels: refused where a state is reached but its probability underflows."""
    path = coupling.contract(kernels)
    if underflows(path, coupling.like, *kernels):
        lost = to_float(path) < smallest_safe(path.dtype)
        lost &= to_float(coupling.reaches(kernels)) > 0  # type: ignore[union-attr]
        if lost.any():
            where = tuple(int(i) for i in np.argwhere(lost)[0])
            raise ValueError(f"t must keep p_t(z) from underflow, lost at z = {where}: give a wider float or rationals")
    return path


def times_outer(table: Array, factors: list[Array]) -> Array:
    """Return table * outer(factors), the small half of the outer product last, so that one large pass is enough."""
    half = len(factors) // 2
    out = table * outer(factors[half:])
    if half:
        out *= outer(factors[:half])[(...,) + (None,) * (len(factors) - half)]
    return out


def path_derivative(coupling: AnyCoupling, scheduler: Scheduler, t: Any) -> Array:
    r"""Return :math:`dp_t/dt`, shape (d,) * N, by the product rule over positions.

    Raises:
        ValueError: a schedule without a derivative at t, or an empirical coupling.
    """
    weights, slopes = schedule(coupling, scheduler, t), schedule_dot(coupling, scheduler, t)
    bases = base_pmfs(coupling, scheduler)
    kernels = [conditional_path(weights[:, i], bases) for i in range(coupling.length)]
    moved = [conditional_path(slopes[:, i], bases) for i in range(coupling.length)]
    terms = [coupling.contract([*kernels[:i], moved[i], *kernels[i + 1 :]]) for i in range(coupling.length)]
    return total(stack(terms), 0)


def mask_weights_at(weights: Array, states: np.ndarray, mask: int) -> Array:
    """Return per state and position kappa^i where revealed, 1 - kappa^i where masked: shape (B, N)."""
    return namespace(weights).where(index_like(states == mask, weights), weights[0], weights[1])


def path_at(coupling: AnyCoupling, scheduler: Scheduler, t: Any, states: Any) -> Array:
    """Return p_t(z) for given states.

    Args:
        coupling: pi, enumerated or empirical.
        scheduler: kappa.
        t: the time.
        states: tokens, shape (B, N).

    Returns:
        Shape (B,).
    """
    table = has_table(coupling, scheduler)
    rows = tokens(states, "states", coupling.size, coupling.length)
    if not table:
        return gather(marginal_path(coupling, scheduler, t), rows)
    factors = mask_weights_at(schedule(coupling, scheduler, t), rows, coupling.size - 1)
    mass = coupling.mass_at(rows)  # type: ignore[union-attr]
    for i in range(coupling.length):
        mass = mass * factors[:, i]
    return mass


def choose(law: Array, count: int, rng: np.random.Generator, name: str) -> np.ndarray:
    """Draw ``count`` indices into the flattened law, in float64 from floats or rationals."""
    if is_symbolic(law):
        raise ValueError(f"{name} must hold numbers to be drawn from, held symbols")
    p = to_float(law).ravel()
    return rng.choice(p.size, size=positive_int(count, "count", high=MOST_DRAWS), p=p / p.sum())


def sample_path(coupling: AnyCoupling, scheduler: Scheduler, t: Any, count: int, seed: Any) -> np.ndarray:
    """Draw states from p_t of an all-mask coupling: a data row, then each position revealed with probability kappa^i.

    Args:
        coupling: masked or empirical, in floats or rationals.
        scheduler: kappa, two bases.
        t: the time.
        count: the number of states.
        seed: a seed of NumPy's default generator, or a generator.

    Returns:
        Tokens, shape (count, N).
    """
    if not has_table(coupling, scheduler):
        raise ValueError("coupling must start from the all-mask state with two bases to draw its path")
    rng = generator(seed)
    drawn = choose(coupling.like, count, rng, "coupling")
    if isinstance(coupling, EmpiricalCoupling):
        rows = coupling.samples[drawn]
    else:
        rows = np.stack(np.unravel_index(drawn, tuple(coupling.like.shape)), axis=1)
    kappa = to_float(cast(scheduler.kappa(t, coupling.length), np.zeros(1), "t"))
    return np.where(rng.random(rows.shape) < kappa, rows, coupling.size - 1)
