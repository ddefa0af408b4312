import itertools

import numpy as np
import pytest
import torch

from bridge.bounds import near, router_bound
from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import BayesFilter, Ensemble, FixedPrior, PaperRouter, Prompts
from ddfm_theory.bridge.generation import Decoder, Decoding
from ddfm_theory.bridge.logdomain import log_nucleus, log_sharpen
from ddfm_theory.stability import total_variation

PRIOR = [0.2, 0.5, 0.3]


@pytest.fixture(scope="module")
def trio(make_expert):
    return [make_expert("llama", seed) for seed in (0, 1, 2)]


@pytest.fixture
def build(trio):
    return lambda router=None, gate=None: Ensemble(trio, router or BayesFilter(FixedPrior(PRIOR)), gate)


def test_greedy_takes_the_mixtures_most_likely_token_at_every_prefix(build, make_prompts):
    ensemble, prompts = build(), make_prompts()
    made = ensemble.generate(prompts, greedy=True, max_new_tokens=6)
    scores = ensemble.score(prompts, made.tokens)
    bound = router_bound(ensemble.experts, prompts, 6)
    assert float((scores.log_likelihoods - made.log_likelihoods).abs().max()) <= bound
    for t in range(6):
        longer = Prompts([row + text[:t] for row, text in zip(prompts.ids, made.tokens, strict=True)])
        laws = torch.stack(ensemble.next_token(longer).log_laws).double()
        mixed = torch.logsumexp(scores.log_router[:, :, t, None] + laws, 0)
        assert mixed.argmax(-1).tolist() == [text[t] for text in made.tokens]
    assert float((made.log_router - scores.log_router[:, :, 5]).abs().max()) <= bound
    assert made.tokens_read == [15, 15, 15]


def test_streaming_gives_the_same_tokens_one_by_one(build, make_prompts):
    options = {"max_new_tokens": 5, "temperature": 0.8, "top_p": 0.9, "seed": 3}
    made = build().generate(make_prompts(), **options)
    steps = list(build().stream(make_prompts(), **options))
    assert [[int(s.tokens[b]) for s in steps] for b in range(3)] == made.tokens
    assert next(iter(build().stream(make_prompts(), **options))).log_router.exp()[:, 0].tolist() == near(PRIOR, 8)


def test_a_rows_text_does_not_depend_on_the_batch(build, make_prompts):
    prompts = make_prompts()
    together = build().generate(prompts, max_new_tokens=6, seed=1)
    first = build().generate(prompts.select([0]), max_new_tokens=6, seed=1)
    assert first.tokens[0] == together.tokens[0]


def test_draws_follow_the_sharpened_mixture(build):
    """Four thousand draws against the law; sharpening the experts first would be another one."""
    ensemble, prompt = build(), Prompts([[1, 5, 6]])
    out = ensemble.next_token(prompt)
    decoding = Decoding(temperature=0.5, top_p=0.8)
    law = decoding.sharpened(out.log_law)[0].exp().double()
    exact = log_nucleus(log_sharpen(out.log_law, 0.5), 0.8)[0].exp().double()
    assert torch.equal(law, exact)
    rngs = [np.random.default_rng((0, b)) for b in range(4000)]
    drawn = decoding.choose(out.log_law.expand(4000, -1), rngs, torch.ones(4000, dtype=torch.bool))
    frequencies = torch.bincount(drawn, minlength=40) / 4000
    assert float((frequencies - law).abs().max()) < 5 * float((law * (1 - law) / 4000).sqrt().max())
    experts = torch.stack([log_nucleus(log_sharpen(one, 0.5), 0.8).exp() for one in out.log_laws])
    before = (out.log_router.exp().float()[:, :, None] * experts).sum(0)[0].double()
    assert float(total_variation(law, before)) > 0.05  # sharpening does not commute with mixing


def test_stop_tokens_end_rows_apart_and_finished_rows_cost_nothing(build, make_prompts):
    prompts = make_prompts()
    free = build().generate(prompts, greedy=True, max_new_tokens=8)
    stop = free.tokens[0][2]
    made = build().generate(prompts, greedy=True, max_new_tokens=8, stop=[stop])
    for b in range(3):
        cut = free.tokens[b].index(stop) + 1 if stop in free.tokens[b] else 8
        assert made.tokens[b] == free.tokens[b][:cut]
        assert made.stopped[b] == (stop in free.tokens[b])
    everything = build().generate(prompts, greedy=True, max_new_tokens=8, stop=range(40))
    assert [len(row) for row in everything.tokens] == [1, 1, 1]
    assert everything.tokens_read == [0, 0, 0]


def test_finished_rows_leave_the_batch_and_their_router_stays(build):
    prompts = Prompts([[1, 5, 6]] * 3 + [[4, 9, 12, 30]])
    free = build().generate(prompts, greedy=True, max_new_tokens=10).tokens
    stop = next(token for token in free[0] if token not in free[3])
    end = free[0].index(stop) + 1
    for bound in (0.0, 0.2):
        made = build().generate(prompts, greedy=True, max_new_tokens=10, stop=[stop], skip_below=bound)
        assert [len(row) for row in made.tokens] == [end] * 3 + [10]
        steps = list(build().stream(prompts, greedy=True, max_new_tokens=10, stop=[stop], skip_below=bound))
        for before, after in itertools.pairwise(steps[end - 1 :]):
            assert torch.equal(before.log_router[:, :3], after.log_router[:, :3])
            assert after.tokens[:3].tolist() == [-1, -1, -1]
        if bound == 0.0:
            assert made.tokens_read == [4 * (end - 1) + 10 - end] * 3
            scores = build().score(prompts, made.tokens)
            ends = torch.stack([scores.log_router[:, b, len(row) - 1] for b, row in enumerate(made.tokens)], 1)
            bound = router_bound(build().experts, prompts, 10)
            assert float((made.log_router - ends).abs().max()) <= bound


