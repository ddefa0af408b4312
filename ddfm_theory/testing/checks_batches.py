"""Checks that a law belongs to its row alone: not to the batch, the order of rows, or the padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ddfm_theory.arrays import Array, stack
from ddfm_theory.testing.judging import Told, equal, lift
from ddfm_theory.testing.looking import Look
from ddfm_theory.testing.places import Place
from ddfm_theory.testing.registry import check
from ddfm_theory.testing.systems import PREFIX

ROWS = 8  # asked one by one


def _names(look: Look) -> list[str]:
    return [name for name in ("experts", "router", "mixture", "central") if getattr(look.system, name) is not None]


def _ask(look: Look, name: str, place: Place) -> Array:
    return look.router(place) if name == "router" else look.laws(name, place)


def _by_row(look: Look, name: str) -> tuple[int, tuple[str, ...]]:
    """Return the axis of rows in an answer, and the names of its axes."""
    entry = ("token",) if look.system.kind == PREFIX else ("position", "token")
    return {"router": (1, ("expert", "row")), "experts": (1, ("expert", "row", *entry))}.get(name, (0, ("row", *entry)))


def _few(look: Look) -> Iterator[Place]:
    for place in look.places():
        chosen = np.linspace(0, len(place.rows) - 1, min(ROWS, len(place.rows))).astype(int)
        yield Place(place.t, place.rows[chosen], place.kind)


@check("C06", "experts")
def check_batch(look: Look) -> Iterator[Told]:
    """A row's law is the same alone and in a batch."""
    for place in _few(look):
        for name in _names(look):
            axis, axes = _by_row(look, name)
            single = [_ask(look, name, Place(place.t, row[None], place.kind)) for row in place.rows]
            alone = np.concatenate(single, axis=axis)
            yield equal(f"{name}: in a batch as alone", _ask(look, name, place), alone, place.name(*axes))


@check("C06", "experts")
def check_order(look: Look) -> Iterator[Told]:
    """Rows in another order, or twice, have the same laws."""
    for place in _few(look):
        b = len(place.rows)
        turned = [*reversed(range(b)), 0]
        other = Place(place.t, place.rows[turned], place.kind)
        for name in _names(look):
            axis, axes = _by_row(look, name)
            expected = np.take(_ask(look, name, place), turned, axis=axis)
            yield equal(f"{name}: in any order of rows", _ask(look, name, other), expected, other.name(*axes))


@check("C06", "ragged", "experts", kind=PREFIX)
def check_padding(look: Look) -> Iterator[Told]:
    """A prefix has the same law alone and padded beside longer ones."""
    prefixes = [row for place in _few(look) for row in place.rows[:2]]
    shape = (look.count, len(prefixes), look.system.vocabulary)
    answer = look.call("ragged", "prefixes of unequal lengths", [tuple(int(x) for x in row) for row in prefixes])
    padded = lift(look.enter(answer, shape, "ragged", "prefixes of unequal lengths"), look.roundings)
    for b, row in enumerate(prefixes):
        place = Place(len(row), row[None])
        got = stack([padded[:, b]], axis=1)
        yield equal(
            "padded as alone", got, look.laws("experts", place), place.name("expert", "row", "token")
        )  # fmt: skip
