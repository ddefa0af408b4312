"""Prefixes with a static key-value cache: room for tokens is taken in advance, and every step has the same shapes.

So on a GPU a step of one token is compiled once, into one CUDA graph, and launched as one; elsewhere the model runs as
it is, and likelihoods of given tokens come from one compiled function. Laws equal those of the growing cache up to the
order of additions. When the room is used up, it is doubled.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from ddfm_theory.bridge.extras import need
from ddfm_theory.bridge.logdomain import log_likelihoods, row_likelihoods
from ddfm_theory.bridge.prefixes import CheckpointPrefix, positions

Tensor = Any  # torch.Tensor
ROOM = 256  # positions that are taken at a time
SPARE = 2  # caches that an expert keeps for its next prompts: a recorded graph is bound to its cache's place in memory


def compiled(model: Any) -> Any:
    """Return what runs one token: on a GPU the forward pass compiled into a CUDA graph, elsewhere None, the model."""
    if model.device.type != "cuda":
        return None
    return torch.compile(model.forward, mode="reduce-overhead", dynamic=False)


@cache
def fused() -> Any:
    """Return ``row_likelihoods`` compiled, which reads logits once or twice where its parts read them four times."""
    return torch.compile(row_likelihoods, dynamic=True)


def fused_likelihoods(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-likelihoods of tokens (B, T) under logits (B, T, V), on a GPU by one compiled function."""
    if logits.device.type != "cuda" or tokens.numel() == 0:
        return log_likelihoods(logits, tokens)
    found: Tensor = fused()(logits.flatten(0, 1), tokens.flatten())
    return found.unflatten(0, tuple(tokens.shape))


class StaticPrefix(CheckpointPrefix):
    """Prefixes whose ``mask`` and cache have room beyond the ``used`` positions; arguments as for the growing ones."""

    used: int

    def _prefill(self, inputs: dict[str, Tensor]) -> Tensor:
        prompts, self.used = self.mask, int(self.mask.shape[1])
        capacity = ROOM * (self.used // ROOM + 2)
        self.mask = _wider(prompts, capacity)
        self.cache = self._cache(len(self), capacity)
        return self.expert.forward(inputs, self.mask, positions(prompts), self.cache, 1)[0]

    def _cache(self, rows: int, capacity: int) -> Any:
        """Return an empty cache, a spare one where there is one of this size."""
        spare = self.expert.spare_caches
        fit = next((cache for cache in spare if cache.size == (rows, capacity)), None)
        if fit is None:
            fit = need("transformers").StaticCache(config=self.expert.model.config, max_cache_len=capacity)
            _require_plain(fit, self.expert)
            fit.size = (rows, capacity)
        else:
            spare.remove(fit)
            fit.reset()
        weakref.finalize(self, _give_back, spare, fit)
        return fit

    def _extend(self, tokens: Tensor, keep: int) -> Tensor:
        self._check_rows(tokens)
        tokens, width = tokens.to(self.mask.device), int(tokens.shape[1])
        self._make_room(width)
        self.mask[:, self.used : self.used + width] = 1
        self.used += width
        self.tokens = torch.cat([self.tokens, tokens], dim=1)
        at = positions(self.mask[:, : self.used])[:, -width:]
        inputs = {"input_ids": _plain(tokens)}
        return self.expert.forward(inputs, self.mask, _plain(at), self.cache, keep, self._call(width))[0]

    def _likelihoods(self, logits: Tensor, tokens: Tensor) -> Tensor:
        return fused_likelihoods(logits, tokens)

    def _call(self, width: int) -> Callable[..., Any] | None:
        if width != 1:
            return None
        if self.expert.stepper is None:
            self.expert.stepper = compiled(self.expert.model)
        if self.mask.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
        return self.expert.stepper  # type: ignore[no-any-return]

    def _make_room(self, width: int) -> None:
        capacity = int(self.mask.shape[1])
        while capacity < self.used + width:
            capacity *= 2
        if capacity > self.mask.shape[1]:
            old, self.cache = self.cache, self._cache(len(self), capacity)
            _fill(self.cache, [(layer.keys, layer.values) for layer in old.layers], self.used)
            self.mask = _wider(self.mask, capacity)

    def _select(self, index: Tensor) -> None:
        old, self.cache = self.cache, self._cache(len(index), int(self.mask.shape[1]))
        _fill(self.cache, [(layer.keys[index], layer.values[index]) for layer in old.layers], self.used)

    def _merge(self, other: CheckpointPrefix) -> None:
        old, self.cache = self.cache, self._cache(len(self) + len(other), int(self.mask.shape[1]))
        pairs = zip(old.layers, other.cache.layers, strict=True)
        both = [(torch.cat([a.keys, b.keys]), torch.cat([a.values, b.values])) for a, b in pairs]
        _fill(self.cache, both, self.used)

    def _crop(self, count: int) -> None:
        self.used -= count
        self.mask[:, self.used :] = 0  # what the cache holds there is overwritten before it is seen again
        self.tokens = self.tokens[:, :-count]
        for layer in self.cache.layers:
            layer.cumulative_length.fill_(self.used)


def _give_back(spare: list[Any], cache: Any) -> None:
    spare.insert(0, cache)
    del spare[SPARE:]


def _require_plain(cache: Any, expert: Any) -> None:
    kinds = {type(layer).__name__ for layer in cache.layers} - {"StaticLayer"}
    if kinds:
        raise ValueError(f"cache must be 'dynamic' for {expert.name}, whose layers are {sorted(kinds)}")


def _plain(values: Tensor) -> Tensor:
    """Return a copy whose strides are those of its shape: others would be compiled for anew at every step."""
    return values.clone(memory_format=torch.contiguous_format)


def _wider(mask: Tensor, capacity: int) -> Tensor:
    return torch.nn.functional.pad(mask, (0, capacity - mask.shape[1]))


def _fill(cache: Any, states: list[tuple[Tensor, Tensor]], used: int) -> None:
    """Copy keys and values, at least ``used`` positions of them, into an empty cache."""
    for layer, (keys, values) in zip(cache.layers, states, strict=True):
        if not layer.is_initialized:
            layer.lazy_initialization(keys, values)
        layer.keys[:, :, :used], layer.values[:, :, :used] = keys[:, :, :used], values[:, :, :used]
        layer.cumulative_length.fill_(used)
