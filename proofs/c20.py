r"""C20: between all positions at once and one at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import Rows, exact, two_base
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import chain_law, propagate, sampler_law
from ddfm_theory.schedulers import Windowed
from ddfm_theory.stability import total_variation
from ddfm_theory.velocities import step_velocity
from proofs.c05_rate import products
from proofs.c20_overlap import NOT_MONOTONE
from proofs.derivation import AT_MOST, Derivation, Grid, Step
from proofs.sums import ZERO, add, case, marginal, masked, pmfs, tabulate


def _run(draw: Draw, vocabulary: int, steps: int) -> Any:
    """Draw a target of two positions and any schedule of some steps from 0 to 1."""
    rows = [draw.steps(2)[0] * 0, *(draw.steps(2)[0] for _ in range(steps - 1)), draw.steps(2)[0] * 0 + 1]
    if not draw.symbolic:
        rows = [tabulate((2,), lambda i, s=s: flint.fmpq(s * (s + i), steps * (steps + i))) for s in range(steps + 1)]
    return _case(masked(draw, 2, vocabulary), rows)


def _case(coupling: MaskedCoupling, rows: list[Array]) -> Any:
    moves = [after - now for now, after in itertools.pairwise(rows)]
    return case(
        coupling=coupling,
        q=coupling.target,
        moves=moves,
        schedule=Rows([two_base(row) for row in rows]),
        times=range(len(rows)),
        v=coupling.vocabulary,
    )


def _law(c: Any) -> Array:
    """Return the sampler's law at the end, on data states."""
    return sampler_law(c.coupling, c.schedule, c.times)[(slice(c.v),) * c.q.ndim]


def _together(c: Any) -> Any:
    """Return sum over steps of Dk^1 Dk^2."""
    return add(products(move) for move in c.moves)


def _product_law(c: Any, x: int, y: int) -> Any:
    return marginal(c.q, {0: x}) * marginal(c.q, {1: y})


def _by_times(c: Any) -> Array:
    def entry(x: int, y: int) -> Any:
        pairs = itertools.product(range(len(c.moves)), repeat=2)
        return add(c.moves[s][0] * c.moves[r][1] * (_product_law(c, x, y) if s == r else c.q[x, y]) for s, r in pairs)

    return tabulate((c.v, c.v), entry)


def _blend(c: Any) -> Array:
    return tabulate((c.v, c.v), lambda x, y: c.q[x, y] + _together(c) * (_product_law(c, x, y) - c.q[x, y]))


# Windows --------------------------------------------------------------------------------------------------------------


