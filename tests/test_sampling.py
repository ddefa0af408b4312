"""Samplers, judged by their exact laws, and draws by a chi-square of stated error probability."""

import flint
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from ddfm_theory.arrays import asarray, to_float
from ddfm_theory.couplings import Coupling, EmpiricalCoupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.ledger import oracle
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import (
    euler_law,
    path_law,
    propagate,
    route_once_law,
    sample,
    sample_categorical,
    sample_discrete,
    sample_euler,
    sample_route_once,
    sample_static,
    sampler_law,
    static_law,
    step_laws,
)
from ddfm_theory.schedulers import Autoregressive, Linear, Polynomial
from ddfm_theory.testing.strategies import couplings, decentralizations, masked_couplings, orders, step_schedulers
from ddfm_theory.velocities import marginal_velocity, step_velocity

DRAWS, ERROR = 4000, 1e-6  # each chi-square below rejects a right sampler once in a million seeds; the seed is fixed


@given(st.data())
def test_propagation_is_the_definition_s(data):
    coupling = data.draw(couplings(length=data.draw(st.integers(1, 2))))
    steps = data.draw(step_schedulers(coupling.length))
    t = data.draw(st.integers(0, steps.steps - 1))
    p, u = marginal_path(coupling, steps, t), step_velocity(coupling, steps, t, t + 1)
    assert (propagate(p, u) == oracle.step(p, u)).all()
    assert propagate(p, u).sum() == 1
    assert (step_laws(u).sum(axis=-1) == 1).all()


@given(st.data())
def test_autoregressive_sampler_gives_q_and_its_paths_marginalize(data):
    coupling = data.draw(masked_couplings())
    n = coupling.length
    order = data.draw(orders(n))
    law = sampler_law(coupling, order, range(n + 1))
    assert (law == marginal_path(coupling, order, n)).all()
    if n < 3:
        velocities = [step_velocity(coupling, order, t, t + 1) for t in range(n)]
        paths = path_law(marginal_path(coupling, order, 0), velocities)
        for t in range(n + 1):
            axes = tuple(axis for axis in range(n + 1) if axis != t)
            assert (paths.sum(axis=axes) == marginal_path(coupling, order, t).reshape(-1)).all()


@given(st.data())
def test_route_once_is_mixing_and_static_is_not_for_distinct_experts(data):
    experts = data.draw(decentralizations(masked=True, length=2))
    order = data.draw(orders(2))
    times = range(3)
    once = route_once_law(experts, order, times)
    assert (once == sampler_law(experts, order, times)).all()
    assert (once == marginal_path(experts.central, order, 2)).all()
    assert static_law(experts, order, times).sum() == 1


def test_euler_converges_to_the_path_at_first_order():
    coupling = Coupling.independent(np.array([0.5, 0.5]), np.array([0.1, 0.9]))
    errors = []
    for steps in (16, 32, 64, 128):
        law = euler_law(coupling, Polynomial(2), [t / steps for t in range(steps)] + [1.0])
        errors.append(np.abs(law - coupling.target).max())
    orders_seen = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert (np.abs(orders_seen - 1) < 1 / 8).all()


def accepts(rows, law):
    """Tell whether counts of states fit a law: cells the law leaves empty are empty, and the chi-square is small."""
    d, n = law.shape[0], law.ndim
    counts = np.bincount(rows @ (d ** np.arange(n)[::-1]), minlength=d**n)
    p = to_float(law).ravel()
    if counts[p == 0].any():
        return False
    expected = p[p > 0] * len(rows)
    statistic = ((counts[p > 0] - expected) ** 2 / expected).sum()
    return statistic <= chi2.isf(ERROR, max(1, len(expected) - 1))


FIRST = MaskedCoupling(np.array([[0.5, 0.2], [0.2, 0.1]]))
SECOND = MaskedCoupling(np.array([[0.1, 0.1], [0.1, 0.7]]))
EXPERTS = Decentralization(np.array([0.4, 0.6]), [FIRST, SECOND])
TIMES = range(3)


@pytest.mark.parametrize(
    ("draw", "law"),
    [
        (
            lambda: sample_discrete(FIRST, Autoregressive(), TIMES, DRAWS, 1),
            lambda: marginal_path(FIRST, Linear(), 1.0),
        ),
        (
            lambda: sample_discrete(EXPERTS, Autoregressive(), TIMES, DRAWS, 2),
            lambda: marginal_path(EXPERTS.central, Linear(), 1.0),
        ),
        (
            lambda: sample_route_once(EXPERTS, Autoregressive(), TIMES, DRAWS, 3),
            lambda: marginal_path(EXPERTS.central, Linear(), 1.0),
        ),
        (
            lambda: sample_static(EXPERTS, Autoregressive(), TIMES, DRAWS, 4),
            lambda: static_law(EXPERTS, Autoregressive(), TIMES),
        ),
        (
            lambda: sample_discrete(FIRST, Linear(), [0.0, 0.5, 1.0], DRAWS, 5),
            lambda: sampler_law(FIRST, Linear(), [0.0, 0.5, 1.0]),
        ),
        (
            lambda: sample_euler(FIRST, Polynomial(2), [0.0, 0.5, 0.75], DRAWS, 6),
            lambda: euler_law(FIRST, Polynomial(2), [0.0, 0.5, 0.75]),
        ),
        (
            lambda: sample_euler(EXPERTS, Linear(), [0.0, 0.5, 1.0], DRAWS, 7),
            lambda: euler_law(EXPERTS.central, Linear(), [0.0, 0.5, 1.0]),
        ),
        (
            lambda: sample_discrete(
                Coupling.independent(np.array([0.5, 0.5]), np.array([0.9, 0.1])), Linear(), [0.0, 1.0], DRAWS, 8
            ),
            lambda: np.array([0.9, 0.1]),
        ),
    ],
    ids=["autoregressive", "mixed", "route once", "static", "parallel", "euler", "euler mixed", "joint source"],
)
def test_samples_follow_their_exact_law(draw, law):
    rows = draw()
    assert accepts(rows, law())
    assert (rows == draw()).all()


