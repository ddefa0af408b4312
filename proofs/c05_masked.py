r"""C05 from the all-mask source: what a step shows, when it is exact, and by how much it can miss.

A step of the sampler shows each hidden position apart; the path shows them together. They differ only where two or more
are shown at once, and then by the dependence of their tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ddfm_theory.arrays import Array, total
from ddfm_theory.continuity import step_continuity_residual
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import Rows
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import propagate
from ddfm_theory.velocities import step_velocity
from proofs.derivation import Derivation, Step
from proofs.sums import (
    Flow,
    add,
    any_coupling,
    case,
    delta,
    free_schedule,
    marginal,
    over,
    tabulate,
    times,
)


def case_of(coupling: Any, schedule: Rows) -> Any:
    """Return the instance of a step of a coupling."""
    now, after = schedule.rows[:2]
    return case(
        coupling=coupling,
        schedule=schedule,
        flow=Flow(coupling, now, after - now),
        moves=(after - now)[-1],
        now=now[-1],
    )


def path_before(c: Any) -> Array:
    """Return the path before the step."""
    return marginal_path(c.coupling, c.schedule, 0)


def path_after(c: Any) -> Array:
    """Return the path after the step."""
    return marginal_path(c.coupling, c.schedule, 1)


def step_of(c: Any) -> Array:
    """Return the velocity of the step."""
    return step_velocity(c.coupling, c.schedule, 0, 1, pivot=getattr(c, "pivot", None))


def kernels(c: Any) -> Array:
    """Return the sampler's law by its definition."""
    flow = c.flow
    return flow.over_states(
        lambda y: add(
            flow.path[z] * times(delta(y[i], z[i]) + flow.velocity(i, y[i], z) for i in range(flow.n))
            for z in flow.states
        )
    )


def _movers(draw: Draw, length: int, vocabulary: int, pair: tuple[int, int]) -> Any:
    out = case_of(any_coupling(draw, "masked", length, vocabulary), free_schedule(draw, length))
    out.pair = pair
    return out


def _summed(c: Any, values: Array) -> Array:
    """Return the sums over all positions but the pair's, shape (d, d)."""
    for k in reversed(range(c.flow.n)):
        if k not in c.pair:
            values = total(values, k)
    return values


def _higher_orders(c: Any, z: Any) -> Any:
    """Return the terms of prod_k (p^k + increment) in which two increments or more stand."""
    flow, sets = c.flow, [on for on in itertools.product((0, 1), repeat=c.flow.n) if sum(on) >= 2]
    return add(
        mass * times(flow.token(k, z[k], x0, x1, flow.slopes if on[k] else None) for k in range(flow.n))
        for x0, x1, mass in flow.pairs
        for on in sets
    )


def _pair_measure(c: Any, factor: Any) -> Array:
    """Return sum over the coupling of the product of the pair's two factors, shape (d, d)."""
    i, j = c.pair
    return tabulate(
        (c.flow.d, c.flow.d),
        lambda a, b: add(mass * factor(i, a, x0, x1) * factor(j, b, x0, x1) for x0, x1, mass in c.flow.pairs),
    )


def _two_masked(draw: Draw, vocabulary: int) -> Any:
    return case_of(any_coupling(draw, "masked", 2, vocabulary), free_schedule(draw, 2))


def hidden(c: Any, z: Any) -> list[int]:
    """Return the masked positions of a state."""
    return [i for i, token in enumerate(z) if token == c.coupling.mask]


def share(c: Any, i: int) -> Any:
    """Return lambda^i = (kappa' - kappa) / (1 - kappa)."""
    return over(c.moves[i], 1 - c.now[i])


