"""``ddfm train``: one expert on its shard, or the dense model on all, from a start checkpoint; resumable to the bit.

A process opens the start checkpoint and the rows and images of its own shard, and nothing of any other. Which rows a
step sees is a function of seed and step alone, so that a killed run, taken up from its last saved step, ends with the
bytes of an uninterrupted one (on one machine, one thread, on a CPU).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from ddfm_theory.arrays import positive_int
from ddfm_theory.bridge import CheckpointExpert
from ddfm_theory.files import write_whole
from toy_models.multimodal.folders import Row, filled, images_of, read_rows, shards
from toy_models.multimodal.identity import refuse_other, rows_digest, same, weights_digest
from toy_models.multimodal.models import TOWER, write_model
from toy_models.multimodal.towers import load, shown

Tensor = Any  # torch.Tensor
Say = Callable[[str], Any]
STATE, REPORT = "state.safetensors", "training.json"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Settings:
    """How long and how.

    Attributes:
        steps: of the optimizer.
        batch: rows a step.
        rate: the highest learning rate, warmed up to, then falling to zero by half a cosine.
        warmup: its share of the steps.
        decay: of the weights.
        seed: of the rows' order.
        width: tokens that rows are padded to; zero is the longest row.
        save_every: steps between saved states.
        frozen: whether the tower stays as it is.
    """

    steps: int = 100
    batch: int = 32
    rate: float = 1e-3
    warmup: float = 0.05
    decay: float = 0.01
    seed: int = 0
    width: int = 0
    save_every: int = 100
    frozen: bool = False

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return self.rate * (step + 1) / warm
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


class Data:
    """Rows of some folders as token rows and pixels, sorted by id, so that they do not depend on how they were cut.

    Args:
        places: data folders.
        expert: whose tokenizer, image token and image sizes are used.
        width: tokens that rows are padded to; zero is the longest row.

    Raises:
        ValueError: no rows, a row longer than ``width``, or an expert without tokenizer.
    """

    def __init__(self, places: Sequence[Path], expert: CheckpointExpert, width: int = 0) -> None:
        if expert.tokenizer is None:
            raise ValueError(f"start must have a tokenizer, {expert.name} has none")
        found = sorted(((row, place) for place in places for row in read_rows(place)), key=lambda pair: pair[0].id)
        self.rows, self.places = [row for row, _ in found], [place for _, place in found]
        self.shown = {place: shown(expert, place, images_of(read_rows(place))) for place in places}
        size = int(expert.image_features(self.image(0)[None]).shape[1])
        self.tokens = [encoded(expert, row, size) for row in self.rows]
        longest = max(len(prompt) + len(answer) for prompt, answer in self.tokens)
        self.width = width or longest
        if longest > self.width:
            raise ValueError(f"width must be at least the longest row's {longest} tokens, was {self.width}")

    def image(self, i: int) -> Tensor:
        """Return what the model takes as row i's pixels."""
        return self.shown[self.places[i]][self.rows[i].image]

    def batch(self, chosen: Sequence[int]) -> dict[str, Tensor]:
        """Return rows as the model takes them: padded on the right, the loss on the answers alone."""
        ids, labels = np.zeros((len(chosen), self.width), np.int64), np.full((len(chosen), self.width), -100)
        for b, i in enumerate(chosen):
            prompt, answer = self.tokens[i]
            end = len(prompt) + len(answer)
            ids[b, :end], labels[b, len(prompt) : end] = prompt + answer, answer
        pixels = torch.stack([self.image(i) for i in chosen])
        return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels), "pixel_values": pixels}


def encoded(expert: CheckpointExpert, row: Row, size: int) -> tuple[list[int], list[int]]:
    """Return a row's prompt, its image's placeholders first, and its answer with the end token."""
    words = expert.tokenizer
    prompt = [expert.image_token] * size + words(row.prompt)["input_ids"]
    return prompt, [*words(row.answer, add_special_tokens=False)["input_ids"], words.eos_token_id]


