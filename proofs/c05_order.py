r"""C05: the order in the step size, and what it costs to drop the hypotheses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ddfm_theory.arrays import Array, stack
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import Rows, exact, table
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import propagate, sampler_law
from ddfm_theory.stability import total_variation
from ddfm_theory.velocities import step_velocity
from proofs.c05_rate import products
from proofs.derivation import AT_MOST, Derivation, Grid, Step
from proofs.sums import add, case, marginal, masked, pmfs, tabulate


def _one(value: Any) -> Array:
    return tabulate((1,), lambda _: value)


def _run(q: Array, rows: list[Any]) -> Any:
    kappa = [exact([row, row]) for row in rows]
    moves = [after - now for now, after in itertools.pairwise(kappa)]
    return case(coupling=MaskedCoupling(q.reshape(2, 2)), schedule=table(*[[row, row] for row in rows]), moves=moves)


def _missed(c: Any) -> Array:
    steps = range(len(c.moves) + 1)
    law = sampler_law(c.coupling, c.schedule, steps)
    return _one(total_variation(law.reshape(-1), marginal_path(c.coupling, c.schedule, steps[-1]).reshape(-1)))


def _dependence(q: Array) -> Any:
    """Return TV(q, q^1 x q^2)."""
    pairs = itertools.product(range(2), repeat=2)
    return add(abs(q[x, y] - marginal(q, {0: x}) * marginal(q, {1: y})) for x, y in pairs) / 2


def _schedules() -> Iterator[list[str]]:
    for inside in itertools.combinations(("1/8", "1/4", "1/3", "1/2", "2/3"), 2):
        yield ["0", *inside, "1"]


def _runs() -> Iterator[Any]:
    for q, rows in itertools.product(pmfs(4, 3), _schedules()):
        yield _run(q, rows)


LIPSCHITZ = Derivation(
    "C05",
    "a Lipschitz schedule: first order",
    r"Two-component masked path, $T$ steps of size $h = 1/T$, $\Delta\kappa_s^i \le L h$: the run misses by "
    r"$\binom N2 L h$ at most.",
    (
        Step(
            r"\mathrm{TV}(p_0 K_0 \cdots K_{T-1},\ p_T)",
            "the defect of the run",
            _missed,
            "sampling.sampler_law",
        ),
        Step(
            r"\sum_s \sum_{i<j} \Delta\kappa_s^i \Delta\kappa_s^j",
            "the defects of the steps add up (C20)",
            lambda c: _one(add(products(move) for move in c.moves)),
            relation=AT_MOST,
        ),
        Step(
            r"\big(\max_{s,i} \Delta\kappa_s^i\big) \sum_{i<j} \sum_s \Delta\kappa_s^j",
            "bound one factor",
            lambda c: _one(max(entry for move in c.moves for entry in move) * add(move[1] for move in c.moves)),
            relation=AT_MOST,
        ),
        Step(
            r"\binom N2 \max_{s,i} \Delta\kappa_s^i",
            r"$\sum_s \Delta\kappa_s^j = 1$; the maximum is at most $L h$",
            lambda c: _one(max(entry for move in c.moves for entry in move)),
        ),
    ),
    grid=Grid(r"$N = V = 2$, targets in thirds, one $\kappa$ for both positions through two of five values", _runs),
)

NOT_LIPSCHITZ = Derivation(
    "C05",
    "a steep start: no better than its first step",
    r"$N = 2$, one $\kappa$ for both positions: the run misses by at least $\kappa(h)^2\, "
    r"\mathrm{TV}(q, q^1 \otimes q^2)$. For $\kappa = t^{1/4}$ that is $h^{1/2}$ times a constant: no $O(h)$.",
    (
        Step(
            r"\kappa(h)^2\, \mathrm{TV}(q, q^1 \otimes q^2)",
            "the first step alone",
            lambda c: _one(c.moves[0][0] ** 2 * _dependence(c.coupling.target)),
        ),
        Step(
            r"\sum_s (\Delta\kappa_s)^2\, \mathrm{TV}(q, q^1 \otimes q^2)",
            "the other steps add squares",
            lambda c: _one(add(move[0] ** 2 for move in c.moves) * _dependence(c.coupling.target)),
            relation=AT_MOST,
        ),
        Step(
            r"\mathrm{TV}(p_0 K_0 \cdots K_{T-1},\ p_T)",
            "C20, two positions",
            _missed,
            "sampling.sampler_law",
        ),
    ),
    grid=Grid(r"$N = V = 2$, targets in thirds, one $\kappa$ for both positions through two of five values", _runs),
)


def _spent(draw: Draw, before: str, after: str) -> Any:
    """Draw a target of two positions; the first of three bases, mask, mask and data, is spent in the step."""
    coupling = masked(draw, 2, 2)
    k, last = exact([before, before]), exact([after, after])
    rows = [stack([1 - k * 2, k, k]), stack([last * 0, 1 - last, last])]
    schedule = Rows(rows, bases=exact([[0, 0, 1]]))
    return case(coupling=coupling, q=coupling.target, schedule=schedule, k=k[0], after=last[0])


def _step_defect(c: Any) -> Array:
    p, u = marginal_path(c.coupling, c.schedule, 0), step_velocity(c.coupling, c.schedule, 0, 1, pivot=(0, 0))
    return propagate(p, u) - marginal_path(c.coupling, c.schedule, 1)


def _redrawn(c: Any) -> Array:
    """Return the defect if a step from (m, m) alone shows both tokens apart, each with probability kappa'."""

    def entry(x: int, y: int) -> Any:
        if 2 in (x, y):
            return c.k * 0
        gap = marginal(c.q, {0: x}) * marginal(c.q, {1: y}) - c.q[x, y]
        return (1 - c.k) ** 2 * c.after**2 * gap

    return tabulate((3, 3), entry)


