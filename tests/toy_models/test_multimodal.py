"""The whole experiment on digits alone, its result and tables, what is measured on it; and the kept result."""

import copy
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kept_digits import half

import toy_models.multimodal as package
from ddfm_theory.arrays import gamma
from ddfm_theory.partition import Partition
from toy_models.multimodal import evaluation, report, terms
from toy_models.multimodal.__main__ import main
from toy_models.multimodal.answering import Asked, by_row
from toy_models.multimodal.experiment import apart
from toy_models.multimodal.gathering import less, merged, stat
from toy_models.multimodal.plan import PRESETS, Preset, Variant, jobs, key
from toy_models.multimodal.terms import account, c12_residual, learned_term
from toy_models.multimodal.units import Run

ROOT = Path(package.__file__).parents[1]
KEPT = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "results").glob("multimodal*.json")}


pytestmark = pytest.mark.xdist_group("smoke")


def test_the_smoke_preset_runs_from_pixels_to_tables(smoke):
    _place, found = smoke
    assert found["main"]["test"].keys() == {"dense", "experts", "difference"}
    assert found["ablations"].keys() == {"experts", "encoder", "clustering"}
    assert found["ablations"]["experts"].keys() == {"1", "2"}
    assert found["ablations"]["experts"]["1"]["metrics"] == found["main"]["test"]["dense"]
    assert found["ablations"]["experts"]["2"]["metrics"] == found["main"]["test"]["experts"]
    assert found["budget"].keys() == {"8", "16"}
    assert {name: found["budget"]["8"][name] for name in found["main"]["test"]} == found["main"]["test"]
    work = found["work"]
    assert work["all"]["trainings"] == 1 + 2 * (1 + 2 * 2) + 2 * (1 + 2)  # start; two variants; twice as long
    assert work["dense"]["steps"] == work["experts"]["steps"]  # equal total compute
    assert work["dense"]["flops"] == work["experts"]["flops"]
    assert found["c12"]["residual"] <= found["c12"]["bound"]
    for rule, held in found["bounds"].items():
        assert held["rows beyond the bound"]["mean"] == 0, rule
        assert held["tv"]["mean"] <= held["tv bound"]["mean"]
    for name in found["routing"]:  # what experts and router account for is all of the gap
        gap, *parts = (found["terms"][term]["mean"] for term in
                       (f"{name}: gap", "expert term", f"{name}: router term"))  # fmt: skip
        assert abs(gap - sum(parts)) <= half(gap, *parts) * (1 + gamma(np.float64, 4))
    assert report.markdown(found).count("| dense |") >= 1


def test_a_rerun_takes_up_what_is_there_and_lies_in_its_own_intervals(smoke):
    place, found = smoke
    again = place / "again.json"
    words = ["--preset", "smoke", "--work", str(place / "work"), "--out", str(again)]
    assert main([*words, "--compare", str(place / "found.json")]) == 0
    second = json.loads(again.read_text(encoding="utf-8"))
    assert 0 < second["seconds"] < found["seconds"]  # nothing is done again
    assert {**second, "seconds": 0} == {**found, "seconds": 0}
    moved = copy.deepcopy(found)
    held = moved["routing"]["argmax"]["acc"]
    moved["routing"]["argmax"]["acc"] = {**held, "low": held["mean"] + 1, "high": held["mean"] + 2}
    said = []
    assert report.judge(found, moved, said.append) == 1
    assert said[0].startswith("routing / argmax / acc must lie in [")
    del moved["routing"]["argmax"]
    assert report.judge(found, moved, said.append) == 0
    assert report.judge(moved, found, said.append) == 1  # what is missing is no agreement


def test_bad_input_is_one_line(tmp_path, capsys):
    assert main(["--preset", "smoke", "--out", str(tmp_path / "no" / "found.json")]) == 2
    assert capsys.readouterr().err.startswith("experiments: --out must be a file in a folder that exists")


def fails():
    raise OSError("planted")


def dies():
    os._exit(3)


def test_an_error_in_a_unit_ends_the_run():
    said = []
    with pytest.raises(ValueError, match="two must run to its end, did not: OSError: planted"):
        apart([("one", list), ("two", fails), ("three", list)], 1, said.append)
    assert said == ["one done, 2 of 3 left"]
    with pytest.raises(ValueError, match="four must run to its end, did not: was killed"):
        apart([("four", dies)], 1, said.append)


def test_names_of_units_depend_on_all_that_enters():
    base = PRESETS["small"]
    names = {key(base), key(replace(base, seeds=(0,))), key(replace(base, dense=replace(base.dense, rate=1e-9))),
             key(replace(base, base=Variant(experts=2)))}  # fmt: skip
    assert len(names) == 4
    assert key(base) == key(copy.deepcopy(base))


@given(st.sampled_from(sorted(PRESETS)), st.integers(1, 5))
def test_experts_take_the_dense_steps_together(name, factor):
    assert PRESETS[name].times(factor).dense.steps == factor * PRESETS[name].dense.steps
    preset: Preset = PRESETS[name] if factor == 1 else PRESETS[name].times(factor)
    for variant in preset.variants():
        shards = [shard for seed, v, shard in jobs(preset) if v == variant and seed == preset.seeds[0]]
        assert shards == list(range(variant.experts))
        assert preset.share(variant.experts, 0).steps * variant.experts == preset.dense.steps


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6))
def test_an_interval_holds_its_mean_and_widens_with_spread(values):
    found = stat(values)
    assert found["low"] <= found["mean"] <= found["high"]
    assert found["values"] == values


