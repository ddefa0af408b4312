"""Checks of flows: schedules, ends, paths, the velocity conditions, continuity, and steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, full, is_object, stack, total
from ddfm_theory.couplings import states_of
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.families import Rows
from ddfm_theory.ledger.records import Inequality
from ddfm_theory.testing.judging import Missing, Told, equal, lift
from ddfm_theory.testing.looking import Look, charged, lifted
from ddfm_theory.testing.places import Place
from ddfm_theory.testing.registry import check
from ddfm_theory.testing.systems import STATE
from ddfm_theory.velocities import step_velocity_at, velocity_conditions

PANELS = 64


def _time(t: Any) -> Any:
    return lambda index: f"t = {t}" + (f", entry {index}" if index else "")


@check("C01", "schedule", "ends", "times", kind=STATE)
def check_schedule(look: Look) -> Iterator[Told]:
    """The schedule is convex, goes from the source to the target, never falls, and its derivative is its own."""
    first, last = look.system.ends or (0, 1)
    for t, row, other in ((first, 0, "begins with the source"), (last, -1, "ends with the target")):
        weights = look.weights(t)
        expected = weights * 0
        expected[row] = expected[row] + 1
        yield equal(f"the schedule {other}", weights, expected, _time(t))
    marks = [first, *(t for t in look.times if t != first), last]
    for t in marks:
        weights = look.weights(t)
        yield Told(Inequality("the weights are nonnegative", weights * 0, weights), _time(t))
        sums = total(weights, 0)
        yield equal("the weights sum to one", sums, full(tuple(sums.shape), 1, sums), _time(t))
    for t, after in zip(marks, marks[1:], strict=False):
        yield Told(Inequality("kappa never falls", look.weights(t)[-1], look.weights(after)[-1]), _time(after))
        if not look.system.discrete:
            yield from _secant(look, t, after)


def _secant(look: Look, t: Any, after: Any) -> Iterator[Told]:
    """Hold kappa's rise between Riemann sums of its slope, which bound it where the slope is monotone on each panel."""
    h = (after - t) / (flint.fmpq(PANELS) if isinstance(after - t, flint.fmpq) else PANELS)
    slopes = [look.weights(t + h * j, 1)[-1] for j in range(PANELS)] + [look.weights(after, 1)[-1]]
    rise = look.weights(after)[-1] - look.weights(t)[-1]
    width = lift(np.asarray(float(h)), 4)[()] if not is_object(slopes[0]) or isinstance(h, float) else h
    lows = [np.where(np.asarray(a <= b, dtype=bool), a, b) for a, b in zip(slopes, slopes[1:], strict=False)]
    highs = [np.where(np.asarray(a <= b, dtype=bool), b, a) for a, b in zip(slopes, slopes[1:], strict=False)]
    least, most = total(stack(lows), 0) * width, total(stack(highs), 0) * width
    yield Told(Inequality("kappa rises no less than its derivative says", least, rise), _time(after))
    yield Told(Inequality("kappa rises no more than its derivative says", rise, most), _time(after))


@check("C01", "ends", kind=STATE)
def check_ends(look: Look) -> Iterator[Told]:
    """The path starts at the source and ends at the target, and the velocity is finite at both ends."""
    first, last = look.system.ends or (0, 1)
    coupling = look.system.coupling
    if look.system.path is not None and coupling is not None:
        for t, side, says in ((first, "source", "begins as the source"), (last, "target", "ends as the target")):
            path = _path(look, t)
            yield equal(f"the path {says}", path, lift(_end(coupling, side, path), 1), _time(t))
    if look.system.mixture is None and (look.system.path is None or coupling is None):
        raise Missing("the system offers no mixture, and no path with a coupling")
    if look.system.mixture is None or look.system.discrete:
        return
    for t in (first, last):
        place = look.states(t)
        if len(place.rows):
            sums, _ = velocity_conditions(look.laws("mixture", place), place.rows)
            yield equal("the velocity of an end conserves mass", sums, sums * 0, place.name("row", "position"))


def _path(look: Look, t: Any) -> Array:
    """Ask the flow for its own path at t."""
    shape = (look.system.size or 0,) * look.system.length
    return lift(look.enter(look.call("path", f"t = {t}", t), shape, "path", f"t = {t}"), look.roundings)


def _end(coupling: Any, side: str, like: Array) -> Array:
    """Return the source or the target of a coupling over [d]^N."""
    if not coupling.masked:
        return coupling.source if side == "source" else coupling.target
    whole = full(tuple(like.shape), 0, coupling.like)
    if side == "source":
        whole[(coupling.mask,) * coupling.length] = full((1,), 1, coupling.like)[0]
    else:
        whole[(slice(coupling.vocabulary),) * coupling.length] = coupling.target
    return whole


