"""Toy models: the law is known, so what the theory says of dense and routed experts is asserted on exact errors."""

import numpy as np
import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from ddfm_theory.arrays import gamma, outer
from ddfm_theory.objectives import decomposition
from ddfm_theory.stability import total_variation
from toy_models import measures
from toy_models.experiment import EVERY, Drawn, judged
from toy_models.intervals import across_seeds
from toy_models.presets import PRESETS
from toy_models.routers import cosine_router, learned_router
from toy_models.routing import RULES, Experts, conditionals, prefixes, routed_law
from toy_models.tabular import counted, learn
from toy_models.targets import KINDS, chain_law, draw, merged, mixture_of_chains, mixture_of_grids, potts_law

SLACK = gamma("float64", 10_000)


def tv(p, q):
    return float(total_variation(p.ravel(), q.ravel()))


@given(st.sampled_from(KINDS), st.integers(1, 3), st.integers(1, 4), st.integers(0, 50))
def test_the_bayes_rule_on_true_experts_is_the_truth(kind, experts, length, seed):
    target = mixture_of_chains(kind, experts, 4, length, seed)
    laws = Experts.of(target).laws
    assert tv(routed_law(target.weights, laws, "bayes"), target.central.target) <= SLACK
    for rule in RULES:
        mass = routed_law(target.weights, laws, rule).sum()
        assert mass <= 1 + SLACK  # an expert off its support says nothing, and its share is lost under a wrong rule
        assert abs(mass - 1) <= SLACK or (laws == 0).any()
        if experts == 1:
            assert tv(routed_law(target.weights, laws, rule), target.central.target) <= SLACK


def test_the_rules_are_exact_on_rationals():
    """Experts (3/4, 1/4)^3 and (1/4, 3/4)^3, even weights: the law of 000 under each rule, by hand."""
    laws = np.stack([outer([np.array([fmpq(a, 4), fmpq(4 - a, 4)])] * 3) for a in (3, 1)])
    found = {rule: routed_law(np.array([fmpq(1, 2), fmpq(1, 2)]), laws, rule) for rule in RULES}
    assert (found["bayes"] == (laws[0] + laws[1]) * fmpq(1, 2)).all()
    first = fmpq(1, 2) * fmpq(5, 8) * fmpq(5, 8)  # the last token's router is (3/4, 1/4) after any number of zeros
    due = {"bayes": fmpq(7, 32), "static": fmpq(1, 8), "last token": first, "top-1": fmpq(27, 64)}
    assert {rule: law[0, 0, 0] for rule, law in found.items()} == due


def test_wrong_rules_miss_the_truth():
    target = mixture_of_chains("overlapping", 2, 4, 4, 0)
    laws = Experts.of(target).laws
    for rule in ("static", "last token", "top-1"):
        assert tv(routed_law(target.weights, laws, rule), target.central.target) > 0.01


def test_disjoint_experts_are_told_by_the_first_token():
    """After one token the filter is one-hot: only the first step of top-1 routing is wrong."""
    target = mixture_of_chains("disjoint", 2, 4, 3, 1)
    missed = tv(routed_law(target.weights, Experts.of(target).laws, "top-1"), target.central.target)
    assert abs(missed - 0.5) <= SLACK  # it always starts with expert 0, of weight 1/2


def test_clusters_lie_as_they_are_called():
    apart = Experts.of(mixture_of_chains("disjoint", 3, 6, 3, 0)).laws > 0
    assert (apart.sum(axis=0) <= 1).all()
    inside = Experts.of(mixture_of_chains("nested", 3, 6, 3, 0)).laws > 0
    assert (inside[0] <= inside[1]).all()
    assert inside[0].sum() < inside[1].sum() < inside[2].sum() == 6**3
    assert (Experts.of(mixture_of_chains("overlapping", 3, 6, 3, 0)).laws > 0).all()


@given(st.floats(-2, 2), st.integers(0, 100))
def test_a_grid_has_the_ratios_of_its_energy(coupling, seed):
    """Turning one cell multiplies the probability by exp of the energy's change: every cell, every state, by hand."""
    field = np.random.default_rng(seed).normal(size=(6, 2))
    law, neighbours = potts_law(coupling, field, 2), {0: (1, 3), 1: (0, 2, 4), 4: (1, 3, 5)}
    for cell, near in neighbours.items():
        for state in np.ndindex(law.shape):
            if state[cell] == 0:
                turned = (*state[:cell], 1, *state[cell + 1 :])
                gain = field[cell, 1] - field[cell, 0]
                gain += coupling * sum((state[j] == 1) - (state[j] == 0) for j in near)
                assert abs(np.log(law[turned] / law[state]) - gain) <= SLACK * (1 + abs(gain) + abs(field).sum())


