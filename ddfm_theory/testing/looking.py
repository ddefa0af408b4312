"""Looking at a system: which places are asked, and what it answers there, checked at the door and lifted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ddfm_theory.arrays import Array, asarray, full, is_object, system_of, to_float, unit_roundoff
from ddfm_theory.couplings import states_of
from ddfm_theory.decentralization import mix
from ddfm_theory.ledger import oracle
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.testing.judging import SYSTEM_ERRORS, Missing, Refuted, at_door, lift
from ddfm_theory.testing.places import Place
from ddfm_theory.testing.systems import PREFIX, Parts

ENTRIES = 50_000  # of laws lifted at one time, which bounds the work of a check
ENUMERABLE = 4096  # states or sequences that are still enumerated


class Look:
    """A system being looked at.

    Args:
        system: what is looked at.
        examples: how many rows are asked at each time, at most; all of them where there are no more.
        seed: which rows, where there are more.
    """

    def __init__(self, system: Parts, examples: int = 64, seed: int = 0) -> None:
        self.system, self.examples, self.seed = system, examples, seed
        self._seen: list[str] = []
        self._joints: dict[bytes, Array] = {}

    def precision(self) -> str:
        """Return the dtype the system computes in: as it says, or the coarsest of what it answered."""
        return self.system.dtype or max(self._seen or ["float64"], key=unit_roundoff)

    def need(self, *names: str) -> None:
        """Raise Missing where the system lacks a part."""
        lacking = [name for name in names if getattr(self.system, name) is None]
        if lacking:
            raise Missing(f"the system offers no {' and no '.join(lacking)}, which this check needs")

    @property
    def roundings(self) -> int:
        """Return how many roundings lie behind an entry of a law."""
        return self.system.roundings or 0

    def raw(self, name: str, place: Place, *arguments: Any, shape: tuple[int | None, ...]) -> Array:
        """Ask for a part at a place; the answer is checked, and not lifted."""
        where = place.row(0) if len(place.rows) else "no rows"
        answer = self.call(name, where, place.t, place.rows, *arguments)
        return self.enter(answer, shape, name, where)

    def call(self, name: str, where: str, *arguments: Any) -> Any:
        """Call a part of the system; what it raises is its failure, with the place.

        Raises:
            Missing: the system lacks the part.
            Refuted: the part raised instead of answering.
        """
        self.need(name)
        try:
            return getattr(self.system, name)(*arguments)
        except SYSTEM_ERRORS as error:
            raise Refuted(f"{name} answers", where, f"raised {error!r}", "an answer") from error

    def enter(self, answer: Any, shape: tuple[int | None, ...], name: str, place: str) -> Array:
        """Check an answer and note its precision."""
        array = answer if hasattr(answer, "shape") else asarray(answer, name)
        if not is_object(array) and system_of(array).startswith(("int", "uint", "bool")):
            raise Refuted(f"{name} is of numbers", place, system_of(array), "floats or exact entries")
        if not is_object(array):
            self._seen.append(system_of(array))
        return at_door(array, shape, name, place)

    @cached_property
    def prior(self) -> Array:
        """Return omega, lifted as given numbers."""
        self.need("prior")
        return lift(self.enter(self.system.prior, (None,), "prior", "the prior"), 1)

    @cached_property
    def count(self) -> int:
        """Return K."""
        if self.system.prior is not None:
            return len(self.prior)
        self.need("experts")
        start = Place(self.times[0], np.zeros((1, 0 if self.system.kind == PREFIX else self.system.length), dtype=int))
        return int(self.call("experts", start.row(0), start.t, start.rows).shape[0])

    @property
    def times(self) -> Sequence[Any]:
        """Return the times looked at."""
        if self.system.kind == PREFIX:
            return range(self.system.length)
        self.need("times")
        return self.system.times or ()

    @property
    def entry(self) -> tuple[int, ...]:
        """Return the trailing shape of a law (V,) or of a velocity (N, d)."""
        if self.system.kind == PREFIX:
            return (self.system.vocabulary,)
        self.need("size")
        return (self.system.length, self.system.size or 0)

    def laws(self, name: str, place: Place) -> Array:
        """Ask for laws or velocities at a place: ``experts`` (K, B, ...), ``mixture`` or ``central`` (B, ...)."""
        lead = (self.count, len(place.rows)) if name == "experts" else (len(place.rows),)
        raw = self.raw(name, place, shape=(*lead, *self.entry))
        if name == "mixture":
            return self.lift_mixture(raw, place)
        return lift(raw, self.roundings, axis=None if self.system.kind == PREFIX else -1)

    def lift_mixture(self, raw: Array, place: Place, extra: int = 0) -> Array:
        """Lift laws (B, ...) that were mixed by a router: K products of a router's and a law's entry, summed."""
        depth = self.mixture_depth(place.t) + extra
        if self.system.kind != PREFIX:
            return lift(raw, depth, axis=-1)
        return lift(raw, depth, scale=self.log_scale(place.rows)[:, None])

    def blend(self, place: Place) -> Array:
        """Return the system's own mixture where it offers one, else the mixture by definition."""
        if self.system.mixture is not None:
            return self.laws("mixture", place)
        return self.mixed(place)

    def mixed(self, place: Place) -> Array:
        """Return sum_k r_k u_k of what the router and the experts say."""
        return mix(self.router(place), self.laws("experts", place))

    def router(self, place: Place) -> Array:
        """Ask for the router at a place, lifted by what a product of likelihoods, normalized, may cost."""
        raw = self.raw("router", place, shape=(self.count, len(place.rows)))
        return self.lift_router(raw, place)

    def lift_router(self, raw: Array, place: Place) -> Array:
        """Lift a router: t laws multiplied, K products summed, one division, in probabilities or in log space."""
        scale = self.log_scale(place.rows)[None, :] if self.system.kind == PREFIX else 0.0
        return lift(raw, self.router_depth(place.t), scale=scale)

    def router_depth(self, t: Any) -> int:
        """Return how many roundings lie behind a router's entry."""
        factors = int(t) if self.system.kind == PREFIX else 1
        return 3 * (factors * (self.roundings + 1) + 1) + 2 * self.count + 1

    def mixture_depth(self, t: Any) -> int:
        """Return how many roundings lie behind a mixture's entry."""
        return self.router_depth(t) + self.roundings + self.count + 1

    def log_scale(self, rows: np.ndarray) -> np.ndarray:
        """Return twice the largest ``|log omega_k q_k(prefix)|``, shape (B,), zero where it cannot be had."""
        if self.system.experts is None:
            return np.zeros(len(rows))
        joint = self.joint(rows)
        if is_object(joint) and system_of(joint) != "roundoff":
            return np.zeros(len(rows))
        joint = to_float(joint)
        logs = np.where(joint > 0, np.abs(np.log(np.where(joint > 0, joint, 1.0))), 0.0)
        return np.asarray(2 * logs.max(axis=0, initial=0.0))

    def joint(self, rows: np.ndarray) -> Array:
        """Return omega_k prod_s q_k(x^s | x^{<s}) of prefixes (B, t), shape (K, B); no omega where none is offered."""
        key = rows.tobytes() + bytes(rows.shape[1:])
        if key not in self._joints:
            self._joints[key] = self._product(rows)
        return self._joints[key]

    def _product(self, rows: np.ndarray) -> Array:
        out = None if self.system.prior is None else self.prior[:, None] * full((1, len(rows)), 1, self.prior)
        for s in range(rows.shape[1]):
            out = self.likelihoods(rows, s) if out is None else out * self.likelihoods(rows, s)
        return np.ones((self.count, len(rows))) if out is None else out

    def likelihoods(self, rows: np.ndarray, s: int) -> Array:
        """Return q_k(x^s | x^{<s}), shape (K, B)."""
        place = Place(s, rows[:, :s])
        laws = self.raw("experts", place, shape=(self.count, len(rows), self.system.vocabulary))
        return lift(laws[:, np.arange(len(rows)), rows[:, s]], self.roundings)

    @cached_property
    def _rows(self) -> np.ndarray:
        """Return whole sequences: all of them, or drawn by following the experts' laws, evenly mixed."""
        v, n = self.system.vocabulary, self.system.length
        bound = max(1, min(self.examples, ENTRIES // (self.count * v)))
        if v**n <= bound:
            return states_of(v, n)
        rng, rows = np.random.default_rng(self.seed), np.zeros((bound, 0), dtype=np.int64)
        for t in range(n):
            laws = to_float(self.raw("experts", Place(t, rows), shape=(self.count, bound, v))).mean(axis=0)
            above = rng.random((bound, 1)) * laws.sum(-1, keepdims=True) < np.cumsum(laws, axis=-1)
            rows = np.concatenate([rows, np.argmax(above, axis=-1)[:, None]], axis=1)
        return rows

    def prefixes(self, *, last: bool = False) -> Iterator[Place]:
        """Yield the prefixes of each length that the experts reach; with ``last`` whole sequences too."""
        for t in range(self.system.length + int(last)):
            rows = np.unique(self._rows[:, :t], axis=0)
            rows = rows[np.asarray((self.joint(rows) != 0).any(axis=0), dtype=bool)]
            if len(rows):
                yield Place(t, rows)

    def states(self, t: Any) -> Place:
        """Return states of positive probability at t, where the coupling tells; else any. All, or drawn at random."""
        self.need("size")
        d, n = self.system.size or 0, self.system.length
        rng = np.random.default_rng(self.seed)
        if self.system.coupling is not None and self.system.schedule is not None and self.enumerable:
            rows = states_of(d, n)[charged(self.path(self.system.coupling, t)).ravel()]
        elif d**n <= ENUMERABLE:
            rows = states_of(d, n)
        else:
            rows = rng.integers(0, d, (max(self.examples, 1), n))
        if len(rows) > max(self.examples, 1):
            rows = rows[np.sort(rng.choice(len(rows), max(self.examples, 1), replace=False))]
        return Place(t, rows, self.system.kind)

    def places(self) -> Iterator[Place]:
        """Yield the places of positive probability that are looked at."""
        if self.system.kind == PREFIX:
            yield from self.prefixes()
            return
        for t in self.times:
            place = self.states(t)
            if len(place.rows):
                yield place

    def after(self, t: Any) -> Any:
        """Return the time that follows t among the times looked at and the ends."""
        first, last = self.system.ends or (None, None)
        marks = [*([] if self.system.discrete else [first]), *self.times, last]
        return marks[marks.index(t) + 1]

    @property
    def enumerable(self) -> bool:
        """Tell whether all states are few enough to enumerate beside the coupling."""
        coupling = self.system.coupling
        if coupling is None or not (hasattr(coupling, "joint") or hasattr(coupling, "target")):
            return False
        return bool(math.prod(coupling.like.shape) * coupling.size**coupling.length <= 50 * ENUMERABLE)

    def path(self, coupling: Any, t: Any) -> Array:
        """Return p_t by its definition, a sum over the coupling, shape (d,) * N."""
        return oracle.path(lifted(coupling), self.system.schedule, self.weights(t))

    def weights(self, t: Any, order: int = 0) -> Array:
        """Return the schedule's weights (J, N) at t, or their derivatives, lifted: they are differences up to one."""
        schedule = self.system.schedule
        try:
            answer = (schedule.weights_dot if order else schedule.weights)(t, self.system.length)
        except SYSTEM_ERRORS as error:
            raise Refuted("schedule answers", f"t = {t}", f"raised {error!r}", "weights") from error
        raw = self.enter(answer, (None, self.system.length), "schedule", f"t = {t}")
        if self.system.coupling is not None and is_object(raw) and not is_object(self.system.coupling.like):
            raw = to_float(raw)
        return lift(raw, 8, axis=0)


def charged(values: Array) -> np.ndarray:
    """Tell which entries are not zero, in any number system."""
    return np.asarray(values != 0, dtype=bool)


def lifted(coupling: Any) -> Any:
    """Return a coupling whose floats know that each is a rounded number."""
    if is_object(coupling.like):
        return coupling
    return type(coupling)(lift(coupling.joint if hasattr(coupling, "joint") else coupling.target, 1))


class Lifted(Scheduler):
    """A schedule whose floats are lifted, to stand beside a lifted coupling."""

    def __init__(self, look: Look) -> None:
        self.look, self.bases = look, look.system.schedule.bases

    def weights(self, t: Any, length: int) -> Array:
        """Return the lifted weights."""
        return self.look.weights(t)

    def weights_dot(self, t: Any, length: int) -> Array:
        """Return the lifted derivatives."""
        return self.look.weights(t, 1)
