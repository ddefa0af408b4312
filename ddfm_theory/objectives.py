r"""Objectives: cross entropies, the negative ELBO and the decentralized objective, in nats.

For the all-mask source and a denoiser :math:`\hat q(x^i \mid z)` (its law of each masked token),

.. math:: \mathcal L_t = \sum_z p_t(z) \sum_{i: z^i = m} \frac{\dot\kappa^i}{1 - \kappa^i}
    \sum_x q(x^i = x \mid z) \big(-\log \hat q(x \mid z)\big),

with the increment in place of the derivative in discrete time. Summed over the autoregressive schedule it is the
next-token loss; integrated over any continuous one it is the negative ELBO; its minimum is the entropy H(q).
The logarithms of exact entries are exact (:class:`~ddfm_theory.arrays.Log`), so these identities are decided by ``==``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import (
    Array,
    alike,
    asarray,
    beside,
    cast,
    enumerated,
    fits,
    full,
    instance,
    is_object,
    log,
    namespace,
    nonnegative,
    outer,
    over_experts,
    over_states,
    over_tokens,
    positive_int,
    ratio,
    refuse,
    sequence,
    stack,
    total,
)
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.paths import has_table, mask_factors, schedule, schedule_dot
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.velocities import increment, velocity_conditions

__all__ = [
    "Decomposition",
    "cross_entropy",
    "decomposition",
    "denoiser",
    "entropy",
    "flow_matching_cross_entropy",
    "generalized_kl",
    "mutual_information",
    "negative_elbo",
    "next_token_loss",
    "reveal_entropy",
]


def cross_entropy(p: Array, q: Array) -> Array:
    r"""Return :math:`-\sum_x p(x) \log q(x)` over all entries, a 0-d array, 0 log 0 being 0.

    Raises:
        ValueError: q(x) = 0 where p(x) > 0, an infinite loss; a number system without logarithms.
    """
    refuse("objectives.cross_entropy", p, "p")
    refuse("objectives.cross_entropy", q, "q")
    p, q = alike(nonnegative(p, "p"), nonnegative(q, "q"), ("p", "q"))
    return _cross_entropy(p, q)


def _cross_entropy(p: Array, q: Array, name: str = "q") -> Array:
    charged = p != 0
    if bool((charged & (q == 0)).any()):
        raise ValueError(f"{name} must charge what p charges, did not: an infinite loss is refused")
    return -total(p * log(namespace(p, q).where(charged, q, full((), 1, q))))


def entropy(p: Array) -> Array:
    r"""Return :math:`H(p) = -\sum_x p(x) \log p(x)` over all entries, a 0-d array."""
    p = nonnegative(p, "p")
    return _cross_entropy(p, p)


def mutual_information(joint: Array) -> Array:
    r"""Return :math:`I = \sum_{k, x} p(k, x) \log \frac{p(k, x)}{p(k) p(x)}` of a joint pmf (K, ...), a 0-d array."""
    joint = nonnegative(over_tokens(over_experts(asarray(joint, "joint"), "joint"), "joint"), "joint")
    flat = namespace(joint).reshape(joint, (joint.shape[0], -1))
    return entropy(total(flat, 1)) + entropy(total(flat, 0)) - entropy(flat)


def _masked(coupling: Any) -> MaskedCoupling:
    found: MaskedCoupling = instance(coupling, MaskedCoupling, "coupling")
    return found


def _denoising(law: Any, coupling: MaskedCoupling) -> Array:
    """Bring a model's denoiser beside the coupling: shape (d,) * N + (N, V), nonnegative."""
    shape = (coupling.size,) * coupling.length + (coupling.length, coupling.vocabulary)
    return nonnegative(beside(law, coupling.target, "law", shape, f"(d,) * N + (N, V) = {shape}"), "law")


def denoiser(coupling: MaskedCoupling) -> Array:
    r"""Return the perfect posterior :math:`q(x^i = x \mid z) = S(z^{i \to x}) / S(z)`, shape (d,) * N + (N, V).

    It is set at masked positions of states with S(z) > 0 and zero elsewhere.
    """
    n, data = _masked(coupling).length, slice(coupling.vocabulary)
    fits((coupling.size,) * n + (n, coupling.vocabulary), "coupling", "use next_token_law_at")
    table = coupling.revealed
    out = full((*table.shape, n, coupling.vocabulary), 0, table)
    for i in range(n):
        at = (slice(None),) * i
        shown = namespace(table).moveaxis(table[(*at, data)], i, -1)
        out[(*at, coupling.mask, ..., i, slice(None))] = ratio(shown, table[(*at, coupling.mask, ...)][..., None])
    return out


