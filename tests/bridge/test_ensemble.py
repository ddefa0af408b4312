import copy
import json

import numpy as np
import pytest
import torch

from bridge.bounds import text_bound
from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import (
    BayesFilter,
    CosineRouter,
    Ensemble,
    FixedPrior,
    LastToken,
    PaperRouter,
    Prompts,
    diagnose,
)
from ddfm_theory.bridge.logdomain import log_gate
from ddfm_theory.decentralization import bayes_filter, mix, router_posterior, top_k_gate
from ddfm_theory.stability import top_k_bound, total_variation

ANSWERS = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14]]
PRIOR = [0.2, 0.5, 0.3]
FLOAT64 = gamma(np.float64, 400)  # sums of at most 15 terms, logarithms of arguments below 100


@pytest.fixture(scope="module")
def trio(make_expert):
    return [make_expert("llama", seed) for seed in (0, 1, 2)]


@pytest.fixture
def build(trio):
    return lambda router=None, gate=None: Ensemble(trio, router or BayesFilter(FixedPrior(PRIOR)), gate)


def law_bound(laws, router):
    """float32: weights rounded once, K exponentials and additions, one logarithm, arguments below 64 in size."""
    return gamma(torch.float32, 64 * (2 * len(laws) + 4)) if router is not None else 0.0


def test_next_token_is_the_proved_mixture(build, make_prompts):
    out = build().next_token(make_prompts())
    laws = torch.stack(out.log_laws).exp()
    central = mix(out.log_router.exp().float(), laws)
    assert float((out.log_law.exp() - central).abs().max()) <= law_bound(out.log_laws, out.log_router)
    assert torch.equal(out.dropped, torch.zeros(3).double())


def test_a_gate_moves_the_mixture_by_no_more_than_the_mass_it_drops(build, make_prompts):
    full, gated = build().next_token(make_prompts()), build(gate=2).next_token(make_prompts())
    prior = torch.tensor(PRIOR, dtype=torch.float64)[:, None].expand(3, 3)
    assert torch.equal(gated.dropped, top_k_bound(prior, 2))
    assert float((gated.log_router.exp() - top_k_gate(prior, 2)).abs().max()) <= FLOAT64
    shift = total_variation(full.log_law.exp().double(), gated.log_law.exp().double())
    assert bool((shift <= gated.dropped).all())
    assert float(shift.max()) > 0.01


def test_scores_obey_the_chain_rule_of_the_mixture(build, make_prompts):
    """Mixing tokens by the filter is mixing sequences: sum_t log q(x^t | x^<t) = log sum_k omega_k q_k(x)."""
    scores = build().score(make_prompts(), ANSWERS)
    whole = torch.logsumexp(torch.log(torch.tensor(PRIOR, dtype=torch.float64))[:, None] + scores.experts, dim=0)
    assert float((scores.log_likelihoods - whole).abs().max()) <= FLOAT64 * 100
    last = router_posterior(torch.tensor(PRIOR, dtype=torch.float64), scores.experts.exp())
    for b, length in enumerate(scores.lengths):
        assert float((scores.log_router[:, b, length].exp() - last[:, b]).abs().max()) <= FLOAT64 * 100
        path = bayes_filter(torch.tensor(PRIOR, dtype=torch.float64), scores.expert_tokens[:, b, :length].exp())
        assert float((scores.log_router[:, b, : length + 1].exp() - path).abs().max()) <= FLOAT64 * 100


def test_a_static_router_does_not(build, make_prompts):
    """The control: omega at every step is another law."""
    static = build(FixedPrior(PRIOR)).score(make_prompts(), ANSWERS)
    exact = build().score(make_prompts(), ANSWERS)
    assert float((static.log_likelihoods - exact.log_likelihoods).abs().max()) > 0.01
    assert torch.equal(static.experts, exact.experts)


