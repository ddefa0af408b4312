"""Hypothesis strategies: valid objects of every room, corners included, that shrink to two tokens and two experts.

Each strategy draws rationals; ``floating`` maps what it draws to NumPy float64. Corners on purpose: zero mass, point
masses, experts of weight zero or without data, identical and disjoint experts, t = 0 and t = 1. Hypothesis knows their
classes by type too (``st.from_type(MaskedCoupling)``), wherever it is imported: see ``registration``.
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
from ddfm_theory.testing.systems import PREFIX, Parts

__all__ = [
    "couplings",
    "decentralizations",
    "empirical_couplings",
    "floating",
    "joint_couplings",
    "masked_couplings",
    "orders",
    "partitions",
    "pmfs",
    "point_masses",
    "routers",
    "schedulers",
    "states",
    "step_schedulers",
    "systems",
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
    return _law(draw(st.lists(st.integers(int(positive), largest), min_size=cells, max_size=cells)), shape)


def _law(counts: list[int], shape: tuple[int, ...]) -> Array:
    """Return counts over their sum; where all are zero, the mass on the first."""
    counts = counts if sum(counts) else [1, *counts[1:]]
    return _array([flint.fmpq(count, sum(counts)) for count in counts], shape)


@st.composite
def point_masses(draw: Callable[..., Any], shape: int | tuple[int, ...]) -> Array:
    """Draw a degenerate pmf of that shape, all its mass on one entry."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    cells = math.prod(shape)
    place = draw(st.integers(0, cells - 1))
    return _array([flint.fmpq(int(cell == place)) for cell in range(cells)], shape)


def floating(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy of rational arrays, couplings or experts as one of the same in NumPy float64."""
    return strategy.map(_floats)


def _floats(value: Any) -> Any:
    if isinstance(value, Decentralization):
        return Decentralization(to_float(value.weights), [_floats(coupling) for coupling in value.couplings])
    if isinstance(value, EmpiricalCoupling):
        return EmpiricalCoupling(value.samples, to_float(value.weights), vocabulary=value.vocabulary)
    if isinstance(value, Coupling | MaskedCoupling):
        return type(value)(to_float(value.like))
    return to_float(value)


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
def partitions(draw: Callable[..., Any], rows: int, experts: int) -> np.ndarray:
    """Draw which of the experts each row of data belongs to, shape (rows,), experts without rows included."""
    return np.array(draw(st.lists(st.integers(0, experts - 1), min_size=rows, max_size=rows)), dtype=np.int64)


@st.composite
def orders(draw: Callable[..., Any], length: int | None = None) -> Autoregressive:
    """Draw an order of positions, of one to three where no length is given."""
    return Autoregressive(draw(st.permutations(range(draw(st.integers(1, 3)) if length is None else length))))


@st.composite
def step_schedulers(draw: Callable[..., Any], length: int | None = None, *, largest: int = 3) -> Steps:
    """Draw a schedule of one to ``largest`` steps whose columns rise from 0 to 1."""
    length = draw(st.integers(1, 3)) if length is None else length
    inner = draw(st.integers(0, largest - 1))
    columns = [sorted(draw(st.lists(st.integers(0, 4), min_size=inner, max_size=inner))) for _ in range(length)]
    rows = [[0] * length, *([flint.fmpq(column[j], 4) for column in columns] for j in range(inner)), [1] * length]
    return Steps(_array([flint.fmpq(value) for row in rows for value in row], (inner + 2, length)))


@st.composite
def schedulers(draw: Callable[..., Any], length: int | None = None) -> Scheduler:
    """Draw a continuous-time schedule that has rational values at rational times, for any length if none is given."""
    simple = st.sampled_from([Linear(), Polynomial(2), Polynomial(3)])
    overlaps = st.sampled_from([flint.fmpq(0), flint.fmpq(1, 2), flint.fmpq(1)])
    if length is None:
        return draw(simple | overlaps.map(Windowed))  # type: ignore[no-any-return]
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
    n, size = draw(_sizes(length, None if kind else 2, 3 if kind else 2))
    # every choice is drawn at its largest and cut to size, so that each size can shrink by itself
    count = draw(st.sampled_from([k for k in (2, 1, *range(3, largest + 1)) if k <= largest]))
    tables = draw(st.lists(st.lists(st.integers(0, 4), min_size=16, max_size=16), min_size=largest, max_size=largest))
    shares = draw(st.lists(st.integers(0, 4), min_size=largest, max_size=largest))
    apart, alike = draw(st.booleans()), draw(st.booleans())
    experts = [_expert(tables[0 if alike else k], n, size, kind, apart) for k in range(count)]
    return Decentralization(_law(shares[:count], (count,)), experts[:1] * count if alike else experts)


def _expert(counts: list[int], length: int, size: int, masked: bool, apart: bool) -> AnyCoupling:
    """Return the coupling that counts make: all-mask, of a source and a target apart, or joint."""
    cells, shape = size**length, (size,) * length
    if masked:
        return MaskedCoupling(_law(counts[:cells], shape))
    if apart:
        return Coupling.independent(_law(counts[:cells], shape), _law(counts[cells : 2 * cells], shape))
    return Coupling(_law(counts[: cells**2], 2 * shape))


@st.composite
def systems(draw: Callable[..., Any], kind: str | None = None) -> Parts:
    """Draw a right system for the conformance checks: autoregressive (``prefix``) or a flow (``state``).

    Edit it with ``dataclasses.replace`` to see which check catches the edit.
    """
    from ddfm_theory.testing.adapters import from_decentralization, from_table

    prefix = draw(st.booleans()) if kind is None else kind == PREFIX
    experts = draw(decentralizations(masked=True if prefix else None))
    if prefix:
        return from_table("drawn", np.stack([coupling.target for coupling in experts.couplings]), experts.weights)
    return from_decentralization("drawn", experts, draw(schedulers()))
