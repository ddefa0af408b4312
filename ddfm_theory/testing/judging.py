"""From statements to a verdict: what rounding may cost is derived, three outcomes, and where it fails.

What a system says in exact entries is decided by ``==``. What it says in floats is lifted to :class:`arrays.Rounded`,
so the judge's own text, run over such entries, yields both the residual and the bound it is held against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ddfm_theory.arrays import Array, Rounded, as_array, is_object, is_symbolic, system_of, to_float
from ddfm_theory.ledger.evidence import sides
from ddfm_theory.ledger.records import FAILS, HOLDS, UNDECIDED, Check, Equation, Statement

# What a stranger's system may raise: to be reported as its failure, not as ours.
SYSTEM_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)

Failing = tuple[str, str, str, str, str] | None  # where, got, expected, residual, bound


@dataclass(frozen=True)
class Told:
    """A statement and how to name its entries: index -> place."""

    statement: Statement
    place: Callable[[tuple[int, ...]], str]


class Missing(Exception):  # noqa: N818
    """Something that a check needs is not offered: undecided."""


class Refuted(Exception):  # noqa: N818
    """What a system answered is no answer: a wrong shape, or not finite."""

    def __init__(self, statement: str, place: str, got: str, expected: str) -> None:
        super().__init__(f"{statement} at {place}: got {got}, expected {expected}")
        self.statement, self.place, self.got, self.expected = statement, place, got, expected


def equal(name: str, got: Array, expected: Array, place: Callable[[tuple[int, ...]], str]) -> Told:
    """State got == expected, entry by entry."""
    return Told(Equation(name, got, expected), place)


def lift(array: Array, roundings: int, *, scale: Array | float = 0.0, axis: int | None = None) -> Array:
    """Bring what a system says to entries that know what rounding may have cost; exact entries stay as they are.

    Args:
        array: numbers of any system.
        roundings: how many roundings lie behind an entry.
        scale: the size of the logarithms summed on the way, shaped to broadcast: a system may work in log space, where
            the relative error of a probability is the absolute error of its logarithm, so roundings count that often.
        axis: entries along it are the small differences of large terms, so their error is relative to its L1 norm.
    """
    if is_object(array):
        return as_array(array)
    values = to_float(array)
    size = np.abs(values)
    size = size if axis is None else np.broadcast_to(size.sum(axis=axis, keepdims=True), values.shape)
    depth = np.broadcast_to(np.ceil(roundings * (1 + np.asarray(scale))), values.shape)
    out = np.empty(values.shape, dtype=object)
    for index in np.ndindex(values.shape):
        out[index] = Rounded(float(values[index]), float(size[index]), int(depth[index]))
    return out


def at_door(array: Array, shape: tuple[int | None, ...], name: str, place: str) -> Array:
    """Check the shape and the finiteness of what a system answered.

    Raises:
        Refuted: another shape, or an entry that is not finite.
    """
    found = tuple(int(n) for n in array.shape)
    if len(found) != len(shape) or any(n is not None and n != m for n, m in zip(shape, found, strict=False)):
        wanted = str(tuple("any" if n is None else n for n in shape)).replace("'", "")
        raise Refuted(f"{name} has its shape", place, str(found), wanted)
    if not is_object(array):
        bad = ~np.isfinite(to_float(array))
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise Refuted(f"{name} is finite", f"{place}, entry {where}", str(to_float(array)[where]), "a number")
    return array


@dataclass
class _Tally:
    """What has been seen so far: entries decided, entries without a bound, the worst ratio."""

    statements: int = 0
    entries: int = 0
    unbounded: int = 0
    exact: bool = True
    worst: tuple[float, float, float, str] = (0.0, 0.0, 0.0, "")


def judge(claim: str, told: Iterator[Told], precision: Callable[[], str]) -> Check:
    """Decide statements one after the other; the first that fails is the verdict.

    Args:
        claim: C01..C22, what the statements are instances of.
        told: the statements.
        precision: returns the dtype in which the system computed what was told.

    Returns:
        A Check: ``where`` names the statement and its place, ``note`` both sides.
    """
    tally = _Tally()
    try:
        for item in told:
            failed = _decide(item, precision(), tally)
            if failed is not None:
                return _record(claim, tally, *failed)
    except Missing as missing:
        return Check(claim, _kind(tally), UNDECIDED, tally.entries, note=str(missing))
    except Refuted as refuted:
        where = f"{refuted.statement} at {refuted.place}"
        return _record(claim, tally, where, refuted.got, refuted.expected, "undefined", "0")
    except SYSTEM_ERRORS as error:
        said = "what the system says can be judged"
        return _record(claim, tally, said, f"raised {error!r}", "numbers of one system", "undefined", "0")
    return _settled(claim, tally)


def _kind(tally: _Tally) -> str:
    return "exact" if tally.exact and tally.statements else "numeric"


def _record(claim: str, tally: _Tally, where: str, got: str, expected: str, residual: str, bound: str) -> Check:
    note = f"got {got}, expected {expected}"
    return Check(claim, _kind(tally), FAILS, tally.entries, residual, bound, where, note)


def _settled(claim: str, tally: _Tally) -> Check:
    if not tally.statements:
        return Check(claim, "numeric", UNDECIDED, note="no place of positive probability was reached")
    if tally.unbounded:
        note = (
            f"{tally.unbounded} entries agree only within rounding that no bound covers: offer a finer precision, or "
            "roundings, the number of roundings behind an entry"
        )
        return Check(claim, "numeric", UNDECIDED, tally.entries, note=note)
    note = f"{tally.statements} statements"
    if tally.exact:
        return Check(claim, "exact", HOLDS, tally.entries, note=f"{note}; equality by ==")
    _, residual, bound, where = tally.worst
    return Check(claim, "numeric", HOLDS, tally.entries, f"{residual:.3e}", f"{bound:.3e}", where, note)


def _decide(item: Told, dtype: str, tally: _Tally) -> Failing:
    left, right = sides(item.statement)
    tally.statements += 1
    equation = isinstance(item.statement, Equation)
    if left.size == 0:
        return None
    rounded = "roundoff" in (_system(left), _system(right)) or left.dtype != object or right.dtype != object
    if not rounded:
        return _decide_exact(item, left, right, equation, tally)
    tally.exact = False
    return _decide_rounded(item, left, right, equation, dtype, tally)


def _system(side: np.ndarray) -> str:
    return system_of(side) if side.dtype == object else ""


def _decide_exact(item: Told, left: Array, right: Array, equation: bool, tally: _Tally) -> Failing:
    tally.entries += left.size
    if not equation and (is_symbolic(left) or is_symbolic(right)):
        return None
    holds = np.asarray(left == right if equation else left <= right, dtype=bool)
    if holds.all():
        return None
    where = tuple(int(i) for i in np.argwhere(~holds)[0])
    place = f"{item.statement.name} at {item.place(where)}"
    off = left[where] - right[where]
    return place, str(left[where]), f"{'' if equation else 'at most '}{right[where]}", str(off), "0"


def _decide_rounded(item: Told, left: Array, right: Array, equation: bool, dtype: str, tally: _Tally) -> Failing:
    got, expected = to_float(left), to_float(right)
    bound = _errors(left, dtype) + _errors(right, dtype)
    residual = np.abs(got - expected) if equation else np.where(got <= expected, 0.0, got - expected)
    wrong = ~(residual <= bound)  # also where a residual is not a number
    if wrong.any():
        off = np.nan_to_num(residual[wrong], nan=np.inf)
        worst = np.argmax(off + bound[wrong] >= off.max())  # the first that rounding cannot tell from the worst
        where = tuple(int(i) for i in np.argwhere(wrong)[worst])
        place = f"{item.statement.name} at {item.place(where)}"
        limit = f"{'' if equation else 'at most '}{expected[where]:.12g}"
        return place, f"{got[where]:.12g}", limit, f"{residual[where]:.3e}", f"{bound[where]:.3e}"
    size = np.maximum(np.abs(got), np.abs(expected))
    decided = (bound < np.maximum(size, 1)) | (residual == 0)  # a wider bound could refute nothing
    tally.entries += int(decided.sum())
    tally.unbounded += int((~decided).sum())
    _remember(item, residual, bound, tally)
    return None


def _errors(side: Array, dtype: str) -> np.ndarray:
    if side.dtype != object:
        return np.zeros(side.shape)
    values = [entry.error(dtype) if isinstance(entry, Rounded) else 0.0 for entry in side.ravel()]
    return np.array(values, dtype=float).reshape(side.shape)


def _remember(item: Told, residual: np.ndarray, bound: np.ndarray, tally: _Tally) -> None:
    with np.errstate(invalid="ignore"):
        share = np.where((bound > 0) & np.isfinite(bound), residual / np.where(bound > 0, bound, 1.0), 0.0)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(share)), share.shape))
    if share[at] >= tally.worst[0]:
        where = f"{item.statement.name} at {item.place(at)}"
        tally.worst = (float(share[at]), float(residual[at]), float(bound[at]), where)
