r"""C22: from the all-mask source one table of partial marginals serves path, posterior and router."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.objectives import denoiser
from ddfm_theory.paths import marginal_path
from proofs.derivation import Derivation, Step
from proofs.sums import (
    ZERO,
    Flow,
    add,
    case,
    delta,
    experts_of,
    free_schedule,
    marginal,
    over,
    revealed,
    tabulate,
    times,
    vanishes,
)


def _instance(draw: Draw, length: int, vocabulary: int, count: int) -> Any:
    experts, schedule = experts_of(draw, "masked", length, vocabulary, count), free_schedule(draw, length)
    central = experts.central
    return case(
        experts=experts,
        schedule=schedule,
        kappa=schedule.rows[0][-1],
        coupling=central,
        mask=central.mask,
        flow=Flow(central, schedule.rows[0], schedule.slopes),
        q=central.target,
    )


def _mass(c: Any, q: Array, z: Any) -> Any:
    """Return S(z), the probability under q of the revealed tokens of z."""
    return marginal(q, revealed(z, c.mask))


def _coins(c: Any, z: Any) -> Any:
    return times(1 - c.kappa[i] if token == c.mask else c.kappa[i] for i, token in enumerate(z))


def _dense(c: Any) -> Array:
    """Return the path through the joint pmf over all pairs of states, which knows of no table."""
    return marginal_path(c.coupling.enumerated(), c.schedule, 0)


def _agreeing(c: Any) -> Array:
    """Return the sum over x1 of q(x1) times the factors of revealed positions that agree and of hidden ones."""

    def factor(i: int, token: int, x1: Any) -> Any:
        return 1 - c.kappa[i] if token == c.mask else c.kappa[i] * delta(x1[i], token)

    return c.flow.over_states(
        lambda z: add(mass * times(factor(i, token, x1) for i, token in enumerate(z)) for _, x1, mass in c.flow.pairs)
    )


def _experts(c: Any, mass: Any) -> Array:
    """Return omega_k mass(q_k, z) over their sum, at the states that the path charges."""
    weights, laws = c.experts.weights, [coupling.target for coupling in c.experts.couplings]

    def entry(k: int, *z: int) -> Any:
        joint = [w * mass(q, z) for w, q in zip(weights, laws, strict=True)]
        return ZERO if c.flow.path[z] == 0 else over(joint[k], add(joint))

    return tabulate((len(laws), *(c.flow.d,) * c.flow.n), entry)


def _path_of(c: Any, q: Array, z: Any) -> Any:
    """Return an expert's path at z from the definition."""
    tokens = [x for x in c.flow.states if c.mask not in x]
    return add(q[x] * c.flow.given(z, (c.mask,) * c.flow.n, x) for x in tokens)


def _hidden(c: Any, entry: Any) -> Array:
    """Return entry(i, x, z) at hidden positions of states that the path charges: (d,) * N + (N, V)."""
    shape = (c.flow.d,) * c.flow.n + (c.flow.n, c.mask)

    def at(*index: int) -> Any:
        i, x, z = index[-2], index[-1], index[:-2]
        return entry(i, x, z) if z[i] == c.mask and not vanishes(c.flow.path[z]) else ZERO

    return tabulate(shape, at)


def _shown(c: Any, i: int, x: int, z: Any) -> Any:
    return (*z[:i], x, *z[i + 1 :])


def _denoised(c: Any) -> Array:
    law = denoiser(c.coupling)
    return _hidden(c, lambda i, x, z: law[(*z, i, x)])


def _posterior(c: Any, i: int, x: int, z: Any) -> Any:
    return add(c.flow.posterior(x0, x1, mass, z) for x0, x1, mass in c.flow.pairs if x1[i] == x)


SIZES = ((1, 2, 2), (1, 3, 2), (2, 2, 2), (2, 2, 3))
NAMES = "N, V, K"

