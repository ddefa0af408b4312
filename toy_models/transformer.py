r"""Tiny Llamas that learn next-token laws from samples: one dense, or K experts, each on its own rows alone.

The K experts share nothing but the weights they start from. They are stepped in one batched call (``torch.func.vmap``
over stacked parameters), which computes each expert's gradient from its own rows: the same training, faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.func import functional_call, vmap
from transformers import LlamaConfig, LlamaForCausalLM


@dataclass(frozen=True)
class Training:
    """The size of a model and of its training.

    Attributes:
        width: of the hidden states; the inner layer has twice as many.
        layers: how many.
        steps: of AdamW.
        batch: rows a step over all experts; each of K takes batch / K, so that the total is the dense model's.
        rate: the learning rate at the start, which falls to zero as a cosine.
        checkpoints: the steps after which the law is taken.
    """

    width: int = 32
    layers: int = 2
    steps: int = 400
    batch: int = 64
    rate: float = 5e-3
    checkpoints: tuple[int, ...] = (50, 100, 200, 400)


def tiny_llama(vocabulary: int, length: int, sizes: Training, seed: int) -> Any:
    """Return an untrained Llama over V tokens and one more, which stands before every sequence."""
    config = LlamaConfig(vocab_size=vocabulary + 1, hidden_size=sizes.width, intermediate_size=2 * sizes.width,
                         num_hidden_layers=sizes.layers, num_attention_heads=2, num_key_value_heads=2,
                         max_position_embeddings=length, bos_token_id=vocabulary, eos_token_id=None, pad_token_id=None,
                         use_cache=False, attn_implementation="eager")  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def parameters(vocabulary: int, length: int, sizes: Training) -> int:
    """Return how many parameters one Llama has."""
    return sum(weight.numel() for weight in tiny_llama(vocabulary, length, sizes, 0).parameters())


class Llamas:
    """K Llamas with stacked weights, alike at the start.

    Args:
        experts: K.
        vocabulary: V.
        length: N.
        sizes: of model and training.
        seed: of the weights at the start.
    """

    def __init__(self, experts: int, vocabulary: int, length: int, sizes: Training, seed: int) -> None:
        self.model, self.vocabulary, self.length = tiny_llama(vocabulary, length, sizes, seed), vocabulary, length
        named = self.model.named_parameters()
        self.weights = {n: w.detach().expand(experts, *w.shape).clone().requires_grad_() for n, w in named}

    def _logits(self, weights: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
        """Return the scores of each next token of one expert: rows (B, T) to (B, T + 1, V)."""
        start = torch.full((tokens.shape[0], 1), self.vocabulary)
        asked = {"input_ids": torch.cat([start, tokens], dim=1), "use_cache": False}
        return functional_call(self.model, weights, (), asked).logits[..., : self.vocabulary]

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the sum over experts of the mean next-token loss: rows (K, B, N)."""
        logits = vmap(self._logits)(self.weights, rows[..., :-1])
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 2), rows.flatten(), reduction="sum")
        return losses / rows[0].numel()

    @torch.no_grad()
    def laws(self) -> np.ndarray:
        """Return the sequence laws, float64, shape (K,) + (V,) * N."""
        v, n = self.vocabulary, self.length
        grid = torch.as_tensor(np.indices((v,) * (n - 1)).reshape(n - 1, -1).T.copy())
        out = []
        for k in range(len(next(iter(self.weights.values())))):
            logits = self._logits({name: weight[k] for name, weight in self.weights.items()}, grid)
            steps = torch.softmax(logits.double(), dim=-1).numpy().reshape((v,) * (n - 1) + (n, v))
            law = np.ones(())
            for t in range(n):
                law = law[..., None] * steps[(slice(None),) * t + (0,) * (n - 1 - t) + (t,)]
            out.append(law)
        return np.stack(out)


def train(shards: Sequence[np.ndarray], vocabulary: int, sizes: Training, seed: int) -> dict[int, np.ndarray]:
    """Train one Llama a shard and return their laws after every checkpoint.

    Args:
        shards: each expert's rows, shape (n_k, N); one shard is the dense model.
        vocabulary: V.
        sizes: of model and training.
        seed: of the weights at the start and, with the expert's number, of the draws from its shard.

    Returns:
        By step, laws of shape (K,) + (V,) * N.

    Raises:
        ValueError: a batch that the experts cannot share evenly, or an empty shard.
    """
    experts = len(shards)
    if sizes.batch % experts or not all(len(shard) for shard in shards):
        counts = [len(shard) for shard in shards]
        raise ValueError(f"shards must hold rows and share {sizes.batch} rows a step evenly, held {counts}")
    models = Llamas(experts, vocabulary, shards[0].shape[1], sizes, seed)
    optimizer = torch.optim.AdamW(list(models.weights.values()), lr=sizes.rate, weight_decay=0.0)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, sizes.steps)
    streams, found = [np.random.default_rng([seed, k]) for k in range(experts)], {}
    for step in range(1, sizes.steps + 1):
        picked = [s[rng.integers(0, len(s), sizes.batch // experts)] for s, rng in zip(shards, streams, strict=True)]
        optimizer.zero_grad()
        models.loss(torch.as_tensor(np.stack(picked))).backward()
        optimizer.step()
        falling.step()
        if step in sizes.checkpoints:
            found[step] = models.laws()
    return found
