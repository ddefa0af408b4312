"""The verdict on a run of mutation testing, on runs made up here."""

import tomllib
from pathlib import Path

import pytest
from mutation import Edit, edit_of, of_words, outcomes, read_explained, verdict

ROOT = Path(__file__).parents[1]
DIFF = """--- a/paths.py
+++ b/paths.py
@@ -1,2 +1,2 @@
 def f(p):
-    return p * q
+    return p / q
"""
EDIT = Edit("paths.x_f", "return p * q", "return p / q")


def test_an_edit_is_read_from_what_mutmut_prints():
    assert edit_of("paths.x_f__mutmut_3", DIFF) == EDIT
    assert outcomes("    paths.x_f__mutmut_1: killed\n\n    paths.x_f__mutmut_3: no tests\n") == {
        "paths.x_f__mutmut_1": "killed",
        "paths.x_f__mutmut_3": "no tests",
    }


def test_the_verdict_asks_for_all_mutants_the_score_and_every_explanation():
    found = {f"m{i}": "killed" for i in range(19)} | {"m19": "survived"}
    assert verdict(found, [EDIT], {EDIT: "equal"})[1]
    assert not verdict(found, [EDIT], {})[1]
    assert not verdict(found, [], {EDIT: "equal"})[1]
    assert not verdict(found | {"m20": "survived"}, [EDIT, EDIT], {EDIT: "equal"})[1]  # 19 of 21
    assert not verdict(found | {"m20": "not checked"}, [EDIT], {EDIT: "equal"})[1]
    assert not verdict({}, [], {})[1]
    words = Edit("paths.x_f", 'asarray(p, "p")', "asarray(p, None)")
    assert verdict(found, [words], {})[1]
    assert not verdict(found, [words], {words: "explained for nothing"})[1]


def test_every_room_that_is_mutated_exists():
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]["only_mutate"]
    assert [room for room in rooms if not (ROOT / room).is_file()] == []


def test_explanations_are_words():
    assert all(len(reason.split()) > 3 for reason in read_explained().values())


@pytest.mark.parametrize(
    ("takes", "gives", "words"),
    [
        ('cast(t, p, "t")', 'cast(t, p, "XXtXX")', True),
        ('cast(t, p, "t")', "cast(t, p, None)", True),
        ('cast(t, p, "t")', "cast(t, p, )", True),
        ("zip(a, b, strict=True)", "zip(a, b, )", True),
        ("zip(a, b, strict=True)", "zip(a, b, strict=None)", True),
        ('cast(t, p, "t")', 'cast(None, p, "t")', False),
        ('cast(t, p, "t") + 1', 'cast(t, p, "t") - 1', False),
        ('f("a", t)', "f(t)", False),
        ("zip(a, b, strict=True)", "zip(a, strict=True)", False),
    ],
)
def test_words_are_told_from_formulas(takes, gives, words):
    assert of_words(Edit("f", takes, gives)) == words
