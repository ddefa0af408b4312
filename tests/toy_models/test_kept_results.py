"""What the theory says, held on the results that are kept; README shows them; a run is its seeds."""

import itertools
import json
import shutil
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from kept_digits import half

from toy_models import experiment, report
from toy_models.__main__ import main
from toy_models.experiment import EVERY, Drawn, run
from toy_models.flows import measured, of_couplings
from toy_models.intervals import across_seeds
from toy_models.measures import distances, true_terms
from toy_models.presets import KINDS, PRESETS
from toy_models.records import rounded
from toy_models.report import chosen, different, every_table, filled, tables
from toy_models.tabular import learn
from toy_models.targets import draw, merged

FAR = ("tv", "to_central")
HERE = Path(report.__file__).parent
SMALL = PRESETS["small"]
MOST, LARGEST = max(SMALL.samples), max(SMALL.experts)


@pytest.fixture(scope="module")
def kept():
    return json.loads((HERE / "results" / "small.json").read_text(encoding="utf-8"))


def every_routed(kept):
    return [row for name in ("rows", "grids", "exact", "transformers") for row in kept[name] if row["model"] != "dense"]


def mean(rows, key="tv"):
    return float(np.mean([row[key] for row in rows]))


def paired(rows, others):
    """The differences of two models' errors, a seed."""
    by_seed = {row["seed"]: row["tv"] for row in others}
    return [row["tv"] - by_seed[row["seed"]] for row in rows]


def order_of(kept, kind, which):
    return sorted(different(chosen(every_table(kept), kind=kind), "order"))[which]


def test_everything_that_was_to_be_run_is_there(kept):
    for kind, seed in itertools.product(KINDS, SMALL.seeds):
        for experts in SMALL.experts:
            rows = chosen(every_table(kept), kind=kind, seed=seed, experts=experts)
            assert set(different(rows, "samples")) == set(SMALL.samples)
            assert set(different(chosen(rows, samples=MOST), "model")) == {"dense", *EVERY}
    last = chosen(kept["transformers"], step=SMALL.training.steps)
    assert len(last) == len(KINDS) * SMALL.few * (1 + len(EVERY) * len(SMALL.experts))
    assert {row["steps"] for row in kept["flows"]} == set(SMALL.steps)
    assert kept["sizes"]["seeds"] == list(SMALL.seeds)
    assert kept == rounded(kept)


def test_the_terms_of_c12_add_up(kept):
    truth = {(row["kind"], row["seed"], row["experts"]): row for row in kept["targets"]}
    for row in truth.values():
        assert (
            abs(row["H(X)"] - row["H(X|K)"] - row["I(X;K)"]) <= half(row["H(X)"], row["H(X|K)"], row["I(X;K)"]) * 1.01
        )
    seen = 0
    for row in chosen(every_routed(kept), model="bayes"):
        terms = [row[f"c12_{name}"] for name in ("loss", "experts", "prior", "router")]
        if None not in terms:
            loss, experts, prior, router = terms
            assert abs(loss - experts - prior + router) <= half(*terms) * 1.01
            entropy = truth[row["kind"], row["seed"], row["experts"]]["H(X)"]
            assert abs(row["kl"] - (loss - entropy)) <= half(row["kl"], loss, entropy) * 1.01
            seen += 1
    assert seen > 200


def test_c14_bounds_every_error(kept):
    slack = 1e-5  # six digits of numbers below ten
    for row in every_routed(kept):
        assert row["tv"] <= row["c14_router"] + row["c14_experts"] + slack
        if row["model"] == "bayes":
            assert row["tv"] <= row["bound_c14"] + slack
        if row["c14_kl_router"] is not None and row["c14_kl_experts"] is not None:
            assert row["kl"] <= row["c14_kl_router"] + row["c14_kl_experts"] + slack


