"""``ddfm check`` on the trained experts of a work folder: conformance, distance to the dense model, calibration.

What the command is given are folders and a file, as anyone has them: the checkpoints, some test rows that name the
expert whose shard they belong to, the tower as the encoder that a router looks through, and routers. Those are

============  =========================================================================================================
``filter``    the exact filter from even weights (the command's own, without ``--router``)
``argmax``    the paper's rule: the nearest of the shards' mean directions in the encoder's space
``soft``      a softmax of the cosines to these, the same at every token: no filter, so that C10 must fail (a control)
============  =========================================================================================================
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge import CosineRouter, PaperRouter, load_expert
from ddfm_theory.bridge.commands import Summary, check_checkpoints
from ddfm_theory.bridge.data import Pixels, image_embeddings, read_items
from ddfm_theory.bridge.router_files import save_router
from ddfm_theory.files import write_whole
from toy_models.multimodal.evaluation import label_rule, some
from toy_models.multimodal.experiment import circumstances
from toy_models.multimodal.folders import filled, images_of
from toy_models.multimodal.plan import Preset, Variant
from toy_models.multimodal.terms import unit
from toy_models.multimodal.units import Run

Array = Any
Say = Callable[[str], Any]
ROUTERS, CONTROL, BLOCK = ("filter", "argmax"), "soft", 64
FEWER = 2  # of the images that routing rules are compared on, each second


@dataclass(frozen=True)
class Checks:
    """The checks of a run whose checkpoints are there."""

    run: Run

    @property
    def place(self) -> Path:
        """Return the folder of what is written for the command."""
        return self.run.work / "check"

    @cached_property
    def encoder(self) -> Path:
        """Return the start checkpoint's tower as a checkpoint of its own."""
        start = self.run.start
        return filled(self.place / f"encoder-{start.name}",
                      lambda draft: load_expert(start).model.model.vision_tower.save_pretrained(draft))  # fmt: skip

    @cached_property
    def embedded(self) -> Array:
        """Return the training images in the encoder's space, at length one: shape (n, D)."""
        from transformers import AutoModel

        model = AutoModel.from_pretrained(self.encoder, local_files_only=True).eval()
        how, place = Pixels(model.config.image_size, "crop"), self.run.data["train"]
        files = [place / name for name in images_of(self.run.rows("train"))]
        blocks = [
            torch.stack([how.read(file) for file in files[at : at + BLOCK]]) for at in range(0, len(files), BLOCK)
        ]
        return unit(torch.cat([image_embeddings(model, block) for block in blocks]))

    def router(self, name: str, variant: Variant, seed: int) -> Path | None:
        """Return a router's folder; the filter from even weights has none."""
        if name == "filter":
            return None
        labels = np.asarray(self.run.partition(variant, seed).labels)
        centers = unit([self.embedded[labels == k].mean(axis=0) for k in range(variant.experts)])
        made = PaperRouter(centers) if name == "argmax" else CosineRouter(centers, self.run.preset.temperature)
        return filled(
            self.place / f"{name}-{self.run.parts(variant, seed).name}", lambda draft: save_router(made, draft)
        )

    def rows(self, variant: Variant, seed: int) -> Path:
        """Return the file of test rows, those of the longest answers first: a first token alone shows no filter."""
        run, place = self.run, self.place / f"{self.run.parts(variant, seed).name}.jsonl"
        partition, above = run.partition(variant, seed), os.path.relpath(run.data["test"], self.place)
        own = partition.assign(run.features(variant.encoder, "test"), rule=label_rule(partition)).tolist()
        expert = dict(zip(images_of(run.rows("test")), own, strict=True))
        kept = set(images_of(some(run, "test"))[::FEWER])
        rows = [row for row in some(run, "test") if row.image in kept]
        rows.sort(key=lambda row: -len(row.answer.split()))
        lines = [{"id": row.id, "image": f"{above}/{row.image}", "prompt": row.prompt, "answer": row.answer,
                  "expert": expert[row.image]} for row in rows]  # fmt: skip
        write_whole(place, "".join(json.dumps(line) + "\n" for line in lines))
        return place

    def found(self, name: str, variant: Variant, seed: int, say: Say) -> dict[str, Any]:
        """Return what the command finds of an ensemble, taken up where it was left; the control has no dense model."""
        begun = time.perf_counter()
        folders, rows = [self.run.model(variant, seed, k) for k in range(variant.experts)], self.rows(variant, seed)
        dense = None if name == CONTROL else self.run.model(None, seed)
        router = self.router(name, variant, seed)
        summary: Summary = check_checkpoints(
            folders, rows, dense=dense, router=router, encoder=router and self.encoder, batch=32,
            out=self.place / f"{name}-{self.run.parts(variant, seed).name}.out.jsonl", say=say)  # fmt: skip
        return {"experts": variant.experts, "seed": seed, "router": name, "rows": summary.items,
                "words": len(read_items(rows)[0].answer.split()),
                "records": [asdict(record) for record in summary.records], "distance": summary.distance,
                "calibration": summary.calibration, "seconds": time.perf_counter() - begun}  # fmt: skip


def due(preset: Preset) -> Iterator[tuple[str, Variant, int]]:
    """Yield the ensembles that are checked, by router, variant (two experts; as many as the base has) and seed."""
    for variant in dict.fromkeys(replace(preset.base, experts=k) for k in (2, preset.base.experts)):
        for seed in preset.seeds:
            for name in ROUTERS:
                yield name, variant, seed
    yield CONTROL, preset.base, preset.seeds[0]


def checked(run: Run, say: Say) -> dict[str, Any]:
    """Return what is found of every ensemble of a run; checkpoints that are not there are trained."""
    checks = Checks(run)
    checks.place.mkdir(parents=True, exist_ok=True)
    return {**circumstances(run.preset, run.device),
            "ensembles": [checks.found(*one, say) for one in due(run.preset)]}  # fmt: skip


def broken(one: dict[str, Any]) -> set[str]:
    """Return the checks that must fail of an ensemble: none but the control's; at a first token routers are priors."""
    later = {"factorization"} if one["words"] > 1 else set()
    return {"filter against posterior", *later} if one["router"] == CONTROL else set()


def wrong(found: dict[str, Any]) -> list[str]:
    """Return what is not as the theory says: a check that fails, or one of the control's that does not."""
    return [f"{one['router']}, K = {one['experts']}, seed {one['seed']}: {record['name']} {record['outcome']}"
            for one in found["ensembles"] for record in one["records"]
            if (record["outcome"] == "fails") != (record["name"] in broken(one))]  # fmt: skip
