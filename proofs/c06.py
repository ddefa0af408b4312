r"""C06: autoregression is the degenerate schedule :math:`\kappa_t^i = 1[t \ge i]` from the all-mask source.

Written for left to right; an order of positions renames them, and the chains are checked for several orders.
"""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array, full
from ddfm_theory.autoregression import chain_law, next_token_law_at, next_token_velocity, prefix_states
from ddfm_theory.couplings import states_of
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.sampling import sampler_law
from ddfm_theory.schedulers import Autoregressive
from ddfm_theory.velocities import step_velocity
from proofs.derivation import Derivation, Step
from proofs.sums import Flow, add, case, delta, marginal, masked, over, replaced, tabulate, times, tuples


def _instance(draw: Draw, order: tuple[int, ...], vocabulary: int, t: int) -> Any:
    length = len(order)
    coupling, schedule = masked(draw, length, vocabulary, positive=True), Autoregressive(order)
    now, after = (schedule.weights(s, length) for s in (t, t + 1))
    rows = prefix_states(states_of(vocabulary, length), t, vocabulary, schedule)
    reached = sorted({tuple(int(x) for x in row) for row in rows})
    flow = Flow(coupling, now, after - now)
    return case(coupling=coupling, schedule=schedule, t=t, flow=flow, reached=reached, mover=order[t], mask=vocabulary)


def _run(draw: Draw, order: tuple[int, ...], vocabulary: int) -> Any:
    coupling = masked(draw, len(order), vocabulary, positive=True)
    return case(coupling=coupling, schedule=Autoregressive(order), order=order, n=len(order), v=vocabulary)


def _reachable(c: Any, entry: Any) -> Array:
    """Return entry(i, x, z) over the reachable states z, shape (states, N, d)."""
    shape = (len(c.reached), c.flow.n, c.flow.d)
    return tabulate(shape, lambda b, i, x: entry(i, x, c.reached[b]))


def _at_reached(c: Any, velocity: Array) -> Array:
    return _reachable(c, lambda i, x, z: velocity[(*z, i, x)])


def _unit_rates(c: Any, i: int, x: int, z: Any) -> Any:
    """Return the posterior average with rate 1[i = t + 1]."""
    if i != c.mover:
        return 0
    flow = c.flow
    return add(flow.posterior(x0, x1, mass, z) * (delta(x1[i], x) - delta(z[i], x)) for x0, x1, mass in flow.pairs)


def _prefix_average(c: Any, i: int, x: int, z: Any) -> Any:
    """Return the average over the data that agree with the prefix."""
    if i != c.mover:
        return 0
    q, shown = c.coupling.target, {j: token for j, token in enumerate(z) if token != c.mask}
    agreeing = [x1 for x1 in tuples(c.mask, c.flow.n) if all(x1[j] == token for j, token in shown.items())]
    weight = marginal(q, shown)
    return add(over(q[x1], weight) * (delta(x1[i], x) - delta(c.mask, x)) for x1 in agreeing)


def _next_token(c: Any) -> Array:
    out = full((len(c.reached), c.flow.n, c.flow.d), 0, c.coupling.target)
    out[:, c.mover, :] = next_token_velocity(next_token_law_at(c.coupling, c.reached, c.mover))
    return out


def _prefix(c: Any, x: tuple[int, ...], t: int) -> dict[int, int]:
    return {i: x[i] for i in c.order[:t]}


def _along(c: Any, factor: Any) -> Array:
    """Return per sequence x the product over t of factor(x, t)."""
    return tabulate((c.v,) * c.n, lambda *x: times(factor(x, t) for t in range(c.n)))


def _kernels(c: Any) -> Array:
    """Return the product of delta + u along the only trajectory to x: through its prefixes, one position a step."""
    kernels = [step_velocity(c.coupling, c.schedule, t, t + 1) for t in range(c.n)]

    def factor(x: tuple[int, ...], t: int) -> Any:
        z: tuple[int, ...] = (c.v,) * c.n
        for i, token in _prefix(c, x, t).items():
            z = replaced(z, i, token)
        after = replaced(z, c.order[t], x[c.order[t]])
        return times(delta(after[i], z[i]) + kernels[t][(*z, i, after[i])] for i in range(c.n))

    return _along(c, factor)


def _chain(c: Any) -> Array:
    steps = chain_law(c.coupling, states_of(c.v, c.n), c.schedule)
    return tabulate((c.v,) * c.n, lambda *x: times(steps[tuples(c.v, c.n).index(x)]))


