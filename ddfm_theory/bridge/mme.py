"""MME: yes-no questions in pairs on one image; perception and cognition apart, accuracy and accuracy over whole images.

A category's score is 100 acc + 100 acc+, at most 200: acc over questions, acc+ over images with both questions right.
Perception adds ten categories (at most 2000), cognition four (at most 800).

References:
    Fu et al., "MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models", arXiv 2306.13394.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddfm_theory.arrays import positive_int
from ddfm_theory.bridge.text_files import lines_of

PERCEPTION = ("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR")
PARTS = ("acc", "acc+")
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


@dataclass(frozen=True)
class Question:
    """One question with its answer: ``truth`` is ``yes`` or ``no``, ``answer`` whatever the model said."""

    category: str
    image: str
    question: str
    truth: str
    answer: str


@dataclass(frozen=True)
class MME:
    """Scores of a run.

    Attributes:
        accuracy: by category, in 0..100.
        accuracy_plus: by category, in 0..100.
        unread: by category, the answers that are neither yes nor no, which count as wrong.
        images: by category, whether each question of each image was right.
    """

    accuracy: dict[str, float]
    accuracy_plus: dict[str, float]
    unread: dict[str, int]
    images: dict[str, dict[str, tuple[bool, ...]]]

    def total(self, categories: Sequence[str], parts: Sequence[str] = PARTS) -> float:
        """Return the sum of acc + acc+ over categories, or of one of them.

        Raises:
            ValueError: a category that was not answered.
        """
        lacking = [name for name in categories if name not in self.accuracy]
        if lacking:
            raise ValueError(f"questions must cover {list(categories)}, lacked {lacking}")
        held = {"acc": self.accuracy, "acc+": self.accuracy_plus}
        return sum(held[part][name] for part in parts for name in categories)

    @property
    def perception(self) -> float:
        """Return the perception score, at most 2000."""
        return self.total(PERCEPTION)

    @property
    def cognition(self) -> float:
        """Return the cognition score, at most 800."""
        return self.total(COGNITION)

    def interval(
        self, categories: Sequence[str], level: float = 0.95, resamples: int = 2000, seed: int = 0,
        parts: Sequence[str] = PARTS,
    ) -> tuple[float, float]:  # fmt: skip
        """Return the bootstrap percentile interval of the total, images drawn again within each category."""
        rng, totals = np.random.default_rng(seed), np.zeros(positive_int(resamples, "resamples"))
        for name in categories:
            found = [{"acc": sum(row) / len(row), "acc+": float(all(row))} for row in self.images[name].values()]
            hits = np.array([[row[part] for part in parts] for row in found])
            drawn = rng.integers(0, len(hits), (len(totals), len(hits)))
            totals += 100 * hits[drawn].mean(axis=1).sum(axis=1)
        low, high = np.quantile(totals, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def read_answer(text: str) -> str | None:
    """Return ``yes`` or ``no`` by the first four letters, spaces aside, as the published script; None otherwise."""
    head = text.strip().lower()[:4]
    return "yes" if "yes" in head else "no" if "no" in head else None


def mme(questions: Iterable[Question]) -> MME:
    """Score a run.

    Raises:
        ValueError: a category that MME does not have, a question that stands twice, an image without two questions.
    """
    rows: dict[str, dict[str, dict[str, bool]]] = defaultdict(lambda: defaultdict(dict))
    unread: dict[str, int] = defaultdict(int)
    for item in questions:
        _check(item, rows)
        found = read_answer(item.answer)
        unread[item.category] += found is None
        rows[item.category][item.image][item.question] = found == item.truth.strip().lower()
    if not rows:
        raise ValueError("questions must hold at least one, was empty")
    images = {name: {image: _two(name, image, asked) for image, asked in held.items()} for name, held in rows.items()}
    accuracy = {
        name: 100 * float(np.mean([hit for row in held.values() for hit in row])) for name, held in images.items()
    }
    plus = {name: 100 * float(np.mean([all(row) for row in held.values()])) for name, held in images.items()}
    return MME(accuracy, plus, dict(unread), images)


def _check(item: Question, rows: Any) -> None:
    if item.category not in PERCEPTION + COGNITION:
        raise ValueError(f"category must be one of MME's fourteen, was {item.category!r}")
    if item.truth.strip().lower() not in ("yes", "no"):
        raise ValueError(f"truth must be yes or no, was {item.truth!r} for {item.question!r} on {item.image!r}")
    if item.question in rows[item.category][item.image]:
        raise ValueError(f"questions must stand once each, {item.question!r} on {item.image!r} stood twice")


def _two(category: str, image: str, asked: dict[str, bool]) -> tuple[bool, ...]:
    if len(asked) != 2:
        raise ValueError(f"each image must have its two questions, {image!r} of {category} had {len(asked)}")
    return tuple(asked.values())


def read_mme(*places: Any) -> list[Question]:
    """Read result folders of files ``<category>.txt``, whose lines are image, question, truth and answer, by tabs.

    Several folders (one a cluster, as the paper's code leaves them) are read as one run. Blank lines are passed over.

    Raises:
        ValueError: no files, a file that is no text, or a line that has not four parts.
    """
    files = [file for place in places for file in sorted(Path(place).glob("*.txt"))]
    if not files:
        raise ValueError(f"places must hold <category>.txt files, {[str(place) for place in places]} held none")
    out = []
    for file in files:
        for number, line in lines_of(file, "places"):
            parts = line.split("\t")
            if len(parts) != 4:
                raise ValueError(
                    f"lines must be image, question, truth, answer, line {number} of {file} had {len(parts)} parts"
                )
            out.append(Question(file.stem, *parts))
    return out
