r"""The rows of a feature matrix, in memory or in a file larger than it, a block at a time.

For cosine distance a row is :math:`x / \|x\|`, normalized in float64 and rounded to float32; the zero row stays zero,
at distance one from everything. A distance is :math:`1 - \langle x, c \rangle`, or :math:`\|x - c\|^2` for the
Euclidean metric, one matrix product a block. Blocks depend on the width alone, so that a file and an array give the
same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from ddfm_theory.partition.transport import RANGE

Array = Any
Progress = Callable[[str, int, int], None]
BLOCK = 1 << 22  # entries of a block
METRICS = ("cosine", "euclidean")
_LARGEST = 1e18  # whose square a float32 holds
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Rows:
    """Rows of features, checked, and read in blocks of float32.

    Args:
        features: shape (n, D), real and finite. A ``numpy.memmap`` is read block by block each time, anything else is
            kept in float32.
        metric: ``cosine`` or ``euclidean``.
        progress: called with (stage, rows done, rows) after each block.

    Attributes:
        keys: a hash of each row's content, uint64, so that random choices follow rows and not their order.
        top: a bound on the distances.
    """

    def __init__(self, features: Any, metric: str = "cosine", progress: Progress | None = None) -> None:
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}, was {metric!r}")
        self.source, self.metric, self.progress = matrix(features), metric, progress
        self.n, self.width = self.source.shape
        self.step = max(1, BLOCK // self.width)
        self.keys, self.top = np.empty(self.n, dtype=np.uint64), 2.0
        self._kept: Array = None
        kept = None if isinstance(features, np.memmap) else np.empty(self.source.shape, dtype=np.float32)
        longest = 0.0
        for chunk, block in self.blocks("check"):
            self.keys[chunk] = content_keys(block)
            longest = max(longest, float(squares(block).max()))
            if kept is not None:
                kept[chunk] = block
        self._kept = kept
        if longest == 0 and metric == "cosine":
            raise ValueError("features must have a nonzero row for cosine distance, had none")
        self.top = 2.0 if metric == "cosine" else max(4.001 * longest, float(np.finfo(np.float32).tiny))

    def blocks(self, stage: str) -> Iterator[tuple[slice, Array]]:
        """Yield (slice, float32 block) in order, reporting each as done when the next is asked for."""
        for start in range(0, self.n, self.step):
            chunk = slice(start, min(start + self.step, self.n))
            yield chunk, self._block(chunk) if self._kept is None else self._kept[chunk]
            if self.progress is not None:
                self.progress(stage, chunk.stop, self.n)

    def _block(self, chunk: slice) -> Array:
        return converted(self.source[chunk], self.metric, chunk.start)

    def take(self, indices: Array) -> Rows:
        """Return some of the rows, in memory, in the order given."""
        raw = self.source[indices] if self._kept is None else self._kept[indices]
        part = object.__new__(Rows)
        part.__dict__.update(self.__dict__ | {"n": len(indices), "keys": self.keys[indices], "progress": None})
        part.source = part._kept = raw if self._kept is not None else converted(raw, self.metric)
        return part

    def distances(self, block: Array, centroids: Array) -> Array:
        """Return the distances of a block to centroids, float32, shape (B, K)."""
        return distances_of(similarity(block, centroids, self.metric), self.metric)

    def ticks(self, block: Array, centroids: Array) -> Array:
        """Return the distances as integers, ``top`` being 2^30 ticks."""
        distances = distances_of(similarity(block, centroids, self.metric).astype(np.float64), self.metric)
        return np.rint(distances * (RANGE / self.top)).astype(np.int32)


def similarity(block: Array, centroids: Array, metric: str) -> Array:
    r"""Return :math:`\langle x, c \rangle`, or :math:`-\|x - c\|^2`, float32 of shape (B, K): one matrix product."""
    products = block @ centroids.T
    if metric == "euclidean":
        products *= 2
        products -= squares(block)[:, None]
        products -= squares(centroids)
    return products


def distances_of(similarities: Array, metric: str) -> Array:
    """Return distances from similarities, nonnegative."""
    return np.maximum(1 - similarities if metric == "cosine" else -similarities, 0)


def matrix(features: Any) -> Array:
    """Bring features to a real matrix, without copying one that is.

    Raises:
        ValueError: not two axes, empty, or not real numbers.
    """
    if is_torch_array(features):
        features = features.detach().cpu()
        features = features.numpy() if "bfloat16" not in str(features.dtype) else features.float().numpy()
    try:
        array = np.asanyarray(features)
    except ValueError as error:
        raise ValueError(f"features must be a matrix of numbers: {error}") from error
    if array.ndim != 2 or not array.size:
        raise ValueError(f"features must have shape (n, D), neither zero, was of shape {array.shape}")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"features must be real numbers, was of dtype {array.dtype}")
    return array


def converted(block: Array, metric: str, offset: int = 0) -> Array:
    """Check a block and return it in float32, for cosine distance with rows of length one.

    Args:
        block: shape (B, D).
        metric: ``cosine`` or ``euclidean``.
        offset: the number of the block's first row, for the error.
    """
    block = np.asarray(block)
    if metric == "cosine" and np.isfinite(block).all():
        return unit(block)
    limit = np.inf if metric == "cosine" else _LARGEST
    bad = ~(np.abs(block.astype(np.float64)) < limit)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        want = "finite" if metric == "cosine" else f"finite and below {_LARGEST:g}"
        raise ValueError(f"features must be {want}, was {block[row, column]} at {(row + offset, column)}")
    return block.astype(np.float32)


def unit(rows: Array) -> Array:
    """Return rows over their lengths, rounded to float32; zero rows stay zero.

    Rows whose squares might over- or underflow are first scaled by a power of two. Scaling a row so changes no bit.
    """
    with np.errstate(over="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    odd = np.flatnonzero(~((lengths > 1e-100) & (lengths < 1e100)))
    if len(odd):
        wide = rows.astype(np.float64)
        wide[odd] = np.ldexp(wide[odd], -np.frexp(np.abs(wide[odd]).max(axis=1, keepdims=True))[1])
        rows = wide
        lengths[odd] = np.sqrt(squares(wide[odd]))
    inverse = 1 / np.where(lengths == 0, 1, lengths)
    out = np.empty(rows.shape, dtype=np.float32)
    return np.multiply(rows, inverse[:, None], out=out, casting="unsafe")


def squares(rows: Array) -> Array:
    """Return the squared length of each row."""
    return np.einsum("ij,ij->i", rows, rows)


def content_keys(block: Array) -> Array:
    """Return a 64-bit hash of each float32 row."""
    words = (block + np.float32(0)).view(np.uint32)  # -0 becomes 0
    odd = scrambled(np.arange(words.shape[1], dtype=np.uint64)) | np.uint64(1)
    return scrambled(np.einsum("ij,j->i", words, odd, dtype=np.uint64, casting="unsafe"))


def scrambled(values: Array) -> Array:
    """Return splitmix64's finalizer of uint64 values (S. Vigna's variant of Stafford's mix 13)."""
    out = values + _MULTIPLIER
    out = (out ^ (out >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    out = (out ^ (out >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return out ^ (out >> np.uint64(31))


def exponentials(keys: Array, *salt: int) -> Array:
    """Return one standard exponential a row, a function of its content and the salt alone."""
    for part in salt:
        keys = scrambled(keys ^ scrambled(np.full(1, part % (1 << 64), dtype=np.uint64)))
    return -np.log(((keys >> np.uint64(11)).astype(np.float64) + 0.5) / (1 << 53))
