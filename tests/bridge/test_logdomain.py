import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddfm_theory.arrays import gamma
from ddfm_theory.bridge.logdomain import (
    log_gate,
    log_law,
    log_likelihoods,
    log_mix,
    log_nucleus,
    log_posterior,
    log_sharpen,
    log_sum,
    most_likely,
)
from ddfm_theory.decentralization import mix, router_posterior, top_k_gate
from ddfm_theory.sharpening import greedy, nucleus, temperature

K, B, V = 3, 4, 11
# a logarithm, a sum of K or V terms, an exponential (arguments up to 10 in size magnify roundings tenfold), a quotient
BOUND = gamma(torch.float64, 20 * (V + K + 8))


@pytest.fixture
def laws():
    generator = torch.Generator().manual_seed(3)
    return torch.log_softmax(2 * torch.randn(K, B, V, generator=generator, dtype=torch.float64), dim=-1)


@pytest.fixture
def router():
    return torch.log_softmax(torch.randn(K, B, generator=torch.Generator().manual_seed(4), dtype=torch.float64), dim=0)


def close(a, b):
    assert float((a - b).abs().max()) <= BOUND


def test_posterior_is_the_logarithm_of_the_linear_one(laws, router):
    close(log_posterior(router, laws[..., 0]).exp(), router_posterior(router.exp(), laws[..., 0].exp()))
    close(log_posterior(router[:, 0], laws[..., 0]).exp(), router_posterior(router[:, 0].exp(), laws[..., 0].exp()))


def test_posterior_of_nothing_is_zero_and_not_nan(router):
    dead = torch.full((K, B), -torch.inf, dtype=torch.float64)
    assert torch.equal(log_posterior(router, dead).exp(), router_posterior(router.exp(), dead.exp()))


def test_posterior_survives_where_the_linear_one_underflows():
    tiny = torch.tensor([[-2000.0], [-2001.0]], dtype=torch.float64)
    half = torch.log(torch.tensor([0.5, 0.5], dtype=torch.float64))
    close(log_posterior(half, tiny).exp()[0, 0], torch.sigmoid(torch.tensor(1.0, dtype=torch.float64)))
    assert torch.equal(router_posterior(half.exp(), tiny.exp()), torch.zeros(2, 1, dtype=torch.float64))


def test_mixture_is_the_logarithm_of_the_linear_one(laws, router):
    close(log_mix(router, list(laws)).exp(), mix(router.exp(), laws.exp()))


def test_mixture_of_experts_that_serve_some_rows(laws, router):
    rows = [torch.arange(B), torch.tensor([1, 3]), torch.tensor([0])]
    held = torch.full((K, B), -torch.inf, dtype=torch.float64)
    for k in range(K):
        held[k, rows[k]] = router[k, rows[k]]
    part = [laws[k, rows[k]] for k in range(K)]
    close(log_mix(held, part, rows).exp(), mix(held.exp(), laws.exp()))


def test_sharpening_nucleus_gate_and_greedy_are_those_of_the_linear_domain(laws, router):
    for k in range(K):
        close(log_sharpen(laws[k], 0.5).exp(), temperature(laws[k].exp(), 2))
        for mass in (0.3, 0.9, 1.0):
            linear = torch.stack([nucleus(law, mass) for law in laws[k].exp()])
            close(log_nucleus(laws[k], mass).exp(), linear)
        assert most_likely(laws[k]).tolist() == [int(greedy(law).argmax()) for law in laws[k].exp()]
    for k in (1, 2, 3):
        close(log_gate(router, k).exp(), top_k_gate(router.exp(), k))
    assert log_gate(router, None) is router


def test_ties_go_to_the_lowest_index():
    law = torch.log(torch.tensor([[0.3, 0.2, 0.3, 0.2]], dtype=torch.float64))
    assert most_likely(law).tolist() == [0]
    assert np.flatnonzero(torch.isfinite(log_nucleus(law, 0.2)[0]).numpy()).tolist() == [0]
    assert np.flatnonzero(torch.isfinite(log_nucleus(law, 0.7)[0]).numpy()).tolist() == [0, 1, 2]


def test_a_nucleus_stops_where_its_mass_is_reached():
    law = torch.log(torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64))
    assert log_nucleus(law, 0.5).exp().tolist() == [[1, 0, 0]]
    assert torch.isfinite(log_nucleus(law, 0.75)[0]).tolist() == [True, True, False]


def test_half_precision_logits_are_widened():
    logits = torch.randn(2, 9, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    assert log_law(logits).dtype == torch.float32
    assert abs(float(log_law(logits).exp().sum()) - 2) <= 2 * gamma(torch.float32, 9 + 8)


@pytest.mark.parametrize("call", [
    lambda r, p: log_mix(r, [p[0]]),
    lambda r, p: log_posterior(r, p[:2, :, 0]),
    lambda r, p: log_sharpen(p[0], 0),
    lambda r, p: log_nucleus(p[0], 0),
    lambda r, p: log_nucleus(p[0], 1.5),
])  # fmt: skip
def test_bad_arguments_are_named(call, laws, router):
    with pytest.raises(ValueError, match=r"log_laws|log_weights|temperature|mass"):
        call(router, laws)


@given(seed=st.integers(0, 10**6), shifts=st.tuples(*[st.sampled_from([0.0, -44.0, 45.0, 300.0, -400.0])] * 3))
def test_a_sum_of_exponentials_with_or_without_the_shift(seed, shifts):
    """V exponentials and additions; each exponent is off by its own rounding, at most its size."""
    noise = 3 * torch.randn((3, 50), generator=torch.Generator().manual_seed(seed))
    values = torch.tensor(shifts)[:, None] + noise
    values[0, :49] = -torch.inf
    exact = torch.logsumexp(values.double(), -1)
    size = 1 + exact.abs() + 30
    assert bool(((log_sum(values) - exact).abs() <= gamma(torch.float32, 50 + 8) * size).all())
    tokens = torch.full((1, 3), 49)
    found = log_likelihoods(values[None], tokens)
    due = torch.log_softmax(values.double(), -1)[:, 49]
    assert bool(((found[0] - due).abs() <= gamma(torch.float32, 50 + 16) * size).all())


def test_a_sum_of_exponentials_does_not_hide_what_is_not_finite():
    for bad in (torch.inf, torch.nan):
        values = torch.tensor([[0.0, 1.0], [bad, 0.0]])
        assert log_sum(values)[1].isfinite().tolist() is False
        assert log_sum(values)[0].isfinite().tolist() is True
    assert log_sum(torch.full((1, 3), -torch.inf)).tolist() == [-torch.inf]


def test_rows_of_an_expert_may_come_in_any_order():
    laws = torch.log_softmax(torch.randn((3, 7), generator=torch.Generator().manual_seed(0)), -1)
    weights = torch.log_softmax(torch.randn((2, 3), generator=torch.Generator().manual_seed(1)), 0)
    order = torch.tensor([2, 0, 1])
    sorted_rows = log_mix(weights, [laws, laws.flip(0)])
    assert torch.equal(log_mix(weights, [laws[order], laws.flip(0)], [order, torch.arange(3)]), sorted_rows)
