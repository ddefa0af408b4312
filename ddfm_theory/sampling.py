r"""Sampling: the exact law of a sampler, and samples.

A step draws each position apart from :math:`\delta_{z^i} + h\, u^i(\cdot, z)`. On an enumerated space the whole pmf is
propagated, so a sampler is judged by its law; samples are drawn in float64. Three ways to use experts: draw one and run
it (route once), mix their velocities by the router at every step, or by the static prior.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595 (the sampler).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    asarray,
    cast,
    full,
    gamma,
    namespace,
    positive_int,
    refuse,
    to_float,
    tokens,
    total,
)
from ddfm_theory.couplings import AnyCoupling, states_of
from ddfm_theory.decentralization import Decentralization, mix
from ddfm_theory.paths import has_table, marginal_path, sample_path
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.velocities import marginal_velocity, step_velocity, step_velocity_at, velocity_at


def step_laws(velocity: Array, h: Any = 1) -> Array:
    r"""Return the laws :math:`\delta_{z^i}(x) + h\, u^i(x, z)` of the next token, shape (d,) * N + (N, d).

    Args:
        velocity: u, shape (d,) * N + (N, d).
        h: the step; 1 for discrete time.
    """
    length, size = int(velocity.shape[-2]), int(velocity.shape[-1])
    laws = velocity * cast(asarray(h, "h"), velocity, "h")
    one = full((1,), 1, velocity)[0]
    for i in range(length):
        for token in range(size):
            at = (slice(None),) * i + (token, ..., i, token)
            laws[at] = laws[at] + one
    return laws


def propagate(p: Array, velocity: Array, h: Any = 1) -> Array:
    r"""Return the law after one step: :math:`p'(y) = \sum_z p(z) \prod_i (\delta_{z^i} + h\, u^i(\cdot, z))(y^i)`.

    Args:
        p: the pmf before the step, shape (d,) * N.
        velocity: u, shape (d,) * N + (N, d).
        h: the step; 1 for discrete time.

    Returns:
        Shape (d,) * N.
    """
    xp, length, size = namespace(p), p.ndim, int(p.shape[0])
    laws = xp.reshape(step_laws(velocity, h), (size**length, length, size))
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


def chain_law(p: Array, velocities: Iterable[Array]) -> Array:
    """Return the law after a sequence of steps, each propagated exactly."""
    for velocity in velocities:
        p = propagate(p, velocity)
    return p


def path_law(p: Array, velocities: Sequence[Array]) -> Array:
    """Return the joint law of the whole trajectory, shape (M,) * (T + 1) with M = d ** N states (small systems)."""
    xp, states = namespace(p), math.prod(p.shape)
    law = xp.reshape(p, (states,))
    for velocity in velocities:
        laws = xp.reshape(step_laws(velocity), (states, p.ndim, p.shape[0]))
        law = law[..., None] * _products(laws, range(p.ndim))
    return law


def sampler_law(coupling: AnyCoupling | Decentralization, scheduler: Scheduler, times: Sequence[Any]) -> Array:
    """Return the law of the discrete-time sampler at the last time, started from the path at the first.

    A decentralization is sampled by mixing its experts' velocities with the router at every step.
    """
    central = coupling.central if isinstance(coupling, Decentralization) else coupling
    steps = _steps(coupling, scheduler, times)
    return chain_law(marginal_path(central, scheduler, times[0]), steps)


def _steps(coupling: AnyCoupling | Decentralization, scheduler: Scheduler, times: Sequence[Any]) -> list[Array]:
    pairs = _pairs(times)
    if isinstance(coupling, Decentralization):
        return [coupling.step_velocity(scheduler, s, t) for s, t in pairs]
    return [step_velocity(coupling, scheduler, s, t) for s, t in pairs]


def euler_law(coupling: AnyCoupling, scheduler: Scheduler, times: Sequence[Any]) -> Array:
    """Return the law of the Euler sampler of the continuous-time velocity at the last time."""
    p = marginal_path(coupling, scheduler, times[0])
    for s, t in _pairs(times):
        p = propagate(p, marginal_velocity(coupling, scheduler, s), t - s)
    return p


def route_once_law(experts: Decentralization, scheduler: Scheduler, times: Sequence[Any]) -> Array:
    r"""Return the law of drawing k once from omega and running expert k alone: :math:`\sum_k \omega_k p^k`."""
    laws = [sampler_law(coupling, scheduler, times) for coupling in experts.couplings]
    return mix(experts.weights, namespace(*laws).stack(laws))


def static_law(experts: Decentralization, scheduler: Scheduler, times: Sequence[Any]) -> Array:
    """Return the law of mixing velocities with the static weights omega at every step."""
    p = marginal_path(experts.central, scheduler, times[0])
    for s, t in _pairs(times):
        p = propagate(p, mix(experts.weights, experts.expert_step_velocities(scheduler, s, t)))
    return p


def mixed_kernel_law(p: Array, router: Array, velocities: Array) -> Array:
    """Return the law after a step that draws an expert from r(z) at each state and runs its factorized kernel.

    Args:
        p: pmf, shape (d,) * N.
        router: r, shape (K,) + (d,) * N.
        velocities: step velocities, shape (K,) + (d,) * N + (N, d).
    """
    parts = [propagate(p * router[k], velocities[k]) for k in range(router.shape[0])]
    return total(namespace(*parts).stack(parts), 0)


def sample_categorical(laws: Array, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Draw one token a law by inverting its distribution function, in float64 unless told otherwise.

    Args:
        laws: shape (..., d), floats.
        rng: the source of randomness.
        dtype: the precision of sums and uniforms; float32 biases rare tokens.

    Returns:
        Tokens, shape (...).

    Raises:
        ValueError: exact entries, or a probability negative beyond rounding (a step too long: nothing is clipped).
    """
    refuse("sampling.sample_categorical", laws, "laws")
    values = to_float(laws)
    if values.ndim == 0 or values.shape[-1] == 0 or np.dtype(dtype) not in (np.float64, np.float32):
        raise ValueError(f"laws must have tokens, and dtype be float64 or float32, were {values.shape} and {dtype}")
    slack = gamma(laws.dtype, values.shape[-1] + 4)
    right = (values >= -slack).all(axis=-1) & (np.abs(values.sum(axis=-1) - 1) <= slack)
    if not right.all():
        where = tuple(int(i) for i in np.argwhere(~right)[0])
        raise ValueError(f"laws must be pmfs, was {values[where]} at {where}: is the step too long?")
    positive = np.where(values > 0, values, 0.0)  # what is left below zero is rounding, bounded above
    cumulated = np.cumsum(positive, axis=-1, dtype=dtype)
    uniform = rng.random(values.shape[:-1], dtype=dtype)[..., None] * cumulated[..., -1:]
    return np.asarray((uniform >= cumulated).sum(axis=-1))


