"""Objects show themselves; pictures and tables say what the rooms below say."""

import importlib.util

import numpy as np
import pytest

from ddfm_theory import exploring, showing
from ddfm_theory.arrays import gamma
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.ledger import CLAIMS, Check, Witness
from ddfm_theory.ledger.families import exact, two_coins
from ddfm_theory.partition import spherical_balanced_kmeans
from ddfm_theory.schedulers import Autoregressive, Cosine, Given, Linear, PerPosition, Steps, Windowed
from ddfm_theory.schedulers.picture import picture
from ddfm_theory.testing.adapters import from_table
from ddfm_theory.testing.parametrize import report
from proofs import derivations

DRAWN = [Linear(), Cosine(), Windowed(0.5), Autoregressive([1, 0]), PerPosition([Linear(), Cosine()]),
         Steps([[0, 0], [1, 0], [1, 1]])]  # fmt: skip


@pytest.mark.parametrize("scheduler", DRAWN, ids=repr)
def test_schedulers_plot(scheduler):
    first = scheduler._repr_svg_()
    assert "<svg" in first
    assert first == scheduler._repr_svg_()  # equal input, equal bytes


def test_a_schedule_without_a_time_or_numbers_is_not_drawn():
    import sympy

    k = sympy.Symbol("k")
    for scheduler in (Given(0.5), Given(k, 1), Steps([[0, 0], [k, 0], [1, 1]])):
        assert scheduler._repr_svg_() is None
        with pytest.raises(ValueError, match="scheduler must have numbers over time"):
            picture(scheduler)


def test_without_matplotlib_nothing_is_drawn(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    assert Linear()._repr_svg_() is None
    with pytest.raises(ValueError, match="matplotlib must be installed"):
        showing.bars({"law": [1.0]}, ["0"])


@pytest.mark.parametrize("claim", CLAIMS)
def test_claims_and_derivations_render(claim):
    card = CLAIMS[claim]._repr_markdown_()
    assert f"**{claim}, {CLAIMS[claim].title}.**" in card
    assert f"$$\n{CLAIMS[claim].statement}\n$$" in card
    for derivation in derivations(claim):
        assert derivation._repr_markdown_().startswith(f"**{claim}, {derivation.title}.**")


def test_records_become_tables():
    assert "<td>1/2 &lt; 1</td>" in Check("C08", "exact", "fails", 3, "1/2 < 1")._repr_html_()
    assert "<td>3/4</td>" in Witness("C08", "dropped", "fails", "here", "3/4", "1", "1/4", "1/4", "holds")._repr_html_()
    answers = report(from_table("t", [[0.5, 0.5], [0.25, 0.75]], [0.5, 0.5]))
    html = answers._repr_html_()
    assert all(f"<td>{name}</td>" in html for name in answers)
    with pytest.raises(ValueError, match="items must hold at least one record"):
        showing.records([])


def test_partitions_become_tables():
    features = np.random.default_rng(0).normal(size=(12, 3))
    parted = spherical_balanced_kmeans(features, 3, seed=0)
    assert parted._repr_html_().count("<td>4</td>") == 3
    mismatch = parted.mismatch(features)
    assert f"{mismatch.share:.2%} of 12 rows differ" in mismatch._repr_html_()


def test_a_table_in_three_forms():
    table = showing.table({"a|b": [1, 0.25], "c": ["<x>", exact("1/2")[()]]}, "below")
    assert table._repr_html_().count("<td>") == 4
    assert "&lt;x&gt;" in table._repr_html_()
    assert r"| a\|b | c |" in table._repr_markdown_()
    assert str(table).splitlines() == ["a|b   c", "1     <x>", "0.25  1/2", "below"]
    with pytest.raises(ValueError, match="columns must be of one length"):
        showing.table({"a": [1], "b": []})


def test_by_state_leaves_out_what_is_never_charged():
    found = exploring.by_state({"q": exact([["1/2", 0], [0, "1/2"]])})
    assert [row[0] for row in found.rows] == ["00", "11"]
    assert exploring.word((0, 2, 1), mask=2) == "0m1"


def test_gaps_name_the_planted_error():
    velocity = two_coins(2).velocity(Linear(), exact("1/3")[()])
    assert exploring.gaps(velocity, velocity).rows == []
    wrong = velocity.copy()
    wrong[0, 2, 1, 0] += exact("1/7")[()]
    found = exploring.gaps(wrong, velocity, mask=2)
    assert [row[:3] for row in found.rows] == [["0m", "2", "0"]]
    assert found.rows[0][-1] == "1/7"


def test_routing_rules_have_the_laws_that_the_ledger_states():
    coins = two_coins(2)
    laws = exploring.routing_laws(coins)
    truth = coins.central.target
    right = {rule: bool((law == truth).all()) for rule, law in laws.items()}
    assert right == {"posterior": True, "an expert drawn once": True, "omega at every token": False,
                     "top-1 of the posterior": False}  # fmt: skip
    both = exploring.routing_laws(coins, left=2)["top-2 of the posterior"]
    assert bool((both == truth).all())
    assert exploring.routing_errors([coins], ["two"]).rows[2] == ["omega at every token", "1/8"]  # C13's control


def test_the_filter_path_is_the_posterior():
    path = exploring.filter_path(two_coins(3), (0, 0, 1))
    assert [str(r) for r in path[0]] == ["1/2", "3/4", "9/10", "3/4"]


def test_autoregression_by_windows_is_exact():
    target = np.random.default_rng(1).dirichlet(np.ones(8)).reshape(2, 2, 2)
    assert float(exploring.sampler_error(target, Windowed(0.0), 6)) <= gamma("float64", 8 * 64)
    assert float(exploring.sampler_error(target, Windowed(1.0), 6)) > 0.01


def test_pictures_take_every_enumerated_coupling():
    masked = MaskedCoupling(exact([["1/2", 0], [0, "1/2"]]))
    joint = Coupling.independent([0.8, 0.1, 0.1], [0.1, 0.2, 0.7])
    drawings = [
        exploring.path_curves(masked, Linear()),
        exploring.path_on_simplex(joint, {"linear": Linear()}, 0.5),
        exploring.velocity_bars(masked, Linear(), 0.5, (2, 2)),
        exploring.mixture_bars(two_coins(2), Linear(), 0.5, (0, 2), 1),
        exploring.filter_curves(two_coins(2), (0, 1)),
        exploring.error_curves(np.full((2, 2), 0.25), {"linear": Linear()}, [1, 2]),
        exploring.window(np.full((2, 2), 0.25), 0.5, 2),
    ]
    assert all(drawing._repr_svg_().count("<svg") == 1 for drawing in drawings)
    with pytest.raises(ValueError, match="coupling must have one position and three tokens"):
        exploring.path_on_simplex(masked, {"linear": Linear()}, 0.5)


def test_sliders_draw_and_do_without_widgets(monkeypatch):
    target = np.full((2, 2), 0.25)
    slider = exploring.slide(exploring.window, target, overlap=(0.0, 1.0, 0.5), steps=[1, 2])
    assert [type(child).__name__ for child in slider.children[:2]] == ["FloatSlider", "Dropdown"]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ipywidgets" else find(name))
    plain = exploring.slide(exploring.window, target, overlap=(0.0, 1.0, 0.5), steps=[1, 2])
    assert plain == exploring.window(target, 0.0, 1)
