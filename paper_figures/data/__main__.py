"""``python -m paper_figures.data [NAME...]``: compute data anew; if none is named, all that takes seconds."""

from __future__ import annotations

import argparse
import importlib
import sys

from paper_figures.data import names, save


def main() -> int:
    """Compute what is named, or all that takes seconds; print the files."""
    parser = argparse.ArgumentParser(prog="python -m paper_figures.data", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    chosen = parser.parse_args().names
    if unknown := [name for name in chosen if name not in names()]:
        sys.stderr.write(f"paper_figures.data: name must be one of {', '.join(names())}, was {unknown[0]!r}\n")
        return 2
    for name in chosen or [name for name in names() if not slow(name)]:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{name} ")
            sys.stderr.flush()
        sys.stdout.write(f"{save(name)}\n")
    return 0


def slow(name: str) -> bool:
    """Tell whether a data set takes minutes."""
    return bool(getattr(importlib.import_module(f"paper_figures.data.{name}"), "SLOW", False))


if __name__ == "__main__":
    raise SystemExit(main())
