r"""Experts: a checkpoint as the theory sees it, a next-token law at every prefix.

A prefix z of the autoregressive schedule is a state; the expert's velocity there is
:math:`q_k(\cdot \mid z) - \delta_m` (``autoregression.next_token_velocity``). An :class:`Expert` turns prompts into a
:class:`Prefix`, which owns its key-value cache and can be stepped, read along a given text, forked and rolled back.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from ddfm_theory.arrays import positive_int
from ddfm_theory.bridge.logdomain import log_law
from ddfm_theory.bridge.prompts import Prompts
from ddfm_theory.couplings import BLOCK

Tensor = Any  # torch.Tensor
CACHED = 1 << 18  # logits that a processor keeps close while it normalizes them


class Prefix(Protocol):
    """B prefixes in an expert's eyes.

    Attributes:
        log_law: the next-token log-law at the prefixes, shape (B, V).
    """

    log_law: Tensor

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token a row, shape (B,), and return the next log-law, shape (B, V)."""

    def read(self, tokens: Tensor, block: int | None = None) -> Tensor:
        """Append tokens of shape (B, T) and return their log-likelihoods, shape (B, T), in blocks of positions."""

    def fork(self, rows: Sequence[int] | None = None) -> Prefix:
        """Return an independent copy of some rows, repeats allowed; None is all."""

    def roll_back(self, count: int) -> None:
        """Take back the last ``count`` tokens that were appended."""


class Expert(Protocol):
    """Whatever gives next-token laws over a vocabulary of tokens 0..vocabulary-1, given prompts."""

    vocabulary: int

    def prefill(self, prompts: Prompts, features: Tensor | None = None) -> Prefix:
        """Read prompts with their images (or image features computed before) and return the prefixes."""


class CheckpointExpert:
    """A Transformers model as an expert.

    Args:
        model: a causal language model, or an image-text-to-text model, in evaluation mode.
        tokenizer: the tokenizer beside it, if there is one.
        name: what messages call it.

    Raises:
        ValueError: a forward pass that lacks a keyword this needs (unknown ones would be swallowed in silence).
    """

    def __init__(self, model: Any, tokenizer: Any = None, name: str = "expert") -> None:
        self.model, self.tokenizer, self.name = model.eval(), tokenizer, name
        self._accepts = set(inspect.signature(model.forward).parameters)
        needed = {"input_ids", "attention_mask", "past_key_values", "logits_to_keep"} - self._accepts
        if needed:
            raise ValueError(f"model of {name} must accept {sorted(needed)} in its forward pass, "
                             f"{type(model).__name__} does not")  # fmt: skip
        self.vocabulary = int(model.config.get_text_config().vocab_size)

    @property
    def device(self) -> Any:
        """Return where the model lives."""
        return self.model.device

    @property
    def sees(self) -> bool:
        """Tell whether the model takes images."""
        return "pixel_values" in self._accepts

    @property
    def image_token(self) -> int | None:
        """Return the id of the image placeholder, None for a language model."""
        for name in ("image_token_id", "image_token_index"):
            if getattr(self.model.config, name, None) is not None:
                return int(getattr(self.model.config, name))
        return None

    def image_features(self, pixel_values: Tensor) -> Tensor:
        """Return what the language model sees of images (n, C, H, W): shape (n, tokens an image, width)."""
        pixels = pixel_values.to(self.device, self.model.dtype)
        with torch.no_grad():
            features = self.model.get_image_features(pixel_values=pixels).pooler_output
        return torch.stack(list(features)) if isinstance(features, (list, tuple)) else features

    def prefill(self, prompts: Prompts, features: Tensor | None = None) -> CheckpointPrefix:
        """Read prompts and return their prefixes.

        Args:
            prompts: B prompts, every placeholder written out.
            features: image features computed before by :meth:`image_features` (of an equal tower); None computes them.

        Raises:
            ValueError: a token outside the vocabulary, images for a language model, or placeholders that do not match.
        """
        self._check_ids(prompts)
        ids, mask = prompts.padded(device=self.device)
        if prompts.pixel_values is not None and features is None:
            features = self.image_features(prompts.pixel_values)
        self._check_images(prompts, features)
        inputs = {"input_ids": ids} if features is None else {"inputs_embeds": self._embed(ids, mask, features)}
        return CheckpointPrefix(self, mask, inputs)

    def _check_ids(self, prompts: Prompts) -> None:
        for b, row in enumerate(prompts.ids):
            if max(row) >= self.vocabulary:
                limit = f"in 0..{self.vocabulary - 1} for {self.name}"
                raise ValueError(f"ids must be tokens {limit}, row {b} had {max(row)}")

    def _check_images(self, prompts: Prompts, features: Tensor | None) -> None:
        if features is not None and not self.sees:
            raise ValueError(f"pixel_values must be None for {self.name}, a language model without images")
        size = 0 if features is None else int(features.shape[1])
        if features is not None and features.shape[0] != sum(prompts.images):
            raise ValueError(f"features must be of {sum(prompts.images)} images, were of {features.shape[0]}")
        for b, row in enumerate(prompts.ids):
            found, due = row.count(-1 if self.image_token is None else self.image_token), prompts.images[b] * size
            if found != due:
                raise ValueError(f"ids of row {b} must hold {due} image tokens ({self.image_token}) for "
                                 f"{prompts.images[b]} images of {size}, held {found}")  # fmt: skip

    def _embed(self, ids: Tensor, mask: Tensor, features: Tensor) -> Tensor:
        with torch.no_grad():
            embedded = self.model.get_input_embeddings()(ids)
        shown = ((ids == self.image_token) & (mask == 1))[..., None].expand_as(embedded)
        return embedded.masked_scatter(shown, features.to(embedded.device, embedded.dtype))

    def forward(self, inputs: dict[str, Tensor], mask: Tensor, cache: Any, keep: int) -> tuple[Tensor, Any]:
        """Run the model over new inputs behind a cache: the last ``keep`` positions' logits and the longer cache."""
        width = next(iter(inputs.values())).shape[1]
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -width:]
        extra = {"position_ids": positions} if "position_ids" in self._accepts else {}
        with torch.no_grad():
            out = self.model(**inputs, **extra, attention_mask=mask, past_key_values=cache, use_cache=True,
                             logits_to_keep=keep)  # fmt: skip
        return out.logits, out.past_key_values


