"""Experts, routers, gates, bounds: laws over the families, refusals, and the symbolic use of a notebook."""

from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from number_systems import SYSTEMS, draw_in

from ddfm_theory.arrays import asarray, gamma, is_object, stack, system_of, to_sympy, total
from ddfm_theory.couplings import Coupling, EmpiricalCoupling, MaskedCoupling, states_of
from ddfm_theory.decentralization import (
    Decentralization,
    average_parameters,
    bayes_filter,
    bayes_filter_update,
    hard_router,
    mix,
    router_posterior,
    top_k_gate,
)
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.families import masked_experts, moving_schedule
from ddfm_theory.objectives import (
    cross_entropy,
    decomposition,
    denoiser,
    entropy,
    flow_matching_cross_entropy,
    generalized_kl,
    mutual_information,
    negative_elbo,
    next_token_loss,
    reveal_entropy,
)
from ddfm_theory.paths import marginal_path, path_derivative
from ddfm_theory.schedulers import Autoregressive, Cosine, Given, Linear, Polynomial
from ddfm_theory.sharpening import geometric_mixture, greedy, nucleus, temperature
from ddfm_theory.stability import (
    kl_divergence,
    mixture_kl_bound,
    mixture_tv_bound,
    sequence_kl,
    sequence_tv_bound,
    top_k_bound,
    top_k_shift,
    total_variation,
)
from ddfm_theory.testing.strategies import decentralizations, pmfs, routers, schedulers, states, step_schedulers, times
from ddfm_theory.velocities import marginal_velocity, step_velocity, step_velocity_at, velocity_at

ZERO, ONE, HALF = flint.fmpq(0), flint.fmpq(1), flint.fmpq(1, 2)


@given(st.data())
def test_mixture_is_central_for_every_schedule_and_both_times(data):
    experts = data.draw(decentralizations())
    central, n = experts.central, experts.central.length
    scheduler, t = data.draw(schedulers(n)), data.draw(times())
    assert (experts.velocity(scheduler, t) == marginal_velocity(central, scheduler, t)).all()
    steps = data.draw(step_schedulers(n))
    s = data.draw(st.integers(0, steps.steps - 1))
    assert (experts.step_velocity(steps, s, s + 1) == step_velocity(central, steps, s, s + 1)).all()
    z = data.draw(states(central.size, n))
    assert (experts.velocity_at(scheduler, t, z) == velocity_at(central, scheduler, t, z)).all()
    assert (experts.step_velocity_at(steps, s, s + 1, z) == step_velocity_at(central, steps, s, s + 1, z)).all()


@given(st.data())
def test_router_is_the_posterior_and_its_twins_agree(data):
    experts = data.draw(decentralizations())
    n, d = experts.central.length, experts.central.size
    scheduler, t = data.draw(schedulers(n)), data.draw(times())
    r = experts.router(scheduler, t)
    weights = scheduler.weights(t, n)
    joint = stack(
        [oracle.path(c, scheduler, weights) * w for c, w in zip(experts.couplings, experts.weights, strict=True)]
    )
    whole = joint.sum(axis=0)
    reached = whole != 0
    assert (r[:, reached] * whole[reached] == joint[:, reached]).all()
    assert (r[:, ~reached] == 0).all()
    everything = states_of(d, n)
    assert (experts.router_at(scheduler, t, everything) == r.reshape(len(experts), -1)).all()


@given(st.data())
def test_filter_and_gates(data):
    count = data.draw(st.integers(1, 4))
    prior, likelihoods = (
        data.draw(pmfs(count)),
        stack([data.draw(pmfs(count, positive=True)) for _ in range(3)], axis=1),
    )
    path = bayes_filter(prior, likelihoods)
    batch = router_posterior(prior, likelihoods[:, 0] * likelihoods[:, 1] * likelihoods[:, 2])
    assert (path[:, -1] == batch).all()
    assert (path[:, 0] == prior).all()
    assert (bayes_filter_update(path[:, 1], likelihoods[:, 1]) == path[:, 2]).all()
    k = data.draw(st.integers(1, count))
    r = data.draw(routers(count, (2,)))
    gated = top_k_gate(r, k)
    assert (total(gated, 0) == 1).all()
    assert all(sum(entry != 0 for entry in gated[:, b]) <= k for b in range(2))
    assert all(
        min(r[j, b] for j in range(count) if gated[j, b] != 0)
        >= max([r[j, b] for j in range(count) if gated[j, b] == 0], default=ZERO)
        for b in range(2)
    )
    assert (top_k_gate(r, count) == r).all()
    assert (top_k_bound(r, count) == 0).all()


