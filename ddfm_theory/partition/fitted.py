"""From checked arguments to a fit, and from a fit to a Partition: what all methods share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.arrays import positive_int
from ddfm_theory.partition.assignment import check_weights
from ddfm_theory.partition.lloyd import Fit, give_rows, means
from ddfm_theory.partition.result import Partition
from ddfm_theory.partition.rows import Progress, Rows
from ddfm_theory.partition.transport import RANGE

Array = Any


def checked(
    features: Any, n_clusters: Any, seed: Any, weights: Any, metric: str, progress: Progress | None
) -> tuple[Rows, int, int, Array | None]:
    """Check the arguments that all methods share."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"seed must be an integer, was {seed!r}")
    positive_int(n_clusters, "n_clusters")
    rows = Rows(features, metric, progress)
    return rows, positive_int(n_clusters, "n_clusters", 1, rows.n), int(seed), check_weights(weights, rows.n)


def partitioned(rows: Rows, found: Fit, method: str, seed: int, weights: Any, **fine: Array) -> Partition:
    """Return a fit as a Partition, with its objective recomputed where the fit's is not the labels' own."""
    k = len(found.centroids)
    loads = None if weights is None else np.bincount(found.labels, np.asarray(weights), k).astype(np.int64)
    return Partition(
        centroids=found.centroids,
        labels=found.labels,
        objective=found.objective if found.prices is not None else objective(rows, found, weights),
        metric=rows.metric,
        method=method,
        seed=seed,
        loads=loads,
        prices=None if found.prices is None or fine else found.prices * (rows.top / RANGE),
        history=found.history,
        **fine,
    )


def objective(rows: Rows, found: Fit, weights: Any) -> float:
    """Return the mean distance of rows to the centroids of their labels."""
    own = np.empty(rows.n)
    for chunk, block, scale in rows.blocks("measure"):
        distances = rows.distances(block, scale, found.centroids)
        own[chunk] = np.take_along_axis(distances, found.labels[chunk, None], axis=1)[:, 0]
    return float(np.average(own, weights=weights))


def from_labels(
    rows: Rows, labels: Array, k: int, method: str, seed: int, weights: Any, mass: Array | None
) -> Partition:
    """Return the Partition of labels, each empty cluster given a row, with the means as centroids."""
    labels = give_rows(np.asarray(labels, dtype=np.int64), np.zeros(rows.n), k)
    centroids = means(rows, labels, mass, np.zeros((k, rows.width), dtype=np.float32))
    return partitioned(rows, Fit(labels, centroids, 0.0, ()), method, seed, weights)
