"""``python -m toy_models --preset small --out results.json``: dense against experts, exact errors."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from toy_models.experiment import PRESETS, run, save, summary


def main() -> int:
    """Run a preset, print the means over seeds, and write the rows."""
    parser = argparse.ArgumentParser(prog="python -m toy_models", description=__doc__)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small")
    parser.add_argument("--out", type=Path, default=None)
    chosen = parser.parse_args()
    show = sys.stderr.isatty()
    result = run(chosen.preset, lambda words: sys.stderr.write(f"\r\033[K{words}") if show else None)
    sys.stdout.write("\n".join(summary(result)) + "\n")
    if chosen.out:
        save(result, chosen.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
