"""Schedules: formula, derivative and inverse in SymPy against the numeric ones; ends, convexity, monotonicity."""

from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddfm_theory.arrays import gamma, to_float, to_sympy
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
from ddfm_theory.testing.strategies import orders, schedulers, step_schedulers, times

T = sp.Symbol("t", real=True)
FORMULAS = [
    Linear(),
    Polynomial(2),
    Polynomial(3),
    Polynomial(0.5),
    Cosine(),
    Windowed(0),
    Windowed(Fraction(1, 3)),
    Windowed(1),
    PerPosition([Linear(), Cosine(), Polynomial(2)]),
]
EXACT = [s for s in FORMULAS if "Cosine" not in repr(s) and "0.5" not in repr(s)]
ROUNDINGS = 64  # kappa takes fewer than 64 operations, each within one unit of libm's


@pytest.mark.parametrize("scheduler", FORMULAS, ids=repr)
@pytest.mark.parametrize("t", [0.07, 0.25, 0.4, 0.73, 0.99])
def test_values_and_derivatives_are_the_formula_s(scheduler, t):
    formula = scheduler.formula(T, 3)
    slack = gamma("float64", ROUNDINGS)
    for order, values in enumerate((scheduler.kappa(t, 3), scheduler.kappa_dot(t, 3))):
        expected = np.array([float(sp.diff(f, T, order).subs(T, sp.Rational(t)).evalf(30)) for f in formula])
        assert (np.abs(values - expected) <= slack * (1 + np.abs(expected))).all()


@pytest.mark.parametrize("scheduler", EXACT, ids=repr)
@given(t=times())
def test_rational_values_are_the_formula_s(scheduler, t):
    expected = [f.subs(T, to_sympy(t)) for f in scheduler.formula(T, 3)]
    assert list(to_sympy(scheduler.kappa(t, 3))) == expected


@pytest.mark.parametrize("scheduler", FORMULAS, ids=repr)
def test_inverse(scheduler):
    for value in (0.1, 0.5, 0.9):
        at = scheduler.inverse(value, 3)
        back = np.array([scheduler.kappa(float(t), 3)[i] for i, t in enumerate(at)])
        assert (np.abs(back - value) <= gamma("float64", 4 * ROUNDINGS)).all()
        symbolic = [
            f.subs(sp.Symbol("kappa", positive=True), value)
            for f in scheduler.inverse_formula(sp.Symbol("kappa", positive=True), 3)
        ]
        assert (np.abs(at - np.array(symbolic, dtype=float)) <= gamma("float64", ROUNDINGS)).all()


@pytest.mark.parametrize("scheduler", FORMULAS, ids=repr)
@pytest.mark.parametrize(
    "ends", [(0, 1), (0.0, 1.0), (torch.tensor(0.0), torch.tensor(1.0))], ids=["exact", "numpy", "torch"]
)
def test_ends_are_exact_and_kappa_rises(scheduler, ends):
    assert bool((scheduler.kappa(ends[0], 3) == 0).all())
    assert bool((scheduler.kappa(ends[1], 3) == 1).all())
    grid = np.stack([scheduler.kappa(t, 3) for t in np.linspace(0, 1, 33)])
    assert (np.diff(grid, axis=0) >= -gamma("float64", ROUNDINGS)).all()
    assert grid.min() >= 0
    assert grid.max() <= 1


@given(st.data())
def test_weights_are_convex_and_their_derivative_sums_to_zero(data):
    length = data.draw(st.integers(1, 3))
    scheduler, t = data.draw(schedulers(length)), data.draw(times())
    weights = scheduler.weights(t, length)
    assert weights.shape == (2, length)
    assert (weights.sum(axis=0) == 1).all()
    assert (weights >= flint.fmpq(0)).all()
    assert (weights[-1] == scheduler.kappa(t, length)).all()
    assert (scheduler.weights_dot(t, length).sum(axis=0) == 0).all()


@given(st.data())
def test_derivative_is_the_limit_of_increments(data):
    """Between breakpoints kappa is a polynomial of degree <= 3, so central differences of a small step bound it."""
    scheduler, t, h = data.draw(schedulers(2)), data.draw(times(ends=False, parts=7)), flint.fmpq(1, 10**6)
    if isinstance(scheduler, Given):
        return_same = scheduler.kappa(t, 2) == scheduler.kappa(0, 2)
        assert return_same.all()
    else:
        slope = (scheduler.kappa(t + h, 2) - scheduler.kappa(t - h, 2)) / (2 * h)
        assert all(abs(a - b) <= 10 * h for a, b in zip(slope, scheduler.kappa_dot(t, 2), strict=True))


def test_windowed_is_right_differentiable_at_kinks_and_left_at_one():
    half = Windowed(0)
    assert list(half.kappa_dot(Fraction(1, 2), 2)) == [0, 2]
    assert list(half.kappa_dot(1, 2)) == [0, 2]
    assert list(half.kappa_dot(0, 2)) == [2, 0]
    assert half.breakpoints(2) == (Fraction(1, 2),)
    assert (Windowed(1).kappa(Fraction(1, 3), 4) == flint.fmpq(1, 3)).all()


@pytest.mark.parametrize("number", [np.int64(2), np.float32(1.5), np.float16(0.5), sp.Rational(3, 2), sp.Integer(3)])
def test_an_exponent_may_be_anybody_s_number(number):
    scheduler = Polynomial(number)
    assert scheduler.exponent == number
    assert type(scheduler.exponent) in (int, float, Fraction)
    assert abs(scheduler.kappa(0.25, 1)[0] - 0.25 ** float(number)) <= gamma("float64", ROUNDINGS)


