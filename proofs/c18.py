r"""C18: the backward velocity and the corrector, in continuous time and, at one position, in a step."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array
from ddfm_theory.continuity import divergence
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import Rows, two_base
from ddfm_theory.paths import marginal_path, path_derivative
from ddfm_theory.sampling import propagate
from ddfm_theory.velocities import (
    backward_velocity,
    corrector_velocity,
    marginal_velocity,
    step_backward_velocity,
    step_velocity,
)
from ddfm_theory.velocities.backward import combine
from proofs.derivation import Derivation, Step
from proofs.sums import Flow, add, any_coupling, case, delta, over, tabulate, vanishes


def _instance(draw: Draw, kind: str, length: int, vocabulary: int) -> Any:
    """Draw a schedule inside (0, 1), so that both rates are finite."""
    coupling = any_coupling(draw, kind, length, vocabulary)
    now = draw.numbers((length,), "k", 1, 2, 4)
    after, dot = now + draw.numbers((length,), "e", 0, 1, 4), draw.numbers((length,), "s", 0, 3, 2)
    rows = [two_base(now), two_base(after)]
    slopes = two_base(dot)
    slopes[0] = slopes[0] - 1  # (1 - kappa)' = -kappa'
    beta = draw.numbers((1,), "b", 0, 3, 2)[0]
    return case(
        coupling=coupling,
        schedule=Rows(rows, slopes),
        alpha=1 + beta,
        beta=beta,
        flow=Flow(coupling, rows[0], slopes, pivot=1),
    )


def _limited(draw: Draw, kind: str, length: int, vocabulary: int) -> Any:
    """Draw the same with a beta that the diagonal allows: the step must leave every probability nonnegative."""
    c = _instance(draw, kind, length, vocabulary)
    if not draw.symbolic:
        c.beta = c.beta / 12
        c.alpha = 1 + c.beta
    return c


def _path(c: Any) -> Array:
    return marginal_path(c.coupling, c.schedule, 0)


def _forward(c: Any) -> Array:
    return marginal_velocity(c.coupling, c.schedule, 0)


def _backward(c: Any) -> Array:
    return backward_velocity(c.coupling, c.schedule, 0)


def _derivative(c: Any) -> Array:
    return path_derivative(c.coupling, c.schedule, 0)


def _inflow(c: Any) -> Array:
    """Return per state x the average over the coupling of its conditional inflow by the backward velocity."""
    flow = c.flow
    return flow.over_states(
        lambda x: add(
            mass
            * add(
                flow.given(z, x0, x1) * flow.rate(i, x[i], z[i], x0, x1) for i in range(flow.n) for z in flow.near(x, i)
            )
            for x0, x1, mass in flow.pairs
        )
    )


def _start(c: Any, i: int, x: int, z: Any) -> Any:
    """Return P(x0^i = x | z)."""
    return add(c.flow.posterior(x0, x1, mass, z) for x0, x1, mass in c.flow.pairs if x0[i] == x)


def _falling(c: Any) -> Array:
    flow = c.flow
    return flow.over_rates(
        lambda i, x, z: (
            over(flow.slopes[1, i], flow.weights[1, i]) * (_start(c, i, x, z) - delta(x, z[i]))
            if not vanishes(flow.path[z])
            else 0
        )
    )


def _conditional_falls(c: Any) -> Array:
    flow = c.flow
    return flow.over_rates(
        lambda i, x, z: add(
            flow.posterior(x0, x1, mass, z) * -flow.rate(i, x, z[i], x0, x1) for x0, x1, mass in flow.pairs
        )
    )


def _step(c: Any) -> Array:
    steps = step_velocity(c.coupling, c.schedule, 0, 1), step_backward_velocity(c.coupling, c.schedule, 0, 1)
    return propagate(_path(c), combine(*steps, c.alpha, c.beta))


def _expanded(c: Any) -> Array:
    p, d = _path(c), c.flow.d
    ahead, behind = (
        tabulate((d,), lambda y, u=u: add(p[z] * u[z, 0, y] for z in range(d)))
        for u in (
            step_velocity(c.coupling, c.schedule, 0, 1),
            step_backward_velocity(c.coupling, c.schedule, 0, 1),
        )
    )
    return p + ahead * c.alpha - behind * c.beta


SIZES = (("masked", 1, 2), ("masked", 2, 2), ("joint", 1, 2), ("joint", 1, 3))
NAMES = "source, N, V"


def _later(c: Any) -> Array:
    return marginal_path(c.coupling, c.schedule, 1)


DERIVATIONS = (
    Derivation(
        "C18",
        "the backward velocity generates the path",
        r"The posterior average $\tilde u$ of the conditional velocities with the pivot at the arg "
        r"max generates $p_t$, "
        r"for $t$ in $(0,1)$.",
        (
            Step(r"\dot p_t(x)", "the derivative of the path", _derivative, "paths.path_derivative"),
            Step(
                r"\sum_{x_0,x_1} \pi(x_0,x_1) \sum_i \sum_z \delta_z(x^{-i})\, p_t(z \mid x_0,x_1)\, "
                r"\tilde u^i(x^i,z^i "
                r"\mid x_0,x_1)",
                "C02: every pivot with weight generates the conditional path, this one too",
                _inflow,
            ),
            Step(
                r"-\mathrm{div}_x(p_t \tilde u_t)(x)",
                "exchange of finite sums; posterior average (as in C03)",
                lambda c: -divergence(_path(c), _backward(c)),
                "velocities.backward_velocity",
            ),
        ),
        sizes=SIZES,
        names=NAMES,
        instance=_instance,
    ),
    Derivation(
        "C18",
        "minus it satisfies the velocity conditions",
        r"For two base pmfs $-\tilde u^i(x,z) = \frac{\dot\kappa}{\kappa} \big(P(x_0^i = x \mid z) - "
        r"\delta_{z^i}(x)\big)$: "
        r"a pmf less a point mass, times $\dot\kappa/\kappa \ge 0$.",
        (
            Step(
                r"-\tilde u_t^i(x,z)",
                "minus the backward velocity",
                lambda c: -_backward(c),
                "velocities.backward_velocity",
            ),
            Step(
                r"-\sum_{x_0,x_1} \frac{\pi(x_0,x_1)\, p_t(z \mid x_0,x_1)}{p_t(z)}\, \tilde "
                r"u_t^i(x,z^i \mid x_0,x_1)",
                "definition: posterior average",
                _conditional_falls,
            ),
            Step(
                r"\frac{\dot\kappa_t^i}{\kappa_t^i} \big(P(x_0^i = x \mid z) - \delta_{z^i}(x)\big)",
                r"with the pivot $\delta_{x_1}$, $a^1 = -\dot\kappa/\kappa$ and $b = "
                r"\dot\kappa/\kappa$; the posterior sums "
                r"to one",
                _falling,
            ),
        ),
        sizes=SIZES,
        names=NAMES,
        instance=_instance,
    ),
    Derivation(
        "C18",
        "the corrector generates the path",
        r"For $\alpha - \beta = 1$ the velocity $\alpha u - \beta \tilde u$ generates $p_t$; for "
        r"$\alpha, \beta \ge 0$ its rates "
        r"are nonnegative, as $u$'s and $-\tilde u$'s are.",
        (
            Step(r"\dot p_t(x)", "the derivative of the path", _derivative, "paths.path_derivative"),
            Step(
                r"\alpha\, \dot p_t(x) - \beta\, \dot p_t(x)",
                r"$\alpha - \beta = 1$",
                lambda c: _derivative(c) * c.alpha - _derivative(c) * c.beta,
            ),
            Step(
                r"-\alpha\, \mathrm{div}_x(p_t u_t)(x) + \beta\, \mathrm{div}_x(p_t \tilde u_t)(x)",
                "C03, and its like for the backward velocity",
                lambda c: divergence(_path(c), _backward(c)) * c.beta - divergence(_path(c), _forward(c)) * c.alpha,
                "continuity.divergence",
            ),
            Step(
                r"-\mathrm{div}_x\big(p_t (\alpha u_t - \beta \tilde u_t)\big)(x)",
                "the divergence is linear in the velocity",
                lambda c: -divergence(_path(c), corrector_velocity(_forward(c), _backward(c), c.alpha, c.beta)),
                "velocities.corrector_velocity",
            ),
        ),
        sizes=SIZES,
        names=NAMES,
        instance=_instance,
    ),
    Derivation(
        "C18",
        "the corrector's step at one position",
        r"In discrete time, with the step's own ratios, at $N = 1$: the corrector's step is exact. "
        r"($\beta$ is limited by "
        r"the diagonal, $\alpha u(z,z) - \beta \tilde u(z,z) \ge -1$.)",
        (
            Step(
                r"\sum_z p(z) \big(\delta_z + \alpha u(\cdot,z) - \beta \tilde u(\cdot,z)\big)(y)",
                "the sampler's law",
                _step,
                "sampling.propagate",
            ),
            Step(
                r"p(y) + \alpha \sum_z p(z)\, u(y,z) - \beta \sum_z p(z)\, \tilde u(y,z)",
                "linearity, at one position",
                _expanded,
            ),
            Step(
                r"p(y) + \alpha \big(p'(y) - p(y)\big) - \beta \big(p'(y) - p(y)\big)",
                "C04: the step of every pivot is exact",
                lambda c: _path(c) + (_later(c) - _path(c)) * c.alpha - (_later(c) - _path(c)) * c.beta,
            ),
            Step(r"p'(y)", r"$\alpha - \beta = 1$", lambda c: _later(c), "paths.marginal_path"),
        ),
        sizes=(("masked", 1, 2), ("masked", 1, 3), ("joint", 1, 2), ("joint", 1, 3)),
        names=NAMES,
        instance=_limited,
    ),
)
