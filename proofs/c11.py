r"""C11: where the condition determines the expert, the router is one-hot and top-1 routing is exact."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ddfm_theory.arrays import Array
from ddfm_theory.decentralization import Decentralization, hard_router, mix, top_k_gate
from ddfm_theory.ledger.draws import Draw, RandomDraw
from ddfm_theory.velocities import marginal_velocity
from proofs.derivation import Derivation, Grid, Step
from proofs.sums import ZERO, Flow, add, any_coupling, case, delta, free_schedule, over, tabulate


def _instance(draw: Draw, kind: str, length: int, vocabulary: int, count: int, chosen: int) -> Any:
    couplings = [any_coupling(draw, kind, length, vocabulary) for _ in range(count)]
    weights = hard_router([chosen], count, couplings[0].like)[:, 0]
    experts, schedule = Decentralization(weights, couplings), free_schedule(draw, length)
    flows = [Flow(coupling, schedule.rows[0], schedule.slopes) for coupling in couplings]
    return case(experts=experts, schedule=schedule, flows=flows, flow=flows[chosen], chosen=chosen)


def _router(c: Any, entry: Any) -> Array:
    shape = (len(c.experts), *(c.flow.d,) * c.flow.n)
    return tabulate(shape, lambda k, *z: ZERO if c.flow.path[z] == 0 else entry(k, z))


def _bayes(c: Any, k: int, z: Any) -> Any:
    chosen = range(len(c.flows))
    evidence = add(delta(j, c.chosen) * c.flows[j].path[z] for j in chosen)
    return over(delta(k, c.chosen) * c.flows[k].path[z], evidence)


def _grid() -> Iterator[Any]:
    sizes = [("masked", 1, 2, 2), ("masked", 2, 2, 3), ("joint", 1, 2, 2)]
    for size, chosen, seed in itertools.product(sizes, (0, 1), range(6)):
        yield _instance(RandomDraw((seed,)), *size, chosen)


def _mixture(c: Any, router: Array) -> Array:
    return mix(router, c.experts.expert_velocities(c.schedule, 0))


SIZES = (("masked", 1, 2, 2, 0), ("masked", 2, 2, 2, 1), ("masked", 2, 2, 3, 1), ("joint", 1, 2, 2, 0))
GIVEN = (
    r"Let the expert be a function $a(c)$ of the condition, by one rule in training and inference, so that "
    r"$\omega_k(c) = 1[k = a(c)]$. "
)

DERIVATIONS = (
    Derivation(
        "C11",
        "the router is one-hot",
        GIVEN + r"Then $r_k(z \mid c) = 1[k = a(c)]$ wherever $p_t(z \mid c) > 0$.",
        (
            Step(
                r"r_k(z \mid c)",
                "the router, given $c$",
                lambda c: c.experts.router(c.schedule, 0),
                "decentralization.Decentralization.router",
            ),
            Step(
                r"\frac{1[k = a(c)]\, p_t^k(z)}{\sum_j 1[j = a(c)]\, p_t^j(z)}",
                r"Bayes, with the prior $\omega_k(c) = 1[k = a(c)]$",
                lambda c: _router(c, lambda k, z: _bayes(c, k, z)),
            ),
            Step(
                r"1[k = a(c)]",
                r"the sum has one term, $p_t^{a(c)}(z) = p_t(z \mid c) > 0$",
                lambda c: _router(c, lambda k, z: delta(k, c.chosen)),
            ),
        ),
        sizes=SIZES,
        names="source, N, V, K, a",
        instance=_instance,
    ),
    Derivation(
        "C11",
        "top-1 routing is exact",
        GIVEN + r"Then running expert $a(c)$ alone is the central velocity given $c$.",
        (
            Step(
                r"u_t^i(x,z \mid c)",
                "the central velocity given $c$",
                lambda c: marginal_velocity(c.experts.central, c.schedule, 0),
                "velocities.marginal_velocity",
            ),
            Step(
                r"\sum_k r_k(z \mid c)\, u_t^{k,i}(x,z)",
                "C08 given $c$",
                lambda c: c.experts.velocity(c.schedule, 0),
                "decentralization.Decentralization.velocity",
            ),
            Step(
                r"u_t^{a(c),i}(x,z)",
                "the router is one-hot",
                lambda c: c.flow.over_rates(c.flow.velocity),
            ),
        ),
        sizes=SIZES,
        names="source, N, V, K, a",
        instance=_instance,
    ),
    Derivation(
        "C11",
        "a top-1 gate changes nothing",
        GIVEN + r"Then a top-1 gate leaves the router as it is.",
        (
            Step(
                r"\sum_k \mathrm{gate}_1(r(z \mid c))_k\, u_t^{k,i}(x,z)",
                "the gated mixture",
                lambda c: _mixture(c, top_k_gate(c.experts.router(c.schedule, 0), 1)),
                "decentralization.top_k_gate",
            ),
            Step(
                r"\sum_k \frac{1[k = a(c)]}{1}\, u_t^{k,i}(x,z)",
                "the largest weight is the only one, and it is one already",
                lambda c: _mixture(c, _router(c, lambda k, z: delta(k, c.chosen))),
            ),
            Step(
                r"u_t^{a(c),i}(x,z)",
                "one term stays",
                lambda c: c.flow.over_rates(c.flow.velocity),
            ),
        ),
        grid=Grid(r"rational experts drawn at random (an arg max needs an order), $N \le 2$, $K \le 3$", _grid),
    ),
)
