r"""The sequence law that a routing rule gives: :math:`\prod_t \sum_k r_k(x^{<t})\, q_k(x^t \mid x^{<t})`.

Rules: ``bayes`` (the exact filter), ``static`` (omega at every step), ``last token`` (the filter with a fixed prior and
the last token alone, c-BTM's ensemble), ``top-1`` (the filter's largest weight). By C13 the first is sum_k omega_k q_k.

References:
    Gururangan et al., "Scaling Expert Language Models with Unsupervised Domain Discovery", arXiv 2303.14177 (c-BTM).
"""

from __future__ import annotations

import numpy as np

from ddfm_theory.arrays import ratio
from ddfm_theory.decentralization import bayes_filter_update, mix, top_k_gate

RULES = ("bayes", "static", "last token", "top-1")


def conditionals(law: np.ndarray) -> list[np.ndarray]:
    """Return the next-token laws of a sequence law, one a step: shape (V,) * t + (V,)."""
    prefixes = [law]
    while prefixes[-1].ndim:
        prefixes.append(prefixes[-1].sum(axis=-1))
    prefixes.reverse()
    return [ratio(after, before[..., None]) for before, after in zip(prefixes, prefixes[1:], strict=False)]


def routed_law(weights: np.ndarray, laws: np.ndarray, rule: str) -> np.ndarray:
    """Return the law of sampling token by token with that rule.

    Args:
        weights: omega, shape (K,).
        laws: the experts' sequence laws, shape (K,) + (V,) * N.
        rule: one of ``RULES``.

    Returns:
        Shape (V,) * N.
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {RULES}, was {rule!r}")
    steps = [np.stack(step) for step in zip(*(conditionals(law) for law in laws), strict=True)]
    prior, router, out = weights, weights, np.ones(())
    for step in steps:
        used = {"static": prior, "top-1": top_k_gate(router, 1)}.get(rule, router)
        out = out[..., None] * mix(used, step)
        prior = prior[..., None] * np.ones(step.shape[-1])
        start = prior if rule == "last token" else router[..., None] * np.ones(step.shape[-1])
        router = bayes_filter_update(start, step)
    return out
