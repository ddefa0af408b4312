"""Wrong schedules, paths and ends of flows."""

from dataclasses import replace

import flint
from catalogue import Edited, with_velocity, wrong

from ddfm_theory.arrays import full, stack, total
from ddfm_theory.paths import marginal_path
from ddfm_theory.schedulers import Given, Polynomial

# Flows: schedules, paths, ends ----------------------------------------------------------------------------------------


@wrong("a schedule floored by an epsilon", "masked", "check_schedule", "the schedule ends with the target")
def _(s):
    return replace(s, schedule=Edited(s.schedule, lambda w, t: stack([1 - w[-1] * 9 / 10, w[-1] * 9 / 10])))


@wrong("a schedule that starts away from the source", "masked", "check_schedule", "the schedule begins with the source")
def _(s):
    return replace(s, schedule=Edited(s.schedule, lambda w, t: stack([w[0] * 9 / 10, 1 - w[0] * 9 / 10])))


@wrong("a cubic that is not monotone", "masked", "check_schedule", "kappa never falls")
def _(s):
    def cubic(w, t):
        value = full((2,), 10, w) * t**3 - 15 * t**2 + 6 * t
        return stack([1 - value, value])

    def slope(w, t):
        value = full((2,), 30, w) * t**2 - 30 * t + 6
        return stack([-value, value])

    return replace(s, schedule=Edited(s.schedule, cubic, slope), times=(flint.fmpq(1, 4), flint.fmpq(7, 20)))


@wrong("half the derivative", "masked", "check_schedule", "kappa rises no more than its derivative says")
def _(s):
    return replace(s, schedule=Edited(s.schedule, dots=lambda w, t: w / 2))


@wrong("the derivative of another exponent", "masked", "check_schedule", "kappa rises no less than its derivative says")
def _(s):
    return replace(s, schedule=Edited(s.schedule, dots=lambda w, t: Polynomial(2).weights_dot(1 - 0 * t, 2)))


@wrong("weights that do not sum to one", "masked", "check_schedule", "the weights sum to one")
def _(s):
    return replace(s, schedule=Edited(s.schedule, lambda w, t: stack([w[0] * w[0], w[1]])))


@wrong("time reversed: noise at t = 1", "masked", "check_ends", "the path begins as the source")
def _(s):
    return replace(s, path=lambda t: s.path(1 - t))


@wrong("a path that stops short of the data", "masked", "check_ends", "the path ends as the target")
def _(s):
    return replace(s, path=lambda t: s.path(t * 9 / 10))


@wrong("a path of independent positions", "masked", "check_path", "the path is the coupling's")
def _(s):
    return replace(s, path=lambda t: total(s.path(t), 1)[:, None] * total(s.path(t), 0)[None, :])


@wrong("a path that keeps the mask's mass and gives it away too", "masked", "check_path", "the path sums to one")
def _(s):
    return replace(s, path=lambda t: s.path(t) + s.path(flint.fmpq(0)) * t)


@wrong("kappa and 1 - kappa swapped in the path", "masked", "check_path", "the path is the coupling's")
def _(s):
    def path(t):
        kappa = s.schedule.kappa(t, 2)
        return marginal_path(s.coupling, Given(1 - kappa), t)

    return replace(s, path=path)


@wrong("a schedule that overshoots", "masked", "check_schedule", "the weights are nonnegative")
def _(s):
    def weights(w, t):
        kappa = w[-1] * 0 + t * (3 - 2 * t)
        return stack([1 - kappa, kappa])

    return replace(s, schedule=Edited(s.schedule, weights))


@wrong("a path extrapolated from its source", "masked", "check_path", "the path is nonnegative")
def _(s):
    return replace(s, path=lambda t: 30 * s.path(t) - 29 * s.path(t * 0))


@wrong("mask mass leaked at the start only", "masked", "check_ends", "the velocity of an end conserves mass")
def _(s):
    def edit(u, t, rows):
        out = u.copy()
        if t == 1:
            out[..., 0] = out[..., 0] + 1
        return out

    return with_velocity(s, edit)
