r"""C04: the same velocity with increments for derivatives makes an exact step, in discrete time."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import stack
from ddfm_theory.couplings import Coupling
from ddfm_theory.flux import conditional_velocity
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.paths import conditional_path, marginal_path
from ddfm_theory.sampling import propagate
from ddfm_theory.velocities import step_velocity
from proofs.derivation import Derivation, Step
from proofs.sums import Flow, add, any_coupling, case, delta, free_schedule, tabulate, times


def _one_position(draw: Draw, count: int, size: int, pivot: int) -> Any:
    weights, after = draw.pmf((count,), "k", positive=True), draw.pmf((count,), "k")
    bases = stack([draw.pmf((size,)) for _ in range(count)])
    ratio = after[pivot] / weights[pivot]
    a = [after[j] - weights[j] * ratio for j in range(count)]
    p = [add(weights[j] * bases[j, x] for j in range(count)) for x in range(size)]
    return case(weights=weights, after=after, bases=bases, pivot=pivot, ratio=ratio, a=a, p=p)


def _steps(draw: Draw, coupling: Any) -> Any:
    schedule = free_schedule(draw, coupling.length)
    now, after = schedule.rows
    return case(
        coupling=coupling, schedule=schedule, flow=Flow(coupling, now, after - now), later=Flow(coupling, after, after)
    )


def _pair(draw: Draw, x0: tuple[int, ...], x1: tuple[int, ...], size: int) -> Any:
    """Take the coupling that is one pair (x0, x1)."""
    joint = tabulate((size,) * (2 * len(x0)), lambda *at: delta(at, (*x0, *x1)))
    return _steps(draw, Coupling(joint))


def _any(draw: Draw, kind: str, vocabulary: int) -> Any:
    return _steps(draw, any_coupling(draw, kind, 1, vocabulary))


def _law(c: Any, i: int, y: int, z: int, x0: Any, x1: Any) -> Any:
    """Return delta_z(y) + u(y, z | x0, x1)."""
    return delta(y, z) + c.flow.rate(i, y, z, x0, x1)


def _each_position(c: Any) -> Any:
    flow = c.flow
    ((x0, x1, _),) = flow.pairs
    return flow.over_states(
        lambda y: times(
            add(flow.token(i, z, x0, x1) * _law(c, i, y[i], z, x0, x1) for z in range(flow.d)) for i in range(flow.n)
        )
    )


def _whole_states(c: Any) -> Any:
    flow = c.flow
    ((x0, x1, _),) = flow.pairs
    return flow.over_states(
        lambda y: add(
            flow.given(z, x0, x1) * times(_law(c, i, y[i], z[i], x0, x1) for i in range(flow.n)) for z in flow.states
        )
    )


def _sampler(c: Any) -> Any:
    return propagate(marginal_path(c.coupling, c.schedule, 0), step_velocity(c.coupling, c.schedule, 0, 1))


def _library(c: Any) -> Any:
    return conditional_velocity(c.weights, c.after - c.weights, c.bases, c.pivot)


def _vector(c: Any, entry: Any) -> Any:
    return tabulate((len(c.p),), entry)


ONE_POSITION = Derivation(
    "C04",
    "a step of one position is exact",
    r"With $a^j = \kappa'^j - \kappa^j \kappa'^\ell / \kappa^\ell$ and $b = \kappa'^\ell / "
    r"\kappa^\ell - 1$, for every "
    r"pivot with $\kappa^\ell > 0$: $p'(x) = \sum_z p(z) \big(\delta_z(x) + u(x,z)\big)$.",
    (
        Step(
            r"p'(x) = \sum_j \kappa'^j w^j(x)",
            "the conditional path after the step",
            lambda c: conditional_path(c.after, c.bases),
            "paths.conditional_path",
        ),
        Step(
            r"\sum_j a^j w^j(x) + \frac{\kappa'^\ell}{\kappa^\ell} \sum_j \kappa^j w^j(x)",
            r"definition of $a^j$",
            lambda c: _vector(
                c,
                lambda x: (
                    add(a * w[x] for a, w in zip(c.a, c.bases, strict=True))
                    + c.ratio * add(k * w[x] for k, w in zip(c.weights, c.bases, strict=True))
                ),
            ),
        ),
        Step(
            r"\sum_z p(z) \Big( \sum_j a^j w^j(x) + \frac{\kappa'^\ell}{\kappa^\ell}\, \delta_z(x) \Big)",
            r"$\sum_z p(z) = 1$ and $\sum_j \kappa^j w^j(x) = p(x) = \sum_z p(z) \delta_z(x)$",
            lambda c: _vector(
                c,
                lambda x: add(
                    pz * (add(a * w[x] for a, w in zip(c.a, c.bases, strict=True)) + c.ratio * delta(x, z))
                    for z, pz in enumerate(c.p)
                ),
            ),
        ),
        Step(
            r"\sum_z p(z) \big(\delta_z(x) + u(x,z)\big)",
            r"$\kappa'^\ell / \kappa^\ell = 1 + b$",
            lambda c: _vector(c, lambda x: add(pz * (delta(x, z) + _library(c)[z, x]) for z, pz in enumerate(c.p))),
            "flux.conditional_velocity",
        ),
    ),
    sizes=((2, 2, 0), (2, 2, 1), (3, 2, 0), (3, 3, 1), (3, 2, 2)),
    names="J, d, l",
    instance=_one_position,
)

CONDITIONAL = Derivation(
    "C04",
    "the sampler is exact for the conditional path",
    r"Given $(x_0,x_1)$, positions being drawn apart, the sampler's law is the conditional path at every $N$.",
    (
        Step(
            r"p_{t'}(y \mid x_0,x_1)",
            "the conditional path after the step",
            lambda c: marginal_path(c.coupling, c.schedule, 1),
            "paths.marginal_path",
        ),
        Step(
            r"\prod_i p_{t'}^i(y^i \mid x_0,x_1)",
            "definition: the path factorizes over positions",
            lambda c: c.flow.over_states(lambda y: c.later.given(y, *c.flow.pairs[0][:2])),
        ),
        Step(
            r"\prod_i \sum_{z^i} p_t^i(z^i \mid x_0,x_1) \big(\delta_{z^i}(y^i) + u^i(y^i,z^i \mid x_0,x_1)\big)",
            "the step is exact at each position",
            _each_position,
        ),
        Step(
            r"\sum_z p_t(z \mid x_0,x_1) \prod_i \big(\delta_{z^i}(y^i) + u^i(y^i,z^i \mid x_0,x_1)\big)",
            "a product of sums is the sum over states of products",
            _whole_states,
        ),
        Step(
            r"\big(\text{sampler}(p_t)\big)(y)",
            r"positions are drawn apart from $\delta_{z^i} + u^i(\cdot,z)$; with one pair the "
            r"posterior is a point mass",
            _sampler,
            "sampling.propagate",
        ),
    ),
    sizes=(((0,), (1,), 2), ((0, 0), (1, 1), 2), ((0, 1), (1, 1), 2), ((0, 1), (2, 0), 3), ((0, 0, 1), (1, 1, 0), 2)),
    names="x0, x1, d",
    instance=_pair,
)

MARGINAL = Derivation(
    "C04",
    "the sampler is exact for the marginal path at one position",
    r"At $N = 1$ the sampler's law is the marginal path, for every coupling.",
    (
        Step(
            r"p_{t'}(y)",
            "the marginal path after the step",
            lambda c: marginal_path(c.coupling, c.schedule, 1),
            "paths.marginal_path",
        ),
        Step(
            r"\sum_{x_0,x_1} \pi(x_0,x_1) \sum_z p_t(z \mid x_0,x_1) \big(\delta_z(y) + u(y,z \mid x_0,x_1)\big)",
            "definition; the step is exact given $(x_0,x_1)$",
            lambda c: c.flow.over_states(
                lambda y: add(
                    mass * add(c.flow.given(z, x0, x1) * _law(c, 0, y[0], z[0], x0, x1) for z in c.flow.states)
                    for x0, x1, mass in c.flow.pairs
                )
            ),
        ),
        Step(
            r"\sum_z p_t(z) \big(\delta_z(y) + u(y,z)\big)",
            "exchange of finite sums; definition of the posterior average",
            lambda c: c.flow.over_states(
                lambda y: add(c.flow.path[z] * (delta(y, z) + c.flow.velocity(0, y[0], z)) for z in c.flow.states)
            ),
        ),
        Step(r"\big(\text{sampler}(p_t)\big)(y)", "definition of the sampler", _sampler, "sampling.propagate"),
    ),
    sizes=(("masked", 2), ("masked", 3), ("joint", 2), ("joint", 3)),
    names="source, V",
    instance=_any,
)

DERIVATIONS = (ONE_POSITION, CONDITIONAL, MARGINAL)
