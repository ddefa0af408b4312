r"""Routers that look at features of the condition: similarity to centroids, the paper's rule, c-BTM's, a learned one.

Features are whatever an encoder makes of an image or a prompt, one row a condition; text never routes in the paper.

References:
    Maschan, Qu, Liu, "Decentralized Autoregressive Generation", arXiv 2601.03184; Gururangan et al., "Scaling Expert
    Language Models with Unsupervised Domain Discovery", arXiv 2303.14177 (c-BTM).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge.routers import Router, one_hot

Tensor = Any  # torch.Tensor
CHANGE = 1e-14  # of the loss, where a fit ends; the loss is quadratic there, so weights are good to its root


def _features(features: Tensor | None, rows: int, width: int, name: str) -> Tensor:
    if features is None:
        raise ValueError(f"features must be given for a {name} router, were not")
    values = torch.as_tensor(features).detach().cpu().double()
    if tuple(values.shape) != (rows, width):
        raise ValueError(f"features must have shape ({rows}, {width}), was {tuple(values.shape)}")
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"features must be finite, row {int((~torch.isfinite(values)).any(1).nonzero()[0])} was not")
    return values


def _unit(values: Tensor, name: str) -> Tensor:
    norms = values.norm(dim=-1, keepdim=True)
    if bool((norms == 0).any()):
        where = int((norms[:, 0] == 0).nonzero()[0])
        raise ValueError(f"{name} must have no zero row for a cosine, row {where} was zero")
    return values / norms


def _matrix(values: Any, name: str) -> Tensor:
    out = torch.as_tensor(values if isinstance(values, torch.Tensor) else np.array(values)).detach().cpu().double()
    if out.ndim != 2 or 0 in out.shape or not bool(torch.isfinite(out).all()):
        raise ValueError(f"{name} must be a finite matrix (K, D), was of shape {tuple(out.shape)}")
    return out


def _row(values: Any, width: int, name: str) -> Tensor:
    """Return a row of some width, zeros for None."""
    row = torch.zeros(width).double() if values is None else _matrix(torch.as_tensor(values)[None], name)[0]
    if tuple(row.shape) != (width,):
        raise ValueError(f"{name} must have shape ({width},), was {tuple(row.shape)}")
    return row


def _positive(value: Any, name: str) -> float:
    if not (isinstance(value, (int, float)) and 0 < value < float("inf")):
        raise ValueError(f"{name} must be a positive number, was {value!r}")
    return float(value)


class CosineRouter(Router):
    r"""Softmax over cosine similarities to centroids: :math:`r_k \propto \exp(\cos(f, c_k) / T)`.

    Args:
        centroids: shape (K, D).
        temperature: T > 0.
    """

    kind = "cosine"

    def __init__(self, centroids: Any, temperature: float = 0.1) -> None:
        self.centroids, self.temperature = _matrix(centroids, "centroids"), _positive(temperature, "temperature")
        self._axes, self.experts = _unit(self.centroids, "centroids"), int(self.centroids.shape[0])

    def similarities(self, features: Tensor | None, rows: int) -> Tensor:
        """Return the cosines, shape (K, B)."""
        values = _features(features, rows, int(self.centroids.shape[1]), self.kind)
        return self._axes @ _unit(values, "features").T

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return the log-softmax of the cosines over the temperature."""
        return torch.log_softmax(self.similarities(features, rows) / self.temperature, dim=0)

    def tensors(self) -> dict[str, Tensor]:
        """Return the centroids."""
        return {"centroids": self.centroids}

    def settings(self) -> dict[str, Any]:
        """Return the temperature."""
        return {"temperature": self.temperature}


