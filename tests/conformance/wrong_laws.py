"""Wrong scores, sharpenings, gates, batches and samplers."""

from dataclasses import replace

import flint
import numpy as np
from catalogue import constant, wrong
from right import PRIOR, TWO_WAYS, floats

from ddfm_theory.arrays import total
from ddfm_theory.decentralization import Decentralization, mix, top_k_gate
from ddfm_theory.ledger.families import two_coins
from ddfm_theory.schedulers import Autoregressive, Steps
from ddfm_theory.sharpening import temperature
from ddfm_theory.testing.adapters import along, draw, from_decentralization

# Scores ---------------------------------------------------------------------------------------------------------------


@wrong("a score that leaves out the last token", "prefix", "check_factorization", "the score of a prefix factorizes")
def _(s):
    return replace(s, score=lambda rows: s.score(rows[:, :-1]))


@wrong("a score by the static mixture's chain", "prefix", "check_factorization", "the score of a prefix factorizes")
def _(s):
    static = replace(s, mixture=lambda t, rows: mix(constant(PRIOR, rows), s.experts(t, rows)))
    return replace(s, score=lambda rows: along(static.mixture, rows, PRIOR))


@wrong("a log score divided by the length", "prefix_float", "check_factorization", "the log score of a prefix adds up")
def _(s):
    return replace(s, log_score=lambda rows: np.log(s.score(rows)) / max(1, rows.shape[1]))


@wrong("a score that charges the empty prefix", "prefix", "check_factorization", "the score of the empty prefix is 1")
def _(s):
    return replace(s, score=lambda rows: s.score(rows) * flint.fmpq(1, 2))


@wrong("a log score that charges the empty prefix", "prefix_float", "check_factorization",
       "the log_score of the empty prefix is 0")  # fmt: skip
def _(s):
    return replace(s, log_score=lambda rows: np.log(s.score(rows)) - 1)


# Sharpening and gates -------------------------------------------------------------------------------------------------


@wrong("temperature before mixing", "prefix", "check_sharpening", "1/T = 2: mix, then sharpen")
def _(s):
    return replace(
        s, tempered=lambda t, rows, inverse: mix(s.router(t, rows), temperature(s.experts(t, rows), inverse))
    )


@wrong("temperature forgotten", "prefix", "check_sharpening", "1/T = 2: mix, then sharpen")
def _(s):
    return replace(s, tempered=lambda t, rows, inverse: s.mixture(t, rows))


@wrong("temperature where none was asked", "prefix", "check_sharpening", "1/T = 1: mix, then sharpen")
def _(s):
    return replace(s, tempered=lambda t, rows, inverse: temperature(s.mixture(t, rows), inverse + 1))


@wrong("powers left unnormalized", "prefix", "check_sharpening", "1/T = 2: mix, then sharpen")
def _(s):
    return replace(s, tempered=lambda t, rows, inverse: s.mixture(t, rows) ** inverse)


@wrong("top-k not renormalized", "prefix", "check_top_k", "top 1: the gate sums to one")
def _(s):
    return replace(s, gate=lambda r, k: np.where(top_k_gate(r, k) == 0, flint.fmpq(0), r))


@wrong("top-k keeps the smallest", "prefix", "check_top_k", "top 1: what is kept is the largest")
def _(s):
    return replace(s, gate=lambda r, k: top_k_gate(r[::-1], k))


@wrong("top-k keeps one more", "prefix", "check_top_k", "top 1: no more than k are kept")
def _(s):
    return replace(s, gate=lambda r, k: top_k_gate(r, min(k + 1, len(r))))


@wrong("top-k evens out what it keeps", "prefix", "check_top_k", "top 2: proportions are kept")
def _(s):
    return replace(s, gate=lambda r, k: np.where(top_k_gate(r, k) == 0, flint.fmpq(0), flint.fmpq(1, k)))


@wrong(
    "a gate that always keeps the first expert", "coins", "check_top_k", "top 2: moved by no more than the mass dropped"
)
def _(s):
    return replace(s, gate=lambda r, k: np.where(np.arange(len(r))[:, None] == 0, 1.0, 0.0 * r))


# Batches and padding --------------------------------------------------------------------------------------------------


@wrong("laws normalized over the batch", "prefix", "check_batch", "experts: in a batch as alone")
def _(s):
    def experts(t, rows):
        laws = s.experts(t, rows)
        return (laws + (total(laws, 1) / len(rows))[:, None]) / 2

    return replace(s, experts=experts)