def test_a_grid_remembers_one_row_and_a_mixture_of_grids_more():
    """Read row by row, the next cell depends on as many tokens back as a row has cells."""
    target = mixture_of_grids(2, 2, 3, 3, 0)

    def apart(law, memory):
        """Say how much a next-token law varies with the tokens before the last ``memory`` ones."""
        steps = conditionals(law)
        return max(float(np.ptp(step, axis=tuple(range(t - memory))).max())
                   for t, step in enumerate(steps) if t > memory)  # fmt: skip

    one = target.couplings[0].target
    assert apart(one, 3) <= SLACK
    assert apart(one, 2) > 0.01
    assert apart(target.central.target, 3) > 0.01


@given(st.sampled_from(KINDS), st.integers(0, 20))
def test_merging_clusters_keeps_the_law_and_loses_information(kind, seed):
    target = mixture_of_chains(kind, 4, 4, 3, seed)
    worth = []
    for experts in (1, 2, 4):
        fewer = merged(target, experts)
        assert tv(fewer.central.target, target.central.target) <= SLACK
        worth.append(float(decomposition(fewer).router.sum()))
    assert abs(worth[0]) <= SLACK
    assert worth[1] <= worth[2] + SLACK  # a function of the cluster knows no more of it


def test_tables_learn_their_chain_and_low_orders_cannot_hold_a_mixture():
    target = mixture_of_chains("overlapping", 2, 3, 4, 3)
    rows, labels = draw(target, 200_000, 0)
    one = target.couplings[0].target
    assert tv(learn(rows[labels == 0], 3, 1), one) < 0.02
    assert tv(learn(rows, 3, 3), target.central.target) < 0.03
    assert tv(learn(rows, 3, 1), target.central.target) > 0.05


@given(st.integers(0, 30), st.integers(0, 3))
def test_counts_are_those_of_a_loop(seed, width):
    rows = np.random.default_rng(seed).integers(0, 3, (17, width))
    due = np.zeros((3,) * width)
    for row in rows:
        due[tuple(row)] += 1
    assert (counted(rows, 3) == due).all()


def random_experts(seed, experts=3, vocabulary=3, length=3):
    rng = np.random.default_rng(seed)
    laws = rng.dirichlet(np.full(vocabulary**length, 0.5), experts).reshape((experts,) + (vocabulary,) * length)
    return Experts(rng.dirichlet(np.ones(experts)), laws + 1e-6)


@given(st.integers(0, 200))
def test_the_terms_of_c12_add_up_and_c14_bounds_every_rule(seed):
    truth, learned = random_experts(seed), random_experts(seed + 1000)
    laws = [found.laws / found.laws.sum(axis=(1, 2, 3), keepdims=True) for found in (truth, learned)]
    truth, learned = Experts(truth.weights, laws[0]), Experts(learned.weights, laws[1])
    own = {"true": truth.filter, "learned": random_experts(seed + 2000).filter, "cosine": learned.router("last token")}
    for row in judged(truth, learned, own):
        assert row["tv"] <= row["c14_router"] + row["c14_experts"] + SLACK
        if row["c14_kl_router"] is None:
            assert row["model"] == "top-1"
        else:
            assert row["kl"] <= row["c14_kl_router"] + row["c14_kl_experts"] + SLACK
        if row["model"] == "bayes":
            assert row["tv"] <= row["bound_c14"] + SLACK
            assert abs(row["c12_loss"] - row["c12_experts"] - row["c12_prior"] + row["c12_router"]) <= 10 * SLACK
            entropy = float(measures.cross_entropy(truth.law, truth.law))
            assert abs(row["c12_loss"] - entropy - row["kl"]) <= 10 * SLACK
        if row["model"] == "true":
            assert row["c14_router"] == 0


def test_either_term_of_c14_alone_bounds_nothing():
    truth = Experts.of(mixture_of_chains("overlapping", 2, 3, 3, 0))
    static = judged(truth, truth, {}, ("bayes", "static"))[1]
    assert static["tv"] > static["c14_experts"] + 0.01  # true experts: the router's term is the whole bound
    other = Experts(truth.weights, truth.laws[::-1])
    swapped = judged(truth, other, {"true": truth.filter}, ("bayes", "true"))[1]
    assert swapped["tv"] > swapped["c14_router"] + 0.01


def test_a_learned_router_comes_near_the_filter_that_it_never_saw_and_cosine_does_not():
    target = mixture_of_chains("overlapping", 3, 4, 4, 0)
    rows, labels = draw(target, 100_000, 0)
    truth = Experts.of(target)
    learned = learned_router(rows, labels, 3, 4, 1)
    assert all((a == b).all() for a, b in zip(learned, learned_router(rows, labels, 3, 4, 1), strict=True))
    cosine = cosine_router(rows, labels, 3, 4)
    for router in (learned, cosine):
        assert all(abs(step.sum(axis=0) - 1).max() <= SLACK for step in router)
        assert [step.shape for step in router] == [(3,) + (4,) * t for t in range(4)]
    known = {"learned": learned, "cosine": cosine, "static": truth.router("static")}
    terms = {name: measures.router_terms(truth, router)["c14_router"] for name, router in known.items()}
    assert terms["learned"] < 0.05
    assert 0.2 < terms["cosine"] < terms["static"]
    short = measures.router_terms(truth, learned_router(rows, labels, 3, 4, 0))  # windows of one token cannot hold it
    assert short["c14_router"] > 3 * terms["learned"]


