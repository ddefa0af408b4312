"""What a denoiser and a velocity pay: the cross entropy of a step, the next-token loss, the divergence of rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ddfm_theory.arrays import (
    Array,
    beside,
    enumerated,
    fits,
    full,
    instance,
    log,
    namespace,
    nonnegative,
    outer,
    over_states,
    pmf,
    ratio,
    refuse,
    sequence,
    stack,
    total,
)
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.objectives.entropies import charged_cross_entropy
from ddfm_theory.paths import has_table, mask_factors
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.velocities import velocity_conditions
from ddfm_theory.velocities.marginal import increment


def denoiser(coupling: MaskedCoupling) -> Array:
    r"""Return the perfect posterior :math:`q(x^i = x \mid z) = S(z^{i \to x}) / S(z)`, shape (d,) * N + (N, V).

    It is set at masked positions of states with S(z) > 0 and zero elsewhere.
    """
    n, data = masked(coupling).length, slice(coupling.vocabulary)
    fits((coupling.size,) * n + (n, coupling.vocabulary), "coupling", "use next_token_law_at")
    table = coupling.revealed
    out = full((*table.shape, n, coupling.vocabulary), 0, table)
    for i in range(n):
        at = (slice(None),) * i
        shown = namespace(table).moveaxis(table[(*at, data)], i, -1)
        out[(*at, coupling.mask, ..., i, slice(None))] = ratio(shown, table[(*at, coupling.mask, ...)][..., None])
    return out


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
    weights, moves = increment(masked(coupling), scheduler, t, t_next)
    if not has_table(coupling, scheduler):
        raise ValueError("scheduler must have two bases, had more")
    return weighted_losses(coupling, weights, moves[-1], denoising(law, coupling))


def next_token_loss(target: Array, laws: Sequence[Array]) -> Array:
    r"""Return :math:`E_q[-\log \hat q(x^{t+1} \mid x^{\le t})]` for each t, left to right: shape (N,).

    Args:
        target: q, shape (V,) * N.
        laws: per step the model's next-token law, shape (V,) * t + (V,).
    """
    target, laws = enumerated(pmf(target, "target"), "target"), sequence(laws, "laws", low=0)
    if len(laws) != target.ndim:
        raise ValueError(f"laws must be one a step, {target.ndim}, were {len(laws)}")
    losses = []
    for t in range(target.ndim):
        prefix = target
        for axis in range(target.ndim - 1, t, -1):
            prefix = total(prefix, axis)
        law = beside(laws[t], target, "laws", tuple(prefix.shape), f"{tuple(prefix.shape)} at step {t}")
        losses.append(charged_cross_entropy(prefix, nonnegative(law, "laws"), "laws"))
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
    losses = charged_cross_entropy(weight, v, "model") + total(weight * log(namespace(p).where(reached, u, one)))
    return losses + total(p[..., None, None] * (v - u))


def weighted_losses(coupling: MaskedCoupling, weights: Array, slopes: Array, law: Array) -> Array:
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
        losses.append(charged_cross_entropy(flux, law[(*at, coupling.mask, ..., i, slice(None))], "law"))
    return stack(losses)


def masked(coupling: Any) -> MaskedCoupling:
    """Return the coupling, which must be enumerated with the all-mask source."""
    found: MaskedCoupling = instance(coupling, MaskedCoupling, "coupling")
    return found


def denoising(law: Any, coupling: MaskedCoupling) -> Array:
    """Bring a model's denoiser beside the coupling: shape (d,) * N + (N, V), nonnegative."""
    shape = (coupling.size,) * coupling.length + (coupling.length, coupling.vocabulary)
    return nonnegative(beside(law, coupling.target, "law", shape, f"(d,) * N + (N, V) = {shape}"), "law")
