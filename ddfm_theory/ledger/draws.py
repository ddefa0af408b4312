"""Sources of instances: one family text, drawn at random, exhaustively, by Hypothesis, or as symbols.

Every draw is made of integers, so an instance is rational first and then brought to a number system: the same instance
can be evaluated in rationals, in floats of any precision, and with its rounding errors bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, Rounded, Symbol, cast

Make = Callable[[Array], Array]


def rational(array: Array) -> Array:
    """Keep an array of rationals as it is."""
    return array


def rounded(array: Array) -> Array:
    """Bring rationals to entries that carry their rounding error bound."""
    out = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        out[index] = Rounded.of(array[index])
    return out


def floating(like: Array) -> Make:
    """Return the conversion of rationals to the dtype and device of ``like``."""
    return lambda array: cast(array, like)


class Draw:
    """Draw sizes, pmfs and schedule values; a subclass says where integers come from.

    Args:
        make: the conversion of a rational array to a number system.
        limit: the largest length, vocabulary and number of experts.
    """

    symbolic = False

    def __init__(self, make: Make = rational, limit: int = 3) -> None:
        self.make, self.limit = make, limit

    def integer(self, low: int, high: int) -> int:
        """Return an integer in low..high."""
        raise NotImplementedError

    def choice(self, options: Sequence[Any]) -> Any:
        """Return one of the options."""
        return options[self.integer(0, len(options) - 1)]

    def _counts(self, cells: int, low: int) -> list[int]:
        counts = [self.integer(low, 3) for _ in range(cells)]
        return counts if sum(counts) else [*counts[:-1], 1]

    def pmf(self, shape: tuple[int, ...], label: str = "q", *, positive: bool = False) -> Array:
        """Return a pmf of that shape, zeros included unless ``positive``; symbols use ``label`` for their names."""
        counts = self._counts(math.prod(shape), int(positive))
        return self.make(_object([flint.fmpq(c, sum(counts)) for c in counts]).reshape(shape))

    def numbers(self, shape: tuple[int, ...], label: str, low: int, high: int, over: int) -> Array:
        """Return rationals n / over with n in low..high; symbols use ``label``."""
        entries = [flint.fmpq(self.integer(low, high), over) for _ in range(math.prod(shape))]
        return self.make(_object(entries).reshape(shape))

    def steps(self, length: int, label: str = "k") -> Array:
        """Return two rows kappa <= kappa' of schedule values in [0, 1], shape (2, length)."""
        ends = [sorted((self.integer(0, 4), self.integer(0, 4))) for _ in range(length)]
        return self.make(_object([flint.fmpq(end[j], 4) for j in range(2) for end in ends]).reshape(2, length))


def _object(entries: Sequence[Any]) -> np.ndarray:
    out = np.empty(len(entries), dtype=object)
    out[:] = entries
    return out


class RandomDraw(Draw):
    """Integers from a seeded generator."""

    def __init__(self, seed: Sequence[int], make: Make = rational, limit: int = 3) -> None:
        super().__init__(make, limit)
        self.rng = np.random.default_rng(list(seed))

    def integer(self, low: int, high: int) -> int:
        """Return a uniform integer in low..high."""
        return int(self.rng.integers(low, high + 1))


class ExhaustiveDraw(Draw):
    """Every sequence of integers in turn: an odometer whose wheels appear as the family asks for them.

    Call ``advance`` after each instance until it returns False.
    """

    def __init__(self, limit: int = 2) -> None:
        super().__init__(rational, limit)
        self.wheels: list[list[int]] = []  # value and largest value of each draw so far
        self.place = 0

    def integer(self, low: int, high: int) -> int:
        """Return the current wheel's value; the wheels count up from ``low``."""
        high = min(high, low + 1)  # the two smallest values of each draw: zero mass, end points, one and two of a kind
        if self.place == len(self.wheels):
            self.wheels.append([0, high - low])
        self.place += 1
        return low + self.wheels[self.place - 1][0]

    def advance(self) -> bool:
        """Turn to the next sequence; False when all have been."""
        self.place = 0
        while self.wheels and self.wheels[-1][0] == self.wheels[-1][1]:
            self.wheels.pop()
        if not self.wheels:
            return False
        self.wheels[-1][0] += 1
        return True


class HypothesisDraw(Draw):
    """Integers from Hypothesis, so that a failing instance shrinks to two tokens and two experts."""

    def __init__(self, integers: Callable[[int, int], int], make: Make = rational, limit: int = 3) -> None:
        super().__init__(make, limit)
        self._integers = integers

    def integer(self, low: int, high: int) -> int:
        """Return an integer that Hypothesis chose."""
        return self._integers(low, high)


class SymbolDraw(RandomDraw):
    """Free symbols for every pmf and schedule value, random sizes: one instance proves a claim for all values."""

    symbolic = True

    def __init__(self, seed: Sequence[int], limit: int = 2, symbols: int = 64) -> None:
        super().__init__(seed, rational, limit)
        self._free = Symbol.variables(*(f"v{i}" for i in range(symbols)))

    def _take(self, count: int) -> list[Symbol]:
        if count > len(self._free):
            raise ValueError(
                f"symbols must suffice for the instance, {len(self._free)} were left of the {count} needed"
            )
        taken, self._free = self._free[:count], self._free[count:]
        return taken

    def pmf(self, shape: tuple[int, ...], label: str = "q", *, positive: bool = False) -> Array:
        """Return free symbols that sum to one: the last is one minus the others."""
        free: list[Any] = self._take(math.prod(shape) - 1)
        return _object([*free, 1 - sum(free)] if free else [flint.fmpq(1)]).reshape(shape)

    def numbers(self, shape: tuple[int, ...], label: str, low: int, high: int, over: int) -> Array:
        """Return free symbols."""
        return _object(self._take(math.prod(shape))).reshape(shape)

    def steps(self, length: int, label: str = "k") -> Array:
        """Return two rows of free symbols (their order is a recorded hypothesis)."""
        return _object(self._take(2 * length)).reshape(2, length)
