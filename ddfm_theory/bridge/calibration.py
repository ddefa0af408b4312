r"""Calibration of a router: of the rows to which it gives an expert weight w, is a share w that expert's?

The posterior is calibrated by its definition: with r_k(z) = P(K = k | z), the event {K = argmax r} given r has
probability max r. A trained router, or the filter of experts that only estimate their clusters, need not be. Of a
calibrated router with confidences :math:`c_b = \max_k r_k(z_b)` the gap of accuracy and mean confidence is a mean of
independent centred terms, with standard error :math:`\sqrt{\sum_b c_b (1 - c_b)} / B`.

References:
    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (2017), for the binned error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.arrays import positive_int

Array = Any


def calibration(weights: Array, experts: Array, bins: int = 10) -> dict[str, float]:
    """Return how well a router's weights say which expert a row belongs to.

    Args:
        weights: r, shape (K, B), columns that sum to one.
        experts: the expert that each row belongs to, integers 0..K-1, shape (B,).
        bins: of equal width, over which the calibration error is taken.

    Returns:
        ``accuracy`` of the heaviest expert, mean ``confidence``, their ``gap``, its ``standard_error`` were the router
        calibrated, the binned ``calibration_error``, the ``brier`` score (0 to 2), ``cross_entropy`` in nats (infinite
        where the true expert has weight zero), and ``n``.

    Raises:
        ValueError: unlike lengths, or an expert that is none.
    """
    r, truth = np.asarray(weights, dtype=np.float64), np.asarray(experts)
    positive_int(bins, "bins")
    if r.ndim != 2 or truth.shape != r.shape[1:] or r.shape[1] == 0:
        raise ValueError(f"experts must be one index a column of weights, shape {r.shape}, had shape {truth.shape}")
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= len(r):
        raise ValueError(f"experts must be integers in 0..{len(r) - 1}, were {truth.min()} to {truth.max()}")
    hit, confidence = r.argmax(axis=0) == truth, r.max(axis=0)
    own = r[truth, np.arange(len(truth))]
    brier = (r**2).sum(axis=0) - 2 * own + 1
    return {
        "accuracy": float(hit.mean()),
        "confidence": float(confidence.mean()),
        "gap": float((hit - confidence).mean()),
        "standard_error": float(np.sqrt((confidence * (1 - confidence)).sum()) / len(truth)),
        "calibration_error": _binned(hit, confidence, bins),
        "brier": float(brier.mean()),
        "cross_entropy": float(-np.log(own).mean()) if own.min() > 0 else float("inf"),
        "n": len(truth),
    }


def _binned(hit: Array, confidence: Array, bins: int) -> float:
    """Return the mean over rows of |accuracy - confidence| of the row's bin."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    sums = np.bincount(place, weights=hit - confidence, minlength=bins)
    return float(np.abs(sums).sum() / len(hit))
