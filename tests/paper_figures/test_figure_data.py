"""Data of figures: what is missing is named, what is computed is what is kept, captions are filled in; the command."""

import ast
import importlib.util
import inspect
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from figure_help import ENTRIES, at, figure_of, places
from kept_digits import half
from matplotlib.figure import Figure
from typer.testing import CliRunner

from ddfm_theory.cli import app
from paper_figures.build import FORMATS, build
from paper_figures.data import DIGITS, FOLDER, computed, names, written
from paper_figures.data.__main__ import main, slow
from paper_figures.entries import entries_named
from paper_figures.figures.dense_against_experts import KINDS
from paper_figures.figures.router_and_experts import objective
from paper_figures.figures.wrong_routers import power
from paper_figures.records import Record, checked, numbers, read

KEPT = 10.0 ** (1 - DIGITS)  # a unit of the last digit kept, of a number of size one


def used(name, data):
    """Make of data what they are for."""
    entry = ENTRIES[name]
    if entry.tabulate:
        entry.tabulate(data)
        return
    entry.caption(data)
    entry.draw(Figure(), data)


class Watched(Record):
    """Data that keep count of what is looked up in them."""

    def __init__(self, values, place, looked):
        super().__init__({key: watched(inner, f"{place}.{key}", looked) for key, inner in values.items()}, place)
        self.looked = looked

    def __getitem__(self, key):
        self.looked.append((self, key))
        return super().__getitem__(key)


def watched(value, place, looked):
    """Return data whose every look-up is kept in a list."""
    if isinstance(value, dict):
        return Watched(value, place, looked)
    if isinstance(value, list):
        return [watched(inner, f"{place}[{i}]", looked) for i, inner in enumerate(value)]
    return value


@pytest.mark.parametrize("name", ENTRIES)
def test_a_missing_key_is_named(name):
    """Of what is looked up, take away some, one at a time: in the first rows and in the last."""
    looked = []
    data = watched(ENTRIES[name].data(), "data", looked)
    used(name, data)
    several = [looked[int(share * (len(looked) - 1))] for share in (0, 0.5, 1)]
    for record, key in several:
        kept = record.pop(key)
        with pytest.raises(ValueError, match=rf"{re.escape(key)}|must hold"):
            used(name, data)
        record[key] = kept


@pytest.mark.parametrize("name", ENTRIES)
def test_a_nan_is_refused_with_its_place(name):
    plain = json.loads(json.dumps(ENTRIES[name].data()))
    place = next((p for p in places(plain) if isinstance(at(plain, p), float)), None)
    if place is None:
        plain["seed"], place = float("nan"), ("seed",)
    else:
        at(plain, place[:-1])[place[-1]] = float("nan")
    with pytest.raises(ValueError, match=r"must be finite, was nan") as refused:
        used(name, plain)
    assert str([key for key in place if isinstance(key, str)][-1]) in str(refused.value)


def test_words_for_numbers_and_torn_arrays_are_refused():
    record = checked({"a": ["x", "y"], "b": [[1, 2], [3]], "c": []})
    for key in record:
        with pytest.raises(ValueError, match=rf"data\.{key} must be numbers"):
            record.array(key)
    with pytest.raises(ValueError, match=r"data\.d must be"):
        checked({"d": object()})
    with pytest.raises(ValueError, match=r"data\[1\] must be"):
        checked([1, None])
    with pytest.raises(ValueError, match="a JSON file that can be read"):
        read("paper_figures/data/none.json")
    assert numbers([[1, 2], [3, 4]], "x").shape == (2, 2)


