"""Extremes: probabilities down to 1e-300, vocabularies of 152,000, bfloat16, thousands of steps, within derived bounds.

Each float result is compared with the rational one of the same function, or with the definition, and the difference
held against ``gamma_n`` for the stated number n of roundings; entries are nonnegative sums, so bounds are relative.
"""

import math

import flint
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddfm_theory.arrays import gamma, pmf, stack, to_float, total, unit_roundoff
from ddfm_theory.bridge.logdomain import log_posterior
from ddfm_theory.couplings import Coupling, EmpiricalCoupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization, bayes_filter, mix, router_posterior, top_k_gate
from ddfm_theory.objectives import entropy
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import sample_categorical, sampler_law
from ddfm_theory.schedulers import Given, Linear
from ddfm_theory.sharpening import geometric_mixture, nucleus, temperature
from ddfm_theory.stability import total_variation
from ddfm_theory.velocities import marginal_velocity, velocity_at

HUGE = 152_000
exponents = st.integers(0, 300)


def powers(exponents):
    """Rationals 10^-e."""
    return rationals([flint.fmpq(1, 10**e) for e in exponents])


def rationals(entries):
    out = np.empty(len(entries), dtype=object)
    out[:] = entries
    return out


def near(floats, exact, roundings):
    """Relative error of at most gamma_n, entry by entry, by rationals; zero where the exact entry is."""
    limit = flint.fmpq(*gamma("float64", roundings).as_integer_ratio())
    pairs = zip(np.asarray(floats).ravel(), exact.ravel(), strict=True)
    return all(abs(flint.fmpq(*float(f).as_integer_ratio()) - e) <= limit * abs(e) for f, e in pairs)


@given(st.lists(st.tuples(exponents, exponents), min_size=2, max_size=4))
def test_a_posterior_of_tiny_likelihoods_is_right(pairs):
    """Products down to 1e-600 underflow; the posterior does not, as far as it can be written down itself."""
    weights, likelihoods = (powers(column) for column in zip(*pairs, strict=True))
    exact = router_posterior(weights, likelihoods)
    found = router_posterior(to_float(weights), to_float(likelihoods))
    seen = to_float(exact) > 1e-300
    assert near(found[seen], exact[seen], 2 * (len(pairs) + 3) + 3)  # two inputs, a product, a sum; then a quotient
    assert (found[~seen] <= 1.1e-300).all()


@pytest.mark.parametrize("like", [np.zeros(1), torch.zeros(1), torch.zeros(1, dtype=torch.bfloat16)], ids=str)
def test_a_product_that_underflows_keeps_its_support(like):
    tiny = 1e-200 if isinstance(like, np.ndarray) else 1e-30
    make = np.array if isinstance(like, np.ndarray) else lambda x: torch.tensor(x, dtype=like.dtype)
    assert router_posterior(make([tiny, 1.0]), make([tiny, 0.0])).tolist() == [1.0, 0.0]
    assert router_posterior(make([0.5, 0.5]), make([0.0, 0.0])).tolist() == [0.0, 0.0]


@given(st.lists(exponents, min_size=8, max_size=8))
def test_masked_velocities_and_routers_of_tiny_targets_are_right(cells):
    laws = [powers(cells[4 * k : 4 * k + 4]).reshape(2, 2) for k in range(2)]
    laws = [law / law.sum() for law in laws]
    weights, t = rationals([flint.fmpq(1, 3), flint.fmpq(2, 3)]), flint.fmpq(1, 4)
    exact = Decentralization(weights, [MaskedCoupling(law) for law in laws])
    found = Decentralization(to_float(weights), [MaskedCoupling(to_float(law)) for law in laws])
    for of, n in ((lambda e, t: marginal_velocity(e.couplings[0], Linear(), t), 24),
                  (lambda e, t: e.router(Linear(), t), 32)):  # fmt: skip
        a, b = of(found, 0.25), of(exact, t)
        normal = (np.abs(to_float(b)) > 1e-300) | (b == 0)
        assert near(a[normal], b[normal], n)


def test_support_does_not_hang_on_kappa():
    tiny = Given(np.array([1e-170, 1e-170]), np.array([1.0, 1.0]))
    masked = [MaskedCoupling(np.full((2, 2), 0.25)), MaskedCoupling(np.array([[0.5, 0.0], [0.0, 0.5]]))]
    experts = Decentralization(np.array([0.5, 0.5]), masked)
    assert experts.router(tiny, 0)[:, 0, 0].tolist() == [1 / 3, 2 / 3]
    assert marginal_velocity(masked[0], tiny, 0)[0, 2, 1].tolist() == [0.5, 0.5, -1.0]