@wrong("the first row answers for all", "prefix", "check_order", "experts: in any order of rows")
def _(s):
    return replace(s, experts=lambda t, rows: np.repeat(s.experts(t, rows[:1]), len(rows), axis=1))


@wrong("padding attended", "prefix", "check_padding", "padded as alone")
def _(s):
    def ragged(prefixes):
        width = max(len(p) for p in prefixes)
        rows = np.array([[0] * (width - len(p)) + list(p) for p in prefixes])
        return s.experts(width, rows)

    return replace(s, ragged=ragged)


@wrong("the last column read, not the last token", "prefix", "check_padding", "padded as alone")
def _(s):
    def ragged(prefixes):
        width = max(len(p) for p in prefixes)
        return s.experts(width, np.array([list(p) + [0] * (width - len(p)) for p in prefixes]))

    return replace(s, ragged=ragged)


# Samplers -------------------------------------------------------------------------------------------------------------


@wrong("a sampler at another temperature", "prefix_float", "check_sampling", "samples have the law")
def _(s):
    return replace(s, sample=lambda count, seed: draw(lambda t, r: temperature(s.mixture(t, r), 2), count, 3, seed))


@wrong("a sampler of the static mixture", "coins", "check_sampling", "samples have the law")
def _(s):
    static = replace(s, mixture=lambda t, rows: mix(constant(s.prior, rows), s.experts(t, rows)))
    return replace(s, sample=lambda count, seed: draw(static.mixture, count, 3, seed))


@wrong("a sampler that draws the expert again at every token", "coins", "check_sampling", "samples have the law")
def _(s):
    def sample(count, seed):
        rng, rows = np.random.default_rng(seed), np.zeros((count, 0), dtype=int)
        for t in range(3):
            k = rng.choice(2, size=count, p=s.prior)
            law = s.experts(t, rows)[k, np.arange(count)]
            rows = np.concatenate([rows, (rng.random((count, 1)) >= np.cumsum(law, -1)).sum(-1)[:, None]], axis=1)
        return rows

    return replace(s, sample=sample)


@wrong("float32 sampling bias", "rare", "check_sampling", "samples have the law", draws=1_000_000)
def _(s):
    law = s.mixture(0, np.zeros((1, 0), dtype=int))[0]

    def sample(count, seed):
        cumulated = np.cumsum(law.astype(np.float32), dtype=np.float32)
        uniform = np.random.default_rng(seed).random(count) * cumulated[-1]
        return np.searchsorted(cumulated, uniform, side="right")[:, None]

    return replace(s, sample=sample)


@wrong("a sampler that ignores its seed", "prefix_float", "check_sampling", "equal seeds give equal samples")
def _(s):
    calls = []

    def sample(count, seed):
        calls.append(seed)
        return s.sample(count, len(calls))

    return replace(s, sample=sample)


@wrong("a sampler that leaves masks", "prefix_float", "check_sampling", "samples are data tokens")
def _(s):
    def sample(count, seed):
        rows = s.sample(count, seed)
        return np.where(np.random.default_rng(seed).random(rows.shape) < 0.01, 2, rows)

    return replace(s, sample=sample)


@wrong("two dependent positions revealed at once", "parallel", "check_sampling", "nothing of probability zero is drawn")
def _(s):
    experts = floats(TWO_WAYS)
    return replace(from_decentralization("edited", experts, Steps([[0.0] * 2, [1.0] * 2]), times=[0, 1]))


@wrong("a sampler of the experts with the prior at every step", "coin_steps", "check_sampling", "samples have the law")
def _(s):
    experts = floats(two_coins(2))

    def sample(count, seed):
        rng, rows = np.random.default_rng(seed), np.full((count, 2), 2)
        for t in (0, 1):
            k = rng.choice(2, size=count, p=experts.weights)
            for index, coupling in enumerate(experts.couplings):
                one = Decentralization(np.ones(1), [coupling])
                u = one.step_velocity_at(Autoregressive(), t, t + 1, rows)[:, t, :2]
                token = (rng.random((count, 1)) >= np.cumsum(u, -1)).sum(-1)
                rows[:, t] = np.where(k == index, np.minimum(token, 1), rows[:, t])
        return rows

    return replace(s, sample=sample)
