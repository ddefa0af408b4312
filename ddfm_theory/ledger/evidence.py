"""Evidence: each claim's law evaluated on instances of each kind, and each control made to fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, Log, Rounded, as_array, is_object, is_symbolic, to_float
from ddfm_theory.ledger.draws import Draw, ExhaustiveDraw, HypothesisDraw, RandomDraw, SymbolDraw, floating, rounded
from ddfm_theory.ledger.laws_experts import family_large, law_large
from ddfm_theory.ledger.records import FAILS, HOLDS, UNDECIDED, Check, Claim, Control, Equation, Statement, Witness

# What a broken formula may raise: it is evidence against the claim, not a fault of the run.
ERRORS = (ArithmeticError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Profile:
    """How much is looked at: instances of each kind, the sizes of C08 with every pmf symbolic, and the derivations."""

    exact: int
    exhaustive: int
    properties: int
    symbolic: int
    numeric: int
    large: tuple[tuple[int, int, int], ...]
    derivations: bool = True


PROFILES = {
    "quick": Profile(20, 80, 15, 3, 4, ((3, 2, 2),), derivations=False),
    "default": Profile(200, 800, 80, 10, 24, ((3, 2, 2), (4, 3, 2))),
    "exhaustive": Profile(1000, 20_000, 500, 40, 100, ((3, 2, 2), (4, 3, 2), (4, 3, 4))),
}


class Failure(Exception):  # noqa: N818
    """A statement that does not hold: where, and both sides."""

    def __init__(self, where: str, got: str, expected: str) -> None:
        super().__init__(f"{where}: got {got}, expected {expected}")
        self.where, self.got, self.expected = where, got, expected


def _entries(side: Array) -> np.ndarray:
    return np.asarray(as_array(side)) if is_object(side) else to_float(side)


def sides(statement: Statement) -> tuple[Array, Array]:
    """Return the two sides of a statement, of one shape (broadcasting would hide a wrong axis)."""
    pair = (
        (statement.got, statement.expected) if isinstance(statement, Equation) else (statement.lower, statement.upper)
    )
    left, right = (_entries(side) for side in pair)
    if left.shape != right.shape:
        raise Failure(statement.name, f"shape {left.shape}", f"shape {right.shape}")
    return left, right


def decide(statement: Statement) -> bool:
    """Decide a statement among exact entries, by == or <=; return whether it was asked (an order of symbols is not).

    Raises:
        Failure: it does not hold.
    """
    left, right = sides(statement)
    if not isinstance(statement, Equation) and (is_symbolic(left) or is_symbolic(right)):
        return False
    holds = np.asarray(left == right if isinstance(statement, Equation) else left <= right, dtype=bool)
    if not holds.all():
        where = tuple(int(i) for i in np.argwhere(~holds)[0])
        raise Failure(f"{statement.name} at {where}", str(left[where]), str(right[where]))
    return True


def _walk(claim: Claim, draws: Iterator[tuple[str, Draw]], kind: str, covered: str) -> Check:
    """Decide the law on every instance drawn; the first failing one is the evidence against it."""
    cases = statements = 0
    for name, draw in draws:
        try:
            for statement in claim.law(claim.family(draw)):
                statements += decide(statement)
        except Failure as failure:
            return Check(
                claim.id, kind, FAILS, cases, failure.got, failure.expected, f"{failure.where}, instance {name}"
            )
        except ERRORS as error:
            return Check(claim.id, kind, FAILS, cases, repr(error), "", f"instance {name}")
        cases += 1
    outcome = HOLDS if statements else UNDECIDED
    return Check(
        claim.id, kind, outcome, cases, note=f"{statements} statements; {covered}" if statements else "no statement met"
    )


def exact_evidence(claim: Claim, profile: Profile, seed: int) -> Check:
    """Return evidence in rationals: random instances, and every instance of a small space up to the profile's cap."""
    odometer = ExhaustiveDraw()
    walked = {"count": 0, "all": False}

    def draws() -> Iterator[tuple[str, Draw]]:
        for number in range(profile.exact):
            yield f"seed {seed}, number {number}", RandomDraw((seed, number))
        while walked["count"] < profile.exhaustive:
            yield f"wheels {[wheel[0] for wheel in odometer.wheels]}", odometer
            walked["count"] += 1
            if not odometer.advance():
                walked["all"] = True
                return

    check = _walk(claim, draws(), "exact", "rationals, equality by ==")
    space = "all" if walked["all"] else "the first"
    note = f"{check.note}; {profile.exact} at random and {space} {walked['count']} of the two-valued space"
    return check if check.outcome == FAILS else Check(claim.id, "exact", check.outcome, check.cases, note=note)