@pytest.mark.parametrize("kind", KINDS)
def test_parity_where_a_table_can_hold_the_mixture(kept, kind):
    """With all tokens in view and many samples experts are as good as dense, whatever K: to a tenth of its error."""
    rows = chosen(every_table(kept), kind=kind, order=order_of(kept, kind, -1), samples=MOST)
    dense = chosen(rows, model="dense", experts=1)
    for experts in SMALL.experts:
        less = paired(chosen(rows, model="bayes", experts=experts), dense)
        assert abs(np.mean(less)) < 0.1 * mean(dense)
        apart = paired(chosen(rows, model="static", experts=experts), dense)
        assert np.mean(apart) > 0.05


@pytest.mark.parametrize("kind", ["overlapping", "nested", "grid"])
def test_no_parity_where_a_table_cannot_hold_the_mixture(kept, kind):
    """A short memory holds a cluster and no mixture: dense stays, experts gain with K, one a cluster wins."""
    rows = chosen(every_table(kept), kind=kind, order=order_of(kept, kind, 0))
    dense = {n: mean(chosen(rows, model="dense", experts=1, samples=n)) for n in SMALL.samples}
    assert dense[MOST] > 0.5 * dense[min(SMALL.samples)]
    errors = [dense[MOST], *(mean(chosen(rows, model="bayes", experts=k, samples=MOST)) for k in SMALL.experts)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * errors[0]


def test_disjoint_clusters_need_no_memory_of_the_cluster_but_a_router(kept):
    """Every token tells the cluster: a short memory is enough for dense and experts alike."""
    rows = chosen(every_table(kept), kind="disjoint", order=order_of(kept, "disjoint", 0), samples=MOST)
    dense, routed = (mean(chosen(rows, model=model, experts=LARGEST)) for model in ("dense", "bayes"))
    assert dense < 0.01
    assert abs(routed - dense) < 0.1 * dense
    assert mean(chosen(rows, model="static", experts=LARGEST)) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_static_priors_error_does_not_vanish_with_samples(kept, kind):
    """It goes to that of the true experts under the prior, while under the filter the error goes to zero."""
    rows = chosen(every_table(kept), kind=kind, order=order_of(kept, kind, 0), experts=LARGEST)
    floor = mean(chosen(kept["exact"], kind=kind, model="static", experts=LARGEST))
    few, many = min(SMALL.samples), MOST
    static = {n: mean(chosen(rows, model="static", samples=n)) for n in (few, many)}
    routed = {n: mean(chosen(rows, model="bayes", samples=n)) for n in (few, many)}
    assert static[many] > 0.1
    assert routed[many] < 0.1 * routed[few]
    assert routed[many] < 0.1 * static[many]
    if kind in ("overlapping", "grid"):
        assert abs(static[many] - floor) < 0.1 * floor
    else:  # true experts that are trusted off their support fall silent, and the law loses mass; learned ones speak
        assert static[many] > floor


def test_on_true_experts_only_the_filter_is_exact(kept):
    for row in kept["exact"]:
        assert row["c14_experts"] == 0
        if row["model"] in ("bayes", "true"):
            assert row["tv"] < 1e-12
    for rule in ("cosine", "top-1", "static"):
        assert min(row["tv"] for row in chosen(kept["exact"], model=rule, kind="overlapping")) > 0.05
    for kind, rule in itertools.product(("disjoint", "nested"), ("last token", "static")):
        silent = chosen(kept["exact"], kind=kind, model=rule, experts=LARGEST)
        order = order_of(kept, kind, 0)
        spoken = chosen(every_table(kept), kind=kind, order=order, model=rule, samples=MOST, experts=LARGEST)
        assert mean(silent) < mean(spoken)
    learned = chosen(kept["exact"], model="learned", experts=LARGEST)
    cosine = chosen(kept["exact"], model="cosine", experts=LARGEST)
    assert mean(chosen(learned, kind="overlapping")) < 0.1 * mean(chosen(cosine, kind="overlapping"))


def test_transformers_learn_along_training_and_experts_are_ahead(kept):
    steps = SMALL.training.checkpoints
    for kind in KINDS:
        rows = chosen(kept["transformers"], kind=kind)
        for experts in (1, *SMALL.experts):
            mine = chosen(rows, experts=experts, model="dense" if experts == 1 else "bayes")
            assert mean(chosen(mine, step=steps[-1])) < mean(chosen(mine, step=steps[0]))
        last = chosen(rows, step=steps[-1])
        dense, routed = chosen(last, model="dense"), chosen(last, model="bayes", experts=LARGEST)
        for experts in SMALL.experts:  # ahead beyond the interval where they are said to be, and nowhere else
            less = across_seeds(paired(chosen(last, model="bayes", experts=experts), dense))
            ahead = kind in ("overlapping", "nested") or (kind == "grid" and experts == LARGEST)
            assert (less["high"] < 0) is ahead, (kind, experts)
            assert less["low"] < 0
        assert mean(routed) < mean(chosen(last, model="static", experts=LARGEST))
        assert mean(chosen(last, model="learned", experts=LARGEST)) < mean(routed)  # the filter has the experts' errors


def test_central_and_mixed_velocities_of_exact_experts_agree_at_every_number_of_steps(kept):
    """C08: one curve; the static mixture has another, and does not come down."""
    rows = chosen(kept["flows"], learner="exact")
    key = ("kind", "seed", "overlap", "steps")
    central = {tuple(row[k] for k in key): row["tv"] for row in chosen(rows, model="central")}
    for row in chosen(rows, model="bayes"):
        assert row["to_central"] < 1e-14
        assert abs(row["tv"] - central[tuple(row[k] for k in key)]) < max(1e-14, half(row["tv"]) * 2.01)
    for row in chosen(rows, model="static"):
        assert row["steps"] == 1 or row["tv"] > 0.05


def test_a_flows_error_falls_with_steps_to_what_its_posterior_has_not_learned(kept):
    for kind, overlap in itertools.product(different(kept["flows"], "kind"), different(kept["flows"], "overlap")):
        rows = chosen(kept["flows"], kind=kind, overlap=overlap)
        exact = [mean(chosen(rows, learner="exact", model="bayes", steps=t)) for t in SMALL.steps]
        assert all(b <= a + 1e-14 for a, b in itertools.pairwise(exact))
        assert exact[-1] < 0.06 * exact[0]
        table = {m: mean(chosen(rows, learner="table", model=m, steps=SMALL.steps[-1])) for m in ("central", "bayes")}
        assert abs(table["bayes"] - table["central"]) < 0.05 * table["central"]
        nets = {row["model"] for row in chosen(rows, learner="network")}
        last = {m: mean(chosen(rows, learner="network", model=m, steps=SMALL.steps[-1])) for m in nets}
        assert last["true router"] < last["learned router"] < last["central"] < last["static"]


def test_one_position_at_a_time_is_exact_where_the_length_divides_the_steps(kept):
    """C20 at overlap 0: four positions, steps a multiple of four; six positions, 8 steps are no multiple of six."""
    rows = chosen(kept["flows"], learner="exact", model="bayes", overlap=0.0)
    for row in chosen(rows, kind="overlapping"):
        assert (row["tv"] < 1e-14) == (row["steps"] % 4 == 0)
    assert min(row["tv"] for row in chosen(rows, kind="grid")) > 1e-6


def test_the_negative_elbo_is_the_entropy_of_exact_posteriors_and_above_it_of_others(kept):
    for row in kept["flow_losses"]:
        if row["learner"] == "exact" and row["model"] != "static":
            assert row["elbo"] == row["H(X)"]
        else:
            assert row["elbo"] > row["H(X)"]


def test_the_kept_result_is_what_the_code_gives(kept):
    """A sample of it: the terms of two targets, and the tables of one at the fewest samples."""
    for kind in ("overlapping", "grid"):
        for row in chosen(kept["targets"], kind=kind, seed=SMALL.seeds[-1]):
            found = true_terms(merged(SMALL.targets.draw(kind, row["seed"]), row["experts"]))
            assert all(abs(found[name] - row[name]) <= 2 * half(row[name]) + 1e-14 for name in found)
    target, few = SMALL.targets.draw("overlapping", 0), min(SMALL.samples)
    rows, clusters = draw(target, few, 0)
    mine = chosen(kept["rows"], kind="overlapping", seed=0, samples=few, order=1)
    dense = distances(target.central.target, learn(rows, target.central.vocabulary, 1))
    assert rounded(dense["tv"]) == chosen(mine, model="dense")[0]["tv"]
    drawn = Drawn(target, 2, 1, rows, clusters)
    for row in drawn.judged(drawn.tables(1)):
        kept_row = chosen(mine, model=row["model"], experts=2)[0]
        slack = 1e-3 if row["model"] == "learned" else 1.01 * half(kept_row["tv"])  # an optimizer stops where it may
        assert abs(row["tv"] - kept_row["tv"]) <= slack
    flow = SMALL.flow_targets.draw("overlapping", 0)
    found, _ = measured(flow, list(of_couplings("exact", flow.central, flow)), [Fraction(1, 2)], [2, 4])
    for row in found:
        due = chosen(kept["flows"], kind="overlapping", seed=0, **{key: row[key] for key in row if key not in FAR})
        assert abs(row["tv"] - due[0]["tv"]) <= 1.01 * half(due[0]["tv"])


def test_readme_shows_the_kept_results():
    assert (HERE / "README.md").read_text("utf-8") == report.written(), "run python -m toy_models.report"


def test_a_stale_readme_is_seen_and_mended(monkeypatch, tmp_path, capsys):
    shutil.copytree(HERE / "results", tmp_path / "results")
    text = (HERE / "README.md").read_text("utf-8")
    monkeypatch.setattr(report, "HERE", tmp_path)
    start = text.index("<!-- training -->")
    (tmp_path / "README.md").write_text(text[:start] + text[start:].replace("0.", "1.", 1), "utf-8")
    assert report.main(["--check"]) == 1
    assert "README.md must show the kept results, does not" in capsys.readouterr().err
    assert report.main([]) == 0
    assert report.main(["--check"]) == 0
    assert (tmp_path / "README.md").read_text("utf-8") == text


def test_other_results_have_other_tables(kept):
    before = tables(kept)
    changed = {**kept, **{name: [{**row, "tv": row["tv"] + 0.5} for row in kept[name]]
                          for name in ("rows", "grids", "exact", "transformers", "flows")},
               "flow_losses": [{**row, "elbo": row["elbo"] + 0.5} for row in kept["flow_losses"]],
               "targets": [{**row, "I(X;K)": row["I(X;K)"] + 0.5} for row in kept["targets"]]}  # fmt: skip
    after = tables(changed)
    assert all(before[name] != after[name] for name in before)


@pytest.mark.parametrize("text", ["", "<!-- a --> <!-- a --> <!-- /a -->", "<!-- /a --> <!-- a -->"])
def test_missing_markers_are_refused(text):
    with pytest.raises(ValueError, match=r"text must hold <!-- a --> and <!-- /a --> once each"):
        filled(text, {"a": "b"})


def test_smoke_is_short_and_a_run_is_its_seeds(tmp_path, capsys, monkeypatch):
    """A second run, of one kind of clusters alone, gives the same rows: nothing leaks from what was run before."""
    start = time.process_time()
    assert main(["--preset", "smoke", "--out", str(tmp_path / "x.json")]) == 0
    assert time.process_time() - start < 20
    found = json.loads((tmp_path / "x.json").read_text())
    assert found == rounded(found)
    printed = capsys.readouterr().out
    assert all(table in printed for table in tables(found).values())
    monkeypatch.setattr(experiment, "KINDS", ("nested",))
    monkeypatch.setattr(experiment, "FLOW_KINDS", ("grid",))
    again = rounded(run("smoke"))
    for name in ("targets", "rows", "exact", "transformers"):
        assert again[name] == chosen(found[name], kind="nested")
    for name in ("flows", "flow_losses"):
        assert again[name] == chosen(found[name], kind="grid")


def test_what_cannot_be_run_is_said(tmp_path, capsys):
    with pytest.raises(ValueError, match="preset must be one of"):
        run("huge")
    assert main(["--preset", "smoke", "--out", str(tmp_path / "nowhere" / "x.json")]) == 2
    assert capsys.readouterr().err.startswith("--out must lie in a folder")
