"""Laws of losses and entropies: C07, C12, C19. Written once for every number system."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import flint

from ddfm_theory.arrays import Array, Log, full, is_symbolic, log, stack, total
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization, mix, router_posterior
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    TWO_WAYS,
    exact,
    instance,
    masked,
    masked_coupling,
    masked_experts,
    reveal_order,
    two_coins,
)
from ddfm_theory.ledger.records import Control, Equation, Inequality, Statement
from ddfm_theory.objectives import (
    cross_entropy,
    decomposition,
    denoiser,
    entropy,
    flow_matching_cross_entropy,
    mutual_information,
    negative_elbo,
    next_token_loss,
)
from ddfm_theory.schedulers import Autoregressive, Linear, PerPosition, Polynomial, Scheduler, Steps, Windowed
from ddfm_theory.stability import (
    kl_divergence,
)

QUARTER = flint.fmpq(1, 4)


def prefix_laws(target: Array) -> tuple[list[Array], list[Array]]:
    """Return per step the law of the prefix (V,)*t and the next-token laws (V,)*t + (V,), of a positive target."""
    marginals = [target]
    while marginals[-1].ndim:
        marginals.append(total(marginals[-1], marginals[-1].ndim - 1))
    marginals = marginals[::-1]
    return marginals[:-1], [after / before[..., None] for before, after in itertools.pairwise(marginals)]


# C07 ------------------------------------------------------------------------------------------------------------------


def family_loss(draw: Draw) -> Any:
    """Draw a target and a model, both positive, and an order."""
    length, vocabulary = draw.integer(1, 2), draw.integer(1, 2)
    coupling, model = (masked_coupling(draw, length, vocabulary, positive=True) for _ in range(2))
    return instance(coupling=coupling, model=model)


class AllHidden(Autoregressive):
    """The autoregressive schedule whose next value is one everywhere: every hidden position counts."""

    def kappa(self, t: Any, length: int) -> Array:
        """Return the autoregressive value, or ones one step on (asked for as t + 1/2)."""
        return super().kappa(int(t), length) if t == int(t) else super().kappa(length, length)


def law_loss(case: Any, *, hidden: bool = False) -> Iterator[Statement]:
    """C07: under the autoregressive schedule the flow-matching cross entropy is the next-token loss, term by term."""
    coupling, model = case.coupling, case.model
    n = coupling.length
    losses = [_step_loss(coupling, model, t, hidden) for t in range(n)]
    expected = next_token_loss(coupling.target, prefix_laws(model.target)[1])
    for t in range(n):
        yield Equation("the loss of a step is the next-token loss", stack([total(losses[t])]), stack([expected[t]]))
        if not hidden:
            yield Equation("other positions cost nothing", losses[t] - _only(losses[t], t), zeros_of(losses[t]))
    best = stack([total(_step_loss(coupling, coupling, t, hidden)) for t in range(n)])
    yield Equation("the minimum is H(q)", stack([total(best)]), stack([entropy(coupling.target)]))
    if not is_symbolic(coupling.target):
        yield Inequality("no model does better", stack([total(best)]), stack([total(expected)]))


def _step_loss(coupling: MaskedCoupling, model: MaskedCoupling, t: int, hidden: bool) -> Array:
    after: Any = Fraction(2 * t + 1, 2) if hidden else t + 1
    return flow_matching_cross_entropy(coupling, AllHidden(), t, after, denoiser(model))


def _only(values: Array, place: int) -> Array:
    out = zeros_of(values)
    out[place] = values[place]
    return out


def zeros_of(values: Array) -> Array:
    """Return the additive zero of an array that may hold logarithms."""
    return values - values


CONTROLS_C07 = (
    Control(
        "summing over all hidden positions: 00/11: 2 log 2 instead of log 2",
        instance(coupling=masked(TWO_WAYS), model=masked(TWO_WAYS)),
        {"hidden": True},
        "the minimum is H(q)",
        "largest",
        Log.of(2),
    ),
)


# C12 ------------------------------------------------------------------------------------------------------------------


def family_objective(draw: Draw) -> Any:
    """Draw positive masked experts and a learned router."""
    experts = masked_experts(draw, positive=True)
    shape = tuple(experts.central.target.shape)  # type: ignore[union-attr]
    learned = stack([draw.pmf((len(experts),), positive=True) for _ in range(math.prod(shape))], axis=1)
    return instance(experts=experts, learned=learned)


def law_objective(case: Any, *, weights: str = "posterior") -> Iterator[Statement]:
    """C12: H(X) = sum omega_k H(X|k) + I(X;K), per sequence, per token, and with a learned router."""
    experts = case.experts
    q, omega, laws = experts.central.target, experts.weights, stack([c.target for c in experts.couplings])
    joint = laws * omega[(..., *(None,) * q.ndim)]
    information = mutual_information(joint)
    parts = total(stack([entropy(law) * w for law, w in zip(laws, omega, strict=True)]))
    yield Equation("H(X) = sum omega_k H(X|k) + I(X;K)", stack([entropy(q)]), stack([parts + information]))
    terms = decomposition(experts)
    yield Equation("per token", terms.total, terms.experts + terms.router)
    yield Equation(
        "the tokens add up", stack([total(terms.total), total(terms.router)]), stack([entropy(q), information])
    )
    r = router_posterior(omega, laws)
    shift = omega[(..., *(None,) * q.ndim)] * full(tuple(laws.shape), 1, laws)
    yield Equation(
        "-log q = -log q_k + log(r_k / omega_k)",
        log(laws) - log(r) + log(shift),
        log(q)[None] * full((len(omega),) + (1,) * q.ndim, 1, q),
    )
    yield Equation(
        "the routed experts attain H(X)", stack([total(_routed_loss(experts, weights))]), stack([entropy(q)])
    )
    flat, learned = r.reshape(len(omega), -1), case.learned
    gap = total(stack([kl_divergence(flat[:, x], learned[:, x]) * mass for x, mass in enumerate(q.reshape(-1))]))
    loss = cross_entropy(joint.reshape(len(omega), -1), learned)
    yield Equation("learned router: H(K) - CE = I - E KL", stack([entropy(omega) - loss]), stack([information - gap]))


def _routed_loss(experts: Decentralization, weights: str) -> Array:
    """Return the next-token loss of the mixture of next-token laws, by the posterior at each prefix or by omega."""
    q = experts.central.target  # type: ignore[union-attr]
    parts = [prefix_laws(coupling.target) for coupling in experts.couplings]  # type: ignore[union-attr]
    mixed = []
    for t in range(q.ndim):
        prefixes, laws = stack([part[0][t] for part in parts]), stack([part[1][t] for part in parts])
        static = experts.weights[(..., *(None,) * t)] * full(tuple(prefixes.shape), 1, prefixes)
        mixed.append(mix(router_posterior(experts.weights, prefixes) if weights == "posterior" else static, laws))
    return next_token_loss(q, mixed)


def _static_excess() -> Any:
    """Return KL of (5/8, 3/8) from (1/2, 1/2): what the static weights cost at the second token."""
    return Log.of(flint.fmpq(5, 4)) * flint.fmpq(5, 8) + Log.of(flint.fmpq(3, 4)) * flint.fmpq(3, 8)


CONTROLS_C12 = (
    Control(
        "omega_k as weights at a prefix: (3/4, 1/4)^2 and (1/4, 3/4)^2: KL((5/8, 3/8) | (1/2, 1/2)) more",
        instance(experts=two_coins(2), learned=exact([["1/2"] * 4] * 2)),
        {"weights": "static"},
        "the routed experts attain H(X)",
        "largest",
        _static_excess(),
    ),
)


# C19 ------------------------------------------------------------------------------------------------------------------


def family_elbo(draw: Draw) -> Any:
    """Draw a target, a continuous schedule, and a jump schedule of one position at a time or of several."""
    length = draw.integer(1, 2)
    coupling = masked_coupling(draw, length, draw.integer(1, 2), positive=draw.symbolic)
    scheduler = draw.choice(
        [Linear(), Polynomial(2), Windowed(Fraction(1, 2)), PerPosition([Linear(), Polynomial(3)][:length])]
    )
    return instance(
        coupling=coupling, scheduler=scheduler, jumps=_jumps(draw, length), together=Steps([[0] * length, [1] * length])
    )


def _jumps(draw: Draw, length: int) -> Steps:
    """Draw jumps of one position at a time, each position in two jumps (sizes that are numbers in every system)."""
    order = reveal_order(draw, length).positions(length)
    row, rows = [flint.fmpq(0)] * length, [[flint.fmpq(0)] * length]
    for height in (flint.fmpq(draw.integer(0, 2), 2), flint.fmpq(1)):
        for i in order:
            row = [*row[:i], height, *row[i + 1 :]]
            rows.append(row)
    return Steps(exact(rows))


def law_elbo(case: Any, *, scheduler: Scheduler | None = None) -> Iterator[Statement]:
    """C19: the negative ELBO of the perfect posterior is H(q), whatever the schedule."""
    coupling, law = case.coupling, denoiser(case.coupling)
    h = stack([entropy(coupling.target)])
    elbo = negative_elbo(coupling, scheduler or case.scheduler, law)
    yield Equation("the negative ELBO is H(q)", stack([elbo]), h)
    yield Equation("one position at a time: the jumps give H(q)", stack([_stieltjes(coupling, case.jumps, law)]), h)
    if not is_symbolic(coupling.target):
        yield Inequality("several at a time: at least H(q)", h, stack([_stieltjes(coupling, case.together, law)]))


def _stieltjes(coupling: MaskedCoupling, jumps: Steps, law: Array) -> Array:
    steps = [total(flow_matching_cross_entropy(coupling, jumps, t, t + 1, law)) for t in range(jumps.steps)]
    return total(stack(steps))


class WithoutWeight(Linear):
    """kappa = t with the slope (1 - t): the ELBO's weight 1 / (1 - kappa) left out."""

    def __init__(self) -> None:
        super().__init__()
        self.degree = 2  # the slope is linear in t

    def kappa_dot(self, t: Any, length: int) -> Array:
        """Return kappa_dot (1 - kappa)."""
        return super().kappa_dot(t, length) * (1 - self.kappa(t, length))


CONTROLS_C19 = (
    Control(
        "the weight 1/(1 - kappa) left out, linear kappa, N = 1: H/2",
        instance(
            coupling=masked(["1/2", "1/2"]), scheduler=Linear(), jumps=Steps([[0], [1]]), together=Steps([[0], [1]])
        ),
        {"scheduler": WithoutWeight()},
        "the negative ELBO is H(q)",
        "largest",
        Log.of(2) * flint.fmpq(1, 2),
    ),
)
