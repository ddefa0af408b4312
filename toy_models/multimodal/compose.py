"""The data of a preset, composed from what the packages hold: a train part, a test part, and the shifted test part."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from toy_models.multimodal.fetch import fetch
from toy_models.multimodal.folders import filled, write_pictures
from toy_models.multimodal.plan import Counts, Preset, key
from toy_models.multimodal.scenes import Picture, digit, portrait, scene, shape
from toy_models.multimodal.sources import STYLES, Emoji, read_digits, read_emoji, read_shapes

# part: seed, style of the emoji, which rows of the fixed sources
PARTS = {"train": (1, "twitter", "train"), "test": (2, "twitter", "test"),
         "shifted": (2, "google", "test"), "added": (3, "google", "train")}  # fmt: skip
HELD_OUT = 397  # digits


def composed(preset: Preset, work: Path) -> dict[str, Path]:
    """Return the data folders by part, written unless they are there.

    ``shifted`` shows the canvases of ``test`` that have emoji, number for number, in the other style; ``added`` is a
    training part in that style, for an expert that comes later.

    Args:
        preset: what is wanted.
        work: the work folder.
    """
    parts = [part for part in PARTS if preset.train.portrait or part in ("train", "test")]
    place = work / f"data-{key(preset.train, preset.test, PARTS)}"
    packages = work / "packages"
    emoji = _emoji(preset, packages) if any(not (place / part).exists() for part in parts) else []

    def fill(part: str, draft: Path) -> None:
        write_pictures(draft, pictures(part, preset, emoji, packages))

    return {part: filled(place / part, partial(fill, part)) for part in parts}


def _emoji(preset: Preset, packages: Path) -> list[Emoji]:
    if not preset.train.portrait:
        return []
    return read_emoji({style: fetch(style, packages) for style in STYLES}, preset.train.emoji)


def pictures(part: str, preset: Preset, emoji: list[Emoji], packages: Path) -> Iterator[Picture]:
    """Yield the pictures of a part: emoji first, then (not in the other style) digits and shapes."""
    seed, style, split = PARTS[part]
    counts = _counts(part, preset)
    rng = np.random.default_rng(seed)
    for i in range(counts.portrait):
        yield portrait(emoji, i % len(emoji), style, rng)
    for _ in range(counts.scene):
        yield scene(emoji, rng.choice(len(emoji), int(rng.integers(2, 4)), replace=False).tolist(), style, rng)
    if counts.digit:
        images, values = read_digits()
        order = np.random.default_rng(0).permutation(len(images))
        held = order[:HELD_OUT] if split == "test" else order[HELD_OUT:]
        for i in held[: counts.digit]:
            yield digit(images[i], int(values[i]), rng)
    if counts.shape:
        for one in read_shapes(fetch("shapes", packages), split, counts.shape):
            yield shape(one, rng)


def _counts(part: str, preset: Preset) -> Counts:
    if part == "test" or part == "train":
        return preset.test if part == "test" else preset.train
    of = preset.test if part == "shifted" else preset.train
    scale = 1 if part == "shifted" else 2
    return Counts(of.portrait // scale, of.scene // scale, emoji=of.emoji)
