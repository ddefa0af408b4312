"""Laws of paths, velocities and steps: C01-C04, C18. Written once for every number system."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, full, is_object, is_symbolic, stack, system_of, total
from ddfm_theory.continuity import continuity_residual
from ddfm_theory.couplings import Coupling
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    TWO_WAYS,
    Rows,
    any_coupling,
    dense_coupling,
    exact,
    general_schedule,
    instance,
    masked,
    masked_coupling,
    moving_schedule,
    table,
    two_base,
)
from ddfm_theory.ledger.records import Control, Equation, Inequality, Statement
from ddfm_theory.paths import conditional_path, marginal_path
from ddfm_theory.sampling import propagate, sampler_law
from ddfm_theory.schedulers import Linear, Polynomial
from ddfm_theory.velocities import (
    backward_velocity,
    choose_pivot,
    conditional_velocity,
    corrector_velocity,
    marginal_velocity,
    step_backward_velocity,
    step_velocity,
    velocity_conditions,
)
from ddfm_theory.velocities.backward import combine

HALF = flint.fmpq(1, 2)


def zeros(like: Array) -> Array:
    """Return zeros of an array's shape."""
    return full(tuple(like.shape), 0, like)


def decides(array: Array) -> bool:
    """Tell whether a question of equality has an answer here: among rationals only."""
    return is_object(array) and system_of(array) == "rational"


def truth(name: str, got: bool, expected: bool) -> Equation:
    """Return the statement that two propositions have one truth value."""
    return Equation(name, exact([int(got)]), exact([int(expected)]))


def rates_conditions(name: str, velocity: Array) -> Iterator[Statement]:
    """Return the velocity conditions: sums zero, rates nonnegative."""
    sums, rates = velocity_conditions(velocity)
    yield Equation(f"{name} sums to zero", sums, zeros(sums))
    yield Inequality(f"{name} has nonnegative rates", zeros(rates), rates)


# C01 ------------------------------------------------------------------------------------------------------------------


def family_path(draw: Draw) -> Any:
    """Draw a coupling and a schedule, two or three bases."""
    coupling = any_coupling(draw)
    general = draw.integer(0, 1) and coupling.length * coupling.size < 7
    make = general_schedule(draw, coupling.length, coupling.size) if general else moving_schedule(draw, coupling.length)
    return instance(coupling=coupling, schedule=make)


def ends_of(coupling: Any) -> tuple[Array, Array]:
    """Return source and target as pmfs over [d]^N, by definition."""
    source, target = (full((coupling.size,) * coupling.length, 0, coupling.like) for _ in range(2))
    for x0, x1, mass in oracle.pairs(coupling):
        source[x0], target[x1] = source[x0] + mass, target[x1] + mass
    return source, target


def law_path(case: Any, *, schedule: Any = None, last: int = 1) -> Iterator[Statement]:
    """C01: the path is a pmf, averages the conditional paths, and has the right ends."""
    schedule, coupling = schedule or case.schedule, case.coupling
    p = marginal_path(coupling, schedule, 0)
    yield Equation("the path sums to one", total(p), full((), 1, p))
    yield Equation(
        "the path averages the conditional paths", p, oracle.path(coupling, schedule, schedule.weights(0, 0))
    )
    yield Inequality("the path is nonnegative", zeros(p), p)
    source, target = ends_of(coupling)
    yield Equation("the path starts at the source", marginal_path(coupling, Linear(), 0), source)
    yield Equation("the path ends at the target", marginal_path(coupling, Linear(), last), target)


CONTROLS_C01 = (
    Control(
        "rows that sum to 2 at every position",
        instance(coupling=masked(["1/2", "1/2"]).enumerated(), schedule=table(["1/2"])),
        {"schedule": Rows([exact([[1], [1]])])},
        "the path sums to one",
        "largest",
        flint.fmpq(1),
    ),
    Control(
        "rows that sum to 2 at every position, N = 2",
        instance(coupling=masked(TWO_WAYS).enumerated(), schedule=table(["1/2", "1/2"])),
        {"schedule": Rows([exact([[1, 1], [1, 1]])])},
        "the path sums to one",
        "largest",
        flint.fmpq(3),
    ),
    Control(
        "a wrong end point (kappa_1 = 0) with p != q",
        instance(coupling=masked(["1/2", "1/2"]), schedule=table(["1/2"])),
        {"last": 0},
        "the path ends at the target",
        "tv",
        flint.fmpq(1),
    ),
)


# C02 ------------------------------------------------------------------------------------------------------------------


def family_conditional(draw: Draw) -> Any:
    """Draw weights, slopes in a feasible direction, and base pmfs of one position."""
    count, size = draw.integer(2, 3), draw.integer(2, 3)
    weights, after = draw.pmf((count,), "k"), draw.pmf((count,), "k")
    bases = stack([draw.pmf((size,)) for _ in range(count)])
    return instance(weights=weights, slopes=after - weights, bases=bases)