def test_a_gate_on_a_static_router_is_reported(build, make_prompts):
    made = build(FixedPrior(PRIOR), gate=1).generate(make_prompts(), greedy=True, max_new_tokens=3)
    assert made.worst.tolist() == near([0.5] * 3, 8)
    assert made.dropped.tolist() == near([1.5] * 3, 16)
    assert made.tokens_read == [0, 6, 0]


def test_top_1_routing_costs_one_model(build, make_prompts):
    features = torch.eye(3)
    made = build(PaperRouter(np.eye(3))).generate(make_prompts(), features, greedy=True, max_new_tokens=4)
    assert made.tokens_read == [3, 3, 3]
    for b in range(3):
        alone = Ensemble([build().experts[b]], FixedPrior([1.0]))
        expected = alone.generate(make_prompts().select([b]), greedy=True, max_new_tokens=4)
        assert made.tokens[b] == expected.tokens[0]
    same = build(PaperRouter(np.eye(3))).generate(
        make_prompts(), torch.eye(3)[[1, 1, 1]], greedy=True, max_new_tokens=4
    )
    assert same.tokens_read == [0, 9, 0]
    assert same.dropped.tolist() == [0.0, 0.0, 0.0]


def test_routing_once_draws_from_the_prior_and_runs_one_expert(build, trio):
    prompts = Prompts([[1, 5, 6]] * 300)
    made = build().generate(prompts, route="once", max_new_tokens=1, seed=2)
    decoder = Decoder(build(), prompts, None, Decoding(route="once", seed=2))
    share = torch.isfinite(decoder.log_router).double().mean(1)
    assert float((share - torch.tensor(PRIOR)).abs().max()) < 5 * (0.25 / 300) ** 0.5
    assert len(made.tokens) == 300
    assert sum(len(lane.rows) for lane in decoder.lanes) == 300


def test_routing_once_has_the_sequence_law_of_mixing(build):
    """Texts of two tokens: sum_k omega_k q_k(x) against the product of mixed laws."""
    ensemble, prompt = build(), Prompts([[1, 5, 6]])
    texts = list(itertools.product(range(0, 40, 3), range(0, 40, 3)))
    scores = ensemble.score(Prompts(prompt.ids * len(texts)), texts)
    once = (torch.tensor(PRIOR, dtype=torch.float64)[:, None] * scores.experts.exp()).sum(0)
    size = float((1 + scores.log_likelihoods.abs()).max()) * float(once.max())
    bound = gamma(torch.float64, 32) * size  # a few sums and logarithms of this size
    assert float((once - scores.log_likelihoods.exp()).abs().max()) <= bound
    static = build(FixedPrior(PRIOR)).score(Prompts(prompt.ids * len(texts)), texts)
    assert float((once - static.log_likelihoods.exp()).abs().max()) > 1000 * bound


def test_a_gate_on_a_filter_is_reported(build, make_prompts):
    made = build(gate=1).generate(make_prompts(), greedy=True, max_new_tokens=4)
    assert bool((made.worst > 0).all())
    assert bool((made.dropped >= made.worst).all())
    assert float(made.worst.max()) < 1


def test_the_image_placeholder_is_never_drawn(make_expert, make_prompts):
    experts = [make_expert("llava", 0), make_expert("llava", 1)]
    with torch.no_grad():
        norm = experts[0].model.lm_head.weight
        before = norm[39].clone()
        for expert in experts:
            expert.model.lm_head.weight[39] *= 50
    made = Ensemble(experts, BayesFilter(FixedPrior([0.5, 0.5]))).generate(make_prompts("llava"), max_new_tokens=8)
    assert all(39 not in row for row in made.tokens)
    with torch.no_grad():
        norm[39] = before


@pytest.mark.parametrize("kind", ["llava", "internvl"])
def test_multimodal_generation_in_a_ragged_batch(kind, make_expert, make_prompts):
    ensemble = Ensemble([make_expert(kind, 7), make_expert(kind, 8)], BayesFilter(FixedPrior([0.5, 0.5])))
    prompts = make_prompts(kind)
    made = ensemble.generate(prompts, greedy=True, max_new_tokens=5)
    for b in range(3):
        assert ensemble.generate(prompts.select([b]), greedy=True, max_new_tokens=5).tokens[0] == made.tokens[b]


@pytest.mark.parametrize(("options", "message"), [
    ({"max_new_tokens": 0}, "max_new_tokens"),
    ({"temperature": 0.0}, "temperature must be positive"),
    ({"seed": -1}, "seed must be an integer at least 0, was -1"),
    ({"top_p": 0.0}, "mass of a nucleus"),
    ({"route": "twice"}, "route must be"),
    ({"skip_below": 1.0}, r"skip_below must be a mass in \[0, 1\)"),
])  # fmt: skip
def test_bad_options_are_named(options, message, build, make_prompts):
    with pytest.raises(ValueError, match=message):
        build().generate(make_prompts(), **options)
