r"""C20: the defect of a run is not monotone in the overlap of the windows."""

from __future__ import annotations

import itertools
from typing import Any

import flint

from ddfm_theory.arrays import Array, total
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import exact
from ddfm_theory.sampling import sampler_law
from ddfm_theory.schedulers import Windowed
from proofs.derivation import Derivation, Step
from proofs.sums import add, case, marginal, tabulate

STEPS = 3


def _known_third(draw: Draw, overlap: str) -> Any:
    """Draw two tokens, the third being known; three positions in three steps."""
    pair = draw.pmf((2, 2))
    q = tabulate((2, 2, 2), lambda x, y, z: pair[x, y] * (1 - z))
    return case(coupling=MaskedCoupling(q), q=q, w=exact([overlap])[0])


def _run(c: Any) -> Array:
    times = [flint.fmpq(s, STEPS) for s in range(STEPS + 1)]
    return total(sampler_law(c.coupling, Windowed(c.w), times), 2)[:2, :2]


def _blend(c: Any, together: Any) -> Array:
    q = c.q[:, :, 0]
    return tabulate((2, 2), lambda x, y: q[x, y] + together * (marginal(c.q, {0: x}) * marginal(c.q, {1: y}) - q[x, y]))


def _together(c: Any) -> Any:
    rows = [Windowed(c.w).kappa(flint.fmpq(s, STEPS), 3) for s in range(STEPS + 1)]
    return add((after[0] - now[0]) * (after[1] - now[1]) for now, after in itertools.pairwise(rows))


NOT_MONOTONE = Derivation(
    "C20",
    "not monotone in the overlap",
    r"$N = T = 3$, the third token known, $\frac34 \le w \le 1$: the defect is $\big(\frac13 + \frac23 (1-w)^2\big)\, "
    r"\mathrm{TV}(q^{12}, q^1 \otimes q^2)$, which grows as the windows overlap less: on half 000, half 110 it is "
    r"$\frac16$ at $w = 1$ and $\frac3{16}$ at $w = \frac34$.",
    (
        Step(r"\sum_{x^3} \hat p_T(x^1,x^2,x^3)", "the sampler's law at the end", _run, "sampling.sampler_law"),
        Step(
            r"q^{12} + \Big(\sum_s \Delta\kappa_s^1 \Delta\kappa_s^2\Big) "
            r"(q^1 \otimes q^2 - q^{12})",
            "two positions, any schedule (above): the third tells nothing",
            lambda c: _blend(c, _together(c)),
        ),
        Step(
            r"q^{12} + \Big(\tfrac13 + \tfrac23 (1-w)^2\Big) (q^1 \otimes q^2 - q^{12})",
            r"with $a = 1 - \frac23 w \le \frac12$: $\Delta\kappa^1 = (a, a, 1-2a)$, "
            r"$\Delta\kappa^2 = (\frac w3, 1 - \frac{2w}3, \frac w3)$",
            lambda c: _blend(c, (1 + 2 * (1 - c.w) ** 2) / 3),
        ),
    ),
    sizes=(("1",), ("4/5",), ("3/4",)),
    names="w",
    instance=_known_third,
)
