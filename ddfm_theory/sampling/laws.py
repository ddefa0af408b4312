r"""The exact law of a sampler: the whole pmf, propagated step by step on an enumerated space.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595 (the sampler).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    as_array,
    asarray,
    beside,
    cast,
    dense_velocity,
    enumerated,
    fits,
    full,
    instance,
    is_object,
    is_symbolic,
    namespace,
    nonnegative,
    over_experts,
    over_states,
    sequence,
    shaped,
    summation,
    system_of,
    to_float,
    total,
)
from ddfm_theory.couplings import AnyCoupling
from ddfm_theory.decentralization import Decentralization, mix
from ddfm_theory.paths import marginal_path
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.velocities import marginal_velocity, step_velocity


def step_laws(velocity: Array, h: Any = 1) -> Array:
    r"""Return the laws :math:`\delta_{z^i}(x) + h\, u^i(x, z)` of the next token, shape (d,) * N + (N, d).

    Args:
        velocity: u, shape (d,) * N + (N, d).
        h: the step; 1 for discrete time.

    Raises:
        ValueError: another shape; a step so long that a probability is negative beyond rounding: nothing is clipped.
    """
    velocity = dense_velocity(velocity, "velocity")
    return _laws(velocity, _step(h, velocity), "h")


def _step(h: Any, like: Array) -> Any:
    """Bring a step's length beside a velocity; 1 is 1 in every number system."""
    return h if type(h) is int and h == 1 else nonnegative(beside(h, like, "h", (), "()"), "h")


def _laws(velocity: Array, h: Any, name: str) -> Array:
    """Return delta + h u, refused under the name of what the caller can change where it is no law."""
    length, size = int(velocity.shape[-2]), int(velocity.shape[-1])
    laws = velocity * h
    one = full((), 1, velocity)[()]
    for i in range(length):
        for token in range(size):
            at = (slice(None),) * i + (token, ..., i, token)
            laws[at] = laws[at] + one
    if _negative(laws):
        raise ValueError(f"{name} must leave every probability nonnegative, one is not: is the step too long?")
    return laws


def _negative(laws: Array) -> bool:
    """Tell whether an entry is negative beyond rounding; symbols have no sign."""
    if is_symbolic(laws):
        return False
    if system_of(laws) == "roundoff":
        return any(float(entry) < -entry.error("float64") for entry in laws.flat)
    return bool((laws < 0).any()) if is_object(laws) else float(to_float(laws.min())) < -slack(laws)


def slack(laws: Array) -> float:
    """Return what rounding may take from laws (..., d) or from their sums."""
    return summation(laws.dtype, int(laws.shape[-1]) + 4)


def propagate(p: Array, velocity: Array, h: Any = 1) -> Array:
    r"""Return the law after one step: :math:`p'(y) = \sum_z p(z) \prod_i (\delta_{z^i} + h\, u^i(\cdot, z))(y^i)`.

    Args:
        p: the pmf before the step, shape (d,) * N.
        velocity: u, shape (d,) * N + (N, d).
        h: the step; 1 for discrete time.

    Returns:
        Shape (d,) * N.
    """
    p = _measure(p)
    velocity = over_states(velocity, p, "velocity")
    return _moved(p, velocity, _step(h, p), "h")


def _measure(p: Any) -> Array:
    """Bring p to an array over states, nonnegative but for what a step before may have rounded below zero."""
    p = enumerated(asarray(p, "p"), "p")
    if _negative(p):
        raise ValueError("p must be nonnegative, an entry is negative beyond rounding")
    return p


def _moved(p: Array, velocity: Array, h: Any, name: str) -> Array:
    xp, length, size = namespace(p), p.ndim, int(p.shape[0])
    laws = xp.reshape(_laws(velocity, h, name), (size**length, length, size))
    half = length // 2
    left = _products(laws, range(half)) * xp.reshape(p, (size**length, 1))
    right = _products(laws, range(half, length))
    return xp.reshape(xp.tensordot(left, right, axes=([0], [0])), p.shape)


def _products(laws: Array, positions: Iterable[int]) -> Array:
    """Return per state the outer product of the chosen positions' laws, flattened: (M, size ** count)."""
    out = full((laws.shape[0], 1), 1, laws)
    for i in positions:
        out = namespace(out).reshape(
            out[:, :, None] * laws[:, i, None, :], (out.shape[0], out.shape[1] * laws.shape[2])
        )
    return out


def chain_law(p: Array, velocities: Sequence[Array]) -> Array:
    """Return the law after a sequence of steps, each propagated exactly."""
    p = _measure(p)
    for velocity in sequence(velocities, "velocities", low=0):
        p = _moved(p, over_states(velocity, p, "velocities"), 1, "velocities")
    return p