def test_ties_keep_the_lowest_index():
    assert list(top_k_gate(asarray([Fraction(1, 3)] * 3, "r"), 2)) == [HALF, HALF, ZERO]
    assert top_k_gate(np.array([0.25, 0.5, 0.25]), 2).tolist() == [1 / 3, 2 / 3, 0]
    assert list(greedy(asarray([Fraction(1, 2)] * 2, "p"))) == [ONE, ZERO]


@given(st.data())
def test_bounds_hold_and_are_attained(data):
    count, size = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 3))
    r, r_hat = data.draw(pmfs(count, positive=True)), data.draw(pmfs(count, positive=True))
    p, q = (stack([data.draw(pmfs(size, positive=True)) for _ in range(count)]) for _ in range(2))
    assert total_variation(mix(r, p), mix(r_hat, q)) <= mixture_tv_bound(r, r_hat, p, q)
    assert kl_divergence(mix(r, p), mix(r_hat, q)) <= mixture_kl_bound(r, r_hat, p, q)
    disjoint = asarray([[int(i == j) for j in range(count)] for i in range(count)], "p")
    assert total_variation(mix(r, disjoint), mix(r_hat, disjoint)) == mixture_tv_bound(r, r_hat, disjoint, disjoint)
    k = data.draw(st.integers(1, count))
    shift, lost = top_k_shift(r, k, p)
    assert total_variation(mix(r, p), mix(top_k_gate(r, k), p)) == shift
    assert shift <= lost
    assert top_k_shift(r, k, disjoint)[0] == lost


def test_integers_are_rationals_and_not_truncated():
    assert router_posterior(np.array([0.25, 0.75]), np.array([3, 1])).tolist() == [0.5, 0.5]
    assert list(router_posterior([1, 3], [3, 1])) == [HALF, HALF]
    assert bayes_filter_update(np.array([0.5, 0.5]), [[1, 0], [0, 1]]).tolist() == [[1, 0], [0, 1]]


def test_sharpening_does_not_underflow():
    assert np.abs(temperature(np.array([1e-200, 3e-200]), 2) - [0.1, 0.9]).max() <= gamma("float64", 8)
    assert temperature(np.array([0.5, 0.5]), 5000).tolist() == [0.5, 0.5]


def test_negative_elbo_of_a_singular_schedule_is_the_entropy():
    """kappa = t^(1/2) has an infinite derivative at 0; the integral is taken in s = t^(1/2), where it is smooth."""
    coupling = MaskedCoupling(np.array([[0.5, 0.0], [0.2, 0.3]]))
    h = float(entropy(coupling.target))
    for exponent in (0.5, 0.9, 0.25):
        assert abs(float(negative_elbo(coupling, Polynomial(exponent), denoiser(coupling))) - h) <= gamma(
            "float64", 48 * 27
        )


def test_velocities_near_one_keep_their_digits():
    """1 - kappa is taken from the schedule, not from a rounded kappa: bfloat16 cannot tell 0.999 from 1."""
    coupling = MaskedCoupling(torch.tensor([0.25, 0.75], dtype=torch.bfloat16))
    u = marginal_velocity(coupling, Linear(), 0.999)
    assert abs(float(-u[2, 0, 2]) - 1000) <= 1000 * gamma("bfloat16", 4)


def test_kl_refuses_an_infinite_divergence_and_ignores_empty_mass():
    p, q = asarray([1, 0], "p"), asarray([0, 1], "q")
    with pytest.raises(ValueError, match="infinite divergence"):
        kl_divergence(p, q)
    with pytest.raises(ValueError, match="infinite loss"):
        cross_entropy(p, q)
    assert kl_divergence(p, p) == 0
    assert entropy(p) == 0


