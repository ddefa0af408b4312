r"""Samples, drawn in float64 from the same velocities whose exact law ``laws`` propagates.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595 (the sampler).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    asarray,
    cast,
    full,
    generator,
    index_like,
    instance,
    namespace,
    over_tokens,
    positive_int,
    refuse,
    shaped,
    to_float,
    tokens,
)
from ddfm_theory.couplings import AnyCoupling
from ddfm_theory.decentralization import Decentralization, mix
from ddfm_theory.paths import choose, has_table, marginal_path, sample_path
from ddfm_theory.sampling.laws import central_of, duration, experts_of, slack, steps_of
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.velocities import step_velocity_at, velocity_at


def _in_floats(coupling: Any, name: str) -> Any:
    """Check that samples can be drawn: of floats alone."""
    central = instance(central_of(coupling), AnyCoupling, name)
    refuse("sampling.sample_categorical", central.like, name)
    return central


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
    refuse("sampling.sample_categorical", laws := over_tokens(asarray(laws, "laws"), "laws"), "laws")
    instance(rng, np.random.Generator, "rng")
    if getattr(dtype, "__name__", str(dtype)) not in ("float64", "float32"):
        raise ValueError(f"dtype must be float64 or float32, was {dtype!r}")
    return _drawn(laws, rng, dtype, "laws")


def _drawn(laws: Array, rng: np.random.Generator, dtype: Any, name: str) -> np.ndarray:
    values, limit = to_float(laws), slack(laws)
    right = (values >= -limit).all(axis=-1) & (np.abs(values.sum(axis=-1) - 1) <= limit)
    if not right.all():
        where = tuple(int(i) for i in np.argwhere(~right)[0])
        raise ValueError(f"{name} must be pmfs, was {values[where]} at {where}: is the step too long?")
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
    rng, rows = generator(seed), tokens(states, "states", positive_int(size, "size"))
    if not callable(step):
        raise ValueError(f"step must be a function of (t, t_next, states), was {step!r}")
    places = np.indices(rows.shape)
    for s, t in steps_of(times):
        moves = shaped(asarray(step(s, t, rows), "step"), "step", (*rows.shape, size), f"{(*rows.shape, size)}")
        refuse("sampling.sample_categorical", moves, "step")
        laws = moves + full((1,), 0, moves)
        at = tuple(index_like(index, laws) for index in (*places, rows))
        laws[at] = laws[at] + 1
        rows = _drawn(laws, rng, np.float64, f"laws of a step between the times {s} and {t}")
    return rows


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
    p = marginal_path(coupling, scheduler, t)
    return np.stack(np.unravel_index(choose(p, number, rng, "coupling"), tuple(p.shape)), axis=1)


def sample_discrete(
    coupling: AnyCoupling | Decentralization, scheduler: Scheduler, times: Sequence[Any], count: int, seed: Any
) -> np.ndarray:
    """Draw from the discrete-time sampler; a decentralization mixes its experts at every step. Returns (count, N)."""
    central = _in_floats(coupling, "coupling")

    def step(s: Any, t: Any, rows: np.ndarray) -> Array:
        if isinstance(coupling, Decentralization):
            return coupling.step_velocity_at(scheduler, s, t, rows)
        return step_velocity_at(coupling, scheduler, s, t, rows)

    rng = generator(seed)
    steps_of(times)
    return sample(step, start_states(central, scheduler, times[0], count, rng), times, central.size, rng)


def sample_euler(
    coupling: AnyCoupling | Decentralization, scheduler: Scheduler, times: Sequence[Any], count: int, seed: Any
) -> np.ndarray:
    """Draw from the Euler sampler of the continuous-time velocity. Returns tokens (count, N)."""
    central = _in_floats(coupling, "coupling")

    def step(s: Any, t: Any, rows: np.ndarray) -> Array:
        if isinstance(coupling, Decentralization):
            u = coupling.velocity_at(scheduler, s, rows)
        else:
            u = velocity_at(coupling, scheduler, s, rows)
        return u * cast(duration(s, t), u, "times")

    rng = generator(seed)
    steps_of(times)
    return sample(step, start_states(central, scheduler, times[0], count, rng), times, central.size, rng)


def sample_route_once(
    experts: Decentralization, scheduler: Scheduler, times: Sequence[Any], count: int, seed: Any
) -> np.ndarray:
    """Draw k once a sample from omega and run expert k alone. Returns tokens (count, N)."""
    _in_floats(experts_of(experts), "experts")
    rng = generator(seed)
    drawn = choose(experts.weights, count, rng, "experts")
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

    rng, central = generator(seed), _in_floats(experts_of(experts), "experts")
    steps_of(times)
    return sample(step, start_states(central, scheduler, times[0], count, rng), times, central.size, rng)