def test_parallel_to_autoregressive_has_the_known_values():
    data = ENTRIES["parallel_to_autoregressive"].data()
    linear = dict(zip(data["steps"], data["by_steps"][-1]["tv"], strict=True))
    known = {2: "0.182936", 4: "0.093496", 8: "0.047255", 16: "0.023754", 32: "0.011909", 64: "0.005962"}
    assert data["by_steps"][-1]["overlap"] == 1
    assert {steps: f"{linear[steps]:.6f}" for steps in known} == known
    caption = ENTRIES["parallel_to_autoregressive"].caption(data)
    assert all(value in caption for value in known.values())
    alone = dict(zip(data["steps"], data["by_steps"][0]["tv"], strict=True))
    assert data["by_steps"][0]["overlap"] == 0
    assert {steps for steps, tv in alone.items() if tv == 0} == {n for n in alone if n % data["length"] == 0}
    for row in data["by_steps"]:
        assert all(tv <= bound for tv, bound in zip(row["tv"], row["bound"], strict=True))


def test_the_data_say_what_the_theory_says():
    mixture = ENTRIES["velocities_of_experts"].data()
    assert mixture["difference"] == "0"
    assert mixture["difference_static"] > 0.1
    for kind in ENTRIES["objective_along_sequence"].data()["kinds"].values():
        total, experts, router = (kind.array(key) for key in ("total", "experts", "router"))
        assert abs(total - experts - router).max() <= 2 * KEPT * total.max()
    routers = ENTRIES["wrong_routers"].data()
    assert all(max(row[0] for row in routers["apart"].array(rule)) < KEPT for rule in ("static", "top-1"))
    assert abs(power(routers, "static") - 1) < 0.1
    assert abs(power(routers, "top-1") - 0.5) < 0.1
    for pairs in ENTRIES["errors_against_bounds"].data()["pairs"].values():
        assert (pairs.array("error") <= pairs.array("bound") * (1 + 2 * KEPT)).all()


def test_what_experts_and_router_account_for_is_the_whole_gap():
    """Where the bars end a mark stands (C12), or before it (C14), to the digits that are kept."""
    one, two, three = figure_of("router_and_experts").axes
    for ax in (one, two):
        marks = ax.lines[0].get_xdata()
        starts, ends = (ax.patches[: len(marks)], [bar.get_x() + bar.get_width() for bar in ax.patches[len(marks) :]])
        for mark, start, end in zip(marks, starts, ends, strict=True):
            assert end - start.get_width() >= -half(end, start.get_width())
            assert mark <= end + half(mark, end, start.get_width())
            assert ax is two or end <= mark + half(mark, end, start.get_width())
    small, digits = ENTRIES["router_and_experts"].data()["small"], 10 * half(10.0)  # terms are nats below a hundred
    for kind, experts in itertools.product(KINDS, small["sizes"]["experts"]):
        lost, back, left, prior = objective(small, kind, experts)
        assert abs(lost - back + prior - left) <= digits
    marks = [y for line in three.lines if line.get_marker() == "o" for y in line.get_ydata()]
    wide, narrow = (
        [bar.get_height() for bar in three.patches if (bar.get_width() > 0.2) == way] for way in (True, False)
    )
    assert np.abs(np.add(wide, narrow) - marks).max() <= 2 * digits


def test_slow_data_are_whole():
    filtered = read("paper_figures/data/filter_on_generation.json")
    for found in filtered["texts"].values():
        weights = found.array("weight_on_own")
        assert weights.shape == (filtered["sizes"]["prompts"], filtered["sizes"]["new_tokens"])
        assert (weights[:, 0] == 1 / len(filtered["texts"])).all()
        assert ((weights >= 0) & (weights <= 1)).all()
    digits = read("paper_figures/data/partition_of_digits.json")
    labels, routed = digits.array("labels"), digits.array("routed")
    sizes = [(labels == k).sum() for k in range(digits["experts"])]
    assert sum(sizes) == digits["rows"]
    assert max(sizes) - min(sizes) <= 1
    assert abs((labels != routed).mean() - digits["share_differing"]) <= KEPT
    ledger = read("paper_figures/data/ledger.json")
    assert [claim["id"] for claim in ledger["claims"]] == [f"C{i:02d}" for i in range(1, 23)]


@pytest.mark.parametrize("name", [name for name in names() if not slow(name)])
def test_committed_data_are_what_is_computed(name):
    """Equal but for the last digit kept, and for the machine."""
    kept, fresh = json.loads((FOLDER / f"{name}.json").read_text()), json.loads(written(computed(name)))
    for data in (kept, fresh):
        data.pop("machine")
    assert list(differences(kept, fresh)) == []