def law_conditional(case: Any, *, pivot: Any = None) -> Iterator[Statement]:
    """C02 and the velocity of C04: every pivot generates, the arg min has nonnegative rates, ties agree."""
    weights, slopes, bases = case.weights, case.slopes, case.bases
    p, p_dot = conditional_path(weights, bases), conditional_path(slopes, bases)
    charged = [j for j in range(weights.shape[0]) if not bool(weights[j] == 0)]
    for j in charged:
        u = conditional_velocity(weights, slopes, bases, pivot=j)
        yield Equation(f"the velocity of pivot {j} generates the path", total(p[:, None] * u, 0), p_dot)
        yield Equation(f"the velocity of pivot {j} sums to zero", total(u, 1), zeros(p))
    if is_symbolic(weights):
        return
    best = choose_pivot(weights[:, None], slopes[:, None])[0]
    chosen = conditional_velocity(weights, slopes, bases, best if pivot is None else pivot)
    yield Inequality("the chosen velocity has nonnegative rates", zeros(chosen), off_diagonal(chosen))
    if decides(weights):
        ties = [j for j in charged if slopes[j] / weights[j] == slopes[best] / weights[best]]
        for j in ties:
            tied = conditional_velocity(weights, slopes, bases, pivot=j)
            yield Equation("ties give the same velocity", tied, conditional_velocity(weights, slopes, bases, best))


def off_diagonal(matrix: Array) -> Array:
    """Return a square matrix with its diagonal set to zero."""
    out = matrix + full((1,), 0, matrix)
    for token in range(out.shape[0]):
        out[token, token] = full((1,), 0, matrix)[0]
    return out


CONTROLS_C02 = (
    Control(
        "another pivot, strictly larger, at z = x1, kappa = 1/3: the rate -kappa_dot/kappa = -3",
        instance(weights=exact(["2/3", "1/3"]), slopes=exact([-1, 1]), bases=exact([[1, 0], [0, 1]])),
        {"pivot": 1},
        "the chosen velocity has nonnegative rates",
        "gap",
        flint.fmpq(3),
    ),
)


# C03 ------------------------------------------------------------------------------------------------------------------


def family_marginal(draw: Draw) -> Any:
    """Draw a small coupling with a schedule whose weights leave the pivot charged."""
    length, vocabulary = draw.choice([(1, 1), (1, 2), (2, 2), (2, 1)])
    masked_source = bool(draw.integer(0, 1))
    if masked_source or draw.symbolic:
        coupling: Any = masked_coupling(draw, length, vocabulary)
    else:
        coupling = dense_coupling(draw, length, 2)
    return instance(coupling=coupling, schedule=moving_schedule(draw, length))


def law_marginal(case: Any, *, average: str = "posterior") -> Iterator[Statement]:
    """C03: the posterior average of conditional velocities is the marginal velocity, and generates the path."""
    coupling, schedule = case.coupling, case.schedule
    weights, slopes = schedule.weights(0, 0), schedule.slopes
    p, p_dot = oracle.path(coupling, schedule, weights), oracle.path_dot(coupling, schedule, weights, slopes)
    averaged = oracle.posterior_average(
        coupling, schedule, weights, lambda i, a, b: _conditional(coupling, weights[:, i], slopes[:, i], a, b), average
    )
    yield Equation(
        "the average of conditional velocities generates the path", p_dot + oracle.divergence(p, averaged), zeros(p)
    )
    u = marginal_velocity(coupling, schedule, 0)
    yield Equation("the marginal velocity is the posterior average", u, averaged)
    yield Equation("the continuity residual is zero", continuity_residual(p_dot, p, u), zeros(p))
    yield from rates_conditions("the marginal velocity", u)


def _conditional(coupling: Any, weights: Array, slopes: Array, x0: int, x1: int) -> Array:
    bases = full((2, coupling.size), 0, coupling.like)
    one = full((1,), 1, coupling.like)[0]
    bases[0, x0], bases[1, x1] = one, one
    return conditional_velocity(weights, slopes, bases)


CONTROLS_C03 = (
    Control(
        "the prior instead of the posterior: 00/11, kappa = 1/3",
        instance(coupling=masked(TWO_WAYS), schedule=table(["1/3", "1/3"], slopes=[1, 1])),
        {"average": "prior"},
        "the average of conditional velocities generates the path",
        "l1",
        flint.fmpq(1),
    ),
)


# C04 ------------------------------------------------------------------------------------------------------------------


