"""Numbers as a caption prints them, in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits: plain between 10^-3 and 10^5, else as a power of ten."""
    text = f"{value:.{digits}g}"
    if "e" not in text and (value == 0 or abs(value) >= 1e-3):
        return f"{float(text):.{max(0, digits - 1 - _exponent(value))}f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1]) if value else 0


def whole(value: float) -> str:
    """Return an integer with thousands set apart."""
    return f"{int(value):,}".replace(",", r"\,")


def percent(share: float, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return rf"{100 * share:.{digits}f}\,\%"


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
