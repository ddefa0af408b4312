import itertools

import numpy as np
import pytest

from bridge.bounds import near
from ddfm_theory.bridge.mme import COGNITION, PERCEPTION, Question, mme, read_answer, read_mme
from ddfm_theory.bridge.scores import (
    anls,
    bootstrap,
    edit_distance,
    exact_match,
    grounding,
    overlap,
    read_box,
    to_pixels,
)
from ddfm_theory.bridge.vqa import VARIANTS, normalize, normalize_m4c, vqa_accuracy

TEN = ["2 dogs"] * 2 + ["dog"] * 8


def test_vqa_two_of_ten_is_six_tenths():
    """Leave one out: eight times 2/3 and twice 1/3, over ten."""
    for variant in ("official", "normalized", "m4c"):
        assert vqa_accuracy({1: "2 dogs"}, {1: TEN}, variant=variant).value == near(0.6, 32)
    assert vqa_accuracy({1: "2 dogs"}, {1: TEN}, variant="min3").value == near(2 / 3, 32)


@pytest.mark.parametrize(("matches", "value"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_vqa_by_the_number_of_matches(matches, value):
    answers = ["cat"] * matches + [f"other{i}" for i in range(10 - matches)]
    assert vqa_accuracy({1: "cat"}, {1: answers}, variant="official").value == near(value, 32)


@pytest.mark.parametrize(("text", "normal"), [
    ("The dogs.", "dogs"),
    ("Two  dogs", "2 dogs"),
    ("an apple, a pear", "apple pear"),
    ("red/blue", "red blue"),
    ("1,000 people", "1000 people"),
    ("3.5", "3.5"),
    ("dont know", "don't know"),
    ("none", "0"),
    ("yes ?", "yes "[:3]),
    ("yes!", "yes"),
    ("Two!", "2"),
    ("t-shirt {red}", "t shirt red"),
    ("I don't know", "i don't know"),
    ("the girl's", "girl's"),
    ("2:50 pm", "2:50 pm"),
    ("couldn'tve, couldnt've", "couldn't've couldn't've"),
    ("yall'd've 'ows'at", "y'all'd've 'ow's'at"),
    ("U.S.A. 3.5.", "usa 3.5"),
    ("a", ""),
])  # fmt: skip
def test_vqa_normalization(text, normal):
    assert normalize(text) == normal


def test_vqa_variants_differ_where_people_agree():
    """The published script compares as it is what all wrote alike: a text in the image is read to the letter."""
    people = ["the Two!"] * 10
    for text, official in ("the Two!", 1), (" the Two!\n", 1), ("2", 0), ("The two", 0):
        assert vqa_accuracy({1: text}, {1: people}, variant="official").value == official
        assert vqa_accuracy({1: text}, {1: people}, variant="normalized").value == 1
    people = ["the Two!"] * 9 + ["three"]
    for variant in VARIANTS:
        assert vqa_accuracy({1: "2."}, {1: people}, variant=variant).value == 1
    with pytest.raises(ValueError, match="variant must be one of"):
        vqa_accuracy({1: "a"}, {1: TEN}, variant="best")


@pytest.mark.parametrize(("text", "normalized", "m4c"), [
    ("red,white", "red white", "redwhite"),
    ("why?not", "why not", "whynot"),
    ("girl's", "girl's", "girl 's"),
    ("10,000 km-run", "10000 kmrun", "10000 km run"),
])  # fmt: skip
def test_m4c_takes_commas_and_question_marks_first(text, normalized, m4c):
    assert (normalize(text), normalize_m4c(text)) == (normalized, m4c)
    people = [m4c] * 6 + ["other"] * 4
    assert vqa_accuracy({1: text}, {1: people}, variant="m4c").value == 1
    assert vqa_accuracy({1: text}, {1: people}, variant="normalized").value == 0


@pytest.mark.parametrize(("variant", "answers"), [
    ("min3", "dog"), ("min3", ["dog"] * 2), ("official", ["dog"] * 3), ("m4c", []), ("official", [1, 2, 3, 4])
])  # fmt: skip
def test_vqa_refuses_answers_of_which_none_could_score_one(variant, answers):
    with pytest.raises(ValueError, match="references must be"):
        vqa_accuracy({1: "dog"}, {1: answers}, variant=variant)


def pair(category, image, answers, truths=("yes", "no")):
    return [Question(category, image, f"q{i}", t, a) for i, (t, a) in enumerate(zip(truths, answers, strict=True))]


def test_mme_by_hand():
    """Existence: three images, 4 of 6 questions, 1 of 3 images: 66.7 + 33.3 = 100."""
    run = mme(pair("existence", "a", ["Yes.", "no"]) + pair("existence", "b", ["yes", "Yes"])
              + pair("existence", "c", ["maybe", "No, it is not"]))  # fmt: skip
    assert run.accuracy["existence"] == near(100 * 4 / 6, 8)
    assert run.accuracy_plus["existence"] == near(100 / 3, 8)
    assert run.total(["existence"]) == near(100, 16)
    assert run.unread == {"existence": 1}
    with pytest.raises(ValueError, match="lacked"):
        _ = run.perception
    for parts, due in (("acc", "acc+"), 100), (("acc",), 200 / 3), (("acc+",), 100 / 3):
        assert run.total(["existence"], parts) == near(due, 16)
        low, high = run.interval(["existence"], resamples=400, parts=parts)
        assert 0 <= low < due < high <= 100 * len(parts)


def test_mme_adds_perception_and_cognition_apart():
    perfect = [q for name in PERCEPTION for q in pair(name, "a", ["yes", "no"])]
    wrong = [q for name in COGNITION for q in pair(name, "a", ["no", "yes"])]
    run = mme(perfect + wrong)
    assert (run.perception, run.cognition) == (2000, 0)
    assert run.interval(PERCEPTION, resamples=10) == (2000, 2000)


@pytest.mark.parametrize(("text", "found"), [
    ("Yes", "yes"), ("yes, there is", "yes"), ("No.", "no"), (" no", "no"), ("There is", None), ("", None),
    ("not sure", "no"),
])  # fmt: skip
def test_mme_reads_the_first_four_letters(text, found):
    assert read_answer(text) == found


def test_mme_refuses_what_would_be_dropped(tmp_path):
    good = pair("count", "a", ["yes", "no"])
    with pytest.raises(ValueError, match="stood twice"):
        mme(good + good[:1])
    with pytest.raises(ValueError, match="'a' of count had 1"):
        mme(good[:1])
    with pytest.raises(ValueError, match="fourteen"):
        mme(pair("colour", "a", ["yes", "no"]))
    with pytest.raises(ValueError, match="truth must be"):
        mme(pair("count", "a", ["yes", "no"], ("yes", "maybe")))
    with pytest.raises(ValueError, match="at least one"):
        mme([])
    with pytest.raises(ValueError, match="held none"):
        read_mme(tmp_path)


def test_mme_files_of_several_clusters_are_one_run(tmp_path):
    for cluster, image in (("cluster0", "a.jpg"), ("cluster1", "b.jpg")):
        (tmp_path / cluster).mkdir()
        (tmp_path / cluster / "count.txt").write_text(f"{image}\tone?\tYes\tyes\n{image}\ttwo?\tNo\tyes\n")
    run = mme(read_mme(tmp_path / "cluster0", tmp_path / "cluster1"))
    assert (run.accuracy["count"], run.accuracy_plus["count"]) == (50, 0)
    whole = "a\tone?\tYes\tyes\u2028indeed\n\nb\tone?\tNo\tno\na\ttwo?\tNo\tno\nb\ttwo?\tNo\tno\n\n"
    (tmp_path / "cluster0" / "count.txt").write_text(whole, encoding="utf-8")
    assert mme(read_mme(tmp_path / "cluster0")).accuracy_plus["count"] == 100
    (tmp_path / "cluster0" / "count.txt").write_text("a\tb\tc\n")
    with pytest.raises(ValueError, match=r"line 1 of .* had 3 parts"):
        read_mme(tmp_path / "cluster0")
    (tmp_path / "cluster0" / "count.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"must be UTF-8 text, .*count.txt was not"):
        read_mme(tmp_path / "cluster0")


def test_overlap_by_hand():
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == near(1 / 3, 8)
    assert overlap((0, 0, 2, 2), (0, 0, 2, 1)) == 0.5
    assert overlap((0, 0, 1, 1), (1, 1, 2, 2)) == 0
    assert overlap((2, 2, 1, 1), (0, 0, 3, 3)) == 0


def test_box_conventions_by_hand():
    """An image 200 wide and 100 high; LLaVA pads it to 200 x 200 with 50 above."""
    assert to_pixels((500, 500, 1000, 1000), "thousandths", 200, 100) == (100, 50, 200, 100)
    assert to_pixels((0.5, 0.5, 1, 1), "unit", 200, 100) == (100, 50, 200, 100)
    assert to_pixels((0.5, 0.5, 1, 0.75), "unit-square", 200, 100) == (100, 50, 200, 100)
    assert to_pixels((0.25, 0.5, 0.75, 1), "unit-square", 100, 200) == (0, 100, 100, 200)
    assert to_pixels((1, 2, 3, 4), "pixels", 200, 100) == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="convention must be one of"):
        to_pixels((1, 2, 3, 4), "guess", 1, 1)
    with pytest.raises(TypeError):
        grounding({}, {})


def test_grounding_counts_unread_answers_as_wrong():
    references = dict.fromkeys(range(4), ((0, 0, 100, 100), 200, 100))
    answers = {0: "the dog [[0, 0, 500, 1000]]", 1: "[0,0,250,1000]", 2: "[0, 0, 249, 1000]", 3: "nowhere"}
    score = grounding(answers, references, convention="thousandths")
    assert score.values == {0: 1, 1: 1, 2: 0, 3: 0}
    assert score.unread == (3,)
    assert read_box("<box>[[ 0.25, 1, 2.5 ,3]]</box>") == (0.25, 1, 2.5, 3)
    assert read_box("[.25,1.,2.5e-1, -3]") == (0.25, 1, 0.25, -3)
    assert read_box("[1, 2, 3]") is None
    assert grounding({0: (0, 0, 0.5, 1)}, {0: references[0]}, convention="unit").value == 1


@pytest.mark.parametrize(("answer", "due", "message"), [
    (None, ((0, 0, 1, 1), 2, 2), "predictions must be texts or four numbers"),
    ((0, 0, 1), ((0, 0, 1, 1), 2, 2), "predictions must be texts or four numbers"),
    ("", ((80, 80, 20, 20), 200, 200), "true boxes must be x1, y1, x2, y2"),
    ("", ((0, 0, float("nan"), 1), 2, 2), "references must be"),
    ("", ((0, 0, 1), 2, 2), "references must be"),
    ("", ("0011", 2, 2), "references must be"),
    ("", ((0, 0, 1, 1), 0, 2), "references must be"),
    ("", (0, 0, 1, 1), "references must be"),
])  # fmt: skip
def test_grounding_refuses_what_is_no_box(answer, due, message):
    with pytest.raises(ValueError, match=message):
        grounding({1: answer}, {1: due}, convention="pixels")


def test_edit_distance_and_anls_by_hand():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3
    words = ["", "a", "ab", "ba", "abc"]
    for a, b, c in itertools.product(words, repeat=3):
        assert edit_distance(a, b) == edit_distance(b, a) <= edit_distance(a, c) + edit_distance(c, b)
    assert anls({1: "kitten"}, {1: ["sitting"]}).value == near(1 - 3 / 7, 8)
    assert anls({1: "ab"}, {1: ["cd", "Ab "]}).value == 1
    for strict in (False, True):  # NL is 1/2: kept by every public evaluator, not below the threshold by the formula
        assert anls({1: "12"}, {1: "13"}, strict=strict).value == 0.5 * (not strict)
        assert anls({1: "abc"}, {1: "ade"}, strict=strict).value == 0
        assert anls({1: "abc"}, {1: "abd"}, strict=strict).value == near(2 / 3, 8)
    assert anls({1: ""}, {1: ""}).value == 1


def test_ids_are_never_dropped():
    assert exact_match([(1, " Paris"), (2, "x")], {1: ["paris", "lutece"], 2: "y"}).values == {1: 1, 2: 0}
    with pytest.raises(ValueError, match="lacked 1, first 2"):
        exact_match({1: "a"}, {1: "a", 2: "b"})
    with pytest.raises(ValueError, match="lacked 1, first 1, but held '1', which is none"):
        exact_match({"1": "a"}, {1: "a"})
    with pytest.raises(ValueError, match="1 others, first 3"):
        exact_match({1: "a", 3: "c"}, {1: "a"})
    with pytest.raises(ValueError, match="predictions must hold each id once, held 1 twice"):
        exact_match([(1, "a"), (1, "a")], {1: "a"})
    with pytest.raises(ValueError, match="references must hold each id once"):
        exact_match({1: "a"}, [(1, "a"), (1, "a")])
    with pytest.raises(ValueError, match="at least one item"):
        exact_match({}, {})
    for text, due in (None, "a"), (3, "a"), ("a", None), ("a", []), ("a", [1]):
        for measure in (exact_match, anls):
            with pytest.raises(ValueError, match=r"must be (texts|a text or several), 1 had"):
                measure({1: text}, {1: due})


def test_bootstrap_covers_the_mean_and_is_repeatable():
    values = np.random.default_rng(0).random(200)
    low, high = bootstrap(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 200**0.5, rel=0.15)
    assert bootstrap(values) == (low, high)
    assert bootstrap(np.ones(5)) == (1, 1)
    with pytest.raises(ValueError, match="values must be"):
        bootstrap(np.ones(0))
