"""Details of schedules, couplings, velocities and samplers that laws over families do not reach: see test_details."""

from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy as sp
import torch

from ddfm_theory.arrays import asarray, gamma
from ddfm_theory.autoregression import chain_law, prefix_states, sequence_probability
from ddfm_theory.couplings import Coupling, EmpiricalCoupling, MaskedCoupling, states_of
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.flux import choose_pivot, flux_kernels
from ddfm_theory.paths import path_at, sample_path
from ddfm_theory.sampling import chain_law as propagated
from ddfm_theory.sampling import (
    sample_discrete,
    sample_route_once,
    sample_static,
    sampler_law,
    static_law,
    step_laws,
)
from ddfm_theory.schedulers import (
    Autoregressive,
    Convex,
    Cosine,
    Given,
    Linear,
    PerPosition,
    Polynomial,
    Steps,
    Windowed,
)
from ddfm_theory.velocities import (
    backward_velocity,
    corrector_velocity,
    marginal_velocity,
    step_backward_velocity,
    step_velocity,
    velocity_conditions,
)

HALF, THIRD = flint.fmpq(1, 2), flint.fmpq(1, 3)


def test_the_corrector_is_its_formula_and_takes_no_other_difference():
    u, back = asarray([[[-HALF, HALF]]], "u"), asarray([[[THIRD, -THIRD]]], "u")
    assert list(corrector_velocity(u, back, 2, 1)[0, 0]) == [-1 - THIRD, 1 + THIRD]
    for alpha, beta in ((2, 2), (3, 1), (flint.fmpq(3, 2), flint.fmpq(1, 3))):
        with pytest.raises(ValueError, match="alpha must be one more than beta"):
            corrector_velocity(u, back, alpha, beta)
    floats = np.array([[[-0.5, 0.5]]]), np.array([[[0.25, -0.25]]])
    assert corrector_velocity(*floats, 3.3, 2.3)[0, 0, 1] == 3.3 * 0.5 + 2.3 * 0.25  # 3.3 - 2.3 rounds below one
    with pytest.raises(ValueError, match="alpha must be one more than beta"):
        corrector_velocity(*floats, 3.3, 2.3 + 1e-13)


def test_the_cosine_schedule_among_rationals():
    assert list(Cosine().kappa(flint.fmpq(2, 3), 2)) == [flint.fmpq(1, 2)] * 2
    assert list(Cosine().kappa_dot(0, 3)) == [0] * 3
    with pytest.raises(ValueError, match="rational cosine"):
        Cosine().kappa_dot(1, 1)
    assert Cosine().kappa_dot(1.0, 2).tolist() == pytest.approx([np.pi / 2] * 2, rel=gamma("float64", 8))


def test_one_position_is_the_default_of_an_inverse():
    assert Polynomial(2).inverse(0.25).tolist() == [0.5]


@pytest.mark.parametrize(
    ("scheduler", "text"),
    [
        (Autoregressive(), "Autoregressive()"),
        (Autoregressive([1, 0]), "Autoregressive([1, 0])"),
        (PerPosition([Linear(), Polynomial(2)]), "PerPosition([Linear(), Polynomial(2)])"),
        (Convex([1 - sp.Symbol("s"), sp.Symbol("s")], variable=sp.Symbol("s")), "Convex([1 - s, s], bases=None)"),
    ],
)
def test_what_a_schedule_is_called(scheduler, text):
    assert repr(scheduler) == text


def test_convex_weights_per_position_and_their_derivatives():
    s = sp.Symbol("s")
    each = Convex([[1 - s, 1 - s**2], [s, s**2]], variable=s)
    assert each.formula(s, 2) == (s, s**2)
    assert list(each.kappa_dot(HALF, 2)) == [1, 1]
    assert list(each.kappa_dot(flint.fmpq(1, 4), 2)) == [1, HALF]
    assert each.weights_dot(flint.fmpq(1, 4), 2).shape == (2, 2)
    alike = Convex([1 - s**2, s**2], variable=s)
    assert list(alike.kappa_dot(flint.fmpq(1, 4), 3)) == [HALF] * 3
    assert alike.weights_dot(flint.fmpq(1, 4), 3).shape == (2, 3)
    middle = Convex([(1 - s) ** 2, 2 * s * (1 - s), s**2], [[HALF, HALF]], variable=s)
    assert repr(middle).endswith("bases=(1, 2))")
    with pytest.raises(ValueError, match="scheduler must have a formula in t"):
        Convex(lambda t: [1 - t, t]).formula(s, 2)


