r"""Balanced assignment: the cheapest way to give every expert its equal share of the data.

By rows: each of K clusters gets :math:`\lfloor n/K \rfloor` or :math:`\lceil n/K \rceil` rows, which ones get the
larger number being the flow's choice, and no assignment with such sizes is cheaper. For K = 2 sorting c_i0 - c_i1 is
enough.

By weights (tokens): the weights, divided by their greatest common divisor, may be split in the flow; every cluster then
takes a share t_k of W/K rounded down or up. Rows that the flow splits are rounded by Shmoys and Tardos' slots, so that

.. math:: |\text{load}_k - t_k| \le \max_{i\ \text{split}} w_i, \qquad
   \sum_i w_i c_{i, \text{label}(i)} \le \min_{l:\ \text{loads} \in \{\lfloor W/K \rfloor, \lceil W/K \rceil\}}
   \sum_i w_i c_{i, l(i)},

to the resolution of the costs. (Equal loads are in general not to be had, and deciding whether they are is NP-hard.)
A cluster left empty, which takes a row heavier than W/K, gets the cheapest row of another: the first bound then holds
with the largest of all weights, the second no longer.

References:
    D. B. Shmoys, E. Tardos, "An approximation algorithm for the generalized assignment problem", Math. Programming 62
    (1993), theorem 2.1; R. K. Ahuja, T. L. Magnanti, J. B. Orlin, "Network Flows", 1993.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np

from ddfm_theory.partition.prices import settle, shortest
from ddfm_theory.partition.transport import RANGE, Flow, exchanges, share_out, transport, with_spare

Array = Any


def balanced_assignment(costs: Any, weights: Any = None) -> Array:
    """Return the cheapest labels with equal shares.

    Args:
        costs: c, what row i costs in cluster k, shape (n, K); float costs are rounded to 2^-30 of their range.
        weights: w, positive integers, shape (n,); by default every row counts one.

    Returns:
        int64 labels, shape (n,).

    Raises:
        ValueError: costs not a finite matrix with 1 <= K <= n, or weights not n positive integers.
    """
    ticks = to_ticks(costs)
    return assign(ticks, check_weights(weights, ticks.shape[0]))[0]


def is_optimal_assignment(costs: Any, labels: Any) -> bool:
    """Return whether labels are balanced by rows and no cheaper balanced assignment exists, to one tick of 2^-30.

    It looks for an exchange that pays, at any n, and shares no text with the solvers but the graph of exchanges.

    Args:
        costs: c, shape (n, K).
        labels: shape (n,), entries in 0..K-1.
    """
    ticks = to_ticks(costs)
    n, k = ticks.shape
    labels = check_labels(labels, n, k)
    sizes = np.bincount(labels, minlength=k)
    if sizes.max() - sizes.min() > 1:
        return False
    graph = with_spare(exchanges(ticks, np.arange(n), labels), sizes)
    return bool((np.diagonal(shortest(graph)) >= 0).all())


def to_ticks(costs: Any) -> Array:
    """Return costs as 32-bit integers: their range is divided into 2^30 ticks, or, small integers, they stay."""
    array = np.asarray(costs)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not 1 <= array.shape[1] <= array.shape[0]:
        raise ValueError(f"costs must be real, of shape (n, K) with 1 <= K <= n, was {array.dtype} of {array.shape}")
    if array.dtype.kind in "iu" and array.min() >= -RANGE and array.max() <= RANGE:
        return array.astype(np.int32)
    array = array.astype(np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"costs must be finite, was {array[where]} at {where}")
    low, span = array.min(), float(array.max() / 2 - array.min() / 2)  # halves, so that no difference overflows
    scaled = (array / 2 - low / 2) * (RANGE / span if span > RANGE * np.finfo(np.float64).tiny else 0.0)
    return np.rint(scaled).astype(np.int32)


def check_weights(weights: Any, n: int) -> Array | None:
    """Check weights and divide them by their greatest common divisor; None if all are equal."""
    if weights is None:
        return None
    array = np.asarray(weights)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(f"weights must be {n} integers, shape ({n},), was {array.dtype} of shape {array.shape}")
    if array.min() < 1:
        where = int(array.argmin())
        raise ValueError(f"weights must be positive, was {array[where]} at {where}")
    if int(array.max()) * n >= 1 << 53:
        raise ValueError(f"weights must sum to less than 2^53, was up to {array.max()} over {n} rows")
    array = array.astype(np.int64) // int(np.gcd.reduce(array.astype(np.int64)))
    return None if (array == 1).all() else array


def check_labels(labels: Any, n: int, k: int) -> Array:
    """Check n labels in 0..K-1 and return them as int64."""
    array = np.asarray(labels)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(f"labels must be {n} integers, shape ({n},), was {array.dtype} of shape {array.shape}")
    bad = (array < 0) | (array >= k)
    if bad.any():
        where = int(np.argmax(bad))
        raise ValueError(f"labels must be in 0..{k - 1}, was {array[where]} at {where}")
    return array.astype(np.int64)


def assign(ticks: Array, weights: Array | None, prices: Array | None = None) -> tuple[Array, Array]:
    """Return balanced labels, shape (n,), and the clusters' prices in ticks, shape (K,).

    Args:
        ticks: c, int32 of shape (n, K).
        weights: as :func:`check_weights` returns them.
        prices: a first guess at the prices.
    """
    n, k = ticks.shape
    if k == 1:
        return np.zeros(n, dtype=np.int64), np.zeros(1)
    if weights is None:
        return halves(ticks) if k == 2 else _labels(transport(ticks, np.ones(n, dtype=np.int64), prices))
    flow = transport(ticks, weights, prices)
    return fill_empty(_round(ticks, weights, flow), ticks), flow.prices


def nearly(ticks: Array, weights: Array | None, prices: Array | None = None) -> tuple[Array, Array, float]:
    """Return labels that are nearly balanced, their prices, and a lower bound on the balanced mean cost, the dual's.

    Args:
        ticks: c, int32 of shape (n, K), K at least 2.
        weights: as :func:`check_weights` returns them.
        prices: a first guess at the prices.
    """
    n, k = ticks.shape
    mass = np.ones(n, dtype=np.int64) if weights is None else weights
    asked = settle(ticks, mass, prices)
    least = np.average(ticks[np.arange(n), asked.best] + asked.prices[asked.best], weights=mass)
    total, ordered = int(mass.sum()), np.sort(asked.prices)
    dearest = total // k * int(ordered.sum()) + int(ordered[k - total % k :].sum())
    return asked.best, asked.prices, float(least - dearest / total)


def halves(ticks: Array) -> tuple[Array, Array]:
    """Return the closed form for two clusters: the rows with the least c_i0 - c_i1 go to cluster 0.

    Of an odd number the middle row goes where it is cheaper. The prices lie half way between the two at the cut.
    """
    gains = ticks[:, 0].astype(np.int64) - ticks[:, 1]
    n, cut = len(gains), len(gains) // 2
    ordered = np.partition(gains, (cut - 1, cut, min(cut + 1, n - 1)))
    cut += int(n % 2 == 1 and ordered[cut] <= 0)
    last, first = ordered[cut - 1 : cut + 1]
    labels = (gains > last).astype(np.int64)
    labels[np.flatnonzero(gains == last)[cut - int((gains < last).sum()) :]] = 1
    threshold = (last + first) / 4
    return labels, np.array([-threshold, threshold])


def _labels(flow: Flow) -> tuple[Array, Array]:
    return flow.clusters, flow.prices


def _round(ticks: Array, weights: Array, flow: Flow) -> Array:
    """Return labels from a flow that splits few rows: those go to slots of unit mass, as cheaply as can be."""
    parts = np.bincount(flow.rows, minlength=len(weights))
    labels = np.empty(len(weights), dtype=np.int64)
    whole = parts[flow.rows] == 1
    labels[flow.rows[whole]] = flow.clusters[whole]
    split = np.flatnonzero(parts > 1)
    if not len(split):
        return labels
    edges = [edge for k in range(ticks.shape[1]) for edge in _slots(k, weights, flow, parts)]
    slots = sorted({(k, slot) for _, k, slot, _ in edges})
    full = np.array([all(edge[3] for edge in edges if edge[1:3] == slot) for slot in slots])
    tails = np.searchsorted(split, [row for row, *_ in edges])
    heads = np.array([slots.index((k, slot)) for _, k, slot, _ in edges])
    clusters = np.array([k for _, k, *_ in edges])
    costs = _weighted(ticks, weights, split)[tails, clusters]
    ones = np.ones(len(split), dtype=np.int64)
    amounts = share_out(tails, heads, ones, costs, full.astype(np.int64), ~full, len(split) - int(full.sum()))
    if amounts is None:
        raise ArithmeticError("the slots of a flow must hold its split rows, did not")
    labels[split[tails[amounts > 0]]] = clusters[amounts > 0]
    return labels


def _slots(k: int, weights: Array, flow: Flow, parts: Array) -> Iterator[tuple[int, int, int, bool]]:
    """Yield (row, cluster, slot, whether it is full): parts of split rows, heaviest first, fill slots of mass one."""
    mine = np.flatnonzero((flow.clusters == k) & (parts[flow.rows] > 1))
    mine = mine[np.argsort(-weights[flow.rows[mine]], kind="stable")]
    masses = [Fraction(int(flow.amounts[e]), int(weights[flow.rows[e]])) for e in mine]
    total, position = sum(masses, Fraction(0)), Fraction(0)
    for entry, mass in zip(mine, masses, strict=True):
        for slot in range(int(position), ceil(position + mass)):
            yield int(flow.rows[entry]), k, slot, slot + 1 <= total
        position += mass


def _weighted(ticks: Array, weights: Array, rows: Array) -> Array:
    """Return w_i (c_ik - min_k c_ik) for some rows, in units small enough for 64 bits."""
    spare = ticks[rows].astype(np.int64)
    spare -= spare.min(axis=1, keepdims=True)
    bits = int(weights[rows].max()).bit_length() + 2 * (len(rows) + ticks.shape[1]).bit_length()
    return (spare >> max(0, bits - 28)) * weights[rows, None]


def fill_empty(labels: Array, costs: Array) -> Array:
    """Return labels with no empty cluster: each takes, of clusters with more than one row, the row it costs least more.

    Args:
        labels: shape (n,), n at least K.
        costs: c, shape (n, K); ties go to the first row.
    """
    k = costs.shape[1]
    sizes = np.bincount(labels, minlength=k)
    for cluster in np.flatnonzero(sizes == 0):
        rise = costs[:, cluster].astype(np.float64) - costs[np.arange(len(labels)), labels]
        rise[sizes[labels] < 2] = np.inf
        row = int(rise.argmin())
        sizes[labels[row]] -= 1
        labels[row] = cluster
        sizes[cluster] = 1
    return labels
