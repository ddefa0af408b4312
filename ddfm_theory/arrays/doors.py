"""The public edge: what users give is converted and checked here, once, with errors that name the argument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import array_api_compat
import flint
import numpy as np

from ddfm_theory.arrays.expressions import from_sympy
from ddfm_theory.arrays.roundoff import SIGNIFICANDS, Rounded, name_of, summation
from ddfm_theory.arrays.shapes import shaped
from ddfm_theory.arrays.symbol import Symbol
from ddfm_theory.arrays.systems import (
    Array,
    as_array,
    cast,
    finite,
    is_float,
    is_object,
    is_symbolic,
    namespace,
    to_float,
    total,
)

_KINDS = {flint.fmpq, Symbol, Rounded}  # what object arrays are made of; logarithms only come out of formulas


def _entry(entry: Any, name: str, where: tuple[int, ...]) -> Any:
    if type(entry) in _KINDS:
        return entry
    if isinstance(entry, (int, np.integer, flint.fmpz)) and not isinstance(entry, bool):
        return flint.fmpq(int(entry))
    if isinstance(entry, Fraction):
        return flint.fmpq(entry.numerator, entry.denominator)
    if hasattr(entry, "free_symbols"):
        try:
            return from_sympy(entry)
        except ValueError as error:
            raise ValueError(f"{name} must be exact, at {where}: {error}") from error
    raise ValueError(f"{name} must hold numbers of one system, was {entry!r} ({type(entry).__name__}) at {where}")


def asarray(values: Any, name: str) -> Array:
    """Bring what a user gives to an array of one number system; what is one already is returned as it is.

    Floats (NumPy, Torch, Python) stay floats; ints, ``Fraction``, ``fmpq`` become rationals; SymPy becomes symbols.

    Raises:
        ValueError: floats beside exact entries, not finite, not numbers, or ragged.
    """
    if is_float(values):
        return finite(values, name)
    if is_object(values) and {type(entry) for entry in as_array(values).flat} <= _KINDS:
        return as_array(values)
    if array_api_compat.is_torch_array(values):
        values = values.cpu().numpy()
    if hasattr(values, "free_symbols") and hasattr(values, "tolist"):  # a SymPy Array or Matrix
        values = values.tolist()
    try:
        array = np.asarray(values, dtype=object if hasattr(values, "free_symbols") else None)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from error
    if array.dtype.kind == "f":
        return finite(array, name)
    if array.dtype.kind not in "iuO":
        raise ValueError(f"{name} must hold numbers, was of dtype {array.dtype}")
    out = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        out[index] = _entry(array[index], name, index)
    return out


def beside(values: Any, like: Array, name: str, shape: tuple[int | None, ...], words: str) -> Array:
    """Bring an argument to an array of another's number system and of a given shape.

    Raises:
        ValueError: not numbers, another shape, floats beside exact entries, or symbols beside floats.
    """
    return shaped(cast(asarray(values, name), like, name), name, shape, words)


def alike(first: Any, second: Any, names: Sequence[str]) -> tuple[Array, Array]:
    """Bring two arguments to arrays of one shape and one system, finite: broadcasting would hide a missing axis.

    Raises:
        ValueError: other shapes, not finite, or floats beside exact entries.
    """
    a = asarray(first, names[0])
    return a, beside(second, a, names[1], tuple(a.shape), f"{tuple(a.shape)} of {names[0]}")


def dense_velocity(values: Any, name: str) -> Array:
    """Bring to an array that is a velocity over enumerated states: shape (d,) * N + (N, d)."""
    array = asarray(values, name)
    n, size = array.ndim - 2, array.shape[-1] if array.ndim else 0
    return shaped(array, name, (size or None,) * max(n, 1) + (max(n, 1), size or None), "(d,) * N + (N, d)")


def over_states(values: Any, p: Array, name: str) -> Array:
    """Bring a velocity beside an array p over states: shape (d,) * N + (N, d)."""
    return beside(values, p, name, (*p.shape, p.ndim, p.shape[0]), f"(d,) * N + (N, d) beside {tuple(p.shape)}")


def nonnegative(values: Any, name: str) -> Array:
    """Bring to an array and check that no entry is negative (of symbols the sign is a recorded hypothesis)."""
    if _has_no_negative(values) and values.max().item() < math.inf:
        return values
    array = asarray(values, name)
    if math.prod(array.shape) == 0 or is_symbolic(array):
        return array
    negative = np.asarray(array < 0) if is_object(array) else to_float(array) < 0
    if negative.any():
        where = tuple(int(i) for i in np.argwhere(negative)[0])
        raise ValueError(f"{name} must be nonnegative, was {array[where]} at {where}")
    return array


def _has_no_negative(values: Any) -> bool:
    """Tell in one pass that floats hold neither a negative entry nor a NaN; of anything else it is not told here."""
    floats = is_float(values) and name_of(values.dtype) in SIGNIFICANDS
    return floats and math.prod(values.shape) > 0 and bool(values.min().item() >= 0)


def pmf(values: Any, name: str, axis: int | None = None) -> Array:
    """Bring to an array and check that it is a pmf over all its entries (``axis=None``) or along an axis.

    A sum may be off by what adding up its entries in their dtype can cost; among exact entries by nothing.

    Raises:
        ValueError: empty, negative or unnormalized.
    """
    array = values if _has_no_negative(values) else nonnegative(values, name)
    if axis is not None and not -array.ndim <= axis < array.ndim:
        raise ValueError(f"{name} must have an axis {axis} of probabilities, was of shape {tuple(array.shape)}")
    size = math.prod(array.shape) if axis is None else array.shape[axis]
    if size == 0:
        raise ValueError(f"{name} must be a pmf, was empty (shape {tuple(array.shape)})")
    if is_object(array):
        sums = np.asarray(total(array, axis))
        wrong = np.array([not _is_one(entry) for entry in sums.ravel()]).reshape(sums.shape)
    else:
        sums = to_float(array.sum(axis=axis, dtype=namespace(array).float64))
        wrong = ~(np.abs(sums - 1) <= summation(array.dtype, size + 1))
    if wrong.any():
        nonnegative(array, name)  # an infinite entry is what is wrong before its sum is
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name} must sum to one, summed to {sums[where]}" + (f" at {where}" if where else ""))
    return array


def _is_one(entry: Any) -> bool:
    return True if isinstance(entry, Rounded) else bool(entry == 1)


def tokens(values: Any, name: str, vocabulary: int, width: int | None = None) -> np.ndarray:
    """Bring to an integer array of shape (B, N) with entries in 0..vocabulary-1.

    Raises:
        ValueError: not integers, not two axes, another width, or out of range.
    """
    torch_array = array_api_compat.is_torch_array(values)
    if torch_array and values.dtype.is_floating_point:
        raise ValueError(f"{name} must be integers, was of dtype {values.dtype}")
    try:
        array = np.asarray(values.cpu() if torch_array else values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} must be a rectangular array of integers: {error}") from error
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, was of dtype {array.dtype}")
    if array.ndim != 2 or not array.shape[1] or (width is not None and array.shape[1] != width):
        raise ValueError(f"{name} must have shape (B, {width or 'N'}), was {array.shape}")
    if array.size and (array.min() < 0 or array.max() >= vocabulary):
        bad = (array < 0) | (array >= vocabulary)
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be tokens in 0..{vocabulary - 1}, was {array[where]} at {where}")
    return array.astype(np.int64)
