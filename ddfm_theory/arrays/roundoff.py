"""Rounding error bounds, derived from the very text that runs: running error analysis as one more number system.

An entry that a dtype of unit roundoff u computes is off by at most ``gamma_n m``, gamma_n = n u / (1 - n u), where n
counts the roundings on its longest path and m sums the absolute values of its terms (N. J. Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed. 2002, sections 3.1 and 3.3). :class:`Rounded` carries (value, m, n) through a
formula, so no bound is typed by hand and none depends on the order in which a library adds.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays.arguments import positive_int

SIGNIFICANDS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
EXPONENTS = {"float64": -1022, "float32": -126, "float16": -14, "bfloat16": -126}  # of the smallest normal number


@cache
def name_of(dtype: Any) -> str:
    """Return a dtype's name, without the library's."""
    return str(np.dtype(dtype).name if isinstance(dtype, (type, np.dtype)) else dtype).removeprefix("torch.")


def _known(dtype: Any) -> str:
    try:
        name = name_of(dtype)
    except TypeError:  # not even hashable
        name = repr(dtype)
    if name not in SIGNIFICANDS:
        raise ValueError(f"dtype must be one of {sorted(SIGNIFICANDS)}, was {name}")
    return name


def smallest_safe(dtype: Any) -> float:
    """Return tiny / eps: a product below it may have lost digits to underflow."""
    name = _known(dtype)
    return float(2.0 ** (EXPONENTS[name] + SIGNIFICANDS[name] - 1))


def unit_roundoff(dtype: Any) -> float:
    """Return u = 2^-p for a NumPy or Torch floating dtype with p significant bits.

    Raises:
        ValueError: the dtype is not a binary floating type of those above.
    """
    return float(2.0 ** -SIGNIFICANDS[_known(dtype)])


def gamma(dtype: Any, roundings: int) -> float:
    """Return gamma_n = n u / (1 - n u), infinite where n u >= 1 (no bound can be derived)."""
    product = min(positive_int(roundings, "roundings", 0), 1 << 60) * unit_roundoff(dtype)
    return product / (1 - product) if product < 1 else math.inf


def summation(dtype: Any, count: int) -> float:
    """Bound what ``count`` entries that should add up to one may miss: gamma_n in their dtype, or less.

    Floats narrower than float32 are added in float32 by NumPy and Torch, so there each entry's own roundings, taken to
    be at most 32, and the float32 sum are what can go wrong; gamma_n itself would be infinite from n = 1 / u on.
    """
    return _summation(_known(dtype), positive_int(count, "count", 0))


@cache
def _summation(name: str, count: int) -> float:
    return min(gamma(name, count), gamma(name, 32) + gamma("float32", count))


class Rounded:
    """A value with the sum of its terms' absolute values and the number of roundings on its longest path.

    Attributes:
        value: the value, in double precision (only its size is used).
        magnitude: m, the sum of absolute values.
        depth: n, the number of roundings.
        strain: the largest (condition times roundings) of a denominator; the bound needs u * strain <= 1/2.
    """

    __slots__ = ("depth", "magnitude", "strain", "value")

    def __init__(self, value: float, magnitude: float, depth: int, strain: float = 0.0) -> None:
        self.value, self.magnitude, self.depth, self.strain = value, magnitude, depth, strain

    @classmethod
    def of(cls, number: Any) -> Rounded:
        """Take in an exact number: small integers and halves are represented exactly, the rest cost one rounding."""
        if isinstance(number, Rounded):
            return number
        logarithm = hasattr(number, "terms")  # exact, which a float library would round like any other
        try:
            value = float(number) if logarithm else float(flint.fmpq(number))
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"number must be an exact one within the floats' range, was {number!r}") from error
        if logarithm:
            return cls(value, abs(value), 4)
        return cls(value, abs(value), 0 if value * 16 == int(value * 16) and abs(value) < 8 else 1)

    def error(self, dtype: Any) -> float:
        """Return the bound gamma_n m for that dtype; infinite where none can be derived."""
        if self.magnitude == 0:
            return 0.0
        safe = unit_roundoff(dtype) * self.strain <= 0.5
        return gamma(dtype, self.depth) * self.magnitude if safe else math.inf

    def _with(self, other: Any) -> Rounded | None:
        exact = isinstance(other, (int, flint.fmpq, Rounded)) or hasattr(other, "terms")
        return Rounded.of(other) if exact else None

    def __add__(self, other: Any) -> Any:
        b = self._with(other)
        if b is None:
            return NotImplemented
        if b.magnitude == 0 or self.magnitude == 0:  # adding zero is exact
            return self if b.magnitude == 0 else b
        return Rounded(
            self.value + b.value,
            self.magnitude + b.magnitude,
            max(self.depth, b.depth) + 1,
            max(self.strain, b.strain),
        )

    def __mul__(self, other: Any) -> Any:
        b = self._with(other)
        if b is None:
            return NotImplemented
        depth, strain = self.depth + b.depth + 1, max(self.strain, b.strain)
        return Rounded(self.value * b.value, self.magnitude * b.magnitude, depth, strain)

    def __truediv__(self, other: Any) -> Any:
        b = self._with(other)
        if b is None:
            return NotImplemented
        condition = b.magnitude / abs(b.value)
        strain = max(self.strain, b.strain, condition * b.depth)
        depth = self.depth + 2 * b.depth + 1  # 1 / (1 + delta)^n stays within (1 + delta')^2n
        return Rounded(self.value / b.value, self.magnitude / abs(b.value) * condition, depth, strain)

    def __rtruediv__(self, other: Any) -> Any:
        return Rounded.of(other) / self

    def __neg__(self) -> Rounded:
        return Rounded(-self.value, self.magnitude, self.depth, self.strain)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __pow__(self, exponent: int) -> Rounded:
        depth = abs(exponent) * (self.depth + 1)
        power = Rounded(self.value ** abs(exponent), self.magnitude ** abs(exponent), depth, self.strain)
        return power if exponent >= 0 else 1 / power

    def log(self) -> Rounded:
        """Propagate through log: relative errors become absolute, and the function itself is good to two units."""
        if not self.value > 0:
            raise ValueError(f"value of a logarithm must be positive, was {self}")
        condition = self.magnitude / abs(self.value)
        value = math.log(self.value)
        return Rounded(value, abs(value) + condition, 2 * self.depth + 4, max(self.strain, condition * self.depth))

    def __abs__(self) -> Rounded:
        return Rounded(abs(self.value), self.magnitude, self.depth, self.strain)

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, Rounded) else float(other))  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return hash((self.value, self.magnitude, self.depth))

    def __lt__(self, other: Any) -> bool:
        return self.value < Rounded.of(other).value

    def __gt__(self, other: Any) -> bool:
        return self.value > Rounded.of(other).value

    def __le__(self, other: Any) -> bool:
        return self.value <= Rounded.of(other).value

    def __ge__(self, other: Any) -> bool:
        return self.value >= Rounded.of(other).value

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        return f"{self.value:.6g} (n={self.depth}, m={self.magnitude:.3g})"