def symbolic_evidence(claim: Claim, profile: Profile, seed: int) -> Check:
    """Return evidence with every pmf, weight and schedule value a free symbol."""
    if "symbolic" in claim.without:
        return Check(claim.id, "symbolic", UNDECIDED, note=claim.without["symbolic"])
    draws = ((f"seed {seed}, number {n}", SymbolDraw((seed, n))) for n in range(profile.symbolic))
    check = _walk(claim, draws, "symbolic", "every pmf and schedule value free")
    if claim.id != "C08" or check.outcome != HOLDS:
        return check
    for vocabulary, length, count in profile.large:
        wide = SymbolDraw((seed,), symbols=count * vocabulary**length + count + 4 * length)
        for statement in law_large(family_large(wide, vocabulary, length, count)):
            try:
                decide(statement)
            except Failure as failure:
                return Check(claim.id, "symbolic", FAILS, check.cases, failure.got, failure.expected, failure.where)
    sizes = ", ".join(f"(V, N, K) = {size}" for size in profile.large)
    return Check(claim.id, "symbolic", HOLDS, check.cases + len(profile.large), note=f"{check.note}; {sizes}")


def property_evidence(claim: Claim, profile: Profile, seed: int) -> Check:
    """Return evidence from Hypothesis (derandomized, no database, no deadline), which shrinks what fails."""
    import hypothesis
    from hypothesis import strategies

    count = {"cases": 0, "statements": 0}

    @hypothesis.settings(
        max_examples=profile.properties,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=False,
    )
    @hypothesis.given(strategies.data())
    def walk(data: Any) -> None:
        draw = HypothesisDraw(lambda low, high: data.draw(strategies.integers(low, high)))
        for statement in claim.law(claim.family(draw)):
            count["statements"] += decide(statement)
        count["cases"] += 1

    try:
        walk()
    except Failure as failure:
        return Check(claim.id, "property", FAILS, count["cases"], failure.got, failure.expected, failure.where)
    except ERRORS as error:
        return Check(claim.id, "property", FAILS, count["cases"], repr(error), "", "")
    outcome = HOLDS if count["statements"] else UNDECIDED
    note = f"{count['statements']} statements; rationals, shrinking to two tokens and two experts"
    return Check(claim.id, "property", outcome, count["cases"], note=note)


def float_systems() -> dict[str, tuple[Any, Any]]:
    """Return the float systems at hand: name -> (an array of it, its dtype); CUDA's where there is a device."""
    import torch

    systems: dict[str, tuple[Any, Any]] = {
        f"numpy {dtype}": (np.zeros(1, dtype=dtype), dtype) for dtype in ("float64", "float32")
    }
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        for dtype in ("float64", "float32", "bfloat16"):
            systems[f"torch {dtype} {device}"] = (torch.zeros(1, dtype=getattr(torch, dtype), device=device), dtype)
    return systems


def numeric_evidence(claim: Claim, profile: Profile, seed: int) -> Check:
    """Return evidence in floats, each difference against the rounding error bound of that very instance."""
    systems, worst, cases, skipped = float_systems(), (0.0, 0.0, 0.0, ""), 0, 0
    where = ""
    try:
        for number in range(profile.numeric):
            where = f"seed {seed}, number {number}"
            bounds = _bounds(claim, seed, number)
            for name, (like, dtype) in systems.items():
                where = f"{name}, seed {seed}, number {number}"
                found = _compare(claim, bounds, (seed, number), like, dtype)
                if found is None:
                    skipped += 1
                else:
                    cases, worst = cases + 1, max(worst, (*found[:3], f"{found[3]}, {where}"))
    except Failure as failure:
        return Check(claim.id, "numeric", FAILS, cases, failure.got, failure.expected, f"{failure.where}, {where}")
    except ERRORS as error:
        return Check(claim.id, "numeric", FAILS, cases, repr(error), "", where)
    beyond = f"; {skipped} cases too deep for their dtype to be bounded within half their size" if skipped else ""
    note = ", ".join(systems) + beyond
    outcome = HOLDS if cases else UNDECIDED
    return Check(claim.id, "numeric", outcome, cases, f"{worst[1]:.3e}", f"{worst[2]:.3e}", worst[3], note)


