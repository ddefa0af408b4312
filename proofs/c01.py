r"""C01: a convex schedule gives a pmf at every time, and the right end points."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import full, stack, total
from ddfm_theory.couplings import Coupling
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import Rows
from ddfm_theory.paths import marginal_path
from ddfm_theory.schedulers import Linear
from proofs.derivation import Derivation, Step
from proofs.sums import Flow, add, any_coupling, case, times


def _instance(draw: Draw, kind: str, length: int, vocabulary: int, count: int) -> Any:
    coupling = any_coupling(draw, kind, length, vocabulary)
    weights = stack([draw.pmf((count,), "k") for _ in range(length)], axis=1)
    bases = draw.pmf((coupling.size,))[None, :] if count == 3 else None
    schedule = Rows([weights], bases=bases)
    return case(coupling=coupling, schedule=schedule, flow=Flow(coupling, weights, weights, bases))


def _ends(draw: Draw, length: int, vocabulary: int) -> Any:
    coupling = Coupling(draw.pmf((vocabulary,) * (2 * length)))
    return case(coupling=coupling, flow=Flow(coupling, full((2, length), 0, coupling.joint), None))


def _at_end(c: Any, row: int) -> Any:
    """Return the path of the end where only one base pmf has weight, by its definition."""
    weights = full((2, c.flow.n), 0, c.coupling.joint)
    weights[row] = full((c.flow.n,), 1, weights)
    flow = Flow(c.coupling, weights, weights)
    return flow.over_states(lambda x: flow.path[x])


def _marginal(c: Any, end: int) -> Any:
    return c.flow.over_states(lambda x: add(pair[2] for pair in c.flow.pairs if pair[end] == x))


def _end_steps(name: str, row: int, other: str, law: str, value: Any) -> tuple[Step, ...]:
    return (
        Step(
            rf"p_{row}(x)",
            "the path at its end",
            lambda c: marginal_path(c.coupling, Linear(), row),
            "paths.marginal_path",
        ),
        Step(
            rf"\sum_{{x_0,x_1}} \pi(x_0,x_1) \prod_i \delta_{{x_{row}^i}}(x^i)",
            rf"definition; at $t = {row}$ only $w^j = \delta_{{x_{row}}}$ has weight",
            lambda c: _at_end(c, row),
        ),
        Step(
            rf"\sum_{{{other}}} \pi({'x, x_1' if row == 0 else 'x_0, x'})",
            r"a product of point masses is one where all tokens agree, else zero",
            lambda c: _marginal(c, row),
        ),
        Step(law, f"definition of the coupling's {name}", value, f"couplings.Coupling.{name}"),
    )


def _by_pairs(c: Any, inner: Any) -> Any:
    return add(mass * inner(x0, x1) for x0, x1, mass in c.flow.pairs)


DERIVATIONS = (
    Derivation(
        "C01",
        "the path sums to one",
        r"If $\sum_j \kappa_t^{i,j} = 1$ at every position, then $\sum_x p_t(x) = 1$. That $p_t \ge 0$ where all "
        r"$\kappa_t^{i,j} \ge 0$ is plain: it is a sum of products of nonnegative numbers.",
        (
            Step(
                r"\sum_x p_t(x)",
                "the marginal path",
                lambda c: total(marginal_path(c.coupling, c.schedule, 0)),
                "paths.marginal_path",
            ),
            Step(
                r"\sum_x \sum_{x_0,x_1} \pi(x_0,x_1) \prod_i \sum_j \kappa_t^{i,j}\, w^j(x^i \mid x_0,x_1)",
                "definition of the path",
                lambda c: add(_by_pairs(c, lambda x0, x1, x=x: c.flow.given(x, x0, x1)) for x in c.flow.states),
            ),
            Step(
                r"\sum_{x_0,x_1} \pi(x_0,x_1) \prod_i \sum_{x^i} \sum_j \kappa_t^{i,j}\, w^j(x^i \mid x_0,x_1)",
                "exchange of finite sums; a sum over $x$ of a product over positions is the product of the sums",
                lambda c: _by_pairs(
                    c,
                    lambda x0, x1: times(
                        add(c.flow.token(i, x, x0, x1) for x in range(c.flow.d)) for i in range(c.flow.n)
                    ),
                ),
            ),
            Step(
                r"\sum_{x_0,x_1} \pi(x_0,x_1) \prod_i \sum_j \kappa_t^{i,j}",
                "exchange; each $w^j$ is a pmf",
                lambda c: _by_pairs(
                    c,
                    lambda x0, x1: times(
                        add(c.schedule.rows[0][j, i] for j in range(c.flow.count)) for i in range(c.flow.n)
                    ),
                ),
            ),
            Step(
                r"\sum_{x_0,x_1} \pi(x_0,x_1)",
                "the weights are convex at every position",
                lambda c: _by_pairs(c, lambda x0, x1: 1),
            ),
            Step("1", r"$\pi$ is a pmf", lambda c: full((), 1, c.coupling.like)),
        ),
        sizes=(("masked", 1, 2, 2), ("masked", 2, 2, 2), ("joint", 1, 2, 3), ("joint", 2, 2, 2), ("masked", 2, 1, 3)),
        names="source, N, V, J",
        instance=_instance,
    ),
    Derivation(
        "C01",
        "the path starts at the source",
        r"At $t = 0$, where all weight is on $w^1 = \delta_{x_0}$, the path is the source $p$.",
        _end_steps("source", 0, "x_1", "p(x)", lambda c: c.coupling.source),
        sizes=((1, 2), (1, 3), (2, 2)),
        names="N, d",
        instance=_ends,
    ),
    Derivation(
        "C01",
        "the path ends at the target",
        r"At $t = 1$, where all weight is on $w^J = \delta_{x_1}$, the path is the target $q$.",
        _end_steps("target", 1, "x_0", "q(x)", lambda c: c.coupling.target),
        sizes=((1, 2), (1, 3), (2, 2)),
        names="N, d",
        instance=_ends,
    ),
)
