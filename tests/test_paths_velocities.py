"""Paths and velocities: the fast table against the dense contraction and the given-states twins, ends, and refusals."""

from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from number_systems import SYSTEMS, draw_in

from ddfm_theory.arrays import asarray, is_object, system_of, to_float
from ddfm_theory.autoregression import (
    chain_law,
    next_token_law,
    next_token_law_at,
    next_token_velocity,
    prefix_states,
    sequence_probability,
)
from ddfm_theory.continuity import continuity_residual, divergence, step_continuity_residual
from ddfm_theory.couplings import Coupling, EmpiricalCoupling, MaskedCoupling, states_of
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.families import exact, moving_schedule
from ddfm_theory.paths import marginal_path, path_at, path_derivative, sample_path
from ddfm_theory.schedulers import Autoregressive, Convex, Cosine, Given, Linear, Steps
from ddfm_theory.testing.strategies import (
    couplings,
    empirical_couplings,
    joint_couplings,
    masked_couplings,
    orders,
    schedulers,
    states,
    times,
)
from ddfm_theory.velocities import (
    backward_velocity,
    conditional_velocity,
    corrector_velocity,
    marginal_velocity,
    step_backward_velocity,
    step_velocity,
    step_velocity_at,
    velocity_at,
    velocity_conditions,
)


@given(st.data())
def test_table_dense_and_given_states_agree(data):
    coupling = data.draw(masked_couplings())
    n = coupling.length
    scheduler, t, t_next = data.draw(schedulers(n)), *sorted((data.draw(times()), data.draw(times())))
    dense, everything = coupling.enumerated(), states_of(coupling.size, n)
    if n < 3:
        assert (marginal_path(coupling, scheduler, t) == marginal_path(dense, scheduler, t)).all()
        assert (marginal_velocity(coupling, scheduler, t) == marginal_velocity(dense, scheduler, t)).all()
        assert (step_velocity(coupling, scheduler, t, t_next) == step_velocity(dense, scheduler, t, t_next)).all()
    p, u = marginal_path(coupling, scheduler, t), marginal_velocity(coupling, scheduler, t)
    assert (path_at(coupling, scheduler, t, everything) == p.reshape(-1)).all()
    assert (velocity_at(coupling, scheduler, t, everything) == u.reshape(-1, n, coupling.size)).all()
    step = step_velocity(coupling, scheduler, t, t_next).reshape(-1, n, coupling.size)
    assert (step_velocity_at(coupling, scheduler, t, t_next, everything) == step).all()


@given(st.data())
def test_empirical_coupling_is_the_masked_one_of_its_law(data):
    coupling = data.draw(empirical_couplings())
    n, v = coupling.length, coupling.vocabulary
    law = exact([0] * v**n).reshape((v,) * n)
    for row, weight in zip(coupling.samples, coupling.weights, strict=True):
        law[tuple(row)] = law[tuple(row)] + weight
    twin = MaskedCoupling(law)
    scheduler, t, z = data.draw(schedulers(n)), data.draw(times()), data.draw(states(v + 1, n))
    assert (path_at(coupling, scheduler, t, z) == path_at(twin, scheduler, t, z)).all()
    assert (velocity_at(coupling, scheduler, t, z) == velocity_at(twin, scheduler, t, z)).all()
    order = data.draw(orders(n))
    for s in range(n):
        assert (step_velocity_at(coupling, order, s, s + 1, z) == step_velocity_at(twin, order, s, s + 1, z)).all()


@given(st.data())
def test_blocks_change_nothing(data):
    coupling = data.draw(empirical_couplings())
    z = data.draw(states(coupling.size, coupling.length))
    whole = coupling.reveal_at(z), coupling.mass_at(z)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddfm_theory.couplings.BLOCK", 1)
        parts = coupling.reveal_at(z), coupling.mass_at(z)
    assert (whole[0] == parts[0]).all()
    assert (whole[1] == parts[1]).all()


