"""What images are clustered and routed by: features of shape (n, D), one row an image.

==============  =====================================================================================
``dinov2``      the class token of a pretrained ViT-S/14, the model's own tower: see :mod:`.towers`
``random-vit``  the pooled output of a CLIP tower with random weights
``pixels``      the canvas at 12 x 12 pixels, less one half
``colors``      square roots of a histogram of 4 x 4 x 4 colors
==============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from ddfm_theory.bridge.data import CLIP

Array = Any
BLOCK = 64


def features(name: str, images: Array) -> Array:
    """Return an encoder's features, float32 of shape (n, D).

    Args:
        name: one of ``ENCODERS``.
        images: uint8 of shape (n, side, side, 3).

    Raises:
        ValueError: an unknown encoder.
    """
    if name not in ENCODERS:
        raise ValueError(f"encoder must be one of {sorted(ENCODERS)}, was {name!r}")
    encode = ENCODERS[name]()
    blocks = [encode(images[at : at + BLOCK]) for at in range(0, len(images), BLOCK)]
    return np.concatenate(blocks).astype(np.float32)


def random_vit() -> Callable[[Array], Array]:
    """Return a CLIP tower with weights drawn from seed 0, 48 pixels in patches of 8."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(hidden_size=192, intermediate_size=768, num_hidden_layers=4, num_attention_heads=3,
                              image_size=48, patch_size=8)  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPVisionModel(config).eval()

    def encode(images: Array) -> Array:
        with torch.no_grad():
            return model(normalized(images, 48, *CLIP)).pooler_output.numpy()

    return encode


def pixels() -> Callable[[Array], Array]:
    """Return the pixels themselves, at 12 x 12, less one half."""
    return lambda images: resized(images, 12).reshape(len(images), -1) - 0.5


def colors() -> Callable[[Array], Array]:
    """Return square roots of color histograms, whose cosine is the histograms' affinity."""

    def encode(images: Array) -> Array:
        bins = (images.astype(np.int64) // 64) @ np.array([16, 4, 1])
        counts = np.stack([np.bincount(image.ravel(), minlength=64) for image in bins])
        return np.sqrt(counts / counts.sum(axis=1, keepdims=True))

    return encode


ENCODERS: dict[str, Callable[[], Callable[[Array], Array]]] = {
    "random-vit": random_vit, "pixels": pixels, "colors": colors,
}  # fmt: skip


def resized(images: Array, side: int) -> Array:
    """Return images at another side by Pillow's bicubic filter, float32 in 0..1."""
    if images.shape[1:3] != (side, side):
        images = np.stack([np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC))
                           for one in images])  # fmt: skip
    return images.astype(np.float32) / 255


def normalized(images: Array, side: int, mean: Array, deviation: Array) -> Any:
    """Return images as a model takes them, float32 of shape (n, 3, side, side)."""
    values = (resized(images, side) - np.array(mean, np.float32)) / np.array(deviation, np.float32)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))
