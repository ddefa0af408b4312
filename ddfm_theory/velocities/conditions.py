"""What the velocity conditions speak of: sums that must vanish, rates that must not be negative."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    asarray,
    dense_velocity,
    full,
    index_like,
    shaped,
    tokens,
    total,
)


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
    sums, zero = total(velocity, velocity.ndim - 1), full((), 0, velocity)[()]
    rates = velocity + zero
    for i in range(int(velocity.shape[-2])):
        if states is not None:
            rates[index_like(np.arange(len(rows)), velocity), i, index_like(rows[:, i], velocity)] = zero
        for token in range(int(velocity.shape[-1]) if states is None else 0):
            rates[(slice(None),) * i + (token, ..., i, token)] = zero
    return sums, rates
