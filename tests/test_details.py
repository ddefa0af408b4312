"""Details that laws over families do not reach: each test here was written for an edit of a formula that survived."""

import flint
import numpy as np
import pytest
import sympy as sp
import torch

from ddfm_theory.arrays import asarray, gamma, log
from ddfm_theory.autoregression import next_token_law_at
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization, mix, router_posterior, top_k_mask
from ddfm_theory.objectives import (
    cross_entropy,
    decomposition,
    denoiser,
    entropy,
    generalized_kl,
    negative_elbo,
    next_token_loss,
    reveal_entropy,
)
from ddfm_theory.sampling import (
    path_law,
    sample_categorical,
)
from ddfm_theory.sampling.laws import slack
from ddfm_theory.schedulers import (
    Given,
    Linear,
    Polynomial,
)
from ddfm_theory.sharpening import geometric_mixture, greedy, nucleus, temperature
from ddfm_theory.stability import kl_divergence, mixture_tv_bound, total_variation

HALF, THIRD = flint.fmpq(1, 2), flint.fmpq(1, 3)


def test_the_geometric_mixture_weighs_exponents_and_keeps_tiny_laws():
    laws = asarray([[flint.fmpq(1, 9), flint.fmpq(8, 9)], [HALF, HALF]], "laws")
    assert list(geometric_mixture(asarray([THIRD, 1 - THIRD], "r"), laws)) == [THIRD, 1 - THIRD]
    three = asarray([[flint.fmpq(k, 14) for k in row] for row in ([1, 4, 9], [9, 4, 1])], "laws")
    assert list(geometric_mixture(asarray([HALF, HALF], "r"), three)) == [
        flint.fmpq(3, 10), flint.fmpq(4, 10), flint.fmpq(3, 10),
    ]  # fmt: skip
    tiny = np.array([[1e-300, 1.0], [1e-300, 1.0]])
    assert np.abs(geometric_mixture(np.array([0.5, 0.5]), tiny) / [1e-300, 1] - 1).max() <= gamma("float64", 4000)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_and_uniforms_have_the_precision_that_was_asked_for(dtype):
    """Over a million tokens float32's sums stray by many; equal streams then give the definition's very draws."""
    laws = np.random.default_rng(0).dirichlet(np.ones(1_000_000), size=4)
    drawn = sample_categorical(laws, np.random.default_rng(1), dtype)
    cumulated = np.cumsum(laws, axis=-1, dtype=dtype)
    uniform = np.random.default_rng(1).random(4, dtype=dtype) * cumulated[:, -1]
    assert drawn.tolist() == [
        int(np.searchsorted(row, u, side="right")) for row, u in zip(cumulated, uniform, strict=True)
    ]


def test_top_k_keeps_the_lowest_of_equals_and_tells_close_rationals_apart():
    assert top_k_mask(np.tile([1, 2], 32) / 96, 5).nonzero()[0].tolist() == [1, 3, 5, 7, 9]  # an unstable sort strays
    least = flint.fmpq(1, 10**30)
    close = asarray([HALF - least, HALF + least], "router")  # one float
    assert [bool(kept) for kept in top_k_mask(close, 1)] == [False, True]
    with pytest.raises(ValueError, match=r"router of decentralization\.top_k_gate must have order"):
        top_k_mask(asarray(list(sp.symbols("a b")), "router"), 1)


def test_sharpening_row_by_row_and_its_limits():
    rows = temperature(np.array([[1e-200, 3e-200], [0.25, 0.75]]), 2)
    assert np.abs(rows - [0.1, 0.9]).max() <= gamma("float64", 8)
    with pytest.raises(ValueError, match="inverse must be positive"):
        temperature(np.array([0.5, 0.5]), 0)
    for mass in (2, 1.5):
        with pytest.raises(ValueError, match="mass must be in"):
            nucleus(np.array([0.5, 0.5]), mass)
    tiny = np.full((3, 3), 1e-300) + np.eye(3)  # each token almost excluded by two experts of three
    assert np.abs(geometric_mixture(np.full(3, 1 / 3), tiny) * 3 - 1).max() <= gamma("float64", 4000)


