r"""Decentralization: the velocity that generates the data is the router's mixture of the experts' velocities.

For experts with one schedule and the same base pmfs, and :math:`\pi = \sum_k \omega_k \pi_k`,

.. math:: u_t^i(x, z) = \sum_k r_k(z)\, u_t^{k,i}(x, z), \qquad r_k(z) = \omega_k\, p_t^k(z) / p_t(z),

in continuous and in discrete time, for disjoint or overlapping experts. Given a condition c (an image, a prompt) every
statement holds with :math:`\omega_k(c)`; where c determines the expert the router is one-hot.

References:
    Maschan, Qu, Liu, "Decentralized Autoregressive Generation", arXiv 2601.03184; McAllister, Tancik, Song, Kanazawa,
    "Decentralized Diffusion Models", arXiv 2501.05450.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddfm_theory.arrays import (
    Array,
    asarray,
    balanced,
    beside,
    cast,
    fits,
    full,
    index_like,
    is_object,
    namespace,
    nonnegative,
    over_experts,
    pmf,
    positive_int,
    ratio,
    refuse,
    sequence,
    stack,
    support,
    system_of,
    to_float,
    tokens,
    total,
)
from ddfm_theory.couplings import AnyCoupling, MaskedCoupling, check_alike, mixture
from ddfm_theory.paths import (
    base_pmfs,
    conditional_path,
    has_table,
    marginal_path,
    mask_factors,
    mask_weights_at,
    path_at,
    reached_path,
    schedule,
    times_outer,
)
from ddfm_theory.schedulers import Scheduler
from ddfm_theory.velocities import marginal_velocity, step_velocity, step_velocity_at, velocity_at

__all__ = [
    "Decentralization",
    "average_parameters",
    "bayes_filter",
    "bayes_filter_update",
    "hard_router",
    "mix",
    "router_posterior",
    "top_k_gate",
]


def router_posterior(weights: Array, likelihoods: Array) -> Array:
    r"""Return the posterior of the expert, :math:`r_k = \omega_k L_k / \sum_j \omega_j L_j`.

    No product underflows: where one might, all are formed up to a common power of two, which the ratio cancels.

    Args:
        weights: omega, shape (K,), or one law an entry, shape (K, ...).
        likelihoods: L, shape (K, ...).

    Returns:
        Shape (K, ...); zeros where every omega_k L_k is zero, where it is undefined.

    Raises:
        ValueError: the axes of weights do not lead those of likelihoods; negative or not finite.
    """
    return _posterior(weights, likelihoods, "weights", "likelihoods")


def _posterior(weights: Any, likelihoods: Any, *names: str) -> Array:
    given = zip((weights, likelihoods), names, strict=True)
    weights, likelihoods = (over_experts(nonnegative(values, name), name) for values, name in given)
    if is_object(likelihoods) and not is_object(weights):
        likelihoods = cast(likelihoods, weights, names[1])
    if tuple(weights.shape) != tuple(likelihoods.shape[: weights.ndim]):
        shapes = f"{tuple(weights.shape)} and {tuple(likelihoods.shape)}"
        raise ValueError(f"{names[0]} must have one row an expert, as {names[1]}, shapes were {shapes}")
    prior = cast(weights, likelihoods, names[0])[(...,) + (None,) * (likelihoods.ndim - weights.ndim)]
    joint = balanced(likelihoods, prior)  # omega_k L_k
    return ratio(joint, total(joint, 0)[None, ...])


def mix(router: Array, velocities: Array) -> Array:
    r"""Return the mixture :math:`\sum_k r_k(z)\, u^k(x, z)`.

    Args:
        router: r, shape (K, ...).
        velocities: u^k, shape (K, ..., N, d), or anything with the router's axes leading.

    Returns:
        Shape (..., N, d).

    Raises:
        ValueError: the router's axes do not lead the velocities'.
    """
    return _mix(router, velocities, "router", "velocities")


def _mix(router: Any, velocities: Any, *names: str) -> Array:
    router = over_experts(asarray(router, names[0]), names[0])
    logs = is_object(velocities) and system_of(velocities) == "logarithm"  # entropies are mixed too
    velocities = over_experts(velocities if logs else asarray(velocities, names[1]), names[1])
    if tuple(velocities.shape[: router.ndim]) != tuple(router.shape):
        raise ValueError(
            f"{names[0]} must have the leading axes {tuple(velocities.shape[: router.ndim])} of {names[1]}, "
            f"was {tuple(router.shape)}"
        )
    router, extra = cast(router, velocities, names[0]), (None,) * (velocities.ndim - router.ndim)
    out = velocities[0] * router[(0, ..., *extra)]
    for k in range(1, velocities.shape[0]):
        out = out + velocities[k] * router[(k, ..., *extra)]
    return out


def bayes_filter_update(router: Array, token_likelihoods: Array) -> Array:
    r"""Return :math:`r_k(z^{\le t+1}) \propto r_k(z^{\le t})\, q_k(z^{t+1} \mid z^{\le t})`.

    Args:
        router: the posterior over experts at the prefix, shape (K, ...).
        token_likelihoods: each expert's probability of the token that came, shape (K, ...).

    Returns:
        Shape (K, ...).
    """
    return _posterior(router, token_likelihoods, "router", "token_likelihoods")


def bayes_filter(prior: Array, token_likelihoods: Array) -> Array:
    """Return the router along a prefix, from the prior on.

    Args:
        prior: r(empty) = P(k | c), shape (K,).
        token_likelihoods: q_k(z^{t+1} | z^{<=t}), shape (K, T).

    Returns:
        Shape (K, T + 1); column t is the router after t tokens.
    """
    token_likelihoods = over_experts(nonnegative(token_likelihoods, "token_likelihoods"), "token_likelihoods")
    if token_likelihoods.ndim != 2:
        raise ValueError(f"token_likelihoods must have shape (K, T), was {tuple(token_likelihoods.shape)}")
    count = int(token_likelihoods.shape[0])
    columns = [nonnegative(beside(prior, token_likelihoods, "prior", (count,), f"({count},)"), "prior")]
    for t in range(token_likelihoods.shape[1]):
        columns.append(bayes_filter_update(columns[-1], token_likelihoods[:, t]))
    return stack(columns, axis=1)


def top_k_gate(router: Array, k: int) -> Array:
    r"""Return the router with its k largest weights kept and renormalized, the lowest index first on ties.

    Args:
        router: shape (K, ...).
        k: the number of experts kept, 1..K.

    Returns:
        Shape (K, ...).

    Raises:
        ValueError: k out of range, or symbols, which have no order.
    """
    router = over_experts(nonnegative(router, "router"), "router")
    kept = top_k_mask(router, k)
    held = namespace(router).where(kept, router, full((), 0, router))
    return ratio(held, total(held, 0)[None, ...])


def top_k_mask(router: Array, k: int) -> Array:
    """Return which experts a top-k gate keeps, booleans of the router's shape."""
    refuse("decentralization.top_k_gate", router, "router")
    positive_int(k, "k", 1, int(router.shape[0]))
    key = router if is_object(router) else to_float(router)
    ranks = np.argsort(np.argsort(-key, axis=0, kind="stable"), axis=0, kind="stable")
    return index_like(ranks < k, router)