def test_states_of_weighted_rows_with_a_schedule_a_position():
    """Shares of 4,000 draws lie within Hoeffding's radius of the path's marginals, at an error of 1e-6 each."""
    rows = EmpiricalCoupling([[0, 1], [1, 0]], weights=[0.75, 0.25], vocabulary=2)
    drawn = sample_path(rows, PerPosition([Given(0.9), Given(0.2)]), 0.5, 4000, 3)
    radius = np.sqrt(np.log(2e6) / 8000)
    for position, token, share in ((0, 0, 0.9 * 0.75), (0, 1, 0.9 * 0.25), (1, 1, 0.2 * 0.75), (1, 2, 0.8)):
        assert abs((drawn[:, position] == token).mean() - share) <= radius


def test_a_static_sampler_starts_where_it_is_told():
    experts = Decentralization(np.array([0.4, 0.6]), [MaskedCoupling(np.array(q)) for q in ([0.9, 0.1], [0.2, 0.8])])
    drawn = sample_static(experts, Linear(), [0.5, 0.75], 4000, 1)
    law = static_law(experts, Linear(), [0.5, 0.75])
    radius = np.sqrt(np.log(2e6) / 8000)
    assert np.abs(np.bincount(drawn[:, 0], minlength=3) / 4000 - law).max() <= radius


def test_a_law_along_an_order_reads_its_own_prefixes():
    """q(x1 first, then x0): the factors of the reversed order, by conditioning a table."""
    q = asarray([[flint.fmpq(1, 10), flint.fmpq(2, 10)], [flint.fmpq(3, 10), flint.fmpq(4, 10)]], "q")
    found = chain_law(MaskedCoupling(q), [[0, 1], [1, 1]], order=Autoregressive([1, 0]))
    assert [list(row) for row in found] == [[flint.fmpq(6, 10), THIRD], [flint.fmpq(6, 10), 1 - THIRD]]
    with pytest.raises(ValueError, match=r"t must be an integer in 0\.\.2"):
        prefix_states([[0, 1]], 3, 2)


def test_a_rate_without_bound_is_refused_where_its_flux_has_mass():
    """The pivot has lost all weight, a base that is no point mass keeps some: kappa^j / kappa^l has no limit."""
    ends = np.eye(2)
    bases = np.stack([np.repeat(ends[:, None], 2, 1), np.full((2, 2, 2), 0.5), np.repeat(ends[None], 2, 0)])
    spent, slopes = np.array([[0.0], [0.5], [0.5]]), np.array([[-1.0], [0.5], [0.5]])
    with pytest.raises(ValueError, match="t must leave the velocity finite: base 0 loses all weight at position 0"):
        flux_kernels(spent, slopes, bases, (0,))
    arrived = np.array([[0.0], [0.0], [1.0]])
    assert np.isfinite(flux_kernels(arrived, np.array([[-1.0], [0.0], [1.0]]), bases, (0,))[0]).all()


