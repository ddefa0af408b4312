r"""C03, Gat et al.'s Theorem 2: the posterior average of conditional velocities generates the marginal path."""

from __future__ import annotations

from typing import Any

from ddfm_theory.continuity import divergence
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.objectives import denoiser
from ddfm_theory.paths import marginal_path, path_derivative
from ddfm_theory.velocities import marginal_velocity
from proofs.derivation import Derivation, Step
from proofs.sums import Flow, add, any_coupling, case, delta, free_schedule, over, times, vanishes


def _instance(draw: Draw, kind: str, length: int, vocabulary: int) -> Any:
    coupling = any_coupling(draw, kind, length, vocabulary)
    schedule = free_schedule(draw, length)
    return case(coupling=coupling, schedule=schedule, flow=Flow(coupling, schedule.rows[0], schedule.slopes))


def _inflow(c: Any, term: Any) -> Any:
    """Return per state x the sum over i and over z that agree with x off i of term(i, x, z)."""
    flow = c.flow
    return flow.over_states(lambda x: add(term(i, x, z) for i in range(flow.n) for z in flow.near(x, i)))


def _conditional_inflow(c: Any) -> Any:
    flow = c.flow

    def entry(x: Any) -> Any:
        return add(
            mass
            * add(
                flow.given(z, x0, x1) * flow.rate(i, x[i], z[i], x0, x1) for i in range(flow.n) for z in flow.near(x, i)
            )
            for x0, x1, mass in flow.pairs
        )

    return flow.over_states(entry)


def _generates(c: Any) -> Any:
    """Return dp_t(x | x0, x1)/dt averaged, with each position's derivative as sum_z p(z) u(x, z)."""
    flow = c.flow

    def entry(x: Any) -> Any:
        return add(
            mass
            * add(
                times(flow.token(j, x[j], x0, x1) for j in range(flow.n) if j != i)
                * add(flow.token(i, token, x0, x1) * flow.rate(i, x[i], token, x0, x1) for token in range(flow.d))
                for i in range(flow.n)
            )
            for x0, x1, mass in flow.pairs
        )

    return flow.over_states(entry)


def _unmasking(c: Any, law: Any) -> Any:
    """Return 1[z^i = m] kappa_dot / (1 - kappa) (law(i, x, z) - [x = m]), wherever p_t(z) > 0."""
    flow, mask = c.flow, c.coupling.mask

    def entry(i: int, x: int, z: Any) -> Any:
        rate = over(flow.slopes[-1, i], flow.weights[0, i])
        hidden = z[i] == mask and not vanishes(flow.path[z])
        return rate * (law(i, x, z) - delta(x, mask)) if hidden else 0

    return flow.over_rates(entry)


def _posterior_law(c: Any, i: int, x: int, z: Any) -> Any:
    flow = c.flow
    return add(flow.posterior(x0, x1, mass, z) for x0, x1, mass in flow.pairs if x1[i] == x)


def _denoised(c: Any, i: int, x: int, z: Any) -> Any:
    return denoiser(c.coupling)[(*z, i, x)] if x < c.coupling.vocabulary else 0


SIZES = (("masked", 1, 2), ("masked", 1, 3), ("masked", 2, 2), ("joint", 1, 2), ("joint", 1, 3))

