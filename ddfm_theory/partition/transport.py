r"""The transport problem behind a balanced assignment, solved exactly and certified.

n rows with supplies :math:`w_i` go to K clusters at costs :math:`c_{ik}` a unit; each cluster takes :math:`\lfloor
W/K \rfloor` or :math:`\lceil W/K \rceil` of the total W, and which ones take the larger share is the flow's own
choice. A flow is optimal iff no exchange pays: in the graph over clusters with

.. math:: e_{jk} = \min_{i \text{ in } j} (c_{ik} - c_{ij})

(and a node through which a cluster that has the larger share hands it to one that has not) no cycle is negative.
Shortest distances there are the clusters' prices: every row in j minimizes :math:`c_{ik} + \lambda_k` at j.

Prices :math:`\lambda` that are nearly right leave most rows no choice: where the second best cluster of every such row
of j costs more by g, :math:`c_{ik} - c_{ij} \ge g + \lambda_j - \lambda_k`. So a flow is solved over the other rows,
the near ones, and over few of their arcs, and certified over all, with that bound in place of the far rows. If the
certificate is refused, prices move to the optimum over the arcs kept, far rows that would then go elsewhere become
near, and the arcs that look good at these prices are kept too.

Costs are ticks, 32-bit integers, so that every comparison is exact.

References:
    R. K. Ahuja, T. L. Magnanti, J. B. Orlin, "Network Flows", 1993, chapter 9 (negative cycles, reduced costs).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ddfm_theory.partition.prices import CHUNK, FAR, Asked, ask, cheapest, closed, potentials, settle, shortest

Array = Any
RANGE = 1 << 30  # ticks that the range of the costs is divided into
DIRECT = 1 << 13  # arcs up to which the flow is solved over all of them
NEAR = 64  # rows a cluster that are near at first


class Flow(NamedTuple):
    """Which row sends how much where, sorted by row; and the clusters' prices, in ticks, of mean zero."""

    rows: Array
    clusters: Array
    amounts: Array
    prices: Array


class _Part(NamedTuple):
    """A flow of the near rows, and the loads that far and near rows make together."""

    rows: Array
    clusters: Array
    amounts: Array
    loads: Array


def transport(ticks: Array, supplies: Array, prices: Array | None = None) -> Flow:
    """Return a cheapest flow from rows to clusters whose loads differ by at most one.

    Args:
        ticks: c, int32 of shape (n, K), K at least 2, within -2^30..2^30.
        supplies: w, positive integers, shape (n,), of sum at least K.
        prices: lambda, shape (K,), a first guess; it changes the time and which of several optima is found.

    Raises:
        ArithmeticError: what the solver gave is no cheapest flow over its own arcs.
    """
    asked = settle(ticks, supplies, prices)
    kept = np.zeros(ticks.shape, dtype=bool)
    near, reach = _first_near(asked, supplies, kept)
    while True:
        _keep(kept, ticks, asked, near, reach)
        part = _cheapest_part(ticks, supplies, asked, near, kept)
        if part is None:
            reach = _doubled(reach)
            near |= asked.gaps <= reach
        elif (distances := certificate(ticks, asked, near, part)) is None:
            asked = _moved(ticks, supplies, asked, near, kept, part)
        else:
            return _whole(asked, supplies, near, part, potentials(closed(distances), ticks.shape[1]))


def _first_near(asked: Asked, supplies: Array, kept: Array) -> tuple[Array, int]:
    """Return which rows are near and how far arcs reach; keep all arcs of twice each surplus, so that a flow exists."""
    n, k = kept.shape
    if n * k <= DIRECT:
        return np.ones(n, dtype=bool), FAR
    count = min(NEAR * k, n - 1)
    reach = int(np.partition(asked.gaps, count)[count])
    near = asked.gaps <= reach
    for j in np.flatnonzero(asked.surplus > 0):
        mine = np.flatnonzero(asked.best == j)
        mine = mine[np.argsort(asked.gaps[mine], kind="stable")]
        leaving = mine[: np.searchsorted(np.cumsum(supplies[mine]), 2 * asked.surplus[j]) + 1]
        near[leaving] = kept[leaving] = True
    return near, reach


def _doubled(reach: int) -> int:
    if reach > 1 << 40:
        raise ArithmeticError("a flow over all arcs must exist, the solver found none")
    return 2 * reach


def _keep(kept: Array, ticks: Array, asked: Asked, near: Array, reach: int) -> None:
    """Keep the arcs of near rows that are within reach of their best."""
    rows = np.flatnonzero(near)
    priced = ticks[rows] + asked.prices
    kept[rows] |= priced <= priced.min(axis=1, keepdims=True) + reach


def _cheapest_part(ticks: Array, supplies: Array, asked: Asked, near: Array, kept: Array) -> _Part | None:
    """Return a cheapest flow of the near rows over kept arcs, None where there is none."""
    rows, k = np.flatnonzero(near), ticks.shape[1]
    share, extra = divmod(int(supplies.sum()), k)
    taken = loads_of(asked.best[~near], supplies[~near], k)
    over = taken > share
    if (taken > share + 1).any() or over.sum() > extra:
        return None
    tails, heads = np.nonzero(kept[rows])
    costs = ticks[rows].astype(np.int64)
    costs -= costs.min(axis=1, keepdims=True)
    demands, left = np.maximum(share - taken, 0), extra - int(over.sum())
    amounts = share_out(tails, heads, supplies[rows], costs[tails, heads], demands, ~over, left)
    if amounts is None:
        return None
    used = amounts > 0
    return _Part(rows[tails[used]], heads[used], amounts[used], taken + loads_of(heads[used], amounts[used], k))


