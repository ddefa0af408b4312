r"""Routers that are learned from labelled sequences: a discriminative one, and cosine likeness to centroids.

The learned router has one score a window of m + 1 tokens, :math:`\log \hat r_k(x^{\le t}) = b_k + \sum_{s \le t}
W^s_k(x^{s-m}, ..., x^s) + c`, fitted to the labels at all prefixes at once. Experts with memory m have a filter of
exactly that form, so it can be exact; it never sees an expert.
"""

from __future__ import annotations

import numpy as np
import torch

from ddfm_theory.partition import Partition
from toy_models.routing import Steps
from toy_models.tabular import counted

TEMPERATURE, DECAY, ITERATIONS = 0.1, 0.1, 60


def learned_router(rows: np.ndarray, labels: np.ndarray, experts: int, vocabulary: int, memory: int) -> Steps:
    """Fit the scores by penalized maximum likelihood, from zero and so without a seed, and return the router.

    Args:
        rows: tokens, shape (n, N).
        labels: of the experts, shape (n,).
        experts: K.
        vocabulary: V.
        memory: m.
    """
    shards = [rows[labels == k] for k in range(experts)]
    counts = [torch.as_tensor(np.stack([counted(shard[:, :t], vocabulary) for shard in shards]))
              for t in range(rows.shape[1])]  # fmt: skip
    shapes = [(experts,)] + [(experts,) + (vocabulary,) * (min(memory, t) + 1) for t in range(len(counts) - 1)]
    scores = [torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    optimizer = torch.optim.LBFGS(scores, max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        fit = sum(-(n * log_r).sum() for n, log_r in zip(counts, _log_router(scores, memory), strict=True))
        value = (fit + DECAY / 2 * sum((score**2).sum() for score in scores)) / len(rows)
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        return [log_r.exp().numpy() for log_r in _log_router(scores, memory)]


def _log_router(scores: list[torch.Tensor], memory: int) -> list[torch.Tensor]:
    sums = [scores[0]]
    for t, score in enumerate(scores[1:]):
        skipped = t - min(memory, t)
        sums.append(sums[-1][..., None] + score[(slice(None),) + (None,) * skipped])
    return [torch.log_softmax(found, dim=0) for found in sums]


def cosine_router(rows: np.ndarray, labels: np.ndarray, experts: int, vocabulary: int) -> Steps:
    """Return the softmax of cosines, over a temperature of 0.1, between the tokens so far and the experts' data.

    The feature of a prefix is how often each token stands in it; a centroid is the mean direction of an expert's rows.
    Before the first token nothing is like anything, and the router is the share of the labels.

    Args:
        rows: tokens, shape (n, N).
        labels: of the experts, shape (n,).
        experts: K.
        vocabulary: V.
    """
    eye = np.eye(vocabulary)
    every = eye[np.indices((vocabulary,) * rows.shape[1]).reshape(rows.shape[1], -1)].sum(axis=0)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    means = np.stack([counted(rows[labels == k], vocabulary).ravel() @ every for k in range(experts)])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    partition = Partition(means / np.where(lengths > 0, lengths, 1))
    found = [np.bincount(labels, minlength=experts) / len(labels)]
    for t in range(1, rows.shape[1]):
        features = eye[np.indices((vocabulary,) * t).reshape(t, -1)].sum(axis=0)
        weights = partition.route(features, top_k=experts, temperature=TEMPERATURE)
        found.append(weights.T.reshape((experts,) + (vocabulary,) * t))
    return found