def path_law(p: Array, velocities: Sequence[Array]) -> Array:
    """Return the joint law of the whole trajectory, shape (M,) * (T + 1) with M = d ** N states (small systems)."""
    p = _measure(p)
    xp, states, steps = namespace(p), math.prod(p.shape), sequence(velocities, "velocities", low=0)
    fits((states,) * (len(steps) + 1), "velocities", "take fewer steps")
    law = xp.reshape(p, (states,))
    for velocity in (over_states(step, p, "velocities") for step in steps):
        laws = xp.reshape(_laws(velocity, 1, "velocities"), (states, p.ndim, p.shape[0]))
        law = law[..., None] * _products(laws, range(p.ndim))
    return law


def sampler_law(coupling: AnyCoupling | Decentralization, scheduler: Scheduler, times: Sequence[Any]) -> Array:
    """Return the law of the discrete-time sampler at the last time, started from the path at the first.

    A decentralization is sampled by mixing its experts' velocities with the router at every step.
    """
    central = central_of(coupling)
    steps = _steps(coupling, scheduler, times)
    return chain_law(marginal_path(central, scheduler, times[0]), steps)


def central_of(coupling: AnyCoupling | Decentralization) -> AnyCoupling:
    """Return the coupling whose path is sampled."""
    return coupling.central if isinstance(coupling, Decentralization) else coupling


def experts_of(experts: Any) -> Decentralization:
    """Check that an argument is experts."""
    found: Decentralization = instance(experts, Decentralization, "experts")
    return found


def _steps(coupling: AnyCoupling | Decentralization, scheduler: Scheduler, times: Sequence[Any]) -> list[Array]:
    pairs = steps_of(times)
    if isinstance(coupling, Decentralization):
        return [coupling.step_velocity(scheduler, s, t) for s, t in pairs]
    return [step_velocity(coupling, scheduler, s, t) for s, t in pairs]


def euler_law(coupling: AnyCoupling, scheduler: Scheduler, times: Sequence[Any]) -> Array:
    """Return the law of the Euler sampler of the continuous-time velocity at the last time."""
    pairs = steps_of(times)
    p = marginal_path(coupling, scheduler, times[0])
    for s, t in pairs:
        u = marginal_velocity(coupling, scheduler, s)
        p = _moved(p, u, cast(duration(s, t), u, "times"), "times")
    return p


def route_once_law(experts: Decentralization, scheduler: Scheduler, times: Sequence[Any]) -> Array:
    r"""Return the law of drawing k once from omega and running expert k alone: :math:`\sum_k \omega_k p^k`."""
    laws = [sampler_law(coupling, scheduler, times) for coupling in experts_of(experts).couplings]
    return mix(experts.weights, namespace(*laws).stack(laws))


def static_law(experts: Decentralization, scheduler: Scheduler, times: Sequence[Any]) -> Array:
    """Return the law of mixing velocities with the static weights omega at every step."""
    pairs = steps_of(times)
    p = marginal_path(experts_of(experts).central, scheduler, times[0])
    for s, t in pairs:
        p = propagate(p, mix(experts.weights, experts.expert_step_velocities(scheduler, s, t)))
    return p


def mixed_kernel_law(p: Array, router: Array, velocities: Array) -> Array:
    """Return the law after a step that draws an expert from r(z) at each state and runs its factorized kernel.

    Args:
        p: pmf, shape (d,) * N.
        router: r, shape (K,) + (d,) * N.
        velocities: step velocities, shape (K,) + (d,) * N + (N, d).
    """
    p, router = enumerated(asarray(p, "p"), "p"), over_experts(nonnegative(router, "router"), "router")
    router = beside(router, p, "router", (router.shape[0], *p.shape), f"(K,) + {tuple(p.shape)}")
    shape = (*router.shape, p.ndim, p.shape[0])
    velocities = beside(velocities, p, "velocities", shape, f"(K,) + (d,) * N + (N, d) = {shape}")
    parts = [_moved(p * router[k], velocities[k], 1, "velocities") for k in range(router.shape[0])]
    return total(namespace(*parts).stack(parts), 0)


def steps_of(times: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return the steps of a run, refusing no times, and times that fall."""
    moments = sequence(times, "times")
    duration(moments[0], moments[0])
    pairs = list(zip(moments, moments[1:], strict=False))
    for s, t in pairs:
        if not is_symbolic(length := duration(s, t)) and bool(length < 0):
            raise ValueError(f"times must not fall, {s} is followed by {t}")
    return pairs


def duration(s: Any, t: Any) -> Array:
    """Return t - s: exactly where both are exact, else in float64."""
    moments = [shaped(nonnegative(time, "times"), "times", (), "()") for time in (s, t)]
    if not all(is_object(time) for time in moments):
        moments = [cast(time, np.zeros(()), "times") for time in moments]
    return as_array(moments[1] - moments[0])
