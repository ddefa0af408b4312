r"""Next-token tables learned by counting, of a given order: :math:`\hat q(x^t \mid x^{t-m}, ..., x^{t-1}, t)`.

Training is one pass over the samples, so equal total samples are equal total compute. A table of order N - 1 can hold
any law; a lower order cannot hold a mixture of chains, though each expert can hold its own chain.
"""

from __future__ import annotations

import numpy as np

from ddfm_theory.arrays import positive_int


def learn(rows: np.ndarray, vocabulary: int, order: int, smoothing: float = 0.5) -> np.ndarray:
    """Return the sequence law of the learned table, shape (V,) * N.

    Args:
        rows: training tokens, shape (n, N); n may be zero, which gives the uniform law.
        vocabulary: V.
        order: m, how many tokens back the table looks.
        smoothing: the count added to every entry, more than zero, so that every sequence keeps some probability.

    Raises:
        ValueError: a smoothing that is not positive, or a negative order.
    """
    if not smoothing > 0:
        raise ValueError(f"smoothing must be positive, was {smoothing}")
    length, law = rows.shape[1], np.ones(())
    for t in range(length):
        back = min(positive_int(order, "order", 0), t)
        table = counted(rows[:, t - back : t + 1], vocabulary) + float(smoothing)
        table /= table.sum(axis=-1, keepdims=True)
        law = law[..., None] * table
    return law


def counted(rows: np.ndarray, size: int) -> np.ndarray:
    """Return how often each row of tokens stands in ``rows`` of shape (n, t), shape (size,) * t."""
    shape = (size,) * rows.shape[1]
    places = np.ravel_multi_index(tuple(rows.T), shape) if shape else np.zeros(len(rows), dtype=np.int64)
    return np.bincount(places, minlength=size ** len(shape)).reshape(shape).astype(np.float64)