@given(st.data())
def test_paths_and_derivatives_are_the_definition_s(data):
    coupling = data.draw(couplings(length=data.draw(st.integers(1, 2))))
    scheduler, t = data.draw(schedulers(coupling.length)), data.draw(times())
    weights, slopes = scheduler.weights(t, coupling.length), scheduler.weights_dot(t, coupling.length)
    assert (marginal_path(coupling, scheduler, t) == oracle.path(coupling, scheduler, weights)).all()
    assert (path_derivative(coupling, scheduler, t) == oracle.path_dot(coupling, scheduler, weights, slopes)).all()


@given(st.data())
def test_divergence_is_the_definition_s(data):
    coupling = data.draw(couplings(length=data.draw(st.integers(1, 2))))
    scheduler, t = data.draw(schedulers(coupling.length)), data.draw(times())
    p, u = marginal_path(coupling, scheduler, t), marginal_velocity(coupling, scheduler, t)
    assert (divergence(p, u) == oracle.divergence(p, u)).all()
    assert divergence(p, u).sum() == 0


@given(st.data())
def test_velocity_generates_below_one_and_every_state_keeps_its_mass(data):
    coupling = data.draw(couplings())
    scheduler, t = data.draw(schedulers(coupling.length)), data.draw(times())
    u = marginal_velocity(coupling, scheduler, t)
    sums, rates = velocity_conditions(u)
    assert (sums == 0).all()
    assert (rates >= flint.fmpq(0)).all()
    if t < 1 or isinstance(scheduler, Given):
        p = marginal_path(coupling, scheduler, t)
        assert (continuity_residual(path_derivative(coupling, scheduler, t), p, u) == 0).all()


@given(st.data())
def test_at_one_a_source_of_full_support_has_the_left_limit(data):
    """For an independent coupling the flux at t = 1 is a polynomial's value: the limit along t -> 1, exactly."""
    source, target = data.draw(joint_couplings(1, 2)).target, data.draw(joint_couplings(1, 2)).target
    coupling = Coupling.independent(source, target)
    at_one = marginal_velocity(coupling, Linear(), 1)
    p = marginal_path(coupling, Linear(), 1)
    for z in range(2):
        for x in range(2):
            limit = source[z] * target[x] / p[z] if p[z] != 0 and x != z else None
            if limit is not None:
                assert at_one[z, 0, x] == limit
    assert (continuity_residual(path_derivative(coupling, Linear(), 1), p, at_one) == 0).all() or (p == 0).any()


@given(st.data())
def test_single_mover_steps_are_exact(data):
    coupling = data.draw(masked_couplings())
    n = coupling.length
    order, t = data.draw(orders(n)), data.draw(st.integers(0, n - 1))
    p, after = marginal_path(coupling, order, t), marginal_path(coupling, order, t + 1)
    assert (step_continuity_residual(p, after, step_velocity(coupling, order, t, t + 1)) == 0).all()


@given(st.data())
def test_every_pivot_generates_the_marginal_path(data):
    coupling = data.draw(joint_couplings())
    n = coupling.length
    scheduler = Given([flint.fmpq(1, 3)] * n, [flint.fmpq(1)] * n)
    p, p_dot = marginal_path(coupling, scheduler, 0), path_derivative(coupling, scheduler, 0)
    pivot = data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    u = marginal_velocity(coupling, scheduler, 0, pivot=pivot)
    assert (continuity_residual(p_dot, p, u) == 0).all()
    back = backward_velocity(coupling, scheduler, 0)
    assert (marginal_velocity(coupling, scheduler, 0, pivot=[1] * n) == back).all()


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("masked", [True, False])
def test_every_function_keeps_its_number_system(system, masked):
    draw = draw_in(system)
    coupling = MaskedCoupling(draw.pmf((2, 2))) if masked else Coupling(draw.pmf((2, 2)))
    schedule, n = moving_schedule(draw, coupling.length), coupling.length
    z = states_of(coupling.size, n)[:3]
    results = [
        marginal_path(coupling, schedule, 0),
        path_at(coupling, schedule, 0, z),
        path_derivative(coupling, schedule, 0),
        marginal_velocity(coupling, schedule, 0),
        step_velocity(coupling, schedule, 0, 1),
        velocity_at(coupling, schedule, 0, z),
        step_velocity_at(coupling, schedule, 0, 1, z),
    ]
    for value in results:
        if is_object(coupling.like):
            assert is_object(value)
        else:
            assert system_of(value) == system_of(coupling.like)
            assert type(value) is type(coupling.like)
            assert np.isfinite(to_float(value)).all()


