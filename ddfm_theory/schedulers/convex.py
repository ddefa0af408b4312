"""A user's own schedule: convex weights over any number of base pmfs, as expressions in t or as a function of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    asarray,
    cast,
    from_sympy,
    full,
    gamma,
    instance,
    is_object,
    pmf,
    positive_int,
    sequence,
    system_of,
    to_float,
    to_sympy,
)
from ddfm_theory.schedulers.base import Scheduler, moment, positions

if TYPE_CHECKING:
    import sympy

FINEST = 1 << 16  # steps of a grid on which the laws of a schedule are checked


class Convex(Scheduler):
    r"""A user's own convex weights over any number of base pmfs.

    .. math:: p_t(x^i \mid x_0, x_1) = \sum_j \kappa_t^{i,j} w^j(x^i \mid x_0^i, x_1^i), \quad
        w^1 = \delta_{x_0},\ w^J = \delta_{x_1}.

    Args:
        weights: J SymPy expressions in ``variable`` (each one expression, or a sequence of one a position), or a
            function t -> (J,) or (J, N) array.
        bases: the pmfs between the end points, shape (J - 2, d), or (J - 2, d, d, d) with axes x0, x1, x; None where
            J = 2.
        variable: the SymPy symbol of time, where the weights are expressions.
        weights_dot: for weights that are a function, their derivative; None where it is not needed.
        grid: the number of equal steps at which the laws of a schedule are checked.

    Raises:
        ValueError: weights that are not convex, wrong end points, or a last row that falls, with the time where.
    """

    def __init__(
        self,
        weights: Sequence[Any] | Callable[[Any], Any],
        bases: Any = None,
        *,
        variable: sympy.Symbol | None = None,
        weights_dot: Callable[[Any], Any] | None = None,
        grid: int = 32,
    ) -> None:
        self._weights = weights if callable(weights) else _expressions(weights, variable)
        if weights_dot is not None and not callable(weights_dot):
            raise ValueError(f"weights_dot must be a function of t, was {weights_dot!r}")
        self._weights_dot, self.variable = weights_dot, variable
        self.bases = None if bases is None else pmf(bases, "bases", axis=-1)
        if self.bases is not None and (self.bases.ndim not in (2, 4) or len(set(self.bases.shape[1:])) != 1):
            raise ValueError(f"bases must have shape (J - 2, d) or (J - 2, d, d, d), was {tuple(self.bases.shape)}")
        self._check(positive_int(grid, "grid", high=FINEST))

    def _rows(self, t: Any, order: int) -> Array:
        time = moment(t)
        if callable(self._weights):
            function = self._weights if order == 0 else self._weights_dot
            if function is None:
                raise ValueError("weights_dot must be given where a derivative is asked for")
            try:
                rows = asarray(function(t), "weights")
            except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
                raise ValueError(f"weights must be a function of a time, at {t} it raised {error!r}") from error
            if rows.ndim not in (1, 2):
                raise ValueError(f"weights must have shape (J,) or (J, N), was {tuple(rows.shape)}")
            return rows
        return self._substitute(time, order)

    def _substitute(self, time: Array, order: int) -> Array:
        import sympy

        if system_of(time) == "roundoff":
            raise ValueError("t must be a float, a rational or a symbol where weights are expressions; use Given")
        exact = is_object(time)
        moment = to_sympy(time) if exact else sympy.Float(float(time), 17)
        rows = self._weights.applyfunc(  # type: ignore[union-attr]
            lambda entry: sympy.diff(entry, self.variable, order).subs(self.variable, moment)
        )
        if exact:
            return from_sympy(rows)
        if rows.free_symbols:
            raise ValueError(f"variable must be the only symbol of weights, at {time} there is {rows.free_symbols}")
        return cast(np.array(rows.tolist(), dtype=np.float64), time, "weights")

    def _check(self, grid: int) -> None:
        last = None
        middle = 0 if self.bases is None else int(self.bases.shape[0])
        for step in range(grid + 1):
            t = Fraction(step, grid)
            try:
                rows = pmf(to_float(self._rows(float(t), 0)), f"weights at t = {t}", axis=0)
            except ValueError as error:
                raise ValueError(f"weights must be convex: {error}") from None
            if rows.shape[0] != middle + 2:
                raise ValueError(
                    f"weights must have {middle + 2} rows for {middle} bases between the ends, had {rows.shape[0]}"
                )
            end = {0: 0, grid: rows.shape[0] - 1}.get(step)
            if end is not None and bool((np.abs(rows[end] - 1) > gamma("float64", 64)).any()):
                raise ValueError(f"weights must be one on base {end} at t = {t}, were {rows[end]}")
            if last is not None and bool((rows[-1] < last).any()):
                raise ValueError(f"weights must have a last row that never falls, it falls before t = {t}")
            last = rows[-1]

    def _formula(self, t: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        import sympy

        if callable(self._weights):
            return super()._formula(t, length)
        last = sympy.Array([self._weights[-1]]).tolist()[0]
        rows = last if isinstance(last, list) else [last] * length
        return tuple(row.subs(self.variable, t) for row in rows)

    def weights(self, t: Any, length: int) -> Array:
        """Return the given weights, shape (J, length)."""
        return _columns(self._rows(t, 0), length)

    def weights_dot(self, t: Any, length: int) -> Array:
        """Return the derivative of the weights, shape (J, length)."""
        return _columns(self._rows(t, 1), length)

    def kappa(self, t: Any, length: int) -> Array:
        """Return the last row of the weights, shape (length,)."""
        return self.weights(t, length)[-1]

    def kappa_dot(self, t: Any, length: int) -> Array:
        """Return the derivative of the last row, shape (length,)."""
        return self.weights_dot(t, length)[-1]

    def __repr__(self) -> str:
        return f"Convex({self._weights}, bases={None if self.bases is None else tuple(self.bases.shape)})"


def _expressions(weights: Any, variable: Any) -> sympy.Array:
    """Check that weights are SymPy expressions or numbers, rectangular, and the variable a symbol."""
    import sympy

    instance(variable, sympy.Symbol, "variable")
    try:
        return sympy.Array(to_sympy(from_sympy(sequence(weights, "weights"))))
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"weights must be a function of t, or SymPy expressions, one row a base: {error}") from error


def _columns(rows: Array, length: int) -> Array:
    """Return weights (J,) at every position, and weights (J, N) as they are."""
    if rows.ndim == 2 and rows.shape[1] != positions(length):
        raise ValueError(f"length must be the weights' {rows.shape[1]}, was {length}")
    return rows if rows.ndim == 2 else rows[:, None] * full((1, positions(length)), 1, rows)
