r"""Mixtures of Markov chains with a known law, :math:`q = \sum_k \omega_k q_k`, small enough to enumerate.

Three kinds of clusters: ``overlapping`` (every chain charges every sequence), ``disjoint`` (chain k speaks its own
tokens, so the first token tells the expert), ``nested`` (chain k speaks the first k + 1 tokens of the vocabulary).
"""

from __future__ import annotations

import numpy as np

from ddfm_theory.arrays import Array, positive_int
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization

KINDS = ("overlapping", "disjoint", "nested")


def chain_law(start: Array, moves: Array, length: int) -> Array:
    r"""Return :math:`p(x) = s(x^1) \prod_t M(x^t, x^{t+1})`, shape (V,) * length.

    Args:
        start: s, shape (V,).
        moves: M, shape (V, V), rows sum to one.
        length: N.
    """
    law = start
    for _ in range(positive_int(length, "length") - 1):
        law = law[..., None] * moves
    return law


def tokens_of(kind: str, k: int, experts: int, vocabulary: int) -> list[int]:
    """Return the tokens that chain k speaks.

    Raises:
        ValueError: an unknown kind, or a vocabulary too small for it.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, was {kind!r}")
    if kind != "overlapping" and vocabulary < experts + int(kind == "nested"):
        raise ValueError(f"vocabulary must be larger for {experts} {kind} experts, was {vocabulary}")
    if kind == "overlapping":
        return list(range(vocabulary))
    if kind == "nested":
        return list(range(k + 2))
    return [token for token in range(vocabulary) if token % experts == k]


def mixture_of_chains(kind: str, experts: int, vocabulary: int, length: int, seed: int) -> Decentralization:
    """Return K chains with even weights, their starts and moves drawn from Dirichlet(1/2).

    Args:
        kind: overlapping, disjoint or nested.
        experts: K.
        vocabulary: V.
        length: N.
        seed: the seed of NumPy's default generator.
    """
    rng, chains = np.random.default_rng(seed), []
    for k in range(positive_int(experts, "experts")):
        spoken = tokens_of(kind, k, experts, vocabulary)
        start, moves = np.zeros(vocabulary), np.zeros((vocabulary, vocabulary))
        start[spoken] = rng.dirichlet(np.full(len(spoken), 0.5))
        for token in spoken:
            moves[token, spoken] = rng.dirichlet(np.full(len(spoken), 0.5))
        chains.append(MaskedCoupling(chain_law(start, moves, length)))
    return Decentralization(np.full(experts, 1 / experts), chains)


def draw(experts: Decentralization, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw labelled sequences: k from omega, then x from q_k. Returns tokens (count, N) and labels (count,)."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(experts), size=positive_int(count, "count"), p=experts.weights)
    rows = np.empty((count, experts.central.length), dtype=np.int64)
    for k, coupling in enumerate(experts.couplings):
        law = coupling.target  # type: ignore[union-attr]
        picked = rng.choice(law.size, size=int((labels == k).sum()), p=law.ravel() / law.sum())
        rows[labels == k] = np.stack(np.unravel_index(picked, law.shape), axis=1)
    return rows, labels
