"""Numbers in README's prose come from the kept results: they are filled in, and typed ones are seen."""

import re
from pathlib import Path

import pytest

import toy_models
from toy_models.values import SHOWN, with_values

KEPT = {"a": {"b": [1.25, 2.5], "words": "small", "none": None}}
PAGE = Path(toy_models.__file__).parent / "README.md"
NOT_PROSE = re.compile(r"```.*?```|`[^`]*`|^\|.*?$|<!-- (.+?) -->.*?<!-- /\1 -->|" + SHOWN.pattern, re.S | re.M)
NAMES = re.compile(r"LLaVA-1\.5|ViT-S/14|CC-BY 4\.0|Apache-2\.0|IoU 0\.5|SmolLM2-135M|95 %|4-bit|float32")
RESULT = re.compile(r"\d+\.\d+|\d+ ?%|\b\d{1,3}(?:,\d{3})+\b|\b\d{2,}\b")


def typed(page):
    """Return what looks like a number typed into prose: decimals, percentages, and counts of two figures or more."""
    return RESULT.findall(NAMES.sub(" ", NOT_PROSE.sub(" ", page)))


def test_no_number_is_typed():
    assert typed(PAGE.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("prose", ["a gap of 0.12 nats", "better by 12 %", "after 288 steps", "18,000 questions"])
def test_a_typed_number_is_seen(prose):
    assert len(typed(prose)) == 1


def test_values_are_filled_in():
    assert with_values("x <!--a:b/1:.2f-->7<!--/--> y", KEPT) == "x <!--a:b/1:.2f-->2.50<!--/--> y"
    assert (
        with_values("<!--a:b/#--><!--/--> <!--a:words-->?<!--/-->", KEPT)
        == "<!--a:b/#-->2<!--/--> <!--a:words-->small<!--/-->"
    )


@pytest.mark.parametrize("path", ["none:b", "a:c", "a:b/2", "a:b/x", "a:b", "a:none", "a:b/0/c"])
def test_a_path_that_leads_nowhere_is_refused(path):
    with pytest.raises(ValueError, match="path must lead to a"):
        with_values(f"<!--{path}-->1<!--/-->", KEPT)
