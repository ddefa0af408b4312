"""Venues: how wide a column and a page of text are, and how large the type, by tueplots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COLUMN = 3.25  # inches; a figure that fits a column of two is set this wide in venues of one column
VENUES = {  # tueplots' names: width of a column or None, width of the page, font sizes
    "icml": ("icml2024_half", "icml2024_full", "icml2024"),
    "neurips": (None, "neurips2024", "neurips2024"),
    "iclr": (None, "iclr2024", "iclr2024"),
    "aistats": ("aistats2025_half", "aistats2025_full", "aistats2025"),
    "uai": ("uai2023_half", "uai2023_full", "uai2023"),
    "cvpr": ("cvpr2024_half", "cvpr2024_full", "cvpr2024"),
    "aaai": ("aaai2024_half", "aaai2024_full", "aaai2024"),
    "colm": (None, "colm2026", "colm2026"),
    "jmlr": (None, "jmlr2001", "jmlr2001"),
    "tmlr": (None, "tmlr2023", "tmlr2023"),
}


@dataclass(frozen=True)
class Venue:
    """A venue's layout.

    Attributes:
        name: as in ``VENUES``.
        column: the width of a column figure in inches.
        page: the width of a figure across the page in inches.
        fonts: Matplotlib's font sizes in points.
    """

    name: str
    column: float
    page: float
    fonts: dict[str, float]


def venue_named(name: str) -> Venue:
    """Return a venue's layout.

    Raises:
        ValueError: an unknown venue.
    """
    from tueplots import figsizes, fontsizes

    if name not in VENUES:
        raise ValueError(f"venue must be one of {', '.join(VENUES)}, was {name!r}")
    half, full, fonts = VENUES[name]
    page = _width(getattr(figsizes, full))
    column = _width(getattr(figsizes, half)) if half else min(COLUMN, page)
    return Venue(name, column, page, getattr(fontsizes, fonts)(default_smaller=1))


def _width(size: Any) -> float:
    return float(size()["figure.figsize"][0])
