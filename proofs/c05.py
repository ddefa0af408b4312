r"""C05: when a step of whole states is exact.

From masks: :mod:`proofs.c05_masked`; by how much a step can miss there: :mod:`proofs.c05_rate`; a run, and without the
hypotheses: :mod:`proofs.c05_order`.
"""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array
from ddfm_theory.continuity import divergence
from ddfm_theory.couplings import Coupling
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import single_mover
from ddfm_theory.sampling import propagate
from proofs.c05_masked import MASKED, case_of, kernels, path_after, path_before, step_of
from proofs.c05_order import ORDER
from proofs.c05_rate import RATE
from proofs.derivation import Derivation, Step
from proofs.sums import (
    add,
    any_coupling,
    free_schedule,
    tabulate,
    times,
)


def _one_mover(draw: Draw, kind: str, length: int, vocabulary: int) -> Any:
    if kind == "crossing":  # both positions move, but never at the same state: 00 -> 10 and 11 -> 10
        joint = tabulate((2,) * 4, lambda *at: 0)
        joint[0, 0, 1, 0], joint[1, 1, 1, 0] = draw.pmf((2,))
        return case_of(Coupling(joint), free_schedule(draw, 2))
    return case_of(any_coupling(draw, kind, length, vocabulary), single_mover(draw, length))


def _first_order(c: Any) -> Array:
    """Return sum over the coupling of the conditional path and its first-order increments."""
    flow = c.flow
    return flow.over_states(
        lambda y: add(
            mass * (flow.given(y, x0, x1) + add(flow.moved(y, x0, x1, i) for i in range(flow.n)))
            for x0, x1, mass in flow.pairs
        )
    )


def _product_form(c: Any) -> Array:
    """Return sum over the coupling of prod_i (p^i + increment)."""
    flow = c.flow
    return flow.over_states(
        lambda y: add(
            mass * times(flow.token(i, y[i], x0, x1) + flow.token(i, y[i], x0, x1, flow.slopes) for i in range(flow.n))
            for x0, x1, mass in flow.pairs
        )
    )


ONE_MOVER = Derivation(
    "C05",
    "one mover at each state: the step is exact, and so is first-order continuity",
    r"If at each state at most one position moves ($u^i(\cdot,z) = 0$ for all $i$ but one), then the sampler carries "
    r"$p_t$ to $p_{t'}$, and $p_{t'} - p_t + \mathrm{div}(p_t u_t) = 0$. Write $\Delta^i = p_{t'}^i - p_t^i$, given "
    r"$(x_0,x_1)$.",
    (
        Step(r"p_{t'}(y)", "the path after the step", path_after, "paths.marginal_path"),
        Step(
            r"\sum_{x_0,x_1} \pi(x_0,x_1) \prod_i \big(p_t^i(y^i \mid x_0,x_1) + \Delta^i(y^i \mid x_0,x_1)\big)",
            "definition",
            _product_form,
        ),
        Step(
            r"\sum_{x_0,x_1} \pi(x_0,x_1) \Big( p_t(y \mid x_0,x_1) + \sum_i \Delta^i(y^i \mid "
            r"x_0,x_1) \prod_{j \ne i} "
            r"p_t^j(y^j \mid x_0,x_1) \Big)",
            r"at most one $\Delta^i \ne 0$ given $(x_0,x_1)$: were two, a state charged by both would "
            r"have two movers, since "
            r"rates out of a state are of one sign and do not cancel in the posterior average",
            _first_order,
        ),
        Step(
            r"p_t(y) - \mathrm{div}_x(p_t u_t)(y)",
            "C03 with increments for derivatives (C04)",
            lambda c: path_before(c) - divergence(path_before(c), step_of(c)),
            "continuity.divergence",
        ),
        Step(
            r"\sum_z p_t(z) \prod_i \big(\delta_{z^i} + u^i(\cdot,z)\big)(y^i)",
            r"expand the product: two velocities at one $z$ never meet, so only $\delta_z(y)$ and $\delta_z(y^{-i}) "
            r"u^i(y^i,z)$ stay",
            kernels,
        ),
        Step(
            r"\big(\text{sampler}(p_t)\big)(y)",
            "definition of the sampler",
            lambda c: propagate(path_before(c), step_of(c)),
            "sampling.propagate",
        ),
    ),
    sizes=(("masked", 1, 2), ("masked", 2, 2), ("joint", 1, 3), ("crossing", 2, 2)),
    names="source, N, V",
    instance=_one_mover,
)

DERIVATIONS = (ONE_MOVER, *MASKED, RATE, *ORDER)
