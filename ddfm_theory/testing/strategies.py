"""Hypothesis strategies: valid objects of every room, corners included, that shrink to two tokens and two experts.

Each strategy draws rationals; ``floating`` maps what it draws to NumPy float64. Corners on purpose: zero mass, point
masses, experts of weight zero, identical and disjoint experts, t = 0 and t = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flint
import numpy as np
from hypothesis import strategies as st

from ddfm_theory.arrays import Array, to_float
from ddfm_theory.couplings import AnyCoupling, Coupling, EmpiricalCoupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.schedulers import Autoregressive, Given, Linear, PerPosition, Polynomial, Scheduler, Steps, Windowed

__all__ = [
    "couplings",
    "decentralizations",
    "empirical_couplings",
    "floating",
    "joint_couplings",
    "masked_couplings",
    "orders",
    "pmfs",
    "routers",
    "schedulers",
    "states",
    "step_schedulers",
    "times",
]


def _array(entries: list[Any], shape: tuple[int, ...]) -> Array:
    out = np.empty(len(entries), dtype=object)
    out[:] = entries
    return out.reshape(shape)


@st.composite
def pmfs(draw: Callable[..., Any], shape: int | tuple[int, ...], *, positive: bool = False, largest: int = 4) -> Array:
    """Draw a rational pmf of that shape: counts up to ``largest`` over their sum; zeros unless ``positive``."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    cells = math.prod(shape)
    counts = draw(st.lists(st.integers(int(positive), largest), min_size=cells, max_size=cells))
    if not sum(counts):
        counts[draw(st.integers(0, cells - 1))] = 1
    return _array([flint.fmpq(count, sum(counts)) for count in counts], shape)


def floating(strategy: st.SearchStrategy[Array]) -> st.SearchStrategy[np.ndarray]:
    """Return a strategy of rationals as one of NumPy float64."""
    return strategy.map(to_float)


@st.composite
def times(draw: Callable[..., Any], *, ends: bool = True, parts: int = 6) -> flint.fmpq:
    """Draw a rational time in [0, 1], the ends included unless told otherwise."""
    return flint.fmpq(draw(st.integers(0 if ends else 1, parts if ends else parts - 1)), parts)


@st.composite
def _sizes(draw: Callable[..., Any], length: int | None, size: int | None, largest: int) -> tuple[int, int]:
    n = draw(st.integers(1, largest)) if length is None else length
    return n, draw(st.integers(2, 3 if n < 3 else 2)) if size is None else size


@st.composite
def masked_couplings(
    draw: Callable[..., Any], length: int | None = None, vocabulary: int | None = None, *, positive: bool = False
) -> MaskedCoupling:
    """Draw an all-mask coupling of one to three positions."""
    n, v = draw(_sizes(length, vocabulary, 3))
    return MaskedCoupling(draw(pmfs((v,) * n, positive=positive)))


@st.composite
def joint_couplings(draw: Callable[..., Any], length: int | None = None, size: int | None = None) -> Coupling:
    """Draw a joint pmf of source and target, or an independent coupling, of one or two positions."""
    n, d = draw(_sizes(length, size if size is not None else 2, 2))
    if draw(st.booleans()):
        return Coupling.independent(draw(pmfs((d,) * n)), draw(pmfs((d,) * n)))
    return Coupling(draw(pmfs((d,) * (2 * n))))


@st.composite
def empirical_couplings(
    draw: Callable[..., Any], length: int | None = None, vocabulary: int | None = None
) -> EmpiricalCoupling:
    """Draw an empirical coupling of one to five weighted samples, duplicates included."""
    n, v = draw(_sizes(length, vocabulary, 3))
    rows = draw(st.lists(st.lists(st.integers(0, v - 1), min_size=n, max_size=n), min_size=1, max_size=5))
    return EmpiricalCoupling(np.array(rows), draw(pmfs(len(rows))), vocabulary=v)


def couplings(length: int | None = None) -> st.SearchStrategy[AnyCoupling]:
    """Return enumerated couplings, all-mask or joint."""
    return masked_couplings(length) | joint_couplings(None if length is None else min(length, 2))


@st.composite
def orders(draw: Callable[..., Any], length: int) -> Autoregressive:
    """Draw an order of positions."""
    return Autoregressive(draw(st.permutations(range(length))))


@st.composite
def step_schedulers(draw: Callable[..., Any], length: int, *, largest: int = 3) -> Steps:
    """Draw a schedule of one to ``largest`` steps whose columns rise from 0 to 1."""
    inner = draw(st.integers(0, largest - 1))
    columns = [sorted(draw(st.lists(st.integers(0, 4), min_size=inner, max_size=inner))) for _ in range(length)]
    rows = [[0] * length, *([flint.fmpq(column[j], 4) for column in columns] for j in range(inner)), [1] * length]
    return Steps(_array([flint.fmpq(value) for row in rows for value in row], (inner + 2, length)))


@st.composite
def schedulers(draw: Callable[..., Any], length: int) -> Scheduler:
    """Draw a continuous-time schedule that has rational values at rational times."""
    simple = st.sampled_from([Linear(), Polynomial(2), Polynomial(3)])
    overlaps = st.sampled_from([flint.fmpq(0), flint.fmpq(1, 2), flint.fmpq(1)])
    unit = st.lists(times(), min_size=length, max_size=length)
    given = st.builds(lambda k, s: Given(_array(k, (length,)), _array([a * (1 - b) for a, b in zip(s, k, strict=True)],
                                                                      (length,))), unit, unit)  # fmt: skip
    each = st.lists(simple, min_size=length, max_size=length).map(PerPosition)
    chosen: Scheduler = draw(simple | overlaps.map(Windowed) | each | given)
    return chosen


@st.composite
def states(draw: Callable[..., Any], size: int, length: int, *, largest: int = 4) -> np.ndarray:
    """Draw one to ``largest`` states of [size]^length."""
    rows = st.lists(st.integers(0, size - 1), min_size=length, max_size=length)
    return np.array(draw(st.lists(rows, min_size=1, max_size=largest)))


@st.composite
def routers(draw: Callable[..., Any], experts: int, shape: tuple[int, ...] = ()) -> Array:
    """Draw a router: a law over experts at every place, shape (K, ...)."""
    laws = [draw(pmfs(experts)) for _ in range(math.prod(shape))]
    return np.stack(laws, axis=1).reshape((experts, *shape))


@st.composite
def decentralizations(
    draw: Callable[..., Any], *, masked: bool | None = None, length: int | None = None, largest: int = 3
) -> Decentralization:
    """Draw experts: overlapping, disjoint or identical, some perhaps of weight zero."""
    kind = draw(st.booleans()) if masked is None else masked
    first = draw(masked_couplings(length) if kind else joint_couplings(length))
    count = draw(st.integers(1, largest))
    if draw(st.booleans()):
        experts: list[AnyCoupling] = [first] * count
    else:
        more = masked_couplings(first.length, first.size - 1) if kind else joint_couplings(first.length, first.size)
        experts = [first, *(draw(more) for _ in range(count - 1))]
    return Decentralization(draw(pmfs(count)), experts)
