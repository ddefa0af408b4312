"""What the tests of figures share: the entries, a figure laid out as in print, walks over plain data."""

from functools import cache

import matplotlib.style

from paper_figures.build import drawn
from paper_figures.entries import entries
from paper_figures.style import BASE
from paper_figures.venues import venue_named

ENTRIES = entries()
FIGURES = {name: entry for name, entry in ENTRIES.items() if entry.draw}
TABLES = {name: entry for name, entry in ENTRIES.items() if entry.tabulate}


@cache
def figure_of(name, venue="icml"):
    """Return a figure laid out in a venue's width and type; one for all tests, which leave it as it is."""
    layout = venue_named(venue)
    with matplotlib.style.context(["default", {**BASE, **layout.fonts}]):
        fig = drawn(ENTRIES[name], ENTRIES[name].data(), layout)
        fig.draw_without_rendering()
    return fig


def places(value, place=()):
    """Yield the place of every key and float, in lists of the first entry alone."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, key)
            yield from places(inner, (*place, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*place, 0))
    elif isinstance(value, float):
        yield place


def at(value, place):
    """Return what lies at a place."""
    for key in place:
        value = value[key]
    return value