def test_an_interval_is_students():
    quantile = 0.95 * (2 / (1 - 0.95**2)) ** 0.5  # of two degrees of freedom, in closed form
    assert stat([1.0, 2.0, 3.0])["high"] == pytest.approx(2 + quantile / 3**0.5, rel=gamma(np.float64, 16))
    assert less([{"a": 2.0}, {"a": 5.0}], [{"a": 1.0}, {"a": 4.0}])["a"]["high"] == 1.0
    assert merged([[{"a": 1.0}], [{"a": 3.0}]])[0]["a"]["mean"] == 2.0


def test_the_terms_add_up_and_a_wrong_router_breaks_the_identity():
    rng = np.random.default_rng(0)
    each, shares, own = rng.uniform(0, 9, (3, 20)), np.array([0.2, 0.3, 0.5]), rng.integers(0, 3, 20)
    joint = shares[:, None] * np.exp(-each)
    mixed, after = -np.log(joint.sum(0)), np.log(joint / joint.sum(0))
    dense = rng.uniform(0, 9, 20)
    found = account(dense, each, {"filter": mixed}, own)
    gap = np.abs(found["filter: gap"] - found["expert term"] - found["filter: router term"])
    assert gap.max() <= gamma(np.float64, 4) * (mixed + dense + 2 * found["own expert"]).max()
    bound = gamma(np.float64, 64) * (1 + each.max())
    assert c12_residual(mixed, each, after, shares, own) <= bound
    others = c12_residual(mixed, each, after, shares[::-1], own)  # omega of other experts: off by log(0.5 / 0.2)
    assert abs(others - np.log(2.5)) <= bound


def test_a_bound_that_is_too_small_is_seen(smoke, monkeypatch):
    run = Run(PRESETS["smoke"], smoke[0] / "work")
    rows = run.rows("test")[:12]
    experts, partition = run.experts(run.preset.base, 0), run.partition(run.preset.base, 0)
    seen = by_row(run.rows("test"), run.features("pixels", "test"))[: len(rows)]
    asked, own = Asked(run.data["test"], rows, experts[0]), partition.assign(seen)
    rule = terms.rules(partition, run.features("pixels", "train"), seen, 0.05)["soft"]
    central = terms.dense_laws(run.experts(None, 0)[0], asked)
    found = terms.bounds(central, rule, experts, asked, own, soft=True)
    assert found["rows beyond the bound"] == 0
    slack = gamma(np.float64, 8 * central.shape[-1])  # of sums over the vocabulary, for laws of sum one
    assert found["tv"] <= found["tv bound"] + slack
    assert found["tv bound"] <= found["tv router term"] + found["tv expert term"] + slack
    monkeypatch.setattr(terms, "mixture_tv_bound", lambda *laws: 0.0)
    assert terms.bounds(central, rule, experts, asked, own, soft=True)["rows beyond the bound"] == len(rows)


def test_a_router_that_knows_pays_nothing():
    own = np.array([0, 1, 1, 2])
    router = np.full((3, 4), 1e-12)
    router[own, range(4)] = 1 - 2e-12
    found = learned_term(router, own)
    paid = -np.log1p(-2e-12)
    assert abs(found["CE(router)"] - paid) <= gamma(np.float64, 8)  # of a sum of weights one
    assert abs(found["router term"] - (found["H(K)"] - paid)) <= gamma(np.float64, 8) * (1 + found["H(K)"])


def test_only_rows_that_change_their_expert_change():
    partition = Partition(centroids=np.eye(3))
    seen = np.array([[1.0, 0.2, 0], [0, 1.0, 0.3], [0.1, 0, 1.0], [1.0, 0, 0.4]])
    nats = np.arange(12.0).reshape(3, 4)
    found = evaluation.dropping(partition, seen, nats, 0)
    assert found == {"share": 0.5, "nats": (4.0 + 8.0) / 4}  # rows 0 and 3 go to experts 1 and 2
    more = evaluation.with_center(partition, np.array([[1.0, 1.0, 0], [2.0, 2.0, 0]]))
    assert more.centroids[3] == pytest.approx([0.5**0.5, 0.5**0.5, 0], rel=gamma(np.float32, 8))


def test_tables_are_written_of_any_result(smoke, tmp_path):
    place, found = smoke
    for name, rule in (("tables.md", "\n|---"), ("tables.tex", r"\toprule")):
        words = ["--tables", str(place / "found.json"), "--out", str(tmp_path / name)]
        assert main(words) == 0
        assert (tmp_path / name).read_text().count(rule) == len(report.tables(found))


def test_a_run_is_kept():
    assert "budget" in KEPT["multimodal"]


@pytest.mark.parametrize("name", sorted(name for name, kept in KEPT.items() if "budget" in kept))
def test_a_kept_result_is_of_a_preset_of_three_seeds_and_holds_the_bounds(name):
    kept = KEPT[name]
    assert kept["preset"] in [json.loads(json.dumps(asdict(preset))) for preset in PRESETS.values()]
    assert len(kept["preset"]["seeds"]) >= 3
    assert kept["c12"]["residual"] <= kept["c12"]["bound"]
    assert all(held["rows beyond the bound"]["mean"] == 0 for held in kept["bounds"].values())
