"""Checks of routers and mixtures, of autoregressive systems and of flows alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ddfm_theory.arrays import Array, full, is_object, is_symbolic, log, namespace, ratio, to_float, total
from ddfm_theory.decentralization import mix
from ddfm_theory.ledger.records import Inequality
from ddfm_theory.sharpening import temperature
from ddfm_theory.stability import total_variation
from ddfm_theory.testing.judging import Missing, Told, equal, lift
from ddfm_theory.testing.looking import Lifted, Look, charged, lifted
from ddfm_theory.testing.places import Place
from ddfm_theory.testing.registry import check
from ddfm_theory.testing.systems import PREFIX, Parts, parts_of
from ddfm_theory.velocities import step_velocity_at, velocity_at


def _ones(like: Array) -> Array:
    return full(tuple(like.shape), 1, like)


@check("C06", "experts", kind=PREFIX)
def check_laws(look: Look) -> Iterator[Told]:
    """Every next-token law is a distribution: an expert's at prefixes it reaches, the others' where any expert does."""
    for place in look.prefixes():
        reached, laws = charged(look.joint(place.rows)), look.laws("experts", place)
        for k in range(look.count):
            at = reached[k]
            yield from _distribution(f"expert {k}", laws[k][at], Place(place.t, place.rows[at]))
        for name in ("mixture", "central"):
            if getattr(look.system, name) is not None:
                yield from _distribution(name, look.laws(name, place), place)


def _distribution(name: str, laws: Array, place: Place) -> Iterator[Told]:
    yield Told(Inequality(f"{name}: laws are nonnegative", laws * 0, laws), place.name("row", "token"))
    sums = total(laws, 1)
    yield equal(f"{name}: laws sum to one", sums, _ones(sums), place.name("row"))


def _places(look: Look) -> Iterator[Place]:
    return look.prefixes(last=True) if look.system.kind == PREFIX else look.places()


@check("C08", "router")
def check_router(look: Look) -> Iterator[Told]:
    """The router is a distribution over experts wherever a state is reached."""
    for place in _places(look):
        r = look.router(place)
        yield Told(Inequality("the router is nonnegative", r * 0, r), place.name("expert", "row"))
        sums = total(r, 0)
        yield equal("the router sums to one", sums, _ones(sums), place.name("row"))


@check("C10", "router", "prior")
def check_router_posterior(look: Look) -> Iterator[Told]:
    r"""The router is the posterior :math:`\omega_k L_k / \sum_j \omega_j L_j`, L the experts' own likelihoods.

    Of a prefix the likelihood is the product of the expert's next-token probabilities, of a flow's state it is the
    expert's path, summed over its coupling.
    """
    for place in _places(look):
        joint = look.joint(place.rows) if look.system.kind == PREFIX else _path_joint(look, place)
        posterior = ratio(joint, total(joint, 0)[None, :])
        yield equal("the router is the posterior", look.router(place), posterior, place.name("expert", "row"))


def _path_joint(look: Look, place: Place) -> Array:
    look.need("couplings", "schedule")
    if not look.enumerable:
        raise Missing("the couplings are too large to enumerate, or cannot be")
    at = tuple(place.rows.T)
    rows = [look.path(coupling, place.t)[at] for coupling in look.system.couplings or ()]
    likelihoods: Array = np.stack(rows)
    return likelihoods * look.prior[:, None]


@check("C10", "router", "prior", "experts", kind=PREFIX)
def check_filter(look: Look) -> Iterator[Told]:
    r"""The router is a Bayes filter: from the prior on, :math:`r_k(z^{\le t+1}) \propto r_k(z^{\le t})\,q_k`."""
    for place in look.prefixes(last=True):
        r, t = look.router(place), place.t
        if t == 0:
            start = look.prior[:, None] * full((1, len(place.rows)), 1, look.prior)
            yield equal("the filter starts from the prior", r, start, place.name("expert", "row"))
            continue
        before = look.router(Place(t - 1, place.rows[:, :-1]))
        updated = before * look.likelihoods(place.rows, t - 1)
        expected = ratio(updated, total(updated, 0)[None, :])
        yield equal("the filter's step is Bayes' rule", r, expected, place.name("expert", "row"))


def _axes(look: Look) -> tuple[str, ...]:
    return ("row", "token") if look.system.kind == PREFIX else ("row", "position", "token")


@check("C08", "mixture", "router", "experts")
def check_mixture(look: Look) -> Iterator[Told]:
    r"""The system's own law or velocity is :math:`\sum_k r_k(z)\, u^k(\cdot, z)` of its router and experts."""
    for place in look.places():
        got = look.laws("mixture", place)
        yield equal("the mixture is the router's of the experts", got, look.mixed(place), place.name(*_axes(look)))


