"""SymPy at the door: expressions to symbols and back.

Any SymPy subexpression that is not rational (``cos(t)``, ``kappa(t)``, a piecewise schedule) becomes a free variable of
its own, so an identity that is decided is an identity for every value of it; that two such variables are related
(``sin**2 + cos**2 = 1``) is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flint
import numpy as np

from ddfm_theory.arrays.symbol import Symbol

if TYPE_CHECKING:
    import sympy

_EXPRESSIONS: dict[str, sympy.Expr] = {}  # the generator's name -> what SymPy wrote: interning, append-only


def expression_of(polynomial: Any) -> sympy.Expr:
    """Return a polynomial, or a rational number, as a SymPy expression."""
    import sympy

    if isinstance(polynomial, flint.fmpq):
        return sympy.Rational(int(polynomial.p), int(polynomial.q))
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
        base, power = _from_expression(expression.base), int(expression.exp)
        if power < 0 and base == 0:
            raise ValueError(f"expression must be finite, was {expression}: its denominator is 0")
        return base**power
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
    return _from_expression(_sympified(expression, "expression"))


def _sympified(value: Any, name: str) -> sympy.Expr:
    import sympy

    try:
        expression = sympy.sympify(value, strict=True)
    except (sympy.SympifyError, ValueError, TypeError, AttributeError):
        expression = None
    if not isinstance(expression, sympy.Expr):
        raise ValueError(f"{name} must be an expression of SymPy or a number, was {value!r}")
    return expression


def to_sympy(values: Any) -> Any:
    """Convert an exact entry to a SymPy expression, an array of them to a SymPy ``Array`` (which prints as LaTeX).

    Raises:
        ValueError: floats, entries that carry rounding bounds, or nothing that SymPy knows.
    """
    import sympy

    if isinstance(values, np.ndarray):
        if values.shape == ():
            return to_sympy(values[()])
        return sympy.Array([to_sympy(entry) for entry in values.ravel()], values.shape)
    if isinstance(values, (flint.fmpq, flint.fmpz)):
        fraction = flint.fmpq(values)
        return sympy.Rational(int(fraction.p), int(fraction.q))
    expression = _sympified(values, "values")
    if expression.is_Float:
        raise ValueError(f"values must be exact entries, was {values!r} ({type(values).__name__})")
    return expression