SPREAD = [Coupling.independent(np.array([0.5, 0.5]), np.array(law)) for law in ([0.9, 0.1], [0.2, 0.8])]
SPREAD_EXPERTS = Decentralization(np.array([0.4, 0.6]), SPREAD)
EARLY = [0.0, 0.5]  # stopped before t = 1, where what x0 was still shows


@pytest.mark.parametrize(
    ("draw", "law"),
    [
        (
            lambda: sample_discrete(SPREAD[0], Linear(), EARLY, DRAWS, 1),
            lambda: sampler_law(SPREAD[0], Linear(), EARLY),
        ),
        (lambda: sample_euler(SPREAD[0], Linear(), EARLY, DRAWS, 2), lambda: euler_law(SPREAD[0], Linear(), EARLY)),
        (
            lambda: sample_static(SPREAD_EXPERTS, Linear(), EARLY, DRAWS, 3),
            lambda: static_law(SPREAD_EXPERTS, Linear(), EARLY),
        ),
        (
            lambda: sample_route_once(SPREAD_EXPERTS, Linear(), EARLY, DRAWS, 4),
            lambda: route_once_law(SPREAD_EXPERTS, Linear(), EARLY),
        ),
        (
            lambda: sample_discrete(FIRST, Linear(), [0.5, 0.75], DRAWS, 5),
            lambda: sampler_law(FIRST, Linear(), [0.5, 0.75]),
        ),
    ],
    ids=["discrete", "euler", "static", "route once", "from the middle"],
)
def test_a_spread_source_and_a_late_start_follow_their_exact_law(draw, law):
    """The source and the first step come from one stream of randomness, not from one number used twice."""
    assert accepts(draw(), law())


def test_the_chi_square_catches_wrong_samplers():
    """The static prior, and two positions at once, are told from the exact law by the same draws."""
    target = marginal_path(EXPERTS.central, Linear(), 1.0)
    assert not accepts(sample_static(EXPERTS, Autoregressive(), TIMES, DRAWS, 4), target)
    assert not accepts(sample_discrete(EXPERTS, Linear(), [0.0, 1.0], DRAWS, 5), target)


def test_empirical_sampler_draws_the_rows():
    coupling = EmpiricalCoupling([[0, 1, 2], [2, 0, 1]], vocabulary=3)
    rows = sample_discrete(coupling, Autoregressive(), range(4), 400, 0)
    assert {tuple(row) for row in rows} == {(0, 1, 2), (2, 0, 1)}
    share = (rows[:, 0] == 0).mean()
    assert abs(share - 0.5) <= np.sqrt(np.log(2 / ERROR) / (2 * 400))  # Hoeffding


def test_float32_uniforms_lose_rare_tokens():
    """A token of probability below float32's resolution near one is never drawn, where float64 draws it."""
    law = np.tile([1 - 2e-8, 2e-8], (1, 1))
    wide = np.cumsum(law.astype(np.float64))
    narrow = np.cumsum(law, dtype=np.float32)
    assert wide[0] < 1
    assert narrow[0] == 1
    drawn = sample_categorical(np.repeat(law, 10, axis=0), np.random.default_rng(0), np.float32)
    assert (drawn == 0).all()


def test_nothing_is_clipped():
    with pytest.raises(ValueError, match="is the step too long"):
        sample_euler(FIRST, Polynomial(2), [0.0, 0.9, 1.9], 2, 0)
    for wrong, words in (([[1.5, -0.5]], "must be pmfs"), ([[0.5, float("nan")]], "must be finite")):
        with pytest.raises(ValueError, match=words):
            sample_categorical(np.array(wrong), np.random.default_rng(0))
    with pytest.raises(ValueError, match="times must be a nonempty sequence"):
        sample_discrete(FIRST, Linear(), [], 1, 0)
    with pytest.raises(ValueError, match="seed must be an integer"):
        sample_discrete(FIRST, Linear(), [0.0, 1.0], 1, None)
    with pytest.raises(ValueError, match="must have randomness"):
        sample(lambda s, t, z: asarray(np.zeros((len(z), 1, 2), dtype=int), "u"), [[0]], [0, 1], 2, 0)


def test_what_rounding_leaves_below_zero_is_propagated_and_no_more():
    u = np.array([[[-1.0, 1.0]], [[0.0, 0.0]]])
    assert propagate(np.array([1.0, -3e-19]), u).tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="p must be nonnegative"):
        propagate(np.array([1.0, -1e-12]), u)


def test_torch_laws_are_sampled():
    law = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.bfloat16)
    assert sample_categorical(law, np.random.default_rng(0)).tolist() == [1]
    assert (
        sampler_law(MaskedCoupling(torch.tensor([0.25, 0.75])), Linear(), [0.0, 1.0]) == torch.tensor([0.25, 0.75, 0.0])
    ).all()


def test_velocity_of_continuous_time_moves_no_mass_off_the_path():
    u = marginal_velocity(MaskedCoupling([flint.fmpq(1)]), Linear(), flint.fmpq(1, 2))
    assert u[1, 0, 0] == 2
    assert u[0, 0, 1] == 0
