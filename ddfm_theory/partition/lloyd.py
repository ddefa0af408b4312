r"""Lloyd's iterations on the sphere: assign rows to centroids, move centroids to their rows' mean direction.

The objective is the mean distance of a row to its centroid, :math:`J = \sum_i w_i (1 - \langle x_i, c_{k(i)} \rangle)
/ \sum_i w_i` (squared Euclidean distance for that metric). Given centroids the assignment minimizes J among those
allowed; given labels :math:`c_k = \sum_{i \in k} w_i x_i / \| \cdot \|` does. So J never rises, up to rounding. (By
weights, where balance can be had to one row only, it may: the best iterate is returned.) The centroids returned are
those the labels were made for.

Seeds are k-means++'s, from at most 2^14 rows (16 K if that is more): each next seed is a row drawn with probability
proportional to w D (the best of a few such), by exponential clocks that hash the row's content, so that permuting the
rows permutes the seeds. Zero rows and copies of seeds are drawn only when nothing else is left. Every start runs on
those rows, and the best of them then on all.

References:
    I. S. Dhillon, D. S. Modha, "Concept decompositions for large sparse text data using clustering", Machine Learning
    42 (2001); D. Arthur, S. Vassilvitskii, "k-means++", SODA 2007.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from ddfm_theory.partition.assignment import assign
from ddfm_theory.partition.rows import Rows, content_keys, distances_of, exponentials, similarity, squares
from ddfm_theory.partition.transport import RANGE

Array = Any
SEEDING = 1 << 14  # rows that seeds are drawn from and starts are compared on
_SAME = 2.0**-20  # a distance, relative to its bound, at which float32 may have met a copy


@dataclass(frozen=True)
class Fit:
    """Labels and the centroids they were made for, with the objective there and along the way."""

    labels: Array
    centroids: Array
    objective: float
    history: tuple[float, ...]
    prices: Array | None = None


Step = Callable[[Rows, Array, Any, Any], tuple[Array, float, Any]]


def fit(
    rows: Rows, n_clusters: int, seed: int, weights: Array | None, step: Step, starts: int, max_iter: int, tol: float
) -> Fit:
    """Return the best of several starts on the seeding rows, continued on all rows.

    Args:
        rows: n rows.
        n_clusters: K.
        seed: of the clocks.
        weights: w, shape (n,), or None for ones.
        step: the assignment, :func:`nearest` or :func:`balanced`.
        starts: how many seedings are tried.
        max_iter: at most so many assignments a run.
        tol: a run ends when the objective falls by no more.
    """
    chosen = seeding_rows(rows, n_clusters, seed)
    part = rows if chosen is None else rows.take(chosen)
    mass = weights if chosen is None or weights is None else weights[chosen]
    fits = [
        lloyd(part, seeds(part, n_clusters, seed, start, mass), mass, step, max_iter, tol) for start in range(starts)
    ]
    best = min(fits, key=lambda one: one.objective)
    return best if chosen is None else lloyd(rows, best.centroids, weights, step, max_iter, tol, best.prices)


def seeding_rows(rows: Rows, n_clusters: int, seed: int) -> Array | None:
    """Return which rows seeds are drawn from, a random choice that follows the rows' content; None for all."""
    limit = max(SEEDING, 16 * n_clusters)
    if rows.n <= limit:
        return None
    clocks = exponentials(rows.keys, seed)
    if rows.metric == "cosine":
        clocks[rows.keys == content_keys(np.zeros((1, rows.width)))[0]] = np.inf  # zero rows come last
    return np.sort(np.argsort(clocks, kind="stable")[:limit])


def seeds(
    rows: Rows, n_clusters: int, seed: int, start: int, weights: Array | None = None, trials: int | None = None
) -> Array:
    """Return K rows drawn by greedy k-means++, float32 of shape (K, D).

    Args:
        rows: n rows, read into memory.
        n_clusters: K.
        seed: of the clocks.
        start: which seeding.
        weights: w, shape (n,), or None.
        trials: how many rows are drawn for each seed, of which the one that lowers the objective most is kept.
    """
    blocks = np.concatenate([block for _, block in rows.blocks("seed")])
    mass = np.ones(rows.n) if weights is None else weights.astype(np.float64)
    if rows.metric == "cosine":
        mass = np.where(squares(blocks) == 0, 0.0, mass)
    trials = 2 + int(np.log(n_clusters)) if trials is None else trials
    closest, chosen = np.full(rows.n, rows.top), np.zeros(rows.n, dtype=bool)
    out = np.empty((n_clusters, rows.width), dtype=np.float32)
    for k in range(n_clusters):
        drawn = _draw(mass * closest, mass, chosen, exponentials(rows.keys, seed, start, k), trials if k else 1)
        distances = rows.distances(blocks, blocks[drawn])
        left = np.minimum(closest[:, None], np.where(distances <= _SAME * rows.top, 0, distances))
        best = int((mass @ left).argmin())
        out[k], chosen[drawn[best]], closest = blocks[drawn[best]], True, left[:, best]
    return _nonzero(out)