def differences(kept, fresh, place="data"):
    """Yield the places where data differ by more than the last digit kept."""
    if type(kept) is not type(fresh) or (isinstance(kept, (dict, list)) and len(kept) != len(fresh)):
        yield place
    elif isinstance(kept, (dict, list)):
        for key in kept if isinstance(kept, dict) else range(len(kept)):
            yield from differences(kept[key], fresh[key], f"{place}.{key}")
    elif kept != fresh and not (isinstance(kept, float) and abs(kept - fresh) <= 2 * KEPT * max(1.0, abs(kept))):
        yield place


def test_differences_are_seen():
    assert list(differences({"a": [1.0, 2.0]}, {"a": [1.0, 2.0 + 1e-6]})) == ["data.a.1"]
    assert list(differences({"a": [1.0]}, {"a": [1]})) == ["data.a.0"]
    assert list(differences({"a": 1.0}, {"a": 1.0 + KEPT})) == []


LEAVES = [(name, int if "ledger" in str(entry.source) else float) for name, entry in ENTRIES.items()]


@pytest.mark.parametrize(("name", "kind"), LEAVES)
def test_numbers_are_filled_in_and_never_typed(name, kind):
    """No decimal stands in the words of a caption, and it changes when the data do."""
    make = ENTRIES[name].caption or ENTRIES[name].tabulate
    assert [words for words in words_of(make.__wrapped__) if re.search(r"\d+\.\d+|\b\d{3,}\b", words)] == []
    data = ENTRIES[name].data()
    assert make(changed(data, kind)) != make(data)


def words_of(function):
    """Yield the texts that stand in a function, what is filled in left out."""
    tree = ast.parse(inspect.getsource(function)).body[0]
    filled = {id(part) for node in ast.walk(tree) if isinstance(node, ast.FormattedValue) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in filled:
            yield node.value


def changed(value, kind):
    """Return data whose numbers of a kind are others."""
    if isinstance(value, dict):
        return {key: changed(inner, kind) for key, inner in value.items()}
    if isinstance(value, list):
        return [changed(inner, kind) for inner in value]
    return 3 * value + kind(value > 0) if type(value) is kind else value


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format(kind, tmp_path):
    if kind == "pgf" and shutil.which("pdflatex") is None:
        pytest.skip("pgf needs pdflatex, which is not installed")
    build(["paths_on_simplex"], "neurips", kind, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"paths_on_simplex.{kind}", "paths_on_simplex.tex"}


def test_pgf_without_latex_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(app, ["figures", "wrong_routers", "--format", "pgf", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "format pgf needs pdflatex" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["guess"], "name must be one of"),
        (["--venue", "guess"], "venue must be one of"),
        (["--format", "bmp"], "format must be one of"),
        (["--out", "no/such/folder"], "out must be a folder"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, words):
    done = CliRunner().invoke(app, ["figures", *arguments])
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_command_says_which_extra_it_needs(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tueplots" else find(name))
    done = CliRunner().invoke(app, ["figures"])
    assert done.exit_code == 2
    assert "tueplots is not installed; this command needs a checkout and the extra figures" in done.stderr


def test_unknown_data_are_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["data", "guess"])
    assert main() == 2
    assert "name must be one of" in capsys.readouterr().err


def test_the_command_builds_what_is_named(tmp_path):
    arguments = ["paths_on_simplex", "--venue", "iclr", "--format", "svg", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["figures", *arguments])
    assert done.exit_code == 0, done.stderr
    assert [Path(line).name for line in done.stdout.split()] == ["paths_on_simplex.svg", "paths_on_simplex.tex"]


def test_names_are_taken_once_in_their_order():
    twice = ["wrong_routers", "paths_on_simplex", "wrong_routers"]
    assert [entry.name for entry in entries_named(twice)] == twice[:2]
    assert [entry.name for entry in entries_named([])] == list(ENTRIES)
