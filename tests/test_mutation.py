"""The verdict on a run of mutation testing, on runs made up here."""

from mutation import Edit, edit_of, outcomes, read_explained, verdict

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


def test_explanations_are_words():
    assert all(len(reason.split()) > 3 for reason in read_explained().values())
