"""Wrong velocities, routers and steps of flows."""

from dataclasses import replace

import flint
import numpy as np
from catalogue import constant, with_velocity, wrong
from right import JOINT, MASKED, floats

from ddfm_theory.arrays import full, stack, total
from ddfm_theory.decentralization import bayes_filter_update, mix
from ddfm_theory.sampling import sample_discrete
from ddfm_theory.schedulers import Autoregressive, Linear
from ddfm_theory.testing.adapters import from_decentralization
from ddfm_theory.velocities import backward_velocity

# Flows: velocities ----------------------------------------------------------------------------------------------------


@wrong("static weights for the router of velocities", "masked", "check_mixture",
       "the mixture is the router's of the experts")  # fmt: skip
def _(s):
    return replace(s, mixture=lambda t, rows: mix(constant(s.prior, rows), s.experts(t, rows)))


@wrong("static weights, held against continuity", "masked", "check_continuity", "the velocity generates the path")
def _(s):
    return replace(s, mixture=lambda t, rows: mix(constant(s.prior, rows), s.experts(t, rows)))


@wrong("prior for posterior in the average of conditional velocities", "two_ways", "check_continuity",
       "the velocity generates the path")  # fmt: skip
def _(s):
    def edit(u, t, rows):
        even = full(tuple(u.shape), 0, u)
        rate = 2 * t / (1 - t * t)
        hidden = rows == 2
        for token in range(2):
            even[..., token] = np.where(hidden, rate / 2, flint.fmpq(0))
        even[..., 2] = np.where(hidden, -rate, flint.fmpq(0))
        return even

    return with_velocity(s, edit)


@wrong("the velocity's sign flipped", "masked", "check_velocity_conditions",
       "mixture: rates away from a state are nonnegative")  # fmt: skip
def _(s):
    return with_velocity(s, lambda u, t, rows: -u)


@wrong("mask mass leaked: the mask does not lose what tokens gain", "masked", "check_velocity_conditions",
       "mixture: the rates sum to zero")  # fmt: skip
def _(s):
    def edit(u, t, rows):
        out = u.copy()
        out[..., -1] = flint.fmpq(0)
        return out

    return with_velocity(s, edit)


@wrong("clipped rates", "masked_float", "check_continuity", "the velocity generates the path")
def _(s):
    def edit(u, t, rows):
        out = np.clip(u, None, 0.5)
        out[..., -1] = -out[..., :-1].sum(-1)
        return out

    return with_velocity(s, edit)


@wrong("the backward velocity run forward", "masked", "check_velocity_conditions",
       "mixture: rates away from a state are nonnegative")  # fmt: skip
def _(s):
    return with_velocity(s, lambda u, t, rows: backward_velocity(s.coupling, s.schedule, t)[tuple(rows.T)])


@wrong("a corrector with alpha - beta other than one", "masked", "check_continuity", "the velocity generates the path")
def _(s):
    def edit(u, t, rows):
        return 2 * u - backward_velocity(s.coupling, s.schedule, t)[tuple(rows.T)] / 2

    return with_velocity(s, edit)


@wrong("kappa's derivative left out", "masked", "check_continuity", "the velocity generates the path")
def _(s):
    return with_velocity(s, lambda u, t, rows: u / (2 * t))


@wrong("kappa for kappa's derivative", "masked", "check_continuity", "the velocity generates the path")
def _(s):
    return with_velocity(s, lambda u, t, rows: u * t / 2)


@wrong("data tokens reversed", "masked", "check_continuity", "the velocity generates the path")
def _(s):
    return with_velocity(s, lambda u, t, rows: np.concatenate([u[..., 1::-1], u[..., 2:]], axis=-1))


@wrong("positions reversed", "masked", "check_velocity_conditions", "mixture: rates away from a state are nonnegative")
def _(s):
    return with_velocity(s, lambda u, t, rows: u[:, ::-1])


@wrong("experts' order shuffled between router and velocities", "masked", "check_mixture",
       "the mixture is the router's of the experts")  # fmt: skip
def _(s):
    return replace(s, mixture=lambda t, rows: mix(s.router(t, rows)[::-1], s.experts(t, rows)))


@wrong("an expert on another schedule", "masked", "check_central", "the mixture is the coupling's velocity")
def _(s):
    other = from_decentralization("other", MASKED, Linear())

    def experts(t, rows):
        return stack([s.experts(t, rows)[0], other.experts(t, rows)[1]])

    return replace(s, experts=experts, central=None, mixture=lambda t, rows: mix(s.router(t, rows), experts(t, rows)))


@wrong("an infinite rate at the end", "masked_float", "check_ends", "mixture is finite")
def _(s):
    def edit(u, t, rows):
        with np.errstate(divide="ignore", invalid="ignore"):
            return u * ((1 - t * t) / (1 - np.float64(t) * t))

    return with_velocity(s, edit)