@check("C08", "experts")
def check_central(look: Look) -> Iterator[Told]:
    """The mixture equals the centralized law or velocity: the central model's, the target's, the coupling's."""
    judges = [
        (name, judge) for name, judge in CENTRAL.items() if all(getattr(look.system, part) is not None
                                                                for part in judge[0])
    ]  # fmt: skip
    judges = [(name, judge) for name, judge in judges if judge[1] in (None, look.system.kind)]
    if not judges:
        raise Missing("the system offers no central and no target or coupling with a schedule")
    if look.system.mixture is None:
        look.need("router")
    for place in look.places():
        for name, (_, _, judge) in judges:
            yield equal(name, look.blend(place), judge(look, place), place.name(*_axes(look)))


def _target_law(look: Look, place: Place) -> Array:
    """Return q(x^{t+1} = . | prefix) by summing the target over what follows."""
    joint: Any = look.enter(look.system.target, (look.system.vocabulary,) * look.system.length, "target", "the target")
    joint = lift(joint, 1)
    for axis in reversed(range(place.t + 1, look.system.length)):
        joint = total(joint, axis)
    rows = joint[tuple(place.rows.T)] if place.t else joint[None]
    return ratio(rows, total(rows, 1)[:, None])


def _coupling_velocity(look: Look, place: Place) -> Array:
    """Return the central velocity, or increment of a step, of the coupling."""
    if not look.enumerable:
        raise Missing("the coupling is too large to enumerate, or cannot be")
    coupling, schedule = lifted(look.system.coupling), Lifted(look)
    if look.system.discrete:
        return step_velocity_at(coupling, schedule, place.t, look.after(place.t), place.rows)
    return velocity_at(coupling, schedule, place.t, place.rows)


CENTRAL: dict[str, tuple[tuple[str, ...], str | None, Any]] = {
    "the mixture is the central model's": (("central",), None, lambda look, place: look.laws("central", place)),
    "the mixture is the target's conditional": (("target",), PREFIX, _target_law),
    "the mixture is the coupling's velocity": (("coupling", "schedule"), "state", _coupling_velocity),
}


def _made(look: Look, experts: list[int], weights: Array) -> Look:
    """Look at the system made of other experts."""
    parts: Parts = parts_of(look.call("select", f"experts {experts}", experts, weights))
    return Look(replace(parts, dtype=look.system.dtype or parts.dtype), look.examples, look.seed)


@check("C08", "select", "experts", "prior")
def check_one_expert(look: Look) -> Iterator[Told]:
    """A system of one expert is that expert."""
    prior: Any = look.system.prior
    for k in range(look.count):
        alone = _made(look, [k], full((1,), 1, prior))
        for place in alone.places():
            r = alone.router(place)
            yield equal(f"expert {k} alone: the router is one", r, _ones(r), place.name("expert", "row"))
            expected = look.laws("experts", place)[k]
            yield equal(f"expert {k} alone is the mixture", alone.blend(place), expected, place.name(*_axes(look)))


@check("C08", "select", "experts", "prior", "router")
def check_permutation(look: Look) -> Iterator[Told]:
    """Permuting the experts together with their weights permutes the router and changes nothing else."""
    order = [*range(1, look.count), 0]
    turned = _made(look, order, look.system.prior[order])  # type: ignore[index]
    for place in look.places():
        r = look.router(place)[order]
        yield equal("the router is permuted", turned.router(place), r, place.name("expert", "row"))
        yield equal(
            "permuted experts: the mixture", turned.blend(place), look.blend(place), place.name(*_axes(look))
        )  # fmt: skip


@check("C08", "select", "experts", "prior")
def check_duplicates(look: Look) -> Iterator[Told]:
    """An expert that stands there twice, its weight shared between the two, changes nothing."""
    prior: Any = look.system.prior
    twice = [k for k in range(look.count) for _ in range(2)]
    weights = prior[twice] / full((1,), 2, prior)
    double = _made(look, twice, weights)
    for place in look.places():
        yield equal(
            "duplicated experts: the mixture", double.blend(place), look.blend(place), place.name(*_axes(look))
        )  # fmt: skip


