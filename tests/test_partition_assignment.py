"""The balanced assignment against definitions: the Hungarian method, enumeration, and its own certificate."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog

from ddfm_theory.arrays import gamma
from ddfm_theory.partition import assignment, balanced_assignment, is_optimal_assignment, prices, transport

SETTINGS = settings(max_examples=40, deadline=None)


@st.composite
def integer_costs(draw, most_rows=14, most_clusters=5, low_k=1):
    n = draw(st.integers(low_k, most_rows))
    k = draw(st.integers(low_k, min(n, most_clusters)))
    entries = st.integers(-4, 4) if draw(st.booleans()) else st.integers(-1000, 1000)
    return np.array(draw(st.lists(st.lists(entries, min_size=k, max_size=k), min_size=n, max_size=n)))


def cost_of(costs, labels):
    return np.take_along_axis(np.asarray(costs), np.asarray(labels)[:, None], axis=1).sum()


def hungarian(costs):
    """The least cost by definition: columns replicated, one spare column a cluster, absent rows kept off the others."""
    n, k = costs.shape
    share, extra = divmod(n, k)
    columns = np.concatenate([np.repeat(np.arange(k), share), np.arange(k)])
    square = np.zeros((len(columns), len(columns)))
    square[:n] = costs[:, columns]
    square[n:, : share * k] = 1 + 2 * np.abs(costs).sum()  # dearer than all else together
    rows, chosen = linear_sum_assignment(square)
    assert len(columns) - n == k - extra
    return square[rows, chosen].sum()


def gaussian(n, k, seed, skew=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k)) + skew * np.arange(k)


@given(integer_costs())
@SETTINGS
def test_balance_is_exact_and_the_cost_is_the_least(costs):
    labels = balanced_assignment(costs)
    sizes = np.bincount(labels, minlength=costs.shape[1])
    assert sizes.max() - sizes.min() <= 1
    assert cost_of(costs, labels) == hungarian(costs)
    assert is_optimal_assignment(costs, labels)


@pytest.mark.parametrize(("n", "k"), [(60, 2), (60, 7), (59, 4), (47, 3), (60, 60)])
def test_up_to_sixty_rows_the_cost_is_the_hungarian_methods(n, k):
    costs = gaussian(n, k, seed=n + k)
    ticks = assignment.to_ticks(costs)
    assert cost_of(ticks, balanced_assignment(costs)) == hungarian(ticks)


@given(integer_costs(low_k=2), st.integers(0, 2**32 - 1))
@SETTINGS
def test_the_certificate_says_what_the_hungarian_method_says(costs, seed):
    n, k = costs.shape
    labels = np.random.default_rng(seed).permutation(np.arange(n) % k)
    assert is_optimal_assignment(costs, labels) == (cost_of(costs, labels) == hungarian(costs))


def test_planted_errors_are_caught():
    costs = gaussian(200, 5, seed=3)
    labels = balanced_assignment(costs)
    rng = np.random.default_rng(0)
    assert is_optimal_assignment(costs, labels)
    assert not is_optimal_assignment(costs, rng.permutation(labels))
    assert not is_optimal_assignment(costs, costs.argmin(axis=1))  # cheaper, not balanced
    swapped = labels.copy()
    i, j = np.flatnonzero(labels == 0)[0], np.flatnonzero(labels == 1)[0]
    swapped[[i, j]] = 1, 0
    assert cost_of(costs, swapped) > cost_of(costs, labels)
    assert not is_optimal_assignment(costs, swapped)


def test_greedy_by_first_come_is_not_optimal():
    """The smallest instance: in order of rows, row 0 takes the place that row 1 needs."""
    costs = np.array([[0, 1], [0, 9]])
    assert balanced_assignment(costs).tolist() == [1, 0]
    assert not is_optimal_assignment(costs, np.array([0, 1]))


@given(integer_costs(most_clusters=2, low_k=2))
@SETTINGS
def test_two_clusters_closed_form_is_the_flow(costs):
    ticks = assignment.to_ticks(costs)
    labels, prices = assignment.halves(ticks)
    flow = transport.transport(ticks, np.ones(len(ticks), dtype=np.int64))
    assert cost_of(ticks, labels) == cost_of(ticks, flow.clusters)
    priced = ticks + prices
    assert (np.take_along_axis(priced, labels[:, None], axis=1)[:, 0] <= priced.min(axis=1)).all()


@pytest.mark.parametrize("skew", [0.0, 1.0, 5.0])
@pytest.mark.parametrize(("n", "k"), [(500, 3), (501, 8), (1000, 16)])
def test_few_arcs_give_the_optimum_over_all(monkeypatch, n, k, skew):
    costs = assignment.to_ticks(gaussian(n, k, seed=n + k, skew=skew))
    whole = transport.transport(costs, np.ones(n, dtype=np.int64))
    monkeypatch.setattr(transport, "DIRECT", 0)
    monkeypatch.setattr(prices, "SAMPLE", 16)
    monkeypatch.setattr(prices, "CHUNK", 100)
    few = transport.transport(costs, np.ones(n, dtype=np.int64))
    misled = transport.transport(costs, np.ones(n, dtype=np.int64), prices=1e9 * np.cos(np.arange(k)))
    assert cost_of(costs, few.clusters) == cost_of(costs, whole.clusters) == cost_of(costs, misled.clusters)
    assert is_optimal_assignment(costs, few.clusters)


@pytest.mark.parametrize(("n", "k"), [(30, 2), (31, 2), (100, 3), (1000, 7), (20_000, 8)])
def test_prices_reproduce_the_labels_where_the_optimum_is_unique(n, k):
    ticks = assignment.to_ticks(gaussian(n, k, seed=k))
    labels, prices = assignment.assign(ticks, None)
    assert ((ticks + prices).argmin(axis=1) == labels).all()
    assert (ticks.argmin(axis=1) != labels).any()  # the control: without prices it is another rule


def test_permuting_rows_permutes_labels():
    costs = gaussian(300, 4, seed=1)
    order = np.random.default_rng(2).permutation(300)
    assert (balanced_assignment(costs[order]) == balanced_assignment(costs)[order]).all()


def test_ties_cost_the_same_in_any_order():
    costs = np.zeros((11, 3), dtype=int)
    sizes = np.bincount(balanced_assignment(costs))
    assert sorted(sizes) == [3, 4, 4]


@given(integer_costs(most_rows=7, most_clusters=3), st.data())
@SETTINGS
def test_token_loads_keep_their_bound_and_cost_no_more_than_equal_loads(costs, data):
    n, k = costs.shape
    drawn = data.draw(st.lists(st.integers(1, 12), min_size=n, max_size=n))
    weights = assignment.check_weights(np.array(drawn), n)
    assume(weights is not None and k > 1)
    ticks = assignment.to_ticks(costs)
    flow = transport.transport(ticks, weights)
    labels = assignment._round(ticks, weights, flow)
    split = np.bincount(flow.rows, minlength=n) > 1
    loads, shares = np.bincount(labels, weights, k), {weights.sum() // k, -(-weights.sum() // k)}
    heaviest = weights[split].max() if split.any() else 0
    assert all(min(abs(load - share) for share in shares) <= heaviest for load in loads)
    cost = (weights * np.take_along_axis(ticks, labels[:, None], axis=1)[:, 0].astype(np.int64)).sum()
    for other in product(range(k), repeat=n):
        if set(np.bincount(other, weights, k)) <= shares:
            assert cost <= (weights * ticks[np.arange(n), list(other)].astype(np.int64)).sum()


@given(integer_costs(most_rows=12, most_clusters=4), st.data())
@SETTINGS
def test_by_tokens_no_cluster_is_empty_and_loads_keep_within_the_heaviest_row(costs, data):
    n, k = costs.shape
    weights = np.array(data.draw(st.lists(st.sampled_from([1, 2, 3, 50]), min_size=n, max_size=n)))
    labels = balanced_assignment(costs, weights)
    reduced = weights // np.gcd.reduce(weights)
    loads = np.bincount(labels, reduced, k)
    assert (np.bincount(labels, minlength=k) > 0).all()
    low, high = reduced.sum() // k, -(-reduced.sum() // k)
    assert loads.min() >= low - reduced.max()
    assert loads.max() <= high + reduced.max()


def test_the_token_bound_fails_for_balance_by_rows():
    """The control: rows of 100 tokens all prefer cluster 0, rows of one token cluster 1."""
    weights = np.array([100, 1] * 20)
    costs = np.stack([weights == 1, weights == 100], axis=1).astype(float)
    by_rows = np.bincount(balanced_assignment(costs), weights)
    by_tokens = np.bincount(balanced_assignment(costs, weights), weights)
    assert by_rows.tolist() == [2000, 20]
    assert abs(by_tokens - 1010).max() <= 100


def test_many_split_rows_are_rounded():
    """Free costs: the flow may split as it likes, and thousands of tokens a row must still come out within one row."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 4000, 3000)
    for costs in (np.zeros((3000, 9)), gaussian(3000, 9, seed=5, skew=0.3)):
        loads = np.bincount(balanced_assignment(costs, weights), weights, 9)
        assert abs(loads - weights.sum() / 9).max() <= weights.max() + 1


