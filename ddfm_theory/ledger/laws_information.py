"""Laws of losses, entropies and bounds: C07, C12, C14, C15, C19. Written once for every number system."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import flint

from ddfm_theory.arrays import Array, Log, full, is_symbolic, log, namespace, ratio, stack, support, total
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization, mix, router_posterior, top_k_gate, top_k_mask
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
from ddfm_theory.ledger.laws_paths import decides, truth
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
    mixture_kl_bound,
    mixture_tv_bound,
    sequence_kl,
    sequence_tv_bound,
    top_k_shift,
    total_variation,
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


# C14 ------------------------------------------------------------------------------------------------------------------


def family_stability(draw: Draw) -> Any:
    """Draw two routers, two families of experts' laws, and two sequence laws, all positive."""
    count, size = draw.integer(1, 3), draw.integer(2, 3)
    routers = [draw.pmf((count,), "w", positive=True) for _ in range(2)]
    laws = [stack([draw.pmf((size,), positive=True) for _ in range(count)]) for _ in range(2)]
    length = draw.integer(1, 2)
    return instance(routers=routers, laws=laws, sequences=[draw.pmf((2,) * length, positive=True) for _ in range(2)])


def law_stability(case: Any, *, weights: str = "r") -> Iterator[Statement]:
    """C14: total variation and KL of mixtures and of sequence laws are bounded by router and experts apart."""
    (r, r_hat), (p, p_hat), (q, q_hat) = case.routers, case.laws, case.sequences
    prefixes, steps = prefix_laws(q)
    prefixes_hat, steps_hat = prefix_laws(q_hat)
    flat = [kl_divergence(q.reshape(-1), q_hat.reshape(-1))]
    yield Equation(
        "KL of sequences is the sum over tokens", stack(flat), stack([sequence_kl(prefixes, steps, steps_hat)])
    )
    if is_symbolic(q):
        return
    blend, blend_hat = mix(r, p), mix(r_hat, p_hat)
    bound = mixture_tv_bound(r, r_hat, p, p_hat)
    yield Inequality("TV of mixtures", stack([total_variation(blend, blend_hat)]), stack([bound]))
    limit = mixture_kl_bound(r, r_hat, p, p_hat)
    if weights == "r_hat":
        limit = kl_divergence(r, r_hat) + total(r_hat * kl_divergence(p, p_hat))
    yield Inequality("KL of mixtures", stack([kl_divergence(blend, blend_hat)]), stack([limit]))
    distance = stack([total_variation(q.reshape(-1), q_hat.reshape(-1))])
    for name, law in (("q", prefixes), ("q^", prefixes_hat)):
        yield Inequality(f"TV of sequences under {name}", distance, stack([sequence_tv_bound(law, steps, steps_hat)]))


_KL_MIXED = instance(
    routers=[exact(["1/2", "1/2"]), exact(["1/4", "3/4"])],
    laws=[exact([[1, 0], [0, 1]]), exact([["1/4", "3/4"], [0, 1]])],
    sequences=[exact(["1/2", "1/2"]), exact(["1/2", "1/2"])],
)
CONTROLS_C14 = (
    Control(
        "the KL bound with weights r^ in place of r: r = (1/2, 1/2), r^ = (1/4, 3/4): 1/2 log(8/5) too low",
        _KL_MIXED,
        {"weights": "r_hat"},
        "KL of mixtures",
        "gap",
        Log.of(flint.fmpq(8, 5)) * flint.fmpq(1, 2),
    ),
)


# C15 ------------------------------------------------------------------------------------------------------------------


def family_top_k(draw: Draw) -> Any:
    """Draw a router with a largest weight, laws, and k."""
    count, size = draw.integer(1, 3), draw.integer(2, 3)
    laws = stack([draw.pmf((size,)) for _ in range(count)])
    return instance(router=draw.pmf((count,), "w"), laws=laws, k=draw.integer(1, count))


def law_top_k(case: Any, *, scale: Any = None, renormalize: bool = True) -> Iterator[Statement]:
    """C15: keeping mass s and renormalizing moves the mixture by exactly (1 - s) TV(kept, dropped) <= 1 - s."""
    r, laws, k = case.router, case.laws, case.k
    yield from _kept_and_dropped(r, laws, k)
    if is_symbolic(r) or is_symbolic(laws):
        return
    keeps = top_k_mask(r, k)
    held = namespace(r).where(keeps, r, full((), 0, r))
    gated = top_k_gate(r, k) if renormalize else held
    shift, lost = top_k_shift(r, k, laws)
    moved = total_variation(mix(r, laws), mix(gated, laws))
    yield Equation("the gated router sums to one", stack([total(gated)]), full((1,), 1, r))
    yield Equation("the mixture moves by (1 - s) TV(kept, dropped)", stack([moved]), stack([shift]))
    yield Inequality("at most 1 - s", stack([moved]), stack([lost if scale is None else lost * scale]))
    if decides(r) and lost != 0:
        kept, dropped = mix(held, laws), mix(r - held, laws)
        disjoint = all(a == 0 or b == 0 for a, b in zip(kept, dropped, strict=True))
        yield truth("1 - s is attained iff the supports are disjoint", bool(moved == lost), disjoint)


def _kept_and_dropped(r: Array, laws: Array, k: int) -> Iterator[Statement]:
    """The identity under the norm, for the first k experts whatever their weights: it needs no order."""
    held = r * full((1,), 0, r)
    held[:k] = r[:k]
    kept, dropped = (mix(ratio(part, total(part, 0)), laws) for part in (held, r - held))
    moved = mix(r, laws) - kept
    expected = (dropped - kept) * total(r - held, 0)
    charged = support(total(held, 0))
    yield Equation("keeping any k: mixture - kept = (1 - s)(dropped - kept)", moved * charged, expected * charged)


_GATED = instance(router=exact(["3/4", "1/4"]), laws=exact([[1, 0], [0, 1]]), k=1)
CONTROLS_C15 = (
    Control(
        "a claimed bound (1 - s)/2: delta_0, delta_1, r = (3/4, 1/4)",
        _GATED,
        {"scale": flint.fmpq(1, 2)},
        "at most 1 - s",
        "gap",
        flint.fmpq(1, 8),
    ),
    Control(
        "not renormalizing: the mixture loses 1 - s = 1/4",
        _GATED,
        {"renormalize": False},
        "the gated router sums to one",
        "largest",
        QUARTER,
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
