r"""C19: the negative ELBO of the perfect posterior is the entropy, whatever the schedule.

It is the integral of an exact differential. With :math:`\Phi(\kappa) = E\,H(X_R)`, R holding each position i with
probability :math:`\kappa^i` apart, :math:`\Phi` is affine in each :math:`\kappa^i`, 0 at 0 and H(q) at 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, Log, stack, total
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import Rows, exact, two_base
from ddfm_theory.objectives import denoiser, entropy, flow_matching_cross_entropy, negative_elbo, reveal_entropy
from ddfm_theory.schedulers import Linear, PerPosition, Polynomial, Scheduler, Steps
from proofs.derivation import AT_MOST, Derivation, Grid, Step
from proofs.sums import ONE, Flow, add, case, marginal, masked, pmfs, times, vanishes

POWERS: dict[str, tuple[int, ...]] = {"t": (1, 1), "t^2": (2, 2), "t and t^3": (1, 3)}


def _step(draw: Draw, length: int, vocabulary: int) -> Any:
    """Draw any step of all positions."""
    now, after = draw.steps(length)
    coupling = masked(draw, length, vocabulary, positive=True)
    return _case(coupling, now, after)


def _one_jump(draw: Draw, length: int, vocabulary: int, mover: int) -> Any:
    """Draw a step of one position."""
    now, after = draw.steps(length)
    later = now + 0
    later[mover] = after[mover]
    return _case(masked(draw, length, vocabulary, positive=True), now, later)


def _case(coupling: MaskedCoupling, now: Array, after: Array) -> Any:
    rows = [two_base(now), two_base(after)]
    flow = Flow(coupling, rows[0], rows[1] - rows[0])
    return case(coupling=coupling, schedule=Rows(rows), flow=flow, now=now, after=after, moves=after - now)


def _schedule(draw: Draw, length: int, vocabulary: int, name: str) -> Any:
    powers = POWERS[name][:length]
    scheduler: Scheduler = PerPosition([Linear() if n == 1 else Polynomial(n) for n in powers])
    return case(coupling=masked(draw, length, vocabulary, positive=True), scheduler=scheduler, powers=powers, n=length)


def _one(value: Any) -> Array:
    return stack([value])


def _loss(c: Any) -> Array:
    return _one(total(flow_matching_cross_entropy(c.coupling, c.schedule, 0, 1, denoiser(c.coupling))))


def _by_states(c: Any) -> Any:
    """Return the loss by its definition, over states, hidden positions and tokens."""
    law, flow = denoiser(c.coupling), c.flow
    return add(
        flow.path[z] * (c.moves[i] / (1 - c.now[i])) * law[(*z, i, x)] * -Log.of(law[(*z, i, x)])
        for z in flow.states
        for i in range(flow.n)
        if z[i] == c.coupling.mask and not vanishes(c.moves[i]) and not vanishes(flow.path[z])
        for x in range(c.coupling.vocabulary)
    )


def _subsets(places: list[int]) -> Iterator[tuple[int, ...]]:
    for count in range(len(places) + 1):
        yield from itertools.combinations(places, count)


def _chance(kappa: Any, shown: tuple[int, ...], places: list[int]) -> Any:
    """Return the probability that exactly ``shown`` among ``places`` are revealed."""
    return times(kappa[i] if i in shown else 1 - kappa[i] for i in places)


def _h(q: Array, shown: tuple[int, ...]) -> Any:
    """Return H(X_R) from its definition."""
    laws = (
        marginal(q, dict(zip(shown, x, strict=True))) for x in itertools.product(range(q.shape[0]), repeat=len(shown))
    )
    return add(p * -Log.of(p) for p in laws)


def _rise(q: Array, i: int, shown: tuple[int, ...]) -> Any:
    """Return H(X^i | X_R) = H(X_R, X^i) - H(X_R)."""
    return _h(q, tuple(sorted((*shown, i)))) - _h(q, shown)


def _others(n: int, i: int) -> list[int]:
    return [j for j in range(n) if j != i]


def _by_sets(c: Any) -> Any:
    n, q = c.flow.n, c.coupling.target
    return add(
        _rise(q, i, shown) * (c.moves[i] * _chance(c.now, shown, _others(n, i)))
        for i in range(n)
        for shown in _subsets(_others(n, i))
    )


def _phi(c: Any, kappa: Any) -> Any:
    places = list(range(len(kappa)))
    return add(_h(c.coupling.target, shown) * _chance(kappa, shown, places) for shown in _subsets(places))


def _with(kappa: Any, i: int, value: int) -> list[Any]:
    return [flint.fmpq(value) if j == i else entry for j, entry in enumerate(kappa)]


def _differences(c: Any) -> Any:
    return add(
        (_phi(c, _with(c.now, i, 1)) - _phi(c, _with(c.now, i, 0))) * c.moves[i]
        for i in range(c.flow.n)
        if not vanishes(c.moves[i])
    )


def _integrated(c: Any) -> Any:
    """Return the integral term by term: rational integrals of polynomials in t times entropies."""
    t = flint.fmpq_poly([0, 1])
    kappa, dots = [t**n for n in c.powers], [(t**n).derivative() for n in c.powers]
    return add(
        _rise(c.coupling.target, i, shown) * (dots[i] * _chance(kappa, shown, _others(c.n, i))).integral()(ONE)
        for i in range(c.n)
        for shown in _subsets(_others(c.n, i))
    )


def _elbo(c: Any) -> Array:
    return _one(negative_elbo(c.coupling, c.scheduler, denoiser(c.coupling)))


def _grid() -> Iterator[Any]:
    for law in pmfs(4, 4):
        yield case(coupling=MaskedCoupling(law.reshape(2, 2)), n=2)


def _jump_loss(c: Any) -> Array:
    jump = Steps(exact([[0] * c.n, [1] * c.n]))
    return _one(total(flow_matching_cross_entropy(c.coupling, jump, 0, 1, denoiser(c.coupling))))


def _chained(c: Any) -> Array:
    """Return sum_i H(X^i | X^{<i}), empty cells left out."""
    return _one(add(_positive_h(c, tuple(range(i + 1))) - _positive_h(c, tuple(range(i))) for i in range(c.n)))


def _positive_h(c: Any, shown: tuple[int, ...]) -> Any:
    return reveal_entropy(c.coupling.target, shown) if shown else Log({})


LOSS = r"\sum_z p_t(z) \sum_{i:\, z^i = m} \frac{\Delta\kappa^i}{1 - \kappa^i}"

INTEGRAND = Derivation(
    "C19",
    "the loss is the differential of the revealed entropy",
    r"At the perfect posterior, the loss of a step with increments $\Delta\kappa^i$ (in continuous "
    r"time $\dot\kappa^i dt$) is "
    r"$\sum_i \Delta\kappa^i\, \partial\Phi/\partial\kappa^i$. Below, $R$ runs over sets of positions "
    r"other than $i$, and "
    r"$\rho_R$ is the probability that exactly $R$ of them is revealed.",
    (
        Step(
            r"\mathcal L",
            "the flow-matching cross entropy of the step",
            _loss,
            "objectives.flow_matching_cross_entropy",
        ),
        Step(
            LOSS + r" \sum_x q(x^i = x \mid z) \big(-\log q(x^i = x \mid z)\big)",
            "definition, with the perfect posterior",
            lambda c: _one(_by_states(c)),
        ),
        Step(
            r"\sum_i \Delta\kappa^i \sum_{R \not\ni i} \rho_R\, H(X^i \mid X_R)",
            r"sum over states by the set $R$ they reveal: $p_t(z) = S(z) \rho_R (1 - \kappa^i)$ where "
            r"$z^i = m$ (C22)",
            lambda c: _one(_by_sets(c)),
        ),
        Step(
            r"\sum_i \Delta\kappa^i \big(\Phi(\kappa)|_{\kappa^i = 1} - \Phi(\kappa)|_{\kappa^i = 0}\big)",
            r"$H(X^i \mid X_R) = H(X_{R \cup i}) - H(X_R)$; $\Phi$ is affine in $\kappa^i$, so this is "
            r"$\partial\Phi/\partial\kappa^i$",
            lambda c: _one(_differences(c)),
        ),
    ),
    sizes=((1, 2), (1, 3), (2, 2)),
    instance=_step,
)

JUMP = Derivation(
    "C19",
    "a jump of one position",
    r"If one position jumps, the loss is the increment of $\Phi$; so jumps of one position at a time "
    r"add up to $\Phi(1) - "
    r"\Phi(0) = H(q)$.",
    (
        Step(
            r"\mathcal L",
            "the flow-matching cross entropy of the jump",
            _loss,
            "objectives.flow_matching_cross_entropy",
        ),
        Step(
            r"\Delta\kappa^i \big(\Phi(\kappa)|_{\kappa^i = 1} - \Phi(\kappa)|_{\kappa^i = 0}\big)",
            "the differential above, with one increment",
            lambda c: _one(_differences(c)),
        ),
        Step(
            r"\Phi(\kappa') - \Phi(\kappa)",
            r"$\Phi$ is affine in $\kappa^i$, and only $\kappa^i$ has changed",
            lambda c: _one(_phi(c, c.after) - _phi(c, c.now)),
        ),
    ),
    sizes=((1, 2, 0), (2, 2, 0), (2, 2, 1)),
    names="N, V, i",
    instance=_one_jump,
)

CONTINUOUS = Derivation(
    "C19",
    "the negative ELBO is the entropy",
    r"For every absolutely continuous $\kappa$ from 0 to 1, equal or per position, the negative ELBO "
    r"is $H(q)$. (Decided "
    r"where $\kappa$ is a polynomial; the fundamental theorem of calculus is not decided here but cited.)",
    (
        Step(
            r"\int_0^1 \mathcal L_t\, dt",
            "the negative ELBO at the perfect posterior",
            _elbo,
            "objectives.negative_elbo",
        ),
        Step(
            r"\sum_i \sum_{R \not\ni i} H(X^i \mid X_R) \int_0^1 \dot\kappa_t^i \prod_{j \in R} "
            r"\kappa_t^j \prod_{j \notin R, j "
            r"\ne i} (1 - \kappa_t^j)\, dt",
            "the integrand above; exchange of a finite sum and the integral",
            lambda c: _one(_integrated(c)),
        ),
        Step(
            r"\Phi(\kappa_1) - \Phi(\kappa_0)",
            r"the integrand is $\frac{d}{dt} \Phi(\kappa_t)$, and $\Phi(\kappa_t)$ is absolutely continuous",
            lambda c: _one(_phi(c, [flint.fmpq(1)] * c.n) - _phi(c, [flint.fmpq(0)] * c.n)),
        ),
        Step(
            r"H(q)",
            r"at $\kappa = 1$ all is revealed, at $\kappa = 0$ nothing",
            lambda c: _one(entropy(c.coupling.target)),
            "objectives.entropy",
        ),
    ),
    sizes=((1, 2, "t"), (1, 3, "t^2"), (2, 2, "t"), (2, 2, "t^2"), (2, 2, "t and t^3")),
    names="N, V, kappa",
    instance=_schedule,
    corners=2,
)

TOGETHER = Derivation(
    "C19",
    "several positions at once pay more",
    r"If all positions jump at once, the loss is at least $H(q)$, with equality iff they are independent.",
    (
        Step(r"H(q)", "the entropy", lambda c: _one(entropy(c.coupling.target)), "objectives.entropy"),
        Step(r"\sum_i H(X^i \mid X^{<i})", "chain rule of entropy", _chained),
        Step(
            r"\sum_i H(X^i)",
            "conditioning does not raise entropy",
            lambda c: _one(add(_positive_h(c, (i,)) for i in range(c.n))),
            "objectives.reveal_entropy",
            AT_MOST,
        ),
        Step(
            r"\mathcal L",
            r"the differential above at $\kappa = 0$, $\Delta\kappa = 1$: only $R = \emptyset$ has weight",
            _jump_loss,
            "objectives.flow_matching_cross_entropy",
        ),
    ),
    grid=Grid(
        r"every law of two binary tokens in fourths",
        _grid,
        attained=(
            (
                "independent tokens",
                case(coupling=MaskedCoupling(exact([["1/8", "3/8"], ["1/8", "3/8"]])), n=2),
            ),
        ),
    ),
)

DERIVATIONS = (INTEGRAND, JUMP, CONTINUOUS, TOGETHER)
