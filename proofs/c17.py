r"""C17: averaging parameters is averaging velocities where these are affine in the parameters."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array, stack
from ddfm_theory.autoregression import next_token_velocity
from ddfm_theory.decentralization import average_parameters, mix
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.schedulers import Autoregressive
from proofs.derivation import Derivation, Step
from proofs.sums import add, case, delta, experts_of, tabulate


def _affine(draw: Draw, count: int, inputs: int, outputs: int) -> Any:
    matrix = draw.numbers((outputs, inputs), "A", -2, 2, 1)
    return case(
        w=draw.pmf((count,), "w"),
        theta=draw.numbers((count, inputs), "t", -3, 3, 2),
        A=matrix,
        b=draw.numbers((outputs,), "b", -2, 2, 1),
    )


def _at(c: Any, theta: Array) -> Array:
    """Return u(theta) = A theta + b."""
    rows, columns = c.A.shape
    return tabulate((rows,), lambda y: add(c.A[y, j] * theta[j] for j in range(columns)) + c.b[y])


def _inside(c: Any) -> Array:
    rows, columns = c.A.shape
    return tabulate(
        (rows,),
        lambda y: (
            add(w * add(c.A[y, j] * t[j] for j in range(columns)) for w, t in zip(c.w, c.theta, strict=True)) + c.b[y]
        ),
    )


def _tables(draw: Draw, vocabulary: int, count: int) -> Any:
    experts = experts_of(draw, "masked", 1, vocabulary, count)
    laws = stack([coupling.target for coupling in experts.couplings])
    return case(experts=experts, w=experts.weights, theta=laws, v=vocabulary, k=range(count))


def _static(c: Any) -> Array:
    """Return the static mixture of the experts' velocities at the mask."""
    u = c.experts.expert_step_velocities(Autoregressive(), 0, 1)
    return mix(c.w, stack([u[k, c.v, 0] for k in c.k]))


DERIVATIONS = (
    Derivation(
        "C17",
        "an affine velocity",
        r"If $u(\theta) = A\theta + b$ at each state and $\sum_k w_k = 1$, then $u(\sum_k w_k \theta_k) = \sum_k w_k "
        r"u(\theta_k)$.",
        (
            Step(
                r"u\big(\textstyle\sum_k w_k \theta_k\big)",
                "averaged parameters",
                lambda c: _at(c, average_parameters(c.w, c.theta)),
                "decentralization.average_parameters",
            ),
            Step(r"\sum_k w_k A \theta_k + b", "$A$ is linear; exchange of finite sums", _inside),
            Step(
                r"\sum_k w_k (A \theta_k + b)",
                r"$\sum_k w_k = 1$",
                lambda c: mix(c.w, stack([_at(c, theta) for theta in c.theta])),
                "decentralization.mix",
            ),
        ),
        sizes=((2, 2, 2), (3, 2, 1), (2, 3, 2)),
        names="K, inputs, outputs",
        instance=_affine,
    ),
    Derivation(
        "C17",
        "probabilities as parameters",
        r"Where the parameters are the next-token probabilities, one static average is C09's static "
        r"mixture of velocities.",
        (
            Step(
                r"u\big(x; \textstyle\sum_k \omega_k q_k\big)",
                r"the velocity $q(x) - \delta_m(x)$ at the mask, of the averaged table",
                lambda c: next_token_velocity(average_parameters(c.w, c.theta)),
                "autoregression.next_token_velocity",
            ),
            Step(
                r"\sum_k \omega_k q_k(x) - \delta_m(x)",
                "the velocity is affine in the table (C06)",
                lambda c: tabulate(
                    (c.v + 1,),
                    lambda x: (add(c.w[k] * c.theta[k, x] for k in c.k) if x < c.v else 0) - delta(x, c.v),
                ),
            ),
            Step(
                r"\sum_k \omega_k \big(q_k(x) - \delta_m(x)\big)",
                r"$\sum_k \omega_k = 1$; C06 for each expert",
                _static,
                "decentralization.mix",
            ),
        ),
        sizes=((2, 2), (3, 2), (2, 3)),
        names="V, K",
        instance=_tables,
    ),
)
