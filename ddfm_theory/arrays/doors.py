"""The public edge: what users give is converted and checked here, once, with errors that name the argument."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import array_api_compat
import flint
import numpy as np

from ddfm_theory.arrays.roundoff import SIGNIFICANDS, Rounded, name_of, summation
from ddfm_theory.arrays.symbol import Symbol, from_sympy
from ddfm_theory.arrays.systems import (
    Array,
    as_array,
    cast,
    finite,
    index_like,
    is_object,
    is_symbolic,
    system_of,
    to_float,
    total,
)

LARGEST = 1 << 31  # entries of a result
_KINDS = {flint.fmpq, Symbol, Rounded}  # what object arrays are made of; logarithms only come out of formulas

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
    "order": {"rational", "roundoff"},
    "logarithm": {"rational", "roundoff", "symbol"},
    "randomness": set(),
}


def refuse(function: str, array: Array, name: str) -> None:
    """Raise ValueError where a function of the table NEEDS is called with a number system that lacks what it needs."""
    need = NEEDS[function]
    if is_object(array) and system_of(array) not in _HAS[need]:
        raise ValueError(f"{name} of {function} must have {need}, was of {system_of(array)} entries")


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
    if is_object(values) and {type(entry) for entry in as_array(values).flat} <= _KINDS:
        return as_array(values)
    if array_api_compat.is_torch_array(values):
        if values.dtype.is_floating_point:
            return finite(values, name)
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


def shaped(array: Array, name: str, shape: tuple[int | None, ...], words: str) -> Array:
    """Check an array's shape; None stands for any length but zero.

    Raises:
        ValueError: another number of axes, or another length.
    """
    right = array.ndim == len(shape) and all(
        has > 0 if wants is None else has == wants for has, wants in zip(array.shape, shape, strict=True)
    )
    if not right:
        raise ValueError(f"{name} must have shape {words}, was {tuple(array.shape)}")
    return array


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


def enumerated(array: Array, name: str) -> Array:
    """Check that an array is one over enumerated states: shape (d,) * N."""
    size = array.shape[0] if array.ndim else 0
    return shaped(array, name, (size or None,) * max(array.ndim, 1), "(d,) * N")


def over_tokens(array: Array, name: str) -> Array:
    """Check that an array's last axis is one of tokens: shape (..., d)."""
    if not array.ndim or not array.shape[-1]:
        raise ValueError(f"{name} must have tokens on its last axis, was of shape {tuple(array.shape)}")
    return array


def over_experts(array: Array, name: str) -> Array:
    """Check that an array's first axis is one of experts: shape (K, ...)."""
    if not array.ndim or not array.shape[0]:
        raise ValueError(f"{name} must have one row an expert, was of shape {tuple(array.shape)}")
    return array


def dense_velocity(values: Any, name: str) -> Array:
    """Bring to an array that is a velocity over enumerated states: shape (d,) * N + (N, d)."""
    array = asarray(values, name)
    n, size = array.ndim - 2, array.shape[-1] if array.ndim else 0
    return shaped(array, name, (size or None,) * max(n, 1) + (max(n, 1), size or None), "(d,) * N + (N, d)")


def over_states(values: Any, p: Array, name: str) -> Array:
    """Bring a velocity beside an array p over states: shape (d,) * N + (N, d)."""
    return beside(values, p, name, (*p.shape, p.ndim, p.shape[0]), f"(d,) * N + (N, d) beside {tuple(p.shape)}")


def fits(shape: tuple[int, ...], name: str, instead: str) -> None:
    """Refuse a result of more than 2^31 entries, which an argument's size asks for, before memory ends."""
    if math.prod(shape) > LARGEST:
        raise ValueError(f"{name} must leave the result below 2^31 entries, it would have shape {shape}: {instead}")


def nonnegative(values: Any, name: str) -> Array:
    """Bring to an array and check that no entry is negative (of symbols the sign is a recorded hypothesis)."""
    floats = hasattr(values, "min") and math.prod(values.shape) and name_of(values.dtype) in SIGNIFICANDS
    if floats and bool(values.min() >= 0) and bool(values.max() < math.inf):  # false of NaN
        return values if array_api_compat.is_torch_array(values) else np.asarray(values)
    array = asarray(values, name)
    if math.prod(array.shape) == 0 or is_symbolic(array):
        return array
    negative = np.asarray(array < 0) if is_object(array) else to_float(array) < 0
    if negative.any():
        where = tuple(int(i) for i in np.argwhere(negative)[0])
        raise ValueError(f"{name} must be nonnegative, was {array[where]} at {where}")
    return array


def pmf(values: Any, name: str, axis: int | None = None) -> Array:
    """Bring to an array and check that it is a pmf over all its entries (``axis=None``) or along an axis.

    A sum may be off by what adding up its entries in their dtype can cost; among exact entries by nothing.

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
        wrong = np.abs(np.asarray(sums) - 1) > summation(array.dtype, size + 1)
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
    try:
        array = np.asarray(values.cpu() if torch_array else values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} must be a rectangular array of integers: {error}") from error
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, was of dtype {array.dtype}")
    if array.ndim != 2 or not array.shape[1] or (width is not None and array.shape[1] != width):
        raise ValueError(f"{name} must have shape (B, {width or 'N'}), was {array.shape}")
    bad = (array < 0) | (array >= vocabulary)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be tokens in 0..{vocabulary - 1}, was {array[where]} at {where}")
    return array.astype(np.int64)


def instance(value: Any, kinds: Any, name: str) -> Any:
    """Check an argument's class: one, or several as a tuple or a union."""
    if not isinstance(value, kinds):
        words = " or ".join(kind.__name__ for kind in getattr(kinds, "__args__", (kinds,)))
        raise ValueError(f"{name} must be a {words}, was of type {type(value).__name__}")
    return value


def sequence(values: Any, name: str, low: int = 1) -> list[Any]:
    """Check that an argument is a sequence (a list, a tuple, a range, an array's rows) of at least ``low``; list it."""
    if isinstance(values, (str, bytes, dict, set, frozenset)) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a nonempty sequence, was {values!r}")
    try:
        items = list(values)
    except TypeError as error:
        raise ValueError(f"{name} must be a nonempty sequence: {error}") from None
    if len(items) < low:
        raise ValueError(f"{name} must be a nonempty sequence, was empty")
    return items


def generator(seed: Any) -> np.random.Generator:
    """Return NumPy's default generator for a seed, or a generator as it is, so that one run draws from one stream."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(positive_int(seed, "seed", 0))


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
