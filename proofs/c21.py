r"""C21: mixing velocities and sampling positions apart, or mixing the experts' own kernels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ddfm_theory.arrays import Array
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import product, single_mover, table
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import mixed_kernel_law, propagate
from ddfm_theory.stability import total_variation
from proofs.derivation import Derivation, Grid, Step
from proofs.sums import Flow, add, case, delta, experts_of, free_schedule, over, pmfs, times, vanishes


def _of(experts: Decentralization, schedule: Any) -> Any:
    now, after = schedule.rows[:2]
    flows = [Flow(coupling, now, after - now) for coupling in experts.couplings]
    return case(experts=experts, schedule=schedule, flow=Flow(experts.central, now, after - now), flows=flows)


def _any(draw: Draw, vocabulary: int, count: int) -> Any:
    return _of(experts_of(draw, "masked", 2, vocabulary, count), free_schedule(draw, 2))


def _single(draw: Draw, vocabulary: int, count: int) -> Any:
    return _of(experts_of(draw, "masked", 2, vocabulary, count), single_mover(draw, 2))


def _drawn(c: Any) -> Array:
    velocities = c.experts.expert_step_velocities(c.schedule, 0, 1)
    return mixed_kernel_law(
        marginal_path(c.experts.central, c.schedule, 0), c.experts.router(c.schedule, 0), velocities
    )


def _mixed(c: Any) -> Array:
    return propagate(marginal_path(c.experts.central, c.schedule, 0), c.experts.step_velocity(c.schedule, 0, 1))


def _router(c: Any, k: int, z: Any) -> Any:
    return over(c.experts.weights[k] * c.flows[k].path[z], c.flow.path[z])


def _kernel(c: Any, k: int, i: int, y: Any, z: Any) -> Any:
    """Return K_k^i(y^i | z) = (delta_{z^i} + u^{k,i}(., z))(y^i)."""
    return delta(y[i], z[i]) + c.flows[k].velocity(i, y[i], z)


def _averaged(c: Any, term: Any) -> Array:
    """Return per state y the sum over z of p(z) term(y, z)."""
    charged = [z for z in c.flow.states if not vanishes(c.flow.path[z])]
    return c.flow.over_states(lambda y: add(c.flow.path[z] * term(y, z) for z in charged))


def _mean(c: Any, z: Any, term: Any) -> Any:
    return add(_router(c, k, z) * term(k) for k in range(len(c.flows)))


def _covariance(c: Any, y: Any, z: Any) -> Any:
    apart = times(_mean(c, z, lambda k, i=i: _kernel(c, k, i, y, z)) for i in range(2))
    return _mean(c, z, lambda k: _kernel(c, k, 0, y, z) * _kernel(c, k, 1, y, z)) - apart


def _by_pairs(c: Any, y: Any, z: Any) -> Any:
    pairs = itertools.combinations(range(len(c.flows)), 2)
    return add(
        _router(c, k, z) * _router(c, j, z) * times(_kernel(c, k, i, y, z) - _kernel(c, j, i, y, z) for i in range(2))
        for k, j in pairs
    )


def _grid() -> Iterator[Any]:
    """Two experts of independent tokens, weights in thirds and token laws in halves, all revealed in one step."""
    single, schedule = list(pmfs(2, 2)), table([0, 0], [1, 1])
    for w, *laws in itertools.product(pmfs(2, 3), *([single] * 4)):
        couplings = [MaskedCoupling(product(*laws[:2])), MaskedCoupling(product(*laws[2:]))]
        c = _of(Decentralization(w, couplings), schedule)
        c.w, c.shifts = w, [laws[0][0] - laws[2][0], laws[1][0] - laws[3][0]]
        yield c


def _signed(c: Any) -> Any:
    """Return half the sum over tokens of |r1 r2 (+-Dp^1)(+-Dp^2)|."""
    signs = itertools.product((1, -1), repeat=2)
    return add(abs(times([*c.w, a * c.shifts[0], b * c.shifts[1]])) for a, b in signs) / 2


COVARIANCE = Derivation(
    "C21",
    "two positions: the difference is a covariance",
    r"With $K_k^i = \delta_{z^i} + u^{k,i}(\cdot,z)$: drawing an expert from $r(z)$ and running its "
    r"kernel, less sampling the "
    r"mixed velocity position by position, is the router's covariance of the kernels at the two positions.",
    (
        Step(
            r"\sum_z p(z) \sum_k r_k(z)\, K_k^1(y^1 \mid z)\, K_k^2(y^2 \mid z) - \big(\text{sampler "
            r"of } \textstyle\sum_k r_k "
            r"u^k\big)(y)",
            "mixing kernels less mixing velocities",
            lambda c: _drawn(c) - _mixed(c),
            "sampling.mixed_kernel_law",
        ),
        Step(
            r"\sum_z p(z) \Big( \sum_k r_k K_k^1 K_k^2 - \Big(\sum_k r_k K_k^1\Big) \Big(\sum_k r_k K_k^2\Big) \Big)",
            r"definition; $\delta_{z^i} + \sum_k r_k u^{k,i} = \sum_k r_k K_k^i$, since $\sum_k r_k(z) = 1$",
            lambda c: _averaged(c, lambda y, z: _covariance(c, y, z)),
        ),
        Step(
            r"\sum_z p(z) \sum_{k<l} r_k r_l \big(K_k^1 - K_l^1\big)(y^1 \mid z) \big(K_k^2 - K_l^2\big)(y^2 \mid z)",
            r"covariance by pairs: $\sum_k r_k = 1$ (Lagrange's identity)",
            lambda c: _averaged(c, lambda y, z: _by_pairs(c, y, z)),
        ),
    ),
    sizes=((1, 2), (2, 2), (2, 3)),
    names="V, K",
    instance=_any,
)

ONE_MOVER = Derivation(
    "C21",
    "one mover: one law",
    r"Where at most one position moves, the two are the same law.",
    (
        Step(
            r"\sum_z p(z) \sum_k r_k(z)\, K_k^1(y^1 \mid z)\, K_k^2(y^2 \mid z)",
            "mixing kernels",
            _drawn,
            "sampling.mixed_kernel_law",
        ),
        Step(
            r"\sum_z p(z) \Big(\sum_k r_k(z)\, K_k^1(y^1 \mid z)\Big) \Big(\sum_k r_k(z)\, K_k^2(y^2 \mid z)\Big)",
            r"at each $z$ one of $K_k^1, K_k^2$ is $\delta_{z^i}$ for every $k$, and goes out of the sum",
            lambda c: _averaged(
                c, lambda y, z: times(_mean(c, z, lambda k, i=i: _kernel(c, k, i, y, z)) for i in range(2))
            ),
        ),
        Step(
            r"\big(\text{sampler of } \textstyle\sum_k r_k u^k\big)(y)",
            r"$\sum_k r_k(z) = 1$; definition of the sampler",
            _mixed,
            "sampling.propagate",
        ),
    ),
    sizes=((1, 2), (2, 2), (2, 3)),
    names="V, K",
    instance=_single,
)

TWO_BY_TWO = Derivation(
    "C21",
    "two experts, two tokens",
    r"Two positions revealed at once, two experts of independent tokens, two tokens: $\mathrm{TV} = "
    r"2\, |r_1 r_2\, \Delta p^1 "
    r"\Delta p^2|$ with $\Delta p^i$ the experts' difference in the first token's probability at position $i$.",
    (
        Step(
            r"\mathrm{TV}(\text{mixing kernels}, \text{mixing velocities})",
            "the distance of the two laws",
            lambda c: total_variation(_drawn(c).reshape(-1), _mixed(c).reshape(-1)),
            "stability.total_variation",
        ),
        Step(
            r"\tfrac12 \sum_{y^1,y^2} \big| r_1 r_2\, (\pm\Delta p^1)(\pm\Delta p^2) \big|",
            r"the covariance by pairs; of two tokens one gains what the other loses",
            _signed,
        ),
        Step(
            r"2\, |r_1 r_2\, \Delta p^1 \Delta p^2|",
            "four equal terms",
            lambda c: 2 * abs(times([*c.w, *c.shifts])),
        ),
    ),
    grid=Grid("weights in thirds, token laws in halves", _grid),
)

DERIVATIONS = (COVARIANCE, ONE_MOVER, TWO_BY_TWO)
