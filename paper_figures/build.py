"""Files: every figure as PDF, SVG, PGF or PNG in a venue's width with its caption beside it, every table as LaTeX.

Equal data, versions and fonts give equal bytes: no date is written and every identifier is a hash of content.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ddfm_theory.files import write_whole
from paper_figures.entries import Entry, entries_named
from paper_figures.style import BASE
from paper_figures.venues import Venue, venue_named

FORMATS = ("pdf", "svg", "pgf", "png")
DATELESS: dict[str, dict[str, Any]] = {"pdf": {"metadata": {"CreationDate": None}}, "svg": {"metadata": {"Date": None}}}
OUT = Path(__file__).parent / "out"
Say = Callable[[str], None]


def build(
    names: Sequence[str] = (), venue: str = "icml", kind: str = "pdf", out: Path = OUT, say: Say = lambda words: None
) -> list[Path]:
    """Build figures, captions and tables, and return the files written.

    Args:
        names: which; all where none is given.
        venue: one of ``venues.VENUES``.
        kind: pdf, svg, pgf or png.
        out: the folder, made if its parent exists.
        say: called with each name.

    Raises:
        ValueError: an unknown name, venue or format, a folder that cannot be, or data that do not fit a figure.
    """
    layout, wanted = venue_named(venue), entries_named(names)
    if kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, was {kind!r}")
    if out.is_file() or not out.parent.is_dir():
        raise ValueError(f"out must be a folder, or a new one in a folder that exists, was {out}")
    out.mkdir(exist_ok=True)
    written = []
    for entry in wanted:
        say(entry.name)
        for file, content in files(entry, layout, kind).items():
            write_whole(out / file, content)
            written.append(out / file)
    return written


def files(entry: Entry, venue: Venue, kind: str) -> dict[str, bytes | str]:
    """Return the files of an entry by name: the drawing and its caption, or the table."""
    data = entry.data()
    if entry.draw is None or entry.caption is None:
        return {f"{entry.name}.tex": _generated(entry) + entry.tabulate(data)}  # type: ignore[misc]
    words = f"{_generated(entry)}\\caption{{{entry.caption(data)}}}\n\\label{{fig:{entry.name}}}\n"
    return {f"{entry.name}.{kind}": drawing(entry, data, venue, kind), f"{entry.name}.tex": words}


def _generated(entry: Entry) -> str:
    return f"% Made from {', '.join(entry.sources)} by python -m paper_figures {entry.name}\n"


def drawing(entry: Entry, data: Any, venue: Venue, kind: str) -> bytes:
    """Return a figure's bytes in one format.

    Raises:
        ValueError: data that do not fit, or PGF without the LaTeX that measures its text.
    """
    import matplotlib.style
    from matplotlib.backends.backend_pgf import LatexError

    with matplotlib.style.context(["default", {**BASE, **venue.fonts}]):
        out = io.BytesIO()
        try:
            drawn(entry, data, venue).savefig(out, format=kind, **DATELESS.get(kind, {}))
        except (LatexError, RuntimeError, FileNotFoundError) as error:
            if kind != "pgf" or isinstance(error, NotImplementedError):
                raise
            raise ValueError(f"format pgf needs pdflatex with LaTeX's package pgf: {str(error)[:80]}") from None
    return out.getvalue()


def drawn(entry: Entry, data: Any, venue: Venue) -> Any:
    """Return the Matplotlib figure, of the venue's width."""
    from matplotlib.figure import Figure

    size = (venue.column if entry.width == "column" else venue.page, entry.height)
    fig = Figure(figsize=size, layout="constrained")
    entry.draw(fig, data)  # type: ignore[misc]
    return fig
