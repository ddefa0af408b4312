"""Prefixes of a checkpoint with a key-value cache that grows by every token."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from ddfm_theory.arrays import positive_int
from ddfm_theory.bridge.logdomain import log_law, log_likelihoods
from ddfm_theory.couplings import BLOCK

Tensor = Any  # torch.Tensor
_BY_ROW = ("mask", "tokens", "log_law", "_at_prompt")


def positions(mask: Tensor) -> Tensor:
    """Return each entry's position in its row, padding left out: (B, L) to (B, L)."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


class CheckpointPrefix:
    """Prefixes with the key-value cache of one checkpoint.

    Args:
        expert: the :class:`CheckpointExpert <ddfm_theory.bridge.CheckpointExpert>`.
        mask: attention mask of the prompts, shape (B, L).
        inputs: the prompts as the model takes them, ``input_ids`` (B, L) or ``inputs_embeds`` (B, L, width).
    """

    def __init__(self, expert: Any, mask: Tensor, inputs: dict[str, Tensor]) -> None:
        self.expert, self.mask, self.prompt_width = expert, mask, int(mask.shape[1])
        self.tokens = torch.empty((mask.shape[0], 0), dtype=torch.long, device=mask.device)
        self.log_law = self._at_prompt = log_law(self._prefill(inputs)[:, -1])

    def _prefill(self, inputs: dict[str, Tensor]) -> Tensor:
        logits, self.cache = self.expert.forward(inputs, self.mask, positions(self.mask), None, 1)
        return logits

    def __len__(self) -> int:
        return int(self.mask.shape[0])

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token a row, shape (B,), and return the next log-law, shape (B, V)."""
        self.log_law = log_law(self._extend(tokens[:, None], 1)[:, -1])
        return self.log_law

    def read(self, tokens: Tensor, block: int | None = None) -> Tensor:
        """Append tokens of shape (B, T) and return their log-likelihoods, shape (B, T).

        Args:
            tokens: what comes; past a row's end anything may stand, since no earlier position sees it.
            block: positions whose logits are held at a time; None bounds them by ``couplings.BLOCK`` entries.
        """
        size = block or max(1, BLOCK // (len(self) * self.expert.vocabulary))
        tokens, found = tokens.to(self.mask.device), []
        for start in range(0, tokens.shape[1], size):
            chunk = tokens[:, start : start + size]
            logits = self._extend(chunk, chunk.shape[1])
            found += [self.log_law.gather(1, chunk[:, :1]), self._likelihoods(logits[:, :-1], chunk[:, 1:])]
            self.log_law = log_law(logits[:, -1])
        return torch.cat(found, dim=1) if found else self.log_law[:, :0]

    def _likelihoods(self, logits: Tensor, tokens: Tensor) -> Tensor:
        return log_likelihoods(logits, tokens)

    def _extend(self, tokens: Tensor, keep: int) -> Tensor:
        self._check_rows(tokens)
        tokens = tokens.to(self.mask.device)
        self.mask = torch.cat([self.mask, torch.ones_like(tokens)], dim=1)
        self.tokens = torch.cat([self.tokens, tokens], dim=1)
        at = positions(self.mask)[:, -tokens.shape[1] :]
        logits, self.cache = self.expert.forward({"input_ids": tokens}, self.mask, at, self.cache, keep)
        return logits

    def _check_rows(self, tokens: Tensor) -> None:
        self.expert.check_length(self.prompt_width + self.tokens.shape[1] + tokens.shape[1])
        if tuple(tokens.shape[:1]) != (len(self),):
            raise ValueError(f"tokens must have one row a prefix, {len(self)}, had {tokens.shape[0]}")

    def fork(self, rows: Sequence[int] | None = None) -> CheckpointPrefix:
        """Return an independent copy of some rows, repeats allowed; None is all."""
        index = torch.as_tensor(range(len(self)) if rows is None else list(rows), device=self.mask.device).long()
        out = copy.copy(self)
        out._select(index)
        for name in _BY_ROW:
            setattr(out, name, getattr(self, name)[index])
        return out

    def _select(self, index: Tensor) -> None:
        self.cache = copy.copy(self.cache)
        self.cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        self.cache.batch_select_indices(index)

    def join(self, other: CheckpointPrefix) -> None:
        """Take in the rows of another prefix of the same expert and length, behind one's own.

        Raises:
            ValueError: another expert's, or of other lengths.
        """
        if other.expert is not self.expert or [x.shape[1] for x in (self.mask, self.tokens)] != [
            x.shape[1] for x in (other.mask, other.tokens)
        ]:
            raise ValueError(f"other must be a prefix of {self.expert.name} of {self.tokens.shape[1]} tokens behind "
                             f"prompts as wide, had {other.tokens.shape[1]}")  # fmt: skip
        self._merge(other)
        for name in _BY_ROW:
            setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))

    def _merge(self, other: CheckpointPrefix) -> None:
        for mine, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            mine.keys = torch.cat([mine.keys, theirs.keys])
            mine.values = torch.cat([mine.values, theirs.values])

    def roll_back(self, count: int) -> None:
        """Take back the last ``count`` tokens; the law is the prompt's, or computed again from the last token left.

        Raises:
            ValueError: more tokens than were appended.
        """
        count = positive_int(count, "count", 0, int(self.tokens.shape[1]))
        left = int(self.tokens.shape[1]) - count
        if count == 0:
            return
        last = self.tokens[:, left - 1 : left]
        self._crop(count if left == 0 else count + 1)
        if left:
            self.step(last[:, 0])
        else:
            self.log_law = self._at_prompt

    def _crop(self, count: int) -> None:
        self.cache.crop(-count)
        self.mask, self.tokens = self.mask[:, :-count], self.tokens[:, :-count]
