"""Adapters of flows: this package's own couplings and schedules, and any models that give posterior logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, full, is_object, stack, to_float
from ddfm_theory.couplings import Coupling
from ddfm_theory.decentralization import Decentralization, top_k_gate
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import sample_discrete
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.testing.systems import STATE, Parts

__all__ = ["from_decentralization", "from_posteriors"]


def from_decentralization(name: str, experts: Decentralization, scheduler: Scheduler, times: Any = None) -> Parts:
    """Make a flow of this package's own experts and schedule: the right theory, in their number system.

    Args:
        name: what reports call it.
        experts: weights and enumerated couplings.
        scheduler: kappa; of discrete time (no derivative) where ``times`` are steps.
        times: where to look; None takes four times inside (0, 1), or the steps 0..N of autoregression. A sequence of
            ints 0, 1, ..., T is read as steps.
    """
    central: Any = experts.central
    like = central.like
    discrete = times is not None and all(isinstance(t, int) for t in times)
    marks = [flint.fmpq(t, 20) if is_object(like) else t / 20 for t in (3, 8, 13, 18)] if times is None else list(times)
    after = dict(zip(marks, marks[1:], strict=False)) if discrete else {}
    shown = marks[:-1] if discrete else marks

    def steps(part: Any, t: Any, rows: np.ndarray) -> Array:
        return part.step_velocity_at(scheduler, t, after[t], rows)

    def of(coupling: Any, t: Any, rows: np.ndarray) -> Array:
        return steps(_alone(coupling), t, rows) if discrete else _alone(coupling).velocity_at(scheduler, t, rows)

    def select(chosen: Sequence[int], shares: Array) -> Parts:
        few = Decentralization(shares, [experts.couplings[k] for k in chosen])
        return from_decentralization(name, few, scheduler, times)

    ends = (marks[0], marks[-1]) if discrete else (marks[0] * 0, marks[0] * 0 + 1)
    return Parts(
        name, getattr(central, "vocabulary", central.size), central.length, STATE, prior=experts.weights,
        experts=lambda t, rows: stack([of(coupling, t, rows) for coupling in experts.couplings]),
        router=lambda t, rows: experts.router_at(scheduler, t, rows),
        mixture=lambda t, rows: steps(experts, t, rows) if discrete else experts.velocity_at(scheduler, t, rows),
        central=lambda t, rows: of(central, t, rows), gate=top_k_gate, select=select, size=central.size,
        coupling=central, couplings=experts.couplings, schedule=scheduler,
        path=lambda t: marginal_path(central, scheduler, t),
        step=(lambda t, t_next, rows: experts.step_velocity_at(scheduler, t, t_next, rows)),
        times=shown, ends=ends, discrete=discrete, roundings=flow_roundings(central, 2),
        sample=None if not discrete or is_object(like) else (
            lambda count, seed: sample_discrete(experts, scheduler, marks, count, seed)
        ),
    )  # fmt: skip


def _alone(coupling: Any) -> Decentralization:
    one = full((1,), 1, coupling.like)
    return Decentralization(one, [coupling])


def flow_roundings(coupling: Any, bases: int) -> int:
    """Count the roundings of a velocity: a ratio of sums over the coupling of products over positions of J terms."""
    term = coupling.length * (2 * bases + 8)
    return int(3 * (math.prod(coupling.like.shape) + term) + 8)


class FromKappa(Scheduler):
    """A stranger's schedule, as a function t -> (kappa, its derivative), one number for all positions."""

    def __init__(self, kappa: Callable[[Any], tuple[Any, Any]]) -> None:
        self._pair = kappa

    def kappa(self, t: Any, length: int) -> Array:
        """Return kappa at every position."""
        return np.full(length, float(self._pair(t)[0]))

    def kappa_dot(self, t: Any, length: int) -> Array:
        """Return the derivative at every position."""
        return np.full(length, float(self._pair(t)[1]))


def from_posteriors(
    name: str,
    models: Sequence[Callable[[Any, Any], Any]],
    prior: Any,
    path: Any,
    *,
    coupling: Any,
    couplings: Sequence[Any] | None = None,
    sample: Callable[[int, int], np.ndarray] | None = None,
    times: Sequence[float] = (0.15, 0.4, 0.65, 0.9),
    dtype: str = "float64",
) -> Parts:
    """Make a flow of models that give posterior logits and a path that turns these into velocities.

    Any path object serves that has ``posterior_to_velocity(posterior_logits=, x_t=, t=)`` and ``scheduler(t)`` with
    attributes ``alpha_t`` and ``d_alpha_t`` (kappa and its derivative), for instance those of flow_matching.

    Args:
        name: what reports call it.
        models: K functions (x_t tensor (B, N), t tensor (B,)) -> logits (B, N, d) of the target's token given x_t.
        prior: omega, shape (K,).
        path: the path object, or a function without arguments that makes it (one that refuses is then reported).
        coupling: pi, which the experts' mixture should generate, enumerated (its size is d).
        couplings: the experts' couplings, from which the router is made; None where K = 1.
        sample: (count, seed) -> token sequences (count, N), the solver's.
        times: where to look.
        dtype: the Torch dtype of times and logits.
    """
    import torch

    kind = getattr(torch, dtype)
    parts = tuple(couplings or (coupling,))
    experts = Decentralization(prior, parts)

    def of(name: str) -> Any:
        made = path if hasattr(path, "posterior_to_velocity") else path()
        return getattr(made, name)

    def velocity(model: Callable[[Any, Any], Any], t: Any, rows: np.ndarray) -> Any:
        x = torch.as_tensor(np.asarray(rows))
        time = torch.full((len(rows),), float(t), dtype=kind)
        return of("posterior_to_velocity")(posterior_logits=model(x, time).to(kind), x_t=x, t=time)

    def laws(t: Any, rows: np.ndarray) -> Array:
        return torch.stack([velocity(model, t, rows) for model in models]).double().numpy()

    def kappa(t: Any) -> tuple[Any, Any]:
        out = of("scheduler")(torch.tensor(float(t), dtype=kind))
        return out.alpha_t, out.d_alpha_t

    schedule = FromKappa(kappa)
    size, n = int(coupling.size), int(coupling.length)
    vocabulary = size if isinstance(coupling, Coupling) else size - 1

    def router(t: Any, rows: np.ndarray) -> Array:
        return experts.router_at(schedule, t, rows)

    def mixture(t: Any, rows: np.ndarray) -> Array:  # a plain sum: what is not finite in it is for the checks to say
        return np.einsum("kb,kb...->b...", to_float(router(t, rows)), laws(t, rows))

    def select(chosen: Sequence[int], shares: Array) -> Parts:
        few, theirs = [models[k] for k in chosen], [parts[k] for k in chosen]
        central = Decentralization(shares, theirs).central
        return from_posteriors(
            name, few, shares, path, coupling=central, couplings=theirs, times=times, dtype=dtype
        )  # fmt: skip

    return Parts(
        name, vocabulary, n, STATE, prior=experts.weights, experts=laws, router=router, sample=sample, size=size,
        select=select,
        mixture=mixture, gate=top_k_gate, coupling=coupling,
        couplings=parts, schedule=schedule, times=tuple(times), ends=(0.0, 1.0), dtype=dtype,
        target=coupling.target, roundings=flow_roundings(coupling, 2) + 3 * (size + 4),
    )  # fmt: skip