def test_an_evidence_that_underflows_is_refused():
    """Off the masked source p_t(z) is the evidence itself: a ratio of what underflow leaves would be silently wrong."""
    start, spread = np.array([[1.0, 0.0], [0.0, 0.0]]), np.full((2, 2), 0.25)
    joint = Coupling.independent(start, spread)
    experts = Decentralization(np.array([0.5, 0.5]), [joint, joint])
    for kappa in (1e-170, 1e-155):  # lost altogether, and lost in its digits
        tiny = Given(np.array([kappa, kappa]), np.array([1.0, 1.0]))
        for ask in (lambda s: marginal_velocity(joint, s, 0), lambda s: experts.router(s, 0),
                    lambda s: experts.router_at(s, 0, [[1, 1]])):  # fmt: skip
            with pytest.raises(ValueError, match=r"t must keep p_t\(z\) from underflow, lost at z = \(1, 1\)"):
                ask(tiny)
    tiny = Given(np.array([1e-140, 1e-140]), np.array([1.0, 1.0]))
    assert abs(marginal_velocity(joint, tiny, 0)[0, 0, 0, 1] - 0.5) <= gamma("float64", 16)
    point = Coupling.independent(start, start)  # states that nothing reaches are zeros, not lost
    assert (marginal_velocity(point, Given(np.full(2, 1e-170), np.ones(2)), 0) == 0).all()


def test_a_vocabulary_of_152000():
    counts = np.random.default_rng(0).integers(1, 1000, (2, HUGE))
    laws, sums = counts / counts.sum(axis=1, keepdims=True), [int(n) for n in counts.sum(axis=1)]
    weights, seen = rationals([flint.fmpq(1, 3), flint.fmpq(2, 3)]), np.arange(0, HUGE, 997)
    exact = np.stack([rationals([flint.fmpq(int(c), sums[k]) for c in counts[k, seen]]) for k in range(2)])
    blend = mix(to_float(weights), laws)
    assert near(blend[seen], mix(weights, exact), 8)
    assert near(router_posterior(to_float(weights), laws)[:, seen], router_posterior(weights, exact), 16)
    distance = flint.fmpq(int(np.abs(counts[0] * sums[1] - counts[1] * sums[0]).sum()), 2 * sums[0] * sums[1])
    assert abs(float(total_variation(*laws)) - float(distance)) <= gamma("float64", HUGE + 8)  # of a mass of at most 1
    logs = math.fsum(-p * math.log(p) for p in blend)
    assert abs(float(entropy(blend)) - logs) <= gamma("float64", HUGE + 8) * logs
    experts = Decentralization(to_float(weights), [MaskedCoupling(law) for law in laws])
    u = experts.velocity_at(Linear(), 0.5, [[HUGE], [HUGE - 1]])
    assert u.shape == (2, 1, HUGE + 1)
    assert (np.abs(u[0, 0, :HUGE] - 2 * blend) <= 2 * blend * gamma("float64", HUGE + 16)).all()
    assert (u[1] == 0).all()
    with pytest.raises(ValueError, match=r"coupling must leave the result below 2.31 entries.*use velocity_at"):
        marginal_velocity(experts.central, Linear(), 0.5)


