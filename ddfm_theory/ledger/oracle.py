"""The judge: paths, velocities' averages, divergences, steps and posteriors by their definitions, by enumeration.

Plain loops over states and couplings, sharing no formula with what they judge.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import reduce
from typing import Any

from ddfm_theory.arrays import Array, full
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.schedulers import Scheduler

State = tuple[int, ...]


def _product(factors: list[Any]) -> Any:
    return reduce(lambda a, b: a * b, factors)


def states(coupling: Any) -> Iterator[State]:
    """Return every state of [d]^N."""
    return itertools.product(range(coupling.size), repeat=coupling.length)


def pairs(coupling: Coupling | MaskedCoupling) -> Iterator[tuple[State, State, Any]]:
    """Return every (x0, x1, pi(x0, x1)) with mass."""
    n = coupling.length
    if isinstance(coupling, MaskedCoupling):
        for x1 in itertools.product(range(coupling.vocabulary), repeat=n):
            yield (coupling.mask,) * n, x1, coupling.target[x1]
    else:
        for both in itertools.product(range(coupling.size), repeat=2 * n):
            yield both[:n], both[n:], coupling.joint[both]


def base(scheduler: Scheduler, j: int, count: int, x0: int, x1: int, x: int) -> Any:
    """Return w^j(x | x0, x1)."""
    if j in (0, count - 1):
        return int(x == (x0 if j == 0 else x1))
    middle = scheduler.bases[j - 1]  # type: ignore[index]
    return middle[x] if middle.ndim == 1 else middle[x0, x1, x]


def _token(scheduler: Scheduler, weights: Array, i: int, x0: int, x1: int, x: int) -> Any:
    count = weights.shape[0]
    return sum(weights[j, i] * base(scheduler, j, count, x0, x1, x) for j in range(count))


def conditional(scheduler: Scheduler, weights: Array, x0: State, x1: State, x: State) -> Any:
    """Return prod_i sum_j kappa^{i,j} w^j(x^i | x0^i, x1^i)."""
    return _product([_token(scheduler, weights, i, x0[i], x1[i], x[i]) for i in range(len(x))])


def path(coupling: Any, scheduler: Scheduler, weights: Array) -> Array:
    """Return sum over the coupling of the conditional path, shape (d,) * N."""
    out = full((coupling.size,) * coupling.length, 0, coupling.like)
    for x in states(coupling):
        for x0, x1, mass in pairs(coupling):
            out[x] = out[x] + mass * conditional(scheduler, weights, x0, x1, x)
    return out


def path_dot(coupling: Any, scheduler: Scheduler, weights: Array, slopes: Array) -> Array:
    """Return the time derivative of the path, by the product rule under the sum, shape (d,) * N."""
    out = full((coupling.size,) * coupling.length, 0, coupling.like)
    for x in states(coupling):
        for x0, x1, mass in pairs(coupling):
            for i in range(coupling.length):
                factors = [
                    _token(scheduler, slopes if j == i else weights, j, x0[j], x1[j], x[j])
                    for j in range(coupling.length)
                ]
                out[x] = out[x] + mass * _product(factors)
    return out


def divergence(p: Array, u: Array) -> Array:
    """Return -sum_z p(z) sum_i [z and x agree off i] u^i(x^i, z), shape (d,) * N."""
    out = full(tuple(p.shape), 0, p)
    for x in itertools.product(*(range(n) for n in p.shape)):
        for i in range(p.ndim):
            for token in range(p.shape[0]):
                z = (*x[:i], token, *x[i + 1 :])
                out[x] = out[x] - p[z] * u[(*z, i, x[i])]
    return out


def step(p: Array, u: Array) -> Array:
    """Return sum_z p(z) prod_i ([y^i = z^i] + u^i(y^i, z)), shape (d,) * N."""
    out = full(tuple(p.shape), 0, p)
    everything = list(itertools.product(*(range(n) for n in p.shape)))
    for z in everything:
        if p[z] == 0:
            continue
        for y in everything:
            out[y] = out[y] + p[z] * _product([u[(*z, i, y[i])] + int(y[i] == z[i]) for i in range(p.ndim)])
    return out


def posterior_average(
    coupling: Any, scheduler: Scheduler, weights: Array, conditional_velocities: Any, average: str
) -> Array:
    """Return sum over (x0, x1) of u^i(x, z | x0, x1) weighted by the posterior given z (or by the prior).

    Args:
        coupling: pi.
        scheduler: kappa's bases.
        weights: kappa, shape (J, N).
        conditional_velocities: (i, x0, x1) -> array (d, d), axes z, x.
        average: ``posterior`` or ``prior``.
    """
    n, d = coupling.length, coupling.size
    out = full((d,) * n + (n, d), 0, coupling.like)
    for z in states(coupling):
        joint = [(x0, x1, mass, mass * conditional(scheduler, weights, x0, x1, z)) for x0, x1, mass in pairs(coupling)]
        evidence = sum(j[3] for j in joint)
        if evidence == 0:
            continue
        for x0, x1, mass, likely in joint:
            if mass == 0 or (average == "posterior" and likely == 0):
                continue
            share = likely / evidence if average == "posterior" else mass
            for i in range(n):
                out[(*z, i)] = out[(*z, i)] + conditional_velocities(i, x0[i], x1[i])[z[i]] * share
    return out


def revealed_mass(target: Array, z: State, vocabulary: int) -> Any:
    """Return the probability under q of the revealed tokens of z, summing q over all completions."""
    total: Any = 0
    for x in itertools.product(range(vocabulary), repeat=len(z)):
        if all(token in (x[i], vocabulary) for i, token in enumerate(z)):
            total = total + target[x]
    return total


def next_token(target: Array, z: State, i: int, vocabulary: int) -> list[Any]:
    """Return q(x^i = . | revealed tokens of z) as a list over tokens."""
    mass = revealed_mass(target, z, vocabulary)
    return [revealed_mass(target, (*z[:i], token, *z[i + 1 :]), vocabulary) / mass for token in range(vocabulary)]
