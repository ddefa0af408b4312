r"""Stability: how far a mixture moves when its router and its experts do, and what a top-k gate costs.

Laws lie on the last axis; routers on the first. Total variation is half the L1 distance.

References:
    T. M. Cover, J. A. Thomas, "Elements of Information Theory", 2nd ed. 2006 (chain rule and convexity of relative
    entropy).
"""

from __future__ import annotations

from ddfm_theory.arrays import Array, alike, full, log, namespace, ratio, refuse, total
from ddfm_theory.decentralization import mix, top_k_mask


def total_variation(p: Array, q: Array) -> Array:
    r"""Return :math:`TV(p, q) = \frac12 \sum_x |p(x) - q(x)|` over the last axis: (..., d) to (...).

    Raises:
        ValueError: symbols, which have no order.
    """
    p, q = alike(p, q, ("p", "q"))
    refuse("stability.total_variation", p, "p")
    refuse("stability.total_variation", q, "q")
    half = full((1,), 1, p) / full((1,), 2, p)
    return total(abs(p - q), p.ndim - 1) * half[0]


def kl_divergence(p: Array, q: Array) -> Array:
    r"""Return :math:`KL(p \| q) = \sum_x p(x) \log(p(x) / q(x))` over the last axis: (..., d) to (...).

    Raises:
        ValueError: q(x) = 0 where p(x) > 0, an infinite divergence.
    """
    p, q = alike(p, q, ("p", "q"))
    refuse("stability.kl_divergence", p, "p")
    charged = p != 0
    if bool((charged & (q == 0)).any()):
        raise ValueError("q must charge what p charges, did not: an infinite divergence is refused")
    xp, one = namespace(p, q), full((), 1, p)
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
    return total_variation(router, router_hat) + total(router * total_variation(laws, laws_hat), 0)


def mixture_kl_bound(router: Array, router_hat: Array, laws: Array, laws_hat: Array) -> Array:
    r"""Return :math:`KL(r \| \hat r) + \sum_k r_k KL(p_k \| \hat p_k)`, which bounds KL of the two mixtures."""
    return kl_divergence(router, router_hat) + total(router * kl_divergence(laws, laws_hat), 0)


def sequence_tv_bound(prefix_probability: list[Array], laws: list[Array], laws_hat: list[Array]) -> Array:
    r"""Return :math:`\sum_t E_{q} TV(q(\cdot | x^{<t}), \hat q(\cdot | x^{<t}))`, which bounds TV of sequence laws.

    Args:
        prefix_probability: per step the law of the prefix, shape (V,) * t; under either sequence law the bound holds.
        laws: per step the next-token laws, shape (V,) * t + (V,).
        laws_hat: those of the other sequence law.
    """
    terms = [total(w * total_variation(p, q)) for w, p, q in zip(prefix_probability, laws, laws_hat, strict=True)]
    return sum(terms[1:], terms[0])


def sequence_kl(prefix_probability: list[Array], laws: list[Array], laws_hat: list[Array]) -> Array:
    r"""Return :math:`\sum_t E_q KL(q(\cdot | x^{<t}) \| \hat q(\cdot | x^{<t}))`, equal to KL of the sequence laws.

    Args: as for :func:`sequence_tv_bound`, the prefix law being q's.
    """
    terms = []
    for weight, p, q in zip(prefix_probability, laws, laws_hat, strict=True):
        reached = weight != 0
        one = namespace(p).where(reached[..., None], p, full((), 1, p))
        other = namespace(q).where(reached[..., None], q, full((), 1, q))
        terms.append(total(weight * kl_divergence(one, other)))
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
    keeps, zero = top_k_mask(router, k), full((), 0, router)
    xp = namespace(router)
    held, dropped = xp.where(keeps, router, zero), xp.where(keeps, zero, router)
    lost = total(dropped, 0)
    sides = [mix(ratio(part, total(part, 0)), laws) for part in (held, dropped)]
    return lost * total_variation(*sides), lost


def top_k_bound(router: Array, k: int) -> Array:
    """Return 1 - s, the mass that a top-k gate drops, for a router of shape (K, ...): shape (...)."""
    keeps = top_k_mask(router, k)
    return total(namespace(router).where(keeps, full((), 0, router), router), 0)
