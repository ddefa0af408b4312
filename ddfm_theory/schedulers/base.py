"""What a schedule is: kappa, its derivative, its convex weights, its inverse."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    cast,
    from_sympy,
    full,
    instance,
    is_object,
    is_symbolic,
    nonnegative,
    positive_int,
    stack,
    to_sympy,
)

if TYPE_CHECKING:
    import sympy


def number(value: Any) -> Any:
    """Return a 0-d array's entry, so that it combines with arrays of its own system."""
    return value[()] if isinstance(value, np.ndarray) else value


def moment(t: Any, name: str = "t") -> Array:
    """Bring a time to a 0-d array and check 0 <= t <= 1 (a symbol's range is a recorded hypothesis)."""
    time = nonnegative(t, name)
    if tuple(time.shape) != ():
        raise ValueError(f"{name} must be one number, was an array of shape {tuple(time.shape)}")
    if not is_symbolic(time) and bool(time > 1):
        raise ValueError(f"{name} must be at most 1, was {t}")
    return time


def positions(length: Any) -> int:
    """Check a number of positions."""
    return positive_int(length, "length", high=1 << 24)


def spread(value: Any, length: int, like: Array) -> Array:
    """Return one value at every position, shape (length,)."""
    return full((length,), 1, like) * value


class Scheduler:
    r"""A schedule :math:`\kappa_t^i` that rises from 0 at t = 0 to 1 at t = 1 at every position.

    A subclass defines ``_formula`` (SymPy) and ``_values`` (any number system); derivative, weights and the values at a
    symbolic time follow. ``bases`` is None where the base pmfs are the two end points.
    """

    bases: Array | None = None
    degree: int | None = None  # of kappa as a polynomial in t between breakpoints, where it is one

    def formula(self, t: sympy.Symbol, length: int) -> tuple[sympy.Expr, ...]:
        r"""Return :math:`\kappa_t^1, ..., \kappa_t^N` as SymPy expressions in the symbol ``t``."""
        import sympy

        return self._formula(instance(t, sympy.Expr, "t"), positions(length))

    def inverse_formula(self, kappa: sympy.Symbol, length: int) -> tuple[sympy.Expr, ...]:
        """Return, per position, the time at which the schedule takes the value ``kappa`` in (0, 1), in SymPy."""
        import sympy

        return self._inverse_formula(instance(kappa, sympy.Expr, "kappa"), positions(length))

    def breakpoints(self, length: int) -> tuple[Fraction | float, ...]:
        """Return the times in (0, 1) at which the schedule is not smooth."""
        return self._breakpoints(positions(length))

    def kappa(self, t: Any, length: int) -> Array:
        r"""Return :math:`\kappa_t`, shape (length,), in the number system of ``t``.

        Raises:
            ValueError: t outside [0, 1], or a value that its number system cannot hold.
        """
        time, length = moment(t), positions(length)
        if is_symbolic(time):
            return self._symbolic(time, length, 0)
        return self._values(time, length)

    def kappa_dot(self, t: Any, length: int) -> Array:
        r"""Return :math:`d\kappa_t/dt`, shape (length,): the right derivative at kinks, the left one at t = 1.

        Raises:
            ValueError: as for ``kappa``; an infinite derivative; a schedule of discrete time.
        """
        time, length = moment(t), positions(length)
        if is_symbolic(time):
            return self._symbolic(time, length, 1)
        slopes = self._slopes(time, length)
        if not is_object(slopes) and not bool((abs(slopes) < math.inf).all()):
            raise ValueError(f"t must leave the derivative finite, it overflows at {t}")
        return slopes

    def weights(self, t: Any, length: int) -> Array:
        r"""Return the convex weights :math:`(1 - \kappa_t, \kappa_t)`, shape (J, length), kappa the last row."""
        kappa = self.kappa(t, length)
        return stack([1 - kappa, kappa])

    def weights_dot(self, t: Any, length: int) -> Array:
        """Return the time derivative of ``weights``, shape (J, length)."""
        slope = self.kappa_dot(t, length)
        return stack([-slope, slope])

    def inverse(self, kappa: Any, length: int = 1) -> Array:
        """Return, per position, the time at which the schedule takes a value ``kappa`` in (0, 1): floats, (length,)."""
        import sympy

        value = cast(moment(kappa, "kappa"), np.zeros(()), "kappa")
        symbol = sympy.Symbol("kappa")
        return np.array([float(time.subs(symbol, float(value))) for time in self.inverse_formula(symbol, length)])

    def _repr_svg_(self) -> str | None:
        from ddfm_theory.schedulers.picture import shown

        return shown(self)

    def _symbolic(self, time: Array, length: int, order: int) -> Array:
        import sympy

        t = sympy.Symbol("t", real=True)
        values = [sympy.diff(value, t, order) for value in self._formula(t, length)]
        return from_sympy([value.subs(t, to_sympy(time)) for value in values])

    def _formula(self, t: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        raise ValueError(f"scheduler must have a formula in t, was {type(self).__name__}")

    def _inverse_formula(self, kappa: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        raise ValueError(f"scheduler must be invertible, was {type(self).__name__}")

    def _breakpoints(self, length: int) -> tuple[Fraction | float, ...]:
        return ()

    def _values(self, time: Array, length: int) -> Array:
        raise ValueError(f"scheduler must say its values, was {type(self).__name__}")

    def _slopes(self, time: Array, length: int) -> Array:
        raise ValueError(f"scheduler must have a derivative, was {type(self).__name__}")
