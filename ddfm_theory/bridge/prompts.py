"""Prompts: the condition c of every statement, a ragged batch of token ids and the images that they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

Tensor = Any  # torch.Tensor


class Prompts:
    """A batch of prompts of unlike lengths, padded on the left, with images in the order of their placeholders.

    Args:
        ids: B rows of token ids, image placeholders written out, each row nonempty.
        pixel_values: images (n, channels, height, width), the rows' images one after the other; None is text alone.
        images: images a row, B counts that sum to n; None is one a row.

    Raises:
        ValueError: an empty batch or row, negative ids, or counts that do not match the images.
    """

    def __init__(
        self, ids: Sequence[Sequence[int]], pixel_values: Tensor | None = None, images: Sequence[int] | None = None
    ) -> None:
        self.ids = [[int(token) for token in row] for row in ids]
        self.pixel_values = pixel_values
        self.images = _counts(len(self.ids), pixel_values, images)
        for b, row in enumerate(self.ids):
            if not row or min(row) < 0:
                raise ValueError(f"ids must be nonempty rows of tokens at least 0, row {b} was {row[:8]}")
        if not self.ids:
            raise ValueError("ids must hold at least one prompt, was empty")

    def __len__(self) -> int:
        return len(self.ids)

    def padded(self, pad: int = 0, device: Any = "cpu") -> tuple[Tensor, Tensor]:
        """Return ids and attention mask, shape (B, L), padded on the left."""
        width = max(len(row) for row in self.ids)
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in self.ids], device=device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in self.ids], device=device)
        return ids, mask

    def select(self, rows: Sequence[int]) -> Prompts:
        """Return some of the prompts with their images, in the order given."""
        ids, counts = [self.ids[b] for b in rows], [self.images[b] for b in rows]
        if self.pixel_values is None:
            return Prompts(ids)
        return Prompts(ids, self.pixel_values[self.image_rows(rows)], counts)

    def image_rows(self, rows: Sequence[int]) -> list[int]:
        """Return the indices of the images that some rows show."""
        starts = np.concatenate([[0], np.cumsum(self.images)])
        return [int(i) for b in rows for i in range(starts[b], starts[b + 1])]

    def without_images(self) -> Prompts:
        """Return the same ids without their images."""
        return Prompts(self.ids)


def _counts(rows: int, pixel_values: Tensor | None, images: Sequence[int] | None) -> list[int]:
    if pixel_values is None:
        if images is not None and any(images):
            raise ValueError(f"images must be zero without pixel_values, was {list(images)}")
        return [0] * rows
    if pixel_values.ndim != 4:
        raise ValueError(f"pixel_values must have shape (n, channels, height, width), was {tuple(pixel_values.shape)}")
    counts = [1] * rows if images is None else [int(count) for count in images]
    if len(counts) != rows or min(counts, default=0) < 0 or sum(counts) != pixel_values.shape[0]:
        raise ValueError(f"images must be {rows} counts that sum to {pixel_values.shape[0]} images, was {counts}")
    return counts