def _bounds(claim: Claim, seed: int, number: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return per statement both sides as entries that carry their rounding error bounds."""
    law = claim.law(claim.family(RandomDraw((seed, number), rounded, limit=2)))
    return [(statement.name, *sides(statement)) for statement in law]


def _compare(
    claim: Claim, bounds: list[tuple[str, np.ndarray, np.ndarray]], seed: tuple[int, int], like: Array, dtype: str
) -> tuple[float, float, float, str] | None:
    """Return (residual / bound, residual, bound, statement) at the worst entry, or None where nothing is bounded."""
    worst: tuple[float, float, float, str] | None = None
    statements = list(claim.law(claim.family(RandomDraw(seed, floating(like), limit=2))))
    if [statement.name for statement in statements] != [name for name, _, _ in bounds]:
        raise Failure("the law", "other statements in floats", "those of the rationals")
    for statement, (name, left, right) in zip(statements, bounds, strict=True):
        got, expected = (_plain(side) for side in sides(statement))
        error = np.vectorize(lambda a, b: _bound(a, b, dtype), otypes=[float])(left, right)
        residual = np.abs(got - expected) if isinstance(statement, Equation) else np.maximum(got - expected, 0)
        decided = np.isfinite(error)
        if (residual[decided] > error[decided]).any() or not np.isfinite(residual).all():
            where = tuple(int(i) for i in np.argwhere(~(residual <= error))[0])
            raise Failure(
                f"{name} at {where}", f"{got[where]!r} against {expected[where]!r}", f"within {error[where]:.3e}"
            )
        for at in np.argwhere(decided):
            r, e = float(residual[tuple(at)]), float(error[tuple(at)])
            worst = max(worst or (0.0, 0.0, 0.0, ""), (r / e if e else 0.0, r, e, name))
    return worst


def _bound(left: Any, right: Any, dtype: str) -> float:
    """Return the bound on the difference of two sides; infinite where it is half their size, and so refutes nothing."""
    a, b = Rounded.of(left), Rounded.of(right)
    error, size = a.error(dtype) + b.error(dtype), a.magnitude + b.magnitude
    return math.inf if size and error >= size / 2 else error


def _plain(side: np.ndarray) -> np.ndarray:
    return to_float(side)


MEASURES: dict[str, Callable[[list[Any]], Any]] = {
    "largest": lambda differences: max(abs(x) for x in differences),
    "l1": lambda differences: sum((abs(x) for x in differences), flint.fmpq(0)),
    "tv": lambda differences: sum((abs(x) for x in differences), flint.fmpq(0)) / flint.fmpq(2),
    "gap": max,
    "first": lambda differences: abs(differences[0]),
}


def witness(claim: Claim, control: Control) -> Witness:
    """Make a control fail: the named statement must be off by the stated value, and hold once restored."""
    try:
        statements = {s.name: s for s in reversed(list(claim.law(control.instance, **control.broken)))}
        left, right = sides(statements[control.statement])
        measured = MEASURES[control.measure]([a - b for a, b in zip(left.ravel(), right.ravel(), strict=True)])
        unequal = np.argwhere(np.asarray(left != right))
        at = tuple(int(i) for i in unequal[0]) if len(unequal) else (0,) * left.ndim
        where, got, expected = f"{control.statement} at {at}", _text(left[at]), _text(right[at])
        bites = bool(measured != 0) and bool(measured == control.value)
    except (*ERRORS, Failure) as error:
        measured, where, got, expected, bites = f"{error!r}", control.statement, "", "", False
    restored = _restored(claim, control)
    outcome = FAILS if bites and restored == HOLDS else UNDECIDED
    return Witness(
        claim.id, control.says, outcome, where, got, expected, _text(measured), _text(control.value), restored
    )


def _text(value: Any) -> str:
    return f"{value} = {float(value):.6g}" if isinstance(value, Log) else str(value)


def _restored(claim: Claim, control: Control) -> str:
    try:
        for statement in claim.law(control.instance):
            decide(statement)
    except Failure as failure:
        return f"fails with the hypothesis restored: {failure}"
    except ERRORS as error:
        return f"fails with the hypothesis restored: {error!r}"
    return HOLDS