DERIVATIONS = (
    Derivation(
        "C22",
        "the path",
        r"$p_t(z) = S(z) \prod_i (\kappa_t^i \text{ or } 1 - \kappa_t^i)$, with $S(z)$ the "
        r"probability under $q$ of the "
        r"revealed tokens of $z$, $\kappa_t^i$ where position $i$ is revealed and $1 - \kappa_t^i$ "
        r"where it is masked.",
        (
            Step(r"p_t(z)", "the marginal path, of the joint pmf of source and target", _dense, "paths.marginal_path"),
            Step(
                r"\sum_{x_1} q(x_1) \prod_i \big((1-\kappa_t^i)\, \delta_m(z^i) + \kappa_t^i\, "
                r"\delta_{x_1^i}(z^i)\big)",
                r"definition; the source is all masks",
                lambda c: c.flow.over_states(lambda z: c.flow.path[z]),
            ),
            Step(
                r"\sum_{x_1} q(x_1) \prod_{i:\, z^i = m} (1-\kappa_t^i) \prod_{i:\, z^i \ne m} \kappa_t^i\, "
                r"\delta_{x_1^i}(z^i)",
                r"$m$ is outside the support of $q$, so one of the two terms is zero",
                _agreeing,
            ),
            Step(
                r"S(z) \prod_{i:\, z^i = m} (1-\kappa_t^i) \prod_{i:\, z^i \ne m} \kappa_t^i",
                r"the factors do not depend on $x_1$; $S(z) = \sum_{x_1} q(x_1) \prod_{i:\, z^i \ne "
                r"m} \delta_{x_1^i}(z^i)$",
                lambda c: c.flow.over_states(lambda z: c.coupling.revealed[z] * _coins(c, z)),
                "couplings.MaskedCoupling.revealed",
            ),
        ),
        sizes=SIZES,
        names=NAMES,
        instance=_instance,
    ),
    Derivation(
        "C22",
        "the posterior of a hidden token",
        r"At hidden $i$, $P(x_1^i = x \mid z) = S(z^{i \to x}) / S(z)$ wherever $p_t(z) > 0$: free of "
        r"$t$ and of the schedule.",
        (
            Step(
                r"P(x_1^i = x \mid z) = \sum_{x_0,x_1} \delta_{x_1^i}(x) \frac{\pi(x_0,x_1)\, p_t(z "
                r"\mid x_0,x_1)}{p_t(z)}",
                "definition of the posterior",
                lambda c: _hidden(c, lambda i, x, z: _posterior(c, i, x, z)),
            ),
            Step(
                r"\frac{\prod_i (\kappa_t^i \text{ or } 1-\kappa_t^i) \sum_{x_1} q(x_1)\, "
                r"\delta_{x_1^i}(x) \prod_{j:\, z^j "
                r"\ne m} \delta_{x_1^j}(z^j)}{S(z) \prod_i (\kappa_t^i \text{ or } 1-\kappa_t^i)}",
                "the path, above and below",
                lambda c: _hidden(
                    c,
                    lambda i, x, z: over(
                        _coins(c, z) * _mass(c, c.q, _shown(c, i, x, z)), _mass(c, c.q, z) * _coins(c, z)
                    ),
                ),
            ),
            Step(
                r"\frac{S(z^{i \to x})}{S(z)}",
                r"the schedule cancels, $p_t(z) > 0$; definition of $S$",
                _denoised,
                "objectives.denoiser",
            ),
        ),
        sizes=SIZES,
        names=NAMES,
        instance=_instance,
    ),
    Derivation(
        "C22",
        "the router",
        r"$r_k(z) = \omega_k S_k(z) / S(z)$ wherever $p_t(z) > 0$: free of $t$ and of the schedule, "
        r"equal or per position.",
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
                lambda c: _experts(c, lambda q, z: _path_of(c, q, z)),
            ),
            Step(
                r"\frac{\omega_k\, S_k(z) \prod_i (\kappa_t^i \text{ or } 1-\kappa_t^i)}{\sum_j "
                r"\omega_j\, S_j(z) \prod_i "
                r"(\kappa_t^i \text{ or } 1-\kappa_t^i)}",
                "the path of each expert; they have one schedule",
                lambda c: _experts(c, lambda q, z: _mass(c, q, z) * _coins(c, z)),
            ),
            Step(
                r"\frac{\omega_k\, S_k(z)}{S(z)}",
                r"the schedule cancels; $\sum_j \omega_j S_j = S$, as $\sum_j \omega_j q_j = q$",
                lambda c: _experts(c, lambda q, z: _mass(c, q, z)),
            ),
        ),
        sizes=SIZES,
        names=NAMES,
        instance=_instance,
    ),
)