@given(st.data())
def test_sequences(data):
    q, q_hat = data.draw(pmfs((2, 2), positive=True)), data.draw(pmfs((2, 2), positive=True))
    prefix = [asarray([1], "p").reshape(()), q.sum(axis=1)]
    laws = [q.sum(axis=1), q / q.sum(axis=1)[:, None]]
    laws_hat = [q_hat.sum(axis=1), q_hat / q_hat.sum(axis=1)[:, None]]
    assert total_variation(q.reshape(-1), q_hat.reshape(-1)) <= sequence_tv_bound(prefix, laws, laws_hat)
    assert sequence_kl(prefix, laws, laws_hat) == kl_divergence(q.reshape(-1), q_hat.reshape(-1))


@given(st.data())
def test_objectives(data):
    experts = data.draw(decentralizations(masked=True, length=data.draw(st.integers(1, 2))))
    coupling = experts.central
    h = entropy(coupling.target)
    assert negative_elbo(coupling, Linear(), denoiser(coupling)) == h
    assert reveal_entropy(coupling.target, range(coupling.length)) == h
    assert reveal_entropy(coupling.target, []) == 0
    terms = decomposition(experts)
    assert total(terms.total) == h
    assert (terms.total == terms.experts + terms.router).all()
    joint = stack([c.target * w for c, w in zip(experts.couplings, experts.weights, strict=True)])
    assert total(terms.router) == mutual_information(joint)
    step = [
        total(flow_matching_cross_entropy(coupling, Autoregressive(), t, t + 1, denoiser(coupling)))
        for t in range(coupling.length)
    ]
    assert sum(step[1:], step[0]) == h


def test_negative_elbo_of_a_schedule_that_is_no_polynomial_converges_to_the_entropy():
    rng = np.random.default_rng(0)
    coupling = MaskedCoupling(rng.dirichlet(np.ones(9)).reshape(3, 3))
    h = float(entropy(coupling.target))
    errors = [abs(float(negative_elbo(coupling, Cosine(), denoiser(coupling), nodes=n)) - h) for n in (2, 4, 8)]
    assert errors[1] < errors[0] / 10
    assert errors[2] < errors[1] / 10
    assert abs(float(negative_elbo(coupling, Cosine(), denoiser(coupling))) - h) <= gamma("float64", 48 * 27)
    worse = denoiser(MaskedCoupling(rng.dirichlet(np.ones(9)).reshape(3, 3)))
    assert float(negative_elbo(coupling, Cosine(), worse)) > h


@given(st.data())
def test_generalized_kl_is_the_excess_of_the_cross_entropy(data):
    """For masked models of equal total rates the Bregman divergence is the loss above its minimum."""
    p, q = (MaskedCoupling(data.draw(pmfs((2, 2), positive=True))) for _ in range(2))
    moment = Given([Fraction(1, 3), Fraction(1, 2)], [1, Fraction(1, 2)])
    path, u, v = marginal_path(p, moment, 0), marginal_velocity(p, moment, 0), marginal_velocity(q, moment, 0)
    assert generalized_kl(path, u, u) == 0
    assert generalized_kl(path, u, v) >= 0
    excess = ZERO
    for i in range(2):
        rate = moment.kappa_dot(0, 2)[i] / (1 - moment.kappa(0, 2)[i])
        at = (slice(None),) * i
        weight = path[(*at, 2, ...)]
        law, model = denoiser(p)[(*at, 2, ..., i, slice(None))], denoiser(q)[(*at, 2, ..., i, slice(None))]
        excess = excess + total(weight * kl_divergence(law, model)) * rate
    assert generalized_kl(path, u, v) == excess


