"""Laws of steps of whole states and of the masked source: C05, C06, C20-C22. Written once for every number system."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, full, is_object, is_symbolic, ratio, stack, total
from ddfm_theory.autoregression import next_token_law_at
from ddfm_theory.continuity import step_continuity_residual
from ddfm_theory.couplings import Coupling, MaskedCoupling, states_of
from ddfm_theory.decentralization import Decentralization
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
    masked_experts,
    moving_schedule,
    reveal_order,
    single_mover,
    table,
    two_points,
)
from ddfm_theory.ledger.laws_paths import HALF, decides, truth, zeros
from ddfm_theory.ledger.records import Control, Equation, Inequality, Statement
from ddfm_theory.paths import marginal_path, mask_factors
from ddfm_theory.sampling import chain_law, mixed_kernel_law, propagate, sampler_law
from ddfm_theory.schedulers import Autoregressive, Linear, Steps, Windowed
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
        expected = zeros(u)
        for z in oracle.states(coupling):
            if bool(p[z] == 0):
                continue
            for token, chance in enumerate(oracle.next_token(coupling.target, z, position, coupling.vocabulary)):
                expected[(*z, position, token)] = chance
            expected[(*z, position, mask)] = -full((1,), 1, u)[0]
        yield Equation("the velocity is the next-token law less the mask", u, expected)


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


# C20 ------------------------------------------------------------------------------------------------------------------


def family_windows(draw: Draw) -> Any:
    """Draw a masked target, an overlap and a number of steps (a multiple of N for w = 0)."""
    length = draw.integer(1, 2)
    overlap, steps = draw.choice([flint.fmpq(1, 2), flint.fmpq(1)]), draw.integer(1, 3)
    return instance(
        coupling=masked_coupling(draw, length, draw.integer(1, 2)),
        overlap=overlap,
        steps=steps,
        aligned=length * draw.integer(1, 2),
    )


def law_windows(case: Any, *, aligned: int | None = None, wider: Any = None) -> Iterator[Statement]:
    """C20: exact at w = 0 when N divides T; else at most the sum over steps; N = 2: a formula, w = 1 the worst."""
    coupling, steps = case.coupling, aligned or case.aligned
    target = marginal_path(coupling, Linear(), 1)
    times = [flint.fmpq(j, steps) for j in range(steps + 1)]
    yield Equation("w = 0, N divides T: the sampler is exact", sampler_law(coupling, Windowed(0), times), target)
    windowed, grid = Windowed(case.overlap), [flint.fmpq(j, case.steps) for j in range(case.steps + 1)]
    law = sampler_law(coupling, windowed, grid)
    moves = [
        windowed.kappa(t, coupling.length) - windowed.kappa(s, coupling.length) for s, t in itertools.pairwise(grid)
    ]
    together = sum((m[i] * m[j] for m in moves for i in range(len(m)) for j in range(i)), flint.fmpq(0))
    if not is_symbolic(law):
        defect = total_variation(law.reshape(-1), target.reshape(-1))
        bound = full((1,), together, law) if is_object(law) else full((1,), float(together), law)
        yield Inequality("TV is at most the sum over steps of sum_{i<j} Dk^i Dk^j", stack([defect]), bound)
        if coupling.length <= 2 or wider is not None:
            parallel = sampler_law(coupling, Windowed(wider or 1), grid)
            most = total_variation(parallel.reshape(-1), target.reshape(-1))
            yield Inequality("N = 2: TV is at most that of w = 1", stack([defect]), stack([most]))
    if coupling.length == 2:
        yield Equation(
            "N = 2: the defect is (sum Dk^1 Dk^2)(q - q^1 x q^2)",
            law - target,
            _dependence(target) * _as(together, law),
        )


def _as(value: Any, like: Array) -> Any:
    return value if is_object(like) else float(value)


def _dependence(target: Array) -> Array:
    """Return q^1 x q^2 - q, by its definition."""
    return total(target, 1)[:, None] * total(target, 0)[None, :] - target


_UNALIGNED = instance(coupling=masked(TWO_WAYS), overlap=flint.fmpq(1, 2), steps=1, aligned=2)
_FIRST_TWO = [[["1/2", 0], [0, 0]], [[0, 0], ["1/2", 0]]]  # q = 1/2 on 000 and 1/2 on 110
CONTROLS_C20 = (
    *(
        Control(
            f"w = 0 with T = {steps}, no multiple of N: 00/11",
            _UNALIGNED,
            {"aligned": steps},
            "w = 0, N divides T: the sampler is exact",
            "tv",
            flint.fmpq(1, value),
        )
        for steps, value in ((1, 2), (3, 18), (5, 50))
    ),
    Control(
        "TV grows with the overlap w, at N = 3: 000/110, T = 3: 3/16 at w = 3/4, 1/6 at w = 1",
        instance(coupling=masked(_FIRST_TWO), overlap=flint.fmpq(3, 4), steps=3, aligned=3),
        {"wider": 1},
        "N = 2: TV is at most that of w = 1",
        "gap",
        flint.fmpq(1, 48),
    ),
)


# C21 ------------------------------------------------------------------------------------------------------------------


def family_kernels(draw: Draw) -> Any:
    """Draw masked experts of two positions, a one-mover step and a general step."""
    experts = masked_experts(draw, length=2)
    return instance(experts=experts, single=single_mover(draw, 2), general=moving_schedule(draw, 2))


def law_kernels(case: Any, *, schedule: Any = None) -> Iterator[Statement]:
    """C21: one mover, one law; two movers, the difference is the router's covariance of the experts' kernels."""
    experts, single = case.experts, schedule or case.single
    mixed, drawn = _both_kernels(experts, single)
    yield Equation("one mover: mixing velocities and mixing kernels are one law", mixed, drawn)
    mixed, drawn = _both_kernels(experts, case.general)
    yield Equation("two movers: the difference is the covariance", drawn - mixed, _covariance(experts, case.general))
    if decides(experts.weights) and len(experts) == 2 and experts.central.vocabulary == 2:
        yield from _two_by_two(experts)


def _both_kernels(experts: Decentralization, schedule: Any) -> tuple[Array, Array]:
    p, velocities = marginal_path(experts.central, schedule, 0), experts.expert_step_velocities(schedule, 0, 1)
    mixed = propagate(p, experts.step_velocity(schedule, 0, 1))
    return mixed, mixed_kernel_law(p, experts.router(schedule, 0), velocities)


def _covariance(experts: Decentralization, schedule: Any) -> Array:
    """Return sum_z p(z) Cov_r(K^1(x | z), K^2(y | z)) by enumeration, shape (d, d)."""
    p, router = marginal_path(experts.central, schedule, 0), experts.router(schedule, 0)
    velocities = experts.expert_step_velocities(schedule, 0, 1)
    out, d = zeros(p), experts.central.size
    for z in oracle.states(experts.central):
        for x, y in itertools.product(range(d), repeat=2):
            k1, k2 = (
                [velocities[(k, *z, i, token)] + int(token == z[i]) for k in range(len(experts))]
                for i, token in enumerate((x, y))
            )
            r = [router[(k, *z)] for k in range(len(experts))]
            both = sum(w * a * b for w, a, b in zip(r, k1, k2, strict=True))
            apart = sum(w * a for w, a in zip(r, k1, strict=True)) * sum(w * b for w, b in zip(r, k2, strict=True))
            out[x, y] = out[x, y] + p[z] * (both - apart)
    return out


def _two_by_two(experts: Decentralization) -> Iterator[Statement]:
    """At d = 2, K = 2, everything revealed at once: TV = 2 |r1 r2 Dp^1 Dp^2|."""
    mixed, drawn = _both_kernels(experts, table([0, 0], [1, 1]))
    laws = [next_token_law_at(c, states_of(1, 2) + 2, i) for c in experts.couplings for i in range(2)]  # type: ignore[arg-type]
    first, second = laws[0][0, 0] - laws[2][0, 0], laws[1][0, 0] - laws[3][0, 0]
    weights = experts.weights
    expected = abs(weights[0] * weights[1] * first * second) * 2
    yield Equation(
        "TV = 2 |r1 r2 Dp^1 Dp^2|", stack([total_variation(mixed.reshape(-1), drawn.reshape(-1))]), stack([expected])
    )


CONTROLS_C21 = (
    Control(
        "two movers: delta_00, delta_11",
        instance(experts=two_points(2), single=table([0, 0], [1, 0]), general=table([0, 0], [1, 0])),
        {"schedule": table([0, 0], [1, 1])},
        "one mover: mixing velocities and mixing kernels are one law",
        "tv",
        HALF,
    ),
)


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
