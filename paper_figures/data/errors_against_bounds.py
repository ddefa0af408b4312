"""Measured errors and the bounds of C14 and C15 on random experts and routers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.decentralization import mix, top_k_gate
from ddfm_theory.stability import (
    kl_divergence,
    mixture_kl_bound,
    mixture_tv_bound,
    sequence_tv_bound,
    top_k_shift,
    total_variation,
)
from toy_models.routing import conditionals

SEED, ARITHMETIC = 0, "float64"
DRAWS, EXPERTS, TOKENS, LENGTH, VOCABULARY = 150, 4, 8, 4, 3


def compute(seed: int) -> dict[str, Any]:
    """Return pairs of error and bound: mixtures in total variation and KL, sequences, top-k gates."""
    rng = np.random.default_rng(seed)
    pairs: dict[str, list[tuple[float, float]]] = {
        "mixture_tv": [],
        "mixture_kl": [],
        "sequence_tv": [],
        "top_k": [],
        "top_k_disjoint": [],
    }
    for _ in range(DRAWS):
        router, laws = rng.dirichlet(np.full(EXPERTS, 0.5)), rng.dirichlet(np.full(TOKENS, 0.5), EXPERTS)
        size = 10 ** rng.uniform(-2, 0)
        other, moved = _moved(router, size, rng), _moved(laws, size, rng)
        truth, used = mix(router, laws), mix(other, moved)
        pairs["mixture_tv"].append((total_variation(truth, used), mixture_tv_bound(router, other, laws, moved)))
        pairs["mixture_kl"].append((kl_divergence(truth, used), mixture_kl_bound(router, other, laws, moved)))
        pairs["sequence_tv"].append(_sequence(size, rng))
        pairs["top_k"].append(_gated(router, laws, 1 + int(rng.integers(EXPERTS - 1))))
        pairs["top_k_disjoint"].append(_gated(router, np.eye(EXPERTS), 1 + int(rng.integers(EXPERTS - 1))))
    return {"draws": DRAWS, "experts": EXPERTS, "tokens": TOKENS, "length": LENGTH, "vocabulary": VOCABULARY,
            "pairs": {name: {"error": [float(e) for e, _ in of], "bound": [float(b) for _, b in of]}
                      for name, of in pairs.items()}}  # fmt: skip


def _moved(laws: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Return pmfs mixed with others, by a share ``size``."""
    return (1 - size) * laws + size * rng.dirichlet(np.full(laws.shape[-1], 0.5), laws.shape[:-1])


def _sequence(size: float, rng: np.random.Generator) -> tuple[float, float]:
    shape = (VOCABULARY,) * LENGTH
    truth = rng.dirichlet(np.full(VOCABULARY**LENGTH, 0.5))
    used = _moved(truth, size, rng)
    prefixes = [truth.reshape(shape).sum(axis=tuple(range(t, LENGTH))) for t in range(LENGTH)]
    bound = sequence_tv_bound(prefixes, conditionals(truth.reshape(shape)), conditionals(used.reshape(shape)))
    return float(total_variation(truth, used)), float(bound)


def _gated(router: np.ndarray, laws: np.ndarray, k: int) -> tuple[float, float]:
    """Return the shift that a top-k gate makes, measured on the mixtures, and the bound 1 - s."""
    return float(total_variation(mix(router, laws), mix(top_k_gate(router, k), laws))), float(
        top_k_shift(router, k, laws)[1]
    )
