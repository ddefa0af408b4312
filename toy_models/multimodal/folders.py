"""Data on disk: a folder with ``rows.jsonl`` and ``images/*.png``, in the form that ``ddfm check`` reads; its shards.

Beside id, image, prompt and answer a row names its task, its MME category (or what is asked), its group, and the box it
asks for. A shard is such a folder of its own: it holds the rows of some images, and their files, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from toy_models.multimodal.scenes import Picture

ROWS, IMAGES = "rows.jsonl", "images"


@dataclass(frozen=True)
class Row:
    """One question on an image, as a line of ``rows.jsonl``."""

    id: str
    image: str
    prompt: str
    answer: str
    task: str = "vqa"
    category: str = ""
    group: str = ""
    box: tuple[float, float, float, float] | None = None


def filled(place: Path, fill: Callable[[Path], None]) -> Path:
    """Return a folder, filled by a function unless it is there: whole or not at all."""
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        fill(draft)
        draft.chmod(0o755)
        os.replace(draft, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def write_pictures(place: Path, pictures: Iterable[Picture]) -> None:
    """Write pictures and their questions into a folder that is there."""
    rows = []
    (place / IMAGES).mkdir()
    for i, picture in enumerate(pictures):
        name = f"{IMAGES}/{i:05d}.png"
        Image.fromarray(picture.pixels).save(place / name)
        for j, one in enumerate(picture.asked):
            rows.append(
                Row(f"{i:05d}.{j}", name, one.prompt, one.answer, one.task, one.category, picture.group, one.box)
            )
    write_rows(place, rows)


def write_rows(place: Path, rows: Sequence[Row]) -> None:
    """Write ``rows.jsonl``."""
    lines = [json.dumps(asdict(row)) for row in rows]
    (place / ROWS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def row_lines(place: Path) -> list[str]:
    """Return the lines of ``rows.jsonl``.

    Raises:
        ValueError: no such file, or no line.
    """
    if not (place / ROWS).is_file():
        raise ValueError(f"data must be a folder with {ROWS}, was {place}")
    lines = (place / ROWS).read_text(encoding="utf-8").splitlines()
    if not lines:
        raise ValueError(f"data must have rows, {place / ROWS} had none")
    return lines


def read_rows(place: Path) -> list[Row]:
    """Read ``rows.jsonl``; of rows that are not ours only image, prompt and answer are needed, and an id is a number.

    Raises:
        ValueError: no such file, no line, or a line that is no such row.
    """
    file, known, out = place / ROWS, set(Row.__dataclass_fields__), []
    for number, line in enumerate(row_lines(place), start=1):
        try:
            found: dict[str, Any] = {key: value for key, value in json.loads(line).items() if key in known}
            row = Row(**found | {"id": str(found.get("id", number))})
            for name in ("image", "prompt", "answer"):
                if not isinstance(getattr(row, name), str):
                    raise TypeError(f"{name} was {getattr(row, name)!r}")
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"line {number} of {file} must be JSON with image, prompt and answer: {error}") from error
        out.append(row)
    return out


def images_of(rows: Sequence[Row]) -> list[str]:
    """Return the images of rows, each once, in order."""
    return list(dict.fromkeys(row.image for row in rows))


def read_pixels(place: Path, names: Sequence[str]) -> np.ndarray:
    """Return images as uint8 of shape (n, height, width, 3)."""
    return np.stack([np.asarray(Image.open(place / name).convert("RGB")) for name in names])


def cut(data: Path, labels: Any, place: Path, beside: str = "tower.npy") -> None:
    """Write shards ``shard_0`` .. ``shard_K-1`` of a data folder into a folder that is there.

    Args:
        data: the data folder.
        labels: the shard of each image, in the order of :func:`images_of`, shape (n,), each of 0..K-1 at least once.
        place: where.
        beside: an array with one entry an image, of which each shard gets its own entries, if it is there.
    """
    rows, labels = read_rows(data), np.asarray(labels)
    array = np.load(data / beside, allow_pickle=False) if (data / beside).exists() else None
    where = dict(zip(images_of(rows), labels.tolist(), strict=True))
    for k in range(int(labels.max()) + 1):
        shard = place / f"shard_{k}"
        (shard / IMAGES).mkdir(parents=True)
        held = [row for row in rows if where[row.image] == k]
        write_rows(shard, held)
        for name in images_of(held):
            os.link(data / name, shard / name)
        if array is not None:
            np.save(shard / beside, array[labels == k], allow_pickle=False)


def shards(place: Path) -> list[Path]:
    """Return the shards of a partition's folder, in their order.

    Raises:
        ValueError: there is none, or one is missing.
    """
    names = sorted(path.name for path in place.glob("shard_*"))
    found = [place / f"shard_{k}" for k in range(len(names))]
    if not found or {path.name for path in found} != set(names):
        raise ValueError(f"partition must be a folder with shard_0, shard_1, ..., none missing, {place} held {names}")
    return found