@wrong("velocities of the batch's mean", "masked", "check_batch", "mixture: in a batch as alone")
def _(s):
    return with_velocity(s, lambda u, t, rows: u * 0 + total(u, 0)[None] / len(rows))


@wrong("an expert that leaks mask mass", "masked", "check_velocity_conditions", "expert 1: the rates sum to zero")
def _(s):
    def experts(t, rows):
        out = s.experts(t, rows).copy()
        out[1, ..., -1] = out[1, ..., -1] / 2
        return out

    return replace(s, experts=experts)


@wrong("an increment twice as long as what is there", "steps", "check_velocity_conditions",
       "mixture: no more leaves than is there")  # fmt: skip
def _(s):
    return with_velocity(s, lambda u, t, rows: 2 * u)


# Flows: routers -------------------------------------------------------------------------------------------------------


@wrong("a stale router: of the time before", "joint", "check_router_posterior", "the router is the posterior")
def _(s):
    return replace(s, router=lambda t, rows: s.router(t / 2, rows))


@wrong("prior for posterior in a flow's router", "joint", "check_router_posterior", "the router is the posterior")
def _(s):
    return replace(s, router=lambda t, rows: constant(s.prior, rows))


@wrong("the router of the masked source on another source", "joint", "check_router_posterior",
       "the router is the posterior")  # fmt: skip
def _(s):
    targets = [coupling.target for coupling in JOINT.couplings]
    return replace(s, router=lambda t, rows: bayes_filter_update(
        constant(s.prior, rows), stack([q[tuple(rows.T)] for q in targets])))  # fmt: skip


@wrong("a router of a likelihood without its weights", "masked", "check_router", "the router sums to one")
def _(s):
    return replace(s, router=lambda t, rows: s.router(t, rows) / s.prior[:, None] / 2)


# Flows: steps ---------------------------------------------------------------------------------------------------------


@wrong("increments from the derivative", "one", "check_steps", "the step carries the path on")
def _(s):
    return replace(s, step=lambda t, after, rows: s.mixture(t, rows) * (after - t))


@wrong("kappa and kappa' swapped in a step", "masked", "check_steps", "the step is the coupling's")
def _(s):
    def step(t, after, rows):  # the increment over what is hidden after the step, where it is what was before it
        return s.step(t, after, rows) * (1 - t * t) / (2 - t * t - after * after)

    return replace(s, step=step)


@wrong("a step of twice the whole run", "one", "check_steps", "step: no more leaves than is there")
def _(s):
    return replace(s, step=lambda t, after, rows: s.step(t, flint.fmpq(1), rows) * 2)


@wrong("off-by-one reveal: the step before", "steps", "check_continuity", "the step generates the path")
def _(s):
    return replace(s, mixture=lambda t, rows: s.mixture(max(t - 1, 0), rows))


@wrong("off-by-one reveal: the context of one token less", "steps", "check_steps", "the step carries the path on")
def _(s):
    def step(t, after, rows):
        u = s.step(t, after, rows)
        if t == 1:
            u = u.copy()
            u[:, 1] = s.step(1, 2, np.array([[0, 2]]))[0, 1]
        return u

    return replace(s, step=step)


@wrong("a step that leaves a tenth of the mask behind", "steps", "check_steps", "the step carries the path on")
def _(s):
    return replace(s, step=lambda t, after, rows: s.step(t, after, rows) * 0.9)


@wrong("a sampler in the wrong order of positions against a target read backwards", "steps", "check_sampling",
       "samples have the law")  # fmt: skip
def _(s):
    experts = floats(MASKED)
    return replace(s, sample=lambda count, seed: sample_discrete(
        experts, Autoregressive(), [0, 1, 2], count, seed)[:, ::-1])  # fmt: skip


@wrong("positions tied by the expert, drawn apart", "coin_steps", "check_sampling", "samples have the law")
def _(s):
    q = s.coupling.target
    sides = [q.sum(1), q.sum(0)]

    def sample(count, seed):
        rng = np.random.default_rng(seed)
        return np.stack([rng.choice(2, size=count, p=side / side.sum()) for side in sides], axis=1)

    return replace(s, sample=sample)


@wrong("a step that forgets what the mask loses", "masked", "check_steps", "step: the rates sum to zero")
def _(s):
    def step(t, after, rows):
        out = s.step(t, after, rows).copy()
        out[..., -1] = flint.fmpq(0)
        return out

    return replace(s, step=step)


@wrong("a step back", "masked", "check_steps", "step: rates away from a state are nonnegative")
def _(s):
    return replace(s, step=lambda t, after, rows: -s.step(t, after, rows))
