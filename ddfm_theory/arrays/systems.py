"""What the common text needs of a number system: constants, division, conversion, and a few array moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import array_api_compat
import flint
import numpy as np
from array_api_compat import device as device_of

from ddfm_theory.arrays.logarithm import Log
from ddfm_theory.arrays.roundoff import SIGNIFICANDS, Rounded, name_of, smallest_safe
from ddfm_theory.arrays.symbol import Symbol

Array = Any  # an array of any namespace: NumPy (floats or exact objects) or Torch
FEW, SHORT = 4, 64  # lengths of an axis up to which slices, and einsum, are added much faster than by NumPy's sum
_NAMESPACES: dict[frozenset[type], Any] = {}  # by the types of what shares it: looking one up costs more than a sum

ENTRIES = (flint.fmpq, Symbol, Rounded, Log)  # what an object array may hold; NumPy unpacks its 0-d results to these


def is_object(array: Any) -> bool:
    """Tell whether an array holds exact entries (or roundoff ones) rather than a namespace's floats."""
    return array.dtype.kind == "O" if isinstance(array, np.ndarray) else isinstance(array, ENTRIES)


def is_float(values: Any) -> bool:
    """Tell whether values are a namespace's array of floats as it stands (a subclass, a masked array say, is not)."""
    if type(values) is np.ndarray:
        return bool(values.dtype.kind == "f")
    return bool(array_api_compat.is_torch_array(values) and values.dtype.is_floating_point)


def is_symbolic(array: Any) -> bool:
    """Tell whether an array holds a symbol."""
    return is_object(array) and any(isinstance(entry, Symbol) for entry in as_array(array).flat)


def system_of(array: Array) -> str:
    """Name the number system: a float dtype, or ``rational``, ``symbol``, ``logarithm``, ``roundoff``."""
    if not is_object(array):
        return name_of(array.dtype)
    kinds = {type(entry) for entry in as_array(array).flat}
    for kind, name in ((Log, "logarithm"), (Rounded, "roundoff"), (Symbol, "symbol")):
        if kind in kinds:
            return name
    return "rational"


def namespace(*arrays: Array) -> Any:
    """Return the array-API namespace that the arrays share."""
    kinds = frozenset(type(as_array(array)) for array in arrays)
    if kinds not in _NAMESPACES:
        _NAMESPACES[kinds] = array_api_compat.array_namespace(*(as_array(array) for array in arrays))
    return _NAMESPACES[kinds]


def as_array(values: Any) -> Array:
    """Return an exact entry as a 0-d array, and an array as it is."""
    if not isinstance(values, ENTRIES):
        return values
    out = np.empty((), dtype=object)
    out[()] = values
    return out


def full(shape: tuple[int, ...], value: Any, like: Array) -> Array:
    """Return a constant array in the system of ``like``; among exact entries a constant is a rational."""
    if is_object(like):
        out = np.empty(shape, dtype=object)
        out[...] = value if isinstance(value, (Symbol, Rounded, Log)) else flint.fmpq(value)
        return out
    return namespace(like).full(shape, value, dtype=like.dtype, device=device_of(like))


def smallest(array: Array) -> float:
    """Return the smallest entry that is not zero of a nonnegative array of floats, infinite where there is none."""
    least = float(to_float(array.min())) if math.prod(array.shape) else math.inf
    return least or float(to_float(namespace(array).where(array == 0, full((), math.inf, array), array).min()))


def underflows(product: Array, *factors: Array) -> bool:
    """Tell whether a product of entries, one of each factor, may have lost digits to underflow."""
    if is_object(product) or not math.prod(product.shape):
        return False
    limit = smallest_safe(product.dtype)
    return not bool(product.min() >= limit) and math.prod(smallest(factor) for factor in factors) < limit


