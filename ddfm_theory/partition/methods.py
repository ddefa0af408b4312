r"""Ways to part data into experts: spherical balanced k-means, and those it is compared with.

All take ``(features, n_clusters, seed=0, *, weights=None, progress=None, ...)`` and return a :class:`Partition`. The
same seed gives the same bytes on the same machine, libraries and number of threads. No cluster is empty. Zero rows
lie at cosine distance one from everything; copies of a row may fall into different clusters only where balance or an
empty cluster asks for it.

References:
    Maschan, Qu, Liu, "Decentralized Autoregressive Generation", arXiv 2601.03184 (balanced and two-stage spherical
    k-means; the ablation's others); Gururangan et al., "Scaling Expert Language Models with Unsupervised Domain
    Discovery", arXiv 2303.14177 (balanced Euclidean k-means).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ddfm_theory.arrays import positive_int
from ddfm_theory.partition.assignment import check_weights
from ddfm_theory.partition.lloyd import Fit, balanced, fit, give_rows, means, nearest
from ddfm_theory.partition.result import Partition
from ddfm_theory.partition.rows import Progress, Rows
from ddfm_theory.partition.storage import load_npy
from ddfm_theory.partition.transport import RANGE

Array = Any
DENSE_ROWS = 10_000  # rows up to which methods run that hold an n x n matrix


def spherical_balanced_kmeans(
    features: Any,
    n_clusters: int,
    seed: int = 0,
    *,
    weights: Any = None,
    starts: int = 4,
    max_iter: int = 100,
    tol: float = 1e-6,
    progress: Progress | None = None,
) -> Partition:
    r"""Return spherical k-means with equal shares, every assignment being optimal for its centroids.

    Without weights, sizes differ by at most one; the bounds with weights are
    :mod:`ddfm_theory.partition.assignment`'s. Memory is one block of rows and n x K of 4 bytes beside the features, and
    a map of the arcs; a ``numpy.memmap`` is read in blocks and never held.

    Args:
        features: x, shape (n, D).
        n_clusters: K, 1..n.
        seed: any integer.
        weights: tokens of each row, positive integers, shape (n,); by default rows are balanced.
        starts: how many seedings are tried, on at most 2^14 rows.
        max_iter: at most so many assignments a run.
        tol: a run ends when the objective falls by no more.
        progress: called with (stage, rows done, rows).

    Raises:
        ValueError: features not a finite matrix with a nonzero row, or another argument out of range.
    """
    return _kmeans(features, n_clusters, seed, weights, "balanced", "cosine", starts, max_iter, tol, progress)


def spherical_kmeans(
    features: Any,
    n_clusters: int,
    seed: int = 0,
    *,
    weights: Any = None,
    starts: int = 4,
    max_iter: int = 100,
    tol: float = 1e-6,
    progress: Progress | None = None,
) -> Partition:
    """Return spherical k-means without balance: labels are the argmax of cosines (arguments as above)."""
    return _kmeans(features, n_clusters, seed, weights, "spherical", "cosine", starts, max_iter, tol, progress)


def euclidean_kmeans(
    features: Any,
    n_clusters: int,
    seed: int = 0,
    *,
    weights: Any = None,
    starts: int = 4,
    max_iter: int = 100,
    tol: float = 1e-6,
    progress: Progress | None = None,
) -> Partition:
    """Return k-means of the features as they are, without balance (arguments as above)."""
    return _kmeans(features, n_clusters, seed, weights, "euclidean", "euclidean", starts, max_iter, tol, progress)


def euclidean_balanced_kmeans(
    features: Any,
    n_clusters: int,
    seed: int = 0,
    *,
    weights: Any = None,
    starts: int = 4,
    max_iter: int = 100,
    tol: float = 1e-6,
    progress: Progress | None = None,
) -> Partition:
    """Return k-means of the features as they are, with equal shares (arguments as above)."""
    method = "euclidean-balanced"
    return _kmeans(features, n_clusters, seed, weights, method, "euclidean", starts, max_iter, tol, progress)


def _kmeans(
    features: Any,
    n_clusters: int,
    seed: int,
    weights: Any,
    method: str,
    metric: str,
    starts: int,
    max_iter: int,
    tol: float,
    progress: Progress | None,
) -> Partition:
    positive_int(starts, "starts")
    positive_int(max_iter, "max_iter")
    if not (isinstance(tol, (int, float)) and 0 <= tol < np.inf):
        raise ValueError(f"tol must be nonnegative and finite, was {tol!r}")
    rows, k, seed, mass = _checked(features, n_clusters, seed, weights, metric, progress)
    step = balanced if "balanced" in method else nearest
    return partitioned(rows, fit(rows, k, seed, mass, step, starts, max_iter, tol), method, seed, weights)


def _checked(
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
    for chunk, block in rows.blocks("measure"):
        distances = rows.distances(block, found.centroids)
        own[chunk] = np.take_along_axis(distances, found.labels[chunk, None], axis=1)[:, 0]
    return float(np.average(own, weights=weights))


def two_stage_kmeans(
    features: Any,
    n_clusters: int,
    seed: int = 0,
    *,
    weights: Any = None,
    n_fine: int = 1024,
    balance: str = "centroids",
    starts: int = 4,
    max_iter: int = 100,
    tol: float = 1e-6,
    progress: Progress | None = None,
) -> Partition:
    """Return many small spherical clusters, gathered into K of equal shares.

    The label of a row is the expert of its nearest fine centroid: a rule that inference can follow, ``rule="fine"``.
    With ``balance="centroids"``, the paper's, experts get equal numbers of fine centroids, and of rows whatever falls
    to them; with ``balance="samples"`` the fine clusters are weighted by their rows (or weights), and shares are off
    by at most the heaviest fine cluster.

    Args:
        features: x, shape (n, D).
        n_clusters: K, 1..n.
        seed: any integer.
        weights: tokens of each row, positive integers, shape (n,).
        n_fine: fine clusters, at least K; n if that is less.
        balance: ``centroids`` or ``samples``.
        starts: how many seedings are tried, at each stage.
        max_iter: at most so many assignments a run.
        tol: a run ends when the objective falls by no more.
        progress: called with (stage, rows done, rows).

    Raises:
        ValueError: as for :func:`spherical_balanced_kmeans`; n_fine below K, or another balance.
    """
    if balance not in ("centroids", "samples"):
        raise ValueError(f"balance must be 'centroids' or 'samples', was {balance!r}")
    options = {"starts": starts, "max_iter": max_iter, "tol": tol}
    rows, k, seed, mass = _checked(features, n_clusters, seed, weights, "cosine", progress)
    n_fine = min(positive_int(n_fine, "n_fine", k), rows.n)
    fine = fit(rows, n_fine, seed, mass, nearest, starts, max_iter, tol)
    behind = np.bincount(fine.labels, mass, n_fine).astype(np.int64) if balance == "samples" else None
    coarse = spherical_balanced_kmeans(fine.centroids, k, seed, weights=behind, **options)  # type: ignore[arg-type]
    mapping = np.asarray(coarse.labels)
    labelled = Fit(mapping[fine.labels], coarse.centroids, 0.0, fine.history)
    return partitioned(
        rows, labelled, "two-stage", seed, weights, fine_centroids=fine.centroids, fine_to_coarse=mapping
    )


def agglomerative(
    features: Any, n_clusters: int, seed: int = 0, *, weights: Any = None, progress: Progress | None = None
) -> Partition:
    """Return average-linkage clusters by cosine distance (scikit-learn); n x n memory, so n <= 10000."""
    from sklearn.cluster import AgglomerativeClustering

    rows, k, seed, mass = _checked(features, n_clusters, seed, weights, "cosine", progress)
    cosines = _cosines(rows, "agglomerative")
    distances = np.maximum(1 - cosines, 0)
    np.fill_diagonal(distances, 0)
    model = AgglomerativeClustering(n_clusters=k, metric="precomputed", linkage="average")
    labels = np.zeros(1, dtype=np.int64) if rows.n == 1 else model.fit_predict(distances)
    return _from_labels(rows, labels, k, "agglomerative", seed, weights, mass)


def spectral(
    features: Any, n_clusters: int, seed: int = 0, *, weights: Any = None, progress: Progress | None = None
) -> Partition:
    """Return spectral clusters of the affinity (1 + cosine) / 2 (scikit-learn); n x n memory, so n <= 10000."""
    from sklearn.cluster import SpectralClustering

    rows, k, seed, mass = _checked(features, n_clusters, seed, weights, "cosine", progress)
    affinity = np.clip((1 + _cosines(rows, "spectral")) / 2, 0, 1)
    if k == 1 or k > rows.n - 2:  # a single cluster, or more eigenvectors than the solver can give
        labels = np.arange(rows.n) % k
    else:
        model = SpectralClustering(k, affinity="precomputed", assign_labels="cluster_qr", random_state=seed % (1 << 32))
        labels = model.fit_predict(affinity)
    return _from_labels(rows, labels, k, "spectral", seed, weights, mass)


def _cosines(rows: Rows, method: str) -> Array:
    if rows.n > DENSE_ROWS:
        raise ValueError(f"features must have at most {DENSE_ROWS} rows for method {method}, had {rows.n}")
    all_rows = np.concatenate([block for _, block in rows.blocks("compare")]).astype(np.float64)
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
    rows, k, seed, mass = _checked(features, n_clusters, seed, weights, "cosine", progress)
    array = np.asarray(targets)
    if array.shape != (rows.n,) or array.dtype.kind not in "iubUS":
        raise ValueError(f"targets must be {rows.n} integers or strings, was {array.dtype} of shape {array.shape}")
    values, groups = np.unique(array, return_inverse=True)
    if len(values) < k:
        raise ValueError(f"targets must have at least n_clusters = {k} different values, had {len(values)}")
    expert = np.arange(k) if len(values) == k else _packed(np.bincount(groups, mass), k)
    return _from_labels(rows, expert[groups], k, "label", seed, weights, mass)


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
    rows, k, seed, mass = _checked(features, n_clusters, seed, weights, "cosine", progress)
    labels = np.random.default_rng(seed % (1 << 64)).permutation(np.arange(rows.n) % k)
    return _from_labels(rows, labels, k, "random", seed, weights, mass)


def _from_labels(
    rows: Rows, labels: Array, k: int, method: str, seed: int, weights: Any, mass: Array | None
) -> Partition:
    labels = give_rows(np.asarray(labels, dtype=np.int64), np.zeros(rows.n), k)
    centroids = means(rows, labels, mass, np.zeros((k, rows.width), dtype=np.float32))
    return partitioned(rows, Fit(labels, centroids, 0.0, ()), method, seed, weights)


METHODS: dict[str, Callable[..., Partition]] = {
    "balanced": spherical_balanced_kmeans,
    "spherical": spherical_kmeans,
    "two-stage": two_stage_kmeans,
    "euclidean": euclidean_kmeans,
    "euclidean-balanced": euclidean_balanced_kmeans,
    "agglomerative": agglomerative,
    "spectral": spectral,
    "label": by_label,
    "random": random_partition,
}


def partition_file(path: Any, n_clusters: int, seed: int = 0, *, method: str = "balanced", **options: Any) -> Partition:
    """Part the rows of a .npy file, which is mapped and may be larger than memory; the bytes are those of the array.

    Args:
        path: a .npy file of shape (n, D).
        n_clusters: K, 1..n.
        seed: any integer.
        method: a name in ``METHODS``.
        options: the method's own, such as ``weights``, ``starts`` or ``progress``.

    Raises:
        ValueError: not such a file, no such method or option, or what the method refuses.
    """
    return method_named(method)(load_npy(path, mapped=True), n_clusters, seed, **options)


def method_named(name: str) -> Callable[..., Partition]:
    """Return a method by its name.

    Raises:
        ValueError: there is no such method.
    """
    if name not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}, was {name!r}")
    return METHODS[name]
