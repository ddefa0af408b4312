r"""C13: drawing the expert once and running it alone has the law of mixing velocities by the router at every step."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ddfm_theory.arrays import Array, stack
from ddfm_theory.decentralization import mix
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import Rows, single_mover, two_base
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import path_law, route_once_law, sampler_law
from ddfm_theory.velocities import step_velocity
from proofs.derivation import Derivation, Step
from proofs.sums import Flow, add, case, delta, experts_of, marginal, over, revealed, tabulate, times


def _one_step(draw: Draw, kind: str, length: int, vocabulary: int, count: int) -> Any:
    experts, schedule = experts_of(draw, kind, length, vocabulary, count), single_mover(draw, length)
    now, after = schedule.rows
    flows = [Flow(coupling, now, after - now) for coupling in experts.couplings]
    return case(experts=experts, schedule=schedule, flow=Flow(experts.central, now, after - now), flows=flows)


def _kernel(flow: Flow, y: Any, z: Any) -> Any:
    """Return prod_i (delta_{z^i} + u^i(., z))(y^i)."""
    return times(delta(y[i], z[i]) + flow.velocity(i, y[i], z) for i in range(flow.n))


def _reaching(c: Any, term: Any) -> Array:
    """Return per state y the sum of term(y, z) over states z."""
    return c.flow.over_states(lambda y: add(term(y, z) for z in c.flow.states))


def _router(c: Any, k: int, z: Any) -> Any:
    return over(c.experts.weights[k] * c.flows[k].path[z], c.flow.path[z])


def _routed(c: Any, y: Any, z: Any) -> Any:
    return add(_router(c, k, z) * _kernel(flow, y, z) for k, flow in enumerate(c.flows))


def _mixed(c: Any, y: Any, z: Any) -> Any:
    return times(
        delta(y[i], z[i]) + add(_router(c, k, z) * flow.velocity(i, y[i], z) for k, flow in enumerate(c.flows))
        for i in range(c.flow.n)
    )


def _run(draw: Draw, length: int, vocabulary: int, count: int, movers: tuple[int, ...]) -> Any:
    """Draw a run whose step s moves the one position movers[s]."""
    experts = experts_of(draw, "masked", length, vocabulary, count)
    rows = [draw.steps(length)[0]]
    for mover in movers:
        later = rows[-1] + 0
        later[mover] = draw.numbers((1,), "k", 4, 4, 4)[0]
        rows.append(later)
    shape = (experts.central.size**length,) * (len(movers) + 1)
    states = list(np.ndindex(*(experts.central.size,) * length))
    return case(experts=experts, schedule=Rows([two_base(row) for row in rows]), rows=rows, shape=shape, states=states)


def _velocities(c: Any, coupling: Any) -> list[Array]:
    return [step_velocity(coupling, c.schedule, s, s + 1) for s in range(len(c.rows) - 1)]


def _run_of(c: Any, coupling: Any) -> Array:
    return path_law(marginal_path(coupling, c.schedule, 0), _velocities(c, coupling))


def _mixed_run(c: Any) -> Array:
    steps = [c.experts.step_velocity(c.schedule, s, s + 1) for s in range(len(c.rows) - 1)]
    return path_law(marginal_path(c.experts.central, c.schedule, 0), steps)


def _mass(c: Any, q: Array, z: Any) -> Any:
    return marginal(q, revealed(z, c.experts.central.mask))


def _coins(c: Any, trajectory: list[Any]) -> Any:
    """Return the probability that the masks fall as the trajectory says: no token enters it."""
    mask, rows = c.experts.central.mask, c.rows
    start = times(1 - rows[0][i] if x == mask else rows[0][i] for i, x in enumerate(trajectory[0]))
    moves = itertools.pairwise(trajectory)
    return start * times(_coin(rows, s, i, a[i], b[i], mask) for s, (a, b) in enumerate(moves) for i in range(len(a)))


def _coin(rows: list[Array], s: int, i: int, a: int, b: int, mask: int) -> Any:
    if a != mask:
        return delta(a, b)
    stay = over(1 - rows[s + 1][i], 1 - rows[s][i])
    return stay if b == mask else over(rows[s + 1][i] - rows[s][i], 1 - rows[s][i])


def _trajectories(c: Any, tokens: Any) -> Array:
    """Return over trajectories the coins' probability times tokens(trajectory)."""

    def entry(*at: int) -> Any:
        trajectory = [c.states[a] for a in at]
        coins = _coins(c, trajectory)
        return 0 if coins == 0 else coins * tokens(trajectory)

    return tabulate(c.shape, entry)


def _expert_masses(c: Any, steps: bool) -> Array:
    laws = [coupling.target for coupling in c.experts.couplings]
    masses = (lambda q, z: _ratios(c, q, z)) if steps else (lambda q, z: _mass(c, q, z[-1]))
    return _trajectories(c, lambda z: add(w * masses(q, z) for w, q in zip(c.experts.weights, laws, strict=True)))


def _ratios(c: Any, q: Array, trajectory: list[Any]) -> Any:
    """Return S(z_0) prod_s S(z_{s+1}) / S(z_s)."""
    pairs = itertools.pairwise(trajectory)
    return _mass(c, q, trajectory[0]) * times(over(_mass(c, q, b), _mass(c, q, a)) for a, b in pairs)


