"""Laws of several positions at once: C20, C21. Written once for every number system."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, full, is_object, is_symbolic, stack, total
from ddfm_theory.autoregression import next_token_law_at
from ddfm_theory.couplings import states_of
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    TWO_WAYS,
    instance,
    masked,
    masked_coupling,
    masked_experts,
    moving_schedule,
    single_mover,
    table,
    two_points,
)
from ddfm_theory.ledger.laws_paths import HALF, decides, zeros
from ddfm_theory.ledger.records import Control, Equation, Inequality, Statement
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import mixed_kernel_law, propagate, sampler_law
from ddfm_theory.schedulers import Linear, Windowed
from ddfm_theory.stability import total_variation

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
