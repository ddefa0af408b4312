"""The decentralized objective at its optimum: what the experts pay, and what knowing the expert is worth."""

from __future__ import annotations

from dataclasses import dataclass

from ddfm_theory.arrays import (
    Array,
    instance,
    stack,
    total,
)
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.objectives.entropies import charged_entropy, charged_information


@dataclass(frozen=True)
class Decomposition:
    r"""The terms of :math:`H(X^t \mid X^{<t}) = \sum_k \omega_k H(X^t \mid X^{<t}, k) + I(X^t; K \mid X^{<t})`.

    Attributes:
        total: the central objective per token, shape (N,).
        experts: what the experts pay, shape (N,).
        router: what knowing the expert is worth, shape (N,).
    """

    total: Array
    experts: Array
    router: Array


def decomposition(experts: Decentralization) -> Decomposition:
    r"""Return the decentralized objective at its optimum, term by term and token by token.

    .. math:: -\log q(x^t \mid x^{<t}) = -\log q_k(x^t \mid x^{<t}) + \log \frac{r_k(x^{\le t})}{r_k(x^{<t})},

    averaged over the experts and their data; each term is computed from its own definition.

    Args:
        experts: enumerated experts with the all-mask source.
    """
    central = instance(experts, Decentralization, "experts").central
    if not isinstance(central, MaskedCoupling):
        raise ValueError(f"experts must have enumerated all-mask couplings, had {type(central).__name__}")
    joint = stack([c.target * experts.weights[k] for k, c in enumerate(experts.couplings)])  # type: ignore[union-attr]
    whole, parts, shared = [], [], []
    for t in range(central.length + 1):
        p = joint
        for axis in range(central.length, t, -1):
            p = total(p, axis)
        whole.append(charged_entropy(total(p, 0)))
        parts.append(charged_entropy(p))  # H(K) more than H(X^t | K), at every t
        shared.append(charged_information(p))
    return Decomposition(*(stack([b - a for a, b in zip(x, x[1:], strict=False)]) for x in (whole, parts, shared)))
