r"""The partition of data into experts: spherical k-means with exactly equal shares, and what it is compared with.

A partition gives the expert couplings of :mod:`ddfm_theory.decentralization`, :math:`\pi = \sum_k \omega_k \pi_k`. If
the expert is a function of the conditioning, by the same rule in training and in inference, the router is one-hot and
top-1 routing exact (theory: C11). Balanced labels and argmax routing are two rules; :meth:`Partition.mismatch` counts
where they differ, and ``rule="prices"`` routes by the balanced labels' own rule.

    assignment.py  the optimal balanced assignment, by rows or by tokens, and its certificate
    transport.py   the flow under it, over few arcs, certified over all
    prices.py      prices to start it from, by a flow over clusters
    rows.py        features in blocks
    lloyd.py       seeds and iterations
    fitted.py      arguments in, a Partition out
    kmeans.py      spherical or Euclidean, balanced or not, one stage or two
    others.py      linkage, spectral, by label, at random
    methods.py     METHODS, and partition_file for files larger than memory
    result.py      Partition: labels, centroids, routing
    storage.py     on disk; the paper's own files
"""

from ddfm_theory.partition.assignment import balanced_assignment, is_optimal_assignment
from ddfm_theory.partition.kmeans import (
    euclidean_balanced_kmeans,
    euclidean_kmeans,
    spherical_balanced_kmeans,
    spherical_kmeans,
    two_stage_kmeans,
)
from ddfm_theory.partition.methods import METHODS, method_named, partition_file
from ddfm_theory.partition.others import agglomerative, by_label, random_partition, spectral
from ddfm_theory.partition.result import RULES, Mismatch, Partition
from ddfm_theory.partition.storage import load_npy, load_paper

__all__ = [
    "METHODS",
    "RULES",
    "Mismatch",
    "Partition",
    "agglomerative",
    "balanced_assignment",
    "by_label",
    "euclidean_balanced_kmeans",
    "euclidean_kmeans",
    "is_optimal_assignment",
    "load_npy",
    "load_paper",
    "method_named",
    "partition_file",
    "random_partition",
    "spectral",
    "spherical_balanced_kmeans",
    "spherical_kmeans",
    "two_stage_kmeans",
]
