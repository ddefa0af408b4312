"""Laws of experts and their router: C08-C10. Written once for every number system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, full, stack
from ddfm_theory.autoregression import chain_law as chain_rule
from ddfm_theory.autoregression import prefix_states
from ddfm_theory.couplings import Coupling, MaskedCoupling, states_of
from ddfm_theory.decentralization import (
    Decentralization,
    bayes_filter,
    bayes_filter_update,
    mix,
)
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    any_experts,
    exact,
    instance,
    masked_coupling,
    masked_experts,
    moving_schedule,
    product,
    table,
    two_coins,
)
from ddfm_theory.ledger.laws_paths import decides, law_marginal, zeros
from ddfm_theory.ledger.laws_steps import law_autoregression
from ddfm_theory.ledger.records import Control, Equation, Statement
from ddfm_theory.schedulers import Autoregressive
from ddfm_theory.velocities import marginal_velocity, step_velocity

HALF = flint.fmpq(1, 2)


def weights_everywhere(experts: Decentralization, like: Array) -> Array:
    """Return omega as a router: the same static weights at every state, shape of ``like``."""
    return experts.weights[(..., *(None,) * (like.ndim - 1))] * full(tuple(like.shape), 1, like)


# C08 ------------------------------------------------------------------------------------------------------------------


def family_decentralization(draw: Draw) -> Any:
    """Draw experts and a schedule."""
    experts = any_experts(draw)
    return instance(experts=experts, schedule=moving_schedule(draw, experts.central.length))


def law_decentralization(case: Any, *, router: str = "posterior") -> Iterator[Statement]:
    """C08: the router's mixture of velocities is the central velocity, both times; beside C03 and C06."""
    experts, schedule = case.experts, case.schedule
    central = experts.central
    r = experts.router(schedule, 0)
    r = r if router == "posterior" else weights_everywhere(experts, r)
    u = mix(r, experts.expert_velocities(schedule, 0))
    yield Equation("the mixture is the central velocity", u, marginal_velocity(central, schedule, 0))
    step = mix(r, experts.expert_step_velocities(schedule, 0, 1))
    yield Equation("the mixture is the central step velocity", step, step_velocity(central, schedule, 0, 1))
    p = oracle.path(central, schedule, schedule.weights(0, 0))
    p_dot = oracle.path_dot(central, schedule, schedule.weights(0, 0), schedule.slopes)
    yield Equation("the mixture generates the central path", p_dot + oracle.divergence(p, u), zeros(p))
    if router == "posterior" and central.length * central.size < 7:
        yield from law_marginal(instance(coupling=central, schedule=schedule))
        if isinstance(central, MaskedCoupling):
            yield from law_autoregression(instance(coupling=central, schedule=Autoregressive(), steps=central.length))


def family_large(draw: Draw, vocabulary: int, length: int, count: int) -> Any:
    """Draw masked experts of a given size with a schedule."""
    couplings = [masked_coupling(draw, length, vocabulary) for _ in range(count)]
    return instance(
        experts=Decentralization(draw.pmf((count,), "w"), couplings), schedule=moving_schedule(draw, length)
    )


def law_large(case: Any) -> Iterator[Statement]:
    """C08 alone, at the sizes where only the identity is feasible."""
    mixed, central = case.experts.velocity(case.schedule, 0), marginal_velocity(case.experts.central, case.schedule, 0)
    yield Equation("the mixture is the central velocity", mixed, central)


def _uniform_pair() -> Decentralization:
    even = exact(["1/2", "1/2"])
    laws = [exact(["3/4", "1/4"]), even]
    return Decentralization(even, [Coupling.independent(even, law) for law in laws])


CONTROLS_C08 = (
    Control(
        "omega_k in place of r_k(z): N = 2 masked, (3/4, 1/4)^2 and (1/4, 3/4)^2, kappa = 1/4",
        instance(experts=two_coins(2), schedule=table(["1/4", "1/4"], ["1/2", "1/2"], slopes=[1, 1])),
        {"router": "prior"},
        "the mixture is the central velocity",
        "largest",
        flint.fmpq(1, 6),
    ),
    Control(
        "omega_k in place of r_k(z): N = 1, uniform source, (3/4, 1/4) and (1/2, 1/2), kappa = 1/3",
        instance(experts=_uniform_pair(), schedule=table(["1/3"], ["1/2"], slopes=[1])),
        {"router": "prior"},
        "the mixture generates the central path",
        "l1",
        flint.fmpq(1, 210),
    ),
)


# C09 ------------------------------------------------------------------------------------------------------------------


def family_static(draw: Draw) -> Any:
    """Draw experts, and experts that are all alike (so that I(K; X_t) = 0)."""
    experts = any_experts(draw)
    alike = Decentralization(experts.weights, [experts.couplings[0]] * len(experts))
    return instance(experts=experts, alike=alike, schedule=moving_schedule(draw, experts.central.length))


def law_static(case: Any, *, alike: Any = None) -> Iterator[Statement]:
    """C09: static weights are off by sum_k (r_k - omega_k) u_k; by nothing where experts are alike."""
    experts, schedule = case.experts, case.schedule
    r, u = experts.router(schedule, 0), experts.expert_velocities(schedule, 0)
    omega = weights_everywhere(experts, r)
    central = marginal_velocity(experts.central, schedule, 0)
    yield Equation("central - static = sum_k (r_k - omega_k) u_k", central - mix(omega, u), mix(r - omega, u))
    same = alike or case.alike
    q = same.router(schedule, 0)
    static = mix(weights_everywhere(same, q), same.expert_velocities(schedule, 0))
    yield Equation("independent expert: static weights are exact", static, marginal_velocity(same.central, schedule, 0))
    if decides(experts.weights):
        yield from _affinely_independent(experts, r, omega, u, central)


