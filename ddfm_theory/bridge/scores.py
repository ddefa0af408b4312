"""Scores of answers: exact match, ANLS, and grounding at an overlap of one half; VQA and MME stand beside.

Every score pairs predictions with references by id. A missing, unknown or repeated id is refused, never dropped; an
answer that cannot be read counts as wrong and is counted. Intervals are bootstrap percentiles over items.

References:
    Biten et al., "Scene Text Visual Question Answering", ICCV 2019 (ANLS); Kazemzadeh et al., "ReferItGame", EMNLP
    2014, and Yu et al., "Modeling Context in Referring Expressions", ECCV 2016 (RefCOCO).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddfm_theory.arrays import positive_int

Pairs = Mapping[Any, Any] | Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class Score:
    """A mean over items.

    Attributes:
        name: what was measured, its variant named.
        values: the item's score by id.
        unread: ids of answers that could not be read, which count as wrong.
    """

    name: str
    values: dict[Any, float]
    unread: tuple[Any, ...] = ()

    @property
    def value(self) -> float:
        """Return the mean."""
        return float(np.mean(list(self.values.values())))

    def interval(self, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
        """Return the bootstrap percentile interval of the mean."""
        return bootstrap(np.array(list(self.values.values())), level, resamples, seed)


def bootstrap(values: np.ndarray, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Return the percentile interval of a mean over items drawn again with replacement.

    Args:
        values: one number an item, shape (n,).
        level: the probability covered, in (0, 1).
        resamples: how many times.
        seed: of NumPy's default generator.

    Raises:
        ValueError: no items, or a level outside (0, 1).
    """
    if values.ndim != 1 or not len(values) or not 0 < level < 1:
        raise ValueError(f"values must be at least one number, level in (0, 1), were shape {values.shape} and {level}")
    rng, size = np.random.default_rng(seed), len(values)
    means = [values[rng.integers(0, size, size)].mean() for _ in range(positive_int(resamples, "resamples"))]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def by_id(pairs: Pairs, name: str) -> dict[Any, Any]:
    """Return pairs of id and value as a dictionary.

    Raises:
        ValueError: an id that stands twice.
    """
    if isinstance(pairs, Mapping):
        return dict(pairs)
    out: dict[Any, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"{name} must hold each id once, held {key!r} twice")
        out[key] = value
    return out


def paired(predictions: Pairs, references: Pairs) -> list[tuple[Any, Any, Any]]:
    """Return (id, prediction, reference) in the order of the references.

    Raises:
        ValueError: repeated, missing or unknown ids, or no items at all.
    """
    given, due = by_id(predictions, "predictions"), by_id(references, "references")
    missing, unknown = [key for key in due if key not in given], [key for key in given if key not in due]
    if missing:
        besides = f", but held {unknown[0]!r}, which is none" if unknown else ""
        raise ValueError(
            f"predictions must hold every id of the references, lacked {len(missing)}, first {missing[0]!r}{besides}"
        )
    if unknown:
        raise ValueError(
            f"predictions must hold ids of the references alone, had {len(unknown)} others, first {unknown[0]!r}"
        )
    if not due:
        raise ValueError("references must hold at least one item, was empty")
    return [(key, given[key], value) for key, value in due.items()]


def answered(predictions: Pairs, references: Pairs) -> list[tuple[Any, str, Any]]:
    """Return (id, answer, reference) as :func:`paired` does, references a text or several.

    Raises:
        ValueError: as there, or an answer that is no text, or a reference that is neither a text nor several.
    """
    rows = paired(predictions, references)
    for key, text, due in rows:
        if not isinstance(text, str):
            raise ValueError(f"predictions must be texts, {key!r} had {text!r}")
        several = due if isinstance(due, (list, tuple)) else [due]
        if not several or not all(isinstance(one, str) for one in several):
            raise ValueError(f"references must be a text or several, {key!r} had {due!r}")
    return rows


def _several(reference: Any) -> list[str]:
    return [reference] if isinstance(reference, str) else list(reference)


