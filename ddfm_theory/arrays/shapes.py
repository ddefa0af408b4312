"""Shapes of arrays that have passed a door: refused by name, with the shape that was expected and the one that was."""

from __future__ import annotations

import math

import numpy as np

from ddfm_theory.arrays.systems import Array, index_like

LARGEST = 1 << 31  # entries of a result


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


def fits(shape: tuple[int, ...], name: str, instead: str) -> None:
    """Refuse a result of more than 2^31 entries, which an argument's size asks for, before memory ends."""
    if math.prod(shape) > LARGEST:
        raise ValueError(f"{name} must leave the result below 2^31 entries, it would have shape {shape}: {instead}")


def gather(array: Array, states: np.ndarray) -> Array:
    """Look up ``array[states[b, 0], ..., states[b, N-1]]`` for each row b."""
    return array[tuple(index_like(states[:, i], array) for i in range(states.shape[1]))]
