"""The page 'Check your own system in ten minutes' runs as written, and prints what it says."""

import re
import shlex
from pathlib import Path

from outside import pytest as run_pytest
from outside import python

import ddfm_theory.testing

PAGE = Path(ddfm_theory.testing.__file__).parent / "README.md"
FENCE = re.compile(r"^```(\w+)(?: (title|append)=(\S+))?\n(.*?)^```$", re.M | re.S)


def blocks():
    return [match.groups() for match in FENCE.finditer(PAGE.read_text(encoding="utf-8"))]


def run(folder, line):
    words = shlex.split(line.removeprefix("$ python "))
    return run_pytest(folder, *words[2:]) if words[:2] == ["-m", "pytest"] else python(folder, *words)


def follows(wanted, printed):
    """Every line of the page, in its order, is a line of the output; ... stands for anything."""
    lines = iter(re.sub(r"^=+ (.*?) =+$", r"\1", printed, flags=re.M).splitlines())
    for line in wanted:
        pattern = re.compile(".*".join(re.escape(part) for part in line.rstrip().split("...")))
        assert any(pattern.fullmatch(found.rstrip()) for found in lines), f"{line!r} is not in order in:\n{printed}"


def test_the_page_runs_as_written(tmp_path):
    ran = 0
    for language, verb, name, text in blocks():
        if verb == "title":
            (tmp_path / name).write_text(text)
        elif verb == "append":
            (tmp_path / name).write_text((tmp_path / name).read_text() + text)
        else:
            assert language == "console"
            command, *wanted = text.splitlines()
            _, printed = run(tmp_path, command)
            follows([line for line in wanted if line.strip(".")], printed)
            ran += 1
    assert ran == 6


def test_the_page_names_every_check():
    from ddfm_theory.testing.checks import CHECKS

    page = PAGE.read_text(encoding="utf-8")
    assert [check.__name__ for check in CHECKS if f"`{check.__name__}`" not in page] == []
