r"""The conditional velocity of one position, and its flux: the pivot, the convex sum, the polynomial.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595, Theorem 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    beside,
    finite,
    full,
    instance,
    is_symbolic,
    nonnegative,
    pmf,
    positive_int,
    ratio,
    shaped,
)
from ddfm_theory.paths import conditional_path


def choose_pivot(weights: Array, slopes: Array, *, backward: bool = False) -> tuple[int, ...]:
    r"""Return per position :math:`\arg\min_j \dot\kappa^j / \kappa^j` over :math:`\kappa^j > 0` (arg max backward).

    A weight that has just fallen to zero (kappa^j = 0 with a negative slope: the left limit at t = 1) counts as minus
    infinity. Symbols have no order: for two bases the schedule is taken to rise, so the pivot is the first base (the
    last backward); for more bases it must be given.

    Args:
        weights: kappa, shape (J, N).
        slopes: derivatives or increments, shape (J, N).
        backward: choose for the backward velocity.

    Raises:
        ValueError: symbols with more than two bases; backward, a weight that rises from zero (infinite rate); a
            position without weight.
    """
    weights = shaped(nonnegative(weights, "weights"), "weights", (None, None), "(J, N)")
    slopes = beside(slopes, weights, "slopes", tuple(weights.shape), "(J, N), as weights")
    instance(backward, bool, "backward")
    count, length = int(weights.shape[0]), int(weights.shape[1])
    if is_symbolic(weights) or is_symbolic(slopes):
        if count != 2:
            raise ValueError(f"pivot must be given for symbols with {count} bases: they have no order")
        return (int(backward),) * length
    return tuple(_extreme(weights[:, i], slopes[:, i], backward) for i in range(length))


def _extreme(weights: Array, slopes: Array, backward: bool) -> int:
    falls = [bool(w == 0) and bool(s < 0) for w, s in zip(weights, slopes, strict=True)]
    rises = [bool(w == 0) and bool(s > 0) for w, s in zip(weights, slopes, strict=True)]
    charged = [j for j in range(len(falls)) if not bool(weights[j] == 0)]
    if not charged:
        raise ValueError("weights must charge a base at every position, were all 0 at one")
    if backward and any(rises):
        raise ValueError(f"t must leave the backward rate finite, but weight {rises.index(True)} rises from zero there")
    if any(falls) and not backward:
        return falls.index(True)
    sign = -1 if backward else 1
    with np.errstate(over="ignore"):
        return min(charged, key=lambda j: sign * (slopes[j] / weights[j]))


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end is refused
def conditional_velocity(weights: Array, slopes: Array, bases: Array, pivot: int | None = None) -> Array:
    r"""Return the conditional velocity :math:`\sum_j a^j w^j(x) + b\, \delta_z(x)` of one position.

    Args:
        weights: kappa^j, shape (J,).
        slopes: the derivatives (continuous time) or the increments of a step (discrete time), shape (J,).
        bases: w^j(x) given x0 and x1, shape (J, d).
        pivot: the index l; None takes the arg min, which makes the rates nonnegative. Every pivot generates.

    Returns:
        u(x, z), shape (d, d), axes z, x.

    Raises:
        ValueError: the pivot has no weight, so that a rate would be infinite; bases that are no pmfs.
    """
    weights = shaped(nonnegative(weights, "weights"), "weights", (None,), "(J,)")
    slopes = beside(slopes, weights, "slopes", tuple(weights.shape), "(J,), as weights")
    bases = beside(pmf(bases, "bases", axis=-1), weights, "bases", (len(weights), None), f"({len(weights)}, d)")
    if pivot is None:
        pivot = choose_pivot(weights[:, None], slopes[:, None])[0]
    if bool(weights[positive_int(pivot, "pivot", 0, len(weights) - 1)] == 0):
        raise ValueError(f"pivot must carry weight, but kappa^{pivot} is 0: the rate would be infinite")
    rate = ratio(slopes[pivot : pivot + 1], weights[pivot : pivot + 1])
    a = slopes - weights * rate
    stay = _identity(int(bases.shape[-1]), bases)
    return finite(conditional_path(a, bases)[None, :] + rate * stay, "slopes over weights")


def _identity(size: int, like: Array) -> Array:
    eye, one = full((size, size), 0, like), full((), 1, like)[()]
    for token in range(size):
        eye[token, token] = one
    return eye


def flux_kernels(weights: Array, slopes: Array, bases: Array, pivot: Sequence[int]) -> list[Array]:
    r"""Return per position the flux :math:`p(z) u(x, z)` given x0 and x1, shape (d, d, d, d), axes x0, x1, z, x.

    It is :math:`\sum_{j', j} \kappa^{j'} a^j w^{j'}(z) (w^j(x) - \delta_z(x))`, since the a^j sum to -b; its row
    j' = l is the polynomial :math:`\kappa^\ell \dot\kappa^j - \kappa^j \dot\kappa^\ell`.
    """
    count, length = int(weights.shape[0]), int(weights.shape[1])
    stay = _identity(int(bases.shape[-1]), bases)
    arrivals = [bases[j][..., None, :] - stay for j in range(count)]
    ends = (0, count - 1)  # the end points are point masses, whose own term (j' = j) vanishes identically
    kernels = []
    for i in range(length):
        pivotal, minors = (
            weights[pivot[i], i : i + 1],
            slopes[:, i] * weights[pivot[i], i] - weights[:, i] * slopes[pivot[i], i],
        )
        kernel = bases[0][..., None] * arrivals[0] * 0
        for row in range(count):
            for j in range(count):
                if j == pivot[i] or (row == j and j in ends):
                    continue
                coefficient = minors[j]
                if row != pivot[i]:
                    _refuse_infinite(pivotal, weights[row, i] * minors[j], pivot[i], i)
                    coefficient = (minors[j] * ratio(weights[row, i : i + 1], pivotal))[0]
                kernel = kernel + coefficient * (bases[row][..., None] * arrivals[j])
        kernels.append(kernel)
    return kernels


def _refuse_infinite(pivotal: Array, charge: Any, pivot: int, position: int) -> None:
    if bool((pivotal == 0).all()) and not bool(charge == 0):
        raise ValueError(
            f"t must leave the velocity finite: base {pivot} loses all weight at position {position} while a base pmf "
            "other than a point mass keeps weight"
        )