def chosen_rows(count: int, settings: Settings, step: int) -> list[int]:
    """Return the rows of a step: the next of an endless row of shuffled epochs, a function of seed and step."""
    places = range(step * settings.batch, (step + 1) * settings.batch)
    return [int(_epoch(count, settings.seed, at // count)[at % count]) for at in places]


@cache
def _epoch(count: int, seed: int, number: int) -> np.ndarray:
    return np.random.default_rng((seed, number)).permutation(count)


class Trainer:
    """A model under training with its optimizer.

    Args:
        expert: the start checkpoint, changed in place.
        data: its rows.
        settings: how.
    """

    def __init__(self, expert: CheckpointExpert, data: Data, settings: Settings) -> None:
        self.model, self.data, self.settings = expert.model.train(), data, settings
        if settings.frozen:
            self.model.model.vision_tower.requires_grad_(False)
        self.named = {name: value for name, value in self.model.named_parameters() if value.requires_grad}
        self.optimizer = torch.optim.AdamW(self.named.values(), lr=settings.rate, weight_decay=settings.decay)
        self.done, self.losses = 0, [0.0] * settings.steps

    def step(self) -> float:
        """Take one step and return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate_at(self.done)
        rows = chosen_rows(len(self.data.rows), self.settings, self.done)
        batch = {name: value.to(self.model.device) for name, value in self.data.batch(rows).items()}
        loss = self.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses[self.done] = float(loss.detach())
        self.done += 1
        return self.losses[self.done - 1]

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean next-token loss of the answers' tokens."""
        if not self.settings.frozen:
            return self.model(**batch).loss
        inner, ids = self.model.model, batch["input_ids"]
        seen = inner.multi_modal_projector(batch["pixel_values"].flatten(2).transpose(1, 2))
        embedded = inner.get_input_embeddings()(ids)
        at = (ids == self.model.config.image_token_id)[..., None].expand_as(embedded)
        return self.model(inputs_embeds=embedded.masked_scatter(at, seen), labels=batch["labels"]).loss

    def state(self) -> dict[str, Tensor]:
        """Return all that the rest of the run depends on."""
        out = {f"model.{name}": value.detach() for name, value in self.named.items()}
        for name, value in self.named.items():
            out |= {f"{key}.{name}": part for key, part in self.optimizer.state[value].items()}
        return {**out, "losses": torch.tensor(self.losses, dtype=torch.float64), "done": torch.tensor(self.done)}

    def take_up(self, state: dict[str, Tensor]) -> None:
        """Go on from a state."""
        self.done, self.losses = int(state["done"]), state["losses"].tolist()
        for name, value in self.named.items():
            with torch.no_grad():
                value.copy_(state[f"model.{name}"])
            kept = {key: state[f"{key}.{name}"] for key in MOMENTS if f"{key}.{name}" in state}
            if kept:  # a weight that gets no gradient has none
                self.optimizer.state[value] = {key: part if key == "step" else part.to(value.device)
                                               for key, part in kept.items()}  # fmt: skip


def train(
    places: Sequence[Path], start: Path, out: Path, settings: Settings, *, device: str = "cpu", say: Say | None = None
) -> Path:
    """Train a checkpoint on data folders and write it; a run that was killed goes on from its last saved state.

    Args:
        places: data folders: one shard, or all of them.
        start: the checkpoint that training starts from, all that experts share.
        out: the folder that is written, whole, at the end; training.json in it tells steps, losses and work. If the
            same training wrote it before, nothing is done.
        settings: how.
        device: ``cpu`` or ``cuda``.
        say: told what goes on.

    Raises:
        ValueError: what is wrong with data, checkpoint or settings; a state, or a folder, of another run.
    """
    _check(settings, start, device)
    made_of = {"settings": json.dumps(asdict(settings)), "rows_sha256": rows_digest(places)}
    if out.exists():
        return same(out, REPORT, made_of)
    out.parent.mkdir(parents=True, exist_ok=True)
    begun, expert = time.perf_counter(), load(start, settings.frozen, device)
    trainer = Trainer(expert, Data(places, expert, settings.width), settings)
    made_of["start_sha256"] = weights_digest(expert.model)
    kept = out.parent / f".{out.name}.{STATE}"
    _resume(trainer, kept, made_of)
    work = None if trainer.done >= settings.steps else flops_of(trainer)
    while trainer.done < settings.steps:
        loss = trainer.step()
        if say:
            say(f"{out.name}: step {trainer.done} of {settings.steps}, loss {loss:.3f}")
        if trainer.done % settings.save_every == 0 and trainer.done < settings.steps:
            write_whole(kept, save(trainer.state(), made_of))
    report = {**made_of, "settings": asdict(settings), "rows": len(trainer.data.rows), "width": trainer.data.width,
              "flops_a_step": work, "losses": trainer.losses, "seconds": time.perf_counter() - begun}  # fmt: skip
    filled(out, lambda draft: _write(draft, expert, report, start / TOWER if settings.frozen else None))
    kept.unlink(missing_ok=True)
    return out


def _check(settings: Settings, start: Path, device: str) -> None:
    for name in ("steps", "batch", "save_every"):
        positive_int(getattr(settings, name), name)
    positive_int(settings.seed, "seed", 0)
    if not 0 < settings.rate < math.inf:
        raise ValueError(f"rate must be positive and finite, was {settings.rate}")
    if not start.is_dir():
        raise ValueError(f"start must be a checkpoint's folder, was {start}")
    there = ["cpu", *["cuda"][: torch.cuda.device_count()], *map("cuda:{}".format, range(torch.cuda.device_count()))]
    if device not in there:
        raise ValueError(f"device must be there, was {device}, and Torch sees {there}")


def _resume(trainer: Trainer, kept: Path, made_of: dict[str, str]) -> None:
    if not kept.exists():
        return
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(kept, "pt") as opened:
            before = opened.metadata()
    except SafetensorError as error:
        raise ValueError(f"out must have a whole state or none beside it, {kept} was not: {error}") from error
    refuse_other(before, made_of, kept)
    trainer.take_up(load_file(kept))


def _write(draft: Path, expert: CheckpointExpert, report: dict[str, Any], tower: Path | None) -> None:
    write_model(draft, expert.model.eval(), expert.tokenizer, tower)
    (draft / REPORT).write_text(json.dumps(report) + "\n", encoding="utf-8")


def flops_of(trainer: Trainer) -> int:
    """Return the floating-point operations of a step's matrix products, forward and backward, as Torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    rows = [0] * trainer.settings.batch
    batch = {name: value.to(trainer.model.device) for name, value in trainer.data.batch(rows).items()}
    with FlopCounterMode(display=False) as counter:
        trainer.loss(batch).backward()
    trainer.optimizer.zero_grad()
    return int(counter.get_total_flops())


def train_shard(
    partition: Path, shard: int | None, start: Path, out: Path, settings: Settings, **options: Any
) -> Path:  # fmt: skip
    """Train the expert of one shard of a partition's folder; without a shard the dense model, on all of them.

    Raises:
        ValueError: no such shard; what :func:`train` raises.
    """
    if shard is None:
        return train(shards(partition), start, out, settings, **options)
    place = partition / f"shard_{shard}"
    if not place.is_dir():
        raise ValueError(f"shard must be one of {[path.name for path in shards(partition)]}, was {shard}")
    return train([place], start, out, settings, **options)
