r"""Lloyd's iterations on the sphere: assign rows to centroids, move centroids to their rows' mean direction.

The objective is the mean distance of a row to its centroid, :math:`J = \sum_i w_i (1 - \langle x_i, c_{k(i)} \rangle)
/ \sum_i w_i` (squared Euclidean distance for that metric). Given centroids the assignment minimizes J among those
allowed; given labels :math:`c_k = \sum_{i \in k} w_i x_i / \| \cdot \|` does. So J never rises, up to rounding. (By
weights, where balance can be had to one row only, it may: the best iterate is returned.) The centroids returned are
those the labels were made for.

Seeds are k-means++'s, from at most 2^12 rows (16 K if that is more): each next seed is a row drawn with probability
proportional to w D (the best of a few such), by exponential clocks that hash the row's content, so that permuting the
rows permutes the seeds. Zero rows and copies of seeds are drawn only when nothing else is left. Every start runs on
those rows, if there are others only until the objective falls by less than 2^-8 of itself, and the best then on all.

Sums of rows are kept from one iteration to the next, so that only rows that changed their cluster are added anew.

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

from ddfm_theory.partition.assignment import assign, nearly
from ddfm_theory.partition.rows import Rows, content_keys, distances_of, exponentials, similarity, squares
from ddfm_theory.partition.transport import RANGE

Array = Any
SEEDING = 1 << 12  # rows that seeds are drawn from and starts are compared on
ROUGH = 2.0**-8  # by less than this part of itself the objective falls in the last step of a start on few rows
_SAME = 2.0**-20  # a distance, relative to its bound, at which float32 may have met a copy


@dataclass(frozen=True)
class Fit:
    """Labels and the centroids they were made for, with the objective there and along the way."""

    labels: Array
    centroids: Array
    objective: float
    history: tuple[float, ...]
    prices: Array | None = None


Assign = Callable[[Array], tuple[Array, float, Any]]
Step = Callable[[Rows, int, Any, Any, bool], Assign]


def fit(
    rows: Rows, n_clusters: int, seed: int, weights: Array | None, step: Step, starts: int, max_iter: int, tol: float
) -> Fit:
    """Return the best of several starts on the seeding rows, continued on all rows.

    Args:
        rows: n rows.
        n_clusters: K.
        seed: of the clocks.
        weights: w, shape (n,), or None for ones.
        step: makes the assignment, :func:`nearest` or :func:`balanced`.
        starts: how many seedings are tried.
        max_iter: at most so many assignments a run.
        tol: a run ends when the objective falls by no more.
    """
    chosen = seeding_rows(rows, n_clusters, seed)
    few = rows.take(np.arange(rows.n) if chosen is None else chosen)
    run, rough = (rows, 0.0) if chosen is None else (few, ROUGH)
    mass = weights if chosen is None or weights is None else weights[chosen]
    fits = []
    for start in range(starts):
        assigned = step(run, n_clusters, mass, None, chosen is None)
        fits.append(lloyd(run, seeds(few, n_clusters, seed, start, mass), mass, assigned, max_iter, tol, rough))
    best = min(fits, key=lambda one: one.objective)
    if chosen is None:
        return best
    return lloyd(rows, best.centroids, weights, step(rows, n_clusters, weights, best.prices, True), max_iter, tol)


def seeding_rows(rows: Rows, n_clusters: int, seed: int) -> Array | None:
    """Return which rows seeds are drawn from, a random choice that follows the rows' content; None for all."""
    limit = max(SEEDING, 16 * n_clusters)
    if rows.n <= limit:
        return None
    clocks = exponentials(rows.marks, seed)
    clocks[rows.scale == 0] = np.inf  # zero rows come last
    return np.sort(np.argsort(clocks, kind="stable")[:limit])


def seeds(
    rows: Rows, n_clusters: int, seed: int, start: int, weights: Array | None = None, trials: int | None = None
) -> Array:
    """Return K rows drawn by greedy k-means++, float32 of shape (K, D).

    Args:
        rows: n rows, in memory, for cosine distance of length one.
        n_clusters: K.
        seed: of the clocks.
        start: which seeding.
        weights: w, shape (n,), or None.
        trials: how many rows are drawn for each seed, of which the one that lowers the objective most is kept.
    """
    keys = content_keys(rows.source)
    mass = np.where(rows.scale == 0, 0.0, np.ones(rows.n) if weights is None else weights)
    trials = 2 + int(np.log(n_clusters)) if trials is None else trials
    closest, chosen = np.full(rows.n, rows.top), np.zeros(rows.n, dtype=bool)
    out = np.empty((n_clusters, rows.width), dtype=np.float32)
    for k in range(n_clusters):
        drawn = _draw(mass * closest, mass, chosen, exponentials(keys, seed, start, k), trials if k else 1)
        distances = rows.distances(rows.source, rows.scale, rows.source[drawn])
        left = np.minimum(closest[:, None], np.where(distances <= _SAME * rows.top, 0, distances))
        best = int((mass @ left).argmin())
        out[k], chosen[drawn[best]], closest = rows.source[drawn[best]], True, left[:, best]
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
    rows: Rows, centroids: Array, weights: Array | None, assigned: Assign, max_iter: int, tol: float, rough: float = 0.0
) -> Fit:
    """Return the best iterate of assigning and averaging, until labels or objective stand still."""
    sums = Sums(rows, weights, len(centroids))
    labels, objective, prices = assigned(centroids)
    best, history = Fit(labels, centroids, objective, (), prices), [objective]
    for _ in range(1, max_iter):
        former, centroids = labels, sums.means(labels, centroids)
        labels, objective, prices = assigned(centroids)
        history.append(objective)
        if objective < best.objective:
            best = Fit(labels, centroids, objective, (), prices)
        if (labels == former).all() or history[-2] - objective <= max(tol, rough * objective):
            break
    return Fit(best.labels, best.centroids, best.objective, tuple(history), best.prices)


