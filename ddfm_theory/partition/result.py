r"""The partition of data into experts, and the rules by which a row is sent to an expert.

Three rules, each an argmax of scores, and so a function of the features:

- ``centroids``: :math:`s_k = \langle x, c_k \rangle`, the paper's (:math:`-\|x - c_k\|^2` for the Euclidean metric);
- ``prices``: :math:`s_k - \lambda_k` with the prices of the balanced assignment. A balanced label maximizes it, and
  where the balanced optimum is unique no other does: so the balanced labels are a rule that inference can follow too;
- ``fine``: the largest :math:`\langle x, f \rangle` over the fine centroids f that belong to expert k: the labels of a
  two-stage partition.

Top-1 routing is exact iff the rule of inference is the rule the experts were trained by (theory: C11);
:meth:`~ddfm_theory.partition.Partition.mismatch` counts the rows for which it is not. Weights are
softmax(s / temperature) over the top_k largest scores; ties go to the lowest index. The zero row has cosine zero with
everything.

References:
    Maschan, Qu, Liu, "Decentralized Autoregressive Generation", arXiv 2601.03184 (centroid routing).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddfm_theory.arrays import positive_int
from ddfm_theory.partition.assignment import check_labels
from ddfm_theory.partition.rows import BLOCK, METRICS, matrix, prepared, similarity, squares
from ddfm_theory.partition.transport import RANGE
from ddfm_theory.showing import table

Array = Any
RULES = ("centroids", "prices", "fine")
TICKS = RANGE >> 1  # to a unit of the cosine


@dataclass(frozen=True)
class Mismatch:
    """How a routing rule departs from the labels that experts were trained by.

    Attributes:
        rule: the rule.
        rows: n.
        share: of rows that the rule sends to another expert than their label; zero iff top-1 routing is exact on them.
        label_sizes: rows an expert by label, shape (K,).
        routed_sizes: rows an expert by the rule, shape (K,).
        moves: how many rows of label j are routed to k, shape (K, K).
    """

    rule: str
    rows: int
    share: float
    label_sizes: Array
    routed_sizes: Array
    moves: Array

    def __str__(self) -> str:
        return (
            f"{self.rule}: {self.share:.2%} of {self.rows} rows differ; "
            f"sizes by label {self.label_sizes.tolist()}, routed {self.routed_sizes.tolist()}"
        )

    def _repr_html_(self) -> str:
        columns: dict[str, Any] = {"label": range(len(self.moves)), "rows": self.label_sizes}
        columns |= {f"routed to {k}": self.moves[:, k] for k in range(len(self.moves))}
        return table(columns, f"{self.rule}: {self.share:.2%} of {self.rows} rows differ")._repr_html_()


@dataclass(frozen=True, eq=False)
class Partition:
    r"""n rows in K clusters, one an expert.

    Args:
        centroids: c, float32 of shape (K, D), of length one (or zero) for cosine distance.
        labels: shape (n,), entries in 0..K-1; None where only the centroids are known.
        objective: the mean distance (weighted, where weights were given) of a row to its cluster's centroid, or None.
        metric: ``cosine`` or ``euclidean``.
        method: the name of the method, in ``METHODS``.
        seed: what it was seeded with, or None.
        loads: the sum of the weights in each cluster, shape (K,), or None.
        prices: lambda, shape (K,), in units of the distance, of mean zero, where the labels are a balanced optimum.
        fine_centroids: f, float32 of shape (F, D), of a two-stage partition.
        fine_to_coarse: the expert of each fine centroid, shape (F,).
        history: the objective after each assignment of the last run.

    Raises:
        ValueError: arrays that do not fit together.
    """

    centroids: Array
    labels: Array | None = None
    objective: float | None = None
    metric: str = "cosine"
    method: str = "given"
    seed: int | None = None
    loads: Array | None = None
    prices: Array | None = None
    fine_centroids: Array | None = None
    fine_to_coarse: Array | None = None
    history: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}, was {self.metric!r}")
        self._freeze("centroids", _centroids(self.centroids, "centroids", self.metric))
        k = len(self.centroids)
        if self.labels is not None:
            self._freeze("labels", check_labels(self.labels, np.size(self.labels), k))
        for name, dtype in (("loads", np.int64), ("prices", np.float64)):
            if getattr(self, name) is not None:
                self._freeze(name, _vector(getattr(self, name), name, k, dtype))
        if (self.fine_centroids is None) != (self.fine_to_coarse is None):
            raise ValueError("fine_centroids must come with fine_to_coarse, one was None")
        if self.fine_centroids is not None:
            self._freeze("fine_centroids", _centroids(self.fine_centroids, "fine_centroids", self.metric))
            if self.fine_centroids.shape[1] != self.width:
                raise ValueError(f"fine_centroids must be {self.width} wide, was {self.fine_centroids.shape[1]}")
            self._freeze("fine_to_coarse", check_labels(self.fine_to_coarse, len(self.fine_centroids), k))
            if len(set(np.asarray(self.fine_to_coarse).tolist())) < k:
                raise ValueError(f"fine_to_coarse must reach every one of {k} experts, did not")

    def _freeze(self, name: str, array: Array) -> None:
        array = array.copy()
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.centroids)

    def _repr_html_(self) -> str:
        columns: dict[str, Any] = {"expert": range(len(self))}
        columns |= {} if self.labels is None else {"rows": self.sizes}
        columns |= {} if self.prices is None else {"price": self.prices}
        objective = "" if self.objective is None else f", mean distance {self.objective:.4g}"
        return table(columns, f"{self.method}, {self.metric}, width {self.width}{objective}")._repr_html_()

    @property
    def width(self) -> int:
        """Return D."""
        return int(self.centroids.shape[1])

    @property
    def sizes(self) -> Array:
        """Return how many rows each cluster has, int64 of shape (K,).

        Raises:
            ValueError: there are no labels.
        """
        return np.bincount(self._labels(), minlength=len(self))

    def _labels(self) -> Array:
        if self.labels is None:
            raise ValueError("labels must be known for this, were not: only centroids were given")
        return self.labels

    def scores(self, features: Any, rule: str = "centroids") -> Array:
        """Return the scores of a rule, shape (n, K): the larger, the better (float64 with prices, else float32).

        Args:
            features: shape (n, D).
            rule: ``centroids``, ``prices`` or ``fine``.

        Raises:
            ValueError: features not a finite matrix of the centroids' width, or a rule that this partition lacks.
        """
        blocks = [scores for _, scores in self._scored(features, rule)]
        return np.concatenate(blocks)

    def _scored(self, features: Any, rule: str) -> Iterator[tuple[slice, Array]]:
        source = matrix(features)
        if source.shape[1] != self.width:
            raise ValueError(f"features must be {self.width} wide as the centroids, was {source.shape[1]}")
        self._check_rule(rule)
        step = max(1, BLOCK // self.width)
        for start in range(0, len(source), step):
            block, scale = prepared(source[start : start + step], self.metric, start)
            yield slice(start, start + len(block)), self._score(block, scale, rule)

    @property
    def rules(self) -> tuple[str, ...]:
        """Return the routing rules that this partition has the numbers for."""
        have = {"centroids": self.centroids, "prices": self.prices, "fine": self.fine_centroids}
        return tuple(name for name in RULES if have[name] is not None)

    def _check_rule(self, rule: str) -> None:
        if rule not in self.rules:
            raise ValueError(f"rule must be one of {list(self.rules)} for this partition, was {rule!r}")

    def _score(self, block: Array, scale: Array, rule: str) -> Array:
        if rule == "fine":
            fine = similarity(block, scale, self.fine_centroids, self.metric)
            return np.stack([fine[:, self.fine_to_coarse == k].max(axis=1) for k in range(len(self))], axis=1)
        scores = similarity(block, scale, self.centroids, self.metric)
        return scores if rule == "centroids" else self._priced(scores.astype(np.float64))

    def _priced(self, scores: Array) -> Array:
        """Return scores less prices; cosines in ticks, as the assignment had them."""
        ticks = np.rint(scores * TICKS) / TICKS if self.metric == "cosine" else scores
        return ticks - self.prices

    def assign(self, features: Any, rule: str = "centroids") -> Array:
        """Return the expert of each row, the argmax of a rule's scores, int64 of shape (n,).

        Args:
            features: shape (n, D).
            rule: ``centroids``, ``prices`` or ``fine``.
        """
        return np.concatenate([scores.argmax(axis=1) for _, scores in self._scored(features, rule)])

    def route(self, features: Any, *, top_k: int = 1, temperature: float = 1.0, rule: str = "centroids") -> Array:
        r"""Return the router's weights over experts: softmax of the top_k largest scores over the temperature.

        Args:
            features: shape (n, D).
            top_k: how many experts keep weight, 1..K; with one the weights are one-hot.
            temperature: T > 0.
            rule: ``centroids``, ``prices`` or ``fine``.

        Returns:
            float64 of shape (n, K), rows summing to one.

        Raises:
            ValueError: as for :meth:`scores`; top_k or temperature out of range.
        """
        positive_int(top_k, "top_k", 1, len(self))
        if not (isinstance(temperature, (int, float)) and 0 < temperature < np.inf):
            raise ValueError(f"temperature must be positive and finite, was {temperature!r}")
        weights = [gate(scores, top_k, float(temperature)) for _, scores in self._scored(features, rule)]
        return np.concatenate(weights)

    def mismatch(self, features: Any, rule: str = "centroids") -> Mismatch:
        """Return how far a rule departs from the labels, on the rows that were labelled.

        Args:
            features: the labelled rows, shape (n, D), in their order.
            rule: ``centroids``, ``prices`` or ``fine``.

        Raises:
            ValueError: another number of rows than labels, or no labels.
        """
        labels, k = self._labels(), len(self)
        if len(matrix(features)) != len(labels):
            raise ValueError(f"features must have the {len(labels)} labelled rows, had {len(matrix(features))}")
        routed = self.assign(features, rule)
        moves = np.bincount(labels * k + routed, minlength=k * k).reshape(k, k)
        share = float((labels != routed).mean())
        return Mismatch(rule, len(labels), share, moves.sum(axis=1), moves.sum(axis=0), moves)

    def save(self, folder: str | Path) -> None:
        """Write the partition to a folder, as safetensors and JSON; see :mod:`ddfm_theory.partition.storage`."""
        from ddfm_theory.partition.storage import save

        save(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Partition:
        """Read a partition from a folder.

        Raises:
            ValueError: the folder does not hold a whole partition.
        """
        from ddfm_theory.partition.storage import load

        return load(folder)


def gate(scores: Array, top_k: int, temperature: float) -> Array:
    """Return softmax(scores / temperature) over each row's top_k largest scores, the lowest index first on ties."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    held = np.take_along_axis(scores, order, axis=1).astype(np.float64)
    held = np.exp((held - held[:, :1]) / temperature)
    weights = np.zeros(scores.shape)
    np.put_along_axis(weights, order, held / held.sum(axis=1, keepdims=True), axis=1)
    return weights


def _centroids(values: Any, name: str, metric: str) -> Array:
    array = np.asarray(values)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be real, of shape (K, D), neither zero, was {array.dtype} of {array.shape}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, was {array[where]} at {where}")
    lengths = np.sqrt(squares(array.astype(np.float64)))
    if metric == "cosine" and (np.abs(lengths - 1) > 1e-3)[lengths > 0].any():
        row = int(np.argmax(np.where(lengths > 0, np.abs(lengths - 1), 0)))
        raise ValueError(f"{name} must have rows of length one for cosine distance, was {lengths[row]} at {row}")
    return array.astype(np.float32)


def _vector(values: Any, name: str, k: int, dtype: Any) -> Array:
    array = np.asarray(values)
    if array.shape != (k,) or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"{name} must be {k} finite numbers, was {array.dtype} of shape {array.shape}")
    return array.astype(dtype)