def _affinely_independent(
    experts: Decentralization, r: Array, omega: Array, u: Array, central: Array
) -> Iterator[Statement]:
    """Where experts' velocities are affinely independent and all reach z, static is central only if r(z) = omega."""
    static = mix(omega, u)
    for z in oracle.states(experts.central):
        at = (slice(None), *z)
        rows = u[at].reshape(len(experts), -1)
        reached = all(bool(entry != 0) for entry in r[at])
        if reached and _rank(rows[1:] - rows[:1]) == len(experts) - 1 and bool((static[z] == central[z]).all()):
            yield Equation("affinely independent: only r = omega", r[at], omega[at])


def _rank(rows: Array) -> int:
    if rows.size == 0:
        return 0
    return int(flint.fmpq_mat([list(row) for row in rows.tolist()]).rank())


CONTROLS_C09 = (
    Control(
        "affinely independent experts with r(z) != omega: (3/4, 1/4)^2 and (1/4, 3/4)^2, kappa = 1/4",
        instance(
            experts=two_coins(2),
            alike=Decentralization(exact(["1/2", "1/2"]), [two_coins(2).couplings[0]] * 2),
            schedule=table(["1/4", "1/4"], ["1/2", "1/2"], slopes=[1, 1]),
        ),
        {"alike": two_coins(2)},
        "independent expert: static weights are exact",
        "largest",
        flint.fmpq(1, 6),
    ),
)


# C10 ------------------------------------------------------------------------------------------------------------------


def family_filter(draw: Draw) -> Any:
    """Draw masked experts."""
    return instance(experts=masked_experts(draw))


def law_filter(case: Any, *, rule: str = "bayes", prior: Any = None) -> Iterator[Statement]:
    """C10: the Bayes filter along a prefix is the posterior of the expert given the prefix."""
    experts = case.experts
    n, vocabulary = experts.central.length, experts.central.vocabulary
    sequences = states_of(vocabulary, n)
    steps = stack([chain_rule(coupling, sequences) for coupling in experts.couplings])
    prior = experts.weights if prior is None else prior
    start = prior[:, None] * full((1, sequences.shape[0]), 1, steps)
    r, posteriors = start, []
    for t in range(n):
        r = _filter_rule(rule, start, r, steps[..., t])
        posterior = _prefix_posterior(experts, sequences, t + 1)
        posteriors.append(posterior)
        yield Equation(f"the filter after {t + 1} tokens is the posterior", r, posterior)
        states = prefix_states(sequences, t + 1, vocabulary)
        yield Equation(
            "the router under the autoregressive schedule",
            experts.router_at(Autoregressive(), t + 1, states),
            posterior,
        )
    paths = stack([bayes_filter(prior, steps[:, b, :])[:, 1:] for b in range(sequences.shape[0])], axis=1)
    yield Equation("the filter's path is the posterior's", paths, stack(posteriors, axis=2))


def _filter_rule(rule: str, start: Array, r: Array, likelihoods: Array) -> Array:
    if rule == "forgets":
        return r
    return bayes_filter_update(start if rule == "last token" else r, likelihoods)


def _prefix_posterior(experts: Decentralization, sequences: np.ndarray, t: int) -> Array:
    """Return omega_k q_k(prefix) / sum_j omega_j q_j(prefix), each q_k(prefix) summed over its completions."""
    v = experts.central.vocabulary  # type: ignore[union-attr]
    out = full((len(experts), sequences.shape[0]), 0, experts.weights)
    for b, z in enumerate(prefix_states(sequences, t, v)):
        joint = [
            w * oracle.revealed_mass(c.target, tuple(int(x) for x in z), v)  # type: ignore[union-attr]
            for w, c in zip(experts.weights, experts.couplings, strict=True)
        ]
        evidence = sum(joint)
        for k, mass in enumerate(joint):
            out[k, b] = out[k, b] + (mass / evidence if bool(evidence != 0) else 0)
    return out


def _skewed() -> Decentralization:
    """Two experts whose likelihoods of 00 are 54/100 and 35/100, at odds 9 to 1."""
    laws = [product(["9/10", "1/10"], ["3/5", "2/5"]), product(["7/10", "3/10"], ["1/2", "1/2"])]
    return Decentralization(exact(["9/10", "1/10"]), [MaskedCoupling(law) for law in laws])


CONTROLS_C10 = (
    Control(
        "dropping the likelihood: N = 1: 3/4 against 1/2",
        instance(experts=two_coins(1)),
        {"rule": "forgets"},
        "the filter after 1 tokens is the posterior",
        "largest",
        flint.fmpq(1, 4),
    ),
    Control(
        "the last token only, with a fixed prior: 3/4 against 9/10",
        instance(experts=two_coins(2)),
        {"rule": "last token"},
        "the filter after 2 tokens is the posterior",
        "first",
        flint.fmpq(9, 10) - flint.fmpq(3, 4),
    ),
    Control(
        "a wrong prior, (1/2, 1/2) for (9/10, 1/10): 54/89 against 486/521",
        instance(experts=_skewed()),
        {"prior": exact(["1/2", "1/2"])},
        "the filter after 2 tokens is the posterior",
        "first",
        flint.fmpq(486, 521) - flint.fmpq(54, 89),
    ),
)