def family_steps(draw: Draw) -> Any:
    """Draw couplings of one pair (x0, x1), any N, or any coupling at N = 1, with a general step."""
    single = bool(draw.integer(0, 1))
    if single:
        length, size = draw.integer(1, 2), 2
        joint = exact([0] * size ** (2 * length)).reshape((size,) * (2 * length))
        joint[tuple(draw.integer(0, size - 1) for _ in range(2 * length))] = flint.fmpq(1)
        coupling: Any = Coupling(draw.make(joint))
    else:
        length, size = 1, draw.integer(2, 3)
        coupling = dense_coupling(draw, 1, size) if draw.integer(0, 1) else masked_coupling(draw, 1, size - 1)
    general = draw.integer(0, 1) and not draw.symbolic
    schedule = general_schedule(draw, length, size) if general else moving_schedule(draw, length)
    return instance(coupling=coupling, schedule=schedule, times=(0, 1))


def law_steps(case: Any, *, increments: str = "step") -> Iterator[Statement]:
    """C04: the discrete-time sampler is exact for the conditional path, and for the marginal path at N = 1."""
    coupling, schedule, times = case.coupling, case.schedule, case.times
    p = marginal_path(coupling, schedule, times[0])
    for s, t in itertools.pairwise(times):
        u = (
            step_velocity(coupling, schedule, s, t)
            if increments == "step"
            else (marginal_velocity(coupling, schedule, s) * (t - s))
        )
        yield from rates_conditions("the step velocity", u)
        p = oracle.step(p, u)
    after = marginal_path(coupling, schedule, times[-1])
    yield Equation("the sampler ends on the path", p, after)
    yield Equation(
        "the law that the sampler is said to have is the path", sampler_law(coupling, schedule, times), after
    )


CONTROLS_C04 = (
    Control(
        "increments from the derivative: kappa = t^2, two steps: (1/3, 2/3) instead of (0, 1)",
        instance(coupling=masked([1]), schedule=Polynomial(2), times=(flint.fmpq(0), HALF, flint.fmpq(1))),
        {"increments": "derivative"},
        "the sampler ends on the path",
        "largest",
        flint.fmpq(1, 3),
    ),
)


# C18 ------------------------------------------------------------------------------------------------------------------


def family_corrector(draw: Draw) -> Any:
    """Draw a coupling, a schedule inside (0, 1), and beta."""
    coupling = any_coupling(draw)
    length = coupling.length
    now = draw.numbers((length,), "k", 1, 2, 4)
    after = now + draw.numbers((length,), "e", 0, 1, 4)
    slopes = two_base(after) - two_base(now)
    beta = draw.numbers((1,), "b", 0, 2, 2)
    return instance(coupling=coupling, schedule=Rows([two_base(now), two_base(after)], slopes), beta=beta)


def law_corrector(case: Any, *, alpha: Any = None, beta: Any = None) -> Iterator[Statement]:
    """C18: the backward velocity generates, minus it has nonnegative rates, and so does the corrector."""
    coupling, schedule = case.coupling, case.schedule
    corrector = corrector_velocity if alpha is None and beta is None else combine  # what the controls try is refused
    beta = case.beta if beta is None else beta
    alpha = beta + 1 if alpha is None else alpha
    p = oracle.path(coupling, schedule, schedule.weights(0, 0))
    p_dot = oracle.path_dot(coupling, schedule, schedule.weights(0, 0), schedule.slopes)
    forward, backward = marginal_velocity(coupling, schedule, 0), backward_velocity(coupling, schedule, 0)
    yield Equation("the backward velocity generates the path", p_dot + oracle.divergence(p, backward), zeros(p))
    yield from rates_conditions("minus the backward velocity", -backward)
    both = corrector(forward, backward, alpha[0], beta[0])
    yield Equation("the corrector generates the path", p_dot + oracle.divergence(p, both), zeros(p))
    yield from rates_conditions("the corrector", both)
    if coupling.length == 1:
        step = corrector(
            step_velocity(coupling, schedule, 0, 1), step_backward_velocity(coupling, schedule, 0, 1), alpha[0], beta[0]
        )
        after = marginal_path(coupling, schedule, 1)
        yield Equation(
            "the corrector's step is exact at N = 1", propagate(marginal_path(coupling, schedule, 0), step), after
        )


_CORRECTED = instance(
    coupling=masked(TWO_WAYS), schedule=table(["1/3", "1/3"], ["2/3", "2/3"], slopes=[1, 1]), beta=exact(["1/2"])
)
CONTROLS_C18 = (
    Control(
        "alpha = 2, beta = 1/2, so alpha - beta is not one: 00/11, kappa = 1/3",
        _CORRECTED,
        {"alpha": exact([2]), "beta": exact(["1/2"])},
        "the corrector generates the path",
        "l1",
        flint.fmpq(4, 3),
    ),
    Control(
        "beta = -1/2: a rate of -3/2: 00/11, kappa = 1/3",
        _CORRECTED,
        {"beta": exact(["-1/2"])},
        "the corrector has nonnegative rates",
        "gap",
        flint.fmpq(3, 2),
    ),
)