def balanced(first: Array, second: Array) -> Array:
    """Return ``first * second`` up to a common power of two along the first axis, so that no support underflows."""
    product = first * second
    if not underflows(product, first, second):
        return product
    (a, e), (b, f) = np.frexp(to_float(first)), np.frexp(to_float(second))
    power = np.where(a * b == 0, -9999, e + f)
    return cast(np.ldexp(a * b, power - power.max(axis=0)), first)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return ``numerator / denominator``, zero where the denominator is zero: the only division."""
    xp = namespace(numerator, denominator)
    empty = denominator == 0
    one, zero = full((), 1, denominator), full((), 0, denominator)
    return xp.where(empty, zero, numerator / xp.where(empty, one, denominator))


def log(values: Any) -> Any:
    """Return the natural logarithm entrywise: of floats by their namespace, of exact entries as :class:`Log`.

    Args:
        values: positive entries, any shape, any number system.

    Raises:
        ValueError: an entry is not positive; an infinite value is refused, not returned.
    """
    if not is_object(values):
        if bool((values <= 0).any()):
            raise ValueError("values of a logarithm must be positive, one was not: its infinite value is refused")
        return namespace(values).log(values)
    values = as_array(values)
    bounded = any(isinstance(entry, Rounded) for entry in values.flat)
    out = np.empty(values.shape, dtype=object)
    for index in np.ndindex(values.shape):
        entry = Rounded.of(values[index]) if bounded else values[index]
        out[index] = entry.log() if hasattr(entry, "log") else Log.of(entry)
    return out


def support(values: Array) -> Array:
    """Return one where an entry is not zero: exactly, so that no support is lost to an underflowing product."""
    return namespace(values).where(values == 0, full((), 0, values), full((), 1, values))


def to_float(array: Array) -> np.ndarray:
    """Return a NumPy float64 copy, for printing and for comparison (not for symbols)."""
    if is_object(array):
        array = as_array(array)
        return np.array([_float(entry) for entry in array.ravel()], dtype=np.float64).reshape(array.shape)
    if array_api_compat.is_torch_array(array):
        return np.asarray(array.detach().double().cpu().numpy())
    return np.asarray(array, dtype=np.float64)


def finite(array: Array, name: str) -> Array:
    """Check that floats are finite, in one pass: no NaN and no infinity leaves a sum, or a sum of squares, finite.

    Raises:
        ValueError: a NaN or an infinity, and where; a dtype that is no number system.
    """
    if is_object(array):
        return array
    if name_of(array.dtype) not in SIGNIFICANDS:
        raise ValueError(f"{name} must be of {', '.join(sorted(SIGNIFICANDS))}, was {system_of(array)}")
    if math.isfinite(np.vdot(array, array) if isinstance(array, np.ndarray) else array.sum().item()):
        return array
    bad = ~np.isfinite(to_float(array))
    if bad.any():  # or the sum has overflowed
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be finite, was {to_float(array)[where]} at {where}")
    return array


def _float(entry: Any) -> float:
    if isinstance(entry, Symbol):
        raise ValueError(f"values must be numbers to become floats, held the symbol {entry}")
    try:
        return float(entry)
    except OverflowError:  # a rational beyond the largest float
        return math.inf if entry > 0 else -math.inf


def cast(values: Array, like: Array, name: str = "values") -> Array:
    """Bring values into the number system of ``like``.

    Rationals become floats where ``like`` is floating; rationals and symbols meet freely.

    Raises:
        ValueError: a float stands beside exact entries, or a symbol beside floats; a value too large for the dtype.
    """
    if is_object(like):
        if not is_object(values):
            raise ValueError(
                f"{name} must be exact beside exact entries, was {system_of(values)}: give rationals or symbols"
            )
        return _rounded(values) if system_of(like) == "roundoff" else values
    if type(values) is type(like) and values.dtype == like.dtype and _beside(values, like):
        return values
    if is_symbolic(values):
        raise ValueError(f"{name} must be numbers beside {system_of(like)} entries, held symbols")
    xp = namespace(like)
    plain = to_float(values) if is_object(values) else values
    if array_api_compat.is_torch_array(plain) and not array_api_compat.is_torch_array(like):
        plain = to_float(plain)
    with np.errstate(over="ignore"):  # what overflows is refused
        out = xp.asarray(plain, dtype=like.dtype, device=device_of(like))
    return finite(out, name)


def _beside(values: Array, like: Array) -> bool:
    return type(like) is np.ndarray or values.device == like.device


def _rounded(values: Array) -> Array:
    out = np.empty(values.shape, dtype=object)
    for index in np.ndindex(out.shape):
        out[index] = Rounded.of(values[index])
    return out


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Stack arrays of one system along a new axis."""
    return namespace(*arrays).stack([as_array(array) for array in arrays], axis=axis)


def outer(factors: Sequence[Array]) -> Array:
    """Return the outer product of vectors: entry z is ``prod_i factors[i][z_i]``, shape the vectors' lengths."""
    return reduce(lambda product, factor: product[..., None] * factor, factors[1:], factors[0])


def index_like(index: np.ndarray, like: Array) -> Any:
    """Return an integer index array where ``like`` lives."""
    if array_api_compat.is_torch_array(like):
        return namespace(like).asarray(index, device=device_of(like))
    return index


def scatter_add(out: Array, index: tuple[np.ndarray, ...], values: Array) -> None:
    """Add ``values`` into ``out`` at ``index`` in place, repeated places summed."""
    if array_api_compat.is_torch_array(out):
        out.index_put_(tuple(index_like(i, out) for i in index), values, accumulate=True)
    else:
        np.add.at(out, index, values)


def total(array: Array, axis: int | None = None) -> Array:
    """Sum along an axis, or over all entries to a 0-d array."""
    array = as_array(array)
    xp = namespace(array)
    if axis is None:
        axis, array = 0, xp.reshape(array, (math.prod(array.shape),))
    if is_object(array) and array.shape[axis] == 0:
        return full(tuple(n for i, n in enumerate(array.shape) if i != axis), 0, array)
    if type(array) is np.ndarray and array.dtype in (np.float64, np.float32) and array.shape[axis] <= SHORT:
        return _short_sum(np.moveaxis(array, axis, 0))
    return as_array(xp.sum(array, axis=axis))


def _short_sum(rows: np.ndarray) -> Array:
    """Sum over a short first axis, too short for NumPy's sum by pairs to be more exact."""
    if not 0 < len(rows) <= FEW:
        return np.einsum("i...->...", rows)
    out = rows[0].copy()
    for row in rows[1:]:
        out += row
    return out
