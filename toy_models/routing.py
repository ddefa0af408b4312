r"""Routers on prefixes, and the sequence law that one gives: :math:`\prod_t \sum_k r_k(x^{<t}) q_k(x^t \mid x^{<t})`.

From the experts' own likelihoods: ``bayes`` (the exact filter; by C13 its law is sum_k omega_k q_k), ``last token``
(the filter with a fixed prior and the last token alone, c-BTM's ensemble), ``static`` (omega at every step), ``top-1``
(the filter's largest weight). From elsewhere: ``true`` (the filter of the true experts), ``learned`` (a classifier of
prefixes) and ``cosine`` (likeness of the tokens so far to the experts' data). A router is a list, one array a step:
shape (K,) + (V,) * t after t tokens.

References:
    Gururangan et al., "Scaling Expert Language Models with Unsupervised Domain Discovery", arXiv 2303.14177 (c-BTM).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ddfm_theory.arrays import ratio
from ddfm_theory.decentralization import Decentralization, bayes_filter_update, mix, router_posterior, top_k_gate

RULES = ("bayes", "static", "last token", "top-1")  # what needs the experts alone
Steps = list[np.ndarray]


def prefixes(law: np.ndarray, lead: int = 0) -> Steps:
    """Return the laws of the first t tokens, t = 0..N, of sequence laws with ``lead`` leading axes."""
    found = [law]
    while found[-1].ndim > lead:
        found.append(found[-1].sum(axis=-1))
    return found[::-1]


def conditionals(law: np.ndarray, lead: int = 0) -> Steps:
    """Return the next-token laws, one a step, shape (V,) * t + (V,) after the leading axes; zeros after no prefix."""
    found = prefixes(law, lead)
    return [ratio(after, before[..., None]) for before, after in zip(found, found[1:], strict=False)]


@dataclass(frozen=True, eq=False)
class Experts:
    """K experts with enumerated laws.

    Attributes:
        weights: omega, shape (K,).
        laws: the sequence laws, shape (K,) + (V,) * N.
    """

    weights: np.ndarray
    laws: np.ndarray

    @classmethod
    def of(cls, target: Decentralization) -> Experts:
        """Return the experts of a decentralization."""
        return cls(target.weights, np.stack([coupling.target for coupling in target.couplings]))  # type: ignore[union-attr]

    @cached_property
    def law(self) -> np.ndarray:
        """Return sum_k omega_k q_k, shape (V,) * N."""
        return np.asarray(mix(self.weights, self.laws))

    @cached_property
    def joint(self) -> np.ndarray:
        """Return omega_k q_k(x), shape (K,) + (V,) * N."""
        return self.laws * self.weights[(...,) + (None,) * (self.laws.ndim - 1)]

    @cached_property
    def steps(self) -> Steps:
        """Return the next-token laws, one a step, shape (K,) + (V,) * t + (V,)."""
        return conditionals(self.laws, 1)

    @cached_property
    def filter(self) -> Steps:
        """Return the Bayes filter; where no expert charges a prefix it stands as at the start."""
        prior = self.weights
        found = [prior]
        for step in self.steps[:-1]:
            found.append(bayes_filter_update(_spread(found[-1], step), step))
        return [np.where(r.sum(axis=0) > 0, r, prior[(...,) + (None,) * (r.ndim - 1)]) for r in found]

    def router(self, rule: str) -> Steps:
        """Return the router of a rule that needs the experts alone.

        Raises:
            ValueError: the rule is not one of ``RULES``.
        """
        if rule not in RULES:
            raise ValueError(f"rule must be one of {RULES}, was {rule!r}")
        if rule == "bayes":
            return self.filter
        if rule == "top-1":
            return [np.asarray(top_k_gate(router, 1)) for router in self.filter]
        static = [self.weights]
        for step in self.steps[:-1]:
            static.append(_spread(static[-1], step))
        if rule == "static":
            return static
        pairs = zip(static[1:], self.steps, strict=False)
        return [self.weights, *(np.asarray(router_posterior(prior, step)) for prior, step in pairs)]

    def routed(self, router: Steps) -> np.ndarray:
        """Return the law of sampling token by token with a router, shape (V,) * N."""
        out = mix(router[0], self.steps[0])
        for weights, step in zip(router[1:], self.steps[1:], strict=True):
            out = out[..., None] * mix(weights, step)
        return np.asarray(out)


def routed_law(weights: np.ndarray, laws: np.ndarray, rule: str) -> np.ndarray:
    """Return the law of sampling token by token with one of ``RULES``.

    Args:
        weights: omega, shape (K,).
        laws: the experts' sequence laws, shape (K,) + (V,) * N.
        rule: one of ``RULES``.

    Returns:
        Shape (V,) * N.
    """
    experts = Experts(weights, laws)
    return experts.routed(experts.router(rule))


def _spread(router: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return a router of shape (K,) + (V,) * t as one of the next prefixes, whatever their last token."""
    return np.broadcast_to(router[..., None], step.shape)
