"""Canvases with known boxes, and the questions asked on them.

========  ===================================  =============================================================
group     canvas                               questions
========  ===================================  =============================================================
portrait  one large emoji                      its name, its category (VQA); is it this one (MME existence)
scene     two or three small emoji             how many (VQA); are there n (MME count); is A left of B (MME
                                               position); where is A (grounding)
digit     one handwritten digit                which, odd or even (VQA); is it this one (MME OCR)
shape     a picture of easy-vqa                its own questions: shape and color (VQA), yes or no (MME color)
========  ===================================  =============================================================

MME asks two questions an image, one whose answer is yes and one whose answer is no. Boxes are given in sixteenths of
the side, by location tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from toy_models.multimodal.sources import DIGITS, Emoji, Shape

SIDE, BINS = 48, 16
GROUNDS = ((255, 255, 255), (222, 235, 247), (255, 247, 188), (229, 245, 224), (64, 64, 72), (250, 224, 221))
COLORS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")


@dataclass(frozen=True)
class Asked:
    """A question on a picture: the task it belongs to, its MME category, the box it asks for in pixels."""

    prompt: str
    answer: str
    task: str
    category: str
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Picture:
    """A canvas, RGB of shape (SIDE, SIDE, 3), with its group and what is asked on it."""

    pixels: np.ndarray
    group: str
    asked: list[Asked] = field(default_factory=list)


def vqa(prompt: str, answer: str, category: str) -> Asked:
    """Return a question of open answer."""
    return Asked(prompt, answer, "vqa", category)


def pair(category: str, yes: str, no: str) -> list[Asked]:
    """Return the two questions that MME asks on an image."""
    return [Asked(yes, "yes", "mme", category), Asked(no, "no", "mme", category)]


def sixteenths(box: Sequence[float]) -> str:
    """Return a box in pixels as location tokens, x1 y1 x2 y2."""
    return " ".join(f"<{min(BINS - 1, round(value * BINS / SIDE))}>" for value in box)


def paste(canvas: Any, picture: np.ndarray, side: int, left: int, top: int) -> tuple[int, int, int, int]:
    """Paste a picture, resized to a side, onto a canvas and return its box."""
    image = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    canvas.paste(image, (left, top), image if image.mode == "RGBA" else None)
    return left, top, left + side, top + side


def portrait(emoji: Sequence[Emoji], which: int, style: str, rng: np.random.Generator) -> Picture:
    """Return one emoji, with its name and category asked."""
    canvas, side = _ground(rng), int(rng.integers(30, 45))
    paste(canvas, emoji[which].pictures[style], side, *(int(x) for x in rng.integers(0, SIDE - side + 1, 2)))
    one, other = emoji[which].name, emoji[_another(len(emoji), [which], rng)].name
    asked = [vqa("what is this ?", one, "name"), vqa("what kind of thing is this ?", emoji[which].category, "category"),
             *pair("existence", f"is there a {one} ?", f"is there a {other} ?")]  # fmt: skip
    return Picture(np.asarray(canvas), "portrait", asked)


def scene(emoji: Sequence[Emoji], which: Sequence[int], style: str, rng: np.random.Generator) -> Picture:
    """Return two or three emoji in the corners of a canvas, with number, places and boxes asked."""
    canvas, names = _ground(rng), [emoji[i].name for i in which]
    corners = rng.permutation([(0, 0), (24, 0), (0, 24), (24, 24)])[: len(which)]
    boxes = []
    for i, corner in zip(which, corners, strict=True):
        side = int(rng.integers(18, 25))
        left, top = (int(at + rng.integers(0, 25 - side)) for at in corner)
        boxes.append(paste(canvas, emoji[i].pictures[style], side, left, top))
    other = "two" if len(which) == 3 else "three"
    number = DIGITS[len(which)]
    asked = [vqa("how many things are there ?", number, "number"),
             *pair("count", f"are there {number} things ?", f"are there {other} things ?"),
             *_sides(names, boxes)]  # fmt: skip
    asked += [Asked(f"where is the {name} ?", sixteenths(box), "grounding", "box", box)
              for name, box in list(zip(names, boxes, strict=True))[:2]]  # fmt: skip
    return Picture(np.asarray(canvas), "scene", asked)


def _sides(names: Sequence[str], boxes: Sequence[tuple[int, ...]]) -> list[Asked]:
    """Ask which of two is to the left, where one is by far."""
    for a in range(len(names)):
        for b in range(len(names)):
            if boxes[a][2] <= boxes[b][0]:
                return pair("position", f"is the {names[a]} left of the {names[b]} ?",
                            f"is the {names[b]} left of the {names[a]} ?")  # fmt: skip
    return []


def digit(picture: np.ndarray, value: int, rng: np.random.Generator) -> Picture:
    """Return a digit, white on a dark ground, with its value asked."""
    canvas, side = Image.new("RGB", (SIDE, SIDE), (0, 0, 0)), int(rng.integers(30, 45))
    shown = np.repeat(picture[..., None], 3, axis=2)
    paste(canvas, shown, side, *(int(x) for x in rng.integers(0, SIDE - side + 1, 2)))
    one, other = DIGITS[value], DIGITS[_another(10, [value], rng)]
    asked = [vqa("what digit is this ?", one, "digit"),
             vqa("is the digit odd or even ?", "even" if value % 2 == 0 else "odd", "parity"),
             *pair("OCR", f"is this the digit {one} ?", f"is this the digit {other} ?")]  # fmt: skip
    return Picture(np.asarray(canvas), "digit", asked)


def shape(source: Shape, rng: np.random.Generator) -> Picture:
    """Return a picture of easy-vqa with one question on its shape, one on its color, and a yes and a no on color."""
    canvas = Image.fromarray(source.picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    kinds: dict[str, list[tuple[str, str]]] = {"shape": [], "color": [], "yes": [], "no": []}
    for question, answer in source.questions:
        kind = answer if answer in ("yes", "no") else "color" if answer in COLORS else "shape"
        if kind not in ("yes", "no") or any(color in question for color in COLORS):
            kinds[kind].append((question, answer))
    asked = []
    for kind in ("shape", "color"):
        if kinds[kind]:
            asked.append(vqa(*kinds[kind][int(rng.integers(len(kinds[kind])))], kind))
    if kinds["yes"] and kinds["no"]:
        yes, no = (kinds[kind][int(rng.integers(len(kinds[kind])))][0] for kind in ("yes", "no"))
        asked += pair("color", yes, no)
    return Picture(np.asarray(canvas), "shape", asked)


def _ground(rng: np.random.Generator) -> Any:
    return Image.new("RGB", (SIDE, SIDE), GROUNDS[int(rng.integers(len(GROUNDS)))])


def _another(count: int, besides: Sequence[int], rng: np.random.Generator) -> int:
    return int(rng.choice([i for i in range(count) if i not in besides]))