def _ratio(c: Any, x: tuple[int, ...], t: int) -> Any:
    return over(marginal(c.coupling.target, _prefix(c, x, t + 1)), marginal(c.coupling.target, _prefix(c, x, t)))


def _sampled(c: Any) -> Array:
    law = sampler_law(c.coupling, c.schedule, range(c.n + 1))
    return law[(slice(c.v),) * c.n]


DERIVATIONS = (
    Derivation(
        "C06",
        "the velocity is the next-token law less the mask",
        r"On reachable $z = (z^{\le t}, m, \ldots, m)$ with $q(z^{\le t}) > 0$: $u_t^i(x,z) = 1[i = "
        r"t+1] \big(q(x \mid "
        r"z^{\le t}) - \delta_m(x)\big)$. Any order of positions likewise.",
        (
            Step(
                r"u_t^i(x,z)",
                r"the velocity of the step $t \to t+1$",
                lambda c: _at_reached(c, step_velocity(c.coupling, c.schedule, c.t, c.t + 1)),
                "velocities.step_velocity",
            ),
            Step(
                r"\sum_{x_0,x_1} \frac{\pi(x_0,x_1)\, p_t(z \mid x_0,x_1)}{p_t(z)} \Big( \sum_j a^j w^j(x) + "
                r"b\,\delta_{z^i}(x) \Big)",
                "definition: the posterior average (C03) of the conditional increments (C04)",
                lambda c: _reachable(c, c.flow.velocity),
            ),
            Step(
                r"1[i = t+1] \sum_{x_0,x_1} \frac{\pi(x_0,x_1)\, p_t(z \mid x_0,x_1)}{p_t(z)} "
                r"\big(\delta_{x_1^i}(x) - "
                r"\delta_{z^i}(x)\big)",
                r"$\kappa'^i - \kappa^i = 1[i = t+1]$, and there $\kappa^i = 0$: so $a^2 = 1$ and $b = -1$",
                lambda c: _reachable(c, lambda i, x, z: _unit_rates(c, i, x, z)),
            ),
            Step(
                r"1[i = t+1] \sum_{x_1:\, x_1^{\le t} = z^{\le t}} \frac{q(x_1)}{q(z^{\le t})} "
                r"\big(\delta_{x_1^{t+1}}(x) "
                r"- \delta_m(x)\big)",
                r"$p_t(z \mid x_0,x_1) = 1[x_1^{\le t} = z^{\le t}]$, since $\kappa_t$ is one on the "
                r"prefix and zero after it; "
                r"$z^{t+1} = m$",
                lambda c: _reachable(c, lambda i, x, z: _prefix_average(c, i, x, z)),
            ),
            Step(
                r"1[i = t+1] \big(q(x \mid z^{\le t}) - \delta_m(x)\big)",
                "definition of the conditional probability",
                _next_token,
                "autoregression.next_token_velocity",
            ),
        ),
        sizes=(((0,), 2, 0), ((0, 1), 2, 0), ((0, 1), 2, 1), ((1, 0), 2, 1), ((2, 0, 1), 2, 1), ((0, 1), 3, 1)),
        names="order, V, t",
        instance=_instance,
    ),
    Derivation(
        "C06",
        "N steps give the target",
        r"The sampler started at the all-mask state has, after $N$ steps, the law $q$.",
        (
            Step(
                r"p_N(x)",
                "the sampler's law after $N$ steps",
                _sampled,
                "sampling.sampler_law",
            ),
            Step(
                r"\prod_{t<N} \prod_i \big(\delta_{z^i} + u_t^i(\cdot,z)\big)(y^i) \Big|_{z = x^{\le t} m \cdots m,\ "
                r"y = x^{\le t+1} m \cdots m}",
                r"a token once set stays, so the only trajectory to $x$ passes through its prefixes",
                _kernels,
                "velocities.step_velocity",
            ),
            Step(
                r"\prod_{t<N} q(x^{t+1} \mid x^{\le t})",
                "the velocity is the next-token law less the mask; the other positions stay",
                _chain,
                "autoregression.chain_law",
            ),
            Step(
                r"\prod_{t<N} \frac{q(x^{\le t+1})}{q(x^{\le t})}",
                "definition of the conditional probability",
                lambda c: _along(c, lambda x, t: _ratio(c, x, t)),
            ),
            Step(r"q(x)", r"telescoping, with $q(x^{\le 0}) = 1$", lambda c: c.coupling.target),
        ),
        sizes=(((0,), 2), ((0, 1), 2), ((1, 0), 2), ((0, 1), 3), ((2, 0, 1), 2)),
        names="order, V",
        instance=_run,
    ),
)