def hard_router(assignments: Any, experts: int, like: Array) -> Array:
    """Return the one-hot router of conditions that determine their expert.

    Args:
        assignments: the expert of each condition, shape (B,), entries in 0..experts-1.
        experts: K.
        like: an array of the number system wanted.

    Returns:
        Shape (K, B).
    """
    rows = tokens([assignments], "assignments", positive_int(experts, "experts"))[0]
    fits((experts, len(rows)), "experts", "give fewer assignments at a time")
    like = asarray(like, "like")
    out = full((experts, rows.shape[0]), 0, like)
    for b, k in enumerate(rows):
        out[int(k), b] = full((), 1, like)[()]
    return out


def average_parameters(weights: Array, parameters: Array) -> Array:
    r"""Return :math:`\sum_k w_k \theta_k`: shape (K,) and (K, ...) to (...). Equal to averaging velocities only where
    these are affine in the parameters and the weights sum to one.
    """  # noqa: D205
    return _mix(weights, parameters, "weights", "parameters")


class Decentralization:
    r"""K experts: weights :math:`\omega_k` and couplings :math:`\pi_k` with :math:`\pi = \sum_k \omega_k \pi_k`.

    Args:
        weights: omega, shape (K,), a pmf in the couplings' number system; a weight may be zero.
        couplings: K couplings alike in class, length and vocabulary; disjoint or overlapping.

    Raises:
        ValueError: no experts, unlike couplings, or weights that are no pmf over them.
    """

    def __init__(self, weights: Any, couplings: Sequence[AnyCoupling]) -> None:
        self.couplings: tuple[AnyCoupling, ...] = tuple(sequence(couplings, "couplings"))
        check_alike(self.couplings)
        self.weights = pmf(cast(asarray(weights, "weights"), self.couplings[0].like, "weights"), "weights")
        if tuple(self.weights.shape) != (len(self.couplings),):
            raise ValueError(f"weights must have shape ({len(self.couplings)},), was {tuple(self.weights.shape)}")
        self.central = mixture(self.weights, self.couplings)

    def __len__(self) -> int:
        return len(self.couplings)

    def paths(self, scheduler: Scheduler, t: Any) -> Array:
        """Return each expert's marginal path p_t^k, shape (K,) + (d,) * N."""
        return stack([marginal_path(coupling, scheduler, t) for coupling in self.couplings])

    def router(self, scheduler: Scheduler, t: Any) -> Array:
        r"""Return :math:`r_k(z) = \omega_k p_t^k(z) / p_t(z)`, shape (K,) + (d,) * N; zeros where p_t(z) = 0.

        From the all-mask source it is omega_k S_k(z) / S(z), whatever the time and the schedule.
        """
        central = self.central
        if not (isinstance(central, MaskedCoupling) and has_table(central, scheduler)):
            self._refuse_lost(scheduler, t)
            return router_posterior(self.weights, self.paths(scheduler, t))
        charged = [support(factor) for factor in mask_factors(schedule(central, scheduler, t), central.size)]
        experts = [coupling for coupling in self.couplings if isinstance(coupling, MaskedCoupling)]
        tables = stack([times_outer(expert.revealed, charged) for expert in experts])
        return router_posterior(self.weights, tables)

    def _refuse_lost(self, scheduler: Scheduler, t: Any) -> None:
        """Refuse a posterior whose evidence p_t(z) underflows at a state that is reached."""
        weights, bases = schedule(self.central, scheduler, t), base_pmfs(self.central, scheduler)
        reached_path(self.central, [conditional_path(weights[:, i], bases) for i in range(self.central.length)])

    def expert_velocities(self, scheduler: Scheduler, t: Any) -> Array:
        """Return each expert's marginal velocity, shape (K,) + (d,) * N + (N, d)."""
        return stack([marginal_velocity(coupling, scheduler, t) for coupling in self.couplings])

    def expert_step_velocities(self, scheduler: Scheduler, t: Any, t_next: Any) -> Array:
        """Return each expert's step velocity, shape (K,) + (d,) * N + (N, d)."""
        return stack([step_velocity(coupling, scheduler, t, t_next) for coupling in self.couplings])

    def velocity(self, scheduler: Scheduler, t: Any) -> Array:
        r"""Return :math:`\sum_k r_k(z) u_t^{k,i}(x, z)`, shape (d,) * N + (N, d)."""
        return mix(self.router(scheduler, t), self.expert_velocities(scheduler, t))

    def step_velocity(self, scheduler: Scheduler, t: Any, t_next: Any) -> Array:
        """Return the mixture of the experts' step velocities, shape (d,) * N + (N, d)."""
        return mix(self.router(scheduler, t), self.expert_step_velocities(scheduler, t, t_next))

    def router_at(self, scheduler: Scheduler, t: Any, states: Any) -> Array:
        """Return the router at given states (B, N): shape (K, B), zeros where p_t(z) = 0."""
        central = self.central
        if not has_table(central, scheduler):
            self._refuse_lost(scheduler, t)
            paths = stack([path_at(coupling, scheduler, t, states) for coupling in self.couplings])
            return router_posterior(self.weights, paths)
        rows = tokens(states, "states", central.size, central.length)
        masses = stack([coupling.mass_at(rows) for coupling in self.couplings])  # type: ignore[union-attr]
        factors = mask_weights_at(schedule(central, scheduler, t), rows, central.size - 1)
        for i in range(central.length):
            masses = masses * support(factors[:, i])
        return router_posterior(self.weights, masses)

    def velocity_at(self, scheduler: Scheduler, t: Any, states: Any) -> Array:
        """Return the mixture of velocities at given states (B, N): shape (B, N, d)."""
        experts = stack([velocity_at(coupling, scheduler, t, states) for coupling in self.couplings])
        return mix(self.router_at(scheduler, t, states), experts)

    def step_velocity_at(self, scheduler: Scheduler, t: Any, t_next: Any, states: Any) -> Array:
        """Return the mixture of step velocities at given states (B, N): shape (B, N, d)."""
        experts = stack([step_velocity_at(coupling, scheduler, t, t_next, states) for coupling in self.couplings])
        return mix(self.router_at(scheduler, t, states), experts)
