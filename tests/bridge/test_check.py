import copy
import json

import numpy as np
import pytest
import torch

from ddfm_theory.arrays import unit_roundoff
from ddfm_theory.bridge import BayesFilter, CosineRouter, Ensemble, FixedPrior, LastToken, PaperRouter, Prompts
from ddfm_theory.bridge import check as module
from ddfm_theory.bridge.check import CHECKS, Case, conformance, write_records
from ddfm_theory.bridge.noise import MARGIN, forward_noise, law_gap

ANSWERS = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14]]
PRIOR = [0.2, 0.5, 0.3]


@pytest.fixture(scope="module")
def trio(make_expert):
    return [make_expert("llama", seed) for seed in (0, 1, 2)]


@pytest.fixture
def build(trio, make_prompts):
    return lambda router=None, experts=None, gate=None: Case(
        Ensemble(experts or trio, router or BayesFilter(FixedPrior(PRIOR)), gate), make_prompts(), ANSWERS
    )


@pytest.mark.parametrize("kind", ["llama", "llava", "internvl"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_sound_ensembles_conform(kind, dtype, make_expert, make_prompts):
    experts = [copy.deepcopy(make_expert(kind, seed)) for seed in (0, 1)]
    for expert in experts:
        expert.model.to(dtype)
    router = BayesFilter(CosineRouter(np.eye(2), 0.5))
    features = torch.tensor([[1.0, 0.2], [0.1, 1.0], [1.0, 1.0]])
    records = list(conformance(Case(Ensemble(experts, router), make_prompts(kind), ANSWERS, features)))
    assert len(records) == len(CHECKS)
    for record in records:
        due = "undecided" if record.name == "the image is seen" and kind == "llama" else "holds"
        assert record.outcome == due, record


def broken(case, name):
    found = {record.name: record.outcome for record in conformance(case)}
    assert found[name] == "fails"
    return [key for key, outcome in found.items() if outcome == "fails"]


def wrap(expert, change):
    """An expert whose prefixes give a changed law."""
    out = copy.copy(expert)
    inner = expert.prefill

    def prefill(prompts, features=None):
        return change(inner(prompts, features), prompts)

    out.prefill = prefill
    return out


def test_a_law_that_does_not_sum_to_one_is_seen(build, trio):
    def change(prefix, prompts):
        prefix.log_law = prefix.log_law + 0.01
        return prefix

    broken(build(experts=[wrap(trio[0], change), *trio[1:]]), "velocity conditions")


def test_a_geometric_mixture_is_seen(build, monkeypatch):
    def geometric(log_router, log_laws, rows=None):
        return torch.log_softmax(sum(w.exp()[:, None] * law for w, law in zip(log_router, log_laws, strict=True)), -1)

    monkeypatch.setattr(module, "log_mix", geometric)
    assert "mixture identity" in broken(build(), "mixture identity")


def test_a_mixture_that_depends_on_the_order_is_seen(build, monkeypatch):
    def first(log_router, log_laws, rows=None):
        return log_laws[0]

    monkeypatch.setattr(module, "log_mix", first)
    broken(build(), "permutation of experts")


@pytest.mark.parametrize("router", [FixedPrior(PRIOR), LastToken(FixedPrior(PRIOR))], ids=["static", "last-token"])
def test_routers_that_are_no_posterior_are_seen(router, build):
    assert broken(build(router), "factorization") == ["factorization", "filter against posterior"]


def test_a_one_hot_router_is_exact(trio, make_prompts):
    case = Case(Ensemble(trio, PaperRouter(np.eye(3))), make_prompts(), ANSWERS, torch.eye(3))
    assert {r.outcome for r in conformance(case)} == {"holds", "undecided"}


def test_a_gate_that_does_not_renormalize_is_seen(build, monkeypatch):
    monkeypatch.setattr(
        module, "top_k_gate", lambda r, k: torch.where(r >= r.sort(0, descending=True).values[k - 1], r, 0)
    )
    broken(build(), "top-k bound")


def test_a_gate_leaves_the_factorization_undecided(build):
    found = {record.name: record for record in conformance(build(gate=1))}
    assert found["factorization"].outcome == "undecided"
    assert found["top-k bound"].outcome == "holds"


def test_a_cache_that_forgets_is_seen(build, trio):
    def change(prefix, prompts):
        inner = prefix.step

        def step(tokens):
            prefix.mask = torch.cat([prefix.mask[:, 1:], prefix.mask[:, -1:]], dim=1)
            return inner(tokens)

        prefix.step = step
        return prefix

    assert broken(build(experts=[trio[0], wrap(trio[1], change), trio[2]]), "cache against recomputation") == [
        "cache against recomputation"
    ]


def test_a_law_that_depends_on_the_batch_is_seen(build, trio):
    def change(prefix, prompts):
        prefix.log_law = torch.log_softmax(prefix.log_law * (1 + 0.01 * len(prompts)), -1)
        return prefix

    assert "batch and padding invariance" in broken(
        build(experts=[*trio[:2], wrap(trio[2], change)]), "batch and padding invariance"
    )


def test_a_blind_expert_is_seen(make_expert, make_prompts):
    experts = [make_expert("llava", 0), copy.deepcopy(make_expert("llava", 1))]
    with torch.no_grad():
        experts[1].model.model.multi_modal_projector.linear_2.weight.zero_()
    case = Case(Ensemble(experts, BayesFilter(FixedPrior([0.5, 0.5]))), make_prompts("llava"), ANSWERS)
    assert broken(case, "the image is seen") == ["the image is seen"]


def test_noise_is_measured_and_never_zero(trio, make_prompts):
    prompts = make_prompts()
    noise, law = forward_noise(trio[0], prompts), trio[0].prefill(prompts).log_law
    assert noise >= 2 * unit_roundoff(torch.float32) * float(law.abs().max())
    other = Prompts([[*row[:-1], (row[-1] + 1) % 39] for row in prompts.ids])
    assert law_gap(trio[0].prefill(other).log_law, law) > 1000 * MARGIN * noise  # far from what it must tell apart
    assert trio[0].model.config._attn_implementation == "sdpa"


def test_records_are_written_as_json_lines(build, tmp_path):
    records = list(conformance(build()))
    infinite = module._record("C08", "none", 0.0, float("inf"), "bfloat16")
    assert infinite.outcome == "undecided"
    write_records([*records, infinite], tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {"claim", "name", "outcome", "residual", "bound", "where"} <= rows[0].keys()
    assert rows[-1]["bound"] is None


def test_one_prompt_is_refused(trio, make_prompts):
    with pytest.raises(ValueError, match="prompts must be at least two"):
        Case(Ensemble(trio, FixedPrior(PRIOR)), make_prompts(lengths=(3,)), ANSWERS[:1])
