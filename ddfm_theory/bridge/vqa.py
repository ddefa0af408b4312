"""VQA accuracy, its variants named: they differ in what is normalized and in how ten people's answers are counted.

==============  =============================================================================================
``official``    mean over the ten answers of min(matches among the other nine / 3, 1); the prediction is fully
                normalized, the answers only of punctuation, and only where they differ (as the published script)
``normalized``  the same mean; prediction and answers fully normalized
``min3``        min(matches / 3, 1) over all ten; prediction and answers fully normalized
==============  =============================================================================================

References:
    Antol et al., "VQA: Visual Question Answering", ICCV 2015; Goyal et al., "Making the V in VQA Matter", CVPR 2017.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ddfm_theory.bridge.scores import Pairs, Score, paired

VARIANTS = ("official", "normalized", "min3")
_PUNCTUATION = ";:/'[]\"()=+\\_><@`,?"
_ARTICLES = {"a", "an", "the"}
_NUMBERS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
            "seven": "7", "eight": "8", "nine": "9", "ten": "10"}  # fmt: skip
_CONTRACTED = """
ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's
isn't it'd it'll ma'am mightn't might've mustn't must've needn't not've o'clock oughtn't shan't should've
shouldn't somebody'll somebody's someone'd someone'll someone's something'd something'll that's there'd
there're there's they'd they'll they're they've 'twas wasn't we've weren't what'll what're what's what've
when's where'd where's where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all
you'd you'll you're you've
""".split()  # noqa: SIM905
_CONTRACTIONS = {word.replace("'", ""): word for word in _CONTRACTED}


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
    return normalize_words(strip_punctuation(" ".join(text.split())))


def vqa_accuracy(predictions: Pairs, references: Pairs, *, variant: str) -> Score:
    """Score answers to questions that several people answered.

    Args:
        predictions: id to text.
        references: id to the people's answers.
        variant: one of ``VARIANTS``; there is no default.

    Raises:
        ValueError: another variant, a question without answers, or ids that do not match.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {VARIANTS}, was {variant!r}")
    values = {}
    for key, text, answers in paired(predictions, references):
        if not answers or isinstance(answers, str):
            raise ValueError(f"references must be several answers an id, {key!r} had {answers!r}")
        matches = [answer == normalize(text) for answer in _prepared(answers, variant)]
        values[key] = _leave_one_out(matches) if variant != "min3" else min(sum(matches) / 3, 1.0)
    return Score(f"VQA accuracy ({variant})", values)


def _prepared(answers: Sequence[str], variant: str) -> list[str]:
    if variant != "official":
        return [normalize(answer) for answer in answers]
    return [strip_punctuation(answer) for answer in answers] if len(set(answers)) > 1 else list(answers)


def _leave_one_out(matches: Sequence[bool]) -> float:
    total = sum(matches)
    return sum(min((total - hit) / 3, 1.0) for hit in matches) / len(matches)
