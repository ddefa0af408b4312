"""``ddfm check`` on experts that the experiment trained: what is found, what is planted, what is kept and shown."""

import copy
import json
from pathlib import Path

import pytest

import toy_models
from ddfm_theory.bridge.check import CHECKS
from toy_models.multimodal import checking_report
from toy_models.multimodal.__main__ import main
from toy_models.multimodal.checking import CONTROL, ROUTERS, Checks, broken, due, wrong
from toy_models.multimodal.plan import PRESETS
from toy_models.multimodal.units import Run

pytestmark = pytest.mark.xdist_group("smoke")
KEPT = Path(toy_models.__file__).parent / "results" / "multimodal_check.json"


@pytest.fixture(scope="module")
def kept():
    return json.loads(KEPT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def checked(smoke, tmp_path_factory):
    """The check of the smoke preset's experts: their folder, the command, what it found."""
    work, out = smoke[0] / "work", tmp_path_factory.mktemp("check") / "found.json"
    words = ["check", "--preset", "smoke", "--work", str(work), "--out", str(out)]
    assert main(words) == 0
    return work, words, json.loads(out.read_text(encoding="utf-8"))


def test_every_ensemble_is_checked_and_the_control_fails(checked):
    _work, _words, found = checked
    preset = PRESETS["smoke"]
    assert [(one["router"], one["experts"], one["seed"]) for one in found["ensembles"]] == [
        (name, variant.experts, seed) for name, variant, seed in due(preset)
    ]
    control = found["ensembles"][-1]
    assert control["router"] == CONTROL
    assert {record["name"] for record in control["records"] if record["outcome"] == "fails"} == broken(control)
    assert broken(control) == {"filter against posterior"}  # answers are of one word
    assert broken({**control, "words": 4}) == {"filter against posterior", "factorization"}
    assert wrong(found) == []
    for one in found["ensembles"][:-1]:
        assert len(one["records"]) == len(CHECKS)
        assert one["rows"] == one["distance"]["all"]["tv"]["n"] == one["calibration"]["router_at_prompt"]["n"] > 0
    assert {"machine", "versions", "preset"} <= found.keys()


def test_what_is_not_as_the_theory_says_is_told(checked):
    found = copy.deepcopy(checked[2])
    found["ensembles"][0]["records"][1]["outcome"] = "fails"
    for record in found["ensembles"][-1]["records"]:
        record["outcome"] = "holds"
    assert len(wrong(found)) == 2
    assert wrong(found)[0] == "filter, K = 2, seed 0: mixture identity fails"


def test_a_check_goes_on_where_it_was_and_refuses_the_results_of_other_rows(checked, capsys):
    work, words, found = checked
    assert main(words) == 0
    again = json.loads(Path(words[-1]).read_text(encoding="utf-8"))
    for one, other in zip(found["ensembles"], again["ensembles"], strict=True):
        assert one["distance"] == other["distance"]
    rows = next((work / "check").glob("filter-*.out.jsonl"))
    rows.write_text(rows.read_text(encoding="utf-8").replace('"rows": ', '"rows": 1'), encoding="utf-8")
    assert main(words) == 2
    assert "out must be of the same run" in capsys.readouterr().err


def test_rows_name_their_expert_and_the_longest_answers_come_first(checked):
    checks = Checks(Run(PRESETS["smoke"], checked[0]))
    base = PRESETS["smoke"].base
    rows = [json.loads(line) for line in checks.rows(base, 0).read_text(encoding="utf-8").splitlines()]
    lengths = [len(row["answer"].split()) for row in rows]
    assert lengths == sorted(lengths, reverse=True)
    assert {row["expert"] for row in rows} == set(range(base.experts))
    assert all((checks.place / row["image"]).is_file() for row in rows)


def test_the_kept_checks_hold_on_experts_of_every_seed(kept):
    preset = PRESETS["small"]
    assert kept["preset"]["seeds"] == list(preset.seeds)
    seen = {(one["router"], one["experts"], one["seed"]) for one in kept["ensembles"]}
    assert seen == {(name, variant.experts, seed) for name, variant, seed in due(preset)}
    assert wrong(kept) == []
    for one in kept["ensembles"]:
        if one["router"] in ROUTERS:
            assert {record["outcome"] for record in one["records"]} == {"holds"}


def test_tables_show_what_is_kept(kept):
    shown = checking_report.sections(kept)
    assert shown["check conformance"].count("fails") == len(broken(kept["ensembles"][-1])) == 2
    planted = copy.deepcopy(kept)
    planted["ensembles"][0]["records"][0]["outcome"] = "undecided"
    assert "1 undecided, 2 holds" in checking_report.sections(planted)["check conformance"]
    for part in ("distance", "calibration"):
        one = planted["ensembles"][0][part]
        (one["all"]["tv"] if part == "distance" else one["router_at_prompt"])[
            "mean" if part == "distance" else "accuracy"
        ] += 1
        assert checking_report.sections(planted)[f"check {part}"] != shown[f"check {part}"]
