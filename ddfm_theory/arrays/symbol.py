"""Symbols: quotients of FLINT polynomials, kept in factors.

A person writes SymPy symbols and reads SymPy expressions (``expressions``); the arithmetic between is FLINT's. There is
no order and there are no floats: only ``== 0`` is ever asked of a symbol.
"""

from __future__ import annotations

import math
import zlib
from operator import add
from typing import TYPE_CHECKING, Any

import flint

from ddfm_theory.arrays.factors import Factors, combined, divided, expanded, power_of

if TYPE_CHECKING:
    import sympy


class Symbol:
    """A rational function in factors: ``scale * prod_f f ** e``, polynomials f that lead with one, integers e.

    Products and quotients add exponents, so what cancels by name costs no gcd. A sum takes out what its terms share,
    expands the rest, and divides it by what divides it of the denominator. Nothing more is reduced until somebody
    looks: zero is zero in every form, and a == b asks whether a - b is.
    """

    __slots__ = ("factors", "scale")

    def __init__(self, scale: Any, factors: Factors = ()) -> None:
        self.scale, self.factors = scale, factors

    @classmethod
    def variables(cls, *names: str) -> list[Symbol]:
        """Return one free symbol a name, all of one context."""
        if not all(isinstance(name, str) and name for name in names) or len({*names}) < len(names):
            raise ValueError(f"names must be different strings, none empty, were {names!r}")
        context = flint.fmpq_mpoly_ctx.get(names, "degrevlex")
        return [cls(flint.fmpq(1), ((generator, 1),)) for generator in context.gens()]

    @classmethod
    def _of(cls, polynomial: Any, over: Factors = ()) -> Symbol:
        """Return a polynomial, or a rational number, times a product of factors."""
        if polynomial == 0 or isinstance(polynomial, flint.fmpq):
            return cls(flint.fmpq(0)) if polynomial == 0 else cls(polynomial, over)
        scale = polynomial.leading_coefficient()
        rest, over = divided(polynomial / scale, over)
        return cls(scale, over if rest.is_one() else combined(over, ((rest, 1),), add))

    def _meet(self, other: Any) -> tuple[Symbol, Symbol] | None:
        """Bring both operands to one context; None where ``other`` is no exact number."""
        if not isinstance(other, Symbol):
            exact = isinstance(other, (int, flint.fmpz, flint.fmpq)) and not isinstance(other, bool)
            return (self, Symbol(flint.fmpq(other))) if exact else None
        if not self.factors or not other.factors:
            return self, other
        left, right = self.factors[0][0].context(), other.factors[0][0].context()
        if left is right:
            return self, other
        union = flint.fmpq_mpoly_ctx.get(sorted({*left.names(), *right.names()}), "degrevlex")
        return self._project(union), other._project(union)

    def _project(self, context: Any) -> Symbol:
        """Bring the factors to a context, where another order of variables may lead with another term."""
        parts = (Symbol._of(factor.project_to_context(context)) ** power for factor, power in self.factors)
        return math.prod(parts, start=Symbol(self.scale))

    def __add__(self, other: Any) -> Any:
        pair = self._meet(other)
        if pair is None:
            return NotImplemented
        a, b = pair
        if a.scale == 0 or b.scale == 0:
            return a if b.scale == 0 else b
        shared = combined(a.factors, b.factors, min)
        outside = power_of(shared, -1)
        left, right = (expanded(s.scale, combined(s.factors, outside, add)) for s in pair)
        return Symbol._of(left + right, shared)

    def __mul__(self, other: Any) -> Any:
        pair = self._meet(other)
        if pair is None:
            return NotImplemented
        scale = pair[0].scale * pair[1].scale
        return Symbol(scale, combined(pair[0].factors, pair[1].factors, add) if scale else ())

    def __neg__(self) -> Symbol:
        return Symbol(-self.scale, self.factors)

    def __sub__(self, other: Any) -> Any:
        return self + (-other) if isinstance(other, (int, flint.fmpz, flint.fmpq, Symbol)) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __truediv__(self, other: Any) -> Any:
        pair = self._meet(other)
        return NotImplemented if pair is None else pair[0] * pair[1] ** -1

    def __rtruediv__(self, other: Any) -> Any:
        return self**-1 * other

    def __pow__(self, exponent: int) -> Symbol:
        if self.scale == 0 and exponent < 0:
            raise ZeroDivisionError("division by the symbol 0")
        return Symbol(self.scale**exponent, power_of(self.factors, exponent))

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        pair = self._meet(other)
        return NotImplemented if pair is None else not pair[0] - pair[1]

    def __bool__(self) -> bool:
        return bool(self.scale != 0)

    def reduced(self) -> tuple[Any, Any]:
        """Return numerator and denominator without a common factor, the denominator's leading coefficient one."""
        above = expanded(self.scale, tuple((f, e) for f, e in self.factors if e > 0))
        below = expanded(flint.fmpq(1), tuple((f, -e) for f, e in self.factors if e < 0))
        if isinstance(above, flint.fmpq) or isinstance(below, flint.fmpq):
            return above, below
        shared = above.gcd(below)
        scale = (below / shared).leading_coefficient()
        return above / shared / scale, below / shared / scale

    def __hash__(self) -> int:
        """Hash the value at a point that the variables' names choose: equal symbols of other contexts agree there."""
        above, below = (part if isinstance(part, flint.fmpq) else _at_names(part) for part in self.reduced())
        return hash(above / below if below else below)

    def _sympy_(self) -> sympy.Expr:
        from ddfm_theory.arrays.expressions import expression_of

        above, below = self.reduced()
        return expression_of(above) / expression_of(below)

    def __repr__(self) -> str:
        above, below = self.reduced()
        return str(above) if below == 1 else f"({above})/({below})"

    def _repr_latex_(self) -> str:
        import sympy

        return f"${sympy.latex(self._sympy_())}$"

    def _printed(self, printer: Any) -> Any:
        return printer._print(self._sympy_())

    _latex = _pretty = _sympystr = _sympyrepr = _printed  # SymPy's printers would take the class for their own


def _at_names(polynomial: Any) -> Any:
    return polynomial(*(flint.fmpq(zlib.crc32(name.encode())) for name in polynomial.context().names()))
