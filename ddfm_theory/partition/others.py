"""Ways to part data that k-means is compared with: linkage, spectral, by label, at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.partition.fitted import checked, from_labels
from ddfm_theory.partition.result import Partition
from ddfm_theory.partition.rows import Progress, Rows

Array = Any
DENSE_ROWS = 10_000  # rows up to which methods run that hold an n x n matrix


def agglomerative(
    features: Any, n_clusters: int, seed: int = 0, *, weights: Any = None, progress: Progress | None = None
) -> Partition:
    """Return average-linkage clusters by cosine distance (scikit-learn); n x n memory, so n <= 10000."""
    from sklearn.cluster import AgglomerativeClustering

    rows, k, seed, mass = checked(features, n_clusters, seed, weights, "cosine", progress)
    cosines = _cosines(rows, "agglomerative")
    distances = np.maximum(1 - cosines, 0)
    np.fill_diagonal(distances, 0)
    model = AgglomerativeClustering(n_clusters=k, metric="precomputed", linkage="average")
    labels = np.zeros(1, dtype=np.int64) if rows.n == 1 else model.fit_predict(distances)
    return from_labels(rows, labels, k, "agglomerative", seed, weights, mass)


def spectral(
    features: Any, n_clusters: int, seed: int = 0, *, weights: Any = None, progress: Progress | None = None
) -> Partition:
    """Return spectral clusters of the affinity (1 + cosine) / 2 (scikit-learn); n x n memory, so n <= 10000."""
    from sklearn.cluster import SpectralClustering

    rows, k, seed, mass = checked(features, n_clusters, seed, weights, "cosine", progress)
    affinity = np.clip((1 + _cosines(rows, "spectral")) / 2, 0, 1)
    if k == 1 or k > rows.n - 2:  # a single cluster, or more eigenvectors than the solver can give
        labels = np.arange(rows.n) % k
    else:
        model = SpectralClustering(k, affinity="precomputed", assign_labels="cluster_qr", random_state=seed % (1 << 32))
        labels = model.fit_predict(affinity)
    return from_labels(rows, labels, k, "spectral", seed, weights, mass)


def _cosines(rows: Rows, method: str) -> Array:
    if rows.n > DENSE_ROWS:
        raise ValueError(f"features must have at most {DENSE_ROWS} rows for method {method}, had {rows.n}")
    all_rows = rows.take(np.arange(rows.n)).source.astype(np.float64)
    return all_rows @ all_rows.T


def by_label(
    features: Any,
    n_clusters: int,
    seed: int = 0,
    *,
    targets: Any = None,
    weights: Any = None,
    progress: Progress | None = None,
) -> Partition:
    """Return one cluster a label (a task, a data set); of more labels than clusters, the heaviest go first, each to the
    lightest cluster.

    Args:
        features: x, shape (n, D), from which the centroids are had.
        n_clusters: K, at most the number of different labels.
        seed: not used.
        targets: the labels, integers or strings, shape (n,).
        weights: tokens of each row, positive integers, shape (n,).
        progress: called with (stage, rows done, rows).

    Raises:
        ValueError: targets missing, of another length, or with fewer than K values.
    """  # noqa: D205
    rows, k, seed, mass = checked(features, n_clusters, seed, weights, "cosine", progress)
    array = np.asarray(targets)
    if array.shape != (rows.n,) or array.dtype.kind not in "iubUS":
        raise ValueError(f"targets must be {rows.n} integers or strings, was {array.dtype} of shape {array.shape}")
    values, groups = np.unique(array, return_inverse=True)
    if len(values) < k:
        raise ValueError(f"targets must have at least n_clusters = {k} different values, had {len(values)}")
    expert = np.arange(k) if len(values) == k else _packed(np.bincount(groups, mass), k)
    return from_labels(rows, expert[groups], k, "label", seed, weights, mass)


def _packed(loads: Array, k: int) -> Array:
    """Return the bin of each load, the heaviest first to the lightest bin (R. L. Graham's rule)."""
    bins, where = np.zeros(k), np.empty(len(loads), dtype=np.int64)
    for group in np.argsort(-loads, kind="stable"):
        where[group] = bins.argmin()
        bins[where[group]] += loads[group]
    return where


def random_partition(
    features: Any, n_clusters: int, seed: int = 0, *, weights: Any = None, progress: Progress | None = None
) -> Partition:
    """Return clusters of equal size drawn at random."""
    rows, k, seed, mass = checked(features, n_clusters, seed, weights, "cosine", progress)
    labels = np.random.default_rng(seed % (1 << 64)).permutation(np.arange(rows.n) % k)
    return from_labels(rows, labels, k, "random", seed, weights, mass)
