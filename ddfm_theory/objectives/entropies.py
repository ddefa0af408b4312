"""Entropies and cross entropies of pmfs, in nats; an infinite one is refused."""

from __future__ import annotations

from collections.abc import Sequence

from ddfm_theory.arrays import (
    Array,
    alike,
    asarray,
    enumerated,
    full,
    log,
    namespace,
    nonnegative,
    over_experts,
    over_tokens,
    pmf,
    positive_int,
    refuse,
    sequence,
    total,
)


def cross_entropy(p: Array, q: Array) -> Array:
    r"""Return :math:`-\sum_x p(x) \log q(x)` over all entries of a pmf p, a 0-d array, 0 log 0 being 0.

    The model's q may be what is not a pmf over all entries, such as laws given x, one beside another.

    Raises:
        ValueError: p is no pmf; q(x) = 0 where p(x) > 0, an infinite loss; a number system without logarithms.
    """
    refuse("objectives.cross_entropy", p, "p")
    refuse("objectives.cross_entropy", q, "q")
    p, q = alike(pmf(p, "p"), nonnegative(q, "q"), ("p", "q"))
    return charged_cross_entropy(p, q)


def charged_cross_entropy(p: Array, q: Array, name: str = "q") -> Array:
    """Return the cross entropy of arrays that came through the door; ``name`` is what the user calls q."""
    charged = p != 0
    if bool((charged & (q == 0)).any()):
        raise ValueError(f"{name} must charge what p charges, did not: an infinite loss is refused")
    return -total(p * log(namespace(q).where(charged, q, full((), 1, q))))


def entropy(p: Array) -> Array:
    r"""Return :math:`H(p) = -\sum_x p(x) \log p(x)` over all entries of a pmf, a 0-d array."""
    return charged_entropy(pmf(p, "p"))


def charged_entropy(p: Array) -> Array:
    """Return the entropy of an array that came through the door, or of a part or marginal of one."""
    return charged_cross_entropy(p, p)


def mutual_information(joint: Array) -> Array:
    r"""Return :math:`I = \sum_{k, x} p(k, x) \log \frac{p(k, x)}{p(k) p(x)}` of a joint pmf (K, ...), a 0-d array."""
    return charged_information(pmf(over_tokens(over_experts(asarray(joint, "joint"), "joint"), "joint"), "joint"))


def charged_information(joint: Array) -> Array:
    """Return the mutual information of an array that came through the door, or of a marginal of one."""
    flat = namespace(joint).reshape(joint, (joint.shape[0], -1))
    return charged_entropy(total(flat, 1)) + charged_entropy(total(flat, 0)) - charged_entropy(flat)


def reveal_entropy(target: Array, revealed: Sequence[int]) -> Array:
    """Return H(X_R), the entropy of the positions ``revealed`` under q, a 0-d array."""
    law = enumerated(pmf(target, "target"), "target")
    kept = {positive_int(i, "revealed", 0, law.ndim - 1) for i in sequence(revealed, "revealed", low=0)}
    for axis in range(law.ndim - 1, -1, -1):
        if axis not in kept:
            law = total(law, axis)
    return charged_entropy(law)
