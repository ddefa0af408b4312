"""Text files as the bridge reads them: UTF-8, a line ending at a newline and nowhere else.

``str.splitlines`` ends one at U+2028, U+0085 and the like too, which JSON and model answers may hold inside a text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def text_of(place: Any, name: str) -> str:
    """Return a file's text.

    Args:
        place: the file.
        name: what the message calls it.

    Raises:
        ValueError: no such file, or no UTF-8.
    """
    file = Path(place)
    if not file.is_file():
        raise ValueError(f"{name} must be a file, {file} was none")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} must be UTF-8 text, {file} was not: {error}") from error


def lines_of(place: Any, name: str) -> list[tuple[int, str]]:
    """Return a file's lines that are not blank, each with its number from 1.

    Raises:
        ValueError: as for :func:`text_of`.
    """
    lines = text_of(place, name).split("\n")
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip(" ")]