class Sums:
    """The weighted sum of each cluster's rows and its mass, in float64, kept up with the labels."""

    def __init__(self, rows: Rows, weights: Array | None, n_clusters: int) -> None:
        self.rows, self.weights, self.labels = rows, weights, np.full(rows.n, -1)
        self.sums, self.masses = np.zeros((n_clusters, rows.width)), np.zeros(n_clusters)

    def means(self, labels: Array, former: Array) -> Array:
        """Return each cluster's mean row (for cosine distance its direction), float32 of shape (K, D).

        A cluster whose rows cancel has no direction and keeps its former centroid, which is no worse.
        """
        self._follow(labels)
        cosine = self.rows.metric == "cosine"
        lengths = np.sqrt(squares(self.sums)) if cosine else self.masses
        kept = (lengths <= (_SAME * self.masses if cosine else 0))[:, None]
        return np.where(kept, former, self.sums / np.where(kept[:, 0], 1, lengths)[:, None]).astype(np.float32)

    def _follow(self, labels: Array) -> None:
        moved = np.flatnonzero(labels != self.labels)
        if 2 * len(moved) > self.rows.n:
            self.sums[:], self.masses[:] = 0, 0
            for chunk, block, scale in self.rows.blocks("average"):
                self._add(labels[chunk], chunk, block, scale)
        else:
            for part, block, scale in self.rows.some(moved):
                self._add(self.labels[moved[part]], moved[part], block, -scale)
                self._add(labels[moved[part]], moved[part], block, scale)
        self.labels = labels

    def _add(self, labels: Array, which: Any, block: Array, scale: Array) -> None:
        """Add rows, within a block in float32, to the sums and their masses, which the sign of ``scale`` takes away."""
        signs = np.copysign(1.0, scale[:1])
        mass = np.full(len(labels), 1.0) if self.weights is None else self.weights[which].astype(np.float64)
        factors = (mass * scale).astype(np.float32)
        one_hot = scipy.sparse.csc_array(
            (factors, labels, np.arange(len(labels) + 1)), shape=(len(self.masses), len(labels))
        )
        self.sums += one_hot @ block
        self.masses += signs * np.bincount(labels, mass, len(self.masses))


def means(rows: Rows, labels: Array, weights: Array | None, former: Array) -> Array:
    """Return each cluster's mean row or direction, the former one where its rows cancel, shape (K, D)."""
    return Sums(rows, weights, len(former)).means(labels, former)


def nearest(rows: Rows, n_clusters: int, weights: Array | None, prices: Any, exact: bool) -> Assign:
    """Return what assigns each row to its nearest centroid, the lowest index on ties; empty clusters take far rows.

    Args:
        rows: n rows.
        n_clusters: K.
        weights: w, shape (n,), or None.
        prices: not used.
        exact: not used.

    Returns:
        From centroids to labels, the objective before empty clusters were filled, and None.
    """

    def assigned(centroids: Array) -> tuple[Array, float, Any]:
        labels, distances = np.empty(rows.n, dtype=np.int64), np.empty(rows.n, dtype=np.float32)
        for chunk, block, scale in rows.blocks("assign"):
            similarities = similarity(block, scale, centroids, rows.metric)
            labels[chunk] = similarities.argmax(axis=1)
            distances[chunk] = distances_of(similarities.max(axis=1), rows.metric)
        return give_rows(labels, distances, n_clusters), float(np.average(distances, weights=weights)), None

    return assigned


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


def balanced(rows: Rows, n_clusters: int, weights: Array | None, prices: Any, exact: bool) -> Assign:
    """Return what assigns rows to centroids in equal shares, as cheaply as can be; it holds n x K costs of 4 bytes.

    Args:
        rows: n rows.
        n_clusters: K.
        weights: w, shape (n,), or None.
        prices: of the clusters, in ticks, a first guess, or None.
        exact: whether shares must be equal; if not they nearly are for K > 2, and the objective is a lower bound.

    Returns:
        From centroids to labels, the objective, and the prices.
    """
    ticks = np.empty((rows.n, n_clusters), dtype=np.int32)
    last = [prices]

    def assigned(centroids: Array) -> tuple[Array, float, Any]:
        for chunk, block, scale in rows.blocks("assign"):
            ticks[chunk] = rows.ticks(block, scale, centroids)
        if not exact and n_clusters > 2:
            labels, last[0], bound = nearly(ticks, weights, last[0])
            return labels, bound * (rows.top / RANGE), last[0]
        labels, last[0] = assign(ticks, weights, last[0])
        own = np.take_along_axis(ticks, labels[:, None], axis=1)[:, 0]
        return labels, float(np.average(own, weights=weights)) * (rows.top / RANGE), last[0]

    return assigned