def test_scores_are_those_of_next_token_laws(build, make_prompts):
    ensemble, prompts = build(), make_prompts()
    scores = ensemble.score(prompts, ANSWERS)
    blocks = ensemble.score(prompts, ANSWERS, block=2)
    noise = max(float((blocks.expert_tokens - scores.expert_tokens).abs().max()), torch.finfo(torch.float32).eps)
    current = ensemble.prior(None, 3)
    for t in range(2):
        longer = Prompts([row + answer[:t] for row, answer in zip(prompts.ids, ANSWERS, strict=True)])
        laws = torch.stack(ensemble.next_token(longer).log_laws).double()
        mixed = torch.logsumexp(current[:, :, None] + laws, 0)
        for b, answer in enumerate(ANSWERS):
            assert abs(float(mixed[b, answer[t]] - scores.tokens[b, t])) <= 32 * noise
        token = torch.tensor([answer[t] for answer in ANSWERS])
        current = ensemble.router.update(current, current, laws[:, torch.arange(3), token])


def test_padding_of_answers_and_batch_change_nothing(build, make_prompts):
    ensemble, prompts = build(), make_prompts()
    together, bound = ensemble.score(prompts, ANSWERS), text_bound(ensemble.experts, prompts, 5)
    for b in range(3):
        alone = ensemble.score(prompts.select([b]), [ANSWERS[b]])
        assert float((alone.log_likelihoods[0] - together.log_likelihoods[b]).abs()) <= bound
        assert together.tokens[b, len(ANSWERS[b]) :].tolist() == [0.0] * (5 - len(ANSWERS[b]))


def test_permuting_experts_changes_nothing(trio, make_prompts):
    order = [2, 0, 1]
    one = Ensemble(trio, BayesFilter(FixedPrior(PRIOR))).score(make_prompts(), ANSWERS)
    two = Ensemble([trio[k] for k in order], BayesFilter(FixedPrior([PRIOR[k] for k in order]))).score(
        make_prompts(), ANSWERS
    )
    assert float((one.log_likelihoods - two.log_likelihoods).abs().max()) <= FLOAT64 * 100
    assert torch.equal(one.expert_tokens[order], two.expert_tokens)


def test_a_router_stays_past_an_answers_end(build, make_prompts):
    for router in (BayesFilter(FixedPrior(PRIOR)), LastToken(FixedPrior(PRIOR))):
        scores = build(router).score(make_prompts(), ANSWERS)
        for b, length in enumerate(scores.lengths):
            for t in range(int(length), 6):
                assert torch.equal(scores.log_router[:, b, t], scores.log_router[:, b, length])


def test_gated_scores_say_what_they_dropped(build, make_prompts):
    full, gated = build().score(make_prompts(), ANSWERS), build(gate=1).score(make_prompts(), ANSWERS)
    kept = gated.log_router[:, :, :-1].exp().max(0).values
    for b, length in enumerate(gated.lengths):
        assert float((gated.dropped[b, :length] - (1 - kept[b, :length])).abs().max()) <= FLOAT64 * 100
    assert torch.equal(full.dropped, torch.zeros(3, 5).double())
    assert torch.equal(log_gate(full.log_router, None), full.log_router)


def test_image_features_are_shared_where_towers_are_equal(make_expert, make_prompts):
    first = make_expert("llava", 0)
    twin = copy.deepcopy(first)
    with torch.no_grad():
        twin.model.lm_head.weight.mul_(1.5)
    other = make_expert("llava", 1)
    ensemble = Ensemble([first, other, twin], BayesFilter(FixedPrior(PRIOR)))
    assert ensemble.towers == [0, 1, 0]
    calls = []

    def counted(inner, name):
        return lambda pixels: calls.append(name) or inner(pixels)

    for expert in (first, other, twin):
        expert.image_features = counted(expert.image_features, id(expert))
    shared = ensemble.next_token(make_prompts("llava"))
    assert calls == [id(first), id(other)]
    alone = twin.prefill(make_prompts("llava")).log_law
    assert torch.equal(shared.log_laws[2], alone)