def _windows(length: int, overlap: Any, steps: int) -> Any:
    return case(n=length, w=flint.fmpq(overlap), T=steps, M=steps // length)


def _moves(c: Any) -> list[Array]:
    schedule = Windowed(c.w)
    rows = [schedule.kappa(flint.fmpq(s, c.T), c.n) for s in range(c.T + 1)]
    return [after - now for now, after in itertools.pairwise(rows)]


def _windowed_sum(c: Any) -> Array:
    return tabulate((1,), lambda _: add(products(move) for move in _moves(c)))


def _lone_windows(c: Any) -> Array:
    """Return the sum with Dk^i_s = 1[iM <= s < (i+1)M] / M."""
    rows = [[flint.fmpq(int(i * c.M <= s < (i + 1) * c.M), c.M) for i in range(c.n)] for s in range(c.T)]
    return tabulate((1,), lambda _: add(products(row) for row in rows))


def _speed(c: Any) -> Any:
    return 1 + (c.n - 1) * (1 - c.w)


def _capped(c: Any) -> Array:
    moves = _moves(c)
    pairs = itertools.combinations(range(c.n), 2)
    return tabulate((1,), lambda _: add(_speed(c) / c.T * add(move[j] for move in moves) for i, j in pairs))


def _rates() -> Iterator[Any]:
    for n, w, steps in itertools.product((2, 3, 4), ("1/4", "1/2", "1"), (1, 2, 3, 5, 8)):
        yield _windows(n, exact([w])[0], steps)


def _runs() -> Iterator[Any]:
    for law, w, steps in itertools.product(pmfs(4, 3), ("0", "1/2", "1"), (1, 2, 3)):
        schedule = Windowed(exact([w])[0])
        rows = [schedule.kappa(flint.fmpq(s, steps), 2) for s in range(steps + 1)]
        yield _case(MaskedCoupling(law.reshape(2, 2)), rows)


def _steps(c: Any) -> list[Array]:
    return [step_velocity(c.coupling, c.schedule, s, s + 1) for s in c.times[:-1]]


def _defects(c: Any) -> list[Array]:
    """Return p_s K_s - p_{s+1} for each step, flat."""
    paths = [marginal_path(c.coupling, c.schedule, s) for s in c.times]
    return [(propagate(p, u) - after).reshape(-1) for p, after, u in zip(paths, paths[1:], _steps(c), strict=False)]


def _carried(c: Any) -> Array:
    """Return sum_s (p_s K_s - p_{s+1}) K_{s+1} ... K_{T-1}, flat."""
    paths, velocities = [marginal_path(c.coupling, c.schedule, s) for s in c.times], _steps(c)

    def onward(p: Array, s: int) -> Array:
        return chain_law(p, velocities[s:]) if velocities[s:] else p

    return add(onward(paths[s], s) - onward(paths[s + 1], s + 1) for s in c.times[:-1]).reshape(-1)


def _half_norm(values: Any) -> Any:
    return add(abs(value) for value in values) / 2


def _misses(c: Any) -> Array:
    end = marginal_path(c.coupling, c.schedule, c.times[-1])
    return total_variation(sampler_law(c.coupling, c.schedule, c.times).reshape(-1), end.reshape(-1))


def _one(value: Any) -> Array:
    return tabulate((1,), lambda _: value)


FORMULA = Derivation(
    "C20",
    "two positions: the law of the sampler",
    r"$N = 2$, masked, any schedule from 0 to 1 in $T$ steps: the sampler's law is $q + \big(\sum_s \Delta\kappa_s^1 "
    r"\Delta\kappa_s^2\big)(q^1 \otimes q^2 - q)$, so $\mathrm{TV} = \big(\sum_s \Delta\kappa_s^1 "
    r"\Delta\kappa_s^2\big)\, "
    r"\mathrm{TV}(q, q^1 \otimes q^2)$.",
    (
        Step(r"\hat p_T(x^1,x^2)", "the sampler's law at the end", _law, "sampling.sampler_law"),
        Step(
            r"\sum_{s,r} \Delta\kappa_s^1 \Delta\kappa_r^2 \big( 1[s \ne r]\, q(x^1,x^2) + 1[s = r]\, "
            r"q^1(x^1)\, q^2(x^2) \big)",
            r"position $i$ is shown in step $s$ with probability $\Delta\kappa_s^i$, apart from the "
            r"other and from all tokens; "
            r"the later of two is drawn given the earlier, two at once apart (C05)",
            _by_times,
        ),
        Step(
            r"q(x^1,x^2) + \Big(\sum_s \Delta\kappa_s^1 \Delta\kappa_s^2\Big) \big(q^1(x^1)\, "
            r"q^2(x^2) - q(x^1,x^2)\big)",
            r"$\sum_{s,r} \Delta\kappa_s^1 \Delta\kappa_r^2 = 1$",
            _blend,
        ),
    ),
    sizes=((2, 1), (2, 2), (2, 3), (3, 2)),
    names="V, T",
    instance=_run,
)

ALIGNED = Derivation(
    "C20",
    "no overlap, N divides T: one mover a step",
    r"At $w = 0$ with $T = NM$ equal steps no two positions move in one step, so the sampler is exact "
    r"for every $q$ (C05).",
    (
        Step(
            r"\sum_s \sum_{i<j} \Delta\kappa_s^i \Delta\kappa_s^j",
            r"the windowed schedule, $\kappa_t^i = \mathrm{clip}(Nt - i, 0, 1)$, $i = 0, \ldots, N-1$",
            _windowed_sum,
            "schedulers.Windowed",
        ),
        Step(
            r"\sum_s \sum_{i<j} \frac{1[iM \le s < (i+1)M]}{M} \frac{1[jM \le s < (j+1)M]}{M}",
            r"at $t = s/T$, $Nt - i = (s - iM)/M$: position $i$ rises by $1/M$ in steps $iM, \ldots, "
            r"(i+1)M - 1$ alone",
            _lone_windows,
        ),
        Step("0", "the windows are disjoint", lambda c: _one(ZERO)),
    ),
    grid=Grid(
        r"$(N, T) = (1,2), (2,2), (2,6), (3,3), (3,6), (4,8)$",
        lambda: (_windows(n, 0, steps) for n, steps in ((1, 2), (2, 2), (2, 6), (3, 3), (3, 6), (4, 8))),
    ),
)

UNALIGNED = Derivation(
    "C20",
    "no overlap, two positions, T odd",
    r"At $w = 0$, $N = 2$ and $T$ odd, $\sum_s \Delta\kappa_s^1 \Delta\kappa_s^2 = 1/T^2$: on 00/11 "
    r"the defect is $1/(2T^2)$.",
    (
        Step(
            r"\sum_s \Delta\kappa_s^1 \Delta\kappa_s^2",
            r"the windowed schedule, $\kappa_t^i = \mathrm{clip}(2t - i, 0, 1)$, $i = 0, 1$",
            _windowed_sum,
            "schedulers.Windowed",
        ),
        Step(
            r"\Big(1 - 2\, \tfrac{(T-1)/2}{T}\Big) \Big(2\, \tfrac{(T+1)/2}{T} - 1\Big)",
            r"only the middle step, from $(T-1)/2T$ to $(T+1)/2T$, moves both",
            lambda c: _one((1 - flint.fmpq(c.T - 1, c.T)) * (flint.fmpq(c.T + 1, c.T) - 1)),
        ),
        Step(r"\frac{1}{T^2}", "both factors are $1/T$", lambda c: _one(flint.fmpq(1, c.T**2))),
    ),
    grid=Grid("$T = 1, 3, 5, 9$", lambda: (_windows(2, 0, steps) for steps in (1, 3, 5, 9))),
)

BOUND = Derivation(
    "C20",
    "a run misses by no more than its steps",
    r"With $K_s$ the sampler's step: $\mathrm{TV}(p_0 K_0 \cdots K_{T-1},\ p_T) \le \sum_s \sum_{i<j} "
    r"\Delta\kappa_s^i "
    r"\Delta\kappa_s^j$.",
    (
        Step(r"\mathrm{TV}(p_0 K_0 \cdots K_{T-1},\ p_T)", "the defect of the run", _misses, "sampling.sampler_law"),
        Step(
            r"\tfrac12 \Big\| \sum_s (p_s K_s - p_{s+1})\, K_{s+1} \cdots K_{T-1} \Big\|_1",
            "telescoping",
            lambda c: _half_norm(_carried(c)),
            "sampling.chain_law",
        ),
        Step(
            r"\sum_s \mathrm{TV}(p_s K_s, p_{s+1})",
            "triangle inequality; a Markov kernel contracts the norm",
            lambda c: add(_half_norm(d) for d in _defects(c)),
            "sampling.propagate",
            AT_MOST,
        ),
        Step(
            r"\sum_s \sum_{i<j} \Delta\kappa_s^i \Delta\kappa_s^j",
            "C05, at each step",
            _together,
            relation=AT_MOST,
        ),
    ),
    grid=Grid(r"$N = V = 2$, targets in thirds, $w = 0, \frac12, 1$, $T = 1, 2, 3$", _runs),
)

RATE = Derivation(
    "C20",
    "with overlap the bound is O(1/T)",
    r"Let $\ell = 1/(1 + (N-1)(1-w))$ be the width of a window. Then $\sum_s \sum_{i<j} "
    r"\Delta\kappa_s^i \Delta\kappa_s^j \le "
    r"\binom N2 / (\ell T)$.",
    (
        Step(
            r"\sum_s \sum_{i<j} \Delta\kappa_s^i \Delta\kappa_s^j",
            r"the windowed schedule in $T$ equal steps",
            _windowed_sum,
            "schedulers.Windowed",
        ),
        Step(
            r"\sum_{i<j} \frac{1}{\ell T} \sum_s \Delta\kappa_s^j",
            r"a ramp has slope $1/\ell$ at most, so $\Delta\kappa_s^i \le 1/(\ell T)$",
            _capped,
            relation=AT_MOST,
        ),
        Step(
            r"\binom N2 \frac{1}{\ell T}",
            r"$\sum_s \Delta\kappa_s^j = 1$",
            lambda c: _one(flint.fmpq(c.n * (c.n - 1), 2) * _speed(c) / c.T),
        ),
    ),
    grid=Grid(r"$N = 2, 3, 4$, $w = \frac14, \frac12, 1$, $T = 1, 2, 3, 5, 8$", _rates),
)

DERIVATIONS = (FORMULA, ALIGNED, UNALIGNED, BOUND, RATE, NOT_MONOTONE)
