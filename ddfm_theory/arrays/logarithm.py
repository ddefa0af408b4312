"""Logarithms of rationals and of symbols, exactly: linear combinations of logarithms of irreducible factors.

Logarithms of distinct primes are linearly independent over the rationals, and logarithms of distinct irreducible
polynomials over the rational functions; so two such combinations are equal as numbers (as functions, for positive
arguments) exactly when they have equal coefficients. Entropies and cross entropies are then decided by ``==``.
"""

from __future__ import annotations

from typing import Any

import flint

from ddfm_theory.arrays.expressions import expression_of, to_sympy
from ddfm_theory.arrays.symbol import Symbol


class Log:
    """A combination ``sum_f coefficient_f log|f|`` over irreducible factors f (primes, or monic-free polynomials).

    A summand without a logarithm is one of ``log e``, independent of the others too (theorem of Baker).
    """

    __slots__ = ("terms",)

    def __init__(self, terms: dict[str, tuple[Any, Any]]) -> None:
        self.terms = terms  # the factor's text -> (factor, coefficient)

    @classmethod
    def of(cls, value: Any) -> Log:
        """Return log(value) for a positive rational or a nonzero symbol (read as positive: a recorded hypothesis)."""
        if isinstance(value, Symbol):
            powers = (cls._polynomial(factor) * flint.fmpq(power) for factor, power in value.factors)
            return sum(powers, start=cls.of(abs(value.scale)))
        try:
            fraction = flint.fmpq(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"value must be a rational number or a symbol, was {value!r}") from error
        if fraction <= 0:
            raise ValueError(f"value of a logarithm must be positive, was {fraction}")
        difference: Log = cls._integer(fraction.p) - cls._integer(fraction.q)
        return difference

    @classmethod
    def _integer(cls, value: Any) -> Log:
        factors = [] if value == 1 else value.factor()
        return cls({str(prime): (prime, flint.fmpq(power)) for prime, power in factors})

    @classmethod
    def _polynomial(cls, polynomial: Any) -> Log:
        content, factors = polynomial.factor()
        terms = {str(factor): (factor, flint.fmpq(power)) for factor, power in factors}
        whole: Log = cls(terms) + cls.of(abs(flint.fmpq(content)))
        return whole

    def __add__(self, other: Any) -> Any:
        if isinstance(other, (int, flint.fmpq, Symbol)) and not isinstance(other, bool):
            other = Log({"e": (None, flint.fmpq(other) if isinstance(other, int) else other)})
        if not isinstance(other, Log):
            return NotImplemented
        terms = dict(self.terms)
        for name, (factor, coefficient) in other.terms.items():
            terms[name] = (factor, terms[name][1] + coefficient if name in terms else coefficient)
        return Log({name: pair for name, pair in terms.items() if not _is_zero(pair[1])})

    def __mul__(self, scale: Any) -> Any:
        if isinstance(scale, Log):
            return NotImplemented
        if _is_zero(scale):
            return Log({})
        return Log({name: (factor, coefficient * scale) for name, (factor, coefficient) in self.terms.items()})

    def __truediv__(self, scale: Any) -> Any:
        return self * (flint.fmpq(1) / scale)

    def __neg__(self) -> Any:
        return self * flint.fmpq(-1)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        difference = self - other
        return isinstance(difference, Log) and not difference.terms

    def __hash__(self) -> int:
        return hash(tuple(sorted((name, str(pair[1])) for name, pair in self.terms.items())))

    def sign(self) -> int:
        """Return the sign, decided by interval arithmetic of as many digits as it takes (rationals only)."""
        if not self.terms:
            return 0
        precision = 64
        while True:
            with flint.ctx.workprec(precision):
                total = self._value()
            if total > 0 or total < 0:
                return 1 if total > 0 else -1
            precision *= 2  # it ends: the combination is nonzero by independence

    def __lt__(self, other: Any) -> bool:
        return bool((self - other).sign() < 0)

    def __le__(self, other: Any) -> bool:
        return bool((self - other).sign() <= 0)

    def __gt__(self, other: Any) -> bool:
        return bool((self - other).sign() > 0)

    def __ge__(self, other: Any) -> bool:
        return bool((self - other).sign() >= 0)

    def __float__(self) -> float:
        return float(self._value())

    def _value(self) -> Any:
        """Return the value as a ball of the precision that is set (rationals only)."""
        logs = ((c, flint.arb(1) if f is None else flint.arb(f).log()) for f, c in self.terms.values())
        return sum((flint.arb(c) * value for c, value in logs), flint.arb(0))

    def __abs__(self) -> Any:
        return self if self.sign() >= 0 else -self

    def _sympy_(self) -> Any:
        """Return what SymPy evaluates to the same number, |f| written as f or -f where the sign is known.

        Known is that of small positive variables, as probabilities are: |a - 1| is 1 - a; |a - b| stays.
        """
        import sympy

        return sympy.Add(*(to_sympy(c) * sympy.log(_absolute(f)) for f, c in self.terms.values()))

    def _repr_latex_(self) -> str:
        import sympy

        return f"${sympy.latex(self._sympy_())}$"

    def _printed(self, printer: Any) -> Any:
        return printer._print(self._sympy_())

    _latex = _pretty = _printed

    def __repr__(self) -> str:
        return " + ".join(f"({c}) log({name})" for name, (_, c) in sorted(self.terms.items())) or "0"


def _absolute(factor: Any) -> Any:
    """Return |f| in SymPy: a prime, e where there is none, or a polynomial."""
    import sympy

    if factor is None or not hasattr(factor, "context"):
        return sympy.E if factor is None else to_sympy(factor)
    terms = factor.to_dict()
    least = min(sum(powers) for powers in terms)
    signs = {coefficient > 0 for powers, coefficient in terms.items() if sum(powers) == least}
    if len(signs) == 2:
        return sympy.Abs(expression_of(factor))
    return expression_of(factor if signs == {True} else -factor)


def _is_zero(value: Any) -> bool:
    return isinstance(value, (int, flint.fmpq, Symbol)) and bool(value == 0)