def test_sharpening():
    law = asarray([Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)], "p")
    assert list(temperature(law, 2)) == [flint.fmpq(25, 38), flint.fmpq(9, 38), flint.fmpq(4, 38)]
    assert list(nucleus(law, Fraction(4, 5))) == [flint.fmpq(5, 8), flint.fmpq(3, 8), ZERO]
    assert list(nucleus(law, Fraction(1, 2))) == [ONE, ZERO, ZERO]
    with pytest.raises(ValueError, match="rational geometric mixture"):
        geometric_mixture(asarray([HALF, HALF], "r"), asarray([[HALF, HALF], [Fraction(1, 3), Fraction(2, 3)]], "p"))
    laws = np.array([[16 / 17, 1 / 17], [0.5, 0.5]])
    assert abs(geometric_mixture(np.array([0.5, 0.5]), laws)[0] - 0.8) <= gamma("float64", 16)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_function_keeps_its_number_system(system):
    draw = draw_in(system)
    experts = masked_experts(draw, positive=True, length=2)
    schedule, z = moving_schedule(draw, 2), states_of(experts.central.size, 2)[:3]
    r, u = experts.router(schedule, 0), experts.expert_velocities(schedule, 0)
    like = experts.weights
    results = [
        r,
        u,
        mix(r, u),
        experts.velocity(schedule, 0),
        experts.step_velocity(schedule, 0, 1),
        experts.paths(schedule, 0),
        experts.router_at(schedule, 0, z),
        experts.velocity_at(schedule, 0, z),
        experts.step_velocity_at(schedule, 0, 1, z),
        router_posterior(like, r),
        hard_router([0, 0], len(experts), like),
        average_parameters(like, r),
        temperature(like, 2),
        denoiser(experts.central),
        path_derivative(experts.central, schedule, 0),
        *(
            (
                top_k_gate(r, 1),
                top_k_bound(r, 1),
                total_variation(like, like),
                greedy(like),
                nucleus(like, 1),
                mixture_tv_bound(like, like, r.reshape(len(experts), -1), r.reshape(len(experts), -1)),
            )
            if system != "symbol"
            else ()
        ),
    ]
    for value in results:
        assert is_object(value) == is_object(like)
        assert is_object(value) or system_of(value) == system_of(like)
    logs = [
        entropy(like),
        cross_entropy(like, like),
        kl_divergence(like, like),
        generalized_kl(
            marginal_path(experts.central, schedule, 0), *(marginal_velocity(experts.central, schedule, 0),) * 2
        ),
    ]
    for value in logs:
        assert is_object(value) if is_object(like) else system_of(value) == system_of(like)


A, B, W, T = sp.symbols("a b w t")


def test_symbols_of_a_notebook_in_and_out():
    """Pmfs, weights, t and kappa(t) as SymPy; path, velocity, router and mixture come out as SymPy that prints."""
    experts = Decentralization([W, 1 - W], [MaskedCoupling([A, 1 - A]), MaskedCoupling([B, 1 - B])])
    kappa = sp.Function("kappa")(T)
    for scheduler, k, k_dot in (
        (Linear(), T, sp.Integer(1)),
        (Cosine(), 1 - sp.cos(sp.pi * T / 2), sp.pi * sp.sin(sp.pi * T / 2) / 2),
        (Given(kappa, sp.diff(kappa, T)), kappa, sp.diff(kappa, T)),
    ):
        time = T.subs(T, sp.Symbol("t", real=True)) if isinstance(scheduler, Cosine) else T
        p = to_sympy(marginal_path(experts.central, scheduler, time))
        q0 = A * W + B * (1 - W)
        assert sp.simplify(p[0] - (k * q0).subs(T, time)) == 0
        u = to_sympy(experts.velocity(scheduler, time))
        assert sp.simplify(u[2, 0, 0] - (k_dot / (1 - k) * q0).subs(T, time)) == 0
        r = to_sympy(experts.router(scheduler, time))
        assert sp.simplify(r[0, 0] - A * W / q0) == 0
        assert "frac" in sp.latex(u)
    assert experts.weights[0]._repr_latex_() == "$w$"


def test_matrices_and_joint_couplings_of_symbols():
    joint = Coupling(sp.Matrix([[A, B], [W, 1 - A - B - W]]))
    u = to_sympy(marginal_velocity(joint, Linear(), T))
    p = to_sympy(marginal_path(joint, Linear(), T))
    assert sp.simplify(sp.diff(p[0], T) + p[0] * u[0, 0, 1] - p[1] * u[1, 0, 0]) == 0


