"""The partition's routing as a router of the bridge, and greedy answers of an ensemble to rows of a data folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge import CheckpointExpert, Ensemble, FixedPrior, Prompts, Router
from toy_models.multimodal.folders import Row, images_of, read_rows
from toy_models.multimodal.towers import shown
from toy_models.multimodal.training import encoded

Array = Any
BLOCK = 128


class Routed(Router):
    """A router whose weights come with the rows: the features are the weights themselves, shape (B, K).

    Args:
        experts: K.
    """

    kind = "routed"

    def __init__(self, experts: int) -> None:
        self.experts = experts

    def prior(self, features: Any, rows: int) -> Any:
        """Return the logarithm of the weights."""
        return torch.log(torch.as_tensor(np.asarray(features), dtype=torch.float64)).T.contiguous()


def remembering(expert: CheckpointExpert) -> CheckpointExpert:
    """Let an expert read equal prompts once and fork what it read, since every routing rule asks the same of it."""
    read, held = expert.prefill, {}

    def prefill(prompts: Prompts, features: Any = None) -> Any:
        shown = None if prompts.pixel_values is None else prompts.pixel_values.numpy().tobytes()
        asked = hashlib.sha256(repr((prompts.ids, prompts.images)).encode() + (shown or b"")).digest()
        if asked not in held:
            held[asked] = read(prompts, features)
        return held[asked].fork()

    expert.prefill = prefill  # type: ignore[method-assign]
    return expert


def alone(expert: CheckpointExpert) -> Ensemble:
    """Return one model as an ensemble of one."""
    return Ensemble([expert], FixedPrior.uniform(1))


class Asked:
    """Rows of a data folder, in the tokens of an expert, with the pixels of their images read once.

    Args:
        place: the data folder.
        rows: some of its rows.
        expert: whose tokens and image sizes are used.
        seen: the image that each row shows; None is its own (another: the control of shuffled images).
    """

    def __init__(
        self, place: Path, rows: Sequence[Row], expert: CheckpointExpert, seen: Sequence[str] | None = None
    ) -> None:
        self.rows, self.expert = list(rows), expert
        self.shown = [row.image for row in rows] if seen is None else list(seen)
        self.pixels = shown(expert, place, images_of(read_rows(place)))
        size = int(expert.image_features(next(iter(self.pixels.values()))[None]).shape[1])
        both = [encoded(expert, row, size) for row in rows]
        self.ids, self.answers = [prompt for prompt, _ in both], [answer for _, answer in both]

    def __len__(self) -> int:
        return len(self.rows)

    def prompts(self, chosen: Sequence[int]) -> Prompts:
        """Return some rows as prompts."""
        return Prompts([self.ids[i] for i in chosen], torch.stack([self.pixels[self.shown[i]] for i in chosen]))

    def blocks(self, size: int = BLOCK) -> list[list[int]]:
        """Return the rows in blocks, rows of equal prompts' length together."""
        order = sorted(range(len(self)), key=lambda i: len(self.ids[i]))
        return [order[at : at + size] for at in range(0, len(order), size)]


def answer(ensemble: Ensemble, asked: Asked, weights: Array = None) -> list[str]:
    """Return greedy answers as texts, of at most as many tokens as the longest true answer.

    Args:
        ensemble: the experts with their router.
        asked: n rows.
        weights: what the router looks at, shape (n, K).
    """
    out, stop = [""] * len(asked), [asked.expert.tokenizer.eos_token_id]
    longest = max(map(len, asked.answers))
    for chosen in asked.blocks():
        looked = None if weights is None else torch.as_tensor(weights[chosen])
        made = ensemble.generate(asked.prompts(chosen), looked, greedy=True, max_new_tokens=longest, stop=stop)
        for i, tokens in zip(chosen, made.tokens, strict=True):
            out[i] = asked.expert.tokenizer.decode(tokens, skip_special_tokens=True).strip()
    return out


def by_row(rows: Sequence[Row], values: Array) -> Array:
    """Return what is known of images, in the order of :func:`images_of`, row by row: (images, ...) to (n, ...)."""
    at = {name: i for i, name in enumerate(images_of(rows))}
    return np.asarray(values)[[at[row.image] for row in rows]]


def shuffled(rows: Sequence[Row], seed: int) -> list[str]:
    """Return images of other rows, drawn as a permutation."""
    order = np.random.default_rng(seed).permutation(len(rows))
    return [rows[i].image for i in order]


def majority(train: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """Return the answer that a table of questions gives, blind to images: the most frequent one in training.

    A question that training never asked gets the most frequent answer of its task and category.
    """
    tables: tuple[dict[Any, dict[str, int]], ...] = ({}, {})
    for row in train:
        for table, key in zip(tables, (row.prompt, (row.task, row.category)), strict=True):
            counts = table.setdefault(key, {})
            counts[row.answer] = counts.get(row.answer, 0) + 1
    out = []
    for row in rows:
        counts = tables[0].get(row.prompt) or tables[1].get((row.task, row.category)) or {"": 1}
        out.append(max(sorted(counts), key=lambda text: counts[text]))
    return out