class CheckpointPrefix:
    """Prefixes with the key-value cache of one :class:`CheckpointExpert`.

    Args:
        expert: the expert.
        mask: attention mask of the prompts, shape (B, L).
        inputs: the prompts as the model takes them, ``input_ids`` (B, L) or ``inputs_embeds`` (B, L, width).
    """

    def __init__(self, expert: CheckpointExpert, mask: Tensor, inputs: dict[str, Tensor]) -> None:
        self.expert, self.mask = expert, mask
        self.tokens = torch.empty((mask.shape[0], 0), dtype=torch.long, device=mask.device)
        logits, self.cache = expert.forward(inputs, mask, None, 1)
        self.log_law = self._at_prompt = log_law(logits[:, -1])

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
            found += [_at(self.log_law, chunk[:, 0])[:, None], _likelihoods(logits[:, :-1], chunk[:, 1:])]
            self.log_law = log_law(logits[:, -1])
        return torch.cat(found, dim=1) if found else self.log_law[:, :0]

    def _extend(self, tokens: Tensor, keep: int) -> Tensor:
        if tuple(tokens.shape[:1]) != (len(self),):
            raise ValueError(f"tokens must have one row a prefix, {len(self)}, had {tokens.shape[0]}")
        tokens = tokens.to(self.mask.device)
        self.mask = torch.cat([self.mask, torch.ones_like(tokens)], dim=1)
        self.tokens = torch.cat([self.tokens, tokens], dim=1)
        logits, self.cache = self.expert.forward({"input_ids": tokens}, self.mask, self.cache, keep)
        return logits

    def fork(self, rows: Sequence[int] | None = None) -> CheckpointPrefix:
        """Return an independent copy of some rows, repeats allowed; None is all."""
        index = torch.as_tensor(range(len(self)) if rows is None else list(rows), device=self.mask.device).long()
        out = copy.copy(self)
        out.cache = copy.copy(self.cache)
        out.cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        out.cache.batch_select_indices(index)
        for name in ("mask", "tokens", "log_law", "_at_prompt"):
            setattr(out, name, getattr(self, name)[index])
        return out

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


def _at(law: Tensor, tokens: Tensor) -> Tensor:
    return law.gather(-1, tokens[..., None])[..., 0]


def _likelihoods(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-likelihoods of tokens (B, T) under logits (B, T, V), on a CPU a few rows at a time."""
    rows, flat = logits.flatten(0, 1), tokens.flatten()
    step = max(1, CACHED // rows.shape[1]) if rows.device.type == "cpu" else max(1, len(flat))
    found = [_row_likelihoods(rows[a : a + step], flat[a : a + step]) for a in range(0, len(flat), step)]
    return torch.cat([*found, rows.new_empty(0, dtype=torch.float32)]).unflatten(0, tuple(tokens.shape))


def _row_likelihoods(logits: Tensor, tokens: Tensor) -> Tensor:
    wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    return _at(wide, tokens) - torch.logsumexp(wide, dim=-1)