@pytest.mark.parametrize("kind", ["llama", "llava", "internvl"])
def test_saved_ensembles_come_back_equal(kind, make_expert, make_prompts, tmp_path):
    router = BayesFilter(CosineRouter(np.eye(2), 0.5))
    ensemble = Ensemble([make_expert(kind, 0), make_expert(kind, 1)], router, gate=2)
    features = torch.tensor([[1.0, 0.2], [0.1, 1.0], [1.0, 1.0]])
    place = ensemble.save_pretrained(tmp_path / "deep" / "ensemble")
    files = sorted(str(f.relative_to(place)) for f in place.rglob("*") if f.is_file())
    assert not [f for f in files if f.endswith((".bin", ".pt", ".pkl", ".npy"))]
    assert {"config.json", "router/config.json", "router/router.safetensors", "expert_1/model.safetensors"} <= set(
        files
    )
    again = Ensemble.from_pretrained(place)
    assert again.gate == 2
    a, b = (e.score(make_prompts(kind), ANSWERS, features) for e in (ensemble, again))
    assert torch.equal(a.log_likelihoods, b.log_likelihoods)
    assert torch.equal(a.log_router, b.log_router)
    assert diagnose(place).problems == []
    assert diagnose(place).kind == "ensemble"
    with pytest.raises(ValueError, match="must not be there yet"):
        ensemble.save_pretrained(place)


def test_saving_is_whole_or_not_at_all(build, tmp_path, monkeypatch):
    ensemble = build()

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("ddfm_theory.bridge.ensemble.save_router", broken)
    with pytest.raises(OSError, match="disk full"):
        ensemble.save_pretrained(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_damaged_ensembles_are_refused(build, tmp_path):
    with pytest.raises(ValueError, match="must be the folder of an ensemble"):
        Ensemble.from_pretrained(tmp_path)
    place = build().save_pretrained(tmp_path / "out")
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "version": 7}))
    with pytest.raises(ValueError, match=r"version of .* must be 1, was 7"):
        Ensemble.from_pretrained(place)
    (place / "config.json").write_text(json.dumps({**config, "experts": 3}))
    with pytest.raises(ValueError, match="must name the folders of its experts, had 3"):
        Ensemble.from_pretrained(place)
    (place / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="must be the folder of an ensemble"):
        Ensemble.from_pretrained(place)
    (place / "config.json").write_text(json.dumps(config))
    (place / "expert_2" / "model.safetensors").write_bytes(b"")
    assert "expert_2" in diagnose(place).problems[0]
    with pytest.raises(ValueError, match="cut within its header"):
        Ensemble.from_pretrained(place)


@pytest.mark.parametrize(("call", "message"), [
    (lambda e, p: Ensemble(e, FixedPrior([0.5, 0.5])), "router must be over 3 experts, was over 2"),
    (lambda e, p: Ensemble(e, FixedPrior(PRIOR), gate=4), "gate must be an integer in 1..3"),
    (lambda e, p: Ensemble(e, FixedPrior(PRIOR)).score(p, ANSWERS[:2]), "answers must be one a prompt, 3, were 2"),
    (lambda e, p: Ensemble(e, FixedPrior(PRIOR)).score(p, [[1], [], [2]]), "row 1 was"),
    (lambda e, p: Ensemble(e, FixedPrior(PRIOR)).score(p, [[1], [40], [2]]), "row 1 was"),
    (lambda e, p: Ensemble(e, PaperRouter(np.eye(3))).score(p, ANSWERS), "features must be given"),
    (lambda e, p: Ensemble(e, LastToken(FixedPrior(PRIOR))).generate(p, skip_below=0.1), "cannot be bounded unread"),
])  # fmt: skip
def test_bad_arguments_are_named(call, message, trio, make_prompts):
    with pytest.raises(ValueError, match=message):
        call(trio, make_prompts())