@check("C01", "path", "coupling", "schedule", "times", kind=STATE)
def check_path(look: Look) -> Iterator[Told]:
    """The path is a pmf at every time, and the sum over the coupling of its conditional paths."""
    _enumerable(look)
    for t in look.times:
        path = _path(look, t)
        yield Told(Inequality("the path is nonnegative", path * 0, path), _time(t))
        mass = stack([total(path)])
        yield equal("the path sums to one", mass, full((1,), 1, mass), _time(t))
        yield equal("the path is the coupling's", path, look.path(look.system.coupling, t), _time(t))


def _enumerable(look: Look) -> None:
    if not look.enumerable:
        raise Missing("the coupling is too large to enumerate, or cannot be")


def _conditions(u: Array, place: Place, name: str, discrete: bool) -> Iterator[Told]:
    sums, rates = velocity_conditions(u, place.rows)
    yield equal(f"{name}: the rates sum to zero", sums, sums * 0, place.name("row", "position"))
    axes = ("row", "position", "token")
    yield Told(Inequality(f"{name}: rates away from a state are nonnegative", rates * 0, rates), place.name(*axes))
    if discrete:
        staying = total(u - rates, u.ndim - 1)
        least = full(tuple(staying.shape), -1, staying)
        yield Told(Inequality(f"{name}: no more leaves than is there", least, staying), place.name("row", "position"))


@check("C02", "experts", "times", kind=STATE)
def check_velocity_conditions(look: Look) -> Iterator[Told]:
    """Rates sum to zero and are nonnegative away from the state; increments leave no more than is there."""
    for place in look.places():
        for name in ("experts", "mixture", "central"):
            if getattr(look.system, name) is None:
                continue
            laws = look.laws(name, place)
            for k, u in enumerate(laws if name == "experts" else laws[None]):
                yield from _conditions(
                    u, place, f"expert {k}" if name == "experts" else name, look.system.discrete
                )  # fmt: skip


def _dense(look: Look, place: Place, u: Array) -> Array:
    """Spread velocities at states over all states, zero where they were not asked."""
    d, n = look.system.size or 0, look.system.length
    out = full((d,) * n + (n, d), 0, u)
    out[tuple(place.rows.T)] = u
    return out


def _reached(look: Look, t: Any) -> tuple[Array, Place]:
    path = look.path(look.system.coupling, t)
    rows = states_of(look.system.size or 0, look.system.length)
    return path, Place(t, rows[charged(path).ravel()], STATE)


@check("C03", "mixture", "coupling", "schedule", "times", kind=STATE)
def check_continuity(look: Look) -> Iterator[Told]:
    r"""The continuity equation :math:`\dot p_t + \mathrm{div}(p_t u_t) = 0` holds, or that of a step of one mover.

    Path, derivative and divergence are sums over states and coupling; only the velocity is the system's.
    """
    _enumerable(look)
    coupling = look.system.coupling
    if look.system.discrete and all(_movers(look, t, look.after(t)) > 1 for t in look.times):
        raise Missing("every step moves several positions, so that none has a first-order equation")
    for t in look.times:
        path, place = _reached(look, t)
        u = _dense(look, place, look.laws("mixture", place))
        outflow = oracle.divergence(path, u)
        if not look.system.discrete:
            rise = oracle.path_dot(lifted(coupling), look.system.schedule, look.weights(t), look.weights(t, 1))
            yield equal("the velocity generates the path", -outflow, rise, _time(t))
        elif _movers(look, t, look.after(t)) < 2:
            rise = look.path(coupling, look.after(t)) - path
            yield equal("the step generates the path", -outflow, rise, _time(t))


def _movers(look: Look, t: Any, after: Any) -> int:
    """Return how many positions a step moves."""
    moved = charged(look.weights(after) - look.weights(t))
    return int(moved.any(axis=0).sum())


@check("C04", "step", "coupling", "schedule", "times", "ends", kind=STATE)
def check_steps(look: Look) -> Iterator[Told]:
    """The sampler's increments are a step's: laws of each position, the coupling's, exact where one position moves."""
    _enumerable(look)
    coupling = look.system.coupling
    for t in look.times:
        after = look.after(t)
        path, place = _reached(look, t)
        answer = look.call("step", f"t = {t}", t, after, place.rows)
        raw = look.enter(answer, (len(place.rows), *look.entry), "step", f"t = {t}")
        u = lift(raw, look.mixture_depth(1), axis=-1)
        yield from _conditions(u, place, "step", discrete=True)
        if look.system.length == 1 or _movers(look, t, after) < 2:
            arrived = oracle.step(path, _dense(look, place, u))
            yield equal("the step carries the path on", arrived, look.path(coupling, after), _time(after))
        between = Rows([look.weights(t), look.weights(after)], bases=look.system.schedule.bases)
        exact = step_velocity_at(lifted(coupling), between, 0, 1, place.rows)
        yield equal("the step is the coupling's", u, exact, place.name("row", "position", "token"))
