"""Schedules with a formula in t: polynomial, linear, cosine, windowed."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Rational, Real
from typing import TYPE_CHECKING, Any

import flint

from ddfm_theory.arrays import Array, asarray, cast, from_sympy, full, is_object, is_symbolic, namespace, system_of
from ddfm_theory.schedulers.base import Scheduler, moment, number, spread

if TYPE_CHECKING:
    import sympy


class Polynomial(Scheduler):
    r""":math:`\kappa_t^i = t^n` at every position.

    Args:
        exponent: n > 0; an integer works in every number system, a fraction among floats only.
    """

    def __init__(self, exponent: int | Fraction | float = 2) -> None:
        plain = _plain_number(exponent)
        if plain is None or not 0 < plain < 1e6:
            raise ValueError(f"exponent must be a positive number, was {exponent!r}")
        self.exponent = int(plain) if plain == int(plain) else plain
        self.degree = self.exponent if isinstance(self.exponent, int) else None

    def _formula(self, t: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        import sympy

        return (t ** sympy.nsimplify(self.exponent),) * length

    def _inverse_formula(self, kappa: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        import sympy

        return (kappa ** (1 / sympy.nsimplify(self.exponent)),) * length

    def _power(self, time: Array, exponent: Any) -> Any:
        if isinstance(exponent, int):
            return number(time) ** exponent if exponent else 1
        if is_object(time):
            if time == 0 or time == 1:
                return number(time)
            raise ValueError(f"t must be a float where the exponent {self.exponent} is no integer, was {time}")
        return time ** float(exponent)

    def _values(self, time: Array, length: int) -> Array:
        return spread(self._power(time, self.exponent), length, time)

    def _slopes(self, time: Array, length: int) -> Array:
        if self.exponent < 1 and time == 0:
            raise ValueError(f"t must be positive where the derivative of t^{self.exponent} is infinite, was 0")
        scale = flint.fmpq(*self.exponent.as_integer_ratio()) if is_object(time) else float(self.exponent)
        return spread(self._power(time, self.exponent - 1) * scale, length, time)

    def __repr__(self) -> str:
        return f"Polynomial({self.exponent})"


class Linear(Polynomial):
    r""":math:`\kappa_t^i = t` at every position."""

    def __init__(self) -> None:
        super().__init__(1)

    def __repr__(self) -> str:
        return "Linear()"


class Cosine(Scheduler):
    r""":math:`\kappa_t^i = 1 - \cos(\pi t / 2)`: the share of masks falls as a quarter cosine.

    Among exact entries only the times of rational cosine (0, 2/3, 1) are served; give others as ``Given`` values or as
    a SymPy symbol.
    """

    def _formula(self, t: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        import sympy

        return (1 - sympy.cos(sympy.pi * t / 2),) * length

    def _inverse_formula(self, kappa: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        import sympy

        return (2 * sympy.acos(1 - kappa) / sympy.pi,) * length

    def _exact(self, time: Array, order: int) -> Any:
        import sympy

        if system_of(time) != "rational":
            raise ValueError(f"t must be rational where Cosine is exact, was of {system_of(time)} entries; use Given")
        t = sympy.Symbol("t")
        expression = sympy.diff(self._formula(t, 1)[0], t, order)
        value = expression.subs(t, sympy.Rational(str(number(time))))
        if not value.is_Rational:
            raise ValueError(f"t must have a rational cosine among exact entries, was {time}: {value}; use Given")
        return from_sympy(value)

    def _values(self, time: Array, length: int) -> Array:
        if is_object(time):
            return spread(self._exact(time, 0), length, time)
        xp = namespace(time)
        value = 2 * xp.sin(time * (math.pi / 4)) ** 2  # 1 - cos(a) without cancellation near t = 0
        return spread(xp.where(time == 1, time, value), length, time)

    def _slopes(self, time: Array, length: int) -> Array:
        if is_object(time):
            return spread(self._exact(time, 1), length, time)
        return spread(namespace(time).sin(time * (math.pi / 2)) * (math.pi / 2), length, time)

    def __repr__(self) -> str:
        return "Cosine()"


class Windowed(Scheduler):
    r"""Ramps that start one after the other: from all positions at once to one position at a time.

    .. math:: \kappa_t^i = \mathrm{clip}\big((t - i\,\ell(1-w)) / \ell, 0, 1\big), \quad \ell = 1/(1 + (N-1)(1-w)),

    with positions i = 0, ..., N - 1. At overlap w = 1 all positions rise together (linear); at w = 0 position i
    rises in [i/N, (i+1)/N] alone.

    Args:
        overlap: w in [0, 1]; a rational (``Fraction`` or int) for exact values.
    """

    degree = 1

    def __init__(self, overlap: Any) -> None:
        self.overlap = _unit(overlap, "overlap")

    def _delays(self, time: Array, length: int) -> tuple[Array, Any]:
        """Return start_i / width = i (1 - w) per position, and 1 / width, in the number system of t."""
        stride = number(1 - cast(self.overlap, time, "overlap"))
        return cast(asarray(list(range(length)), "positions"), time) * stride, 1 + (length - 1) * stride

    def _formula(self, t: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        import sympy

        w = sympy.nsimplify(str(_plain(self.overlap)))
        width = 1 / (1 + (length - 1) * (1 - w))
        return tuple(sympy.Max(0, sympy.Min(1, (t - i * width * (1 - w)) / width)) for i in range(length))

    def _inverse_formula(self, kappa: sympy.Expr, length: int) -> tuple[sympy.Expr, ...]:
        import sympy

        w = sympy.nsimplify(str(_plain(self.overlap)))
        width = 1 / (1 + (length - 1) * (1 - w))
        return tuple(i * width * (1 - w) + kappa * width for i in range(length))

    def _breakpoints(self, length: int) -> tuple[Fraction | float, ...]:
        stride = 1 - _plain(self.overlap)
        speed = 1 + (length - 1) * stride
        ends = {i * stride / speed for i in range(length)} | {(i * stride + 1) / speed for i in range(length)}
        return tuple(sorted(end for end in ends if 0 < end < 1))

    def _values(self, time: Array, length: int) -> Array:
        delays, speed = self._delays(time, length)
        zero, one = full((), 0, delays), full((), 1, delays)
        if bool(time == 1):
            return spread(number(one), length, delays)
        xp, progress = namespace(delays), number(time) * speed - delays
        return xp.where(progress < 0, zero, xp.where(progress > 1, one, progress))

    def _slopes(self, time: Array, length: int) -> Array:
        delays, speed = self._delays(time, length)
        progress = number(time) * speed - delays
        rising = delays == delays[-1] if bool(time == 1) else (progress >= 0) & (progress < 1)
        return namespace(delays).where(rising, full((), 1, delays), full((), 0, delays)) * speed

    def __repr__(self) -> str:
        return f"Windowed({_plain(self.overlap)})"


def _plain_number(value: Any) -> Fraction | float | None:
    """Return a number as Python's: NumPy's integers and SymPy's rationals too; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return Fraction(int(value.numerator), int(value.denominator)) if isinstance(value, Rational) else float(value)


def _unit(value: Any, name: str) -> Array:
    """Check a number in [0, 1] as a time is checked, under its own name."""
    unit = moment(value, name)
    if is_symbolic(unit):
        raise ValueError(f"{name} must be a number, was {value}")
    return unit


def _plain(value: Array) -> Any:
    entry = value[()]
    return Fraction(int(entry.p), int(entry.q)) if isinstance(entry, flint.fmpq) else float(entry)