def test_samples_of_152000_tokens():
    coupling = EmpiricalCoupling([[151_999, 3], [7, 3]], vocabulary=HUGE)
    u = velocity_at(coupling, Linear(), 0.5, [[HUGE, 3]])
    assert u[0, 0, [7, 151_999, HUGE]].tolist() == [1.0, 1.0, -2.0]
    law = np.full(HUGE, 1 / HUGE)
    drawn = sample_categorical(np.tile(law, (50, 1)), np.random.default_rng(0))
    assert drawn.max() > HUGE // 2
    assert np.count_nonzero(nucleus(law, 0.25)) in range(HUGE // 4 - 1, HUGE // 4 + 2)
    assert np.count_nonzero(top_k_gate(law, 5)) == 5


def test_bfloat16_laws_of_152000_tokens_are_told_from_what_is_no_law():
    """gamma_n is infinite at n = 256 in bfloat16; entries rounded once, and added in float32, leave a bound."""
    law = torch.softmax(torch.randn(HUGE, generator=torch.Generator().manual_seed(0)), 0).bfloat16()
    assert pmf(law, "law") is law
    assert sample_categorical(law[None], np.random.default_rng(0)).shape == (1,)
    for wrong in (law / 2, law * 2):
        with pytest.raises(ValueError, match="law must sum to one"):
            pmf(wrong, "law")
        with pytest.raises(ValueError, match="laws must be pmfs"):
            sample_categorical(wrong[None], np.random.default_rng(0))


def test_bfloat16_mixtures_and_routers_stay_within_their_bounds():
    generator = torch.Generator().manual_seed(1)
    wide = torch.softmax(4 * torch.randn(2, HUGE, generator=generator, dtype=torch.float64), 1)
    laws, weights = wide.bfloat16(), torch.tensor([0.25, 0.75], dtype=torch.bfloat16)
    u = unit_roundoff("bfloat16")
    truth = mix(weights.double(), laws.double())
    assert bool((abs(mix(weights, laws).double() - truth) <= gamma("bfloat16", 2) * truth + u * 1e-38).all())
    truth = router_posterior(weights.double(), laws.double())
    found = router_posterior(weights, laws)
    assert bool(torch.isfinite(found).all())
    assert bool((abs(found.double() - truth) <= gamma("bfloat16", 5) * truth + u * 1e-38).all())


def test_a_filter_of_thousands_of_tokens():
    """The odds after n tokens are a product of n ratios: each step multiplies in one, at the cost of 8 roundings."""
    steps = 4000
    tokens = np.random.default_rng(0).random(steps) < 0.5
    likelihoods = np.where(tokens, [[0.5], [0.501]], [[0.5], [0.499]])
    found = bayes_filter(np.array([0.5, 0.5]), likelihoods)[:, -1]
    odds = math.prod(flint.fmpq(*float(b).as_integer_ratio()) / flint.fmpq(1, 2) for b in likelihoods[1])
    assert near(found, rationals([1 / (1 + odds), odds / (1 + odds)]), 8 * steps)


def test_a_filter_in_log_space_outlives_every_probability():
    steps = 3000
    likelihoods = torch.full((2, steps), 1e-300, dtype=torch.float64)
    likelihoods[1, 0] = 3e-300
    r = torch.log(torch.tensor([0.5, 0.5], dtype=torch.float64))
    linear = r.exp().numpy()
    for t in range(steps):
        r = log_posterior(r, likelihoods[:, t].log())
        linear = router_posterior(linear, likelihoods[:, t].numpy())
    slack = gamma("float64", 16 * 700 * steps)  # logarithms up to 700 in size, 16 roundings a step
    assert (np.abs(r.exp().numpy() - [0.25, 0.75]) <= slack).all()
    assert (np.abs(linear - [0.25, 0.75]) <= gamma("float64", 8 * steps)).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_thousands_of_steps_lose_no_more_than_rounding(dtype):
    """At one position the sampler is exact for any number of steps T, so what is off is rounding.

    A step's kernel is off by at most 24 roundings of the mass that it moves or keeps: the increment of two times, its
    rate, a product and a sum of d + 1 terms; in narrower floats the increment is formed before it is rounded.
    """
    steps, q = 1000, torch.tensor([0.2, 0.3, 0.5], dtype=getattr(torch, dtype))
    found = sampler_law(MaskedCoupling(q), Linear(), [t / steps for t in range(steps)] + [1.0])
    slack = gamma(dtype, 24 * steps)
    assert slack < 0.01
    assert (np.abs(to_float(found) - [0.2, 0.3, 0.5, 0.0]) <= slack).all()


def test_thousands_of_steps_in_parallel_come_as_close_as_the_rate_says():
    """TV <= sum over steps of Dk^1 Dk^2 = 1 / T (C20), and the mass stays one within its roundings."""
    q, steps = np.array([[0.5, 0.0], [0.1, 0.4]]), 2000
    law = sampler_law(MaskedCoupling(q), Linear(), [t / steps for t in range(steps)] + [1.0])
    target = marginal_path(MaskedCoupling(q), Linear(), 1.0)
    assert float(total_variation(law.reshape(-1), target.reshape(-1))) <= 1 / steps
    assert abs(law.sum() - 1) <= gamma("float64", 32 * steps)


@given(exponents, exponents)
def test_sharpening_of_tiny_laws(a, b):
    law = powers([a, b])
    exact = temperature(law, 3)
    seen = to_float(exact) > 1e-300
    assert near(temperature(to_float(law), 3)[seen], exact[seen], 32)
    peaked = temperature(np.array([0.9, 0.1]), 1e6)
    assert peaked.tolist() == [1.0, 0.0]
    half = stack([to_float(law), to_float(law)])
    assert (np.abs(geometric_mixture(np.array([0.5, 0.5]), half) - to_float(law) / total(to_float(law)))
            <= gamma("float64", 16 * 700)).all()  # fmt: skip