DERIVATIONS = (
    Derivation(
        "C03",
        "the posterior average generates the marginal path",
        r"Let $u_t^i(x,z) = \sum_{x_0,x_1} u_t^i(x,z \mid x_0,x_1)\, p_t(z \mid x_0,x_1)\, "
        r"\pi(x_0,x_1) / p_t(z)$. Then "
        r"$\dot p_t + \mathrm{div}_x(p_t u_t) = 0$, in continuous time. Below, $\delta_z(x^{-i})$ is "
        r"one where $x$ and "
        r"$z$ agree off position $i$.",
        (
            Step(
                r"\dot p_t(x)",
                "the derivative of the marginal path",
                lambda c: path_derivative(c.coupling, c.schedule, 0),
                "paths.path_derivative",
            ),
            Step(
                r"\sum_{x_0,x_1} \pi(x_0,x_1) \sum_i \dot p_t^i(x^i \mid x_0,x_1) \prod_{j \ne i} "
                r"p_t^j(x^j \mid x_0,x_1)",
                "derivative of a finite sum of products",
                lambda c: c.flow.over_states(
                    lambda x: add(
                        mass * c.flow.moved(x, x0, x1, i) for x0, x1, mass in c.flow.pairs for i in range(c.flow.n)
                    )
                ),
            ),
            Step(
                r"\sum_{x_0,x_1} \pi(x_0,x_1) \sum_i \sum_{z^i} p_t^i(z^i \mid x_0,x_1)\, "
                r"u_t^i(x^i,z^i \mid x_0,x_1) "
                r"\prod_{j \ne i} p_t^j(x^j \mid x_0,x_1)",
                "C02 at position $i$: the conditional velocity generates the conditional path",
                _generates,
            ),
            Step(
                r"\sum_{x_0,x_1} \pi(x_0,x_1) \sum_i \sum_z \delta_z(x^{-i})\, p_t(z \mid x_0,x_1)\, "
                r"u_t^i(x^i,z^i \mid x_0,x_1)",
                r"the path factorizes over positions, and $z^j = x^j$ for $j \ne i$",
                _conditional_inflow,
            ),
            Step(
                r"\sum_z \sum_i \delta_z(x^{-i}) \sum_{x_0,x_1} u_t^i(x^i,z^i \mid x_0,x_1)\, p_t(z \mid x_0,x_1)\, "
                r"\pi(x_0,x_1)",
                "exchange of finite sums",
                lambda c: _inflow(c, lambda i, x, z: c.flow.flux(i, x[i], z)),
            ),
            Step(
                r"\sum_z \sum_i \delta_z(x^{-i})\, p_t(z)\, u_t^i(x^i,z)",
                r"definition of $u_t^i$; where $p_t(z) = 0$ every term of the inner sum is zero",
                lambda c: _inflow(c, lambda i, x, z: c.flow.path[z] * c.flow.velocity(i, x[i], z)),
            ),
            Step(
                r"-\mathrm{div}_x(p_t u_t)(x)",
                "definition of the divergence",
                lambda c: (
                    -divergence(marginal_path(c.coupling, c.schedule, 0), marginal_velocity(c.coupling, c.schedule, 0))
                ),
                "continuity.divergence",
            ),
        ),
        sizes=SIZES,
        names="source, N, V",
        instance=_instance,
    ),
    Derivation(
        "C03",
        "from masks the velocity is the denoiser's",
        r"From the all-mask source, wherever $p_t(z) > 0$, $u_t^i(x,z) = 1[z^i = m]\, \frac{\dot\kappa_t^i}{1 - "
        r"\kappa_t^i} \big(q(x^i = x \mid z) - \delta_m(x)\big)$: what is learned is the posterior of "
        r"a hidden token.",
        (
            Step(
                r"u_t^i(x,z)",
                "the marginal velocity",
                lambda c: marginal_velocity(c.coupling, c.schedule, 0),
                "velocities.marginal_velocity",
            ),
            Step(
                r"\sum_{x_0,x_1} \frac{\pi(x_0,x_1)\, p_t(z \mid x_0,x_1)}{p_t(z)} "
                r"\frac{\dot\kappa_t^i}{1-\kappa_t^i} "
                r"\big(\delta_{x_1^i}(x) - \delta_{z^i}(x)\big)",
                r"definition; of two base pmfs with pivot $\delta_{x_0}$ only $a^2 = -b = "
                r"\dot\kappa/(1-\kappa)$ stay",
                lambda c: c.flow.over_rates(
                    lambda i, x, z: (
                        over(c.flow.slopes[-1, i], c.flow.weights[0, i])
                        * add(
                            c.flow.posterior(x0, x1, mass, z) * (delta(x1[i], x) - delta(z[i], x))
                            for x0, x1, mass in c.flow.pairs
                        )
                    )
                ),
            ),
            Step(
                r"1[z^i = m]\, \frac{\dot\kappa_t^i}{1-\kappa_t^i} \big(P(x_1^i = x \mid z) - \delta_m(x)\big)",
                r"where $z^i \ne m$ the posterior has $x_1^i = z^i$, and the bracket vanishes",
                lambda c: _unmasking(c, lambda i, x, z: _posterior_law(c, i, x, z)),
            ),
            Step(
                r"1[z^i = m]\, \frac{\dot\kappa_t^i}{1-\kappa_t^i} \big(q(x^i = x \mid z) - \delta_m(x)\big)",
                r"the schedule's factors cancel from the posterior (C22)",
                lambda c: _unmasking(c, lambda i, x, z: _denoised(c, i, x, z)),
                "objectives.denoiser",
            ),
        ),
        sizes=SIZES[:3],
        names="source, N, V",
        instance=_instance,
    ),
)