def certificate(ticks: Array, asked: Asked, near: Array, part: _Part) -> Array | None:
    """Return shortest distances in the graph of exchanges, or None if it cannot rule out that one pays.

    Exchanges of near rows are exact; those of the far rows are bounded from below by their least gap and the prices.
    """
    least = np.full(ticks.shape[1], FAR)
    np.minimum.at(least, asked.best[~near], asked.gaps[~near])
    bound = np.minimum(least[:, None] + asked.prices[:, None] - asked.prices, FAR)
    np.fill_diagonal(bound, 0)
    distances = shortest(with_spare(np.minimum(exchanges(ticks, *part[:2]), bound), part.loads))
    return None if (np.diagonal(distances) < 0).any() else distances


def _moved(ticks: Array, supplies: Array, asked: Asked, near: Array, kept: Array, part: _Part) -> Asked:
    """Return what is asked for at the nearest prices that are optimal over the kept arcs.

    Far rows that now ask for another cluster become near, and keep the arc that they were on.
    """
    distances, k = shortest(with_spare(exchanges(ticks, *part[:2], kept), part.loads)), ticks.shape[1]
    if (np.diagonal(distances) < 0).any():
        raise ArithmeticError("a flow must be cheapest over its arcs, an exchange would have lowered its cost")
    after = ask(ticks, supplies, -(distances[:k, :k] - asked.prices[:, None]).min(axis=0))
    restless = np.flatnonzero(~near & (after.best != asked.best))
    kept[restless, asked.best[restless]] = True
    near[restless] = True
    return after


def loads_of(clusters: Array, amounts: Array, k: int) -> Array:
    """Return each cluster's load, int64 of shape (K,)."""
    loads = np.zeros(k, dtype=np.int64)
    np.add.at(loads, clusters, amounts)
    return loads


def share_out(
    rows: Array, clusters: Array, supplies: Array, costs: Array, demands: Array, spare: Array, extra: int
) -> Array | None:
    """Return the amounts on given arcs of a min-cost flow, None if there is no flow.

    Args:
        rows: the arcs' tails, 0..m-1, shape (a,).
        clusters: the arcs' heads, 0..K-1, shape (a,).
        supplies: what each row sends, all of it, shape (m,).
        costs: of a unit on each arc, shape (a,).
        demands: what each cluster must take, shape (K,).
        spare: which clusters may take one unit more, shape (K,).
        extra: how many of these do.
    """
    if not len(supplies):
        return np.zeros(0, dtype=np.int64) if not (demands.any() or extra) else None
    m, k = len(supplies), len(demands)
    spares = np.flatnonzero(spare)
    tails, heads = np.concatenate([rows, spares + m]), np.concatenate([clusters + m, np.full(len(spares), m + k)])
    room = np.concatenate([supplies[rows], np.ones(len(spares), dtype=np.int64)])
    costs = np.concatenate([costs, np.zeros(len(spares), dtype=np.int64)])
    flows = cheapest(tails, heads, room, costs, np.concatenate([supplies, -demands, [-extra]]))
    return None if flows is None else flows[: len(rows)]


def exchanges(ticks: Array, rows: Array, clusters: Array, kept: Array | None = None) -> Array:
    """Return e_jk, what moving one of some rows from j to k costs at least, int64 of shape (K, K).

    Args:
        ticks: c, shape (n, K).
        rows: the rows that are looked at.
        clusters: where each of them is.
        kept: the arcs that are looked at, all by default, shape (n, K).
    """
    k = ticks.shape[1]
    graph = np.full((k, k), FAR, dtype=np.int64)
    order = np.argsort(clusters, kind="stable")
    ends = np.searchsorted(clusters[order], np.arange(k + 1))
    step = max(1, CHUNK // k)
    for j in range(k):
        for start in range(ends[j], ends[j + 1], step):
            members = rows[order[start : min(start + step, ends[j + 1])]]
            costs = ticks[members].astype(np.int64)
            costs -= costs[:, j : j + 1].copy()
            if kept is not None:
                costs[~kept[members]] = FAR
            graph[j] = np.minimum(graph[j], costs.min(axis=0))
    np.fill_diagonal(graph, 0)
    return graph


def with_spare(graph: Array, loads: Array) -> Array:
    """Return the graph with a node through which the larger share is handed on, if there is a larger share."""
    k = len(graph)
    share, extra = divmod(int(loads.sum()), k)
    if not extra:
        return graph
    full = np.full((k + 1, k + 1), FAR, dtype=np.int64)
    full[:k, :k], full[k, k] = graph, 0
    full[:k, k][loads == share] = 0
    full[k, :k][loads == share + 1] = 0
    return full


def _whole(asked: Asked, supplies: Array, near: Array, part: _Part, prices: Array) -> Flow:
    """Return the flow of near and far rows together."""
    far = np.flatnonzero(~near)
    rows = np.concatenate([far, part.rows])
    order = np.argsort(rows, kind="stable")
    clusters = np.concatenate([asked.best[far], part.clusters])
    return Flow(rows[order], clusters[order], np.concatenate([supplies[far], part.amounts])[order], prices)
