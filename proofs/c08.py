r"""C08, decentralization: the central velocity is the router's mixture of the experts' velocities.

Both sides are linear in the coupling; the router is what turns the joint weights :math:`\omega_k \pi_k` into weights of
the experts' own posterior averages. The chain never uses what the conditional velocity is: it counts beside C03.
"""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.velocities import marginal_velocity, step_velocity
from proofs.derivation import Derivation, Step
from proofs.sums import Flow, add, case, experts_of, free_schedule, over, slopes_of, vanishes


def _instance(draw: Draw, kind: str, length: int, vocabulary: int, count: int, time: str) -> Any:
    experts = experts_of(draw, kind, length, vocabulary, count)
    schedule = free_schedule(draw, length)
    rows = (schedule.rows[0], slopes_of(schedule, time))
    flows = [Flow(coupling, *rows) for coupling in experts.couplings]
    return case(experts=experts, schedule=schedule, time=time, flow=Flow(experts.central, *rows), flows=flows)


def _central(c: Any) -> Array:
    central = c.experts.central
    if c.time == "continuous":
        return marginal_velocity(central, c.schedule, 0)
    return step_velocity(central, c.schedule, 0, 1)


def _mixture(c: Any) -> Array:
    return c.experts.velocity(c.schedule, 0) if c.time == "continuous" else c.experts.step_velocity(c.schedule, 0, 1)


def _expert_sum(c: Any, term: Any) -> Array:
    """Return sum_k omega_k / p_t(z) times an expert's term."""
    weights = c.experts.weights
    return c.flow.over_rates(
        lambda i, x, z: add(
            over(weights[k], c.flow.path[z]) * term(flow, i, x, z)
            for k, flow in enumerate(c.flows)
            if not vanishes(weights[k])
        )
    )


def _joint(c: Any) -> Array:
    """Return the posterior average with pi written out as the sum over experts, inside the sum over (x0, x1)."""
    weights, parts = c.experts.weights, [{(a, b): m for a, b, m in flow.pairs} for flow in c.flows]
    everything = sorted(set().union(*parts))

    def entry(i: int, x: int, z: Any) -> Any:
        terms = (
            c.flow.rate(i, x, z[i], x0, x1)
            * c.flow.given(z, x0, x1)
            * add(weights[k] * part.get((x0, x1), 0) for k, part in enumerate(parts))
            for x0, x1 in everything
        )
        return over(add(terms), c.flow.path[z])

    return c.flow.over_rates(entry)


DERIVATIONS = (
    Derivation(
        "C08",
        "the central velocity is the router's mixture",
        r"Let $\pi = \sum_k \omega_k \pi_k$, with one schedule and the same base pmfs for all experts. Then "
        r"$u_t^i(x,z) = \sum_k r_k(z)\, u_t^{k,i}(x,z)$ with $r_k(z) = \omega_k p_t^k(z)/p_t(z)$ "
        r"wherever $p_t(z) > 0$, "
        r"in continuous and in discrete time, for disjoint and for overlapping experts.",
        (
            Step(r"u_t^i(x,z)", "the central velocity", _central, "velocities.marginal_velocity"),
            Step(
                r"\frac{1}{p_t(z)} \sum_{x_0,x_1} u_t^i(x,z \mid x_0,x_1)\, p_t(z \mid x_0,x_1)\, \pi(x_0,x_1)",
                "definition: the posterior average of the conditional velocities (C03)",
                lambda c: c.flow.over_rates(c.flow.velocity),
            ),
            Step(
                r"\frac{1}{p_t(z)} \sum_{x_0,x_1} u_t^i(x,z \mid x_0,x_1)\, p_t(z \mid x_0,x_1) \sum_k \omega_k "
                r"\pi_k(x_0,x_1)",
                r"$\pi = \sum_k \omega_k \pi_k$; the conditional path and velocity are the same for all experts",
                _joint,
            ),
            Step(
                r"\sum_k \frac{\omega_k}{p_t(z)} \sum_{x_0,x_1} u_t^i(x,z \mid x_0,x_1)\, p_t(z \mid x_0,x_1)\, "
                r"\pi_k(x_0,x_1)",
                "exchange of finite sums",
                lambda c: _expert_sum(c, lambda flow, i, x, z: flow.flux(i, x, z)),
            ),
            Step(
                r"\sum_k \frac{\omega_k}{p_t(z)}\, p_t^k(z)\, u_t^{k,i}(x,z)",
                r"definition of $u_t^{k,i}$; where $p_t^k(z) = 0$ every term of the inner sum is zero",
                lambda c: _expert_sum(c, lambda flow, i, x, z: flow.path[z] * flow.velocity(i, x, z)),
            ),
            Step(
                r"\sum_k r_k(z)\, u_t^{k,i}(x,z)",
                r"definition of the router: Bayes' posterior of the expert given the state",
                _mixture,
                "decentralization.Decentralization.velocity",
            ),
        ),
        sizes=(
            ("masked", 1, 2, 2, "continuous"),
            ("masked", 2, 2, 2, "continuous"),
            ("masked", 2, 2, 2, "discrete"),
            ("masked", 2, 2, 3, "continuous"),
            ("joint", 1, 2, 2, "continuous"),
            ("joint", 1, 2, 3, "discrete"),
            ("joint", 1, 3, 2, "continuous"),
        ),
        names="source, N, V, K, time",
        instance=_instance,
    ),
)
