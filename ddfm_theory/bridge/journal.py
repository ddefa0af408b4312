"""The journal of a check: one JSON line for the run, each check, each item and the summary.

An interrupted run goes on from its items. Infinity, which JSON lacks, is written as null.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ddfm_theory.bridge.text_files import text_of
from ddfm_theory.files import write_whole

_HEAD = '{"kind": "run"'  # how a journal begins


class Journal:
    """JSON lines of a run, appended to as it goes; opening it again takes up the items that are there.

    Args:
        place: the file; None keeps the rows in memory alone.
        run: what the run was asked to do.

    Raises:
        ValueError: a file of another run, or of something else.
    """

    def __init__(self, place: Any, run: dict[str, Any]) -> None:
        self.place = None if place is None else Path(place)
        self.rows: dict[str, dict[str, Any]] = {}
        if self.place is not None and self.place.exists():
            self._resume(self.place, run)
        else:
            self.write("run", run)

    def _resume(self, place: Path, run: dict[str, Any]) -> None:
        """Keep the items of an earlier run of the same arguments; checks and summary are written anew."""
        text = text_of(place, "out")
        before, items = self._lines(text)
        if before is not None and before != run:
            raise ValueError(f"out must be of the same run to go on, {place} was of {before}")
        self.rows = {row["id"]: row for row in items}
        kept = [{"kind": "run", **run}, *({"kind": "item", **_finite(row)} for row in items)]
        write_whole(place, "".join(json.dumps(line, allow_nan=False) + "\n" for line in kept))

    def _lines(self, text: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """Return a journal's run, None where its line was cut, and its items; a last line that was cut is left out."""
        try:
            lines = [dict(json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]
            kinds = [line.pop("kind") for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            raise self._strange() from error
        if kinds[:1] != ["run"] if lines else not text.startswith(_HEAD[: len(text)]):
            raise self._strange()
        items = [line for kind, line in zip(kinds, lines, strict=True) if kind == "item"]
        return lines[0] if lines else None, [_infinite(row) for row in items]

    def _strange(self) -> ValueError:
        return ValueError(
            f"out must be a new file, or one that a run of the same arguments wrote, {self.place} was not"
        )

    def add(self, row: dict[str, Any]) -> None:
        """Keep an item, a row with its ``id``."""
        self.rows[row["id"]] = row
        self.write("item", row)

    def write(self, kind: str, row: dict[str, Any]) -> None:
        """Append a line."""
        if self.place is None:
            return
        with self.place.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **_finite(row)}, allow_nan=False) + "\n")


def _infinite(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a journal with infinity where it has null."""
    return {name: float("inf") if value is None else value for name, value in row.items()}


def _finite(value: Any) -> Any:
    """Return a value with null for infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if value == float("inf") else value
