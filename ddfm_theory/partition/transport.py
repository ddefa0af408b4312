r"""The transport problem behind a balanced assignment, solved exactly and certified.

n rows with supplies :math:`w_i` go to K clusters at costs :math:`c_{ik}` a unit; each cluster takes :math:`\lfloor
W/K \rfloor` or :math:`\lceil W/K \rceil` of the total W, and which ones take the larger share is the flow's own
choice. A flow is optimal iff no exchange pays: in the graph over clusters with

.. math:: e_{jk} = \min_{i \text{ in } j} (c_{ik} - c_{ij})

(and a node through which a cluster that has the larger share hands it to one that has not) no cycle is negative.
Shortest distances there are the clusters' prices: every row in j minimizes :math:`c_{ik} + \lambda_k` at j. So an
optimum is searched over few arcs, those that prices leave open, and certified over all.

Costs are ticks, 32-bit integers, so that every comparison is exact.

References:
    R. K. Ahuja, T. L. Magnanti, J. B. Orlin, "Network Flows", 1993, chapter 9 (negative cycles, reduced costs).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

Array = Any
RANGE = 1 << 30  # ticks that the range of the costs is divided into
DIRECT = 1 << 16  # arcs up to which the flow is solved over all of them
SAMPLE = 1 << 13  # rows from which first prices are had
CHUNK = 1 << 22  # entries of a temporary
FAR = 1 << 60  # stands for no path


class Flow(NamedTuple):
    """Which row sends how much where, sorted by row; and the clusters' prices, in ticks, of mean zero."""

    rows: Array
    clusters: Array
    amounts: Array
    prices: Array


def transport(ticks: Array, supplies: Array, prices: Array | None = None) -> Flow:
    """Return a cheapest flow from rows to clusters whose loads differ by at most one.

    Args:
        ticks: c, int32 of shape (n, K), within -2^30..2^30.
        supplies: w, positive integers, shape (n,), of sum at least K.
        prices: lambda, shape (K,), a first guess; it changes the time and which of several optima is found.
    """
    if prices is None:
        prices = _first_prices(ticks, supplies)
    slack = _first_slack(ticks, prices) if ticks.size > DIRECT else 4 * RANGE + int(np.ptp(prices))
    kept = _near_best(ticks, prices, slack)
    while True:
        solved = _restricted(ticks, supplies, kept)
        if solved is None:
            _add_feasible(kept, ticks, supplies, prices)
        else:
            distances = shortest(exchanges(ticks, supplies, *solved))
            if not (np.diagonal(distances) < 0).any():
                return Flow(*solved, _prices(distances, ticks.shape[1]))
            prices = _prices(_closed(shortest(exchanges(ticks, supplies, *solved, kept))), ticks.shape[1])
            improving = _improving(ticks, solved, prices) & ~kept
            kept |= improving
            if not improving.any():
                slack = 8 * max(slack, 1)
                kept |= _near_best(ticks, prices, slack)


