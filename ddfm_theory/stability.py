r"""Stability: how far a mixture moves when its router and its experts do, and what a top-k gate costs.

Laws lie on the last axis; routers on the first. Total variation is half the L1 distance.

References:
    T. M. Cover, J. A. Thomas, "Elements of Information Theory", 2nd ed. 2006 (chain rule and convexity of relative
    entropy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ddfm_theory.arrays import (
    Array,
    alike,
    asarray,
    beside,
    full,
    log,
    namespace,
    nonnegative,
    over_experts,
    over_tokens,
    ratio,
    refuse,
    sequence,
    shaped,
    total,
)
from ddfm_theory.decentralization import mix, top_k_mask

__all__ = [
    "kl_divergence",
    "mixture_kl_bound",
    "mixture_tv_bound",
    "sequence_kl",
    "sequence_tv_bound",
    "top_k_bound",
    "top_k_shift",
    "total_variation",
]


def total_variation(p: Array, q: Array) -> Array:
    r"""Return :math:`TV(p, q) = \frac12 \sum_x |p(x) - q(x)|` over the last axis: (..., d) to (...).

    Raises:
        ValueError: symbols, which have no order.
    """
    return _total_variation(p, q, "p", "q")


def _total_variation(p: Array, q: Array, *names: str) -> Array:
    refuse("stability.total_variation", p, names[0])
    refuse("stability.total_variation", q, names[1])
    p, q = alike(over_tokens(asarray(p, names[0]), names[0]), q, names)
    half = full((1,), 1, p) / full((1,), 2, p)
    return total(abs(p - q), p.ndim - 1) * half[0]


def kl_divergence(p: Array, q: Array) -> Array:
    r"""Return :math:`KL(p \| q) = \sum_x p(x) \log(p(x) / q(x))` over the last axis: (..., d) to (...).

    Raises:
        ValueError: q(x) = 0 where p(x) > 0, an infinite divergence.
    """
    return _kl_divergence(p, q, "p", "q")


def _kl_divergence(p: Array, q: Array, *names: str) -> Array:
    refuse("stability.kl_divergence", p, names[0])
    refuse("stability.kl_divergence", q, names[1])
    p, q = alike(over_tokens(nonnegative(p, names[0]), names[0]), nonnegative(q, names[1]), names)
    charged = p != 0
    if bool((charged & (q == 0)).any()):
        raise ValueError(f"{names[1]} must charge what {names[0]} charges: an infinite divergence is refused")
    xp, one = namespace(p), full((), 1, p)
    return total(p * (log(xp.where(charged, p, one)) - log(xp.where(charged, q, one))), p.ndim - 1)


def mixture_tv_bound(router: Array, router_hat: Array, laws: Array, laws_hat: Array) -> Array:
    r"""Return :math:`TV(r, \hat r) + \sum_k r_k TV(p_k, \hat p_k)`, which bounds TV of the two mixtures.

    Args:
        router: r, shape (K,); ``router_hat`` likewise.
        router_hat: the router that is used.
        laws: p_k, shape (K, d); ``laws_hat`` likewise.
        laws_hat: the experts that are used.

    Returns:
        A 0-d array.
    """
    return _mixture_bound(_total_variation, router, router_hat, laws, laws_hat)


def mixture_kl_bound(router: Array, router_hat: Array, laws: Array, laws_hat: Array) -> Array:
    r"""Return :math:`KL(r \| \hat r) + \sum_k r_k KL(p_k \| \hat p_k)`, which bounds KL of the two mixtures."""
    return _mixture_bound(_kl_divergence, router, router_hat, laws, laws_hat)


def _mixture_bound(distance: Callable[..., Array], *given: Any) -> Array:
    """Return D(r, r^) + sum_k r_k D(p_k, p^_k)."""
    names = ("router", "router_hat", "laws", "laws_hat")
    laws = shaped(asarray(given[2], "laws"), "laws", (None, None), "(K, d)")
    shapes = [tuple(laws.shape[:1])] * 2 + [tuple(laws.shape)] * 2
    r, r_hat, p, p_hat = (
        nonnegative(beside(values, laws, name, shape, f"{shape}, as laws"), name)
        for values, name, shape in zip(given, names, shapes, strict=True)
    )
    return distance(r, r_hat, *names[:2]) + total(r * distance(p, p_hat, *names[2:]))


def sequence_tv_bound(prefix_probability: Sequence[Array], laws: Sequence[Array], laws_hat: Sequence[Array]) -> Array:
    r"""Return :math:`\sum_t E_{q} TV(q(\cdot | x^{<t}), \hat q(\cdot | x^{<t}))`, which bounds TV of sequence laws.

    Args:
        prefix_probability: per step the law of the prefix, shape (V,) * t; under either sequence law the bound holds.
        laws: per step the next-token laws, shape (V,) * t + (V,).
        laws_hat: those of the other sequence law.
    """
    steps = _steps(prefix_probability, laws, laws_hat)
    terms = [total(w * _total_variation(p, q, "laws", "laws_hat")) for w, p, q in steps]
    return sum(terms[1:], terms[0])


def _steps(prefix_probability: Any, laws: Any, laws_hat: Any) -> list[tuple[Array, Array, Array]]:
    """Check that there is one of each a step, of shapes (V,) * t and (V,) * t + (V,)."""
    columns, out = [sequence(laws, "laws"), sequence(laws_hat, "laws_hat")], []
    prefixes = sequence(prefix_probability, "prefix_probability")
    for name, column in (("laws_hat", columns[1]), ("prefix_probability", prefixes)):
        if len(column) != len(columns[0]):
            raise ValueError(f"{name} must be one a step, {len(columns[0])}, were {len(column)}")
    for t, (weight, *pair) in enumerate(zip(prefixes, *columns, strict=True)):
        p, q = alike(over_tokens(asarray(pair[0], "laws"), "laws"), pair[1], ("laws", "laws_hat"))
        shaped(p, "laws", tuple(p.shape[-1:]) * (t + 1), "(V,) * t + (V,) at step t")
        shape = tuple(p.shape[:-1])
        weight = beside(weight, p, "prefix_probability", shape, f"{shape} at step {t}")
        out.append((nonnegative(weight, "prefix_probability"), p, q))
    return out


def sequence_kl(prefix_probability: Sequence[Array], laws: Sequence[Array], laws_hat: Sequence[Array]) -> Array:
    r"""Return :math:`\sum_t E_q KL(q(\cdot | x^{<t}) \| \hat q(\cdot | x^{<t}))`, equal to KL of the sequence laws.

    Args: as for :func:`sequence_tv_bound`, the prefix law being q's.
    """
    terms = []
    for weight, p, q in _steps(prefix_probability, laws, laws_hat):
        reached = weight != 0
        one = namespace(p).where(reached[..., None], p, full((), 1, p))
        other = namespace(q).where(reached[..., None], q, full((), 1, q))
        terms.append(total(weight * _kl_divergence(one, other, "laws", "laws_hat")))
    return sum(terms[1:], terms[0])


def top_k_shift(router: Array, k: int, laws: Array) -> tuple[Array, Array]:
    r"""Return what a renormalized top-k gate moves the mixture by, and its bound.

    With kept mass s, the mixture moves by exactly :math:`(1 - s)\, TV(\text{kept}, \text{dropped}) \le 1 - s`, attained
    iff the kept and the dropped mixtures have disjoint supports.

    Args:
        router: r, shape (K,).
        k: the number of experts kept.
        laws: p_k, shape (K, d).

    Returns:
        The shift (1 - s) TV(kept, dropped) and the bound 1 - s, 0-d arrays.
    """
    laws = shaped(asarray(laws, "laws"), "laws", (None, None), "(K, d)")
    router = nonnegative(beside(router, laws, "router", tuple(laws.shape[:1]), "(K,), as laws"), "router")
    keeps, zero = top_k_mask(router, k), full((), 0, router)
    xp = namespace(router)
    held, dropped = xp.where(keeps, router, zero), xp.where(keeps, zero, router)
    lost = total(dropped)
    sides = [mix(ratio(part, total(part)), laws) for part in (held, dropped)]
    return lost * total_variation(*sides), lost


def top_k_bound(router: Array, k: int) -> Array:
    """Return 1 - s, the mass that a top-k gate drops, for a router of shape (K, ...): shape (...)."""
    router = over_experts(nonnegative(router, "router"), "router")
    keeps = top_k_mask(router, k)
    return total(namespace(router).where(keeps, full((), 0, router), router), 0)
