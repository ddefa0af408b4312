"""The verdict on a run of mutmut over the formulas: its score, and each survivor that nobody has explained.

    make mutation          run mutmut (an hour and more on one core; it goes on where it was stopped), then this
    python tests/mutation.py

``mutation_survivors.json`` beside this file explains survivors: an edit (the function, the lines it takes and gives)
with the reason why no test can tell it from the formula. An edit that has gone is reported too. Edits of words (the
text of a message, an argument's name in it, zip's ``strict``) are no edits of a formula: they are counted apart.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

EXPLAINED = Path(__file__).with_name("mutation_survivors.json")
AIM = 0.95
MUTMUT = [sys.executable, "-m", "mutmut"]


class Edit(NamedTuple):
    """A mutant by what it does, which outlives its number."""

    function: str
    takes: str
    gives: str


def outcomes(text: str) -> dict[str, str]:
    """Return the outcome of each mutant from what ``mutmut results --all true`` prints."""
    rows = [line.strip().rsplit(": ", 1) for line in text.splitlines() if ": " in line]
    return {row[0]: row[1] for row in rows}


def edit_of(name: str, diff: str) -> Edit:
    """Return a mutant's edit from what ``mutmut show`` prints."""

    def lines(sign: str) -> str:
        return " ".join(row[1:].strip() for row in diff.splitlines() if row[:1] == sign and row[:3] != sign * 3)

    return Edit(name.split("__mutmut_")[0], lines("-"), lines("+"))


def of_words(edit: Edit) -> bool:
    """Tell whether an edit changes, drops or makes None of a string, or zip's ``strict``, and nothing else."""
    takes, gives = (_skeleton(text) for text in (edit.takes, edit.gives))
    places = [found.start() for found in re.finditer("§", takes)]
    dropped = {_closed(takes[:at] + instead + takes[at + 1 :]) for at in places for instead in ("None", "")}
    return gives in {takes, *dropped}


def _skeleton(text: str) -> str:
    return _closed(re.sub(r",? ?strict=\w+", "", re.sub(r'f?"(?:[^"\\]|\\.)*"', "§", text)))


def _closed(text: str) -> str:
    return re.sub(r",\s*\)", ")", text)


def verdict(found: dict[str, str], survivors: list[Edit], explained: dict[Edit, str]) -> tuple[list[str], bool]:
    """Return what to say of a run, and whether it is good.

    Args:
        found: the outcome of each mutant.
        survivors: the edits that no test caught.
        explained: why some edits cannot be caught.
    """
    lived = [edit for edit in survivors if not of_words(edit)]
    tried = sum(outcome != "not checked" for outcome in found.values())
    unexplained = [edit for edit in lived if edit not in explained]
    gone = [edit for edit in explained if edit not in lived]
    words = len(survivors) - len(lived)
    score = (tried - words - len(lived)) / (tried - words) if tried > words else 0.0
    said = [f"{tried} mutants of {len(found)} tried, {words} lived that change words alone, {len(lived)} others; "
            f"score without the words {score:.4f}, aim {AIM}"]  # fmt: skip
    said += [f"not explained: {edit.function}\n  - {edit.takes}\n  + {edit.gives}" for edit in unexplained]
    said += [f"explained, but not among the survivors: {edit.function}: {edit.gives}" for edit in gone]
    return said, bool(tried == len(found) and score >= AIM and not unexplained and not gone)


def read_explained(place: Path = EXPLAINED) -> dict[Edit, str]:
    """Return the committed explanations."""
    rows = json.loads(place.read_text(encoding="utf-8"))
    return {Edit(row["function"], row["takes"], row["gives"]): row["reason"] for row in rows}


def _run(*arguments: str) -> str:
    return subprocess.run([*MUTMUT, *arguments], capture_output=True, text=True, check=True).stdout


def main() -> int:
    found = outcomes(_run("results", "--all", "true"))
    lived = [name for name, outcome in found.items() if outcome in ("survived", "no tests", "suspicious")]
    with ThreadPoolExecutor() as pool:  # each diff is a process of its own
        diffs = pool.map(lambda name: _run("show", name), lived)
        survivors = [edit_of(name, diff) for name, diff in zip(lived, diffs, strict=True)]
    said, good = verdict(found, survivors, read_explained())
    sys.stdout.write("\n".join(said) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
