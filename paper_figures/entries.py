"""What a figure and a table are, and the walk over the package that finds them.

A figure is a module of :mod:`paper_figures.figures` with ``draw(fig, data)`` decorated by :func:`figure`, and
``caption(data)``; a table is a module of :mod:`paper_figures.tables` with ``rows(data)`` decorated by :func:`table`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from paper_figures.records import Record, checked, read


@dataclass(frozen=True)
class Entry:
    """A figure or a table.

    Attributes:
        name: its module's name.
        source: the JSON it is made from, a path from the repository's root, or several.
        caption: data to LaTeX; None for a table, which carries its own.
        draw: (figure or axes, data) draws; None for a table.
        tabulate: data to LaTeX; None for a figure.
        width: ``column`` or ``page``.
        height: in inches.
    """

    name: str
    source: str | tuple[str, ...]
    caption: Callable[[Any], str] | None = None
    draw: Callable[[Any, Any], None] | None = None
    tabulate: Callable[[Any], str] | None = None
    width: str = "column"
    height: float = 2.0

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the JSON files it is made from."""
        return (self.source,) if isinstance(self.source, str) else self.source

    def data(self) -> Record:
        """Read its data: the file's object, or with several files an object of them by stem."""
        if isinstance(self.source, str):
            return read(self.source)
        return Record({path.rsplit("/", 1)[-1].removesuffix(".json"): read(path) for path in self.source}, "data")


def figure(source: str | tuple[str, ...], *, width: str, height: float) -> Callable[..., Any]:
    """Mark ``draw(target, data)`` as a figure made from a JSON file; plain data are checked before it is called.

    Args:
        source: the file's path from the repository's root, or several.
        width: ``column`` or ``page``, of the venue.
        height: in inches.
    """

    def marked(draw: Callable[[Any, Record], None]) -> Callable[[Any, Any], None]:
        @wraps(draw)
        def drawing(target: Any, data: Any) -> None:
            draw(target, checked(data))

        drawing.source, drawing.width, drawing.height = source, width, height  # type: ignore[attr-defined]
        return drawing

    return marked


def captioned(caption: Callable[[Record], str]) -> Callable[[Any], str]:
    """Check plain data before a caption is made of them."""

    @wraps(caption)
    def words(data: Any) -> str:
        return caption(checked(data))

    return words


def table(source: str | tuple[str, ...]) -> Callable[..., Any]:
    """Mark ``latex(data)`` as a table made from a JSON file, or several."""

    def marked(tabulate: Callable[[Record], str]) -> Callable[[Any], str]:
        made = captioned(tabulate)
        made.source = source  # type: ignore[attr-defined]
        return made

    return marked


def entries() -> dict[str, Entry]:
    """Return all figures and tables by name, found by walking the package."""
    found = {}
    for name, module in _modules("figures"):
        draw = module.draw
        found[name] = Entry(name, draw.source, module.caption, draw, None, draw.width, draw.height)
    for name, module in _modules("tables"):
        found[name] = Entry(name, module.latex.source, tabulate=module.latex)
    return found


def _modules(room: str) -> list[tuple[str, Any]]:
    package = importlib.import_module(f"paper_figures.{room}")
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    return [(name, importlib.import_module(f"paper_figures.{room}.{name}")) for name in names]


def entries_named(names: Sequence[str]) -> list[Entry]:
    """Return the entries of these names, or all where none is given.

    Raises:
        ValueError: a name that no figure and no table has.
    """
    found = entries()
    for name in names:
        if name not in found:
            raise ValueError(f"name must be one of {', '.join(found)}, was {name!r}")
    return [found[name] for name in dict.fromkeys(names or found)]