def test_the_largest_tokens_are_found_among_many_equal_and_among_close_rationals():
    assert nucleus(np.tile([1, 2], 32) / 96, 9 / 96).nonzero()[0].tolist() == [1, 3, 5, 7, 9]  # of 32 equal
    assert list(greedy(np.array([0.2, 0.7, 0.1]))) == [0, 1, 0]
    least = flint.fmpq(1, 10**30)
    close = asarray([HALF - least, HALF + least], "law")  # one float
    assert list(greedy(close)) == list(nucleus(close, HALF)) == [0, 1]
    for sharpen, name in ((greedy, "greedy"), (lambda law: nucleus(law, 1), "nucleus")):
        with pytest.raises(ValueError, match=f"law of sharpening.{name} must have order"):
            sharpen(asarray(list(sp.symbols("a b")), "law"))


def test_a_law_that_is_none_is_told_from_rounding_and_found():
    limit = float(slack(np.array([0.0, 1.0])))
    rng = np.random.default_rng(0)
    assert sample_categorical(np.array([-limit, 1 + limit]), rng, "float64") == 1
    for row, shown in (([0.9, 0.2], r"\[0.9 0.2\]"), ([-0.2, 1.2], r"\[-0.2  1.2\]")):
        with pytest.raises(ValueError, match=rf"laws must be pmfs, was {shown} at \(1,\)"):
            sample_categorical(np.array([[0.5, 0.5], row]), rng)
    with pytest.raises(ValueError, match=r"dtype must be float64 or float32"):
        sample_categorical(np.array([0.5, 0.5]), rng, np.float16)


def test_a_bound_names_what_does_not_fit():
    r, laws = np.array([0.5, 0.5]), np.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match="laws_hat must"):
        mixture_tv_bound(r, r, laws, laws[:, :2])
    with pytest.raises(ValueError, match=r"laws must have shape \(K, d\)"):
        mixture_tv_bound(r, r, laws[0], laws)


def test_the_geometric_mixture_of_three_and_of_one_token():
    law = asarray([flint.fmpq(64, 65), flint.fmpq(1, 65)], "law")
    thirds = asarray([HALF, THIRD, flint.fmpq(1, 6)], "router")
    assert list(geometric_mixture(thirds, np.stack([law] * 3))) == list(law)
    assert list(geometric_mixture(asarray([HALF, HALF], "router"), asarray([[1], [1]], "laws"))) == [1]


def test_rates_that_grow_are_paid_for():
    """u leaves at rates 1 and 2, v at twice these: sum_z p (u log(u/v) - u + v) = 3/2 (1 - log 2)."""
    u = np.array([[[-1.0, 1.0]], [[2.0, -2.0]]])
    found = generalized_kl(np.array([0.5, 0.5]), u, 2 * u)
    assert abs(float(found) - 1.5 * (1 - np.log(2))) <= gamma("float64", 16)
    with pytest.raises(ValueError, match=r"p of objectives\.generalized_kl must have"):
        generalized_kl(log(asarray([2, 3], "p")), u, u)


def test_the_entropy_of_some_positions():
    q = np.random.default_rng(0).dirichlet(np.ones(8)).reshape(2, 2, 2)
    for kept, others in (([0], (1, 2)), ([2], (0, 1)), ([0, 2], (1,))):
        assert abs(float(reveal_entropy(q, kept) - entropy(q.sum(others)))) <= gamma("float64", 32)
    for wrong in ([3], [-1]):
        with pytest.raises(ValueError, match="revealed must be an integer"):
            reveal_entropy(q, wrong)


def test_the_objective_has_one_term_a_token():
    q = np.random.default_rng(0).dirichlet(np.ones(8), size=2).reshape(2, 2, 2, 2)
    terms = decomposition(Decentralization(np.array([0.4, 0.6]), [MaskedCoupling(law) for law in q]))
    assert terms.total.shape == terms.experts.shape == terms.router.shape == (3,)


