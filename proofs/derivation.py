r"""What a derivation is, and how its steps are checked.

A derivation is a chain of expressions, each equal to the one before (or at most the next, where it says so), with the
reason. It is written for a reader, in general indices; and each expression also knows how to evaluate itself on an
instance, through the project's own function where it names one and by plain sums from the definitions otherwise. So
a chain begins or ends at a library function and walks by definition to the other side.

Equalities are decided by == on instances whose every pmf, weight and schedule value is a free symbol, at several
sizes, and again on rationals with zeros in them (where 0/0 counts as 0). Chains that need an order (a total variation,
a bound) are decided on every instance of a small rational grid, and by z3 for all real values of a small size.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import as_array
from ddfm_theory.ledger.draws import Draw, RandomDraw, SymbolDraw
from ddfm_theory.ledger.records import FAILS, HOLDS, UNDECIDED

ERRORS = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
EQUAL, AT_MOST = "=", r"\le"
Size = tuple[Any, ...]


@dataclass(frozen=True)
class Step:
    """An expression of a chain.

    Attributes:
        latex: the expression.
        reason: why it equals (or bounds) the one before; of the first step, what it is.
        value: evaluates it on an instance.
        function: the project's function that evaluates it, dotted below ``ddfm_theory``, or empty for plain sums.
        relation: to the expression before, ``EQUAL`` or ``AT_MOST``.
        plain: evaluates it by plain sums, for z3's reals, where the project's function takes numbers alone.
    """

    latex: str
    reason: str
    value: Callable[[Any], Any]
    function: str = ""
    relation: str = EQUAL
    plain: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Grid:
    """How a chain that needs an order is decided.

    Attributes:
        says: the grid, in words.
        instances: every instance of it, in rationals.
        attained: instances on which the first and the last expression are equal, with what they are.
        real: given a maker of nonnegative z3 reals, an instance of them and the assumptions; None where z3 cannot be
            asked (an order of tokens, a logarithm).
    """

    says: str
    instances: Callable[[], Iterable[Any]]
    attained: tuple[tuple[str, Any], ...] = ()
    real: Callable[[Any], tuple[Any, list[Any]]] | None = None


@dataclass(frozen=True)
class Derivation:
    """A chain of steps.

    Attributes:
        claim: the ledger's row, C01..C22.
        title: what is derived, unique within the claim.
        statement: the statement in LaTeX, with its hypotheses.
        steps: the chain, at least two expressions.
        sizes: the sizes at which it is decided, as ``names`` says.
        names: what the entries of a size are.
        instance: ``(draw, *size) -> an instance``; None where only a grid decides.
        corners: rational instances a size, zeros included.
        symbols: how many free symbols a size may take.
        grid: for chains that need an order.
    """

    claim: str
    title: str
    statement: str
    steps: tuple[Step, ...]
    sizes: tuple[Size, ...] = ()
    names: str = "N, V"
    instance: Callable[..., Any] | None = None
    corners: int = 4
    symbols: int = 48
    grid: Grid | None = None

    def _repr_markdown_(self) -> str:
        from proofs.appendix import displayed

        return displayed(self)

    _repr_latex_ = _repr_markdown_


@dataclass(frozen=True)
class Outcome:
    """Whether a step follows from the one before: holds, fails or undecided, with where and both sides.

    Attributes:
        claim: the ledger's row.
        title: the derivation.
        step: which step, from 1; 0 speaks of the whole chain (an equality case).
        outcome: holds, fails or undecided.
        cases: on how many instances it was decided.
        by: ``symbols and rationals``, ``grid``, ``z3`` or ``equality case``.
        where: the instance and entry of a failure, or what is missing.
        before: the expression before, there.
        after: the expression itself, there.
    """

    claim: str
    title: str
    step: int
    outcome: str
    cases: int
    by: str
    where: str = ""
    before: str = ""
    after: str = ""

    def __bool__(self) -> bool:
        raise TypeError("an Outcome has three values: ask for .outcome, undecided is not true")


def check(derivation: Derivation) -> list[Outcome]:
    """Decide every step of a derivation: one outcome a step, and one an equality case."""
    if len(derivation.steps) < 2:
        raise ValueError(f"derivation must have at least two steps, {derivation.title!r} had {len(derivation.steps)}")
    out = []
    if derivation.instance is not None:
        out += _walk(derivation, instances(derivation), "symbols and rationals")
    if derivation.grid is not None:
        named = ((f"grid, number {n}", case) for n, case in enumerate(derivation.grid.instances()))
        out += _walk(derivation, named, "grid")
        out += [_attained(derivation, words, case) for words, case in derivation.grid.attained]
    return out


def instances(derivation: Derivation) -> Iterator[tuple[str, Any]]:
    """Return the named instances of a derivation: at each size symbols, then rationals."""
    make = derivation.instance
    if make is None:
        return
    for number, size in enumerate(derivation.sizes):
        yield f"symbols, ({derivation.names}) = {size}", make(_symbols(derivation, number), *size)
        for seed in range(derivation.corners):
            yield f"rationals, ({derivation.names}) = {size}, seed {seed}", make(RandomDraw((number, seed)), *size)


def _symbols(derivation: Derivation, number: int) -> Draw:
    return SymbolDraw((number,), symbols=derivation.symbols)


def _walk(derivation: Derivation, cases: Iterable[tuple[str, Any]], by: str) -> list[Outcome]:
    counts = [0] * len(derivation.steps)
    failures: dict[int, tuple[str, str, str]] = {}
    for name, case in cases:
        values = [_evaluate(step, case) for step in derivation.steps]
        for n, (before, after) in enumerate(itertools.pairwise(values), start=1):
            failure = compare(before, after, derivation.steps[n].relation)
            if failure is not None and n not in failures:
                failures[n] = (f"{name}{failure[0]}", *failure[1:])
            counts[n] += 1
    return [_outcome(derivation, n, counts[n], by, failures.get(n)) for n in range(1, len(counts))]


def _outcome(derivation: Derivation, n: int, count: int, by: str, failure: tuple[str, str, str] | None) -> Outcome:
    place = (derivation.claim, derivation.title, n)
    if failure is not None:
        return Outcome(*place, FAILS, count, by, *failure)
    return Outcome(*place, HOLDS, count, by) if count else Outcome(*place, UNDECIDED, 0, by, "no instance")


def _evaluate(step: Step, case: Any, errors: tuple[type[Exception], ...] = ERRORS) -> Any:
    """Return the value as an array, or the error that its evaluation raised."""
    try:
        return np.asarray(as_array(step.value(case)))
    except errors as error:
        return error


def compare(before: Any, after: Any, relation: str = EQUAL) -> tuple[str, str, str] | None:
    """Return where two expressions break their relation, with both sides, or None where it holds."""
    if isinstance(before, Exception) or isinstance(after, Exception):
        return "", repr(before)[:200], repr(after)[:200]
    left, right = np.asarray(before), np.asarray(after)
    if left.shape != right.shape:
        return "", f"shape {left.shape}", f"shape {right.shape}"
    if left.dtype != object or right.dtype != object:
        return "", f"entries of {left.dtype}", f"entries of {right.dtype}: exact entries are asked for"
    holds = np.asarray(left == right if relation == EQUAL else left <= right, dtype=bool)
    if holds.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~holds)[0])
    return f", entry {at}", str(left[at])[:200], str(right[at])[:200]


def _attained(derivation: Derivation, words: str, case: Any) -> Outcome:
    ends = [_evaluate(derivation.steps[n], case) for n in (0, -1)]
    failure = compare(*ends)
    place = (derivation.claim, derivation.title, 0)
    if failure is not None:
        return Outcome(*place, FAILS, 1, "equality case", f"{words}{failure[0]}", *failure[1:])
    return Outcome(*place, HOLDS, 1, "equality case", words)


def check_by_solver(derivation: Derivation, timeout_ms: int = 1_000) -> list[Outcome]:
    """Decide every step of an ordered chain for all real values of its smallest size, by z3.

    The expressions run on z3's reals as they run on rationals, by plain sums where a step has them. Undecided, with the
    reason, where z3 is not installed, the chain has no form it can take, or it gives no answer in time.
    """
    place = (derivation.claim, derivation.title, 0)
    if derivation.grid is None or derivation.grid.real is None:
        return [Outcome(*place, UNDECIDED, 0, "z3", "the chain needs what z3's reals lack, or no order")]
    try:
        import z3
    except ImportError:
        return [Outcome(*place, UNDECIDED, 0, "z3", "z3 is not installed: pip install z3-solver")]
    case, assumptions = derivation.grid.real(z3)
    steps = [replace(step, value=step.plain or step.value) for step in derivation.steps]
    values = [_evaluate(step, case, (*ERRORS, z3.Z3Exception)) for step in steps]
    pairs = enumerate(itertools.pairwise(values), start=1)
    return [_solve(z3, derivation, n, pair, assumptions, timeout_ms) for n, pair in pairs]


def _solve(
    z3: Any, derivation: Derivation, n: int, pair: tuple[Any, Any], assumptions: list[Any], timeout: int
) -> Outcome:
    place = (derivation.claim, derivation.title, n)
    broken = [side for side in pair if isinstance(side, Exception)]
    if broken or pair[0].shape != pair[1].shape:
        return Outcome(*place, UNDECIDED, 0, "z3", repr(broken[0])[:200] if broken else "unlike shapes")
    equal = derivation.steps[n].relation == EQUAL
    entries = [(_real(z3, a), _real(z3, b)) for a, b in zip(pair[0].ravel(), pair[1].ravel(), strict=True)]
    answer, model = _answer(z3, [*assumptions, z3.Or(*(a != b if equal else a > b for a, b in entries))], timeout)
    if answer == "sat":
        return Outcome(*place, FAILS, 1, "z3", model[:200])
    return Outcome(*place, HOLDS if answer == "unsat" else UNDECIDED, 1, "z3", "" if answer == "unsat" else answer)


def _answer(z3: Any, formulas: list[Any], timeout: int) -> tuple[str, str]:
    """Return sat, unsat or unknown, with a model as text: absolute values named and split first, else as z3 likes."""
    answer = "unknown"
    for solver in (z3.Then("simplify", "elim-term-ite", "solve-eqs", "smt").solver(), z3.Solver()):
        solver.set("timeout", timeout)
        solver.add(*formulas)
        answer = str(solver.check())
        if answer != "unknown":
            return answer, str(solver.model()) if answer == "sat" else ""
    return answer, ""


def _real(z3: Any, entry: Any) -> Any:
    return z3.RealVal(str(entry)) if isinstance(entry, (int, flint.fmpq)) else entry
