r"""The terms of C12 and the bounds of C14 on trained checkpoints, by the theory's own functions.

With k* the expert whose shard an image belongs to (by the rule of the balanced labels), a routed ensemble differs from
the dense model by what the experts and what the router account for,

.. math:: E[-\log \hat q + \log q_d] = E[-\log q_{k^*} + \log q_d] + E[-\log \hat q + \log q_{k^*}].

Under the Bayes filter the second term is :math:`-E[\log(r_{k^*}(x) / \omega_{k^*})]` (C12). Laws at the first answer
token are compared with the dense one, beside the bounds of C14 from the one-hot router of k* and the dense law as every
expert's: :math:`TV(q_d, \hat q) \le TV(r, \hat r) + \sum_k r_k TV(q_d, \hat q_k)`, and KL likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import (
    BayesFilter,
    CheckpointExpert,
    CosineRouter,
    Ensemble,
    FixedPrior,
    LastToken,
    LinearRouter,
    PaperRouter,
    Product,
    Router,
)
from ddfm_theory.bridge.distance import MEASURES, compare
from ddfm_theory.decentralization import hard_router
from ddfm_theory.objectives import cross_entropy, entropy
from ddfm_theory.partition import Partition
from ddfm_theory.stability import kl_divergence, mixture_kl_bound, mixture_tv_bound, total_variation
from toy_models.multimodal.answering import Asked, Routed, alone

Array = Any
SOFT = ("soft", "learned", "product", "prior")  # rules that leave no expert without weight


@dataclass(frozen=True)
class Rule:
    """A routing rule: a router, its gate, and what it looks at for the rows asked, shape (n, ...)."""

    router: Router
    gate: int | None
    seen: Array

    def ensemble(self, experts: Sequence[CheckpointExpert]) -> Ensemble:
        """Return the experts under this rule."""
        return Ensemble(experts, self.router, self.gate)


def rules(partition: Partition, train: Array, seen: Array, temperature: float) -> dict[str, Rule]:
    """Return routing rules for the same experts.

    Args:
        partition: of the training images, by cosine.
        train: their features.
        seen: features of the images that are routed.
        temperature: of soft cosine routing.
    """
    k, shares, looked = len(partition), partition.sizes / partition.sizes.sum(), unit(seen)
    centers = np.array(partition.centroids)
    cosine = CosineRouter(centers, temperature)
    learned = LinearRouter.fit(unit(train), np.array(partition.labels), k, decay=1e-3, iterations=100)
    out = {
        "argmax": Rule(PaperRouter(centers), None, looked),
        "top-2": Rule(cosine, min(2, k), looked),
        "soft": Rule(cosine, None, looked),
        "learned": Rule(learned, None, looked),
        "product": Rule(Product([cosine, learned]), None, looked),
        "filter from soft": Rule(BayesFilter(cosine), None, looked),
        "filter from prior": Rule(BayesFilter(FixedPrior(shares)), None, looked),
        "last token": Rule(LastToken(FixedPrior(shares)), None, looked),
        "prior": Rule(FixedPrior(shares), None, looked),
    }
    if "prices" in partition.rules:
        out["label rule"] = Rule(Routed(k), None, partition.route(seen, rule="prices"))
    return out


def unit(rows: Array) -> Array:
    """Return rows at length one, in float64."""
    wide = np.asarray(rows, dtype=np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)


def read(ensemble: Ensemble, asked: Asked, seen: Array = None) -> tuple[Array, Array, Array]:
    """Return the nats of each answer under the mixture (n,) and each expert (K, n), and the router after it (K, n)."""
    mixed, each = np.zeros(len(asked)), np.zeros((len(ensemble.experts), len(asked)))
    after = np.zeros_like(each)
    for chosen in asked.blocks():
        looked = None if seen is None else torch.as_tensor(seen[chosen])
        found = ensemble.score(asked.prompts(chosen), [asked.answers[i] for i in chosen], looked)
        mixed[chosen], each[:, chosen] = -found.log_likelihoods.numpy(), -found.experts.numpy()
        after[:, chosen] = found.log_router[:, :, -1].numpy()
    return mixed, each, after


def first_laws(ensemble: Ensemble, asked: Asked, seen: Array = None) -> tuple[Array, Array, Array]:
    """Return the mixture's law (n, V), the experts' (K, n, V) and the gated router (K, n) at the first answer token."""
    rows: tuple[list[Any], ...] = tuple([None] * len(asked) for _ in range(3))
    for chosen in asked.blocks():
        looked = None if seen is None else torch.as_tensor(seen[chosen])
        found = ensemble.next_token(asked.prompts(chosen), looked)
        parts = found.log_law, torch.stack(list(found.log_laws)).transpose(0, 1), found.log_router.T
        for held, part in zip(rows, parts, strict=True):
            for i, one in zip(chosen, part.double().exp().cpu().numpy(), strict=True):
                held[i] = one
    mixed, laws, router = (np.stack(held) for held in rows)
    return normal(mixed), normal(laws).transpose(1, 0, 2), router.T


def normal(laws: Array) -> Array:
    """Return float32 laws normalized in float64."""
    return laws / laws.sum(axis=-1, keepdims=True)


def account(dense: Array, each: Array, mixed: Mapping[str, Array], own: Array) -> dict[str, Array]:
    """Return, row by row in nats an answer, the gap of each rule to the dense model and its two terms.

    Args:
        dense: the dense model's nats, shape (n,).
        each: the experts', shape (K, n).
        mixed: by rule the mixture's, shape (n,).
        own: k* of each row, shape (n,).
    """
    best = each[own, np.arange(len(own))]
    out = {"dense": dense, "own expert": best, "expert term": best - dense}
    for name, nats in mixed.items():
        out |= {f"{name}: nats": nats, f"{name}: gap": nats - dense, f"{name}: router term": nats - best}
    return out


def c12_residual(mixed: Array, each: Array, after: Array, shares: Array, own: Array) -> float:
    r"""Return the largest defect of :math:`-\log q = -\log q_k + \log (r_k(x) / \omega_k)` under the filter."""
    at = np.arange(len(own))
    return float(np.abs(mixed - each[own, at] - after[own, at] + np.log(shares)[own]).max())


def learned_term(router: Array, own: Array) -> dict[str, float]:
    """Return H(K), the cross entropy of a router that looks at the image, and their difference (C12), in nats.

    Args:
        router: shape (K, n), every weight positive.
        own: k* of each row, shape (n,).
    """
    k, n = router.shape
    shares, truth = np.bincount(own, minlength=k) / n, hard_router(own, k, router)
    paid = float(cross_entropy(truth / n, router))
    return {"H(K)": float(entropy(shares)), "CE(router)": paid, "router term": float(entropy(shares)) - paid}


def bounds(dense: Array, rule: Rule, experts: Sequence[CheckpointExpert], asked: Asked, own: Array,
           soft: bool) -> dict[str, float]:  # fmt: skip
    """Return means over rows: TV (and KL) to the dense law at the first answer token, C14's bound and its terms.

    Args:
        dense: the dense laws, shape (n, V).
        rule: how the experts are mixed.
        experts: K of them.
        asked: n rows.
        own: k* of each row.
        soft: whether every weight is positive, so that the KL bound is finite.
    """
    mixed, laws, router = first_laws(rule.ensemble(experts), asked, rule.seen)
    ideal = hard_router(own, len(experts), router)
    central = np.broadcast_to(dense, laws.shape)
    at = range(len(own))
    found = {"tv": total_variation(dense, mixed),
             "tv bound": [mixture_tv_bound(ideal[:, b], router[:, b], central[:, b], laws[:, b]) for b in at],
             "tv router term": total_variation(ideal.T, router.T),
             "tv expert term": total_variation(dense, laws[own, np.arange(len(own))])}  # fmt: skip
    if soft:
        found |= {"kl": kl_divergence(dense, mixed),
                  "kl bound": [mixture_kl_bound(ideal[:, b], router[:, b], central[:, b], laws[:, b]) for b in at],
                  "kl router term": kl_divergence(ideal.T, router.T),
                  "kl expert term": kl_divergence(dense, laws[own, np.arange(len(own))])}  # fmt: skip
    slack = gamma(np.float64, 8 * dense.shape[-1])  # roundings of sums over the vocabulary
    sizes = {"tv": 1.0, "kl": 1.0 - float(np.log(mixed.min()))}  # of what is added, for laws of sum one
    broken = sum(float((np.asarray(found[name]) > np.asarray(found[f"{name} bound"]) + slack * sizes[name]).sum())
                 for name in sizes if name in found)  # fmt: skip
    return {**{name: float(np.mean(value)) for name, value in found.items()}, "rows beyond the bound": broken}


def along(rule: Rule, experts: Sequence[CheckpointExpert], dense: CheckpointExpert, asked: Asked) -> dict[str, float]:
    """Return the mean distances to the dense model over all prefixes of the answers."""
    held: dict[str, list[float]] = {name: [] for name in MEASURES}
    for chosen in asked.blocks():
        found = compare(rule.ensemble(experts), dense, asked.prompts(chosen), [asked.answers[i] for i in chosen],
                        torch.as_tensor(rule.seen[chosen]))  # fmt: skip
        for name in MEASURES:
            held[name] += found.means(name).tolist()
    return {name: float(np.mean(values)) for name, values in held.items()}


def dense_laws(dense: CheckpointExpert, asked: Asked) -> Array:
    """Return the dense model's laws at the first answer token, shape (n, V)."""
    return first_laws(alone(dense), asked)[0]
