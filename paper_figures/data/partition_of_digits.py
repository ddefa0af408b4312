"""Balanced spherical k-means of digits, seen by PCA and t-SNE, and the rows that argmax routes elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddfm_theory.partition import spherical_balanced_kmeans

SEED, SLOW = 0, True
ARITHMETIC = "float64; t-SNE of scikit-learn, started from PCA"
PACKAGES = ("scikit-learn", "ortools")
EXPERTS, PERPLEXITY = 4, 30


def compute(seed: int) -> dict[str, Any]:
    """Return both embeddings, each row's label and the expert that centroid routing sends it to."""
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = load_digits().data
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = spherical_balanced_kmeans(rows, EXPERTS, seed)
    pca = PCA(2, random_state=seed).fit(unit)
    tsne = TSNE(2, perplexity=PERPLEXITY, init="pca", random_state=seed).fit_transform(unit)
    return {"rows": len(rows), "width": rows.shape[1], "experts": EXPERTS, "perplexity": PERPLEXITY,
            "explained": pca.explained_variance_ratio_, "labels": found.labels, "routed": found.assign(rows),
            "share_differing": found.mismatch(rows).share, "objective": found.objective,
            "pca": _columns(pca.transform(unit), 3), "tsne": _columns(tsne, 1)}  # fmt: skip


def _columns(points: np.ndarray, digits: int) -> dict[str, Any]:
    rounded = np.round(points.astype(np.float64), digits)
    return {"x": rounded[:, 0], "y": rounded[:, 1]}