@given(st.data())
def test_autoregression(data):
    coupling = data.draw(masked_couplings())
    n, v = coupling.length, coupling.vocabulary
    order = data.draw(orders(n))
    sequences = states_of(v, n)
    chain = chain_law(coupling, sequences, order)
    product = chain[:, 0]
    for t in range(1, n):
        product = product * chain[:, t]
    assert (product == sequence_probability(coupling, sequences)).all()
    t = data.draw(st.integers(0, n - 1))
    z = prefix_states(sequences, t, v, order)
    position = order.positions(n)[t]
    u = step_velocity_at(coupling, order, t, t + 1, z)
    reached = [bool(mass != 0) for mass in coupling.mass_at(z)]
    laws = next_token_law_at(coupling, z, position)
    assert (next_token_law(u[reached, position]) == laws[reached]).all()
    assert (next_token_velocity(laws[reached]) == u[reached, position]).all()


def test_sampled_paths_reveal_data_rows():
    coupling = EmpiricalCoupling([[0, 1, 2], [2, 2, 0]], vocabulary=3)
    z = sample_path(coupling, Linear(), 0.5, 200, seed=3)
    assert (z == sample_path(coupling, Linear(), 0.5, 200, seed=3)).all()
    assert (coupling.mass_at(z) > 0).all()
    assert set(np.unique(z)) == {0, 1, 2, 3}
    assert (sample_path(coupling, Linear(), 0.0, 5, seed=3) == 3).all()
    assert (sample_path(coupling, Linear(), 1.0, 5, seed=3) != 3).all()


def test_tiny_probabilities_are_not_lost():
    """S(z) and the schedule's factors decide support: a product that underflows does not."""
    tiny = 1e-300
    coupling = MaskedCoupling(np.array([[tiny, 0.0], [0.0, 1.0]]))
    scheduler = Given(np.array([1e-20, 1e-20]), np.array([1.0, 1.0]))
    u = marginal_velocity(coupling, scheduler, 0)
    assert u[0, 2, 1, 0] == 1.0
    assert u[0, 2, 1, 2] == -1.0
    at = velocity_at(coupling, scheduler, 0, [[0, 2]])
    assert (at[0] == u[0, 2]).all()


