r"""The distance of an ensemble to one dense model, along held-out answers.

At each prefix of an answer the two next-token laws are compared, at full vocabulary: KL(dense || mixture), total
variation, the log-likelihood that the mixture loses, and whether both have the same most likely token. The mean of the
KL over prefixes drawn from the dense law is the divergence of the sequence laws a token; over held-out text it is that
text's estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge.ensemble import Ensemble
from ddfm_theory.bridge.loading import check_alike
from ddfm_theory.bridge.logdomain import log_gate, log_mix, log_normalize, most_likely
from ddfm_theory.bridge.prompts import Prompts
from ddfm_theory.bridge.scores import bootstrap
from ddfm_theory.bridge.scoring import padded_answers, whole
from ddfm_theory.stability import kl_divergence, total_variation

Tensor = Any  # torch.Tensor
MEASURES = ("kl", "tv", "nll_gap", "agreement", "router_entropy")


@dataclass(frozen=True)
class Comparison:
    """Measures at each prefix of B answers of at most T tokens, NaN-free: ``lengths`` says which are real.

    Attributes:
        values: by measure, shape (B, T), zero past an answer's end.
        lengths: tokens an answer, shape (B,).
        routers: r at the prompt and after the answer, before any gate, shape (2, K, B).
    """

    values: dict[str, np.ndarray]
    lengths: np.ndarray
    routers: np.ndarray

    def means(self, measure: str) -> np.ndarray:
        """Return the mean over each answer's prefixes, shape (B,)."""
        return np.asarray(self.values[measure].sum(axis=1) / self.lengths)

    def summary(self, clusters: Sequence[Any] | None = None, seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
        """Return mean and 95 % bootstrap interval over answers, by cluster (``all`` first) and measure.

        Args:
            clusters: the cluster of each answer; None is none.
            seed: of the bootstrap.
        """
        groups: dict[str, np.ndarray] = {"all": np.ones(len(self.lengths), dtype=bool)}
        for name in sorted({str(cluster) for cluster in clusters or ()}):
            groups[name] = np.array([str(cluster) == name for cluster in clusters or ()])
        return {
            name: {measure: _interval(self.means(measure)[rows], seed) for measure in MEASURES}
            for name, rows in groups.items()
        }


def _interval(values: np.ndarray, seed: int) -> dict[str, float]:
    low, high = bootstrap(values, seed=seed)
    return {"mean": float(values.mean()), "low": low, "high": high, "n": len(values)}


def compare(
    ensemble: Ensemble, dense: Any, prompts: Prompts, answers: Sequence[Sequence[int]], features: Tensor | None = None
) -> Comparison:
    """Compare an ensemble with a dense model along answers.

    Args:
        ensemble: experts, router and gate.
        dense: an expert of the same vocabulary and tokenizer.
        prompts: B prompts.
        answers: B rows of tokens.
        features: what the router looks at, shape (B, D).

    Raises:
        ValueError: unlike vocabularies or tokenizers.
    """
    check_alike([ensemble.experts[0], dense])
    tokens, lengths = padded_answers(answers, len(prompts), dense.vocabulary)
    prior = router = ensemble.prior(features, len(prompts))
    after = router
    prefixes = whole(ensemble.prefill(prompts))
    central, columns = dense.prefill(prompts), []
    for t in range(tokens.shape[1]):
        laws = [prefix.log_law.cpu() for prefix in prefixes]
        gated = log_gate(router, ensemble.gate)
        columns.append(_at_prefix(central.log_law.cpu(), log_mix(gated, laws), gated, tokens[:, t]))
        likelihoods = torch.stack([law.gather(1, tokens[:, t, None])[:, 0].double() for law in laws])
        router = ensemble.router.update(prior, router, likelihoods)
        after = torch.where(lengths == t + 1, router, after)
        if t + 1 < tokens.shape[1]:
            for prefix in [central, *prefixes]:
                prefix.step(tokens[:, t])
    real = (torch.arange(tokens.shape[1])[None, :] < lengths[:, None]).numpy()
    values = {name: np.where(real, np.stack([column[name] for column in columns], axis=1), 0.0) for name in MEASURES}
    return Comparison(values, lengths.numpy(), torch.stack([prior, after]).exp().numpy())


def _at_prefix(dense: Tensor, mixture: Tensor, log_router: Tensor, tokens: Tensor) -> dict[str, np.ndarray]:
    """Return the measures at one prefix a row, in float64, where probabilities down to 1e-300 stay charged."""
    p, q = (log_normalize(law.double(), dim=-1).exp() for law in (dense, mixture))
    at = tokens[:, None]
    gap = dense.gather(1, at)[:, 0].double() - mixture.gather(1, at)[:, 0].double()
    entropy = -(log_router.exp() * torch.where(torch.isfinite(log_router), log_router, 0.0)).sum(0)
    return {
        "kl": kl_divergence(p, q).numpy(),
        "tv": total_variation(p, q).numpy(),
        "nll_gap": gap.numpy(),
        "agreement": (most_likely(dense) == most_likely(mixture)).astype(np.float64),
        "router_entropy": entropy.numpy(),
    }
