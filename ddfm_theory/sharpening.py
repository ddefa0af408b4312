r"""Sharpening a law: temperature, nucleus, greedy; and the geometric mixture that averaging logits gives.

Sharpening does not commute with mixing (theory: C16): sharpen after mixing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import (
    Array,
    asarray,
    beside,
    full,
    is_object,
    log,
    namespace,
    nonnegative,
    over_tokens,
    pmf,
    positive_int,
    ratio,
    refuse,
    shaped,
    system_of,
    to_float,
    total,
)
from ddfm_theory.decentralization import mix

__all__ = ["geometric_mixture", "greedy", "nucleus", "temperature"]

HIGHEST_POWER = 1 << 16  # of an exact law: its entries grow by as many digits


def temperature(law: Array, inverse: Any) -> Array:
    r"""Return the sharpened law :math:`p^{1/T} / \sum p^{1/T}`.

    Args:
        law: shape (..., d).
        inverse: 1 / T > 0; an integer where entries are exact.

    Returns:
        Shape (..., d); zeros where the law is zero everywhere.
    """
    law = over_tokens(nonnegative(law, "law"), "law")
    if is_object(law):
        powered = law ** positive_int(inverse, "inverse", high=HIGHEST_POWER)
    else:
        power = float(beside(inverse, np.zeros(()), "inverse", (), "()"))
        if not power > 0:
            raise ValueError(f"inverse must be positive, was {inverse!r}")
        peak = namespace(law).max(law, axis=-1)  # becomes 1: no power overflows, and not all underflow
        powered = ratio(law, peak[..., None]) ** power
    return ratio(powered, total(powered, law.ndim - 1)[..., None])


def _one_law(law: Array, function: str) -> Array:
    """Bring to one law, of shape (d,), of a number system that has what the function needs."""
    refuse(function, law, "law")
    return shaped(nonnegative(law, "law"), "law", (None,), "(d,), one law")


def nucleus(law: Array, mass: Any) -> Array:
    """Return the law kept to the fewest largest tokens of at least ``mass``, renormalized (lowest index first).

    Args:
        law: one law, shape (d,).
        mass: the nucleus mass p in (0, 1].

    Raises:
        ValueError: symbols, which have no order.
    """
    law = _one_law(law, "sharpening.nucleus")
    order = np.argsort(-(law if is_object(law) else to_float(law)), kind="stable")
    kept, held = full(tuple(law.shape), 0, law), full((), 0, law)[()]
    refuse("sharpening.nucleus", limit := beside(mass, law, "mass", (), "()")[()], "mass")
    if not (bool(limit > 0) and bool(limit <= 1)):
        raise ValueError(f"mass must be in (0, 1], was {mass!r}")
    for token in order:
        if bool(held >= limit):
            break
        kept[int(token)] = law[int(token)]
        held = held + law[int(token)]
    return ratio(kept, total(kept))


def greedy(law: Array) -> Array:
    """Return the point mass at the most likely token, the lowest index on ties: (d,) to (d,)."""
    law = _one_law(law, "sharpening.greedy")
    best = int(np.argmax(law if is_object(law) else to_float(law)))
    out = full(tuple(law.shape), 0, law)
    out[best] = full((), 1, law)[()]
    return out


def geometric_mixture(router: Array, laws: Array) -> Array:
    r"""Return the geometric mixture :math:`\prod_k p_k^{r_k} / Z`, what averaging logits gives (not a mixture of laws).

    Args:
        router: r, shape (K,).
        laws: p_k > 0, shape (K, d).

    Raises:
        ValueError: exact entries whose powers are irrational; symbols; a law with a zero.
    """
    laws = shaped(nonnegative(laws, "laws"), "laws", (None, None), "(K, d)")
    router = beside(pmf(router, "router"), laws, "router", tuple(laws.shape[:1]), "(K,), as laws")
    if bool((laws == 0).any()):
        raise ValueError("laws must be positive, one was 0: its logarithm is infinite")
    if not is_object(laws):
        xp = namespace(laws)
        logits = mix(router, log(laws))
        powered = xp.exp(logits - logits.max())
        return ratio(powered, total(powered))
    if {system_of(laws), system_of(router)} != {"rational"}:
        raise ValueError(f"laws must be floats or rationals, were of {system_of(laws)} and {system_of(router)} entries")
    odds = [_rational_power([laws[k, x] / laws[k, -1] for k in range(len(laws))], router) for x in range(laws.shape[1])]
    powered = asarray(odds, "laws")
    return ratio(powered, total(powered))


def _rational_power(bases: Sequence[Any], exponents: Array) -> Any:
    """Return prod_k bases_k^exponents_k where it is rational."""
    common = math.lcm(*(int(e.q) for e in exponents))
    value = math.prod((b ** int((e * common).p) for b, e in zip(bases, exponents, strict=True)))
    roots = [part.root(common) for part in (value.p, value.q)]
    if roots[0] ** common != value.p or roots[1] ** common != value.q:
        raise ValueError(f"laws must have a rational geometric mixture among exact entries, had {value}^(1/{common})")
    return flint.fmpq(roots[0], roots[1])