def _draw(odds: Array, mass: Array, chosen: Array, clocks: Array, trials: int) -> Array:
    """Return the rows whose clocks ring first: by the odds, else by mass, else any not chosen."""
    for rates in (odds, mass * ~chosen, 1.0 * ~chosen):
        if (rates > 0).any():
            times = np.where(rates > 0, clocks / np.where(rates > 0, rates, 1), np.inf)
            first = np.argsort(times, kind="stable")[:trials]
            return first[np.isfinite(times[first])]
    raise ArithmeticError("no row is left to seed from")


def _nonzero(centroids: Array) -> Array:
    """Return seeds with zero rows, which have no direction, replaced by the first seed."""
    zero = ~centroids.any(axis=1)
    return np.where(zero[:, None], centroids[0], centroids)


def lloyd(
    rows: Rows,
    centroids: Array,
    weights: Array | None,
    step: Step,
    max_iter: int,
    tol: float,
    state: Any = None,
) -> Fit:
    """Return the best iterate of assigning and averaging, until labels or objective stand still."""
    labels, objective, state = step(rows, centroids, weights, state)
    best, history = Fit(labels, centroids, objective, (), state), [objective]
    for _ in range(1, max_iter):
        former, centroids = labels, means(rows, labels, weights, centroids)
        labels, objective, state = step(rows, centroids, weights, state)
        history.append(objective)
        if objective < best.objective:
            best = Fit(labels, centroids, objective, (), state)
        if (labels == former).all() or history[-2] - objective <= tol:
            break
    return Fit(best.labels, best.centroids, best.objective, tuple(history), best.prices)


def means(rows: Rows, labels: Array, weights: Array | None, former: Array) -> Array:
    """Return each cluster's mean row (for cosine distance its direction), summed in float64, shape (K, D).

    A cluster whose rows cancel has no direction and keeps its former centroid, which is no worse.
    """
    k = len(former)
    sums, masses = np.zeros((k, rows.width)), np.zeros(k)
    for chunk, block in rows.blocks("average"):
        w = np.ones(len(block)) if weights is None else weights[chunk].astype(np.float64)
        one_hot = scipy.sparse.csc_array((w, labels[chunk], np.arange(len(block) + 1)), shape=(k, len(block)))
        sums += one_hot @ block.astype(np.float64)
        masses += np.bincount(labels[chunk], weights=w, minlength=k)
    lengths = np.sqrt(squares(sums)) if rows.metric == "cosine" else masses
    floor = _SAME * masses if rows.metric == "cosine" else 0
    kept = (lengths <= floor)[:, None]
    return np.where(kept, former, sums / np.where(kept[:, 0], 1, lengths)[:, None]).astype(np.float32)


def nearest(rows: Rows, centroids: Array, weights: Array | None, state: Any) -> tuple[Array, float, Any]:
    """Assign each row to its nearest centroid, the lowest index on ties; an empty cluster takes the farthest row.

    Args:
        rows: n rows.
        centroids: c, shape (K, D).
        weights: w, shape (n,), or None.
        state: not used.

    Returns:
        Labels, the objective before empty clusters were filled, and None.
    """
    labels, distances = np.empty(rows.n, dtype=np.int64), np.empty(rows.n, dtype=np.float32)
    for chunk, block in rows.blocks("assign"):
        similarities = similarity(block, centroids, rows.metric)
        labels[chunk] = similarities.argmax(axis=1)
        distances[chunk] = distances_of(similarities.max(axis=1), rows.metric)
    return give_rows(labels, distances, len(centroids)), float(np.average(distances, weights=weights)), None


def give_rows(labels: Array, distances: Array, n_clusters: int) -> Array:
    """Return labels with no empty cluster: each takes the row farthest from its centroid, of clusters with others left.

    Args:
        labels: shape (n,), n at least K.
        distances: of each row to its own centroid, shape (n,); ties go to the first row.
        n_clusters: K.
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    far = distances.astype(np.float64)
    for cluster in np.flatnonzero(sizes == 0):
        row = int(np.where(sizes[labels] > 1, far, -np.inf).argmax())
        sizes[labels[row]] -= 1
        labels[row], sizes[cluster] = cluster, 1
    return labels


def balanced(rows: Rows, centroids: Array, weights: Array | None, state: Any) -> tuple[Array, float, Any]:
    """Assign rows to centroids in equal shares, as cheaply as can be; memory beside a block is n x K of 4 bytes.

    Args:
        rows: n rows.
        centroids: c, shape (K, D).
        weights: w, shape (n,), or None.
        state: the clusters' prices, in ticks, of the assignment before.

    Returns:
        Labels, the objective, and the prices.
    """
    ticks = np.empty((rows.n, len(centroids)), dtype=np.int32)
    for chunk, block in rows.blocks("assign"):
        ticks[chunk] = rows.ticks(block, centroids)
    labels, prices = assign(ticks, weights, state)
    own = np.take_along_axis(ticks, labels[:, None], axis=1)[:, 0]
    return labels, float(np.average(own, weights=weights)) * (rows.top / RANGE), prices