MASKED = MaskedCoupling([0.5, 0.5])
REFUSED = {
    "couplings must be a nonempty sequence": lambda: Decentralization([], []),
    "weights must have shape": lambda: Decentralization([1.0], [MASKED, MASKED]),
    "weights must sum to one": lambda: Decentralization([0.5, 0.6], [MASKED, MASKED]),
    "weights must be nonnegative": lambda: Decentralization([1.5, -0.5], [MASKED, MASKED]),
    "couplings must be alike": lambda: Decentralization([0.5, 0.5], [MASKED, MaskedCoupling([1.0])]),
    "weights must be exact": lambda: Decentralization([1.0], [MaskedCoupling([1])]),
    "k must be an integer in 1..2": lambda: top_k_gate(np.array([0.5, 0.5]), 3),
    "router must have the leading axes": lambda: mix(np.ones((2, 3)), np.ones((2, 4, 1, 2))),
    "weights must have one row an expert": lambda: router_posterior(np.ones(2) / 2, np.ones((3, 1))),
    "assignments must be tokens in 0..1": lambda: hard_router([2], 2, np.ones(1)),
    "use path_at": lambda: Decentralization([1.0], [EmpiricalCoupling([[0]], vocabulary=1)]).router(Linear(), 0.5),
    "inverse must be an integer": lambda: temperature(asarray([1], "p"), 0),
    "experts must have enumerated": lambda: decomposition(
        Decentralization([1.0], [EmpiricalCoupling([[0]], vocabulary=1)])
    ),
    "polynomial in t among exact": lambda: negative_elbo(MaskedCoupling([1]), Cosine(), denoiser(MaskedCoupling([1]))),
    "q must have shape": lambda: kl_divergence(np.array([0.5, 0.5]), np.array([1.0])),
    "p must be finite": lambda: total_variation(np.array([0.5, np.nan]), np.array([0.5, 0.5])),
    "router must have one row an expert": lambda: mix(np.ones(()), np.ones((2, 1))),
    "inverse must be finite": lambda: temperature(np.array([0.5, 0.5]), float("inf")),
    "mass must be in": lambda: nucleus(np.array([0.5, 0.5]), 0.0),
    "law must have shape .d,., one law": lambda: greedy(np.ones((2, 2)) / 2),
    "scheduler must go from 0": lambda: negative_elbo(MASKED, Given(0.5, 0.5), denoiser(MASKED)),
    "coupling must be a MaskedCoupling": lambda: denoiser(EmpiricalCoupling([[0]], vocabulary=1)),
    "scheduler must be a Scheduler": lambda: marginal_path(MASKED, None, 0.5),
    "was of type NoneType": lambda: Decentralization([1.0], [None]),
    "laws must be one a step": lambda: next_token_loss(np.array([0.5, 0.5]), []),
    "p must sum to one, summed to 1.1": lambda: entropy([0.5, 0.6]),
    "p must sum to one, summed to 2.0": lambda: cross_entropy([1.0, 1.0], [0.5, 0.5]),
    "p must be a pmf, was empty": lambda: entropy([]),
    "joint must sum to one, summed to 4.0": lambda: mutual_information(np.ones((2, 2))),
    "target must sum to one, summed to 2.0": lambda: reveal_entropy([1.0, 1.0], [0]),
    "target must sum to one, summed to 0.5": lambda: next_token_loss([0.25, 0.25], [[0.5, 0.5]]),
    "router must be nonnegative": lambda: mixture_tv_bound([-0.5, 1.5], [0.5, 0.5], np.eye(2), np.eye(2)),
    "laws_hat must be nonnegative": lambda: mixture_tv_bound([0.5, 0.5], [0.5, 0.5], np.eye(2), -np.eye(2)),
    "prefix_probability must be nonnegative": lambda: sequence_tv_bound([-1.0], [[0.5, 0.5]], [[0.25, 0.75]]),
    "infinite loss": lambda: next_token_loss(np.array([0.5, 0.5]), [np.array([1.0, 0.0])]),
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words):
    with pytest.raises(ValueError, match=words):
        REFUSED[words]()