def shown_sets(c: Any, z: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Return the sets A of hidden positions with the probability that a step shows exactly A."""
    places = hidden(c, z)
    for chosen in itertools.product((0, 1), repeat=len(places)):
        chance = times(share(c, i) if on else 1 - share(c, i) for i, on in zip(places, chosen, strict=True))
        yield tuple(i for i, on in zip(places, chosen, strict=True) if on), chance


def joint_law(c: Any, z: Any, shown: tuple[int, ...]) -> dict[Any, Any]:
    """Return q(x^A | revealed tokens of z) over the tokens of A."""
    known = {i: token for i, token in enumerate(z) if token != c.coupling.mask}
    weight, v = marginal(c.coupling.target, known), c.coupling.vocabulary
    tokens = itertools.product(range(v), repeat=len(shown))
    return {x: over(marginal(c.coupling.target, known | dict(zip(shown, x, strict=True))), weight) for x in tokens}


def apart_law(c: Any, z: Any, shown: tuple[int, ...]) -> dict[Any, Any]:
    """Return prod_{i in A} q(x^i | revealed tokens of z)."""
    singles = [joint_law(c, z, (i,)) for i in shown]
    return {x: times(law[(x[j],)] for j, law in enumerate(singles)) for x in joint_law(c, z, shown)}


def _showing(c: Any, law: Any) -> Array:
    """Return the law of the state after a step that shows A with its probability, and tokens by ``law``."""
    out = tabulate((c.flow.d,) * c.flow.n, lambda *y: 0)
    for z in c.flow.states:
        for shown, chance in shown_sets(c, z):
            for tokens, probability in law(c, z, shown).items():
                y = list(z)
                for i, token in zip(shown, tokens, strict=True):
                    y[i] = token
                out[tuple(y)] = out[tuple(y)] + c.flow.path[z] * chance * probability
    return out


SHOWN = Derivation(
    "C05",
    "from masks the path shows hidden positions together",
    r"With $\lambda^i = (\kappa'^i - \kappa^i)/(1 - \kappa^i)$: a step of the path shows the hidden "
    r"positions $A$ with "
    r"probability $\lambda_A(z) = \prod_{i \in A} \lambda^i \prod_{i \notin A} (1 - \lambda^i)$ over "
    r"hidden $i$, and tokens "
    r"$x^A$ of their joint law given the revealed ones. Below, $z^{A \to x}$ is $z$ with the tokens $x^A$ shown.",
    (
        Step(r"p_{t'}(y)", "the path after the step", path_after, "paths.marginal_path"),
        Step(
            r"\sum_z p_t(z) \sum_A \lambda_A(z) \sum_{x^A} q(x^A \mid z)\, \delta_y(z^{A \to x})",
            r"a token of $x_1 \sim q$ is revealed by $t$ with probability $\kappa$, or else in the "
            r"step with probability "
            r"$\lambda$; given $z$, $x_1 \sim q(\cdot \mid z)$",
            lambda c: _showing(c, joint_law),
        ),
    ),
    sizes=((1,), (2,)),
    names="V",
    instance=_two_masked,
)

APART = Derivation(
    "C05",
    "from masks the sampler shows hidden positions apart",
    r"The sampler shows the same $A$ with the same probability, and tokens $x^i$, $i \in A$, of their single "
    r"laws. So it is exact if, at each reachable $z$, the hidden movers are mutually independent under $q$ given "
    r"the revealed tokens; at $N = 2$ only if, since $z = (m,m)$ with $A = \{1,2\}$ alone tells the two laws apart.",
    (
        Step(
            r"\big(\text{sampler}(p_t)\big)(y)",
            "the sampler's law",
            lambda c: propagate(path_before(c), step_of(c)),
            "sampling.propagate",
        ),
        Step(
            r"\sum_z p_t(z) \prod_i \big(\delta_{z^i} + u^i(\cdot,z)\big)(y^i)",
            "definition of the sampler",
            kernels,
        ),
        Step(
            r"\sum_z p_t(z) \sum_A \lambda_A(z) \sum_{x^A} \prod_{i \in A} q(x^i \mid z)\, \delta_y(z^{A \to x})",
            r"at hidden $i$, $\delta_m + u^i = (1 - \lambda^i) \delta_m + \lambda^i q(x^i = \cdot "
            r"\mid z)$ (C03); expand the "
            r"product over hidden positions",
            lambda c: _showing(c, apart_law),
        ),
    ),
    sizes=((1,), (2,)),
    names="V",
    instance=_two_masked,
)

RESIDUAL = Derivation(
    "C05",
    "from masks two movers break first-order continuity",
    r"Let two positions $i \ne j$ have $\Delta\kappa^i, \Delta\kappa^j > 0$, at any $N$. The residual of first-order "
    r"continuity, summed over the other positions, is $\Delta\kappa^i \Delta\kappa^j$ times a signed "
    r"measure whose value at "
    r"$(m,m)$ is one: so the equation holds only if at most one $\Delta\kappa^i > 0$, and then it does.",
    (
        Step(
            r"\sum_{z^k:\, k \ne i,j} \big(p_{t'} - p_t + \mathrm{div}(p_t u_t)\big)(z)",
            "the residual, summed over the other positions",
            lambda c: _summed(c, step_continuity_residual(path_before(c), path_after(c), step_of(c))),
            "continuity.step_continuity_residual",
        ),
        Step(
            r"\sum_{z^k:\, k \ne i,j} \sum_{x_0,x_1} \pi(x_0,x_1) \sum_{|A| \ge 2} \prod_{k \in A} \Delta^k(z^k) "
            r"\prod_{k \notin A} p_t^k(z^k)",
            r"expand $\prod_k (p_t^k + \Delta^k)$ given $(x_0,x_1)$; $p_t - \mathrm{div}(p_t u_t)$ is "
            r"its part of orders 0 and 1",
            lambda c: _summed(c, c.flow.over_states(lambda z: _higher_orders(c, z))),
        ),
        Step(
            r"\sum_{x_0,x_1} \pi(x_0,x_1)\, \Delta^i(z^i)\, \Delta^j(z^j)",
            r"$\sum_{z^k} \Delta^k(z^k) = 0$ and $\sum_{z^k} p_t^k(z^k) = 1$: only $A = \{i,j\}$ stays",
            lambda c: _pair_measure(c, lambda k, token, x0, x1: c.flow.token(k, token, x0, x1, c.flow.slopes)),
        ),
        Step(
            r"\Delta\kappa^i \Delta\kappa^j \sum_{x_1} q(x_1) \prod_{k = i,j} "
            r"\big(\delta_{x_1^k}(z^k) - \delta_m(z^k)\big)",
            r"$\Delta^k = \Delta\kappa^k (\delta_{x_1^k} - \delta_m)$",
            lambda c: _pair_measure(
                c, lambda k, token, _, x1: c.moves[k] * (delta(x1[k], token) - delta(c.coupling.mask, token))
            ),
        ),
    ),
    sizes=((2, 1, (0, 1)), (2, 2, (0, 1)), (3, 1, (0, 2)), (3, 2, (1, 2))),
    names="N, V, ij",
    instance=_movers,
)

MASKED = (SHOWN, APART, RESIDUAL)
