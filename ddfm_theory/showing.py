"""How objects show themselves: tables as HTML and Markdown, drawings as SVG, made of plain arrays.

This room knows nothing of the theory, so that every other may use it. matplotlib is imported here alone, inside the
functions that draw; equal input gives equal bytes. Series differ in colour (Okabe and Ito's, told apart by the
colour-blind) and in dashes, so that they also differ in grey.
"""

from __future__ import annotations

import html
import importlib.util
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

Vector = Any  # a sequence of numbers, or an array of one axis

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
STYLE: Any = {"svg.hashsalt": "ddfm", "svg.fonttype": "path", "font.size": 9, "axes.spines.top": False,
         "axes.spines.right": False, "figure.dpi": 100, "legend.frameon": False}  # fmt: skip
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo")
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])  # of the simplex over three tokens


@dataclass(frozen=True)
class Drawing:
    """A finished drawing.

    Attributes:
        svg: its text.
    """

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        head: the names of the columns.
        rows: cells as text.
        caption: a line below, or empty.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.head)
        cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        below = f"<p>{html.escape(self.caption)}</p>" if self.caption else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"

    def _repr_markdown_(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        grid = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
        return f"{grid}\n\n{self.caption}".rstrip() + "\n"

    def __str__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        grid = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([*(line.rstrip() for line in grid), *([self.caption] if self.caption else [])])


def entry(value: Any) -> str:
    """Return a number as text: a rational or symbol as it stands, a float to four significant digits."""
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating) or hasattr(value, "detach"):
        return f"{float(value):.4g}"
    return str(value)


def table(columns: Mapping[str, Sequence[Any]], caption: str = "") -> Table:
    """Return named columns of numbers or words as a table.

    Args:
        columns: the cells of each column, all of one length.
        caption: a line below.

    Raises:
        ValueError: columns of unlike lengths.
    """
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns must be of one length, had {lengths}")
    return Table(
        tuple(columns), [[entry(cell) for cell in row] for row in zip(*columns.values(), strict=True)], caption
    )


def can_draw() -> bool:
    """Tell whether matplotlib is installed (extra ``figures``)."""
    return importlib.util.find_spec("matplotlib") is not None


def drawn(draw: Callable[[Any], None], width: float = 4.6, height: float = 2.6) -> Drawing:
    """Return what a function draws into axes.

    Args:
        draw: takes matplotlib's axes.
        width: inches.
        height: inches.

    Raises:
        ValueError: matplotlib is not installed.
    """
    if not can_draw():
        raise ValueError("matplotlib must be installed to draw, was not: pip install 'ddfm-theory[figures]'")
    import matplotlib
    from matplotlib.figure import Figure

    out = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(out, format="svg", metadata={"Date": None})
    return Drawing(out.getvalue())


def curves(
    x: Vector,
    series: Mapping[str, Vector],
    *,
    labels: tuple[str, str],
    steps: bool = False,
    logarithmic: bool = False,
    limits: tuple[float, float] | None = None,
) -> Drawing:
    """Draw series over one axis.

    Args:
        x: the abscissas, shape (T,).
        series: values by name, each of shape (T,).
        labels: of the two axes.
        steps: values that hold until the next abscissa.
        logarithmic: both axes; values that are zero are left out.
        limits: of the ordinate.
    """

    def draw(axes: Any) -> None:
        for (name, values), colour, dash in zip(series.items(), COLOURS, DASHES, strict=False):
            shown = np.asarray(values, dtype=float)
            shown = np.where(shown > 0, shown, np.nan) if logarithmic else shown
            axes.plot(x, shown, color=colour, ls=dash, lw=1.6, label=name, ds="steps-post" if steps else "default")
        if logarithmic:
            axes.set_xscale("log", base=2)
            axes.set_yscale("log" if any(np.any(np.asarray(v) > 0) for v in series.values()) else "linear")
        axes.set(xlabel=labels[0], ylabel=labels[1], ylim=limits)
        if len(series) > 1:
            axes.figure.legend(loc="outside right center")

    return drawn(draw)


def bars(laws: Mapping[str, Vector], tokens: Sequence[str], label: str = "probability") -> Drawing:
    """Draw laws over the same tokens side by side.

    Args:
        laws: pmfs, or velocities, by name, each of shape (d,).
        tokens: the names of the d tokens.
        label: of the ordinate.
    """

    def draw(axes: Any) -> None:
        width = 0.8 / len(laws)
        for j, (name, law) in enumerate(laws.items()):
            at = np.arange(len(tokens)) + (j - (len(laws) - 1) / 2) * width
            axes.bar(at, law, width, color=COLOURS[j % 7], edgecolor="white", hatch=HATCHES[j % 7],
                     label=name)  # fmt: skip
        axes.axhline(0, color="black", lw=0.6)
        axes.set_xticks(np.arange(len(tokens)), tokens)
        axes.set(xlabel="token", ylabel=label)
        axes.figure.legend(loc="outside right center")

    return drawn(draw)


def simplex(paths: Mapping[str, Vector], names: Sequence[str], arrows: Mapping[str, tuple[Vector, Vector]]) -> Drawing:
    """Draw paths of pmfs over three tokens in their triangle, and velocities as arrows.

    Args:
        paths: pmfs along each path, shape (T, 3).
        names: of the three tokens.
        arrows: where an arrow starts and how far it goes, both of shape (3,), by name.
    """

    def draw(axes: Any) -> None:
        axes.fill(*CORNERS.T, facecolor="none", edgecolor="black", lw=0.8)
        for name, corner in zip(names, CORNERS, strict=True):
            axes.annotate(name, corner, corner + (corner - CORNERS.mean(axis=0)) * 0.18, ha="center", va="center")
        for (name, path), colour, dash in zip(paths.items(), COLOURS, DASHES, strict=False):
            axes.plot(*(np.asarray(path, dtype=float) @ CORNERS).T, color=colour, ls=dash, lw=1.8, label=name)
        for (name, (start, move)), colour in zip(arrows.items(), COLOURS, strict=False):
            a = np.asarray(start, dtype=float) @ CORNERS
            b = a + np.asarray(move, dtype=float) @ CORNERS
            axes.plot(*a, "o", color=colour, ms=5, label=name)
            axes.annotate("", b, a, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.6})
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.figure.legend(loc="outside right center")

    return drawn(draw, 4.8, 3.0)


def record(item: Any, leave: Sequence[str] = ()) -> Table:
    """Return a dataclass's fields that say something, one a line.

    Args:
        item: the dataclass's instance.
        leave: fields not shown.
    """
    shown = {f.name: getattr(item, f.name) for f in fields(item) if f.name not in leave}
    return Table(("", type(item).__name__), [[name, entry(value)] for name, value in shown.items() if value != ""])


def records(items: Iterable[Any], leave: Sequence[str] = ()) -> Table:
    """Return dataclasses of one class as a table, one a row.

    Args:
        items: instances of one dataclass.
        leave: fields not shown.

    Raises:
        ValueError: no items.
    """
    found = list(items)
    if not found:
        raise ValueError("items must hold at least one record, held none")
    names = [f.name for f in fields(found[0]) if f.name not in leave]
    return Table(names, [[entry(getattr(item, name)) for name in names] for item in found])