ONE_TIME = Derivation(
    "C13",
    "one-time laws agree where at most one position moves",
    r"If at each state at most one position moves, then a step of the mixture started from $p_t = "
    r"\sum_k \omega_k p_t^k$ "
    r"has the law $\sum_k \omega_k p_{t'}^k$ of running expert $k$ alone with probability $\omega_k$; "
    r"so, by induction, "
    r"at every time. (In continuous time two positions never move at once.)",
    (
        Step(
            r"\sum_k \omega_k\, p_{t'}^k(y)",
            "one expert drawn from $\\omega$ and run alone",
            lambda c: route_once_law(c.experts, c.schedule, (0, 1)),
            "sampling.route_once_law",
        ),
        Step(
            r"\sum_k \omega_k \sum_z p_t^k(z) \prod_i \big(\delta_{z^i} + u^{k,i}(\cdot,z)\big)(y^i)",
            "definition of the sampler of expert $k$",
            lambda c: _reaching(
                c,
                lambda y, z: add(
                    w * flow.path[z] * _kernel(flow, y, z) for w, flow in zip(c.experts.weights, c.flows, strict=True)
                ),
            ),
        ),
        Step(
            r"\sum_z p_t(z) \sum_k r_k(z) \prod_i \big(\delta_{z^i} + u^{k,i}(\cdot,z)\big)(y^i)",
            r"exchange of finite sums; Bayes, $\omega_k p_t^k(z) = p_t(z)\, r_k(z)$",
            lambda c: _reaching(c, lambda y, z: c.flow.path[z] * _routed(c, y, z)),
        ),
        Step(
            r"\sum_z p_t(z) \prod_i \Big(\delta_{z^i} + \sum_k r_k(z)\, u^{k,i}(\cdot,z)\Big)(y^i)",
            r"at each $z$ at most one factor differs from $\delta_{z^i}$, so the product is affine in $u^k$; "
            r"$\sum_k r_k(z) = 1$",
            lambda c: _reaching(c, lambda y, z: c.flow.path[z] * _mixed(c, y, z)),
        ),
        Step(
            r"\big(\text{sampler of } \textstyle\sum_k r_k u^k\big)(y)",
            "definition of the sampler that mixes velocities",
            lambda c: sampler_law(c.experts, c.schedule, (0, 1)),
            "sampling.sampler_law",
        ),
    ),
    sizes=(("masked", 1, 2, 2), ("masked", 2, 2, 2), ("masked", 2, 2, 3), ("joint", 1, 2, 2), ("joint", 1, 3, 2)),
    names="source, N, V, K",
    instance=_one_step,
)

PATHS = Derivation(
    "C13",
    "path laws agree from masks",
    r"From the all-mask source, one mover a step: the laws of the whole trajectory $(z_0, \ldots, z_T)$ agree. Let "
    r"$\rho(z_0, \ldots, z_T)$ be the probability that the masks fall as the trajectory says, which no token enters, "
    r"and $S_k$ the partial marginals of C22.",
    (
        Step(
            r"\sum_k \omega_k P^k(z_0,\ldots,z_T)",
            "one expert drawn from $\\omega$, its whole run",
            lambda c: mix(c.experts.weights, stack([_run_of(c, coupling) for coupling in c.experts.couplings])),
            "sampling.path_law",
        ),
        Step(
            r"\rho(z_0,\ldots,z_T) \sum_k \omega_k\, S_k(z_0) \prod_{s<T} \frac{S_k(z_{s+1})}{S_k(z_s)}",
            r"a step shows its position with probability $(\kappa'-\kappa)/(1-\kappa)$, and then a token of law "
            r"$S_k(z_{s+1}) / S_k(z_s)$ (C22); the start is $\rho$'s coins times $S_k(z_0)$",
            lambda c: _expert_masses(c, True),
        ),
        Step(
            r"\rho(z_0,\ldots,z_T) \sum_k \omega_k\, S_k(z_T)",
            "telescoping: a masked trajectory is told by its last state and its coins",
            lambda c: _expert_masses(c, False),
        ),
        Step(
            r"\rho(z_0,\ldots,z_T)\, S(z_0) \prod_{s<T} \frac{S(z_{s+1})}{S(z_s)}",
            r"$\sum_k \omega_k S_k = S$; telescoping backwards",
            lambda c: _trajectories(c, lambda z: _ratios(c, c.experts.central.target, z)),
        ),
        Step(
            r"P\big(z_0,\ldots,z_T;\ \textstyle\sum_k r_k u^k\big)",
            r"C22 for the central coupling, whose velocity is the mixture (C08)",
            _mixed_run,
            "sampling.path_law",
        ),
    ),
    sizes=((1, 2, 2, (0, 0)), (1, 3, 2, (0,)), (2, 2, 2, (1,)), (2, 1, 2, (0, 1)), (1, 2, 3, (0, 0))),
    names="N, V, K, movers",
    instance=_run,
)

DERIVATIONS = (ONE_TIME, PATHS)
