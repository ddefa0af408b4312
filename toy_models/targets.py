r"""Mixtures with a known law, :math:`q = \sum_k \omega_k q_k`, small enough to enumerate.

Markov chains with three kinds of clusters: ``overlapping`` (every chain charges every sequence), ``disjoint`` (chain k
speaks its own tokens, so the first token tells the expert), ``nested`` (chain k speaks a first part of the vocabulary,
which grows with k). And grids: Potts fields, read row by row, cluster k with its own coupling and its own outer field.
A cluster has a short memory (one token back in a chain, as many as a row has cells in a grid); a mixture of
clusters depends on all tokens so far.
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
    if kind != "overlapping" and vocabulary < experts:
        raise ValueError(f"vocabulary must be larger for {experts} {kind} experts, was {vocabulary}")
    if kind == "overlapping":
        return list(range(vocabulary))
    if kind == "nested":
        return list(range(vocabulary * (k + 1) // experts))
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


def potts_law(coupling: float, field: Array, rows: int) -> Array:
    r"""Return :math:`p(x) \propto \exp\big(J \sum_{i \sim j} 1[x^i = x^j] + \sum_i h^i(x^i)\big)` on a grid.

    Args:
        coupling: J; positive makes neighbours alike.
        field: h, shape (N, V), cells row by row.
        rows: of the grid; N is a multiple of it.

    Returns:
        Shape (V,) * N.

    Raises:
        ValueError: rows that do not divide the number of cells.
    """
    cells, levels = field.shape
    if cells % positive_int(rows, "rows"):
        raise ValueError(f"rows must divide the {cells} cells, was {rows}")
    wide, x = cells // rows, np.indices((levels,) * cells)
    energy = sum(field[i][x[i]] for i in range(cells))
    for i in range(cells):
        across = [i + 1] if (i + 1) % wide else []
        for j in [*across, i + wide]:
            if j < cells:
                energy = energy + coupling * (x[i] == x[j])
    weight = np.exp(energy - energy.max())
    return weight / weight.sum()


def mixture_of_grids(experts: int, levels: int, rows: int, columns: int, seed: int) -> Decentralization:
    """Return K Potts fields with even weights, couplings and outer fields drawn from the standard normal law.

    Args:
        experts: K.
        levels: V, what a cell can be.
        rows: of the grid.
        columns: of the grid, N = rows * columns.
        seed: the seed of NumPy's default generator.
    """
    rng, cells = np.random.default_rng(seed), positive_int(rows, "rows") * positive_int(columns, "columns")
    laws = [potts_law(rng.normal(), rng.normal(size=(cells, levels)), rows) for _ in range(experts)]
    return Decentralization(np.full(experts, 1 / experts), [MaskedCoupling(law) for law in laws])


def merged(target: Decentralization, experts: int) -> Decentralization:
    """Return the same law as a mixture of fewer experts, each holding equally many neighbouring clusters.

    Args:
        target: of C clusters.
        experts: K, which divides C.

    Raises:
        ValueError: K does not divide C.
    """
    if len(target) % positive_int(experts, "experts"):
        raise ValueError(f"experts must divide the {len(target)} clusters, was {experts}")
    shares = target.weights.reshape(experts, -1)
    laws = np.stack([coupling.target for coupling in target.couplings])  # type: ignore[union-attr]
    laws = laws.reshape(*shares.shape, *laws.shape[1:])
    inside = shares / shares.sum(axis=1, keepdims=True)
    return Decentralization(
        shares.sum(axis=1), [MaskedCoupling(np.tensordot(inside[k], laws[k], 1)) for k in range(experts)]
    )


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
