"""VQA accuracy, its variants named: they differ in what is normalized and in how ten people's answers are counted.

==============  =============================================================================================
``official``    mean over the ten answers of min(matches among the other nine / 3, 1); prediction and answers
                normalized where people differ, and compared as they are, letter case and all, where they agree
``normalized``  the same mean; prediction and answers normalized always
``m4c``         the same mean; before it is normalized a text loses commas and question marks, and ``'s`` stands
                apart: what LLaVA's, InternVL's and the paper's code score VQAv2 and TextVQA by
``min3``        min(matches / 3, 1) over all ten; prediction and answers normalized always
==============  =============================================================================================

To normalize is to take away punctuation, letter case and articles, and to write number words as digits and contractions
with their apostrophes. Older versions of the published script normalized predictions only, or by other marks.

References:
    Antol et al., "VQA: Visual Question Answering", ICCV 2015; Goyal et al., "Making the V in VQA Matter", CVPR 2017;
    the evaluation script at github.com/GT-Vision-Lab/VQA (commit a013f00); Hu et al., "Iterative Answer Prediction with
    Pointer-Augmented Multimodal Transformers for TextVQA", CVPR 2020 (M4C).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ddfm_theory.bridge.scores import Pairs, Score, answered

VARIANTS = ("official", "normalized", "m4c", "min3")
_FEWEST = (4, 3)  # answers to a question: three others, or three in all
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'  # apostrophes and colons stay: girl's, 2:50
_ARTICLES = {"a", "an", "the"}
_NUMBERS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
            "seven": "7", "eight": "8", "nine": "9", "ten": "10"}  # fmt: skip
_CONTRACTED = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock
oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's
where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've
y'all y'all'll y'all'd've you'd you'd've you'll you're you've
""".split()  # noqa: SIM905
_CONTRACTIONS = (
    {  # each with one apostrophe forgotten
        word[:i] + word[i + 1 :]: word for word in _CONTRACTED for i, letter in enumerate(word) if letter == "'"
    }
    | {"somebody'd": "somebodyd"}
)  # the other way round, as published


def strip_punctuation(text: str) -> str:
    """Return a text without punctuation: a mark beside a space goes, one between letters becomes a space.

    Where the text has a comma between digits every mark goes; a period goes unless a digit follows.
    """
    grouped, out = re.search(r"\d,\d", text) is not None, text
    for mark in _PUNCTUATION:
        beside = f"{mark} " in text or f" {mark}" in text
        out = out.replace(mark, "" if beside or grouped else " ")
    return re.sub(r"\.(?!\d)", "", out)


def normalize_words(text: str) -> str:
    """Return a text in lower case, number words as digits, articles gone, contractions with their apostrophes."""
    words = [_NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def normalize(text: str) -> str:
    """Return a text normalized in full."""
    return normalize_words(strip_punctuation(_trim(text)))


def normalize_m4c(text: str) -> str:
    """Return a text normalized as M4C's evaluator does: no comma or question mark is left to become a space."""
    return normalize(text.lower().replace(",", "").replace("?", "").replace("'s", " 's"))


def _trim(text: str) -> str:
    return re.sub(r"[\n\t]", " ", text).strip()


def vqa_accuracy(predictions: Pairs, references: Pairs, *, variant: str) -> Score:
    """Score answers to questions that several people answered.

    Args:
        predictions: id to text.
        references: id to the people's answers.
        variant: one of ``VARIANTS``; there is no default.

    Raises:
        ValueError: another variant, a question with too few answers, or ids that do not match.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {VARIANTS}, was {variant!r}")
    values = {}
    for key, text, answers in answered(predictions, references):
        if isinstance(answers, str) or len(answers) < _FEWEST[variant == "min3"]:
            raise ValueError(f"references must be several answers an id, so that 1 can be had, {key!r} had {answers!r}")
        prepare = _preparation(answers, variant)
        said = prepare(text)
        matches = [prepare(answer) == said for answer in answers]
        values[key] = _leave_one_out(matches) if variant != "min3" else min(sum(matches) / 3, 1.0)
    return Score(f"VQA accuracy ({variant})", values)


def _preparation(answers: Sequence[str], variant: str) -> Callable[[str], str]:
    """Return what a variant does to prediction and answers before it compares them."""
    if variant == "m4c":
        return normalize_m4c
    agreed = variant == "official" and len({_trim(answer) for answer in answers}) == 1
    return _trim if agreed else normalize


def _leave_one_out(matches: Sequence[bool]) -> float:
    total = sum(matches)
    return sum(min((total - hit) / 3, 1.0) for hit in matches) / len(matches)