class PaperRouter(Router):
    """The paper's routing: the image's feature alone, L2-normalized, the most similar centroid, weight one.

    One stage compares with the experts' centroids. Two stages compare with the fine centroids and map the nearest one
    to its expert; the coarse centroids are not compared with. Where the clustering took a mean from the features, it is
    taken before they are normalized.

    Args:
        centroids: shape (K, D), or of the fine clusters (F, D).
        mapping: the expert of each fine cluster, shape (F,); None is one stage.
        mean: what the clustering took from the encoder's features, shape (D,); None is nothing.

    Raises:
        ValueError: a mapping that is not onto 0..K-1, or a mean of another width.
    """

    kind = "paper"

    def __init__(self, centroids: Any, mapping: Any = None, mean: Any = None) -> None:
        self.centroids = _matrix(centroids, "centroids")
        self.mean, self.raw = _row(mean, int(self.centroids.shape[1]), "mean"), mean is not None
        self._axes, count = _unit(self.centroids, "centroids"), int(self.centroids.shape[0])
        self.mapping = torch.arange(count) if mapping is None else torch.as_tensor(np.asarray(mapping).copy()).long()
        self.experts = int(self.mapping.max()) + 1
        onto = self.mapping.unique().tolist() == list(range(self.experts))
        if tuple(self.mapping.shape) != (count,) or not onto:
            shown = self.mapping[:8].tolist()
            raise ValueError(f"mapping must send {count} centroids onto experts 0..K-1, was {shown}")

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return the one-hot log-law of the most similar centroid's expert, the lowest index on ties."""
        given = _features(features, rows, int(self.centroids.shape[1]), self.kind)
        values = _unit(given - self.mean, "features")
        nearest = np.asarray(values @ self._axes.T).argmax(axis=1)
        return one_hot(self.mapping[nearest], self.experts)

    def tensors(self) -> dict[str, Tensor]:
        """Return centroids and mapping, and the mean where there is one."""
        mean = {"mean": self.mean} if self.raw else {}
        return {"centroids": self.centroids, "mapping": self.mapping, **mean}


class DistanceRouter(Router):
    r"""c-BTM's weights from squared distances to centroids: :math:`r_k \propto \exp(-\|f - c_k\|^2 / T)`.

    Args:
        centroids: shape (K, D).
        temperature: T > 0; c-BTM uses 0.1.
    """

    kind = "distance"
    scaled = True

    def __init__(self, centroids: Any, temperature: float = 0.1) -> None:
        self.centroids, self.temperature = _matrix(centroids, "centroids"), _positive(temperature, "temperature")
        self.experts = int(self.centroids.shape[0])

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return the log-softmax of minus the squared distances over the temperature."""
        values = _features(features, rows, int(self.centroids.shape[1]), self.kind)
        squared = ((self.centroids[:, None, :] - values[None, :, :]) ** 2).sum(-1)
        return torch.log_softmax(-squared / self.temperature, dim=0)

    def tensors(self) -> dict[str, Tensor]:
        """Return the centroids."""
        return {"centroids": self.centroids}

    def settings(self) -> dict[str, Any]:
        """Return the temperature."""
        return {"temperature": self.temperature}


class LinearRouter(Router):
    r"""A learned router, :math:`r = \mathrm{softmax}(W f + b)`: at the optimum of its cross entropy, the posterior.

    Args:
        weight: W, shape (K, D).
        bias: b, shape (K,); None is zero.
    """

    kind = "linear"
    scaled = True

    def __init__(self, weight: Any, bias: Any = None) -> None:
        self.weight = _matrix(weight, "weight")
        self.experts = int(self.weight.shape[0])
        self.bias = _row(bias, self.experts, "bias")

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return the log-softmax of the scores."""
        values = _features(features, rows, int(self.weight.shape[1]), self.kind)
        return torch.log_softmax(self.weight @ values.T + self.bias[:, None], dim=0)

    @classmethod
    def fit(cls, features: Any, labels: Any, experts: int, decay: float = 1e-4, iterations: int = 200) -> LinearRouter:
        """Fit by minimizing the cross entropy with L2 decay (convex: no seed, no learning rate).

        Args:
            features: shape (n, D).
            labels: the expert of each row, shape (n,), in 0..experts-1.
            experts: K.
            decay: the weight of ``|W|^2 / 2``.
            iterations: the most steps of L-BFGS.
        """
        values = _matrix(features, "features")
        target = torch.as_tensor(np.asarray(labels)).long()
        if tuple(target.shape) != (values.shape[0],) or int(target.min()) < 0 or int(target.max()) >= experts:
            raise ValueError(f"labels must be {values.shape[0]} experts in 0..{experts - 1}, "
                             f"was of shape {tuple(target.shape)}")  # fmt: skip
        weight = torch.zeros((experts, values.shape[1]), dtype=torch.double, requires_grad=True)
        bias = torch.zeros(experts, dtype=torch.double, requires_grad=True)
        step = torch.optim.LBFGS([weight, bias], max_iter=iterations, tolerance_grad=1e-10, tolerance_change=CHANGE,
                                 line_search_fn="strong_wolfe")  # fmt: skip

        def closure() -> Tensor:
            step.zero_grad()
            loss = torch.nn.functional.cross_entropy(values @ weight.T + bias, target) + decay / 2 * (weight**2).sum()
            loss.backward()
            return loss

        step.step(closure)
        return cls(weight.detach(), bias.detach())

    def tensors(self) -> dict[str, Tensor]:
        """Return W and b."""
        return {"weight": self.weight, "bias": self.bias}
