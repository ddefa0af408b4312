"""Products of powers of polynomials, ``prod_f f ** e``: factors are told apart by comparison, never by a gcd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint.utils.flint_exceptions import DomainError

Factors = tuple[tuple[Any, int], ...]  # polynomials of one context, no two of them equal; their exponents, none zero


def exponent(factor: Any, factors: Factors) -> int:
    """Return the exponent of a factor, zero where it is none."""
    for other, power in factors:
        if other is factor or other == factor:
            return power
    return 0


def combined(first: Factors, second: Factors, operation: Callable[[int, int], int]) -> Factors:
    """Return the factors of either product with what an operation makes of both exponents: their sum, or the least."""
    pairs = [(factor, operation(power, exponent(factor, second))) for factor, power in first]
    pairs += [(factor, operation(0, power)) for factor, power in second if not exponent(factor, first)]
    return tuple(pair for pair in pairs if pair[1])


def power_of(factors: Factors, exponent: int) -> Factors:
    """Return a power of a product."""
    return tuple((factor, power * exponent) for factor, power in factors) if exponent else ()


def expanded(scale: Any, factors: Factors) -> Any:
    """Multiply out: a polynomial, or the scale itself where there are no factors. Exponents are positive here."""
    for factor, power in factors:
        scale = (factor if power == 1 else factor**power) * scale
    return scale


def divided(polynomial: Any, factors: Factors) -> tuple[Any, Factors]:
    """Take each factor of the denominator out of a polynomial as often as it divides both."""
    left = []
    for factor, power in factors:
        while power < 0 and (quotient := _exactly(polynomial, factor)) is not None:
            polynomial, power = quotient, power + 1
        left.append((factor, power))
    return polynomial, tuple(pair for pair in left if pair[1])


def _exactly(polynomial: Any, factor: Any) -> Any:
    """Return the quotient where the factor divides the polynomial, else None."""
    try:
        return polynomial / factor
    except DomainError:
        return None
