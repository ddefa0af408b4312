"""``python -m paper_figures [NAME...] [--venue V] [--format F] [--out DIR]``: build figures, captions and tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from paper_figures.build import FORMATS, OUT, build
from paper_figures.venues import VENUES


def main() -> int:
    """Build what is named, or all; print the files."""
    parser = argparse.ArgumentParser(prog="python -m paper_figures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--venue", default="icml", help=", ".join(VENUES))
    parser.add_argument("--format", default="pdf", help=", ".join(FORMATS))
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    try:
        written = build(chosen.names, chosen.venue, chosen.format, chosen.out)
    except ValueError as error:
        sys.stderr.write(f"paper_figures: {' '.join(str(error).split())}\n")
        return 2
    sys.stdout.write("".join(f"{path}\n" for path in written))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
