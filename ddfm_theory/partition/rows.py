r"""The rows of a feature matrix, in memory or in a file larger than it, a block at a time.

For cosine distance a row is :math:`x / \|x\|`; the zero row stays zero, at distance one from everything. Rows of
float32 are left as they are, and what is computed from them is divided by their length, so that features are never
copied; others are normalized in float64 and rounded to float32. A distance is :math:`1 - \langle x, c \rangle / \|x\|`,
or :math:`\|x - c\|^2` for the Euclidean metric, one matrix product a block. Blocks depend on the width alone, so that a
file and an array give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from ddfm_theory.partition.transport import RANGE

Array = Any
Progress = Callable[[str, int, int], None]
BLOCK = 1 << 18  # entries of a block, which is then read twice from cache
METRICS = ("cosine", "euclidean")
_LARGEST = 1e18  # whose square a float32 holds
_PLAIN = 2.0**-60, 2.0**60  # between them a squared length loses nothing in float32
_SPREAD = 2.0**-16, 2.0**-100  # least squared spread, of the squared length and at all, that float32 distances resolve
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Rows:
    """Rows of features, checked, and read in blocks of float32.

    Args:
        features: shape (n, D), real and finite. A ``numpy.memmap`` is read block by block each time; an array of
            float32 is used as it is, anything else copied to float32.
        metric: ``cosine`` or ``euclidean``.
        progress: called with (stage, rows done, rows) after each block.

    Raises:
        ValueError: what :func:`matrix` refuses, entries that are not finite, no nonzero row for cosine distance, or
            rows that differ by too little for Euclidean distance.

    Attributes:
        scale: what each row is multiplied by, float32 of shape (n,): for cosine distance 1 over its length, if any.
        marks: a hash of each row's content, uint64, so that a random choice follows rows and not their order.
        top: a bound on the distances.
    """

    def __init__(self, features: Any, metric: str = "cosine", progress: Progress | None = None) -> None:
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}, was {metric!r}")
        self.source, self.metric, self.progress = matrix(features), metric, progress
        self.n, self.width = self.source.shape
        self.step = max(1, BLOCK // self.width)
        self.scale, self.marks = np.ones(self.n, dtype=np.float32), np.empty(self.n, dtype=np.uint64)
        longest = self._check(isinstance(features, np.memmap))
        if longest == 0 and metric == "cosine":
            raise ValueError("features must have a nonzero row for cosine distance, had none")
        self.top = 2.0 if metric == "cosine" else max(4.001 * longest, float(np.finfo(np.float32).tiny))

    def _check(self, mapped: bool) -> float:
        """Read every row once, keep a copy if one is needed, and return the largest squared length."""
        self._plain, longest, self._unit = False, 0.0, self.source.dtype != np.float32
        probe, plain = np.sin(1.0 + np.arange(self.width) ** 2).astype(np.float32), not self._unit
        kept = np.empty(self.source.shape, dtype=np.float32) if self._unit and not mapped else None
        low, high = np.full(self.width, np.inf), np.full(self.width, -np.inf)
        for chunk, block, scale in self.blocks("check"):
            self.scale[chunk] = scale
            self.marks[chunk] = (np.einsum("ij,j->i", block, probe) * scale + np.float32(0)).view(np.uint32)
            longest = max(longest, float(squares(block).max()))
            plain = plain and np.may_share_memory(block, self.source)
            if self.metric == "euclidean":
                low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
            if kept is not None:
                kept[chunk] = block
        self.source = self.source if kept is None else kept
        self._plain = plain or kept is not None
        if self.metric == "euclidean":
            check_spread(float(np.square(high - low).sum()), longest)
        return longest

    def blocks(self, stage: str) -> Iterator[tuple[slice, Array, Array]]:
        """Yield (slice, float32 block, scale) in order, reporting each as done when the next is asked for."""
        for start in range(0, self.n, self.step):
            chunk = slice(start, min(start + self.step, self.n))
            yield chunk, *self._block(chunk, start)
            if self.progress is not None:
                self.progress(stage, chunk.stop, self.n)

    def some(self, indices: Array) -> Iterator[tuple[slice, Array, Array]]:
        """Yield (slice of indices, float32 block, scale) of some rows, in the order given."""
        for start in range(0, len(indices), self.step):
            chunk = slice(start, min(start + self.step, len(indices)))
            yield chunk, *self._block(indices[chunk], 0)

    def _block(self, which: Any, offset: int) -> tuple[Array, Array]:
        if self._plain:
            return self.source[which], self.scale[which]
        return prepared(self.source[which], self.metric, offset)

    def take(self, indices: Array) -> Rows:
        """Return some of the rows, in memory, for cosine distance of length one, in the order given."""
        part = object.__new__(Rows)
        part.__dict__.update(self.__dict__ | {"n": len(indices), "progress": None, "_plain": True})
        part.source = np.empty((len(indices), self.width), dtype=np.float32)
        for chunk, block, _ in self.some(indices):
            part.source[chunk] = block if self._unit else converted(block, self.metric)
        part._unit, part.scale = True, np.sign(self.scale[indices])
        part.marks = self.marks[indices]
        return part

    def distances(self, block: Array, scale: Array, centroids: Array) -> Array:
        """Return the distances of a block to centroids, float32, shape (B, K)."""
        return distances_of(similarity(block, scale, centroids, self.metric), self.metric)

    def ticks(self, block: Array, scale: Array, centroids: Array) -> Array:
        """Return the distances as integers, int32 of shape (B, K), ``top`` being 2^30 ticks."""
        similarities = similarity(block, scale, centroids, self.metric)
        if self.metric == "cosine":  # a power of two changes no digit, so that float32 is exact here
            return (RANGE >> 1) - np.rint(similarities * np.float32(RANGE >> 1)).astype(np.int32)
        distances = distances_of(similarities.astype(np.float64), self.metric)
        return np.rint(distances * (RANGE / self.top)).astype(np.int32)


def similarity(block: Array, scale: Array, centroids: Array, metric: str) -> Array:
    r"""Return :math:`\langle x, c \rangle / \|x\|`, or :math:`-\|x - c\|^2`, float32 of shape (B, K)."""
    products = block @ centroids.T
    if metric == "cosine":
        products *= scale[:, None]
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
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise ValueError(f"features must be real numbers of at most 64 bits, was of dtype {array.dtype}")
    return array


def check_spread(spread: float, longest: float) -> None:
    """Refuse rows that differ, but by less than float32 keeps of a squared distance beside squared lengths.

    Args:
        spread: the squared diagonal of the box that holds all rows.
        longest: the largest squared length.
    """
    least = max(_SPREAD[0] * longest, _SPREAD[1])
    if 0 < spread < least:
        raise ValueError(
            f"features must spread by at least {least**0.5:.2g} for euclidean distance in float32, did by"
            f" {spread**0.5:.2g}: subtract their mean, or scale them"
        )


def prepared(block: Array, metric: str, offset: int = 0) -> tuple[Array, Array]:
    """Check a block; return it in float32 and, for cosine distance, what to multiply its rows by.

    Args:
        block: shape (B, D).
        metric: ``cosine`` or ``euclidean``.
        offset: the number of the block's first row, for the error.
    """
    block, ones = np.asarray(block), np.ones(len(block), dtype=np.float32)
    if block.dtype != np.float32:
        block = converted(block, metric, offset)
        return block, ones if metric == "euclidean" else block.any(axis=1).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        lengths = squares(block)
        scale = (1 / np.sqrt(lengths.astype(np.float64))).astype(np.float32)
    if metric == "euclidean":
        return block if (lengths < _LARGEST**2).all() else converted(block, metric, offset), ones
    odd = np.flatnonzero(~((lengths >= _PLAIN[0]) & (lengths <= _PLAIN[1])))
    scale[odd] = 0
    odd = odd[block[odd].any(axis=1)]
    if len(odd):
        _ = converted(block, metric, offset)  # names what is not finite
        block = block.copy()
        block[odd], scale[odd] = unit(block[odd]), 1
    return block, scale


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