A, B = sp.symbols("a b")
S = sp.Symbol("s")
MASKED = MaskedCoupling([Fraction(1, 4), Fraction(3, 4)])
JOINT = Coupling.independent([Fraction(1, 2)] * 2, [Fraction(1, 4), Fraction(3, 4)])
MIDDLE = Convex([1 - S, S * (1 - S), S**2], [[Fraction(1, 2)] * 2], variable=S)
PASSING = Convex([1 - S, S - S**2, S**2], [[Fraction(1, 3)] * 3], variable=S)
HEAVY = Convex([(1 - S) ** 2, 2 * S * (1 - S), S**2], [[Fraction(1, 2)] * 2], variable=S)
EMPIRICAL = EmpiricalCoupling([[0, 1]], vocabulary=2)
REFUSED = {
    "target must sum to one": lambda: MaskedCoupling([0.5, 0.6]),
    "target must have shape": lambda: MaskedCoupling(np.full((2, 3), 1 / 6)),
    "joint must have shape": lambda: Coupling(np.full((2, 2, 2), 1 / 8)),
    "source must have": lambda: Coupling.independent([0.5, 0.5], [0.25] * 4),
    "samples must be tokens in 0..1": lambda: EmpiricalCoupling([[0, 2]], vocabulary=2),
    "samples must be integers": lambda: EmpiricalCoupling([[0.5]], vocabulary=2),
    "samples must have shape": lambda: EmpiricalCoupling([0, 1], vocabulary=2),
    "weights must have shape": lambda: EmpiricalCoupling([[0], [1]], [0.2, 0.3, 0.5], vocabulary=2),
    "use path_at": lambda: marginal_path(EMPIRICAL, Linear(), 0.5),
    "use path_at, velocity_at": lambda: marginal_velocity(EMPIRICAL, Linear(), 0.5),
    "must be exact beside exact": lambda: marginal_path(MASKED, Linear(), 0.5),
    "must be numbers beside float64": lambda: marginal_path(MaskedCoupling([0.5, 0.5]), Linear(), S),
    "states must have shape": lambda: path_at(MASKED, Linear(), 0, [[0, 0]]),
    "states must be tokens in 0..2": lambda: velocity_at(MASKED, Linear(), 0, [[3]]),
    "must have a derivative": lambda: marginal_velocity(MASKED, Steps([[0], [1]]), 0),
    "t_next must not be before": lambda: step_velocity(MASKED, Linear(), Fraction(1, 2), Fraction(1, 4)),
    "vanish together or to second order": lambda: marginal_velocity(JOINT, HEAVY, 1),
    "vanish together": lambda: marginal_velocity(JOINT, MIDDLE, 1),
    "rises from zero": lambda: backward_velocity(JOINT, Linear(), 0),
    "alpha must be one more": lambda: corrector_velocity(np.zeros((2, 1, 2)), np.zeros((2, 1, 2)), 2.0, 0.5),
    "beta must be nonnegative": lambda: corrector_velocity(np.zeros((2, 1, 2)), np.zeros((2, 1, 2)), 0.5, -0.5),
    "pivot must carry weight": lambda: conditional_velocity(exact([1, 0]), exact([-1, 1]), exact([[1, 0], [0, 1]]), 1),
    "pivot must be given": lambda: marginal_velocity(MaskedCoupling([A, 1 - A]), PASSING, S),
    "u must have shape": lambda: divergence(np.ones(2) / 2, np.zeros((2, 2))),
    "bases must be pmfs over d": lambda: marginal_path(MASKED, MIDDLE, Fraction(1, 2)),
    "states must be masked at position": lambda: next_token_law_at(MASKED, [[0]], 0),
    "velocity must be -1": lambda: next_token_law(np.zeros((1, 3))),
    "scheduler must rise": lambda: velocity_at(MASKED, Given([Fraction(1, 2)], [-1]), 0, [[2]]),
    "rational cosine": lambda: marginal_path(MASKED, Cosine(), Fraction(1, 2)),
    "order must be": lambda: marginal_path(MASKED, Autoregressive([1]), 0),
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words):
    with pytest.raises(ValueError, match=words):
        REFUSED[words]()


@given(st.data())
def test_steps_of_three_bases_are_exact_at_one_position(data):
    coupling = data.draw(joint_couplings(1, 2))
    s, t = sorted((data.draw(times(ends=False)), data.draw(times(ends=False))))
    for velocity in (step_velocity, step_backward_velocity):
        u = velocity(coupling, HEAVY, s, t)
        p, after = marginal_path(coupling, HEAVY, s), marginal_path(coupling, HEAVY, t)
        assert (step_continuity_residual(p, after, u) == 0).all()


def test_torch_couplings_stay_on_their_device():
    target = torch.tensor([[0.25, 0.25], [0.5, 0.0]])
    u = marginal_velocity(MaskedCoupling(target), Linear(), 0.5)
    assert u.device == target.device
    assert u.dtype == target.dtype
    assert asarray(u, "u") is u
