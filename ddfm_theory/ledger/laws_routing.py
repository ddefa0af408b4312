"""Laws of routing rules: C11, C13. Written once for every number system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, is_symbolic, stack, total
from ddfm_theory.couplings import Coupling
from ddfm_theory.decentralization import (
    Decentralization,
    hard_router,
    mix,
    top_k_gate,
)
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    exact,
    instance,
    masked_experts,
    moving_schedule,
    single_mover,
    table,
    two_coins,
    two_points,
)
from ddfm_theory.ledger.laws_paths import zeros
from ddfm_theory.ledger.records import Control, Equation, Statement
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import path_law, route_once_law, sampler_law, static_law
from ddfm_theory.schedulers import Autoregressive
from ddfm_theory.velocities import step_velocity

HALF = flint.fmpq(1, 2)


# C11 ------------------------------------------------------------------------------------------------------------------


def family_determined(draw: Draw) -> Any:
    """Draw masked experts and conditions that determine the expert."""
    experts = masked_experts(draw)
    return instance(
        experts=experts,
        assignments=[draw.integer(0, len(experts) - 1) for _ in range(2)],
        schedule=moving_schedule(draw, experts.central.length),
    )


def law_determined(case: Any, *, weights: Any = None) -> Iterator[Statement]:
    """C11: where the condition determines the expert, the posterior is one-hot and top-1 routing is exact."""
    experts, n = case.experts, case.experts.central.length
    columns = hard_router(case.assignments, len(experts), experts.weights) if weights is None else weights
    for b, k in enumerate(case.assignments):
        given = Decentralization(columns[:, b], experts.couplings)
        if weights is None:
            r = given.router(case.schedule, 0)
            expected = zeros(r)
            expected[k] = total(r, 0)
            yield Equation("the posterior is one-hot", r, expected)
        if is_symbolic(given.central.target):  # type: ignore[union-attr]
            continue
        steps = [
            mix(
                top_k_gate(given.router(Autoregressive(), t), 1),
                given.expert_step_velocities(Autoregressive(), t, t + 1),
            )
            for t in range(n)
        ]
        p = marginal_path(given.central, Autoregressive(), 0)
        for u in steps:
            p = oracle.step(p, u)
        yield Equation("top-1 routing is exact", p, marginal_path(given.central, Autoregressive(), n))


CONTROLS_C11 = (
    Control(
        "the expert is not determined: delta_0, delta_1, omega = 1/2",
        instance(experts=two_points(1), assignments=[0], schedule=table(["1/4"], ["1/2"])),
        {"weights": exact([["1/2"], ["1/2"]])},
        "top-1 routing is exact",
        "tv",
        HALF,
    ),
)


# C13 ------------------------------------------------------------------------------------------------------------------


def family_once(draw: Draw) -> Any:
    """Draw masked experts with single-mover schedules."""
    experts = masked_experts(draw)
    return instance(experts=experts, single=single_mover(draw, experts.central.length))


def law_once(case: Any, *, schedule: Any = None, static: bool = False, path: Any = None) -> Iterator[Statement]:
    """C13: drawing the expert once and mixing at every step have one law, and from masks one path law."""
    experts, n = case.experts, case.experts.central.length
    chosen = schedule or Autoregressive()
    times = range(n + 1) if schedule is None else range(2)
    for last in range(1, len(times)):
        mixed = (
            static_law(experts, chosen, times[: last + 1])
            if static
            else sampler_law(experts, chosen, times[: last + 1])
        )
        yield Equation(
            f"one-time laws agree after {last} steps", mixed, route_once_law(experts, chosen, times[: last + 1])
        )
    step = case.single
    yield Equation(
        "one mover: one-time laws agree", sampler_law(experts, step, (0, 1)), route_once_law(experts, step, (0, 1))
    )
    pair, rows = path or (experts, step)
    yield Equation("path laws agree", *_path_laws(pair, rows))


def _path_laws(experts: Decentralization, schedule: Any) -> tuple[Array, Array]:
    times = range(len(schedule.rows) - 1)
    mixed = path_law(
        marginal_path(experts.central, schedule, 0), [experts.step_velocity(schedule, t, t + 1) for t in times]
    )
    runs = [
        path_law(marginal_path(c, schedule, 0), [step_velocity(c, schedule, t, t + 1) for t in times])
        for c in experts.couplings
    ]
    return mixed, mix(experts.weights, stack(runs))


def _uniform_source() -> Decentralization:
    even = exact(["1/2", "1/2"])
    return Decentralization(even, [Coupling.independent(even, exact(law)) for law in (["3/4", "1/4"], ["1/4", "3/4"])])


CONTROLS_C13 = (
    Control(
        "two movers at once: delta_00, delta_11 in one parallel step",
        instance(experts=two_points(2), single=table([0, 0], [1, 0])),
        {"schedule": table([0, 0], [1, 1])},
        "one-time laws agree after 1 steps",
        "tv",
        HALF,
    ),
    Control(
        "omega_k at every step: autoregressive, (3/4, 1/4)^2 and (1/4, 3/4)^2",
        instance(experts=two_coins(2), single=table([0, 0], [1, 0])),
        {"static": True},
        "one-time laws agree after 2 steps",
        "tv",
        flint.fmpq(1, 8),
    ),
    Control(
        "a uniform source, N = 1, kappa = 0, 1/2, 1: the path laws differ",
        instance(experts=two_coins(1), single=table([0], ["1/2"], [1])),
        {"path": (_uniform_source(), table([0], ["1/2"], [1]))},
        "path laws agree",
        "tv",
        flint.fmpq(1, 40),
    ),
)
