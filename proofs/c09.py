r"""C09: when static weights give the central velocity."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array
from ddfm_theory.couplings import Coupling
from ddfm_theory.decentralization import Decentralization, mix
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.laws_experts import weights_everywhere
from ddfm_theory.velocities import marginal_velocity
from proofs.derivation import Derivation, Step
from proofs.sums import ZERO, Flow, add, case, experts_of, free_schedule, over, tabulate


def _of(draw: Draw, experts: Decentralization) -> Any:
    schedule = free_schedule(draw, experts.central.length)
    flows = [Flow(coupling, schedule.rows[0], schedule.slopes) for coupling in experts.couplings]
    flow = Flow(experts.central, schedule.rows[0], schedule.slopes)
    return case(experts=experts, schedule=schedule, flow=flow, flows=flows)


def _any(draw: Draw, kind: str, length: int, vocabulary: int, count: int) -> Any:
    return _of(draw, experts_of(draw, kind, length, vocabulary, count))


def _one_path(draw: Draw, count: int) -> Any:
    """Draw experts with the same marginals and other couplings, N = 1: one path, unlike velocities."""
    base, shifts = draw.pmf((2, 2), positive=True), draw.numbers((count,), "s", 0, 3, 60)
    laws = [tabulate((2, 2), lambda a, b, s=s: base[a, b] + (s if a == b else -s)) for s in shifts]
    weights = draw.pmf((count,), "w")
    return _of(draw, Decentralization(weights, [Coupling(law) for law in laws]))


def _static(c: Any) -> Array:
    u = c.experts.expert_velocities(c.schedule, 0)
    return mix(weights_everywhere(c.experts, u[..., 0, 0]), u)


def _difference(c: Any) -> Array:
    return marginal_velocity(c.experts.central, c.schedule, 0) - _static(c)


def _router(c: Any, k: int, z: Any) -> Any:
    return over(c.experts.weights[k] * c.flows[k].path[z], c.flow.path[z])


def _weighted(c: Any, term: Any) -> Array:
    """Return sum_k term(k, i, x, z) over experts, at every state that the path charges."""
    count = len(c.experts)
    return c.flow.over_rates(lambda i, x, z: add(term(k, i, x, z) for k in range(count)))


def _two_sums(c: Any) -> Array:
    weights = c.experts.weights
    return _weighted(c, lambda k, i, x, z: _router(c, k, z) * c.flows[k].velocity(i, x, z)) - _weighted(
        c, lambda k, i, x, z: weights[k] * c.flows[k].velocity(i, x, z)
    )


def _gap(c: Any, k: int, z: Any) -> Any:
    return _router(c, k, z) - c.experts.weights[k]


def _affine(c: Any) -> Array:
    def term(k: int, i: int, x: int, z: Any) -> Any:
        if k == 0 or c.flow.path[z] == 0:
            return ZERO
        return _gap(c, k, z) * (c.flows[k].velocity(i, x, z) - c.flows[0].velocity(i, x, z))

    return _weighted(c, term)


def _library_gap(c: Any) -> Array:
    r, u = c.experts.router(c.schedule, 0), c.experts.expert_velocities(c.schedule, 0)
    return mix(r - weights_everywhere(c.experts, r), u)


def _of_experts(c: Any, entry: Any) -> Array:
    shape = (len(c.experts), *(c.flow.d,) * c.flow.n)
    return tabulate(shape, lambda k, *z: entry(k, z))


DERIVATIONS = (
    Derivation(
        "C09",
        "what static weights miss",
        r"Static weights give the central velocity at $z$ iff $\sum_k (r_k(z) - \omega_k)\, "
        r"u_t^k(\cdot,z) = 0$. Where all "
        r"$p_t^k(z) > 0$ and the experts' velocities at $z$ are affinely independent, the last line "
        r"is zero only if $r(z) = "
        r"\omega$.",
        (
            Step(
                r"u_t^i(x,z) - \sum_k \omega_k\, u_t^{k,i}(x,z)",
                "central less static",
                _difference,
                "velocities.marginal_velocity",
            ),
            Step(
                r"\sum_k r_k(z)\, u_t^{k,i}(x,z) - \sum_k \omega_k\, u_t^{k,i}(x,z)",
                "C08",
                _two_sums,
            ),
            Step(
                r"\sum_k \big(r_k(z) - \omega_k\big)\, u_t^{k,i}(x,z)",
                "collect",
                _library_gap,
                "decentralization.mix",
            ),
            Step(
                r"\sum_{k \ge 2} \big(r_k(z) - \omega_k\big) \big(u_t^{k,i}(x,z) - u_t^{1,i}(x,z)\big)",
                r"$\sum_k (r_k(z) - \omega_k) = 0$: take it times $u_t^{1,i}$",
                _affine,
            ),
        ),
        sizes=(("masked", 1, 2, 2), ("masked", 2, 2, 2), ("masked", 2, 2, 3), ("joint", 1, 2, 2), ("joint", 1, 2, 3)),
        names="source, N, V, K",
        instance=_any,
    ),
    Derivation(
        "C09",
        "an expert that the state does not tell",
        r"If $I(K; X_t) = 0$, that is $p_t^k = p_t$ for all $k$ with $\omega_k > 0$, static weights "
        r"are exact, however "
        r"unlike the experts' velocities. (The instances have one pair of marginals and several couplings.)",
        (
            Step(
                r"r_k(z)",
                "the router",
                lambda c: c.experts.router(c.schedule, 0),
                "decentralization.Decentralization.router",
            ),
            Step(
                r"\frac{\omega_k\, p_t^k(z)}{\sum_j \omega_j\, p_t^j(z)}",
                "Bayes",
                lambda c: _of_experts(
                    c,
                    lambda k, z: over(
                        c.experts.weights[k] * c.flows[k].path[z],
                        add(w * flow.path[z] for w, flow in zip(c.experts.weights, c.flows, strict=True)),
                    ),
                ),
            ),
            Step(
                r"\frac{\omega_k\, p_t(z)}{p_t(z) \sum_j \omega_j}",
                r"$p_t^k = p_t$ for all experts",
                lambda c: _of_experts(
                    c, lambda k, z: over(c.experts.weights[k] * c.flow.path[z], c.flow.path[z] * add(c.experts.weights))
                ),
            ),
            Step(
                r"\omega_k\, 1[p_t(z) > 0]",
                r"$\sum_j \omega_j = 1$",
                lambda c: _of_experts(c, lambda k, z: ZERO if c.flow.path[z] == 0 else c.experts.weights[k]),
            ),
        ),
        sizes=((2,), (3,)),
        names="K",
        instance=_one_path,
    ),
    Derivation(
        "C09",
        "then the static mixture is the central velocity",
        r"Same hypothesis: the static mixture is the central velocity.",
        (
            Step(r"\sum_k \omega_k\, u_t^{k,i}(x,z)", "the static mixture", _static, "decentralization.mix"),
            Step(
                r"\sum_k \omega_k \frac{1}{p_t(z)} \sum_{x_0,x_1} u_t^i(x,z \mid x_0,x_1)\, p_t(z \mid x_0,x_1)\, "
                r"\pi_k(x_0,x_1)",
                r"definition of $u_t^{k,i}$, and $p_t^k = p_t$",
                lambda c: _weighted(
                    c,
                    lambda k, i, x, z: c.experts.weights[k] * over(c.flows[k].flux(i, x, z), c.flow.path[z]),
                ),
            ),
            Step(
                r"u_t^i(x,z)",
                r"exchange; $\pi = \sum_k \omega_k \pi_k$; definition of $u_t^i$",
                lambda c: marginal_velocity(c.experts.central, c.schedule, 0),
                "velocities.marginal_velocity",
            ),
        ),
        sizes=((2,), (3,)),
        names="K",
        instance=_one_path,
    ),
)
