"""What routing rules do to the law when the experts are exact (C08-C10): every error is the router's.

Two Markov chains a seed, drawn by ``toy_models``. Along the sequence: total variation of the law of the first t tokens.
Against what the expert tells: experts (1 - s) q + s q_k, whose mixture is q for every s, at their information I(X;K).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.objectives import decomposition
from ddfm_theory.stability import total_variation
from toy_models.routing import routed_law
from toy_models.targets import mixture_of_chains

SEED, ARITHMETIC = 0, "float64, laws enumerated"
RULES = ("bayes", "static", "last token", "top-1")
VOCABULARY, LENGTH, EXPERTS, DRAWS = 4, 7, 2, 16
SHORT, SHARES = 4, tuple(1 - (1 - i / 16) ** 3 for i in range(17))  # denser at 1


def compute(seed: int) -> dict[str, Any]:
    """Return per rule the errors of every draw by prefix length, and by how far the experts are apart."""
    long = [_laws(seed + draw, LENGTH) for draw in range(DRAWS)]
    along = {rule: [_prefix_errors(laws, rule) for laws in long] for rule in RULES}
    short = [_laws(seed + draw, SHORT) for draw in range(DRAWS)]
    nearer = [[_nearer(laws, share) for share in SHARES] for laws in short]
    apart = {rule: [[_prefix_errors(laws, rule)[-1] for laws in row] for row in nearer] for rule in RULES}
    apart["information"] = [[_information(laws) for laws in row] for row in nearer]
    return {"vocabulary": VOCABULARY, "experts": EXPERTS, "draws": DRAWS, "length": LENGTH, "along": along,
            "short_length": SHORT, "shares": list(SHARES), "apart": apart}  # fmt: skip


def _laws(seed: int, length: int) -> np.ndarray:
    target = mixture_of_chains("overlapping", EXPERTS, VOCABULARY, length, seed)
    return np.stack([coupling.target for coupling in target.couplings])  # type: ignore[union-attr]


def _nearer(laws: np.ndarray, share: float) -> np.ndarray:
    """Return experts moved towards their mean: the same mixture, less told by the expert."""
    return np.asarray((1 - share) * laws.mean(axis=0) + share * laws)


def _information(laws: np.ndarray) -> float:
    """Return I(X; K) in nats."""
    experts = Decentralization(np.full(EXPERTS, 1 / EXPERTS), [MaskedCoupling(law) for law in laws])
    return max(0.0, float(decomposition(experts).router.sum()))


def _prefix_errors(laws: np.ndarray, rule: str) -> list[float]:
    """Return TV of the law of the first t tokens to the truth, t = 1, ..., N."""
    routed, truth = routed_law(np.full(EXPERTS, 1 / EXPERTS), laws, rule), laws.mean(axis=0)
    errors = []
    while truth.ndim:
        errors.append(float(total_variation(routed.ravel(), truth.ravel())))
        routed, truth = routed.sum(axis=-1), truth.sum(axis=-1)
    return errors[::-1]