def _first_prices(ticks: Array, supplies: Array) -> Array:
    """Return the optimal prices of a regular sample of the rows."""
    stride = -(-ticks.shape[0] // max(SAMPLE, 8 * ticks.shape[1]))
    if stride == 1:
        return np.zeros(ticks.shape[1])
    return transport(ticks[::stride], supplies[::stride]).prices


def _first_slack(ticks: Array, prices: Array) -> int:
    """Return how far from its best a row may go: enough rows for four times the surplus that the prices leave."""
    priced = ticks[:: max(1, ticks.shape[0] // SAMPLE)] + np.rint(prices).astype(np.int64)
    sizes = np.bincount(priced.argmin(axis=1), minlength=priced.shape[1])
    surplus = np.maximum(sizes - len(priced) / priced.shape[1], 0).sum() / len(priced)
    ordered = np.partition(priced, 1, axis=1)
    return int(np.quantile(ordered[:, 1] - ordered[:, 0], min(1.0, 0.05 + 4 * surplus)))


def _near_best(ticks: Array, prices: Array, slack: int) -> Array:
    """Return which arcs cost, with the prices, at most ``slack`` more than their row's best."""
    rounded = np.rint(prices).astype(np.int64)
    kept = np.empty(ticks.shape, dtype=bool)
    for chunk in _chunks(ticks):
        priced = ticks[chunk] + rounded
        kept[chunk] = priced <= priced.min(axis=1, keepdims=True) + slack
    return kept


def _add_feasible(kept: Array, ticks: Array, supplies: Array, prices: Array) -> None:
    """Add arcs on which some flow is feasible: what a cluster has too much of, its least attached rows, goes in order
    to those that have too little.
    """  # noqa: D205
    n, k = ticks.shape
    best, gaps = np.empty(n, dtype=np.int64), np.empty(n)
    for chunk in _chunks(ticks):
        priced = ticks[chunk] + prices
        best[chunk] = priced.argmin(axis=1)
        lowest = np.partition(priced, 1, axis=1)
        gaps[chunk] = lowest[:, 1] - lowest[:, 0]
    loads = np.zeros(k, dtype=np.int64)
    np.add.at(loads, best, supplies)
    share, extra = divmod(int(supplies.sum()), k)
    targets = np.full(k, share)
    targets[np.argsort(-loads, kind="stable")[:extra]] += 1
    order = np.lexsort((gaps, best))
    ends = np.cumsum(supplies[order])
    starts = ends - supplies[order]
    limits = (np.cumsum(loads) - loads + np.maximum(loads - targets, 0))[best[order]]
    moved = np.maximum(np.minimum(ends, limits) - starts, 0)
    movers, amounts = order[moved > 0], moved[moved > 0]
    room = np.cumsum(np.maximum(targets - loads, 0))
    first = np.searchsorted(room, np.cumsum(amounts) - amounts, side="right")
    last = np.searchsorted(room, np.cumsum(amounts), side="left")
    for step in range(int((last - first).max(initial=-1)) + 1):
        reached = first + step <= last
        kept[movers[reached], first[reached] + step] = True


def _chunks(ticks: Array) -> list[slice]:
    step = max(1, CHUNK // ticks.shape[1])
    return [slice(start, start + step) for start in range(0, ticks.shape[0], step)]


def _restricted(ticks: Array, supplies: Array, kept: Array) -> tuple[Array, Array, Array] | None:
    """Return a cheapest flow over the kept arcs, None where there is none. A row with one arc is settled beforehand."""
    degree = kept.sum(axis=1)
    tight, loose = np.flatnonzero(degree == 1), np.flatnonzero(degree > 1)
    settled = kept[tight].argmax(axis=1)
    taken = np.zeros(ticks.shape[1], dtype=np.int64)
    np.add.at(taken, settled, supplies[tight])
    share, extra = divmod(int(supplies.sum()), ticks.shape[1])
    over = taken > share
    extra -= int(over.sum())
    if (taken > share + 1).any() or extra < 0:
        return None
    rows, clusters = np.nonzero(kept[loose])
    costs = ticks[loose[rows], clusters] - ticks[loose].min(axis=1).astype(np.int64)[rows]
    amounts = share_out(rows, clusters, supplies[loose], costs, np.maximum(share - taken, 0), ~over, extra)
    if amounts is None:
        return None
    used = amounts > 0
    rows = np.concatenate([tight, loose[rows[used]]])
    clusters = np.concatenate([settled, clusters[used]])
    amounts = np.concatenate([supplies[tight], amounts[used]])
    order = np.lexsort((clusters, rows))
    return rows[order], clusters[order], amounts[order]


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
    module = _ortools()
    m, k = len(supplies), len(demands)
    spares = np.flatnonzero(spare)
    graph = module.SimpleMinCostFlow()
    arcs = graph.add_arcs_with_capacity_and_unit_cost(rows, clusters + m, supplies[rows], costs)
    graph.add_arcs_with_capacity_and_unit_cost(
        spares + m, np.full(len(spares), m + k), np.ones(len(spares), dtype=np.int64), np.zeros(len(spares), dtype=int)
    )
    graph.set_nodes_supplies(np.arange(m + k + 1), np.concatenate([supplies, -demands, [-extra]]))
    status = graph.solve()
    if status not in (graph.OPTIMAL, graph.INFEASIBLE):
        raise ValueError(f"weights must be small enough for 64-bit costs, the flow's solver ended with {status}")
    return np.asarray(graph.flows(arcs)) if status == graph.OPTIMAL else None


def _ortools() -> Any:
    try:
        return import_module("ortools.graph.python.min_cost_flow")
    except ImportError as error:
        raise ImportError("a balanced partition into three or more experts needs the package ortools") from error


def exchanges(
    ticks: Array, supplies: Array, rows: Array, clusters: Array, amounts: Array, kept: Array | None = None
) -> Array:
    """Return e_jk, what moving a row from j to k costs at least, shape (K, K), or (K+1, K+1) where shares differ.

    Args:
        ticks: c, shape (n, K).
        supplies: w, shape (n,).
        rows: with ``clusters`` and ``amounts`` a flow whose loads differ by at most one.
        clusters: see above.
        amounts: see above.
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
    return _with_spare(graph, supplies, clusters, amounts)


def _with_spare(graph: Array, supplies: Array, clusters: Array, amounts: Array) -> Array:
    k = len(graph)
    share, extra = divmod(int(supplies.sum()), k)
    if not extra:
        return graph
    loads = np.zeros(k, dtype=np.int64)
    np.add.at(loads, clusters, amounts)
    full = np.full((k + 1, k + 1), FAR, dtype=np.int64)
    full[:k, :k], full[k, k] = graph, 0
    full[:k, k][loads == share] = 0
    full[k, :k][loads == share + 1] = 0
    return full


def shortest(graph: Array) -> Array:
    """Return the shortest distances between all pairs (Floyd, Warshall); a negative diagonal shows a negative cycle."""
    distances = graph.copy()
    for middle in range(len(graph)):
        through = distances[:, middle, None] + distances[None, middle]
        np.minimum(distances, through, out=distances)
        if (np.diagonal(distances) < 0).any():
            return distances
    return np.where(distances > FAR >> 1, FAR, distances)


def _closed(distances: Array) -> Array:
    """Return distances with missing paths replaced by the shortest that cannot close a negative cycle."""
    missing = distances == FAR
    longest = int(np.abs(np.where(missing, 0, distances)).max())
    return shortest(np.where(missing, longest, distances))


def _prices(distances: Array, k: int) -> Array:
    """Return prices from the mean over roots, which are strict wherever an optimum lets them be, of mean zero."""
    potentials = distances[:, :k].astype(np.float64).mean(axis=0)
    return potentials.mean() - potentials


def _improving(ticks: Array, solved: tuple[Array, Array, Array], prices: Array) -> Array:
    """Return each row's cheapest arc, with the prices, where that is cheaper than the one in use."""
    rows, clusters, _ = solved
    used = np.full(ticks.shape[0], -1, dtype=np.int64)
    used[rows] = clusters
    improving = np.zeros(ticks.shape, dtype=bool)
    for chunk in _chunks(ticks):
        priced = ticks[chunk] + prices
        own = np.take_along_axis(priced, used[chunk, None], axis=1)
        best = priced.argmin(axis=1)[:, None]
        better = np.take_along_axis(priced, best, axis=1) < own - 0.25 / (len(prices) + 1)
        np.put_along_axis(improving[chunk], best, better, axis=1)
    return improving