@given(st.data())
@SETTINGS
def test_any_split_is_rounded_to_within_one_row_at_no_cost(data):
    """Shmoys and Tardos' rounding on flows far from a vertex, where almost every row is split."""
    n, k = data.draw(st.integers(2, 9)), data.draw(st.integers(2, 4))
    amounts = np.array(data.draw(st.lists(st.lists(st.integers(0, 9), min_size=k, max_size=k), min_size=n, max_size=n)))
    amounts[:, 0] += amounts.sum(axis=1) == 0
    ticks = np.array(data.draw(st.lists(st.lists(st.integers(0, 5), min_size=k, max_size=k), min_size=n, max_size=n)))
    weights, (rows, clusters) = amounts.sum(axis=1), np.nonzero(amounts)
    flow = transport.Flow(rows, clusters, amounts[rows, clusters], np.zeros(k))
    labels = assignment._round(ticks, weights, flow)
    split = (amounts > 0).sum(axis=1) > 1
    heaviest = weights[split].max() if split.any() else 0
    assert abs(np.bincount(labels, weights, k) - amounts.sum(axis=0)).max() <= heaviest
    assert (weights * ticks[np.arange(n), labels]).sum() <= (amounts * ticks).sum()


def test_slots_are_filled_heaviest_first():
    """Three heavy and three light rows, each split in halves, heavy ones cheaper in cluster 0: not all may go there."""
    weights = np.array([2, 200] * 3)
    flow = transport.Flow(np.arange(6).repeat(2), np.tile([0, 1], 6), (weights // 2).repeat(2), np.zeros(2))
    labels = assignment._round(np.array([[1, 0], [0, 1]] * 3), weights, flow)
    assert abs(np.bincount(labels, weights, 2) - 303).max() <= 200


def test_equal_weights_are_no_weights():
    assert assignment.check_weights(np.full(5, 7), 5) is None
    assert assignment.check_weights(np.array([6, 9]), 2).tolist() == [2, 3]
    for n in range(5, 30):
        costs = gaussian(n, 4, seed=n)
        assert (balanced_assignment(costs, np.full(n, 7)) == balanced_assignment(costs)).all()


def part_of(ticks, near, prices_=None):
    """A flow of the near rows over all their arcs, what is asked for, and the arcs."""
    n, k = ticks.shape
    ones = np.ones(n, dtype=np.int64)
    asked = prices.ask(ticks, ones, np.zeros(k, dtype=np.int64) if prices_ is None else prices_)
    return transport._cheapest_part(ticks, ones, asked, near, np.ones((n, k), dtype=bool)), asked


def test_a_cluster_that_has_its_extra_row_gets_no_other():
    """Three far rows fill cluster 0 (8 rows, 3 clusters: 3, 3, 2); the others prefer it and may not."""
    ticks = np.array([[0, 9, 9]] * 8, dtype=np.int32)
    part, _ = part_of(ticks, np.arange(8) > 2)
    assert part.rows.tolist() == [3, 4, 5, 6, 7]
    assert sorted(part.loads) == [2, 3, 3]
    assert 0 not in part.clusters
    assert part_of(ticks, np.arange(8) > 3)[0] is None


def shrink(patch):
    """Let small instances go the way of large ones, with too few near rows at first."""
    for module, name, value in ((transport, "DIRECT", 0), (transport, "NEAR", 1), (prices, "SAMPLE", 16)):
        patch.setattr(module, name, value)


@pytest.fixture
def few_arcs(monkeypatch):
    shrink(monkeypatch)


def separate(n, k, seed):
    """Clouds far apart and unequal, so that prices must cross plateaus."""
    rng = np.random.default_rng(seed)
    odds = 1 / np.arange(1, 2 * k + 1)
    centers = 20 * rng.normal(size=(2 * k, 5))
    x = centers[rng.choice(2 * k, n, p=odds / odds.sum())] + rng.normal(size=(n, 5))
    return assignment.to_ticks(((x[:, None] - x[rng.choice(n, k, replace=False)]) ** 2).sum(axis=-1))


@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.integers(40, 160))
@SETTINGS
def test_far_rows_are_certified_or_become_near(seed, k, n):
    ticks = separate(n, k, seed)
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        flow = transport.transport(ticks, np.ones(n, dtype=np.int64))
    assert is_optimal_assignment(ticks, flow.clusters)
    assert cost_of(ticks.astype(np.int64), flow.clusters) == hungarian(ticks.astype(np.int64))


def test_a_certificate_that_says_yes_is_found_out(few_arcs, monkeypatch):
    """The planted error: with it some flow over few arcs is returned that is no optimum, without it none."""
    right = transport.certificate

    def optimal():
        flows = [transport.transport(separate(150, 6, seed), np.ones(150, dtype=np.int64)) for seed in range(12)]
        return [is_optimal_assignment(separate(150, 6, seed), flow.clusters) for seed, flow in enumerate(flows)]

    assert all(optimal())
    always = np.zeros((6, 6), dtype=np.int64)
    monkeypatch.setattr(transport, "certificate", lambda *args: always if right(*args) is None else right(*args))
    assert not all(optimal())


def test_the_certificate_refuses_far_rows_that_were_exchanged():
    ticks = assignment.to_ticks(gaussian(60, 4, seed=8))
    _, lam = assignment.assign(ticks, None)
    near = np.zeros(60, dtype=bool)
    asked = prices.ask(ticks, np.ones(60, dtype=np.int64), np.rint(lam).astype(np.int64))
    near[asked.gaps <= 8] = True  # the prices were rounded
    part = transport._cheapest_part(ticks, np.ones(60, dtype=np.int64), asked, near, np.ones((60, 4), dtype=bool))
    assert transport.certificate(ticks, asked, near, part) is not None
    off = asked._replace(gaps=np.where(near, asked.gaps, -np.abs(np.diff(ticks)).max()))
    assert transport.certificate(ticks, off, near, part) is None


@pytest.mark.parametrize("spoil", [lambda flows: np.roll(flows, 1), np.zeros_like])
def test_a_solver_that_errs_is_found_out(few_arcs, monkeypatch, spoil):
    right = transport.cheapest

    def wrong(tails, heads, room, costs, supplies):
        return right(tails, heads, room, costs.max() - costs, supplies) if spoil is not np.zeros_like else None

    monkeypatch.setattr(transport, "cheapest", wrong)
    with pytest.raises(ArithmeticError, match=r"a flow (over all arcs must exist|must be cheapest over its arcs)"):
        transport.transport(separate(90, 4, 0), np.ones(90, dtype=np.int64))


def dual(ticks, lam):
    """The cost that prices prove, in rationals: sum_i min_k (c_ik + lam_k) less the most that the shares can pay."""
    n, k = ticks.shape
    lam = [Fraction(float(one)) for one in lam]
    rows = sum(min(int(c) + one for c, one in zip(row, lam, strict=True)) for row in ticks)
    share, extra = divmod(n, k)
    return rows - share * sum(lam) - sum(sorted(lam)[k - extra :])


@pytest.mark.parametrize(("n", "k"), [(400, 5), (403, 5), (301, 16)])
def test_the_prices_prove_the_optimum(n, k):
    """Linear duality: no prices prove more than the cost, and the returned ones prove it but for their rounding."""
    ticks = separate(n, k, seed=n)
    labels, lam = assignment.assign(ticks, None)
    cost = int(cost_of(ticks.astype(np.int64), labels))
    rounding = Fraction(2 * n * float(np.abs(lam).max()) * gamma("float64", k + 2))
    assert 0 <= cost - dual(ticks, lam) <= rounding < 1
    assert cost - dual(ticks, lam + 2.0**28 * np.cos(np.arange(k))) > rounding  # the control: other prices prove less


@given(integer_costs(low_k=2), st.data())
@SETTINGS
def test_nearly_balanced_prices_bound_the_balanced_cost_from_below(costs, data):
    n, _ = costs.shape
    weights = np.array(data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)))
    ticks = assignment.to_ticks(costs)
    for mass in (np.ones(n, dtype=np.int64), weights):
        _, lam, bound = assignment.nearly(ticks, mass)
        flow = transport.transport(ticks, mass)
        cost = (flow.amounts * ticks[flow.rows, flow.clusters].astype(np.int64)).sum()
        size = mass.sum() * (abs(ticks).max() + 2 * abs(lam).max())
        assert bound * mass.sum() <= cost + gamma("float64", n + 4) * size


