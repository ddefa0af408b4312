"""A frozen tower is run once an image: its outputs stand in for the pixels, and only the projector sees them anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge import CheckpointExpert, load_expert
from ddfm_theory.bridge.data import Pixels

Tensor = Any  # torch.Tensor
Array = Any
BLOCK, OUTPUTS = 64, "tower.npy"


class FrozenTower(CheckpointExpert):
    """An expert whose images come as its tower's patch features, (n, width, rows, columns), in place of pixels."""

    def image_features(self, pixel_values: Tensor) -> Tensor:
        """Return the projected patch features: (n, width, rows, columns) to (n, rows * columns, width of the text)."""
        patches = pixel_values.to(self.device, self.model.dtype).flatten(2).transpose(1, 2)
        with torch.no_grad():
            return self.model.model.multi_modal_projector(patches)


def load(path: Path, frozen: bool, device: str = "cpu") -> CheckpointExpert:
    """Load a checkpoint as an expert that takes pixels, or its frozen tower's outputs."""
    found = load_expert(path, device=device)
    return FrozenTower(found.model, found.tokenizer, found.name) if frozen else found


def outputs(expert: CheckpointExpert, place: Path, names: Sequence[str]) -> Array:
    """Return a tower's last hidden states of image files, the class token first: float32 (n, 1 + patches, width)."""
    how, tower, found = Pixels.of(expert), expert.model.model.vision_tower, []
    for at in range(0, len(names), BLOCK):
        pixels = torch.stack([how.read(place / name) for name in names[at : at + BLOCK]]).to(expert.device)
        with torch.no_grad():
            found.append(tower(pixels, output_hidden_states=True).hidden_states[-1].float().cpu().numpy())
    return np.concatenate(found)


def as_pixels(hidden: Array) -> Tensor:
    """Return hidden states as :class:`FrozenTower` takes them: (n, 1 + side^2, width) to (n, width, side, side)."""
    patches = torch.from_numpy(np.ascontiguousarray(hidden[:, 1:])).transpose(1, 2)
    side = round(patches.shape[2] ** 0.5)
    return patches.unflatten(2, (side, side))


def standardize(expert: CheckpointExpert, hidden: Array) -> None:
    """Fold into the projector's first layer that its inputs get mean zero and deviation one on some hidden states.

    A pretrained tower's outputs have a few dimensions that outweigh all others; a projector with random weights would
    see little else.
    """
    patches = torch.from_numpy(hidden[:, 1:]).flatten(0, 1).double()
    first = expert.model.model.multi_modal_projector.linear_1
    with torch.no_grad():
        weight = first.weight.double() / patches.std(0)
        first.bias.copy_(first.bias.double() - weight @ patches.mean(0))
        first.weight.copy_(weight)


def shown(expert: CheckpointExpert, place: Path, names: Sequence[str]) -> dict[str, Tensor]:
    """Return what an expert takes as the pixels of images: pixels, or what stands in for them.

    Args:
        expert: of pixels, or with a frozen tower.
        place: the data folder; a file ``tower.npy`` in it holds the tower's outputs, in the order of ``names``.
        names: every image of the folder, each once.
    """
    if not isinstance(expert, FrozenTower):
        how = Pixels.of(expert)
        return {name: how.read(place / name) for name in names}
    file = place / OUTPUTS
    hidden = np.load(file, allow_pickle=False) if file.exists() else outputs(expert, place, names)
    return dict(zip(names, as_pixels(hidden), strict=True))