def _expanded(c: Any) -> Array:
    """Return sum_z p(z) prod_i (kappa' q(. | z) + (1 - kappa') delta_m)(y^i) less the same with joint tokens."""

    def entry(x: int, y: int) -> Any:
        if 2 in (x, y):
            return c.k * 0
        apart = marginal(c.q, {0: x}) * marginal(c.q, {1: y})
        known = 1 - (1 - c.k) ** 2
        return c.after**2 * ((1 - c.k) ** 2 * apart + known * c.q[x, y]) - c.after**2 * c.q[x, y]

    return tabulate((3, 3), entry)


THREE_BASES = Derivation(
    "C05",
    "three bases: a step that spends the first does not improve with h",
    r"$N = 2$, bases mask, mask and data, weights from $(1 - 2\kappa, \kappa, \kappa)$ to $(0, 1 - \kappa', \kappa')$: "
    r"the path is that of two bases, but the pivot's ratio is zero, so the step redraws every position, and misses by "
    r"$(1-\kappa)^2 \kappa'^2\, \mathrm{TV}(q, q^1 \otimes q^2)$ where two bases miss by "
    r"$(\kappa' - \kappa)^2\, \mathrm{TV}(q, q^1 \otimes q^2)$. As $\kappa \to \kappa'$ the first stays.",
    (
        Step(
            r"\big(\text{sampler}(p_t)\big)(y) - p_{t'}(y)",
            "the step's defect",
            _step_defect,
            "sampling.propagate",
        ),
        Step(
            r"\kappa'^2 \big( (1-\kappa)^2 q^1(y^1) q^2(y^2) + (1 - (1-\kappa)^2)\, q(y) \big) - \kappa'^2 q(y)",
            r"for $y$ without masks: $\delta_{z^i} + u^i = \kappa' q(x^i = \cdot \mid z) + (1 - \kappa') \delta_m$ at "
            r"every $z^i$; given one token the other is drawn from its conditional law, given none apart. With a mask "
            r"in $y$ both are one",
            _expanded,
        ),
        Step(
            r"(1-\kappa)^2 \kappa'^2 \big(q^1(y^1) q^2(y^2) - q(y)\big)",
            "collect",
            _redrawn,
        ),
    ),
    sizes=(("1/4", "1/2"), ("3/8", "1/2"), ("7/16", "1/2")),
    names="kappa, kappa'",
    instance=_spent,
)

ORDER = (LIPSCHITZ, NOT_LIPSCHITZ, THREE_BASES)
