r"""Discrete flow models of the same targets: the error of the sampled law against the number of steps.

From the all-mask source, on windowed schedules: overlap 1 reveals all positions in parallel, overlap 0 one after the
other, which with N steps is autoregression. Three learners: ``exact`` (the true posterior), ``table`` (the posterior of
a law learned by counting) and ``network`` (a denoiser trained on partly hidden rows). Each is sampled with central and
with mixed velocities; the law of the sampler is propagated, not drawn. By C08 central and mixed velocities of exact
experts are one velocity, so their errors agree at every number of steps; static weights give another law.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from ddfm_theory.arrays import ratio
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization, mix
from ddfm_theory.objectives import denoiser, negative_elbo
from ddfm_theory.sampling import propagate
from ddfm_theory.schedulers import Linear, Scheduler, Windowed
from ddfm_theory.stability import total_variation
from toy_models.denoisers import Fitting, learned_denoisers, learned_state_router
from toy_models.measures import finite
from toy_models.tabular import learn
from toy_models.targets import draw


@dataclass(frozen=True)
class Flow:
    """A sampler's denoiser under one rule.

    Attributes:
        learner: exact, table or network.
        model: central, bayes, static, true router or learned router.
        law: the denoiser, the mixture's where there are experts, shape (d,) * N + (N, V).
    """

    learner: str
    model: str
    law: np.ndarray


def unmasking_velocity(law: np.ndarray, kappa: np.ndarray, kappa_next: np.ndarray) -> np.ndarray:
    r"""Return :math:`\frac{\kappa' - \kappa}{1 - \kappa} \big(\hat q(x^i \mid z) - \delta_m(x)\big)` where z^i = m.

    Args:
        law: the denoiser, shape (d,) * N + (N, V), zero at shown positions.
        kappa: before the step, shape (N,).
        kappa_next: after it, shape (N,).

    Returns:
        The increment, shape (d,) * N + (N, d).
    """
    rates = ratio(kappa_next - kappa, 1 - kappa)
    hidden = (law > 0).any(axis=-1, keepdims=True)  # and reached: what leaves the mask is one, not a sum near it
    return np.concatenate([law, -1.0 * hidden], axis=-1) * rates[:, None]


def flow_law(law: np.ndarray, scheduler: Scheduler, steps: int) -> np.ndarray:
    """Return the law of the sampler of a denoiser after equal steps from all masks, shape (V,) * N.

    Args:
        law: the denoiser, shape (d,) * N + (N, V).
        scheduler: kappa.
        steps: T.
    """
    length, vocabulary = law.shape[-2:]
    p = np.zeros(law.shape[:-2])
    p[(vocabulary,) * length] = 1.0
    kappas = [scheduler.kappa(float(t), length) for t in np.linspace(0, 1, steps + 1)]
    for before, after in zip(kappas, kappas[1:], strict=False):
        p = propagate(p, unmasking_velocity(law, before, after))
    return np.asarray(p[(slice(vocabulary),) * length])


def of_couplings(learner: str, dense: Any, experts: Decentralization) -> Iterator[Flow]:
    """Yield the flows whose posterior is a coupling's: central, and its experts' mixed by two routers."""
    laws = np.stack([denoiser(coupling) for coupling in experts.couplings])  # type: ignore[arg-type]
    yield Flow(learner, "central", denoiser(dense))
    yield Flow(learner, "bayes", mix(experts.router(Linear(), 0.5), laws))  # by C22 the router of every time
    yield Flow(learner, "static", static_mixture(experts.weights, laws))


def static_mixture(weights: np.ndarray, laws: np.ndarray) -> np.ndarray:
    """Return sum_k omega_k u^k of denoisers (K, ...)."""
    return np.asarray(mix(weights, laws))


def of_networks(rows: np.ndarray, labels: np.ndarray, truth: Decentralization, sizes: Fitting, seed: int
                ) -> Iterator[Flow]:  # fmt: skip
    """Train a dense denoiser, one an expert at the same total compute, and a router; yield the flows."""
    experts, v = len(truth), truth.central.vocabulary  # type: ignore[union-attr]
    yield Flow("network", "central", learned_denoisers([rows], v, sizes, seed)[0])
    laws = learned_denoisers([rows[labels == k] for k in range(experts)], v, sizes, seed)
    router = learned_state_router(rows, labels, experts, v, sizes, seed)
    shares = np.bincount(labels, minlength=experts) / len(labels)
    yield Flow("network", "true router", mix(truth.router(Linear(), 0.5), laws))
    yield Flow("network", "learned router", mix(router, laws))
    yield Flow("network", "static", static_mixture(shares, laws))


def flows(target: Decentralization, samples: int, sizes: Fitting, seed: int) -> Iterator[Flow]:
    """Yield the flows of all learners on one draw from the target."""
    rows, labels = draw(target, samples, seed)
    v, order = target.central.vocabulary, target.central.length - 1  # type: ignore[union-attr]
    yield from of_couplings("exact", target.central, target)
    shares = np.bincount(labels, minlength=len(target)) / samples
    tables = [MaskedCoupling(learn(rows[labels == k], v, order, 0.5 / len(target))) for k in range(len(target))]
    yield from of_couplings("table", MaskedCoupling(learn(rows, v, order)), Decentralization(shares, tables))
    yield from of_networks(rows, labels, target, sizes, seed)


def measured(
    target: Decentralization, found: Sequence[Flow], overlaps: Sequence[Fraction], steps: Sequence[int]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return rows of errors by overlap and steps, and rows of losses by overlap.

    Args:
        target: the truth.
        found: the flows; a learner's ``central`` comes first.
        overlaps: w of the schedules.
        steps: T, how many.
    """
    truth, errors, losses = target.central.target, [], []  # type: ignore[union-attr]
    for overlap in overlaps:
        scheduler = Windowed(overlap)
        for flow in found:
            elbo = finite(partial(negative_elbo, target.central, scheduler, flow.law))
            losses.append({**_name(flow, overlap), "elbo": elbo})
        for count in steps:
            central: dict[str, np.ndarray] = {}
            for flow in found:
                law = flow_law(flow.law, scheduler, count)
                like = central.setdefault(flow.learner, law)
                far = {"tv": distance(law, truth), "to_central": distance(law, like)}
                errors.append({**_name(flow, overlap), "steps": count, **far})
    return errors, losses


def _name(flow: Flow, overlap: Fraction) -> dict[str, Any]:
    return {"learner": flow.learner, "model": flow.model, "overlap": float(overlap)}


def distance(p: np.ndarray, q: np.ndarray) -> float:
    """Return the total variation of two laws of any one shape."""
    return float(total_variation(p.ravel(), q.ravel()))
