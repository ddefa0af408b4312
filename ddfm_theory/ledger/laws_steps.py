"""Laws of steps of whole states, and of autoregression: C05, C06. Written once for every number system."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, full, is_symbolic, stack
from ddfm_theory.autoregression import next_token_law_at, next_token_velocity
from ddfm_theory.continuity import step_continuity_residual
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    TWO_WAYS,
    Rows,
    any_coupling,
    exact,
    instance,
    masked,
    masked_coupling,
    moving_schedule,
    reveal_order,
    single_mover,
    table,
)
from ddfm_theory.ledger.laws_paths import HALF, decides, truth, zeros
from ddfm_theory.ledger.records import Control, Equation, Inequality, Statement
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import chain_law, propagate
from ddfm_theory.schedulers import Autoregressive, Steps
from ddfm_theory.stability import total_variation
from ddfm_theory.velocities import (
    step_velocity,
)

# C05 ------------------------------------------------------------------------------------------------------------------


def family_states(draw: Draw) -> Any:
    """Draw a coupling with a step of at most one mover, and a masked one with any step."""
    coupling = any_coupling(draw)
    length = draw.integer(1, 2)
    parallel = masked_coupling(draw, length, 2)
    schedule = single_mover(draw, coupling.length)
    return instance(coupling=coupling, single=schedule, masked=parallel, general=moving_schedule(draw, length))


def law_states(case: Any, *, schedule: Any = None, general: Rows | None = None) -> Iterator[Statement]:
    """C05: exact where at most one position moves; masked, exactly when the hidden movers are independent."""
    coupling, single = case.coupling, schedule or case.single
    for s, t in itertools.pairwise(range(len(single.rows))):
        p, after = marginal_path(coupling, single, s), marginal_path(coupling, single, t)
        u = step_velocity(coupling, single, s, t)
        yield Equation("one mover: the step is exact", propagate(p, u), after)
        residual = step_continuity_residual(p, after, u)
        yield Equation("one mover: first-order continuity is exact", residual, zeros(p))
    yield from _parallel(case.masked, general or case.general)


def _parallel(coupling: MaskedCoupling, schedule: Rows) -> Iterator[Statement]:
    p, after = marginal_path(coupling, schedule, 0), marginal_path(coupling, schedule, 1)
    u = step_velocity(coupling, schedule, 0, 1)
    law, moves = propagate(p, u), schedule.kappa(1, 0) - schedule.kappa(0, 0)
    yield Equation("the exact step is the definition's", law, oracle.step(p, u))
    if is_symbolic(moves):
        return
    bound = sum((moves[i] * moves[j] for i in range(len(moves)) for j in range(i)), full((1,), 0, moves)[0])
    defect = total_variation(law.reshape(-1), after.reshape(-1))
    yield Inequality("the defect of a step is at most sum_{i<j} Dk^i Dk^j", stack([defect]), stack([bound]))
    if decides(moves):
        balanced = bool((step_continuity_residual(p, after, u) == 0).all())
        yield truth("first-order continuity iff at most one mover", balanced, int(sum(m != 0 for m in moves)) <= 1)
        yield truth(
            "exact iff the hidden movers are independent", bool((law == after).all()), _independent(coupling, p, moves)
        )


def _independent(coupling: MaskedCoupling, p: Array, moves: Array) -> bool:
    """Tell whether at each reachable state the hidden movers are independent under q given the revealed tokens."""
    for z in oracle.states(coupling):
        movers = [i for i in range(len(z)) if z[i] == coupling.mask and moves[i] != 0]
        if p[z] == 0 or len(movers) < 2:
            continue
        laws = {i: oracle.next_token(coupling.target, z, i, coupling.vocabulary) for i in movers}
        mass = oracle.revealed_mass(coupling.target, z, coupling.vocabulary)
        for shown in itertools.product(range(coupling.vocabulary), repeat=len(movers)):
            y, expected = list(z), flint.fmpq(1)
            for i, token in zip(movers, shown, strict=True):
                y[i], expected = token, expected * laws[i][token]
            if oracle.revealed_mass(coupling.target, tuple(y), coupling.vocabulary) / mass != expected:
                return False
    return True


def _first_base_dies(before: str, after: str) -> Rows:
    """Return a step in three bases, mask, mask and data, that spends the first: (1 - 2k, k, k) to (0, k', k')."""
    k, last = exact([before, before]), exact([after, after])
    return Rows([stack([1 - k * 2, k, k]), stack([last * 0, last, last])], bases=exact([[0, 0, 1]]))


CONTROLS_C05 = (
    Control(
        "two movers at once: 00/11 in one step",
        instance(
            coupling=masked(TWO_WAYS),
            single=table([0, 0], [1, 0], [1, 1]),
            masked=masked(TWO_WAYS),
            general=table([0, 0], [1, 0]),
        ),
        {"schedule": table([0, 0], [1, 1])},
        "one mover: the step is exact",
        "tv",
        HALF,
    ),
    # In two bases, (1 - k, k), the same path misses by (k' - k)^2 / 2. In three, spending the first base redraws every
    # position, and the step misses by (1 - k)^2 k'^2 / 2: from k = (1 - h)/2 to 1/2 at least 1/32, however small h.
    *(
        Control(
            f"three components, the first spent from kappa = {before} to 1/2: 00/11 misses by {defect}, not O(h^2)",
            instance(
                coupling=masked(TWO_WAYS),
                single=table([0, 0], [1, 0]),
                masked=masked(TWO_WAYS),
                general=table([before] * 2, ["1/2"] * 2),
            ),
            {"general": _first_base_dies(before, "1/2")},
            "the defect of a step is at most sum_{i<j} Dk^i Dk^j",
            "gap",
            value,
        )
        for before, defect, value in (
            ("1/4", "9/128", flint.fmpq(1, 128)),
            ("3/8", "25/512", flint.fmpq(17, 512)),
            ("7/16", "81/2048", flint.fmpq(73, 2048)),
        )
    ),
)


# C06 ------------------------------------------------------------------------------------------------------------------


def family_autoregression(draw: Draw) -> Any:
    """Draw a masked target and an order of its positions."""
    length = draw.integer(1, draw.limit)
    coupling = masked_coupling(draw, length, draw.integer(1, 2))
    return instance(coupling=coupling, schedule=reveal_order(draw, length), steps=length)


def law_autoregression(case: Any, *, schedule: Any = None, steps: int | None = None) -> Iterator[Statement]:
    """C06: on reachable states the velocity is the next-token law less the mask, and N steps give q."""
    coupling, schedule, steps = case.coupling, schedule or case.schedule, steps or case.steps
    if steps == coupling.length:
        yield from _next_tokens(coupling, schedule)
    p = chain_law(
        marginal_path(coupling, schedule, 0), [step_velocity(coupling, schedule, t, t + 1) for t in range(steps)]
    )
    target = full(tuple(p.shape), 0, p)
    target[(slice(coupling.vocabulary),) * coupling.length] = coupling.target
    yield Equation("the steps give q", p, target)


def _next_tokens(coupling: MaskedCoupling, schedule: Any) -> Iterator[Statement]:
    n, mask = coupling.length, coupling.mask
    for t, position in enumerate(schedule.positions(n)):
        p, u = marginal_path(coupling, schedule, t), step_velocity(coupling, schedule, t, t + 1)
        expected, reached = zeros(u), [z for z in oracle.states(coupling) if not bool(p[z] == 0)]
        for z in reached:
            for token, chance in enumerate(oracle.next_token(coupling.target, z, position, coupling.vocabulary)):
                expected[(*z, position, token)] = chance
            expected[(*z, position, mask)] = -full((1,), 1, u)[0]
        yield Equation("the velocity is the next-token law less the mask", u, expected)
        found = next_token_velocity(next_token_law_at(coupling, reached, position))
        yield Equation("it is that of the law at prefixes", found, stack([expected[(*z, position)] for z in reached]))


CONTROLS_C06 = (
    Control(
        "two positions revealed at once: 00/11",
        instance(coupling=masked(TWO_WAYS), schedule=Autoregressive(), steps=2),
        {"schedule": Steps([[0, 0], [1, 1]]), "steps": 1},
        "the steps give q",
        "tv",
        HALF,
    ),
)