def _weighted_losses(coupling: MaskedCoupling, weights: Array, slopes: Array, law: Array) -> Array:
    r"""Return per position the loss weighted by slope: (N,).

    The weight :math:`p_t(z) \dot\kappa^i / (1 - \kappa^i) q(x \mid z)` is the flux
    :math:`\dot\kappa^i \prod_{j \ne i} (\cdot) S(z^{i \to x})`: no division, so no 0/0 where kappa^i = 1.
    """
    table, n, data = coupling.revealed, coupling.length, slice(coupling.vocabulary)
    factors, losses = mask_factors(weights, coupling.size), []
    for i in range(n):
        at = (slice(None),) * i
        rest = factors[:i] + factors[i + 1 :]
        flux = namespace(table).moveaxis(table[(*at, data)], i, -1) * slopes[i]
        if rest:
            flux = flux * outer(rest)[..., None]
        losses.append(_cross_entropy(flux, law[(*at, coupling.mask, ..., i, slice(None))], "law"))
    return stack(losses)


def flow_matching_cross_entropy(
    coupling: MaskedCoupling, scheduler: Scheduler, t: Any, t_next: Any, law: Array
) -> Array:
    r"""Return the cross entropy of a step, per position, with weight :math:`(\kappa' - \kappa) / (1 - \kappa)`.

    Args:
        coupling: q with the all-mask source.
        scheduler: kappa, two bases.
        t: the time before the step.
        t_next: the time after it.
        law: the model's denoiser, shape (d,) * N + (N, V); :func:`denoiser` for the perfect one.

    Returns:
        Shape (N,), zero at positions that do not move. Under the autoregressive schedule the moving position's entry is
        the next-token loss.
    """
    weights, moves = increment(_masked(coupling), scheduler, t, t_next)
    if not has_table(coupling, scheduler):
        raise ValueError("scheduler must have two bases, had more")
    return _weighted_losses(coupling, weights, moves[-1], _denoising(law, coupling))


def next_token_loss(target: Array, laws: Sequence[Array]) -> Array:
    r"""Return :math:`E_q[-\log \hat q(x^{t+1} \mid x^{\le t})]` for each t, left to right: shape (N,).

    Args:
        target: q, shape (V,) * N.
        laws: per step the model's next-token law, shape (V,) * t + (V,).
    """
    target, laws = enumerated(nonnegative(target, "target"), "target"), sequence(laws, "laws", low=0)
    if len(laws) != target.ndim:
        raise ValueError(f"laws must be one a step, {target.ndim}, were {len(laws)}")
    losses = []
    for t in range(target.ndim):
        prefix = target
        for axis in range(target.ndim - 1, t, -1):
            prefix = total(prefix, axis)
        law = beside(laws[t], target, "laws", tuple(prefix.shape), f"{tuple(prefix.shape)} at step {t}")
        losses.append(_cross_entropy(prefix, nonnegative(law, "laws"), "laws"))
    return stack(losses)


def generalized_kl(p: Array, velocity: Array, model: Array) -> Array:
    r"""Return :math:`\sum_z p(z) \sum_i \sum_{x \ne z^i} \big(u \log(u / v) - u + v\big)`, a 0-d array.

    The Bregman divergence between rates: zero exactly where the model's rates v equal u on the support of p.

    Args:
        p: pmf over states, shape (d,) * N.
        velocity: u, shape (d,) * N + (N, d).
        model: v, the same shape.

    Raises:
        ValueError: a rate v = 0 where u > 0.
    """
    refuse("objectives.generalized_kl", p, "p")
    p = enumerated(nonnegative(p, "p"), "p")
    velocity, model = over_states(velocity, p, "velocity"), over_states(model, p, "model")
    (_, u), (_, v) = velocity_conditions(velocity), velocity_conditions(model)
    weight = p[..., None, None] * u
    reached = weight != 0
    one = full((), 1, p)
    for name, rates in (("velocity", u), ("model", v)):
        nonnegative(rates, f"rates of {name}")
    losses = _cross_entropy(weight, v, "model") + total(weight * log(namespace(p).where(reached, u, one)))
    return losses + total(p[..., None, None] * (v - u))