def exact_match(predictions: Pairs, references: Pairs) -> Score:
    """Score one where a prediction is one of its references, letter case and outer spaces aside.

    Args:
        predictions: id to text.
        references: id to text, or to several texts.
    """
    rows = answered(predictions, references)
    values = {key: float(_plain(text) in {_plain(one) for one in _several(due)}) for key, text, due in rows}
    return Score("exact match", values)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def edit_distance(a: str, b: str) -> int:
    """Return the Levenshtein distance: the fewest insertions, deletions and substitutions of a character."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        previous, row = row, [i]
        for j, right in enumerate(b, start=1):
            row.append(min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (left != right)))
    return row[-1]


def anls(predictions: Pairs, references: Pairs, threshold: float = 0.5, *, strict: bool = False) -> Score:
    """Score the average normalized Levenshtein similarity: 1 - NL where NL <= threshold, else 0, best over references.

    NL is the edit distance over the longer text's length, letter case and spaces aside.

    Args:
        predictions: id to text.
        references: id to text, or to several texts.
        threshold: of NL.
        strict: give 0 where NL is the threshold itself, as the paper's formula has it. Public evaluators (DocVQA's,
            M4C's) keep 1 - NL there, as in every answer of two letters with one wrong.
    """
    values = {}
    for key, text, due in answered(predictions, references):
        values[key] = max(_similarity(_plain(text), _plain(one), threshold, strict) for one in _several(due))
    return Score(f"ANLS (threshold {threshold}{', strict' if strict else ''})", values)


def _similarity(a: str, b: str, threshold: float, strict: bool) -> float:
    longest = max(len(a), len(b))
    normalized = edit_distance(a, b) / longest if longest else 0.0
    kept = normalized < threshold if strict else normalized <= threshold
    return 1 - normalized if kept else 0.0


CONVENTIONS = ("thousandths", "unit", "unit-square", "pixels")
_NUMBER = r"\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*"
_BOX = re.compile(r"\[" + ",".join([_NUMBER] * 4) + r"\]")


def read_box(text: str) -> tuple[float, float, float, float] | None:
    """Return the first ``[x1, y1, x2, y2]`` of an answer; None where there is none."""
    found = _BOX.search(text)
    if not found:
        return None
    x1, y1, x2, y2 = (float(part) for part in found.groups())
    return x1, y1, x2, y2


def to_pixels(box: Sequence[float], convention: str, width: float, height: float) -> tuple[float, ...]:
    """Return a box in pixels of the image.

    Args:
        box: x1, y1, x2, y2.
        convention: ``thousandths`` of the image's sides (InternVL), ``unit`` fractions of them, ``unit-square``
            fractions of the side of the image padded to a square about its middle (LLaVA), or ``pixels``.
        width: of the image.
        height: of the image.

    Raises:
        ValueError: another convention.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {CONVENTIONS}, was {convention!r}")
    side, scale = max(width, height), 1000 if convention == "thousandths" else 1
    sides = {"pixels": (1, 1), "unit-square": (side, side)}.get(convention, (width / scale, height / scale))
    shift = ((side - width) / 2, (side - height) / 2) if convention == "unit-square" else (0.0, 0.0)
    return tuple(value * sides[i % 2] - shift[i % 2] for i, value in enumerate(box))


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the intersection over union of two boxes x1, y1, x2, y2; zero where either is empty."""
    areas = [max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]) for box in (a, b)]
    inner = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return inner / (areas[0] + areas[1] - inner) if inner > 0 else 0.0


def grounding(predictions: Pairs, references: Pairs, *, convention: str, threshold: float = 0.5) -> Score:
    """Score one where the predicted box overlaps the true one by at least ``threshold``.

    Args:
        predictions: id to an answer with ``[x1, y1, x2, y2]`` in it, or to four numbers.
        references: id to (box, width, height), the box x1, y1, x2, y2 in pixels of the image.
        convention: what the predicted numbers mean, one of ``CONVENTIONS``; there is no default.
        threshold: the overlap asked for.

    Raises:
        ValueError: unknown convention, ids that do not match, a prediction that is neither text nor four numbers, or a
            true box that is none, such as a corner with width and height where that shows.
    """
    values, unread = {}, []
    for key, answer, due in paired(predictions, references):
        box, width, height = _true_box(key, due)
        found = read_box(answer) if isinstance(answer, str) else answer
        if found is None and isinstance(answer, str):
            unread.append(key)
        elif not _numbers(found, 4):
            raise ValueError(f"predictions must be texts or four numbers, {key!r} had {answer!r}")
        pixels = to_pixels((0.0, 0.0, 0.0, 0.0) if found is None else found, convention, width, height)
        values[key] = float(found is not None and overlap(pixels, box) >= threshold)
    return Score(f"grounding (IoU {threshold}, {convention})", values, tuple(unread))


def _true_box(key: Any, due: Any) -> tuple[Sequence[float], float, float]:
    whole = isinstance(due, (list, tuple)) and len(due) == 3 and _numbers(due[0], 4) and _numbers(due[1:], 2)
    if not whole or not min(due[1:]) > 0:
        raise ValueError(f"references must be (box, width, height) in pixels, {key!r} had {due!r}")
    box, width, height = due
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(f"true boxes must be x1, y1, x2, y2 with x1 < x2 and y1 < y2, {key!r} had {list(box)}")
    return box, width, height


def _numbers(values: Any, count: int) -> bool:
    """Tell whether these are ``count`` finite numbers."""
    try:
        array = np.asarray(values)
    except ValueError:
        return False
    return array.shape == (count,) and array.dtype.kind in "iuf" and bool(np.isfinite(array).all())
