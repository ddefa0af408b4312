"""The catalogue of wrong theories: what an entry is, and the tools to edit a right system with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import flint
from right import PRIOR, TABLES

from ddfm_theory.arrays import full
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.testing.adapters import from_table

TENTH = flint.fmpq(1, 10)


@dataclass(frozen=True)
class Wrong:
    """A wrong theory: the right one it is an edit of, the edit, the check that must fail, and on which statement."""

    says: str
    right: str
    edit: Callable[[Any], Any]
    check: str
    statement: str
    options: tuple[tuple[str, Any], ...] = ()


CATALOGUE: list[Wrong] = []


def wrong(says, right, check, statement, **options):
    """Enter an edit into the catalogue."""

    def enter(edit):
        CATALOGUE.append(Wrong(says, right, edit, check, statement, tuple(options.items())))
        return edit

    return enter


def constant(weights, rows):
    return weights[:, None] * full((1, len(rows)), 1, weights)


def rebuilt(**edits):
    return from_table("edited", TABLES, PRIOR, **edits)


def rebuilt_prior(prior):
    return from_table("edited", TABLES, prior)


def with_velocity(s, edit):
    return replace(s, mixture=lambda t, rows: edit(s.mixture(t, rows), t, rows))


class Edited(Scheduler):
    """A schedule with rows and slopes edited."""

    def __init__(self, inner, weights=None, dots=None):
        self.inner, self.rows, self.dots = inner, weights, dots

    def weights(self, t, length):
        found = self.inner.weights(t, length)
        return found if self.rows is None else self.rows(found, t)

    def weights_dot(self, t, length):
        found = self.inner.weights_dot(t, length)
        return found if self.dots is None else self.dots(found, t)
