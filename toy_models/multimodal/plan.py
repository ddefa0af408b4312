"""Presets, and the names of units of work: each is kept in the work folder under what it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from toy_models.multimodal.models import Shape
from toy_models.multimodal.training import Settings


@dataclass(frozen=True)
class Counts:
    """Images of each group, and emoji of each category."""

    portrait: int = 0
    scene: int = 0
    digit: int = 0
    shape: int = 0
    emoji: int = 8


@dataclass(frozen=True)
class Variant:
    """How experts come to be: image encoder, clustering, number of experts."""

    encoder: str = "dinov2"
    method: str = "balanced"
    experts: int = 4


@dataclass(frozen=True)
class Preset:
    """What a run does.

    Attributes:
        train: images to train on.
        test: images to test on; in the other style they are the shifted test set.
        shape: of the model.
        start: how the start checkpoint is trained, on everything.
        language: a pretrained language model, ``smollm2``; none is one of the shape's own.
        dense: how the dense model is trained further; K experts take steps / K each.
        seeds: of partitions and orders of data, shared by dense model and experts.
        base: the variant that is looked at closely.
        ablations: by name, further variants.
        longer: by how much longer dense model and base variant are trained too, to see whether the gap closes.
        temperature: of soft cosine routing.
        every: of the test images, each so-manieth is used where laws and routing rules are compared.
    """

    train: Counts
    test: Counts
    shape: Shape
    start: Settings
    dense: Settings
    seeds: tuple[int, ...]
    base: Variant
    ablations: dict[str, tuple[Variant, ...]] = field(default_factory=dict)
    temperature: float = 0.05
    every: int = 3
    language: str = ""
    longer: tuple[int, ...] = ()

    @property
    def dynamic(self) -> bool:
        """Tell whether experts are dropped and added, too."""
        return bool(self.ablations)

    def times(self, factor: int) -> Preset:
        """Return the dense model and the base variant alone, at a multiple of the steps."""
        dense = replace(self.dense, steps=factor * self.dense.steps)
        return replace(self, dense=dense, ablations={}, longer=())

    def variants(self) -> list[Variant]:
        """Return every variant once, the base first."""
        others = [variant for group in self.ablations.values() for variant in group]
        return [v for v in dict.fromkeys([self.base, *others]) if v.experts > 1]

    def share(self, experts: int, seed: int) -> Settings:
        """Return how one of K experts is trained: at the dense batch, a K-th of the dense steps."""
        return replace(self.dense, steps=max(1, round(self.dense.steps / experts)), seed=seed)


def _ablations(base: Variant, experts: tuple[int, ...], encoders: tuple[str, ...], methods: tuple[str, ...]) -> Any:
    return {"experts": tuple(replace(base, experts=k) for k in experts),
            "encoder": tuple(replace(base, encoder=name) for name in encoders),
            "clustering": tuple(replace(base, method=name) for name in methods)}  # fmt: skip


BASE = Variant()
DIGITS = Variant("pixels", "balanced", 2)
PRESETS = {
    "smoke": Preset(
        train=Counts(digit=96), test=Counts(digit=24), shape=Shape(32, 2, 48, 2, "clip", 32, 1, 12),
        start=Settings(steps=12, batch=16, rate=5e-3), dense=Settings(steps=8, batch=16, rate=2e-3),
        seeds=(0, 1), longer=(2,), base=DIGITS,
        ablations=_ablations(DIGITS, (1, 2), ("pixels", "colors"), ("balanced",)), every=1,
    ),
    "small": Preset(
        train=Counts(1080, 1080, 1000, 800, 3), test=Counts(108, 108, 100, 100, 3), shape=Shape(96, 2, 256, 4),
        start=Settings(steps=700, rate=1e-3, frozen=True), dense=Settings(steps=288, rate=1e-3, frozen=True),
        seeds=(0, 1, 2), longer=(4,),
        base=BASE,
        ablations=_ablations(BASE, (1, 2, 4, 8), ("dinov2", "random-vit", "pixels", "colors"),
                             ("balanced", "two-stage", "euclidean-balanced", "random")),
    ),
    "smollm2": Preset(
        train=Counts(1080, 1080, 1000, 800, 3), test=Counts(18, 18, 20, 20, 3),
        shape=Shape(576, 30, 1536, 9), language="smollm2",
        start=Settings(steps=160, batch=16, rate=4e-4, save_every=40, frozen=True),
        dense=Settings(steps=48, batch=16, rate=2e-4, width=39, save_every=40, frozen=True),  # the longest row's
        seeds=(0, 1, 2), base=Variant(experts=2), every=4,
    ),
    "full": Preset(
        train=Counts(7200, 7200, 1400, 4000, 24), test=Counts(432, 432, 397, 500, 24),
        shape=Shape(576, 30, 1536, 9), language="smollm2",
        start=Settings(steps=400, batch=64, rate=1e-4), dense=Settings(steps=1600, batch=64, rate=5e-5),
        seeds=(0, 1, 2), base=BASE,
        ablations=_ablations(BASE, (1, 2, 4, 8), ("dinov2", "random-vit", "pixels", "colors"),
                             ("balanced", "two-stage", "euclidean-balanced", "random")),
    ),
}  # fmt: skip


def key(*parts: Any) -> str:
    """Return a short name of what a unit depends on: equal parts, equal name."""
    text = json.dumps([asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in parts], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def jobs(preset: Preset) -> Iterator[tuple[int, Variant | None, int | None]]:
    """Yield every training after the start: seed, variant (None: the dense model), shard; the longest first."""
    for seed in preset.seeds:
        yield seed, None, None
    for variant in sorted(preset.variants(), key=lambda v: v.experts):
        for seed in preset.seeds:
            for shard in range(variant.experts):
                yield seed, variant, shard
