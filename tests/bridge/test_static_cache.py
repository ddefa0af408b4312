"""The static cache against the growing one, on every architecture; what a GPU would compile, compiled here."""

import pytest
import torch

from bridge.bounds import law_bound
from ddfm_theory.bridge import BayesFilter, Case, CheckpointExpert, Ensemble, FixedPrior, conformance
from ddfm_theory.bridge import static_cache as room
from ddfm_theory.bridge.noise import law_gap

KINDS = ["llama", "gpt2", "llava", "internvl"]


def pair(make_expert, kind, seed=0):
    """One model behind both caches."""
    grows = make_expert(kind, seed)
    return grows, CheckpointExpert(grows.model, name=grows.name, cache="static")


@pytest.mark.parametrize("kind", KINDS)
def test_laws_are_those_of_the_growing_cache(kind, make_expert, make_prompts):
    prompts, caches = make_prompts(kind), pair(make_expert, kind)
    bound = law_bound(caches[:1], prompts)
    one, two = (expert.prefill(prompts) for expert in caches)
    gaps = [law_gap(one.log_law, two.log_law)]
    for t in range(4):
        gaps.append(law_gap(*(prefix.step(torch.tensor([5 + t, 7, 9])) for prefix in (one, two))))
    text = torch.randint(3, 30, (3, 5), generator=torch.Generator().manual_seed(0))
    gaps.append(law_gap(*(prefix.read(text) for prefix in (one, two))))
    for prefix in (one, two):
        prefix.roll_back(3)
    gaps.append(law_gap(one.log_law, two.log_law))
    gaps.append(law_gap(*(prefix.fork([2, 0]).step(torch.tensor([4, 6])) for prefix in (one, two))))
    gaps.append(law_gap(one.step(torch.tensor([3, 4, 5])), two.step(torch.tensor([3, 4, 5]))))
    assert max(gaps) <= bound


def test_forks_and_joins_are_independent(make_expert, make_prompts):
    prompts, (grows, static) = make_prompts(), pair(make_expert, "llama")
    bound, token = law_bound([grows], prompts), torch.tensor([5, 6, 7])
    prefix = static.prefill(prompts)
    before = prefix.fork()
    part = prefix.fork([2, 1])
    part.step(token[[2, 1]])
    prefix.step(token)
    assert law_gap(part.log_law, prefix.log_law[[2, 1]]) <= bound
    first = prefix.fork([0])
    first.join(part)
    assert law_gap(first.step(token), _stepped(grows, prompts, [token, token], [0, 2, 1])) <= bound
    assert law_gap(before.step(token), _stepped(grows, prompts, [token], [0, 1, 2])) <= bound


def _stepped(expert, prompts, texts, rows):
    prefix = expert.prefill(prompts)
    prefix.step(texts[0])
    prefix = prefix.fork(rows)
    for tokens in texts[1:]:
        prefix.step(tokens)
    return prefix.log_law


def test_room_that_is_used_up_is_doubled(make_expert, make_prompts, monkeypatch):
    monkeypatch.setattr(room, "ROOM", 4)
    prompts, caches = make_prompts(), pair(make_expert, "llama")
    one, two = (expert.prefill(prompts) for expert in caches)
    widths = {two.mask.shape[1]}
    for t in range(20):
        tokens = torch.tensor([3 + t, 30 - t, 7])
        assert law_gap(one.step(tokens), two.step(tokens)) <= law_bound(caches[:1], prompts)
        widths.add(two.mask.shape[1])
    assert widths == {12, 24, 48}


def test_generation_is_the_same_and_caches_are_used_again(make_expert, make_prompts):
    pairs = [pair(make_expert, "llava", seed) for seed in (0, 1)]
    prompts, made = make_prompts("llava"), []
    for experts in zip(*pairs, strict=True):
        ensemble = Ensemble(experts, BayesFilter(FixedPrior([0.5, 0.5])))
        made += [ensemble.generate(prompts, max_new_tokens=6, seed=s, skip_below=0.1).tokens for s in (1, 2, 1)]
    assert made[:3] == made[3:]
    assert 0 < len(pairs[0][1].spare_caches) <= room.SPARE


def test_a_step_compiles_whole_and_once_a_batch_size(make_expert, make_prompts, monkeypatch):
    """A graph break, or a shape that changes with the text, would cost on a GPU what the graph is for."""
    from torch._dynamo.testing import CompileCounter

    counter = CompileCounter()
    monkeypatch.setattr(room, "compiled", lambda model: torch.compile(model.forward, backend=counter, fullgraph=True,
                                                                      dynamic=False))  # fmt: skip
    torch._dynamo.reset()
    prompts, caches = make_prompts(), pair(make_expert, "llama")
    for rows in ([0, 1, 2], [1, 2]):
        one, two = (expert.prefill(prompts.select(rows)) for expert in caches)
        for t in range(4):
            tokens = torch.tensor([5 + t, 7, 9])[: len(rows)]
            assert law_gap(one.step(tokens), two.step(tokens)) <= law_bound(caches[:1], prompts)
    again = caches[1].prefill(prompts)
    again.step(torch.tensor([1, 2, 3]))
    assert counter.frame_count == 2
    torch._dynamo.reset()


@pytest.mark.parametrize("kind", ["llama", "internvl"])
def test_every_check_of_checkpoints_holds(kind, make_expert, make_prompts):
    experts = [pair(make_expert, kind, seed)[1] for seed in (0, 1)]
    case = Case(Ensemble(experts, BayesFilter(FixedPrior([0.3, 0.7]))), make_prompts(kind), [[5, 6, 7], [8, 9], [10]])
    outcomes = {record.name: record.outcome for record in conformance(case)}
    undecided = {"the image is seen"} if kind == "llama" else set()
    assert {name for name, outcome in outcomes.items() if outcome != "holds"} == undecided


def test_refusals(make_expert, monkeypatch):
    with pytest.raises(ValueError, match=r"cache must be one of \['dynamic', 'static'\], was 'paged'"):
        CheckpointExpert(make_expert().model, cache="paged")
    from transformers import MistralConfig, MistralForCausalLM

    from ddfm_theory.bridge import Prompts

    config = MistralConfig(vocab_size=40, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                           num_attention_heads=2, num_key_value_heads=1, sliding_window=4)  # fmt: skip
    with pytest.raises(ValueError, match="cache must be 'dynamic' for expert, whose layers are"):
        CheckpointExpert(MistralForCausalLM(config), cache="static").prefill(Prompts([[1, 2]]))


def test_saved_ensembles_open_with_a_static_cache(make_expert, make_prompts, tmp_path):
    ensemble = Ensemble([make_expert("llama", 0), make_expert("llama", 1)], BayesFilter(FixedPrior([0.5, 0.5])))
    again = Ensemble.from_pretrained(ensemble.save_pretrained(tmp_path / "e"), cache="static")
    assert again.experts[1].cache == "static"
    prompts, options = make_prompts(), {"greedy": True, "max_new_tokens": 5}
    assert again.generate(prompts, **options).tokens == ensemble.generate(prompts, **options).tokens
