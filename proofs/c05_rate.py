r"""C05: the defect of a masked step is at most the sum of products of the schedule's increments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.ledger.families import Rows, table
from ddfm_theory.sampling import propagate
from ddfm_theory.stability import total_variation
from proofs.c05_masked import apart_law, case_of, hidden, joint_law, path_after, path_before, share, shown_sets, step_of
from proofs.derivation import AT_MOST, Derivation, Grid, Step
from proofs.sums import (
    add,
    pmfs,
    tabulate,
    vanishes,
)


def _distances(c: Any, distance: Any) -> Any:
    return add(
        c.flow.path[z] * chance * distance(c, z, shown)
        for z in c.flow.states
        if not vanishes(c.flow.path[z])
        for shown, chance in shown_sets(c, z)
    )


def _tv(c: Any, z: Any, shown: tuple[int, ...]) -> Any:
    apart, joint = apart_law(c, z, shown), joint_law(c, z, shown)
    return add(abs(apart[x] - joint[x]) for x in joint) / 2


def _pairs_shown(c: Any) -> Any:
    return add(
        c.flow.path[z] * share(c, i) * share(c, j)
        for z in c.flow.states
        for i, j in itertools.combinations(hidden(c, z), 2)
    )


def products(moves: Array) -> Any:
    """Return sum_{i<j} Dk^i Dk^j."""
    return add(moves[i] * moves[j] for i, j in itertools.combinations(range(len(moves)), 2))


def grid() -> Iterator[Any]:
    """Every target over two tokens at two positions in halves and in thirds, with steps in halves and thirds."""
    values = [flint.fmpq(0), flint.fmpq(1, 3), flint.fmpq(1, 2), flint.fmpq(1)]
    steps = [pair for pair in itertools.product(values, repeat=2) if pair[0] <= pair[1]]
    for over_n, (first, second) in itertools.product((2, 3), itertools.product(steps, repeat=2)):
        schedule = table([first[0], second[0]], [first[1], second[1]])
        for q in pmfs(4, over_n):
            yield case_of(MaskedCoupling(q.reshape(2, 2)), schedule)


def _thinned() -> Iterator[Any]:
    return itertools.islice(grid(), 0, None, 7)


def _real(z3: Any) -> tuple[Any, list[Any]]:
    """Return a masked step of two positions and two tokens with every number real."""
    q, k = [z3.Real(f"q{i}") for i in range(3)], [[z3.Real(f"k{s}{i}") for i in range(2)] for s in range(2)]
    target = tabulate((4,), lambda i: [*q, 1 - q[0] - q[1] - q[2]][i]).reshape(2, 2)
    rows = [tabulate((2, 2), lambda j, i, s=s: k[s][i] if j else 1 - k[s][i]) for s in range(2)]
    known = [entry >= 0 for entry in (*q, target[1, 1])]
    known += [z3.And(k[0][i] >= 0, k[0][i] <= k[1][i], k[1][i] <= 1, k[0][i] < 1) for i in range(2)]
    coupling = object.__new__(MaskedCoupling)
    coupling.target, coupling.length, coupling.vocabulary, coupling.mask, coupling.size = target, 2, 2, 2, 3
    out = case_of(coupling, Rows(rows))
    out.pivot = (0, 0)  # given, since reals that are unknown have no order to choose by
    return out, known


RATE = Derivation(
    "C05",
    "the defect of a masked step",
    r"For a two-component masked path, the total variation between the sampler's step and the path is at most "
    r"$\sum_{i<j} \Delta\kappa^i \Delta\kappa^j$: $O(h^2)$ a step, so $O(h)$ a run, for Lipschitz $\kappa$.",
    (
        Step(
            r"\mathrm{TV}\big(\text{sampler}(p_t), p_{t'}\big)",
            "the defect",
            lambda c: total_variation(propagate(path_before(c), step_of(c)).reshape(-1), path_after(c).reshape(-1)),
            "stability.total_variation",
        ),
        Step(
            r"\sum_z p_t(z) \sum_A \lambda_A(z)\, \mathrm{TV}\Big(\prod_{i \in A} q(x^i \mid z),\ q(x^A \mid z)\Big)",
            r"both are mixtures over $z$ and $A$ with the same weights, and TV is convex",
            lambda c: _distances(c, _tv),
            relation=AT_MOST,
        ),
        Step(
            r"\sum_z p_t(z) \sum_{|A| \ge 2} \lambda_A(z)",
            r"$\mathrm{TV} \le 1$, and the two laws are one where $|A| \le 1$",
            lambda c: _distances(c, lambda c, z, shown: int(len(shown) > 1)),
            relation=AT_MOST,
        ),
        Step(
            r"\sum_z p_t(z) \sum_{i<j \text{ hidden in } z} \lambda^i \lambda^j",
            "union bound over pairs: positions are shown apart",
            _pairs_shown,
            relation=AT_MOST,
        ),
        Step(
            r"\sum_{i<j} \Delta\kappa^i \Delta\kappa^j",
            r"$P(z^i = z^j = m) = (1 - \kappa^i)(1 - \kappa^j)$, since positions are masked apart",
            lambda c: products(c.moves),
        ),
    ),
    grid=Grid(
        r"$N = V = 2$, targets in halves and thirds, $\kappa \le \kappa'$ among $0, \frac13, \frac12, "
        r"1$, every seventh",
        _thinned,
        real=_real,
    ),
)
