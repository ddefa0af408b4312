r"""Experts: a checkpoint as the theory sees it, a next-token law at every prefix.

A prefix z of the autoregressive schedule is a state; the expert's velocity there is
:math:`q_k(\cdot \mid z) - \delta_m` (``autoregression.next_token_velocity``). An :class:`Expert` turns prompts into a
:class:`Prefix`, which owns its key-value cache and can be stepped, read along a given text, forked and rolled back.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from ddfm_theory.bridge.prefixes import CheckpointPrefix
from ddfm_theory.bridge.prompts import Prompts
from ddfm_theory.bridge.static_cache import StaticPrefix

Tensor = Any  # torch.Tensor
CACHES = {"dynamic": CheckpointPrefix, "static": StaticPrefix}


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

    def join(self, other: Any) -> None:
        """Take in the rows of another prefix of the same expert and length, behind one's own."""

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
        cache: ``dynamic`` grows with every token; ``static`` holds room in advance, and on a GPU a step is one compiled
            CUDA graph, see ``static_cache``.

    Raises:
        ValueError: a forward pass that lacks a keyword this needs (unknown ones would be swallowed in silence), or no
            such cache.
    """

    def __init__(self, model: Any, tokenizer: Any = None, name: str = "expert", cache: str = "dynamic") -> None:
        if cache not in CACHES:
            raise ValueError(f"cache must be one of {sorted(CACHES)}, was {cache!r}")
        self.model, self.tokenizer, self.name, self.cache = model.eval(), tokenizer, name, cache
        self.stepper: Any = None  # what runs one token behind a static cache
        self.spare_caches: list[Any] = []
        self.reads: Any = None  # how the checkpoint's own processor reads images, an ``images.Processed``
        self._accepts = set(inspect.signature(model.forward).parameters)
        needed = {"input_ids", "attention_mask", "past_key_values", "logits_to_keep"} - self._accepts
        if needed:
            raise ValueError(f"model of {name} must accept {sorted(needed)} in its forward pass, "
                             f"{type(model).__name__} does not")  # fmt: skip
        text = model.config.get_text_config()
        self.vocabulary = int(text.vocab_size)
        rotary = getattr(text, "rope_parameters", None) or getattr(text, "rope_theta", None)
        self.context = None if rotary else getattr(text, "max_position_embeddings", None)

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
            ValueError: a token outside the vocabulary, a prompt longer than the model has positions for, images for a
                language model, or placeholders that do not match.
        """
        self._check_ids(prompts)
        self.check_length(max(len(row) for row in prompts.ids))
        ids, mask = prompts.padded(device=self.device)
        if prompts.pixel_values is not None and features is None:
            features = self.image_features(prompts.pixel_values)
        self._check_images(prompts, features)
        inputs = {"input_ids": ids} if features is None else {"inputs_embeds": self._embed(ids, mask, features)}
        return CACHES[self.cache](self, mask, inputs)

    def check_length(self, length: int) -> None:
        """Check that positions 0..length-1 have their embeddings, where positions are learned one by one.

        Raises:
            ValueError: they have not.
        """
        if self.context is not None and length > self.context:
            raise ValueError(f"prompt and text must be at most {self.context} tokens for {self.name}, were {length}")

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

    def forward(
        self, inputs: dict[str, Tensor], mask: Tensor, positions: Tensor, cache: Any, keep: int, call: Any = None
    ) -> tuple[Tensor, Any]:
        """Run the model over new inputs behind a cache: the last ``keep`` positions' logits and the longer cache.

        Args:
            inputs: as the model takes them.
            mask: which positions of the cache and of the inputs are real.
            positions: of the inputs, shape (B, T).
            cache: what came before, or None.
            keep: how many positions' logits.
            call: the compiled model; None is the model.
        """
        extra = {"position_ids": positions} if "position_ids" in self._accepts else {}
        with torch.no_grad():
            out = (call or self.model)(**inputs, **extra, attention_mask=mask, past_key_values=cache, use_cache=True,
                                       logits_to_keep=keep)  # fmt: skip
        return out.logits, out.past_key_values