def test_a_divergence_names_what_it_cannot_take():
    logs, even = log(asarray([2, 3], "p")), np.array([0.5, 0.5])
    calls = {
        r"^p of stability\.kl_divergence": (logs, even),
        r"^q of stability\.kl_divergence": (even, logs),
        "^p must be nonnegative": ([-1.0, 2.0], even),
        "^p must have": (0.5, even),
    }
    for words, given in calls.items():
        with pytest.raises(ValueError, match=words):
            kl_divergence(*given)


def test_no_step_is_a_path_and_too_many_are_refused():
    p = np.full(2048, 1 / 2048)
    assert path_law(p, []).tolist() == p.tolist()
    with pytest.raises(ValueError, match="velocities must"):
        path_law(p, [np.zeros((2048, 1, 2048))] * 2)


def test_the_elbo_with_few_nodes_with_many_and_from_another_start():
    coupling = MaskedCoupling(np.random.default_rng(0).dirichlet(np.ones(4)).reshape(2, 2))
    law = np.full((3, 3, 2, 2), 0.5)
    assert abs(float(negative_elbo(coupling, Linear(), law)) - 2 * np.log(2)) <= gamma("float64", 64)
    skewed = np.where(np.arange(2) == 0, 0.25, 0.75) * np.ones((3, 3, 2, 1))
    skewed[2, 2] = 0.5  # a loss that differs from state to state is no constant in t
    coarse, whole = (float(negative_elbo(coupling, Polynomial(2), skewed, nodes=n)) for n in (1, None))
    assert abs(coarse - whole) > 1e-3
    with pytest.raises(ValueError, match="does not at t = 0"):
        negative_elbo(coupling, Given(1.0, 0.0), law)
    counts = np.arange(1, 9).reshape(2, 2, 2).tolist()
    exact = MaskedCoupling(asarray(counts, "q") / 36)
    assert negative_elbo(exact, Polynomial(3), denoiser(exact)) == entropy(exact.target)


def test_the_next_token_loss_of_three_positions():
    q = np.random.default_rng(0).dirichlet(np.ones(8)).reshape(2, 2, 2)
    laws = [q.sum((1, 2)), q.sum(2) / q.sum((1, 2))[:, None], q / q.sum(2)[..., None]]
    assert abs(float(next_token_loss(q, laws).sum() - entropy(q))) <= gamma("float64", 64)


def test_posteriors_and_mixtures_across_systems():
    found = router_posterior(np.array([0.25, 0.75]), torch.tensor([0.5, 0.5], dtype=torch.float64))
    assert isinstance(found, torch.Tensor)
    assert found.tolist() == [0.25, 0.75]
    assert list(mix(asarray([HALF, HALF], "r"), log(asarray([[2], [8]], "p")))) == list(log(asarray([4], "p")))


def test_losses_and_distances_name_what_they_cannot_take():
    logs, even = log(asarray([2, 3], "p")), np.array([0.5, 0.5])
    symbols = asarray(list(sp.symbols("a b")), "p")
    for function, given, words in (
        (cross_entropy, (logs, even), r"^p of objectives\.cross_entropy"),
        (cross_entropy, (even, logs), r"^q of objectives\.cross_entropy"),
        (total_variation, (symbols, even), r"^p of stability\.total_variation"),
        (total_variation, (even, symbols), r"^q of stability\.total_variation"),
        (total_variation, (0.5, even), "^p must have"),
    ):
        with pytest.raises(ValueError, match=words):
            function(*given)


def test_nothing_is_denoised_where_nothing_is_hidden():
    coupling = MaskedCoupling(np.full((2, 2), 0.25))
    assert denoiser(coupling)[0, 2].tolist() == [[0, 0], [0.5, 0.5]]
    with pytest.raises(ValueError, match=r"position must be an integer in 0\.\.1"):
        next_token_law_at(coupling, [[2, 2]], 2)
