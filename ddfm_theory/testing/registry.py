"""Checks as data: the decorator that makes a text of statements a plain function from a system to a Check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ddfm_theory.arrays import positive_int
from ddfm_theory.ledger.records import UNDECIDED, Check
from ddfm_theory.testing.judging import SYSTEM_ERRORS, Told, judge
from ddfm_theory.testing.looking import Look
from ddfm_theory.testing.systems import PREFIX, STATE, System, parts_of

EXAMPLES = 64


class ConformanceCheck(Protocol):
    """A check: a system in, one record out; ``kind`` is the kind of system it speaks of, None where both."""

    __name__: str
    kind: str | None

    def __call__(self, system: System, *, examples: int = EXAMPLES, seed: int = 0, **options: Any) -> Check: ...  # noqa: D102


ALL: dict[str, ConformanceCheck] = {}
_WORDS = {PREFIX: "an autoregressive system, of kind 'prefix'", STATE: "a flow, of kind 'state'"}


def check(claim: str, *needs: str, kind: str | None = None) -> Callable[[Callable[..., Iterator[Told]]], Any]:
    """Make a generator of statements a check and register it under its name.

    The function that results takes a system (any object of ``systems.System``), ``examples``, how many rows are looked
    at for each time or length, and ``seed``, which rows. It returns one ``ledger.records.Check`` and raises nothing for
    what the system does wrong.

    Args:
        claim: C01..C22, the row of the ledger whose instance is checked.
        needs: the parts without which nothing can be decided.
        kind: the kind of system it speaks of; None is both.
    """

    def register(tell: Callable[..., Iterator[Told]]) -> ConformanceCheck:
        def run(system: System, *, examples: int = EXAMPLES, seed: int = 0, **options: Any) -> Check:
            return _run(claim, needs, kind, tell, system, examples, seed, options)

        run.__name__ = run.__qualname__ = tell.__name__
        run.__doc__, run.__module__ = tell.__doc__, tell.__module__
        named: Any = run
        named.kind = kind
        ALL[tell.__name__] = named
        return named  # type: ignore[no-any-return]

    return register


def _run(
    claim: str, needs: tuple[str, ...], kind: str | None, tell: Callable[..., Iterator[Told]], system: System,
    examples: int, seed: int, options: dict[str, Any],
) -> Check:  # fmt: skip
    parts = parts_of(system)
    examples, seed = positive_int(examples, "examples"), positive_int(seed, "seed", 0)
    if kind not in (None, parts.kind):
        return Check(claim, "numeric", UNDECIDED, note=f"it speaks of {_WORDS[str(kind)]}; the system is not")
    lacking = [name for name in needs if getattr(parts, name) is None]
    if lacking:
        return Check(claim, "numeric", UNDECIDED, note=f"the system offers no {' and no '.join(lacking)}")
    look = Look(parts, examples, seed)
    return judge(claim, tell(look, **options), look.precision)


__all__ = ["ALL", "EXAMPLES", "SYSTEM_ERRORS", "ConformanceCheck", "check"]
