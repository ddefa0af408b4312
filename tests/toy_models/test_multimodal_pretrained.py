"""The preset that starts from pretrained weights, its path from end to end on tiny random ones, in one process."""

from dataclasses import replace

import pytest
import torch
from bridge.tiny_models import text_config

from ddfm_theory.bridge import CheckpointExpert
from toy_models.multimodal import gathering, models, report, units
from toy_models.multimodal.answering import Asked, alone, answer, remembering
from toy_models.multimodal.experiment import measure, measurements, prepared, trainings
from toy_models.multimodal.plan import PRESETS, Counts
from toy_models.multimodal.sources import DIGITS
from toy_models.multimodal.terms import read
from toy_models.multimodal.words import tokenizer, vocabulary

ASKED = [*DIGITS, "what digit is this ? is the digit odd or even", "is this the digit yes no"]


def language():
    """Return a tiny random language model with a tokenizer of digits' questions, as the packaged one comes."""
    from transformers import LlamaForCausalLM

    names = vocabulary(ASKED)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(text_config(len(names))).eval()
    return CheckpointExpert(model, tokenizer(names), "tiny")


def tower(_wheel):
    """Return a tiny random tower of the pretrained one's class."""
    from transformers import Dinov2Config, Dinov2Model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Dinov2Model(Dinov2Config(hidden_size=16, num_attention_heads=2, num_hidden_layers=1, mlp_ratio=2,
                                        image_size=models.SEEN, patch_size=14)).eval()  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    preset = PRESETS["smollm2"]
    start, dense = replace(preset.start, steps=3, batch=4), replace(preset.dense, steps=2, batch=4)
    tiny = replace(
        preset, train=Counts(digit=40), test=Counts(digit=16), start=start, dense=dense, seeds=(0, 1), every=1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "packaged_model", language)
        patch.setattr(units, "fetch", lambda name, place: place / name)
        patch.setattr(models, "pretrained", tower)
        made = prepared(units.Run(tiny, tmp_path_factory.mktemp("work")))
        for _, unit in (*trainings(made), *measurements(made)):
            unit()
    return made


def test_the_path_from_pretrained_parts_to_tables(run):
    found = gathering.gathered(run, measure)
    assert "dynamic" not in found  # nothing that only the ablations ask for is trained
    assert found["work"]["all"]["trainings"] == 1 + 2 * (1 + run.preset.base.experts)
    assert found["work"]["dense"]["steps"] == found["work"]["experts"]["steps"]
    assert found["c12"]["residual"] <= found["c12"]["bound"]
    assert all(held["rows beyond the bound"]["mean"] == 0 for held in found["bounds"].values())
    captions = [caption for caption, _ in report.tables(found)]
    assert "Dense against experts, test" in captions
    assert not any(words in caption for caption in captions for words in ("More training", "Ablation", "dropped"))


def test_the_language_model_starts_from_the_given_weights(run):
    drawn = units.load(next(run.work.glob("standardized-*")), frozen=True)
    given = language()
    assert torch.equal(drawn.model.lm_head.weight, given.model.lm_head.weight)
    assert drawn.image_token == models.UNUSED
    start = units.load(run.start, frozen=True)
    assert not torch.equal(start.model.lm_head.weight, given.model.lm_head.weight)  # it is trained, not frozen


def test_an_expert_that_remembers_answers_as_one_that_reads_anew(run, monkeypatch):
    rows, base = run.rows("test")[:8], run.preset.base
    plain, told = run.experts(base, 0)[0], remembering(run.experts(base, 0)[0])
    asked, counted = Asked(run.data["test"], rows, plain), []
    read_anew = CheckpointExpert.prefill
    monkeypatch.setattr(CheckpointExpert, "prefill", lambda *a: counted.append(1) or read_anew(*a))
    once = answer(alone(told), asked), read(alone(told), asked)[0].tolist()
    first = len(counted)
    again = answer(alone(told), asked), read(alone(told), asked)[0].tolist()
    assert len(counted) == first  # nothing was read anew
    assert once == again == (answer(alone(plain), asked), read(alone(plain), asked)[0].tolist())
    other = Asked(run.data["test"], rows, plain, [rows[-1].image] * len(rows))
    assert read(alone(told), other)[0].tolist() == read(alone(plain), other)[0].tolist()  # images are told apart
