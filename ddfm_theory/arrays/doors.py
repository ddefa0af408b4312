"""The public edge: what users give is converted and checked here, once, with errors that name the argument."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import array_api_compat
import flint
import numpy as np

from ddfm_theory.arrays.logarithm import Log
from ddfm_theory.arrays.roundoff import Rounded, gamma
from ddfm_theory.arrays.symbol import Symbol, from_sympy
from ddfm_theory.arrays.systems import Array, index_like, is_object, is_symbolic, system_of, to_float, total

# What a function asks of its number system beyond the field operations and == 0. Order and logarithm are had by
# floats, rationals and roundoff entries, a logarithm also by symbols, randomness by floats alone.
NEEDS = {
    "decentralization.top_k_gate": "order",
    "objectives.cross_entropy": "logarithm",
    "objectives.generalized_kl": "logarithm",
    "sharpening.greedy": "order",
    "sharpening.nucleus": "order",
    "sampling.sample_categorical": "randomness",
    "stability.kl_divergence": "logarithm",
    "stability.total_variation": "order",
}
_HAS = {
    "order": {"rational", "roundoff", "logarithm"},
    "logarithm": {"rational", "roundoff", "symbol"},
    "randomness": set(),
}


def refuse(function: str, array: Array, name: str) -> None:
    """Raise ValueError where a function of the table NEEDS is called with a number system that lacks what it needs."""
    need = NEEDS[function]
    if is_object(array) and system_of(array) not in _HAS[need]:
        raise ValueError(f"{name} of {function} must have {need}, was of {system_of(array)} entries")


def _entry(entry: Any, name: str, where: tuple[int, ...]) -> Any:
    if isinstance(entry, (flint.fmpq, Symbol, Rounded, Log)):
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
    """Bring what a user gives to an array of one number system.

    Floats (NumPy, Torch, Python) stay floats; ints, ``Fraction``, ``fmpq`` become rationals; SymPy becomes symbols.

    Raises:
        ValueError: floats beside exact entries, not finite, not numbers, or ragged.
    """
    if array_api_compat.is_torch_array(values):
        if values.dtype.is_floating_point:
            return _finite(values, name)
        values = values.cpu().numpy()
    if hasattr(values, "free_symbols") and hasattr(values, "tolist"):  # a SymPy Array or Matrix
        values = values.tolist()
    try:
        array = (
            np.asarray(values, dtype=object if hasattr(values, "free_symbols") else None)
            if not isinstance(values, (flint.fmpq, flint.fmpz, Symbol, Rounded, Log))
            else None
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from error
    if array is not None and array.dtype.kind == "f":
        return _finite(array, name)
    if array is None:
        array = np.empty((), dtype=object)
        array[()] = values
    if array.dtype.kind not in "iuO":
        raise ValueError(f"{name} must hold numbers, was of dtype {array.dtype}")
    out = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        out[index] = _entry(array[index], name, index)
    return out


def _finite(array: Array, name: str) -> Array:
    if system_of(array) not in ("float64", "float32", "bfloat16", "float16"):
        raise ValueError(f"{name} must be float64, float32, float16 or bfloat16, was {system_of(array)}")
    bad = ~np.isfinite(to_float(array))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be finite, was {to_float(array)[where]} at {where}")
    return array


def numbers(values: Any, name: str) -> Array:
    """Return an array of a number system: floats and exact entries as they are, lists and integers converted."""
    if is_object(values) or (hasattr(values, "dtype") and "float" in str(values.dtype)):
        return values
    return asarray(values, name)


def alike(first: Any, second: Any, names: tuple[str, str]) -> tuple[Array, Array]:
    """Bring two arguments to arrays of one shape and one system, finite: broadcasting would hide a missing axis.

    Raises:
        ValueError: other shapes, not finite, or floats beside exact entries that are no numbers.
    """
    a, b = (finite(numbers(values, name), name) for values, name in zip((first, second), names, strict=True))
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(f"{names[1]} must have the shape {tuple(a.shape)} of {names[0]}, had {tuple(b.shape)}")
    return a, b


def finite(array: Array, name: str) -> Array:
    """Check that floats are finite; exact entries are."""
    return array if is_object(array) else _finite(array, name)


def nonnegative(values: Any, name: str) -> Array:
    """Bring to an array and check that no entry is negative (of symbols the sign is a recorded hypothesis)."""
    array = asarray(values, name)
    if is_symbolic(array):
        return array
    negative = np.asarray(array < 0) if is_object(array) else to_float(array) < 0
    if negative.any():
        where = tuple(int(i) for i in np.argwhere(negative)[0])
        raise ValueError(f"{name} must be nonnegative, was {array[where]} at {where}")
    return array


def pmf(values: Any, name: str, axis: int | None = None) -> Array:
    """Bring to an array and check that it is a pmf over all its entries (``axis=None``) or along an axis.

    A sum may be off by what adding up its entries in their dtype can cost, gamma_n; among exact entries by nothing.

    Raises:
        ValueError: empty, negative or unnormalized.
    """
    array = nonnegative(values, name)
    if axis is not None and array.ndim == 0:
        raise ValueError(f"{name} must have an axis of probabilities, was one number")
    size = math.prod(array.shape) if axis is None else array.shape[axis]
    if size == 0:
        raise ValueError(f"{name} must be a pmf, was empty (shape {tuple(array.shape)})")
    if is_object(array):
        sums = np.asarray(total(array, axis))
        wrong = np.array([not _is_one(entry) for entry in sums.ravel()]).reshape(sums.shape)
    else:
        sums = to_float(array).sum(axis=axis)
        wrong = np.abs(np.asarray(sums) - 1) > gamma(array.dtype, size + 1)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name} must sum to one, summed to {np.asarray(sums)[where]}" + (f" at {where}" if where else "")
        )
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
    array = np.asarray(values.cpu() if torch_array else values)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, was of dtype {array.dtype}")
    if array.ndim != 2 or (width is not None and array.shape[1] != width):
        raise ValueError(f"{name} must have shape (B, {width or 'N'}), was {array.shape}")
    bad = (array < 0) | (array >= vocabulary)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be tokens in 0..{vocabulary - 1}, was {array[where]} at {where}")
    return array.astype(np.int64)


def positive_int(value: Any, name: str, low: int = 1, high: int | None = None) -> int:
    """Check an integer argument's range and return it as ``int``."""
    ok = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not ok or value < low or (high is not None and value > high):
        limit = f"at least {low}" if high is None else f"in {low}..{high}"
        raise ValueError(f"{name} must be an integer {limit}, was {value!r}")
    return int(value)


def gather(array: Array, states: np.ndarray) -> Array:
    """Look up ``array[states[b, 0], ..., states[b, N-1]]`` for each row b."""
    return array[tuple(index_like(states[:, i], array) for i in range(states.shape[1]))]
