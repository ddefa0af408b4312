r"""Prices at which every cluster is asked for about its share: a flow over clusters alone.

At prices :math:`\lambda` row i asks for the cluster that minimizes :math:`c_{ik} + \lambda_k`; its gap is what the
second best would cost more. The prices of a balanced optimum are those at which every cluster is asked for by its share
(up to ties), the maximum of the dual

.. math:: D(\lambda) = \sum_i w_i \min_k (c_{ik} + \lambda_k) - \sum_k t_k \lambda_k .

They are approached by a model of K nodes: what it costs to move rows from j to k is the sorted list of
:math:`c_{ik} + \lambda_k - c_{ij} - \lambda_j` over rows i of j, kept as a histogram with two bins an octave. The
cheapest flow from the clusters that are asked for too much to the others has node potentials, and these correct the
prices. Each correction centres the bins anew, so that they are fine where prices are nearly right, and coarse where
whole clouds of rows must be crossed. Nothing here need be exact: :mod:`ddfm_theory.partition.transport` certifies.

References:
    D. P. Bertsekas, "Linear Network Optimization", 1991, chapter 4 (prices, relaxed optimality); R. K. Ahuja,
    T. L. Magnanti, J. B. Orlin, "Network Flows", 1993, chapter 14 (convex costs).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

Array = Any
SAMPLE = 1 << 12  # rows that the far bins of a model are made from, and as many near ones
COARSER = 8  # prices are had from one in so many rows first
CHUNK = 1 << 18  # entries of a temporary
FAR = 1 << 60  # stands for no path
BINS = 64  # two an octave, of 2^32 ticks, for K to 128, beyond that half as many each time that K doubles
STEPS = 10  # corrections at most
_HALF_OCTAVES = 22  # a float32's exponent and first bit lie above so many bits


class Asked(NamedTuple):
    """What rows ask for at some prices.

    Attributes:
        prices: lambda, int64 of shape (K,).
        best: the cluster each row asks for, shape (n,).
        gaps: what the second best would cost more, int64 of shape (n,).
        surplus: by how much each cluster is asked for beyond its share, shape (K,).
    """

    prices: Array
    best: Array
    gaps: Array
    surplus: Array

    @property
    def excess(self) -> int:
        """Return the total of what is asked for beyond the shares."""
        return int(np.maximum(self.surplus, 0).sum())


def settle(ticks: Array, supplies: Array, prices: Array | None = None) -> Asked:
    """Return what is asked for at prices that leave few rows a choice.

    Args:
        ticks: c, int32 of shape (n, K), K at least 2, within -2^30..2^30.
        supplies: w, positive integers, shape (n,).
        prices: lambda, shape (K,), a first guess.
    """
    n, k = ticks.shape
    guess = np.zeros(k) if prices is None else prices
    enough = max(2 * k, n // 256) * int(supplies.sum()) // n
    if n >= COARSER * max(SAMPLE, 8 * k):
        guess = settle(ticks[::COARSER], supplies[::COARSER], guess).prices
    asked = best = ask(ticks, supplies, np.rint(guess).astype(np.int64))
    for _ in range(STEPS):
        if asked.excess <= enough:
            break
        asked = ask(ticks, supplies, asked.prices + correction(ticks, supplies, asked))
        best = min(best, asked, key=lambda one: one.excess)
    return best


def ask(ticks: Array, supplies: Array, prices: Array) -> Asked:
    """Return what rows ask for at integer prices, the lowest index on ties."""
    n, k = ticks.shape
    prices = prices - (int(prices.max()) + int(prices.min())) // 2
    narrow = prices.astype(np.int32 if prices.max() < 1 << 30 else np.int64)  # so that no sum overflows
    best, gaps = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    step = max(1, CHUNK // k)
    for start in range(0, n, step):
        priced = ticks[start : start + step] + narrow
        best[start : start + step] = priced.argmin(axis=1)
        priced.partition(1, axis=1)
        np.subtract(priced[:, 1], priced[:, 0], out=gaps[start : start + step], dtype=np.int64)
    loads = np.bincount(best, supplies, k).astype(np.int64)
    return Asked(prices, best, gaps, loads - shares(loads))


def shares(loads: Array) -> Array:
    """Return the share of each cluster, the total over K rounded down or, where the loads are largest, up."""
    share, extra = divmod(int(loads.sum()), len(loads))
    out = np.full(len(loads), share)
    out[np.argsort(-loads, kind="stable")[:extra]] += 1
    return out


def correction(ticks: Array, supplies: Array, asked: Asked) -> Array:
    """Return what the model's potentials add to the prices, int64 of shape (K,)."""
    tails, heads, costs, room = _model(ticks, supplies, asked)
    units = max(0, int(np.abs(asked.surplus).sum()).bit_length() - 40)
    supply = asked.surplus >> units
    supply[supply.argmax()] -= supply.sum()
    flows = cheapest(tails, heads, np.maximum(room >> units, 1), costs, supply)
    if flows is None:
        return np.zeros_like(asked.prices)
    graph = np.full((len(supply), len(supply)), FAR, dtype=np.int64)
    free, used = flows < room >> units, flows > 0
    np.minimum.at(graph, (tails[free], heads[free]), costs[free])
    np.minimum.at(graph, (heads[used], tails[used]), -costs[used])
    np.fill_diagonal(graph, 0)
    return np.rint(potentials(closed(shortest(graph)), len(supply))).astype(np.int64)