def test_cosine_sends_a_prefix_to_the_expert_with_such_tokens():
    target = mixture_of_chains("disjoint", 2, 4, 3, 0)
    rows, labels = draw(target, 1000, 0)
    router = cosine_router(rows, labels, 2, 4)
    assert (router[0] == np.bincount(labels) / 1000).all()
    charged = target.central.target.sum(axis=(1, 2)) > 0.05
    assert (router[1].argmax(axis=0) == np.arange(4) % 2)[charged].all()


def test_experts_beat_a_dense_table_that_cannot_hold_the_mixture_and_stay_within_the_bound():
    target = mixture_of_chains("overlapping", 2, 3, 4, 3)
    rows, labels = draw(target, 50_000, 0)
    dense = tv(learn(rows, 3, 1), target.central.target)
    drawn = Drawn(target, 2, 1, rows, labels)
    found = {row["model"]: row for row in drawn.judged(drawn.tables(1))}
    assert tuple(found) == EVERY
    assert found["bayes"]["tv"] < dense / 3
    assert found["bayes"]["tv"] <= found["bayes"]["bound_c14"]
    assert found["static"]["tv"] > found["bayes"]["tv"]


def dense_and_routed(rows, clusters, experts, vocabulary, smoothing):
    """Return the laws of a table of all tokens, and of one an expert under the Bayes router."""
    order, shares = rows.shape[1] - 1, np.bincount(clusters, minlength=experts) / len(rows)
    dense = learn(rows, vocabulary, order, smoothing)
    tables = [learn(rows[clusters == k], vocabulary, order, smoothing) for k in range(experts)]
    return dense, Experts(shares, np.stack(tables)).law


@given(st.sampled_from(KINDS), st.integers(1, 4), st.integers(1, 200), st.integers(0, 50))
def test_unsmoothed_tables_of_all_tokens_are_one_law_dense_or_routed(kind, experts, samples, seed):
    """The empirical law: whatever differs at few samples is the smoothing's doing."""
    rows, clusters = draw(mixture_of_chains(kind, experts, 4, 3, seed), samples, seed)
    smoothing = 2.0**-30
    dense, routed = dense_and_routed(rows, clusters, experts, 4, smoothing)
    assert tv(dense, routed) <= 2 * 3 * 4 * smoothing + SLACK  # each of three steps moves by 4 counts at most, in both


@pytest.mark.parametrize("kind", [*KINDS, "grid"])
def test_with_the_smoothing_that_suits_each_best_few_samples_are_no_loss(kind):
    target = PRESETS["small"].targets.draw(kind, 0)
    rows, clusters = draw(target, min(PRESETS["small"].samples), 0)
    law, counts = target.central.target, 2.0 ** np.arange(-7, 3)
    laws = [dense_and_routed(rows, clusters, len(target), target.central.vocabulary, count) for count in counts]
    dense, routed = (min(tv(found, law) for found in each) for each in zip(*laws, strict=True))
    assert abs(routed - dense) < 0.05 * dense


def test_conditionals_are_the_chain_rule():
    start, moves = np.array([0.25, 0.75]), np.array([[0.5, 0.5], [0.125, 0.875]])
    law = chain_law(start, moves, 3)
    steps = conditionals(law)
    assert (steps[0] == start).all()
    assert (steps[2] == moves[None]).all()
    assert [found.ndim for found in prefixes(law)] == [0, 1, 2, 3]


def test_an_interval_over_seeds_is_students():
    found = across_seeds([1.0, 2.0, 3.0])
    assert found["mean"] == 2
    assert found["high"] - 2 == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # t with two degrees of freedom


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mixture_of_chains("tangled", 2, 3, 2, 0), "kind must be one of"),
        (lambda: mixture_of_chains("disjoint", 4, 3, 2, 0), "vocabulary must be larger"),
        (lambda: merged(mixture_of_chains("disjoint", 4, 4, 2, 0), 3), "experts must divide the 4 clusters, was 3"),
        (lambda: potts_law(1.0, np.zeros((6, 2)), 4), "rows must divide the 6 cells, was 4"),
        (lambda: learn(np.zeros((1, 2), dtype=int), 2, 1, 0.0), "smoothing must be positive"),
        (lambda: routed_law(np.ones(1), np.ones((1, 1)), "majority"), "rule must be one of"),
        (lambda: across_seeds([1.0]), "one number a seed, two or more"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