def sample(
    step: Callable[[Any, Any, np.ndarray], Array], states: Any, times: Sequence[Any], size: int, seed: Any
) -> np.ndarray:
    r"""Draw trajectories' ends: at each step every position apart from :math:`\delta_{z^i} + u^i(\cdot, z)`.

    Args:
        step: (t, t_next, states (B, N)) -> increments (B, N, d).
        states: where to start, tokens of shape (B, N).
        times: the times of the run.
        size: d.
        seed: the seed of NumPy's default generator.

    Returns:
        Tokens, shape (B, N).
    """
    rng, rows = generator(seed), tokens(states, "states", size)
    for s, t in _pairs(times):
        laws = step(s, t, rows)
        stay = np.eye(size)[rows]
        rows = sample_categorical(laws + cast(stay, laws), rng)
    return rows


def generator(seed: Any) -> np.random.Generator:
    """Return NumPy's default generator for a seed, or a generator as it is, so that one run draws from one stream."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(positive_int(seed, "seed", 0))


def _pairs(times: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return the steps of a run, refusing no times."""
    if isinstance(times, str) or not hasattr(times, "__len__") or not len(times):
        raise ValueError(f"times must be a nonempty sequence, was {times!r}")
    return list(zip(times, times[1:], strict=False))


def start_states(coupling: AnyCoupling, scheduler: Scheduler, t: Any, count: int, seed: Any) -> np.ndarray:
    """Draw states of the path at the first time: from all masks with two bases directly, else from the pmf p_t.

    Args:
        coupling: pi.
        scheduler: kappa.
        t: the first time.
        count: how many.
        seed: a seed or a generator.
    """
    rng, number = generator(seed), positive_int(count, "count")
    if has_table(coupling, scheduler):
        return sample_path(coupling, scheduler, t, number, rng)
    p = to_float(marginal_path(coupling, scheduler, t)).ravel()
    drawn = rng.choice(p.size, size=number, p=p / p.sum())
    return states_of(coupling.size, coupling.length)[drawn]


