"""What a system under test offers: laws of its experts, its router, and whatever else it can show.

A system speaks at *places*. A place is a time and rows of states: for autoregression t counts the tokens revealed and
a row is a prefix of t tokens, shape (B, t); for a flow t is the time (or step) and a row is a state, shape (B, N). What
is offered decides which checks can decide anything: a check that needs more comes back undecided and names it.

A system is any object with the three attributes of :class:`System` and any of those of :class:`Parts`, under the same
names. :class:`Parts` is the plainest such object, and what the adapters return.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np

from ddfm_theory.arrays import Array, positive_int

__all__ = ["Parts", "System", "load", "offered", "parts_of"]

PREFIX, STATE = "prefix", "state"
OfPlace = Callable[[Any, np.ndarray], Array]


class System(Protocol):
    """What every system has; all that :class:`Parts` lists beside is optional.

    Attributes:
        name: what reports call it.
        vocabulary: V, the number of data tokens.
        length: N, the number of positions.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def vocabulary(self) -> int: ...  # noqa: D102

    @property
    def length(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Parts:
    r"""A system as the sum of its parts, any of which may be missing; edit one with ``dataclasses.replace``.

    Attributes:
        name: what reports call it.
        vocabulary: V, the number of data tokens.
        length: N, the number of positions.
        kind: ``prefix`` (autoregression) or ``state`` (a flow; a state has N tokens in 0..d-1).
        prior: omega, shape (K,).
        experts: (t, rows) -> each expert's next-token law (K, B, V), of a flow each expert's velocity (K, B, N, d).
        router: (t, rows) -> r, shape (K, B).
        mixture: (t, rows) -> the system's own next-token law (B, V), or velocity (B, N, d).
        central: (t, rows) -> the centralized model's, shaped like ``mixture``.
        gate: (router (K, B), k) -> the top-k router (K, B).
        tempered: (t, prefixes, 1 / T) -> the law (B, V) that is sampled at temperature T.
        score: prefixes (B, t) -> their joint probability (B,).
        log_score: the same, its logarithm.
        ragged: sequence of prefixes of unequal lengths -> each expert's law of the next token (K, B, V), padded as the
            system pads.
        sample: (count, seed) -> token sequences (count, N).
        select: (experts, weights) -> the system made of these experts (repeats allowed) at these weights.
        target: q, the law of whole sequences, shape (V,) * N.
        size: d of a flow's states.
        coupling: pi of a flow, enumerated; ``couplings`` those of its experts.
        couplings: K couplings.
        schedule: the flow's schedule, a ``ddfm_theory.schedulers.Scheduler``.
        path: t -> the flow's own marginal path, shape (d,) * N.
        step: (t, t_next, states) -> increments (B, N, d) of the flow's own sampler.
        times: where a flow is looked at, inside (0, 1), or its steps 0, 1, ..., T where time is discrete.
        ends: the times that are the ends of the flow: 0 and 1, or 0 and T.
        discrete: whether ``times`` are steps, so that velocities are increments.
        dtype: the precision the laws are computed in; None reads it off the arrays.
        roundings: how many roundings lie on the longest path to an entry of a law or velocity; what rounding may cost
            follows from it (``arrays.gamma``). None: 3 (V + 4), a numerator over a sum of V entries.
    """

    name: str
    vocabulary: int
    length: int
    kind: str = PREFIX
    prior: Array | None = None
    experts: OfPlace | None = None
    router: OfPlace | None = None
    mixture: OfPlace | None = None
    central: OfPlace | None = None
    gate: Callable[[Array, int], Array] | None = None
    tempered: Callable[[Any, np.ndarray, int], Array] | None = None
    score: Callable[[np.ndarray], Array] | None = None
    log_score: Callable[[np.ndarray], Array] | None = None
    ragged: Callable[[Sequence[Sequence[int]]], Array] | None = None
    sample: Callable[[int, int], np.ndarray] | None = None
    select: Callable[[Sequence[int], Array], Any] | None = None
    target: Array | None = None
    size: int | None = None
    coupling: Any = None
    couplings: Sequence[Any] | None = None
    schedule: Any = None
    path: Callable[[Any], Array] | None = None
    step: Callable[[Any, Any, np.ndarray], Array] | None = None
    times: Sequence[Any] | None = None
    ends: tuple[Any, Any] | None = None
    discrete: bool = False
    dtype: str | None = None
    roundings: int | None = None

    def __repr__(self) -> str:
        return self.name


def offered(system: System) -> tuple[str, ...]:
    """Return the names of the optional parts that the system offers."""
    settings = {"name", "vocabulary", "length", "kind", "discrete", "dtype", "roundings", "size", "ends"}
    names = (field.name for field in fields(Parts) if field.name not in settings)
    return tuple(name for name in names if getattr(system, name, None) is not None)


def parts_of(system: System) -> Parts:
    """Return any object of the protocol as :class:`Parts`.

    Raises:
        ValueError: it lacks a name, vocabulary or length, these are no numbers, or it is of no known kind.
    """
    found = {field.name: getattr(system, field.name) for field in fields(Parts) if hasattr(system, field.name)}
    lacking = [name for name in ("name", "vocabulary", "length") if name not in found]
    if lacking:
        raise ValueError(f"system must have attributes name, vocabulary and length, {system!r} lacks {lacking}")
    if found.get("kind", PREFIX) not in (PREFIX, STATE):
        raise ValueError(f"kind of a system must be {PREFIX!r} or {STATE!r}, was {found['kind']!r}")
    for size in ("vocabulary", "length"):
        positive_int(found[size], f"{size} of a system")
    parts = system if isinstance(system, Parts) else Parts(**found)
    return parts if parts.roundings is not None else replace(parts, roundings=3 * (parts.vocabulary + 4))


def load(reference: str) -> System:
    """Return the system that ``module:name`` names; a function of that name is called to make it.

    Raises:
        ValueError: the reference is not of that form, or there is no such module, name or system.
    """
    module, _, name = str(reference).partition(":")
    if not module or not name:
        raise ValueError(f"system must be given as module:name, was {reference!r}")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"system must name what can be imported, {reference!r} does not: {error}") from error
    if isinstance(found, type) or (not hasattr(found, "vocabulary") and callable(found)):
        try:
            found = found()
        except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError) as error:
            raise ValueError(f"system must be made by calling {reference}, which raised {error!r}") from error
    parts_of(found)
    return found  # type: ignore[no-any-return]
