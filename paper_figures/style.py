"""What all figures share: type, colours that the colour-blind tell apart, and a second mark beside every colour.

The colours are Okabe and Ito's. Grey prints lose them, so every colour comes with a line style, a marker and a hatch of
its own, and one role has one look in all figures.

References:
    M. Okabe, K. Ito, "Color Universal Design", 2008 (palette).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, RED, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#767676"
PALE, PALE_BLUE = "#D9D9D9", "#BFD7EA"

BASE: dict[str, Any] = {
    "font.family": "STIXGeneral", "mathtext.fontset": "stix", "axes.unicode_minus": True,
    "pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "paper_figures",
    "pgf.texsystem": "pdflatex", "pgf.rcfonts": False,
    "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False, "axes.labelpad": 2.5,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5, "ytick.minor.size": 1.5, "xtick.minor.width": 0.4, "ytick.minor.width": 0.4,
    "xtick.major.pad": 2.0, "ytick.major.pad": 2.0,
    "lines.linewidth": 1.1, "lines.markersize": 3.5, "hatch.linewidth": 0.4, "patch.linewidth": 0.5,
    "legend.frameon": False, "legend.handlelength": 2.2, "legend.labelspacing": 0.25, "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.2, "legend.handletextpad": 0.5, "savefig.dpi": 300, "savefig.transparent": False,
    "figure.constrained_layout.h_pad": 0.02, "figure.constrained_layout.w_pad": 0.03,
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """One role's colour, line style, marker and hatch."""

    color: str
    line: Any
    marker: str
    hatch: str = ""

    def drawn(self, **more: Any) -> dict[str, Any]:
        """Return keywords of ``Axes.plot``, the marker white inside."""
        return {"color": self.color, "linestyle": self.line, "marker": self.marker, "markerfacecolor": "white",
                "markeredgewidth": 0.8, **more}  # fmt: skip

    def lined(self, **more: Any) -> dict[str, Any]:
        """Return keywords of ``Axes.plot`` without a marker."""
        return {"color": self.color, "linestyle": self.line, **more}

    def filled(self, **more: Any) -> dict[str, Any]:
        """Return keywords of ``Axes.bar``."""
        return {"facecolor": self.color, "hatch": self.hatch, "edgecolor": "black", **more}


DASHED, DASHDOT, DOTTED, LONG = (0, (4, 1.6)), (0, (5, 1.4, 1, 1.4)), (0, (1, 1.3)), (0, (8, 2))
LOOKS = (
    Look(BLUE, "-", "o", ""),
    Look(RED, DASHED, "s", "////"),
    Look(GREEN, DASHDOT, "^", "...."),
    Look(ORANGE, DOTTED, "D", "xxxx"),
    Look(PURPLE, LONG, "v", "----"),
    Look(BLACK, (0, (3, 1, 1, 1, 1, 1)), "P", "++++"),
)
DENSE = Look(BLACK, "-", "o", "")
RULES = {  # one routing rule, one look, in every figure
    "bayes": Look(BLUE, "-", "o", ""),
    "static": Look(RED, DASHED, "s", "////"),
    "last token": Look(GREEN, DASHDOT, "^", "...."),
    "top-1": Look(ORANGE, DOTTED, "D", "xxxx"),
}
NAMES = {"bayes": "Bayes filter", "static": "static prior", "last token": "last token", "top-1": "top-1 of filter"}

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])


def on_simplex(laws: Any) -> np.ndarray:
    """Return where pmfs over three outcomes lie in the plane: (..., 3) to (..., 2)."""
    return np.asarray(np.asarray(laws) @ CORNERS)


def simplex(ax: Any, labels: tuple[str, str, str], size: float | None = None) -> None:
    """Draw the 2-simplex's border and name its corners."""
    ax.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color="black", linewidth=0.6, zorder=1)
    for corner, label, (dx, dy, across) in zip(
        CORNERS, labels, ((0, -3, "top"), (0, -3, "top"), (0, 3, "bottom")), strict=True
    ):
        ax.annotate(label, corner, (dx, dy), textcoords="offset points", ha="center", va=across, fontsize=size)
    ax.set(aspect="equal", xlim=(-0.06, 1.06), ylim=(-0.1, 0.97))
    ax.set_axis_off()


def ranges(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each group of values, and how far the least and the largest are from it, shape (2, groups)."""
    means = np.array([np.mean(group) for group in values])
    ends = [(mean - np.min(group), np.max(group) - mean) for mean, group in zip(means, values, strict=True)]
    return means, np.maximum(np.array(ends).T, 0.0)  # a mean of equal values may miss them by rounding


def letter(ax: Any, text: str) -> None:
    """Name a panel as the caption refers to it."""
    ax.annotate(f"({text})", (0, 1), (-2, 3), xycoords="axes fraction", textcoords="offset points",
                ha="right", va="bottom", annotation_clip=False)  # fmt: skip


def axes_of(target: Any) -> Any:
    """Return the axes to draw in: the given ones, or those of a figure, made if it has none."""
    if hasattr(target, "plot"):
        return target
    return target.axes[0] if target.axes else target.subplots()
