"""What the packages hold: emoji in two styles with names and categories, shapes with real questions, digits."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CATEGORIES = {
    "Activities": "activity", "Animals & Nature": "animal", "Flags": "flag", "Food & Drink": "food",
    "Objects": "object", "People & Body": "person", "Smileys & Emotion": "smiley", "Symbols": "symbol",
    "Travel & Places": "travel",
}  # fmt: skip
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STYLES = {"twitter": "package/img/twitter/64", "google": "package/img/google/64"}


@dataclass(frozen=True)
class Emoji:
    """One emoji: its name, its category's word, and its picture by style, RGBA of shape (64, 64, 4)."""

    name: str
    category: str
    pictures: dict[str, np.ndarray]


@dataclass(frozen=True)
class Shape:
    """A picture of easy-vqa, RGB of shape (64, 64, 3), with its questions and answers."""

    picture: np.ndarray
    questions: list[tuple[str, str]]


def read_emoji(tarballs: dict[str, Path], a_category: int, seed: int = 0) -> list[Emoji]:
    """Return some emoji of each category, drawn from those whose name is one word and which both styles have.

    Args:
        tarballs: by style, the package's file.
        a_category: how many of each.
        seed: of the draw.
    """
    names = _names(next(iter(tarballs.values())))
    rng, chosen = np.random.default_rng(seed), []
    for category in sorted(CATEGORIES):
        held = sorted(pair for pair in names if pair[2] == category)
        chosen += [held[i] for i in sorted(rng.permutation(len(held))[:a_category])]
    pictures = {style: _pictures(path, style, {file for _, file, _ in chosen}) for style, path in tarballs.items()}
    return [Emoji(name, CATEGORIES[category], {style: found[file] for style, found in pictures.items()})
            for name, file, category in chosen]  # fmt: skip


def _names(tarball: Path) -> list[tuple[str, str, str]]:
    """Return name, file and category of the emoji whose name is one word (of more than one letter)."""
    with tarfile.open(tarball) as opened:
        member = opened.extractfile("package/emoji.json")
        rows = json.load(member) if member else []
    taken = set(DIGITS) | set(CATEGORIES.values())
    return [(row["short_name"], row["image"], row["category"]) for row in rows
            if row["category"] in CATEGORIES and row["short_name"].isalpha() and len(row["short_name"]) > 1
            and row["short_name"] not in taken and all(row[f"has_img_{style}"] for style in STYLES)]  # fmt: skip


def _pictures(tarball: Path, style: str, files: set[str]) -> dict[str, np.ndarray]:
    out, prefix = {}, f"{STYLES[style]}/"
    with tarfile.open(tarball) as opened:
        for member in opened:
            name = member.name.removeprefix(prefix)
            if member.name.startswith(prefix) and name in files:
                data = opened.extractfile(member)
                out[name] = np.asarray(Image.open(io.BytesIO(data.read() if data else b"")).convert("RGBA"))
    return out


def read_shapes(wheel: Path, split: str, count: int) -> list[Shape]:
    """Return the first pictures of easy-vqa's train or test part that have questions."""
    with zipfile.ZipFile(wheel) as opened:
        asked: dict[int, list[tuple[str, str]]] = {}
        for question, answer, image in json.loads(opened.read(f"easy_vqa/data/{split}/questions.json")):
            asked.setdefault(image, []).append((question, answer))
        return [Shape(_png(opened.read(f"easy_vqa/data/{split}/images/{image}.png")), asked[image])
                for image in sorted(asked)[:count]]  # fmt: skip


def _png(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def read_digits() -> tuple[Any, Any]:
    """Return scikit-learn's 1,797 digits as uint8 of shape (n, 8, 8), and what they are."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.round(found.images * 15.9375).astype(np.uint8), found.target
