"""``python -m toy_models --preset small --out results.json``: dense against experts, exact errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from toy_models.experiment import run
from toy_models.presets import PRESETS
from toy_models.records import rounded, save_rows
from toy_models.report import tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a preset on one thread, print its tables, and write the rows."""
    parser = argparse.ArgumentParser(prog="python -m toy_models", description=__doc__)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small")
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    if chosen.out and not chosen.out.parent.is_dir():
        sys.stderr.write(f"--out must lie in a folder, was {chosen.out}\n")
        return 2
    torch.set_num_threads(1)
    show = sys.stderr.isatty()
    result = run(chosen.preset, lambda words: sys.stderr.write(f"\r\033[K{words}") if show else None)
    sys.stdout.write(("\r\033[K" if show else "") + "\n\n".join(tables(rounded(result)).values()) + "\n")
    if chosen.out:
        save_rows(result, chosen.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
