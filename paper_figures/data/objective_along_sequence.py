"""The terms of C12 token by token, for mixtures of Markov chains: what experts pay, and what the router is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.objectives import decomposition, entropy
from toy_models.targets import KINDS, mixture_of_chains

SEED, ARITHMETIC = 3, "float64, laws enumerated"
VOCABULARY, LENGTH, EXPERTS = 6, 6, 4


def compute(seed: int) -> dict[str, Any]:
    """Return H(X^t|X^{<t}) and its two terms per kind of clusters, in nats, and H(K)."""
    kinds = {}
    for kind in KINDS:
        target = mixture_of_chains(kind, EXPERTS, VOCABULARY, LENGTH, seed)
        terms = decomposition(target)
        kinds[kind] = {"total": terms.total, "experts": terms.experts, "router": np.maximum(terms.router, 0.0),
                       "entropy_of_expert": float(entropy(target.weights))}  # fmt: skip
    return {"vocabulary": VOCABULARY, "length": LENGTH, "experts": EXPERTS, "kinds": kinds}