def _model(ticks: Array, supplies: Array, asked: Asked) -> tuple[Array, Array, Array, Array]:
    """Return arcs between clusters, (from, to, cost, room): the bins that the excess may reach."""
    k = ticks.shape[1]
    rows, copies = _sampled(asked)
    tails, copies = asked.best[rows], copies * supplies[rows]
    costs = ticks[rows] + asked.prices
    costs -= costs[np.arange(len(rows)), tails][:, None] - 1
    coarser = max(0, (k - 1).bit_length() - 7)
    count, bits = (BINS >> coarser) + 1, _HALF_OCTAVES + coarser
    first = np.float32(1).view(np.int32) >> bits
    bins = np.minimum((costs.astype(np.float32).view(np.int32) >> bits) - first, count - 1)
    cells = bins + (np.arange(k) + k * tails[:, None]) * count
    room = np.bincount(cells.ravel(), None if (copies == 1).all() else np.repeat(copies, k), k * k * count)
    room = room.reshape(k, k, count)
    room[np.arange(k), np.arange(k)] = 0
    room[np.cumsum(room, axis=2) - room >= max(asked.excess, 1)] = 0
    tails, heads, bins = np.nonzero(room)
    edges = ((np.arange(count + 1, dtype=np.int32) + first) << bits).view(np.float32)
    middles = np.floor((edges[1:] + edges[:-1]) / 2 - 1).astype(np.int64)
    return tails, heads, middles[bins], room[tails, heads, bins].astype(np.int64)


def _sampled(asked: Asked) -> tuple[Array, Array]:
    """Return the rows of a model and how many each stands for: each cluster's nearest, and every so many-th other."""
    n, k = len(asked.gaps), len(asked.prices)
    stride = -(-n // SAMPLE)
    if stride <= 2:
        return np.arange(n), np.ones(n, dtype=np.int64)
    order = np.argsort(asked.best.astype(np.int16 if k < 1 << 15 else np.int64), kind="stable")
    counts = np.bincount(asked.best, minlength=k)
    cutoffs = np.zeros(k, dtype=np.int64)
    for j, gaps in enumerate(np.split(asked.gaps[order], np.cumsum(counts)[:-1])):
        near = SAMPLE // k + int(np.clip(2 * asked.surplus[j], 0, SAMPLE // k))
        cutoffs[j] = np.partition(gaps, near)[near] if near < len(gaps) else FAR
    close = asked.gaps <= cutoffs[asked.best]
    far = ~close
    far[np.arange(n) % stride > 0] = False
    rows = np.flatnonzero(close | far)
    return rows, np.where(close[rows], 1, stride)


def cheapest(tails: Array, heads: Array, room: Array, costs: Array, supplies: Array) -> Array | None:
    """Return the amounts of a min-cost flow over given arcs, None if there is no flow.

    Args:
        tails: where arcs start, shape (a,).
        heads: where they end, shape (a,).
        room: what they hold, shape (a,).
        costs: of a unit, shape (a,).
        supplies: what each node sends, or less than zero takes, of sum zero.
    """
    graph = _ortools().SimpleMinCostFlow()
    arcs = graph.add_arcs_with_capacity_and_unit_cost(tails, heads, room, costs)
    graph.set_nodes_supplies(np.arange(len(supplies)), supplies)
    status = graph.solve()
    if status not in (graph.OPTIMAL, graph.INFEASIBLE):
        raise ValueError(f"weights must be small enough for 64-bit costs, the flow's solver ended with {status}")
    return np.asarray(graph.flows(arcs)) if status == graph.OPTIMAL else None


def _ortools() -> Any:
    try:
        return import_module("ortools.graph.python.min_cost_flow")
    except ImportError as error:
        raise ImportError("a balanced partition into three or more experts needs the package ortools") from error


def shortest(graph: Array) -> Array:
    """Return the shortest distances between all pairs (Floyd, Warshall); a negative diagonal shows a negative cycle."""
    distances = graph.copy()
    for middle in range(len(graph)):
        through = distances[:, middle, None] + distances[None, middle]
        np.minimum(distances, through, out=distances)
        if (np.diagonal(distances) < 0).any():
            return distances
    return np.where(distances > FAR >> 1, FAR, distances)


def closed(distances: Array) -> Array:
    """Return distances with missing paths replaced by the shortest that cannot close a negative cycle."""
    missing = distances == FAR
    longest = int(np.abs(np.where(missing, 0, distances)).max())
    return shortest(np.where(missing, longest, distances))


def potentials(distances: Array, k: int) -> Array:
    """Return prices from the mean over roots, which are strict wherever an optimum lets them be, of mean zero."""
    means = distances[:, :k].astype(np.float64).mean(axis=0)
    return means.mean() - means
