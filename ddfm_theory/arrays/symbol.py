"""Symbols: reduced quotients of FLINT polynomials, with SymPy at the door.

A person writes SymPy symbols and reads SymPy expressions; the arithmetic between is FLINT's. Any SymPy subexpression
that is not rational (``cos(t)``, ``kappa(t)``, a piecewise schedule) becomes a free variable of its own, so an identity
that is decided is an identity for every value of it; that two such variables are related (``sin**2 + cos**2 = 1``) is
not known here. There is no order and there are no floats: only ``== 0`` is ever asked of a symbol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flint
import numpy as np

if TYPE_CHECKING:
    import sympy

_EXPRESSIONS: dict[str, sympy.Expr] = {}  # the generator's name -> what SymPy wrote: interning, append-only


class Symbol:
    """A reduced quotient ``numerator / denominator`` of ``fmpq_mpoly``, the denominator's leading coefficient one.

    The form is canonical within a context, so equality is equality of parts. Sums reduce by the gcd of the
    denominators, products by crosswise gcds (Henrici's scheme), which keeps the polynomials small.
    """

    __slots__ = ("denominator", "numerator")

    def __init__(self, numerator: Any, denominator: Any) -> None:
        self.numerator, self.denominator = numerator, denominator

    @classmethod
    def variables(cls, *names: str) -> list[Symbol]:
        """Return one free symbol a name, all of one context."""
        context = flint.fmpq_mpoly_ctx.get(names, "degrevlex")
        return [cls(generator, context.constant(1)) for generator in context.gens()]

    def _meet(self, other: Any) -> tuple[Symbol, Symbol] | None:
        """Bring both operands to one context; None where ``other`` is no exact number."""
        if isinstance(other, (int, flint.fmpz, flint.fmpq)) and not isinstance(other, bool):
            context = self.denominator.context()
            return self, Symbol(context.constant(flint.fmpq(other)), context.constant(1))
        if not isinstance(other, Symbol):
            return None
        left, right = self.denominator.context(), other.denominator.context()
        if left is right:
            return self, other
        union = flint.fmpq_mpoly_ctx.get(sorted({*left.names(), *right.names()}), "degrevlex")
        return self._project(union), other._project(union)

    def _project(self, context: Any) -> Symbol:
        if self.denominator.context() is context:
            return self
        numerator, denominator = (part.project_to_context(context) for part in (self.numerator, self.denominator))
        scale = denominator.leading_coefficient()  # another order of variables may lead with another term
        return Symbol(numerator / scale, denominator / scale)

    def __add__(self, other: Any) -> Any:
        pair = self._meet(other)
        if pair is None:
            return NotImplemented
        (a, b), (c, d) = ((s.numerator, s.denominator) for s in pair)
        if b == d:
            return _reduced(a + c, b)
        common = b.gcd(d)
        if common.is_one():
            return Symbol(a * d + c * b, b * d)
        rest = d / common
        numerator = a * rest + c * (b / common)
        shared = numerator.gcd(common)
        return _monic(numerator / shared, (b / shared) * rest)

    def __mul__(self, other: Any) -> Any:
        pair = self._meet(other)
        if pair is None:
            return NotImplemented
        (a, b), (c, d) = ((s.numerator, s.denominator) for s in pair)
        if a.is_zero() or c.is_zero():
            return Symbol(a.context().constant(0), a.context().constant(1))
        if b.is_one() and d.is_one():
            return Symbol(a * c, b)
        left, right = a.gcd(d), c.gcd(b)
        return _monic((a / left) * (c / right), (b / right) * (d / left))

    def __neg__(self) -> Symbol:
        return Symbol(-self.numerator, self.denominator)

    def __sub__(self, other: Any) -> Any:
        return self + (-other) if isinstance(other, (int, flint.fmpz, flint.fmpq, Symbol)) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def _inverse(self) -> Symbol:
        if self.numerator.is_zero():
            raise ZeroDivisionError("division by the symbol 0")
        return _monic(self.denominator, self.numerator)

    def __truediv__(self, other: Any) -> Any:
        pair = self._meet(other)
        return NotImplemented if pair is None else pair[0] * pair[1]._inverse()

    def __rtruediv__(self, other: Any) -> Any:
        return self._inverse() * other

    def __pow__(self, exponent: int) -> Symbol:
        base = self if exponent >= 0 else self._inverse()
        return _monic(base.numerator ** abs(exponent), base.denominator ** abs(exponent))

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int) and other == 0:
            return bool(self.numerator.is_zero())
        pair = self._meet(other)
        if pair is None:
            return NotImplemented
        return bool(pair[0].numerator == pair[1].numerator and pair[0].denominator == pair[1].denominator)

    def __hash__(self) -> int:
        return hash((str(self.numerator), str(self.denominator)))

    def __bool__(self) -> bool:
        return not self.numerator.is_zero()

    def _sympy_(self) -> sympy.Expr:
        return _expression(self.numerator) / _expression(self.denominator)

    def __repr__(self) -> str:
        one = self.denominator.is_one()
        return str(self.numerator) if one else f"({self.numerator})/({self.denominator})"

    def _repr_latex_(self) -> str:
        import sympy

        return f"${sympy.latex(self._sympy_())}$"


def _monic(numerator: Any, denominator: Any) -> Symbol:
    scale = denominator.leading_coefficient()
    return Symbol(numerator, denominator) if scale == 1 else Symbol(numerator / scale, denominator / scale)


def _reduced(numerator: Any, denominator: Any) -> Symbol:
    if denominator.is_one():
        return Symbol(numerator, denominator)
    shared = numerator.gcd(denominator)
    return _monic(numerator / shared, denominator / shared)


def _expression(polynomial: Any) -> sympy.Expr:
    import sympy

    generators = [_EXPRESSIONS.get(name, sympy.Symbol(name)) for name in polynomial.context().names()]
    return sympy.Add(
        *(
            sympy.Mul(
                sympy.Rational(int(coefficient.p), int(coefficient.q)),
                *(g ** int(e) for g, e in zip(generators, powers, strict=True)),
            )
            for powers, coefficient in polynomial.to_dict().items()
        )
    )


def _generator(expression: sympy.Expr) -> Symbol:
    """Intern a non-rational SymPy expression as a free variable; unlike expressions of one name stay apart."""
    stem = name = str(expression).replace(" ", "")
    count = 0
    while _EXPRESSIONS.setdefault(name, expression) != expression:
        count += 1
        name = f"{stem}#{count}"
    return Symbol.variables(name)[0]


def _from_expression(expression: sympy.Expr) -> Any:
    import sympy

    if expression.is_Rational:
        return flint.fmpq(int(expression.p), int(expression.q))
    if expression.is_Float or expression.is_infinite or expression is sympy.nan:
        raise ValueError(f"expression must be exact and finite, was {expression}: write rationals, not floats")
    if expression.is_Add or expression.is_Mul:
        parts = [_from_expression(part) for part in expression.args]
        total = parts[0]
        for part in parts[1:]:
            total = total + part if expression.is_Add else total * part
        return total
    if expression.is_Pow and expression.exp.is_Integer:
        return _from_expression(expression.base) ** int(expression.exp)
    if expression.atoms(sympy.Float):
        raise ValueError(f"expression must be exact, was {expression}: write rationals, not floats")
    return _generator(expression)


def from_sympy(expression: Any) -> Any:
    """Convert a SymPy expression to a :class:`Symbol` (a rational number to ``fmpq``), or an array of them entrywise.

    Raises:
        ValueError: a float or an infinity stands in the expression.
    """
    import sympy

    if isinstance(expression, (np.ndarray, list, tuple, sympy.NDimArray, sympy.MatrixBase)):
        entries = np.asarray(expression.tolist() if hasattr(expression, "tolist") else expression, dtype=object)
        out = np.empty(entries.shape, dtype=object)
        for index in np.ndindex(entries.shape):
            out[index] = from_sympy(entries[index])
        return out
    try:
        return _from_expression(sympy.sympify(expression, strict=True))
    except sympy.SympifyError:
        raise ValueError(f"expression must be one of SymPy or a number, was {expression!r}") from None


def to_sympy(values: Any) -> Any:
    """Convert an exact entry to a SymPy expression, an array of them to a SymPy ``Array`` (which prints as LaTeX)."""
    import sympy

    if isinstance(values, np.ndarray):
        if values.shape == ():
            return to_sympy(values[()])
        return sympy.Array([to_sympy(entry) for entry in values.ravel()], values.shape)
    if isinstance(values, (flint.fmpq, flint.fmpz)):
        fraction = flint.fmpq(values)
        return sympy.Rational(int(fraction.p), int(fraction.q))
    return sympy.sympify(values)
