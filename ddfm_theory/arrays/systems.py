"""What the common text needs of a number system: constants, division, conversion, and a few array moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import array_api_compat
import flint
import numpy as np

from ddfm_theory.arrays.logarithm import Log
from ddfm_theory.arrays.roundoff import Rounded
from ddfm_theory.arrays.symbol import Symbol

Array = Any  # an array of any namespace: NumPy (floats or exact objects) or Torch


ENTRIES = (flint.fmpq, Symbol, Rounded, Log)  # what an object array may hold; NumPy unpacks its 0-d results to these


def is_object(array: Any) -> bool:
    """Tell whether an array holds exact entries (or roundoff ones) rather than a namespace's floats."""
    return isinstance(array, ENTRIES) or (isinstance(array, np.ndarray) and array.dtype == object)


def is_symbolic(array: Any) -> bool:
    """Tell whether an array holds a symbol."""
    return is_object(array) and any(isinstance(entry, Symbol) for entry in as_array(array).flat)


def system_of(array: Array) -> str:
    """Name the number system: a float dtype, or ``rational``, ``symbol``, ``logarithm``, ``roundoff``."""
    if not is_object(array):
        return str(array.dtype).removeprefix("torch.")
    kinds = {type(entry) for entry in as_array(array).flat}
    for kind, name in ((Log, "logarithm"), (Rounded, "roundoff"), (Symbol, "symbol")):
        if kind in kinds:
            return name
    return "rational"


def namespace(*arrays: Array) -> Any:
    """Return the array-API namespace that the arrays share."""
    return array_api_compat.array_namespace(*(as_array(array) for array in arrays))


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
    return namespace(like).full(shape, value, dtype=like.dtype, device=array_api_compat.device(like))


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return ``numerator / denominator``, zero where the denominator is zero: the only division."""
    xp = namespace(numerator, denominator)
    empty = denominator == 0
    one, zero = full((), 1, denominator), full((), 0, denominator)
    return xp.where(empty, zero, numerator / xp.where(empty, one, denominator))


def support(values: Array) -> Array:
    """Return one where an entry is not zero: exactly, so that no support is lost to an underflowing product."""
    return namespace(values).where(values == 0, full((), 0, values), full((), 1, values))


def to_float(array: Array) -> np.ndarray:
    """Return a NumPy float64 copy, for printing and for comparison (not for symbols)."""
    if is_object(array):
        array = as_array(array)
        return np.array([float(entry) for entry in array.ravel()], dtype=np.float64).reshape(array.shape)
    if array_api_compat.is_torch_array(array):
        return np.asarray(array.detach().double().cpu().numpy())
    return np.asarray(array, dtype=np.float64)


def cast(values: Array, like: Array, name: str = "values") -> Array:
    """Bring values into the number system of ``like``.

    Rationals become floats where ``like`` is floating; rationals and symbols meet freely.

    Raises:
        ValueError: a float stands beside exact entries, or a symbol beside floats.
    """
    if is_object(like):
        if not is_object(values):
            raise ValueError(
                f"{name} must be exact beside exact entries, was {system_of(values)}: give rationals or symbols"
            )
        return _rounded(values) if system_of(like) == "roundoff" else values
    if is_symbolic(values):
        raise ValueError(f"{name} must be numbers beside {system_of(like)} entries, held symbols")
    xp, device = namespace(like), array_api_compat.device(like)
    plain = to_float(values) if is_object(values) else values
    if array_api_compat.is_torch_array(plain) and not array_api_compat.is_torch_array(like):
        plain = to_float(plain)
    return xp.asarray(plain, dtype=like.dtype, device=device)


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
        return namespace(like).asarray(index, device=array_api_compat.device(like))
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
    return as_array(xp.sum(array, axis=axis))