@pytest.mark.parametrize("overlap", [torch.tensor(0.25), np.float32(0.25), 0.25, Fraction(1, 4)], ids=repr)
def test_an_overlap_of_any_namespace_gives_the_same_formula(overlap):
    assert Windowed(overlap).formula(T, 3) == Windowed(Fraction(1, 4)).formula(T, 3)
    assert Windowed(overlap).inverse(0.5, 3).tolist() == Windowed(Fraction(1, 4)).inverse(0.5, 3).tolist()


@given(st.data())
def test_autoregression_reveals_one_position_a_step(data):
    length = data.draw(st.integers(1, 4))
    order = data.draw(orders(length))
    for t in range(length):
        moved = order.kappa(t + 1, length) - order.kappa(t, length)
        assert [int(m == 1) for m in moved] == [int(i == order.positions(length)[t]) for i in range(length)]


@given(st.data())
def test_steps_are_their_table(data):
    steps = data.draw(step_schedulers(2))
    assert (steps.kappa(0, 2) == 0).all()
    assert (steps.kappa(steps.steps, 2) == 1).all()


def test_symbolic_time_gives_the_formula():
    t = sp.Symbol("t", real=True)
    for scheduler in FORMULAS:
        assert [e.equals(f) for e, f in zip(to_sympy(scheduler.kappa(t, 3)), scheduler.formula(T, 3), strict=True)] == [
            True
        ] * 3
    assert to_sympy(Cosine().kappa_dot(t, 1))[0].equals(sp.pi * sp.sin(sp.pi * t / 2) / 2)


def test_convex_weights_of_a_user():
    t = sp.Symbol("s")
    bezier = Convex([(1 - t) ** 2, 2 * t * (1 - t), t**2], [[Fraction(1, 2)] * 2], variable=t)
    assert bezier.formula(T, 2) == (T**2, T**2)
    assert list(bezier.kappa(Fraction(1, 3), 2)) == [flint.fmpq(1, 9)] * 2
    assert (bezier.weights_dot(Fraction(1, 3), 2).sum(axis=0) == 0).all()
    assert np.abs(to_float(bezier.weights(1 / 3, 1))[:, 0] - np.array([4, 4, 1]) / 9).max() <= gamma(
        "float64", ROUNDINGS
    )
    called = Convex(lambda s: np.array([1 - s, s]), weights_dot=lambda s: np.array([-1.0, 1.0]))
    assert called.kappa(0.25, 2).tolist() == [0.25, 0.25]
    per_position = Convex([[1 - t, 1 - t**2], [t, t**2]], variable=t)
    assert list(per_position.kappa(Fraction(1, 2), 2)) == [flint.fmpq(1, 2), flint.fmpq(1, 4)]


S = sp.Symbol("s")
WAVE = S + sp.sin(2 * sp.pi * S) / 4
REFUSED = {
    "t must be at most 1": lambda: Linear().kappa(1.5, 2),
    "t must be nonnegative": lambda: Linear().kappa(-0.1, 2),
    "t must be finite": lambda: Linear().kappa(float("nan"), 2),
    "t must be one number": lambda: Linear().kappa([0.1, 0.2], 2),
    "length must be an integer": lambda: Linear().kappa(0.5, 0),
    "exponent must be a positive number": lambda: Polynomial(0),
    "infinite": lambda: Polynomial(0.5).kappa_dot(0.0, 1),
    "must be a float where the exponent": lambda: Polynomial(0.5).kappa(Fraction(1, 2), 1),
    "rational cosine": lambda: Cosine().kappa(Fraction(1, 2), 1),
    "overlap must be at most 1": lambda: Windowed(2),
    "order must be a permutation": lambda: Autoregressive([0, 0]),
    "it jumps": lambda: Autoregressive().kappa_dot(1, 2),
    "t must be an integer": lambda: Autoregressive().kappa(0.5, 2),
    "length must be the order's": lambda: Autoregressive([1, 0]).kappa(1, 3),
    "table must be 1 in row": lambda: Steps([[0, 0], [1, 0]]),
    "a column falls": lambda: Steps([[0], [Fraction(1, 2)], [Fraction(1, 4)], [1]]),
    "table must have shape": lambda: Steps([0, 1]),
    "kappa must be at most 1": lambda: Given([2]),
    "kappa must have one value or": lambda: Given([Fraction(1, 2)] * 2).kappa(0, 3),
    "kappa_dot must be given": lambda: Given(Fraction(1, 2)).kappa_dot(0, 1),
    "must be convex": lambda: Convex([1 - S, 2 * S], variable=S),
    "must be one on base 0": lambda: Convex([sp.Rational(1, 2) - S / 2, sp.Rational(1, 2) + S / 2], variable=S),
    "never falls": lambda: Convex([1 - WAVE, WAVE], variable=S),
    "rows for 1 bases": lambda: Convex([1 - S, S], [[Fraction(1, 2)] * 2], variable=S),
    "t must be at most 1, was 5": lambda: Convex(lambda s: [1 - s, s]).kappa(5.0, 1),
    "order must be an integer": lambda: Autoregressive([1.7, 0.2]),
    "schedulers must be a nonempty sequence of two-base": lambda: PerPosition([Autoregressive()]),
    "overlap must be a number": lambda: Windowed(S),
    "variable must be": lambda: Convex([1 - S, S]),
    "schedulers must be a nonempty": lambda: PerPosition([]),
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(words):
    with pytest.raises(ValueError, match=words):
        REFUSED[words]()