def test_breakpoints_of_windows():
    assert Windowed(Fraction(1, 2)).breakpoints(3) == (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
    assert Windowed(0.5).breakpoints(3) == (0.25, 0.5, 0.75)
    assert "<svg" in Linear()._repr_svg_()


def test_rows_of_another_length_are_named():
    rows = MaskedCoupling(np.full((2, 2), 0.25))
    for call in (lambda: chain_law(rows, [[0]]), lambda: sequence_probability(rows, [[0]])):
        with pytest.raises(ValueError, match="sequences must"):
            call()
    with pytest.raises(ValueError, match=r"states must have .* 2"):
        path_at(rows, Linear(), 0.5, [[0]])
    with pytest.raises(ValueError, match="coupling must hold numbers to be drawn from"):
        sample_path(MaskedCoupling(asarray([sp.Symbol("a"), 1 - sp.Symbol("a")], "q")), Linear(), 0.5, 1, 0)


def test_one_sample_runs_one_expert_alone():
    experts = Decentralization(np.array([1.0, 0.0]), [MaskedCoupling(np.array(q)) for q in ([1.0, 0.0], [0.0, 1.0])])
    assert sample_route_once(experts, Linear(), [0, 1], 1, 0).tolist() == [[0]]


def test_samples_of_torch_laws_are_those_of_numpy():
    p = np.random.default_rng(0).dirichlet(np.ones(9)).reshape(3, 3)
    ends = [sample_discrete(MaskedCoupling(q), Linear(), [0, 0.5, 1], 50, 7) for q in (p, torch.tensor(p))]
    assert ends[0].tolist() == ends[1].tolist()


def test_the_corrector_allows_what_rounding_costs_and_no_more():
    u, back = np.array([[[-0.5, 0.5]]]), np.array([[[0.25, -0.25]]])
    assert 4.1 - 3.1 != 1 != 1024.1 - 1023.1
    for alpha, beta in ((4.1, 3.1), (1024.1, 1023.1)):
        assert np.isfinite(corrector_velocity(u, back, alpha, beta)).all()


def test_a_dense_path_that_underflows_is_refused_where_it_does_and_nowhere_else():
    masked = MaskedCoupling(np.array([[0.5, 0.5], [1e-250, 0.0]]))
    joint = Coupling(np.einsum("ab,cd->abcd", np.eye(3)[2][:, None] * np.eye(3)[2], np.pad(masked.target, (0, 1))))
    for coupling in (masked, joint):
        with pytest.raises(ValueError, match=r"lost at z = \(1, 0\)"):
            backward_velocity(coupling, Linear(), 1e-60)
    elsewhere = Coupling(np.array([[0.5, 1e-250, 0.0], [0.25, 0.25, 0.0], [0.0, 0.0, 0.0]]))  # token 2 is never reached
    assert np.isfinite(backward_velocity(elsewhere, Linear(), 1e-60)).all()


def test_marginals_of_a_joint_pmf_of_two_positions():
    joint = np.random.default_rng(0).dirichlet(np.ones(16)).reshape(2, 2, 2, 2)
    coupling = Coupling(joint)
    assert np.abs(coupling.source - joint.sum((2, 3))).max() <= gamma("float64", 4)
    assert np.abs(coupling.target - joint.sum((0, 1))).max() <= gamma("float64", 4)


def test_the_last_weight_of_three():
    s = sp.Symbol("s")
    middle = Convex([(1 - s) ** 2, 2 * s * (1 - s), s**2], [[HALF, HALF]], variable=s)
    assert list(middle.kappa_dot(flint.fmpq(1, 4), 1)) == [HALF]


def test_samples_that_are_none_and_vocabularies_without_room_for_a_mask():
    with pytest.raises(ValueError, match="samples must have at least one row"):
        EmpiricalCoupling(np.zeros((0, 2), dtype=int), vocabulary=2)
    for call in (
        lambda: EmpiricalCoupling([[0]], vocabulary=1 << 31),
        lambda: prefix_states([[0]], 0, 1 << 31),
        lambda: EmpiricalCoupling([[0]], vocabulary=(1 << 31) - 1),
    ):
        with pytest.raises(ValueError, match="vocabulary must be an integer in"):
            call()


@pytest.mark.parametrize("array", [np.array, torch.tensor])
def test_samples_reveal_nothing_where_nothing_is_hidden(array):
    rows = EmpiricalCoupling([[0, 1], [1, 1], [0, 0]], array([0.5, 0.25, 0.25]), vocabulary=2)
    assert rows.reveal_at([[0, 2], [2, 2]]).tolist() == [[[0, 0], [0.25, 0.5]], [[0.75, 0.25], [0.25, 0.75]]]


def test_a_pivot_is_a_base():
    with pytest.raises(ValueError, match=r"pivot must be an integer in 0\.\.1"):
        marginal_velocity(MaskedCoupling(np.array([0.5, 0.5])), Linear(), 0.5, pivot=[2])


def test_what_convex_weights_must_be():
    s = sp.Symbol("s")
    for bases in ([[HALF, HALF], [1, 0]], [[[[HALF, HALF], [1, 0]], [[0, 1], [HALF, HALF]]]]):
        count = len(bases)
        between = Convex([(1 - s) ** 2, *[2 * s * (1 - s) / count] * count, s**2], bases, variable=s)
        assert between.weights(HALF, 1).shape == (count + 2, 1)
    weights = [(1 - s) ** 2, 2 * s * (1 - s), s**2]
    with pytest.raises(ValueError, match="bases must have shape"):
        Convex(weights, [[[HALF, HALF], [HALF, HALF]]], variable=s)
    with pytest.raises(ValueError, match="weights must be one on base 1 at t = 1, were"):
        Convex([1 - s / 2, s / 2], variable=s)
    assert list(Convex([1 - sp.Max(0, 2 * s - 1), sp.Max(0, 2 * s - 1)], variable=s).kappa(HALF / 2, 1)) == [0]
    with pytest.raises(ValueError, match="length must be the weights' 2, was 3"):
        Convex([[1 - s, 1 - s], [s, s]], variable=s).kappa(HALF, 3)


def test_convex_weights_that_are_a_function():
    line = Convex(lambda t: np.array([1 - t, t]), weights_dot=lambda t: np.array([-1.0, 1.0]))
    assert line.kappa_dot(0.25, 2).tolist() == [1, 1]
    rows = Convex(lambda t: np.array([[1 - t, 1 - t**2], [t, t**2]]))
    assert rows.kappa(0.5, 2).tolist() == [0.5, 0.25]
    with pytest.raises(ValueError, match="weights must have shape"):
        Convex(lambda t: np.array([[[1 - t]], [[t]]]))


def test_breakpoints_of_a_schedule_a_position_are_those_of_one_position():
    assert PerPosition([Windowed(0), Linear()]).breakpoints(2) == ()


def test_a_base_that_never_has_weight_is_no_obstacle_backward():
    weights = asarray([[0], [HALF], [HALF]], "weights")
    assert choose_pivot(weights, asarray([[0], [-1], [1]], "slopes"), backward=True) == (2,)
    with pytest.raises(ValueError, match="weight 0 rises from zero"):
        choose_pivot(weights, asarray([[1], [-1], [0]], "slopes"), backward=True)


def test_states_too_many_to_reveal_are_refused():
    wide = MaskedCoupling(np.full(1 << 15, 2.0**-15))
    with pytest.raises(ValueError, match="states must"):
        wide.reveal_at(np.zeros((1 << 17, 1), dtype=int))
    with pytest.raises(ValueError, match="length must be an integer in"):
        states_of(1, 65)


def test_joint_pmfs_of_unequal_axes_and_couplings_that_are_not_alike():
    with pytest.raises(ValueError, match="joint must have shape"):
        Coupling(np.full((2, 3), 1 / 6))
    s = sp.Symbol("s")
    rational, symbolic = MaskedCoupling(asarray([HALF, HALF], "q")), MaskedCoupling(asarray([s, 1 - s], "q"))
    assert Decentralization([HALF, HALF], [rational, symbolic]).central.target[0] == asarray([(s + HALF) / 2], "q")[0]
    with pytest.raises(ValueError, match="couplings must be alike"):
        Decentralization([HALF, HALF], [rational, MaskedCoupling(np.array([0.5, 0.5]))])


def test_weighted_samples_are_mixed_by_weight():
    parts = [EmpiricalCoupling([[0], [1]], [0.25, 0.75], vocabulary=2), EmpiricalCoupling([[1]], [1.0], vocabulary=2)]
    assert Decentralization(np.array([0.5, 0.5]), parts).central.weights.tolist() == [0.125, 0.375, 0.5]


def test_steps_of_any_length_but_a_negative_one():
    u = np.array([[[-1.0, 1.0]], [[1.0, -1.0]]])
    assert step_laws(u, 0.5).tolist() == np.full((2, 1, 2), 0.5).tolist()
    assert step_laws(u / 4, 2).tolist() == np.full((2, 1, 2), 0.5).tolist()
    exact = asarray(u.astype(int).tolist(), "u")
    for h, velocity, words in ((-1, u, "h must be nonnegative"), (2, u, "h must leave"), (2, exact, "h must leave")):
        with pytest.raises(ValueError, match=words):
            step_laws(velocity, h)
    assert propagated(np.array([0.5, 0.5]), []).tolist() == [0.5, 0.5]


def test_times_may_stand_still_and_be_of_two_kinds():
    q = MaskedCoupling(np.array([0.25, 0.75]))
    still, moving = (sampler_law(q, Linear(), times) for times in ([0, Fraction(1, 2), 0.5, 1], [0, 0.5, 1]))
    assert np.abs(still - moving).max() <= gamma("float64", 16)
    third, least = flint.fmpq(1, 3), flint.fmpq(1, 10**30)
    for t, t_next in ((0.5, 0.25), (third, third - least)):
        with pytest.raises(ValueError, match="t_next must not be before t"):
            step_velocity(q, Linear(), t, t_next)
    assert float(step_velocity(q, Linear(), Fraction(1, 4), 0.5)[2, 0, 0]) == 0.25 / 3


def test_an_increment_is_formed_before_it_is_rounded():
    last = step_velocity(MaskedCoupling(np.array([0.25, 0.75], dtype=np.float32)), Linear(), 1 - 1e-6, 1.0)
    assert abs(float(last[2, 0, 2]) + 1) <= gamma("float32", 4)


def test_a_pivot_that_is_given_is_used():
    q = Coupling.independent(np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    given, back = step_velocity(q, Linear(), 0.25, 0.5, pivot=[1]), step_backward_velocity(q, Linear(), 0.25, 0.5)
    assert given.tolist() == back.tolist() != step_velocity(q, Linear(), 0.25, 0.5).tolist()


def test_schedules_at_their_limits():
    assert (Polynomial().exponent, type(Polynomial(2.0).exponent)) == (2, int)
    with pytest.raises(ValueError, match="exponent must"):
        Polynomial(1e6)
    with pytest.raises(ValueError, match="t must"):
        Polynomial(0.5).kappa_dot(0.0, 1)
    assert list(Polynomial(Fraction(3, 2)).kappa_dot(1, 1)) == [flint.fmpq(3, 2)]
    assert all((Windowed(w).kappa(1.0, n) == 1).all() for w in (0.1, 0.3, 0.7) for n in range(1, 40))
    assert PerPosition([Windowed(0), Linear()]).kappa(0.25, 2).tolist() == [0.25, 0.25]
    assert Steps(asarray([[0], [sp.Symbol("s")], [1]], "table")).steps == 2
    for shape in ((1, 1), (3, 0)):
        with pytest.raises(ValueError, match="table must have shape"):
            Steps(np.zeros(shape))
    with pytest.raises(ValueError, match=r"t must be an integer in 0\.\.2"):
        Autoregressive().kappa(3, 2)


@pytest.mark.parametrize("array", [np.array, torch.tensor])
def test_conditions_of_a_velocity_at_states(array):
    u = array([[[-1.0, 0.25, 0.75], [0.5, -0.5, 0.0]], [[0.0, 0.0, 0.0], [0.25, 0.25, -1.0]]])
    sums, rates = velocity_conditions(u, [[0, 1], [2, 2]])
    assert sums.tolist() == [[0, 0], [0, -0.5]]
    assert rates.tolist() == [[[0, 0.25, 0.75], [0.5, 0, 0]], [[0, 0, 0], [0.25, 0.25, 0]]]
    wrong = {"velocity must have shape": (u[0], [[0, 1]]), "states must": (u, [[0, 3], [2, 2]])}
    wrong |= {r"states must have shape \(2, 2\)": (u, [[0, 1]]), "states must have": (u, [[0], [1]])}
    for words, given in wrong.items():
        with pytest.raises(ValueError, match=words):
            velocity_conditions(*given)


def test_couplings_of_two_classes_and_of_too_many_states():
    with pytest.raises(ValueError, match=r"were \['Coupling\(N=1, d=3, .*MaskedCoupling\(N=1, d=3"):
        Decentralization([0.5, 0.5], [MaskedCoupling(np.array([0.5, 0.5])), Coupling(np.full((3, 3), 1 / 9))])
    assert MaskedCoupling(np.ones((1,) * 20)).length == 20  # 2^20 states
    with pytest.raises(ValueError, match="target must"):
        MaskedCoupling(np.ones((1,) * 32))
