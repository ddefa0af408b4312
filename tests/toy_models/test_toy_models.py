"""Toy models: the law is known, so what the theory says of dense and routed experts is asserted on exact errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddfm_theory.arrays import gamma
from ddfm_theory.stability import total_variation
from toy_models.experiment import compare, run, save, summary
from toy_models.routing import RULES, conditionals, routed_law
from toy_models.tabular import learn
from toy_models.targets import KINDS, chain_law, draw, mixture_of_chains

SLACK = gamma("float64", 10_000)


def tv(p, q):
    return float(total_variation(p.ravel(), q.ravel()))


@given(st.sampled_from(KINDS), st.integers(1, 3), st.integers(1, 4), st.integers(0, 50))
def test_the_bayes_rule_on_true_experts_is_the_truth(kind, experts, length, seed):
    target = mixture_of_chains(kind, experts, 4, length, seed)
    laws = np.stack([coupling.target for coupling in target.couplings])
    assert tv(routed_law(target.weights, laws, "bayes"), target.central.target) <= SLACK
    for rule in RULES:
        mass = routed_law(target.weights, laws, rule).sum()
        assert mass <= 1 + SLACK  # an expert off its support says nothing, and its share is lost under a wrong rule
        assert abs(mass - 1) <= SLACK or (laws == 0).any()
        if experts == 1:
            assert tv(routed_law(target.weights, laws, rule), target.central.target) <= SLACK


def test_wrong_rules_miss_the_truth():
    target = mixture_of_chains("overlapping", 2, 4, 4, 0)
    laws = np.stack([coupling.target for coupling in target.couplings])
    for rule in ("static", "last token", "top-1"):
        assert tv(routed_law(target.weights, laws, rule), target.central.target) > 0.01


def test_disjoint_experts_are_told_by_the_first_token():
    """After one token the filter is one-hot: only the first step of top-1 routing is wrong."""
    target = mixture_of_chains("disjoint", 2, 4, 3, 1)
    laws = np.stack([coupling.target for coupling in target.couplings])
    missed = tv(routed_law(target.weights, laws, "top-1"), target.central.target)
    assert abs(missed - 0.5) <= SLACK  # it always starts with expert 0, of weight 1/2


def test_tables_learn_their_chain_and_low_orders_cannot_hold_a_mixture():
    target = mixture_of_chains("overlapping", 2, 3, 4, 3)
    rows, labels = draw(target, 200_000, 0)
    one = target.couplings[0].target
    assert tv(learn(rows[labels == 0], 3, 1), one) < 0.02
    assert tv(learn(rows, 3, 3), target.central.target) < 0.03
    assert tv(learn(rows, 3, 1), target.central.target) > 0.05


def test_experts_beat_a_dense_table_that_cannot_hold_the_mixture_and_stay_within_the_bound():
    target = mixture_of_chains("overlapping", 2, 3, 4, 3)
    found = {row["model"]: row for row in compare(target, 1, 50_000, 0)}
    assert found["bayes"]["tv"] < found["dense"]["tv"] / 3
    assert found["bayes"]["tv"] <= found["bayes"]["bound_c14"]
    assert found["static"]["tv"] > found["bayes"]["tv"]


def test_conditionals_are_the_chain_rule():
    start, moves = np.array([0.25, 0.75]), np.array([[0.5, 0.5], [0.125, 0.875]])
    steps = conditionals(chain_law(start, moves, 3))
    assert (steps[0] == start).all()
    assert (steps[2] == moves[None]).all()


def test_a_run_is_its_seeds(tmp_path):
    first, second = run("smoke"), run("smoke")
    save(first, tmp_path / "one.json")
    save(second, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert len(summary(first)) == 3 * 2 * 2  # kinds, numbers of experts, orders
    assert all(row["tv"] <= row["bound_c14"] + SLACK for row in first["rows"] if "bound_c14" in row)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mixture_of_chains("tangled", 2, 3, 2, 0), "kind must be one of"),
        (lambda: mixture_of_chains("disjoint", 4, 3, 2, 0), "vocabulary must be larger"),
        (lambda: learn(np.zeros((1, 2), dtype=int), 2, 1, 0.0), "smoothing must be positive"),
        (lambda: routed_law(np.ones(1), np.ones((1, 1)), "majority"), "rule must be one of"),
        (lambda: run("huge"), "preset must be one of"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