@check("C06", kind=PREFIX)
def check_factorization(look: Look) -> Iterator[Told]:
    """The joint score of a prefix is that of its beginning times the mixture's probability of its last token."""
    if look.system.score is None and look.system.log_score is None:
        raise Missing("the system offers no score and no log_score")
    look.need("experts")
    for place in look.prefixes(last=True):
        if place.t == 0:
            yield from _empty_score(look, place)
            continue
        before = Place(place.t - 1, place.rows[:, :-1])
        law = look.blend(before)[np.arange(len(place.rows)), place.rows[:, -1]]
        kept = charged(law)
        if kept.any():
            yield from _score_step(look, Place(place.t, place.rows[kept]), law[kept])


def _score_step(look: Look, place: Place, law: Array) -> Iterator[Told]:
    parent = Place(place.t - 1, place.rows[:, :-1])
    if look.system.score is not None:
        got, expected = _scores(look, "score", place), _scores(look, "score", parent) * law
        yield equal("the score of a prefix factorizes", got, expected, place.name("row"))
    if look.system.log_score is not None:
        got, expected = _scores(look, "log_score", place), _scores(look, "log_score", parent) + log(law)
        yield equal("the log score of a prefix adds up", got, expected, place.name("row"))


def _scores(look: Look, name: str, place: Place) -> Array:
    raw = look.enter(look.call(name, place.row(0), place.rows), (len(place.rows),), name, place.row(0))
    depth = sum(look.mixture_depth(s) + 1 for s in range(place.t))
    return lift(raw, depth, scale=look.log_scale(place.rows)) if name == "score" else lift(raw, depth + 4 * place.t)


def _empty_score(look: Look, place: Place) -> Iterator[Told]:
    for name, value in (("score", 1), ("log_score", 0)):
        if getattr(look.system, name) is not None:
            got = _scores(look, name, place)
            yield equal(f"the {name} of the empty prefix is {value}", got, got * 0 + value, place.name("row"))


@check("C16", "tempered", "experts", kind=PREFIX)
def check_sharpening(look: Look) -> Iterator[Told]:
    """What is sampled at temperature T is the mixture sharpened, not the mixture of sharpened experts."""
    for place in look.prefixes():
        for inverse in (1, 2):
            raw = look.raw("tempered", place, inverse, shape=(len(place.rows), look.system.vocabulary))
            extra = 3 * (inverse * look.mixture_depth(place.t) + look.system.vocabulary + 4)
            expected = temperature(look.blend(place), inverse)
            got = look.lift_mixture(raw, place, extra)
            yield equal(f"1/T = {inverse}: mix, then sharpen", got, expected, place.name("row", "token"))


@check("C15", "gate", "router", "experts")
def check_top_k(look: Look) -> Iterator[Told]:
    """A top-k gate keeps the k largest weights, renormalized, and moves the mixture by at most what it drops."""
    for place in look.places():
        r, laws = look.router(place), look.laws("experts", place)
        if is_symbolic(r):
            raise Missing("symbols have no order, which a top-k gate needs")
        for k in range(1, look.count + 1):
            raw = look.call("gate", place.row(0), look.raw("router", place, shape=(look.count, len(place.rows))), k)
            gated = look.lift_router(look.enter(raw, (look.count, len(place.rows)), "gate", place.row(0)), place)
            sums = total(gated, 0)
            yield equal(f"top {k}: the gate sums to one", sums, _ones(sums), place.name("row"))
            if look.system.kind == PREFIX:
                shift = total_variation(mix(gated, laws), mix(r, laws))
                dropped = _ones(shift) - _largest(r, k)
                yield Told(
                    Inequality(f"top {k}: moved by no more than the mass dropped", shift, dropped), place.name("row")
                )
            yield from _gate_statements(place, k, r, gated)


def _gate_statements(place: Place, k: int, r: Array, gated: Array) -> Iterator[Told]:
    zero, one = full((), 0, r), full((), 1, r)
    keeps = gated != 0
    count = total(namespace(r).where(keeps, one, zero), 0)
    most = full(tuple(count.shape), k, count)
    yield Told(Inequality(f"top {k}: no more than k are kept", count, most), place.name("row"))
    held = total(namespace(r).where(keeps, r, zero), 0)
    yield equal(f"top {k}: what is kept is the largest", held, _largest(r, k), place.name("row"))
    kept = namespace(r).where(keeps, r, zero)
    yield equal(f"top {k}: proportions are kept", gated * held[None, :], kept, place.name("expert", "row"))


def _largest(r: Array, k: int) -> Array:
    """Return the sum of the k largest weights, shape (B,)."""
    values = np.sort(r, axis=0) if is_object(r) else np.sort(to_float(r), axis=0)
    return total(values[-k:], 0)
