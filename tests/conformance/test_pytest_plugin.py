"""The suite as an outside package meets it: three lines, the option, the variable, expected failures, the header."""

import re
import sys

import pytest
from outside import pytest as run
from outside import python

from ddfm_theory.testing.systems import load

MINE = """
import numpy as np
from ddfm_theory.testing.adapters import from_functions
LAWS = np.array([[3/4, 1/4], [1/4, 3/4]])
experts = [lambda rows, k=k: np.tile(LAWS[k], (len(rows), 1)) for k in range(2)]
right = from_functions("coins", experts, [0.5, 0.5], vocabulary=2, length=3)
def static(rows):
    return np.full((2, len(rows)), 0.5)
def wrong():
    return from_functions("static coins", experts, [0.5, 0.5], vocabulary=2, length=3, router=static)
wrong_one = wrong()
def broken():
    raise RuntimeError("no weights")
"""
THREE_LINES = """
from mine import {name} as system
from ddfm_theory.testing.parametrize import conforms, parametrize_with_checks
@parametrize_with_checks([system])
def test_mine(system, check):
    conforms(system, check)
"""
VERDICT = """static coins fails check_filter
  claim      C10: the autoregressive router is a Bayes filter
  statement  the filter's step is Bayes' rule
  where      expert 0, prefix (0,)
  got        0.5
  expected   0.75
  off by     2.500e-01, where rounding may cost """
SNIPPET = """  repeat it with
    from ddfm_theory.testing.checks import check_filter
    from mine import wrong_one
    print(check_filter(wrong_one, examples=64, seed=0))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def suite(folder, *words, **variables):
    return run(folder, "--pyargs", "ddfm_theory.testing.suite", *words, **variables)


def test_three_lines_give_a_verdict(folder):
    (folder / "test_mine.py").write_text(THREE_LINES.format(name="right"))
    code, printed = run(folder, "test_mine.py")
    assert code == 0
    assert "9 passed, 7 skipped" in printed


def test_a_failing_system_gives_a_readable_verdict_without_the_plugin_too(folder):
    (folder / "test_mine.py").write_text(THREE_LINES.format(name="wrong_one"))
    code, printed = run(folder, "test_mine.py")
    assert code == 1
    assert VERDICT in printed
    assert SNIPPET in printed
    assert "judging.py" not in printed  # the way to the verdict is not shown
    plain = python(folder, "-c", "from mine import wrong_one\nfrom ddfm_theory.testing.checks import check_filter\n"
                   "print(check_filter(wrong_one, examples=64, seed=0))")  # fmt: skip
    assert plain[0] == 0
    assert "outcome='fails'" in plain[1]


def test_the_option_names_a_system_and_the_header_says_which(folder):
    code, printed = suite(folder, "--ddfm-system", "mine:right", "--ddfm-examples", "3")
    assert code == 0, printed
    assert "ddfm: under test mine:right: coins (prefix, V = 2, N = 3)" in printed
    assert "ddfm: it offers prior, experts, router, select" in printed
    assert "ddfm: examples 3, seed 0" in printed
    assert "coins-check_central: the system offers no central" in printed


def test_a_function_from_the_environment_on_two_processes(folder):
    code, printed = suite(folder, "-p", "xdist.plugin", "-n", "2", DDFM_SYSTEM="mine:wrong")
    assert code == 1
    assert "static coins fails check_filter" in printed
    assert "system = ...  # 'static coins'" in printed  # made by a function: nothing to import
    assert "mine:wrong" in printed


def test_expected_failures_and_entries_that_match_nothing(folder):
    (folder / "xfails.txt").write_text(
        "static coins-check_filter # no filter\ncheck_router_posterior\n*-check_batch # passes\nnothing # here\n"
    )
    code, printed = suite(folder, "--ddfm-system", "mine:wrong", "--ddfm-xfails", "xfails.txt")
    assert code == 1
    assert "2 xfailed" in printed
    assert "[XPASS(strict)] passes" in printed
    assert "expected failures that match nothing" in printed
    assert printed.split("match nothing")[1].splitlines()[1] == "nothing"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("mine", "system must be given as module:name, was 'mine'"),
        ("nowhere:system", "system must name what can be imported"),
        ("mine:absent", "system must name what can be imported"),
        ("mine:LAWS", "system must have attributes name, vocabulary and length"),
        ("mine:broken", "system must be made by calling mine:broken, which raised RuntimeError('no weights')"),
    ],
)
def test_a_wrong_reference_says_what_is_wrong(folder, monkeypatch, reference, says):
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    with pytest.raises(ValueError, match=re.escape(says)):
        load(reference)
    monkeypatch.delitem(sys.modules, "mine", raising=False)


def test_a_wrong_reference_is_one_clear_line(folder):
    code, printed = suite(folder, "--ddfm-system", "mine:broken")
    assert code == 4
    assert "system must be made by calling mine:broken, which raised RuntimeError('no weights')" in printed
    assert "Traceback" not in printed


def test_the_suite_must_be_told_what_is_under_test(folder):
    code, printed = suite(folder)
    assert code != 0
    assert "the suite must be told what is under test: --ddfm-system module:name or DDFM_SYSTEM" in printed


def test_a_missing_file_of_expected_failures_is_one_clear_line(folder):
    code, printed = suite(folder, "--ddfm-system", "mine:right", "--ddfm-xfails", "none.txt")
    assert code != 0
    assert "--ddfm-xfails must be a file that exists, was 'none.txt'" in printed


@pytest.mark.parametrize("option", ["--ddfm-examples=0", "--ddfm-examples=a", "--ddfm-seed=-1"])
def test_a_number_of_rows_that_is_none_is_one_clear_line(folder, option):
    code, printed = suite(folder, "--ddfm-system", "mine:right", option)
    assert code == 4
    assert f"{option.partition('=')[0]}: invalid integer of at least" in printed


def test_the_plugin_is_import_light(tmp_path):
    heavy = "[m for m in ('numpy', 'torch', 'sympy', 'scipy', 'flint', 'hypothesis') if m in sys.modules]"
    code, printed = python(tmp_path, "-c", f"import sys, ddfm_theory.testing.plugin; print({heavy})")
    assert (code, printed.strip()) == (0, "[]")
