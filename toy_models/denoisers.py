r"""Small networks that learn, from samples, the law of every hidden token given the shown ones, and the router.

A denoiser is :math:`\hat q(x^i \mid z)`; with the all-mask source it gives the velocity of every schedule (C22).
Trained with a uniform number of hidden positions and the mean loss over them, it minimizes the negative ELBO of the
linear schedule; a router minimizes the cross entropy of the label on the same states. K experts have stacked weights
and share nothing but the weights they start from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ddfm_theory.couplings import states_of

Tensor = torch.Tensor


@dataclass(frozen=True)
class Fitting:
    """The size of the networks and of their training: rows a step over all experts, AdamW's rate, falling to zero."""

    width: int = 64
    steps: int = 1000
    batch: int = 256
    rate: float = 1e-2


class Networks:
    """K networks of one shape, alike at the start: one-hot state, two hidden layers, scores.

    Args:
        count: K.
        inputs: entries of the one-hot state, N * d.
        outputs: scores.
        width: of the hidden layers.
        seed: of the weights at the start.
    """

    def __init__(self, count: int, inputs: int, outputs: int, width: int, seed: int) -> None:
        stream, sizes = torch.Generator().manual_seed(seed), (inputs, width, width, outputs)
        self.weights = []
        for a, b in zip(sizes, sizes[1:], strict=False):
            start = torch.randn((a, b), generator=stream) / a**0.5
            self.weights += [start.expand(count, a, b).clone(), torch.zeros(count, 1, b)]
        for weight in self.weights:
            weight.requires_grad_()

    def __call__(self, states: Tensor) -> Tensor:
        """Return the scores, (K, B, inputs) to (K, B, outputs)."""
        x = states
        for i in range(0, len(self.weights), 2):
            x = torch.baddbmm(self.weights[i + 1], torch.relu(x) if i else x, self.weights[i])
        return x


def hidden_states(rows: np.ndarray, mask: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows with a uniform number of tokens, one at least, replaced by the mask."""
    n, length = rows.shape
    ranks = np.argsort(rng.random((n, length)), axis=1)
    return np.where(ranks < rng.integers(1, length + 1, (n, 1)), mask, rows)


def _one_hot(states: np.ndarray, size: int) -> Tensor:
    return torch.as_tensor(np.eye(size, dtype=np.float32)[states]).flatten(-2)


def _fit(networks: Networks, sizes: Fitting, loss: Callable[[], Tensor]) -> None:
    optimizer = torch.optim.AdamW(networks.weights, lr=sizes.rate, weight_decay=0.0)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, sizes.steps)
    for _ in range(sizes.steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        falling.step()


def learned_denoisers(shards: Sequence[np.ndarray], vocabulary: int, sizes: Fitting, seed: int) -> np.ndarray:
    """Train one denoiser a shard and return their laws at every state, shape (K,) + (d,) * N + (N, V).

    Args:
        shards: each expert's rows, shape (n_k, N); one shard is the dense model.
        vocabulary: V, the mask being token V.
        sizes: of networks and training; each expert takes an even share of the batch.
        seed: of the weights at the start and, with the expert's number, of draws and masks.

    Raises:
        ValueError: a batch that the experts cannot share evenly.
    """
    count, length, size = len(shards), shards[0].shape[1], vocabulary + 1
    if sizes.batch % count:
        raise ValueError(f"shards must share {sizes.batch} rows a step evenly, were {count}")
    networks = Networks(count, length * size, length * vocabulary, sizes.width, seed)
    streams = [np.random.default_rng([seed, k]) for k in range(count)]

    def loss() -> Tensor:
        rows = [s[rng.integers(0, len(s), sizes.batch // count)] for s, rng in zip(shards, streams, strict=True)]
        states = np.stack([hidden_states(r, vocabulary, rng) for r, rng in zip(rows, streams, strict=True)])
        scores = networks(_one_hot(states, size)).unflatten(-1, (length, vocabulary))
        every = torch.nn.functional.cross_entropy(scores.flatten(0, 2), torch.as_tensor(np.stack(rows)).flatten(),
                                                  reduction="none").reshape(states.shape)  # fmt: skip
        hidden = torch.as_tensor(states == vocabulary)
        return ((every * hidden).sum(-1) / hidden.sum(-1)).mean(1).sum()

    _fit(networks, sizes, loss)
    states = states_of(size, length)
    with torch.no_grad():
        scores = networks(_one_hot(states, size).expand(count, -1, -1)).unflatten(-1, (length, vocabulary))
    laws = torch.softmax(scores.double(), dim=-1).numpy() * (states == vocabulary)[..., None]
    return laws.reshape((count,) + (size,) * length + (length, vocabulary))


def learned_state_router(rows: np.ndarray, labels: np.ndarray, experts: int, vocabulary: int, sizes: Fitting,
                         seed: int) -> np.ndarray:  # fmt: skip
    """Train a classifier of partly hidden rows and return the router at every state, shape (K,) + (d,) * N.

    Args:
        rows: shape (n, N).
        labels: shape (n,).
        experts: K.
        vocabulary: V, the mask being token V.
        sizes: of network and training.
        seed: of weights, draws and masks.
    """
    length, size, rng = rows.shape[1], vocabulary + 1, np.random.default_rng(seed)
    network = Networks(1, length * size, experts, sizes.width, seed)

    def loss() -> Tensor:
        picked = rng.integers(0, len(rows), sizes.batch)
        scores = network(_one_hot(hidden_states(rows[picked], vocabulary, rng), size)[None])[0]
        return torch.nn.functional.cross_entropy(scores, torch.as_tensor(labels[picked]))

    _fit(network, sizes, loss)
    with torch.no_grad():
        scores = network(_one_hot(states_of(size, length), size)[None])[0]
    return torch.softmax(scores.double(), dim=-1).numpy().T.reshape((experts,) + (size,) * length)
