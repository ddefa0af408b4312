"""``python -m notebooks [--check]``: make each pair's .ipynb from its .md, without outputs; same text, same bytes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat

from ddfm_theory.files import write_whole

HERE = Path(__file__).parent


def pairs() -> list[Path]:
    """Return the texts, in order."""
    return sorted(HERE.glob("[0-9][0-9]_*.md"))


def notebook(text: Path) -> str:
    """Return the notebook of a text as JSON: cells numbered, no outputs."""
    book = jupytext.read(text, fmt="md:myst")
    book.metadata = {"kernelspec": book.metadata["kernelspec"], "jupytext": {"formats": "ipynb,md:myst"}}
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number:02d}"
    return str(nbformat.writes(book)) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the notebooks, or tell which are out of date. Returns 1 where one is."""
    parser = argparse.ArgumentParser(prog="notebooks", description="make the .ipynb of each pair from its .md")
    parser.add_argument("--check", action="store_true", help="write nothing; name what is out of date")
    chosen = parser.parse_args(arguments)
    stale = [t for t in pairs() if not _same(t)]
    for text in stale:
        if not chosen.check:
            write_whole(text.with_suffix(".ipynb"), notebook(text))
        sys.stderr.write(f"{text.stem}: {'out of date' if chosen.check else 'written'}\n")
    return int(bool(stale) and chosen.check)


def _same(text: Path) -> bool:
    made = text.with_suffix(".ipynb")
    return made.is_file() and made.read_text(encoding="utf-8") == notebook(text)


if __name__ == "__main__":
    raise SystemExit(main())
