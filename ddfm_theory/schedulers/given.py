"""Schedules that are given: tables of steps, autoregression, values, one schedule a position."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ddfm_theory.arrays import (
    Array,
    asarray,
    is_object,
    is_symbolic,
    nonnegative,
    positive_int,
    sequence,
    stack,
)
from ddfm_theory.schedulers.base import Scheduler, number, positions, spread

if TYPE_CHECKING:
    import sympy


class Steps(Scheduler):
    r"""A schedule of discrete time, given by its values: row t of a table is :math:`\kappa_t`, t = 0, ..., T.

    Args:
        table: shape (T + 1, N), from a row of zeros to a row of ones, each column nondecreasing, in any number system.
            Symbols are taken as they are (their order is a recorded hypothesis).

    Raises:
        ValueError: another shape, wrong end points, a column that falls, or values outside [0, 1].
    """

    def __init__(self, table: Any) -> None:
        self.table = nonnegative(table, "table")
        if self.table.ndim != 2 or self.table.shape[0] < 2 or self.table.shape[1] < 1:
            raise ValueError(f"table must have shape (T + 1, N), T and N at least 1, was {tuple(self.table.shape)}")
        for row, value in ((0, 0), (-1, 1)):
            if not bool((self.table[row] == value).all()):
                raise ValueError(f"table must be {value} in row {row}, was {self.table[row]}")
        if not is_symbolic(self.table) and bool((self.table[1:] < self.table[:-1]).any()):
            raise ValueError("table must be nondecreasing in t, but a column falls")

    @property
    def steps(self) -> int:
        """Return the number of steps T."""
        return int(self.table.shape[0]) - 1

    def kappa(self, t: Any, length: int) -> Array:
        """Return row t of the table, shape (length,).

        Raises:
            ValueError: t is not an integer in 0..T, or the table has another length.
        """
        row = positive_int(t, "t", 0, self.steps)
        if positions(length) != self.table.shape[1]:
            raise ValueError(f"length must be the table's {self.table.shape[1]}, was {length}")
        return self.table[row]

    def kappa_dot(self, t: Any, length: int) -> Array:
        """Raise ValueError: discrete time has no derivative."""
        raise ValueError(f"scheduler must have a derivative in continuous time, was {type(self).__name__}: use steps")

    def __repr__(self) -> str:
        return f"Steps({self.steps} steps, {self.table.shape[1]} positions)"


class Autoregressive(Scheduler):
    r"""Autoregression as the degenerate schedule :math:`\kappa_t^i = 1[t \ge i]`: step t reveals one position.

    Args:
        order: the positions 0, ..., N - 1 in the order in which they are revealed; None is left to right.

    Raises:
        ValueError: ``order`` is not a permutation.
    """

    def __init__(self, order: Sequence[int] | None = None) -> None:
        places = None if order is None else sequence(order, "order")
        self.order = None if places is None else tuple(positive_int(i, "order", 0) for i in places)
        if self.order is not None and sorted(self.order) != list(range(len(self.order))):
            raise ValueError(f"order must be a permutation of 0..N-1, was {order!r}")

    def positions(self, length: int) -> tuple[int, ...]:
        """Return the positions in the order of their steps."""
        if self.order is not None and len(self.order) != positions(length):
            raise ValueError(f"length must be the order's {len(self.order)}, was {length}")
        return self.order or tuple(range(positions(length)))

    def kappa(self, t: Any, length: int) -> Array:
        """Return 1 at the first t positions of the order and 0 at the rest, exact integers, shape (length,).

        Raises:
            ValueError: t is not an integer in 0..length.
        """
        revealed = self.positions(length)[: positive_int(t, "t", 0, length)]
        return asarray([int(i in revealed) for i in range(length)], "kappa")

    def kappa_dot(self, t: Any, length: int) -> Array:
        """Raise ValueError: the schedule jumps."""
        raise ValueError("scheduler must have a derivative in continuous time, was Autoregressive: it jumps; use steps")

    def __repr__(self) -> str:
        return f"Autoregressive({list(self.order) if self.order else ''})"


class Given(Scheduler):
    r"""Schedule values as numbers or symbols, whatever t: one proof for every schedule at once.

    Args:
        kappa: one value, or one a position; any number system, SymPy expressions too.
        kappa_dot: likewise the derivatives; None where continuous time is not asked for.
    """

    def __init__(self, kappa: Any, kappa_dot: Any = None) -> None:
        self._kappa = nonnegative(kappa, "kappa")
        if not is_symbolic(self._kappa) and bool((self._kappa > 1).any()):
            raise ValueError(f"kappa must be at most 1, was {kappa}")
        self._kappa_dot = None if kappa_dot is None else asarray(kappa_dot, "kappa_dot")

    def kappa(self, t: Any, length: int) -> Array:
        """Return the given values, shape (length,), whatever ``t``."""
        return _per_position(self._kappa, length, "kappa")

    def kappa_dot(self, t: Any, length: int) -> Array:
        """Return the given derivatives, shape (length,), whatever ``t``."""
        if self._kappa_dot is None:
            raise ValueError("scheduler must have a derivative: kappa_dot must be given where one is asked for")
        return _per_position(self._kappa_dot, length, "kappa_dot")

    def __repr__(self) -> str:
        return f"Given({self._kappa}, {self._kappa_dot})"


def _per_position(values: Array, length: int, name: str) -> Array:
    if values.ndim == 0:
        return spread(number(values), positions(length), values)
    if tuple(values.shape) != (positions(length),):
        raise ValueError(f"{name} must have one value or {length}, had shape {tuple(values.shape)}")
    return values


class PerPosition(Scheduler):
    """A schedule of its own at every position.

    Args:
        schedulers: one continuous-time scheduler a position, each read as a sequence of length one.
    """

    def __init__(self, schedulers: Sequence[Scheduler]) -> None:
        self.schedulers: tuple[Scheduler, ...] = tuple(sequence(schedulers, "schedulers"))
        if not all(_continuous(s) for s in self.schedulers):
            raise ValueError("schedulers must be a nonempty sequence of two-base schedulers of continuous time")
        degrees = [s.degree for s in self.schedulers]
        self.degree = None if None in degrees else max(d for d in degrees if d is not None)

    def _gather(self, method: str, argument: Any, length: int) -> list[Any]:
        if positions(length) != len(self.schedulers):
            raise ValueError(f"length must be the number of schedulers {len(self.schedulers)}, was {length}")
        return [getattr(s, method)(argument, 1)[0] for s in self.schedulers]

    def _formula(self, t: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        return tuple(self._gather("formula", t, length))

    def _inverse_formula(self, kappa: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        return tuple(self._gather("inverse_formula", kappa, length))

    def _breakpoints(self, length: int) -> tuple[Fraction | float, ...]:
        return tuple(sorted({point for s in self.schedulers for point in s.breakpoints(1)}))

    def _values(self, time: Array, length: int) -> Array:
        return _stack_numbers(self._gather("kappa", time, length))

    def _slopes(self, time: Array, length: int) -> Array:
        return _stack_numbers(self._gather("kappa_dot", time, length))

    def __repr__(self) -> str:
        return f"PerPosition({list(self.schedulers)})"


def _continuous(scheduler: Any) -> bool:
    """Tell whether a scheduler has two bases and continuous time."""
    two_base = isinstance(scheduler, Scheduler) and scheduler.bases is None
    return two_base and not isinstance(scheduler, Steps | Autoregressive)


def _stack_numbers(numbers: list[Any]) -> Array:
    if is_object(numbers[0]):
        return asarray(numbers, "schedulers")
    return stack([asarray(number, "schedulers") for number in numbers])
