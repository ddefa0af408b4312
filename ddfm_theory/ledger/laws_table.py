"""Laws of the masked source's one table: C22. Written once for every number system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, ratio, stack, total
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    Rows,
    exact,
    instance,
    masked_experts,
    moving_schedule,
    table,
)
from ddfm_theory.ledger.laws_paths import zeros
from ddfm_theory.ledger.records import Control, Equation, Statement
from ddfm_theory.paths import mask_factors

# C22 ------------------------------------------------------------------------------------------------------------------


def family_table(draw: Draw) -> Any:
    """Draw masked experts and two schedules."""
    experts = masked_experts(draw)
    n = experts.central.length
    return instance(experts=experts, first=moving_schedule(draw, n), second=moving_schedule(draw, n))


def law_table(case: Any, *, experts: Any = None, schedules: Any = None) -> Iterator[Statement]:
    """C22: S(z) serves path, posterior and router, whatever the time and the schedule."""
    experts = experts or case.experts
    first, second = schedules or (case.first, case.second)
    if isinstance(experts.central, MaskedCoupling) and not isinstance(first, tuple):
        yield from _partial_marginals(experts, first)
    routers = [_posterior(experts, schedule) for schedule in (first, second)]
    common = ratio(total(routers[0], 0) * total(routers[1], 0), total(routers[0], 0) * total(routers[1], 0))
    sides = [router * common[None] for router in routers]
    yield Equation("the router is free of time and schedule", *sides)
    corner = (slice(None), *(-1,) * (sides[0].ndim - 1))
    yield Equation("the router at the last state is free of the schedule", *(side[corner] for side in sides))


def _posterior(experts: Decentralization, schedules: Any) -> Array:
    """Return omega_k p^k / p by enumeration of each expert's path; ``schedules`` is one, or one an expert."""
    each = schedules if isinstance(schedules, tuple) else (schedules,) * len(experts)
    paths = [
        oracle.path(c, s, s.weights(0, 0)) * w for c, s, w in zip(experts.couplings, each, experts.weights, strict=True)
    ]
    joint = stack(paths)
    return ratio(joint, total(joint, 0)[None])


def _partial_marginals(experts: Decentralization, schedule: Rows) -> Iterator[Statement]:
    central, weights = experts.central, schedule.weights(0, 0)
    masses = zeros(central.revealed)  # type: ignore[union-attr]
    for z in oracle.states(central):
        masses[z] = masses[z] + oracle.revealed_mass(central.target, z, central.vocabulary)  # type: ignore[union-attr]
    yield Equation("the table is the probability of the revealed tokens", central.revealed, masses)  # type: ignore[union-attr]
    factors = mask_factors(weights, central.size)
    expected = masses
    for i, vector in enumerate(factors):
        expected = expected * vector[(..., *(None,) * (central.length - i - 1))]
    yield Equation(
        "p_t(z) = S(z) prod kappa or 1 - kappa", oracle.path(central, schedule, schedule.weights(0, 0)), expected
    )
    yield Equation("the router is omega_k S_k / S", experts.router(schedule, 0), _posterior(experts, schedule))


def _uniform_experts() -> Decentralization:
    even = exact(["1/2", "1/2"])
    laws = (exact(["3/4", "1/4"]), exact(["1/4", "3/4"]))
    return Decentralization(even, [Coupling.independent(even, law) for law in laws])


def _coins() -> Any:
    laws = (exact(["3/4", "1/4"]), exact(["1/4", "3/4"]))
    return instance(
        experts=Decentralization(exact(["1/2", "1/2"]), [MaskedCoupling(law) for law in laws]),
        first=table(["1/4"]),
        second=table(["1/2"]),
    )


CONTROLS_C22 = (
    *(
        Control(
            f"a uniform source: r_1(0) = {got} at kappa = {kappa}, 1/2 at kappa = 0",
            _coins(),
            {"experts": _uniform_experts(), "schedules": (table([kappa]), table([0]))},
            "the router is free of time and schedule",
            "largest",
            value,
        )
        for kappa, got, value in (
            ("1/4", "9/16", flint.fmpq(1, 16)),
            ("1/2", "5/8", flint.fmpq(1, 8)),
            ("1", "3/4", flint.fmpq(1, 4)),
        )
    ),
    Control(
        "experts with different schedules, t^2 and t at t = 1/3: r_1(m) = 4/7 instead of 1/2",
        _coins(),
        {"schedules": ((table(["1/9"]), table(["1/3"])), table(["1/3"]))},
        "the router at the last state is free of the schedule",
        "largest",
        flint.fmpq(1, 14),
    ),
)
