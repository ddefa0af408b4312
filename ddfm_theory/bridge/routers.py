r"""Routers: log-laws over experts, :math:`\log r_k`, given what is known of the condition and of the prefix.

A router is a prior given features of the condition, and a rule for the tokens that come. The exact rule is the Bayes
filter :math:`r_k(z^{\le t+1}) \propto r_k(z^{\le t})\, q_k(z^{t+1} \mid z^{\le t})`; a static router keeps its prior,
which is exact where the condition determines the expert; c-BTM's rule looks at the last token alone. Gates (top-k) are
no part of a router: see ``logdomain.log_gate``.

References:
    Maschan, Qu, Liu, "Decentralized Autoregressive Generation", arXiv 2601.03184; Gururangan et al., "Scaling Expert
    Language Models with Unsupervised Domain Discovery", arXiv 2303.14177 (c-BTM).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ddfm_theory.arrays import gamma, pmf
from ddfm_theory.bridge.logdomain import log_normalize, log_posterior

Tensor = Any  # torch.Tensor


class Router:
    """A prior over K experts given features, and a rule for tokens.

    Attributes:
        experts: K.
        kind: its name in a saved ensemble.
        static: the weights never change after the prompt.
        exact: an unseen likelihood may be taken as one, which bounds the weight above (the Bayes filter and static
            routers): what lets an expert be skipped.
        raw: it looks at features as the encoder gives them, not at features of length one.
        scaled: its weights depend on the features' length.
    """

    experts: int
    kind: str
    static = True
    exact = True
    raw = False
    scaled = False

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return log r(empty) of each row, shape (K, B), float64.

        Args:
            features: of the rows' conditions, shape (B, D); None where the router needs none.
            rows: B.
        """
        raise NotImplementedError

    def update(self, prior: Tensor, current: Tensor, log_likelihoods: Tensor) -> Tensor:
        """Return log r after one more token, shape (K, B).

        Args:
            prior: log r(empty).
            current: log r before the token.
            log_likelihoods: each expert's log-probability of the token, shape (K, B).
        """
        return prior

    def tensors(self) -> dict[str, Tensor]:
        """Return what a saved router keeps as tensors."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Return what a saved router keeps as JSON."""
        return {}

    def parts(self) -> list[Router]:
        """Return the routers that this one is made of."""
        return []


def one_hot(chosen: Tensor, experts: int) -> Tensor:
    """Return the log-law that puts each row on one expert: (B,) to (K, B)."""
    hit = torch.arange(experts)[:, None] == chosen[None, :].cpu()
    return torch.where(hit, 0.0, -torch.inf).double()


class FixedPrior(Router):
    """The same law over experts for every row.

    Args:
        weights: omega, a pmf of shape (K,), an expert may have weight zero.
    """

    kind = "fixed"

    def __init__(self, weights: Any) -> None:
        self.weights = torch.as_tensor(np.asarray(pmf(np.asarray(weights, dtype=np.float64), "weights")))
        if self.weights.ndim != 1:
            raise ValueError(f"weights must have shape (K,), was {tuple(self.weights.shape)}")
        self.experts = int(self.weights.shape[0])

    @classmethod
    def uniform(cls, experts: int) -> FixedPrior:
        """Return the uniform law over ``experts``."""
        return cls(np.full(experts, 1 / experts))

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return log omega for every row."""
        return torch.log(self.weights)[:, None].expand(self.experts, rows).clone()

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights."""
        return {"weights": self.weights}


class Product(Router):
    r"""The normalized product of priors, :math:`r_k \propto \prod_j r^{(j)}_k`: independent evidence on the expert.

    A cosine router times the prefix filter is ``BayesFilter(cosine)``: a likelihood is counted once, so the factors
    here are static.
    """

    kind = "product"

    def __init__(self, factors: Sequence[Router]) -> None:
        self.factors = list(factors)
        if not self.factors or len({router.experts for router in self.factors}) != 1:
            found = [router.experts for router in self.factors]
            raise ValueError(f"factors must be routers of one number of experts, had {found}")
        if not all(router.static for router in self.factors):
            raise ValueError("factors must be static routers, had one that reads tokens: filter around the product")
        self.experts = self.factors[0].experts
        self.raw, self.scaled = (any(getattr(router, name) for router in self.factors) for name in ("raw", "scaled"))
        if self.raw and self.scaled:
            raise ValueError("factors must all look at features of one length, a paper's router with a mean does not")

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return the normalized sum of the factors' log-laws.

        Raises:
            ValueError: the factors leave a row no expert.
        """
        out = log_normalize(torch.stack([router.prior(features, rows) for router in self.factors]).sum(0))
        empty = torch.isneginf(out).all(dim=0)
        if bool(empty.any()):
            raise ValueError(f"factors must leave each row an expert, row {int(empty.nonzero()[0])} had none")
        return out

    def parts(self) -> list[Router]:
        """Return the factors."""
        return self.factors


class _Around(Router):
    """A rule around the prior of another router."""

    static = False

    def __init__(self, base: Router) -> None:
        if not base.static:
            raise ValueError(f"base must be a static router, was {base.kind}: its likelihoods would be counted twice")
        self.base, self.experts = base, base.experts
        self.raw, self.scaled = base.raw, base.scaled

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return the prior of the router within."""
        return self.base.prior(features, rows)

    def parts(self) -> list[Router]:
        """Return the router within."""
        return [self.base]


class BayesFilter(_Around):
    """The exact prefix filter from a router's prior: ``decentralization.bayes_filter_update`` in the log domain."""

    kind = "filter"

    def update(self, prior: Tensor, current: Tensor, log_likelihoods: Tensor) -> Tensor:
        """Return the posterior after one more token."""
        return log_posterior(current, log_likelihoods)


class LastToken(_Around):
    """c-BTM's rule: the posterior from the fixed prior and the last token alone. For comparison; it is not a filter."""

    kind = "last-token"
    exact = False

    def update(self, prior: Tensor, current: Tensor, log_likelihoods: Tensor) -> Tensor:
        """Return the posterior of one token."""
        return log_posterior(prior, log_likelihoods)


def check_log_law(log_router: Tensor) -> Tensor:
    """Return a router's log-law (K, B) after checking that each row's weights sum to one, as rounding allows.

    Raises:
        ValueError: NaN, or weights that do not sum to one.
    """
    off = (log_router.exp().sum(0) - 1).abs()
    bad = ~(off <= gamma(log_router.dtype, 4 * log_router.shape[0] + 8))
    if bool(bad.any()):
        where = int(bad.nonzero()[0])
        raise ValueError(f"router must be a log-law over experts, row {where} was off one by {float(off[where])}")
    return log_router