def sample_discrete(
    coupling: AnyCoupling | Decentralization, scheduler: Scheduler, times: Sequence[Any], count: int, seed: Any
) -> np.ndarray:
    """Draw from the discrete-time sampler; a decentralization mixes its experts at every step. Returns (count, N)."""
    central = coupling.central if isinstance(coupling, Decentralization) else coupling

    def step(s: Any, t: Any, rows: np.ndarray) -> Array:
        if isinstance(coupling, Decentralization):
            return coupling.step_velocity_at(scheduler, s, t, rows)
        return step_velocity_at(coupling, scheduler, s, t, rows)

    rng = generator(seed)
    _pairs(times)
    return sample(step, start_states(central, scheduler, times[0], count, rng), times, central.size, rng)


def sample_euler(
    coupling: AnyCoupling | Decentralization, scheduler: Scheduler, times: Sequence[Any], count: int, seed: Any
) -> np.ndarray:
    """Draw from the Euler sampler of the continuous-time velocity. Returns tokens (count, N)."""
    central = coupling.central if isinstance(coupling, Decentralization) else coupling

    def step(s: Any, t: Any, rows: np.ndarray) -> Array:
        if isinstance(coupling, Decentralization):
            return coupling.velocity_at(scheduler, s, rows) * (t - s)
        return velocity_at(coupling, scheduler, s, rows) * (t - s)

    rng = generator(seed)
    _pairs(times)
    return sample(step, start_states(central, scheduler, times[0], count, rng), times, central.size, rng)


def sample_route_once(
    experts: Decentralization, scheduler: Scheduler, times: Sequence[Any], count: int, seed: Any
) -> np.ndarray:
    """Draw k once a sample from omega and run expert k alone. Returns tokens (count, N)."""
    rng = generator(seed)
    weights = to_float(experts.weights)
    drawn = rng.choice(len(experts), size=positive_int(count, "count"), p=weights / weights.sum())
    out = np.empty((count, experts.central.length), dtype=np.int64)
    for k, coupling in enumerate(experts.couplings):
        if (drawn == k).any():
            out[drawn == k] = sample_discrete(coupling, scheduler, times, int((drawn == k).sum()), rng)
    return out


def sample_static(
    experts: Decentralization, scheduler: Scheduler, times: Sequence[Any], count: int, seed: Any
) -> np.ndarray:
    """Draw by mixing the experts' velocities with the static weights omega. Returns tokens (count, N)."""

    def step(s: Any, t: Any, rows: np.ndarray) -> Array:
        laws = [step_velocity_at(coupling, scheduler, s, t, rows) for coupling in experts.couplings]
        return mix(experts.weights, namespace(*laws).stack(laws))

    rng, central = generator(seed), experts.central
    _pairs(times)
    return sample(step, start_states(central, scheduler, times[0], count, rng), times, central.size, rng)