@given(integer_costs(most_rows=10, most_clusters=4, low_k=2))
@SETTINGS
def test_the_cost_is_the_linear_programs(costs):
    n, k = costs.shape
    share, extra = divmod(n, k)
    rows, columns = np.kron(np.eye(n), np.ones(k)), np.kron(np.ones(n), np.eye(k))
    solved = linprog(
        costs.ravel(), A_eq=rows, b_eq=np.ones(n), bounds=(0, 1),
        A_ub=np.concatenate([columns, -columns]), b_ub=np.r_[[share + (extra > 0)] * k, [-share] * k],
    )  # fmt: skip
    assert cost_of(costs, balanced_assignment(costs)) == round(solved.fun)


def test_many_copies_are_shared_out():
    """Half of the rows are one and the same: all ask for one cluster, whatever the prices."""
    costs = np.concatenate([np.full((600, 6), 0.5), gaussian(620, 6, seed=11)])
    labels = balanced_assignment(costs)
    assert sorted(np.bincount(labels)) == [203, 203, 203, 203, 204, 204]
    assert is_optimal_assignment(costs, labels)


BAD = {
    "one axis": (np.zeros(3), None, "costs"),
    "no columns": (np.zeros((3, 0)), None, "costs"),
    "more clusters than rows": (np.zeros((2, 3)), None, "costs"),
    "not a number": (np.array([[0.0, np.nan], [1, 1]]), None, r"costs .* nan at \(0, 1\)"),
    "strings": (np.array([["a"]]), None, "costs"),
    "short weights": (np.zeros((3, 2)), np.ones(2, dtype=int), "weights"),
    "zero weight": (np.zeros((3, 2)), np.array([1, 0, 1]), "weights .* 0 at 1"),
    "float weights": (np.zeros((3, 2)), np.ones(3), "weights"),
    "huge weights": (np.zeros((3, 2)), np.full(3, 1 << 60), "weights"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_arguments_are_refused(name):
    costs, weights, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        balanced_assignment(costs, weights)


def test_labels_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"labels .* 2 at 1"):
        is_optimal_assignment(np.zeros((2, 2)), np.array([0, 2]))


def test_wide_costs_do_not_overflow():
    costs = np.array([[1e308, -1e308], [-1e308, 1e308], [0, 0]])
    assert balanced_assignment(costs)[:2].tolist() == [1, 0]


@pytest.mark.parametrize("k", [2, 5, 8])
def test_no_dearer_than_k_means_constrained_at_its_own_centroids(k):
    """Its costs are distances, not their squares, in thousandths; so its labels may be dearer, never cheaper."""
    peer = pytest.importorskip("k_means_constrained", reason="k-means-constrained, a comparator, is not installed")
    x = np.random.default_rng(0).normal(size=(203, 6))
    found = peer.KMeansConstrained(k, size_min=203 // k, size_max=-(-203 // k), random_state=0, n_init=2).fit(x)
    costs = np.linalg.norm(x[:, None] - found.cluster_centers_, axis=-1)
    ours, theirs = (costs[np.arange(203), labels].sum() for labels in (balanced_assignment(costs), found.labels_))
    assert ours <= theirs + 203 * np.ptp(costs) / 2**30  # half a tick a row, twice
    assert theirs <= ours + 203 / 1000  # half a thousandth a row, twice: they solve the same problem
