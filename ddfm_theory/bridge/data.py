"""Data: JSON lines of image, prompt and answer, turned into tokens and pixels with Pillow and NumPy alone.

A row is ``{"id": ..., "image": "path", "prompt": "...", "answer": "..."}``; without ``image`` it is text alone, without
``id`` it goes by its line's number; ``expert``, an index, may say whose row it is, for the router's calibration. A
missing image, a repeated id or a row without prompt or answer is refused, never dropped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge.extras import need
from ddfm_theory.bridge.images import CLIP, IMAGENET, Processed, opened, shown, with_placeholders
from ddfm_theory.bridge.prompts import Prompts
from ddfm_theory.bridge.text_files import lines_of

Tensor = Any  # torch.Tensor
FITS = ("stretch", "crop", "pad")


@dataclass(frozen=True)
class Item:
    """One row of data: its id, its image's path or None, prompt and answer, and the expert it belongs to or None."""

    key: str
    image: Path | None
    prompt: str
    answer: str
    expert: int | None = None


def read_items(place: Any) -> list[Item]:
    """Read JSON lines; image paths are relative to the file's folder.

    Raises:
        ValueError: a line that is no such row, a repeated id, an image that is not there, or no rows.
    """
    file, out, seen = Path(place), [], set()
    for number, line in lines_of(file, "data"):
        item = _item(line, number, file)
        if item.key in seen:
            raise ValueError(f"ids of {file} must stand once each, {item.key!r} of line {number} stood before")
        seen.add(item.key)
        out.append(item)
    if not out:
        raise ValueError(f"data must hold at least one row, {file} held none")
    return out


def _item(line: str, number: int, file: Path) -> Item:
    try:
        row = json.loads(line)
        prompt, answer = row["prompt"], row["answer"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"line {number} of {file} must be JSON with prompt and answer: {error!r}") from error
    if not isinstance(prompt, str) or not isinstance(answer, str):
        raise ValueError(f"prompt and answer of line {number} of {file} must be texts, were {prompt!r} and {answer!r}")
    image = None if row.get("image") is None else file.parent / str(row["image"])
    if image is not None and not image.is_file():
        raise ValueError(f"image of line {number} of {file} must be there, {image} was not")
    expert = row.get("expert")
    if expert is not None and (isinstance(expert, bool) or not isinstance(expert, int) or expert < 0):
        raise ValueError(f"expert of line {number} of {file} must be an index from 0, was {expert!r}")
    return Item(str(row.get("id", number)), image, prompt, answer, expert)


@dataclass(frozen=True)
class Pixels:
    """How an image becomes an array without a processor's file: a square side, a fit, mean and deviation a channel.

    Attributes:
        side: pixels.
        fit: ``stretch`` both sides, ``crop`` the middle square of the shorter side, or ``pad`` to a square about the
            middle with the mean color.
        mean: a channel, of values in 0..1.
        deviation: a channel.
    """

    side: int
    fit: str = "stretch"
    mean: tuple[float, ...] = CLIP[0]
    deviation: tuple[float, ...] = CLIP[1]

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {FITS}, was {self.fit!r}")

    @classmethod
    def of(cls, expert: Any) -> Pixels:
        """Return what a checkpoint expects: LLaVA crops, CLIP's statistics; InternVL stretches, ImageNet's."""
        vision = expert.model.config.vision_config
        side = vision.image_size if isinstance(vision.image_size, int) else vision.image_size[0]
        if expert.model.config.model_type == "internvl":
            return cls(side, "stretch", *IMAGENET)
        return cls(side, "crop", *CLIP)

    def read(self, image: Any) -> Tensor:
        """Return an image file as an array of shape (3, side, side), resized by Pillow's bicubic filter.

        Raises:
            ValueError: a file that Pillow cannot read.
        """
        picture, image_module = opened(image), need("PIL.Image")
        fitted = self._fitted(picture, image_module).resize((self.side, self.side), image_module.Resampling.BICUBIC)
        values = np.asarray(fitted, dtype=np.float32) / 255
        normal = (values - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)))

    def tiles(self, image: Any) -> Tensor:
        """Return an image file as its one tile, shape (1, 3, side, side)."""
        return self.read(image)[None]

    def _fitted(self, picture: Any, module: Any) -> Any:
        width, height = picture.size
        if self.fit == "stretch" or width == height:
            return picture
        side = min(width, height) if self.fit == "crop" else max(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        if self.fit == "crop":
            return picture.crop((left, top, left + side, top + side))
        canvas = module.new("RGB", (side, side), tuple(round(255 * value) for value in self.mean))
        canvas.paste(picture, (-left, -top))
        return canvas


def encode(
    items: Sequence[Item], expert: Any, pixels: Pixels | Processed | None = None
) -> tuple[Prompts, list[list[int]]]:
    """Return items as prompts and answers of an expert's tokens.

    An image's placeholders stand where its prompt says ``<image>``, and before the text where it does not.

    Args:
        items: B rows, all with an image or none.
        expert: whose tokenizer, image token and sizes are used.
        pixels: how images are read; None is by the checkpoint's own processor, or by :meth:`Pixels.of` without one.

    Raises:
        ValueError: an expert without tokenizer, images for some rows only, or images for a language model.
    """
    if expert.tokenizer is None:
        raise ValueError(f"expert must have a tokenizer to encode text, {expert.name} has none")
    images = [item.image for item in items if item.image is not None]
    if len(images) not in (0, len(items)):
        raise ValueError(f"items must all show an image or none, {len(images)} of {len(items)} did")
    if images and not expert.sees:
        raise ValueError(f"items must show no image to {expert.name}, a language model, {len(images)} did")
    texts = [shown(item.prompt, expert) if images else item.prompt for item in items]
    rows = [expert.tokenizer(text)["input_ids"] for text in texts]
    answers = [expert.tokenizer(item.answer, add_special_tokens=False)["input_ids"] for item in items]
    if not images:
        return Prompts(rows), answers
    how = pixels or expert.reads or Pixels.of(expert)
    tiles = [how.tiles(image) for image in images]
    size, counts = int(expert.image_features(tiles[0][:1]).shape[1]), [len(found) for found in tiles]
    rows = [with_placeholders(row, size * count, expert) for row, count in zip(rows, counts, strict=True)]
    return Prompts(rows, torch.cat(tiles), counts), answers


def image_embeddings(encoder: Any, pixel_values: Tensor) -> Tensor:
    """Return an encoder's embedding of images, what the paper routes on: (n, C, H, W) to (n, D), in float64.

    Args:
        encoder: a CLIP model (its projected image features), or any vision model with a pooled output.
        pixel_values: the images.
    """
    with torch.no_grad():
        pixels = pixel_values.to(encoder.device, encoder.dtype)
        out = encoder.get_image_features(pixels) if hasattr(encoder, "get_image_features") else encoder(pixels)
    out = out if isinstance(out, torch.Tensor) else out.pooler_output
    return out.double().cpu()
