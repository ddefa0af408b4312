r"""Autoregression: the degenerate schedule, whose states are prefixes and whose velocity is a next-token law.

Under :math:`\kappa_t^i = 1[t \ge i]` from the all-mask state, on reachable z,

.. math:: u_t^i(\cdot, z) = 1[i = t + 1]\, \big(q(\cdot \mid z^{\le t}) - \delta_m\big),

so N steps of the sampler give q exactly, in any order of positions.

References:
    Maschan, Qu, Liu, "Decentralized Autoregressive Generation", arXiv 2601.03184.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    asarray,
    full,
    instance,
    namespace,
    nonnegative,
    over_tokens,
    positive_int,
    ratio,
    stack,
    tokens,
)
from ddfm_theory.couplings import LARGEST_VOCABULARY, EmpiricalCoupling, MaskedCoupling
from ddfm_theory.schedulers import Autoregressive

__all__ = [
    "chain_law",
    "next_token_law",
    "next_token_law_at",
    "next_token_velocity",
    "prefix_states",
    "sequence_probability",
]

AllMask = MaskedCoupling | EmpiricalCoupling


def prefix_states(sequences: Any, t: int, vocabulary: int, order: Autoregressive | None = None) -> np.ndarray:
    """Return the states that reveal the first t positions of the order, the rest masked.

    Args:
        sequences: data tokens, shape (B, N), in 0..vocabulary-1.
        t: the number of revealed positions, 0..N.
        vocabulary: V, which is also the mask token.
        order: the schedule; None is left to right.

    Returns:
        Shape (B, N).
    """
    rows = tokens(sequences, "sequences", positive_int(vocabulary, "vocabulary", high=LARGEST_VOCABULARY))
    length = rows.shape[1]
    shown = _order(order).positions(length)[: positive_int(t, "t", 0, length)]
    out = np.full_like(rows, vocabulary)
    out[:, shown] = rows[:, shown]
    return out


def _order(order: Autoregressive | None) -> Autoregressive:
    return Autoregressive() if order is None else instance(order, Autoregressive, "order")


def next_token_velocity(law: Array) -> Array:
    """Return the velocity q(. | prefix) - delta_m of the position about to be revealed.

    Args:
        law: next-token law, shape (..., V).

    Returns:
        Shape (..., d), d = V + 1, the mask last.
    """
    law = over_tokens(nonnegative(law, "law"), "law")
    xp = namespace(law)
    return xp.concat([law, full((*law.shape[:-1], 1), -1, law)], axis=-1)


def next_token_law(velocity: Array) -> Array:
    """Return the next-token law of a velocity at a masked position: the inverse of :func:`next_token_velocity`.

    Raises:
        ValueError: the mask does not lose all its mass, so the velocity reveals no token.
    """
    velocity = over_tokens(asarray(velocity, "velocity"), "velocity")
    if not bool((velocity[..., -1] == -1).all()):
        raise ValueError("velocity must be -1 at the mask token to hold a next-token law, was not")
    return nonnegative(velocity[..., :-1], "velocity")


def next_token_law_at(coupling: AllMask, states: Any, position: int) -> Array:
    r"""Return :math:`q(x^i = \cdot \mid \text{revealed tokens of } z)`, shape (B, V); zeros where S(z) = 0.

    Args:
        coupling: q with the all-mask source.
        states: tokens, shape (B, N), masked at ``position``.
        position: i, 0-based.

    Raises:
        ValueError: a state with ``position`` revealed.
    """
    instance(coupling, AllMask, "coupling")
    rows = tokens(states, "states", coupling.size, coupling.length)
    i = positive_int(position, "position", 0, coupling.length - 1)
    if bool((rows[:, i] != coupling.mask).any()):
        raise ValueError(
            f"states must be masked at position {i}, state {int(np.argmax(rows[:, i] != coupling.mask))} was not"
        )
    return ratio(coupling.reveal_at(rows)[:, i, :], coupling.mass_at(rows)[:, None])


def chain_law(coupling: AllMask, sequences: Any, order: Autoregressive | None = None) -> Array:
    r"""Return the next-token probabilities :math:`q(x^{t+1} \mid x^{\le t})` along sequences, shape (B, N) by step.

    Their product over steps is q(x): the chain rule that autoregression samples by.
    """
    instance(coupling, AllMask, "coupling")
    rows = tokens(sequences, "sequences", coupling.vocabulary, coupling.length)
    masses = [coupling.mass_at(prefix_states(rows, t, coupling.vocabulary, order)) for t in range(coupling.length + 1)]
    return stack([ratio(after, before) for before, after in zip(masses, masses[1:], strict=False)], axis=1)


def sequence_probability(coupling: AllMask, sequences: Any) -> Array:
    """Return q(x) for given sequences, shape (B,)."""
    instance(coupling, AllMask, "coupling")
    rows = tokens(sequences, "sequences", coupling.vocabulary, coupling.length)
    return coupling.mass_at(rows)
