"""The methods by name, on arrays and on files.

All take ``(features, n_clusters, seed=0, *, weights=None, progress=None, ...)`` and return a :class:`Partition`. The
same seed gives the same bytes on the same machine, libraries and number of threads. No cluster is empty. Zero rows
lie at cosine distance one from everything; copies of a row may fall into different clusters only where balance or an
empty cluster asks for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ddfm_theory.partition.kmeans import (
    Options,
    euclidean_balanced_kmeans,
    euclidean_kmeans,
    spherical_balanced_kmeans,
    spherical_kmeans,
    two_stage_kmeans,
)
from ddfm_theory.partition.others import agglomerative, by_label, random_partition, spectral
from ddfm_theory.partition.result import Partition
from ddfm_theory.partition.storage import load_npy

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
    found = method_named(method)
    for name in options.keys() - options_of(found):
        raise ValueError(f"{name} must not be given for method {method}, which takes {sorted(options_of(found))}")
    return found(load_npy(path, mapped=True), n_clusters, seed, **options)


def options_of(method: Callable[..., Partition]) -> set[str]:
    """Return the names of the options that a method takes."""
    named = inspect.signature(method).parameters.values()
    own = {one.name for one in named if one.kind is one.KEYWORD_ONLY}
    return own or set(Options.__annotations__)


def method_named(name: str) -> Callable[..., Partition]:
    """Return a method by its name.

    Raises:
        ValueError: there is no such method.
    """
    if name not in METHODS:
        raise ValueError(f"method must be one of {sorted(METHODS)}, was {name!r}")
    return METHODS[name]
