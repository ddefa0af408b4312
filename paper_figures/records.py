"""Data that say what they lack: missing keys, NaNs and words for numbers raise a ValueError with the place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent


class Record(dict[str, Any]):
    """A JSON object that knows its place: looking up what is missing (or null) raises a ValueError that names it."""

    def __init__(self, values: Mapping[str, Any], place: str) -> None:
        super().__init__(values)
        self.place = place

    def __missing__(self, key: str) -> Any:
        raise ValueError(f"{self.place} must have {key!r}, had {', '.join(map(repr, self)) or 'nothing'}")

    def array(self, key: str) -> np.ndarray:
        """Return the numbers under a key, float64 of the shape they are written in.

        Raises:
            ValueError: the key is missing, or holds anything but numbers in a full array.
        """
        return numbers(self[key], f"{self.place}.{key}")


def numbers(values: Any, place: str) -> np.ndarray:
    """Return numbers as float64.

    Raises:
        ValueError: anything but numbers in a full array, or none.
    """
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.asarray(None)
    if found.dtype.kind not in "iuf" or not found.size:
        raise ValueError(f"{place} must be numbers in a full array, was {str(values)[:60]}")
    return found.astype(np.float64)


def checked(value: Any, place: str = "data") -> Any:
    """Return plain data with every object a :class:`Record`; null entries of objects count as missing.

    Raises:
        ValueError: a number that is not finite, or something JSON does not know, with its place.
    """
    if isinstance(value, Record):
        return value
    if isinstance(value, Mapping):
        return Record({k: checked(v, f"{place}.{k}") for k, v in value.items() if v is not None}, place)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [checked(v, f"{place}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place} must be finite, was {value}")
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"{place} must be an object, an array, a number or a text, was {value!r}")
    return value


def read(source: str) -> Record:
    """Read a JSON file of the repository.

    Args:
        source: its path from the repository's root.

    Raises:
        ValueError: no such file, no JSON, no object, or a number that is not finite.
    """
    path = ROOT / source
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{source} must be a JSON file that can be read, was not: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{source} must hold an object, held {type(found).__name__}")
    record = checked(found, source)
    assert isinstance(record, Record)  # noqa: S101  for the type checker: a dict was given
    return record


def chosen(rows: Sequence[Record], **wanted: Any) -> list[Record]:
    """Return the rows that have the wanted values.

    Raises:
        ValueError: there is none.
    """
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    if not found:
        raise ValueError(f"rows must hold one with {wanted}, held none of {len(rows)}")
    return found


def different(rows: Sequence[Record], key: str) -> list[Any]:
    """Return a key's values, each once, as they come."""
    return list(dict.fromkeys(row[key] for row in rows))


def columns(rows: Sequence[Record], *keys: str) -> Iterator[np.ndarray]:
    """Yield each key's numbers over rows."""
    for key in keys:
        yield numbers([row[key] for row in rows], f"{rows[0].place if rows else 'rows'}.{key}")
