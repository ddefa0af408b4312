"""Scores of answers: VQA accuracy, MME's acc and acc+, grounding at IoU 0.5, all by the bridge's own functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddfm_theory.bridge.mme import Question, mme, read_answer
from ddfm_theory.bridge.scores import grounding
from ddfm_theory.bridge.vqa import vqa_accuracy
from toy_models.multimodal.folders import Row
from toy_models.multimodal.scenes import BINS, SIDE

VARIANT, CONVENTION, PEOPLE = "normalized", "unit", 10


def scored(rows: Sequence[Row], texts: Sequence[str]) -> dict[str, Any]:
    """Return the scores of answers.

    Args:
        rows: n questions.
        texts: n answers.

    Returns:
        ``metrics``: ``vqa`` and ``grounding`` in 0..1; ``mme``, the sum over its categories of 100 acc + 100 acc+;
        ``acc`` and ``acc_plus``, their means over categories in 0..1. ``categories``: of each category of a task the
        share of right answers. ``right``: row by row.
    """
    given, tasks = dict(zip((row.id for row in rows), texts, strict=True)), {row.task for row in rows}
    right, metrics = {}, {}
    if "vqa" in tasks:
        asked = {row.id: [row.answer] * PEOPLE for row in rows if row.task == "vqa"}
        found = vqa_accuracy({key: given[key] for key in asked}, asked, variant=VARIANT)
        right, metrics = {**right, **found.values}, {**metrics, "vqa": found.value}
    if "mme" in tasks:
        held = [row for row in rows if row.task == "mme"]
        run = mme(Question(row.category, row.image, row.prompt, row.answer, given[row.id]) for row in held)
        metrics |= {"mme": run.total(sorted(run.accuracy)), "acc": float(np.mean(list(run.accuracy.values()))) / 100,
                    "acc_plus": float(np.mean(list(run.accuracy_plus.values()))) / 100}  # fmt: skip
        right |= {row.id: float(read_answer(given[row.id]) == row.answer) for row in held}
    if "grounding" in tasks:
        boxes = {row.id: (row.box, SIDE, SIDE) for row in rows if row.task == "grounding"}
        placed = grounding({key: unit(given[key]) for key in boxes}, boxes, convention=CONVENTION)
        right, metrics = {**right, **placed.values}, {**metrics, "grounding": placed.value}
    values = [float(right[row.id]) for row in rows]
    return {"metrics": metrics, "categories": by_category(rows, values), "right": values}


def unit(text: str) -> str:
    """Return an answer's location tokens as a box in fractions of the sides; another text as it is."""
    numbers = [word.strip("<>") for word in text.split()]
    if len(numbers) != 4 or not all(number.isdigit() for number in numbers):
        return text
    return "[" + ", ".join(str(int(number) / BINS) for number in numbers) + "]"


def kind(row: Row) -> str:
    """Return the name of what a row asks."""
    return f"{row.task} {row.category}".strip()


def by_category(rows: Sequence[Row], values: Sequence[float]) -> dict[str, float]:
    """Return the mean of values by what rows ask."""
    names = sorted({kind(row) for row in rows})
    return {name: float(np.mean([v for row, v in zip(rows, values, strict=True) if kind(row) == name]))
            for name in names}  # fmt: skip
