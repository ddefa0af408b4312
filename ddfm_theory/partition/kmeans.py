r"""K-means in the forms that experts are parted by: spherical or Euclidean, balanced or not, in one stage or two.

References:
    Maschan, Qu, Liu, "Decentralized Autoregressive Generation", arXiv 2601.03184 (balanced and two-stage spherical
    k-means; the ablation's others); Gururangan et al., "Scaling Expert Language Models with Unsupervised Domain
    Discovery", arXiv 2303.14177 (balanced Euclidean k-means).
"""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

import numpy as np

from ddfm_theory.arrays import positive_int
from ddfm_theory.partition.fitted import checked, partitioned
from ddfm_theory.partition.lloyd import Fit, balanced, fit, nearest
from ddfm_theory.partition.result import Partition
from ddfm_theory.partition.rows import Progress


class Options(TypedDict, total=False):
    """What every k-means takes.

    Attributes:
        weights: tokens of each row, positive integers, shape (n,); by default each row counts as one.
        starts: how many seedings are tried, on at most 2^12 rows (16 K if that is more); 4.
        max_iter: at most so many assignments a run; 100.
        tol: a run ends when the objective falls by no more; 1e-6.
        progress: called with (stage, rows done, rows).
    """

    weights: Any
    starts: int
    max_iter: int
    tol: float
    progress: Progress | None


def spherical_balanced_kmeans(features: Any, n_clusters: int, seed: int = 0, **options: Unpack[Options]) -> Partition:
    r"""Return spherical k-means with equal shares, every assignment being optimal for its centroids.

    Without weights, sizes differ by at most one; the bounds with weights are
    :mod:`ddfm_theory.partition.assignment`'s. Only among the starts on few of many rows, to choose one, are assignments
    nearly balanced. Beside the features, of float32, memory is n x K of 5 bytes, some vectors of length n and a block
    of rows; a ``numpy.memmap`` is read in blocks and never held.

    Args:
        features: x, shape (n, D).
        n_clusters: K, 1..n.
        seed: any integer.
        options: those of :class:`Options`; with ``weights`` tokens are balanced, without rows.

    Raises:
        ValueError: features not a finite matrix with a nonzero row, or another argument out of range.
    """
    return _kmeans(features, n_clusters, seed, "balanced", "cosine", **options)


def spherical_kmeans(features: Any, n_clusters: int, seed: int = 0, **options: Unpack[Options]) -> Partition:
    """Return spherical k-means without balance: labels are the argmax of cosines (arguments as above)."""
    return _kmeans(features, n_clusters, seed, "spherical", "cosine", **options)


def euclidean_kmeans(features: Any, n_clusters: int, seed: int = 0, **options: Unpack[Options]) -> Partition:
    """Return k-means of the features as they are, without balance (arguments as above)."""
    return _kmeans(features, n_clusters, seed, "euclidean", "euclidean", **options)


def euclidean_balanced_kmeans(features: Any, n_clusters: int, seed: int = 0, **options: Unpack[Options]) -> Partition:
    """Return k-means of the features as they are, with equal shares (arguments as above)."""
    return _kmeans(features, n_clusters, seed, "euclidean-balanced", "euclidean", **options)


def _kmeans(
    features: Any, n_clusters: int, seed: int, method: str, metric: str, *, weights: Any = None, starts: int = 4,
    max_iter: int = 100, tol: float = 1e-6, progress: Progress | None = None,
) -> Partition:  # fmt: skip
    _check_run(starts, max_iter, tol)
    rows, k, seed, mass = checked(features, n_clusters, seed, weights, metric, progress)
    step = balanced if "balanced" in method else nearest
    return partitioned(rows, fit(rows, k, seed, mass, step, starts, max_iter, tol), method, seed, weights)


def _check_run(starts: Any, max_iter: Any, tol: Any) -> None:
    positive_int(starts, "starts")
    positive_int(max_iter, "max_iter")
    if not (isinstance(tol, (int, float)) and 0 <= tol < np.inf):
        raise ValueError(f"tol must be nonnegative and finite, was {tol!r}")


def two_stage_kmeans(
    features: Any, n_clusters: int, seed: int = 0, *, n_fine: int = 1024, balance: str = "centroids",
    weights: Any = None, starts: int = 4, max_iter: int = 100, tol: float = 1e-6, progress: Progress | None = None,
) -> Partition:  # fmt: skip
    """Return many small spherical clusters, gathered into K of equal shares.

    The label of a row is the expert of its nearest fine centroid: a rule that inference can follow, ``rule="fine"``.
    With ``balance="centroids"``, the paper's, experts get equal numbers of fine centroids, and of rows whatever falls
    to them; with ``balance="samples"`` the fine clusters are weighted by their rows (or weights), and shares are off
    by at most the heaviest fine cluster.

    Args:
        features: x, shape (n, D).
        n_clusters: K, 1..n.
        seed: any integer.
        n_fine: fine clusters, at least K; n if that is less.
        balance: ``centroids`` or ``samples``.
        weights: as in :class:`Options`, like the others, which hold at each stage.
        starts: seedings.
        max_iter: assignments.
        tol: of the objective.
        progress: called with (stage, rows done, rows).

    Raises:
        ValueError: as for :func:`spherical_balanced_kmeans`; n_fine below K, or another balance.
    """
    if balance not in ("centroids", "samples"):
        raise ValueError(f"balance must be 'centroids' or 'samples', was {balance!r}")
    _check_run(starts, max_iter, tol)
    rows, k, seed, mass = checked(features, n_clusters, seed, weights, "cosine", progress)
    n_fine = min(positive_int(n_fine, "n_fine", k), rows.n)
    fine = fit(rows, n_fine, seed, mass, nearest, starts, max_iter, tol)
    behind = np.bincount(fine.labels, mass, n_fine).astype(np.int64) if balance == "samples" else None
    coarse = spherical_balanced_kmeans(
        fine.centroids, k, seed, weights=behind, starts=starts, max_iter=max_iter, tol=tol
    )
    mapping = np.asarray(coarse.labels)
    labelled = Fit(mapping[fine.labels], coarse.centroids, 0.0, fine.history)
    return partitioned(
        rows, labelled, "two-stage", seed, weights, fine_centroids=fine.centroids, fine_to_coarse=mapping
    )