def negative_elbo(coupling: MaskedCoupling, scheduler: Scheduler, law: Array, *, nodes: int | None = None) -> Array:
    r"""Return :math:`\int_0^1 \mathcal L_t\, dt`, which bounds -E log q and equals H(q) at the perfect denoiser.

    Between breakpoints the integrand is a polynomial in t wherever kappa is one; it is then integrated exactly, by
    interpolation at rational nodes. Other schedules (cosine) are integrated in floats, by Gauss-Legendre.

    Args:
        coupling: q with the all-mask source.
        scheduler: a continuous-time schedule from 0 to 1.
        law: the model's denoiser, shape (d,) * N + (N, V).
        nodes: Gauss-Legendre nodes per smooth piece; None integrates polynomials exactly, others with 48.

    Returns:
        A 0-d array.

    Raises:
        ValueError: exact entries with a schedule that is no polynomial in t.
    """
    count = None if nodes is None else positive_int(nodes, "nodes", high=1024)
    if not has_table(_masked(coupling), scheduler):
        raise ValueError("scheduler must have two bases, had more")
    law = _denoising(law, coupling)
    exact, degree = is_object(coupling.target), None if count else _degree(scheduler, coupling)
    if degree is None and exact:
        raise ValueError(f"scheduler must be a polynomial in t among exact entries, was {scheduler!r}")
    _check_ends(coupling, scheduler)
    rule = _gauss(count or 48) if degree is None else _interpolation(degree)
    # t = s^p makes t^(1/p) smooth at 0, where its derivative is infinite; p = 1 for every other schedule
    power = 1 if exact or scheduler.degree is not None else 1 / min(1.0, float(getattr(scheduler, "exponent", 1)))
    ends, pieces = [Fraction(0), *scheduler.breakpoints(coupling.length), Fraction(1)], []
    for a, b in zip(ends, ends[1:], strict=False):
        for place, weight in rule:
            s = a + (b - a) * place
            time, stretch = (s, 1) if power == 1 else (s**power, power * s ** (power - 1))
            slope = schedule_dot(coupling, scheduler, time)[-1]
            slope = slope * cast(asarray((b - a) * weight * stretch, "nodes"), coupling.target)
            pieces.append(total(_weighted_losses(coupling, schedule(coupling, scheduler, time), slope, law)))
    return total(stack(pieces), 0)


def _degree(scheduler: Scheduler, coupling: MaskedCoupling) -> int | None:
    """Return how many nodes integrate a piece exactly; None where no number does, or among floats not stably."""
    if scheduler.degree is None:
        return None
    count = scheduler.degree * coupling.length
    return count if is_object(coupling.target) or count <= 8 else None


def _check_ends(coupling: MaskedCoupling, scheduler: Scheduler) -> None:
    for t in (0, 1):
        if not bool((scheduler.kappa(t, coupling.length) == t).all()):
            raise ValueError(f"scheduler must go from 0 at t = 0 to 1 at t = 1, {scheduler!r} does not at t = {t}")


def _gauss(count: int) -> list[tuple[Any, Any]]:
    """Return Gauss-Legendre nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(count)
    return [((1 + float(s)) / 2, float(v) / 2) for s, v in zip(x, w, strict=True)]


def _interpolation(count: int) -> list[tuple[Fraction, Fraction]]:
    """Return the nodes j / count, j < count, and the weights that integrate polynomials of degree < count exactly."""
    places, rule = [flint.fmpq(j, count) for j in range(count)], []
    for j in range(count):
        basis = flint.fmpq_poly([1])
        for i in range(count):
            if i != j:
                basis *= flint.fmpq_poly([-places[i], 1]) / (places[j] - places[i])
        weight = basis.integral()(flint.fmpq(1))
        rule.append((Fraction(j, count), Fraction(int(weight.p), int(weight.q))))
    return rule


def reveal_entropy(target: Array, revealed: Sequence[int]) -> Array:
    """Return H(X_R), the entropy of the positions ``revealed`` under q, a 0-d array."""
    law = enumerated(nonnegative(target, "target"), "target")
    kept = {positive_int(i, "revealed", 0, law.ndim - 1) for i in sequence(revealed, "revealed", low=0)}
    for axis in range(law.ndim - 1, -1, -1):
        if axis not in kept:
            law = total(law, axis)
    return entropy(law)


@dataclass(frozen=True)
class Decomposition:
    r"""The terms of :math:`H(X^t \mid X^{<t}) = \sum_k \omega_k H(X^t \mid X^{<t}, k) + I(X^t; K \mid X^{<t})`.

    Attributes:
        total: the central objective per token, shape (N,).
        experts: what the experts pay, shape (N,).
        router: what knowing the expert is worth, shape (N,).
    """

    total: Array
    experts: Array
    router: Array


def decomposition(experts: Decentralization) -> Decomposition:
    r"""Return the decentralized objective at its optimum, term by term and token by token.

    .. math:: -\log q(x^t \mid x^{<t}) = -\log q_k(x^t \mid x^{<t}) + \log \frac{r_k(x^{\le t})}{r_k(x^{<t})},

    averaged over the experts and their data; each term is computed from its own definition.

    Args:
        experts: enumerated experts with the all-mask source.
    """
    central = instance(experts, Decentralization, "experts").central
    if not isinstance(central, MaskedCoupling):
        raise ValueError(f"experts must have enumerated all-mask couplings, had {type(central).__name__}")
    joint = stack([c.target * experts.weights[k] for k, c in enumerate(experts.couplings)])  # type: ignore[union-attr]
    whole, parts, shared = [], [], []
    for t in range(central.length + 1):
        p = joint
        for axis in range(central.length, t, -1):
            p = total(p, axis)
        whole.append(entropy(total(p, 0)))
        parts.append(entropy(p) - entropy(experts.weights))
        shared.append(mutual_information(namespace(p).reshape(p, (p.shape[0], -1))))
    return Decomposition(*(stack([b - a for a, b in zip(x, x[1:], strict=False)]) for x in (whole, parts, shared)))
