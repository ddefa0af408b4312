"""The README's examples run and print as printed, it stays short, and what it names is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\s+```\n(.*?)```", README, re.S)


@pytest.mark.parametrize(("code", "printed"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs_as_printed(code, printed):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == printed


def test_two_screens():
    assert len(EXAMPLES) == README.count("```python") == 3
    ledger = README.split("<!-- ledger -->")[1].split("<!-- /ledger -->")[0]
    assert len(README.splitlines()) - len(ledger.strip().splitlines()) <= 105


def test_readme_names_the_two_commands():
    makefile = (ROOT / "Makefile").read_text()
    for command in ("verify", "test", "docs", "readme"):
        assert f"make {command}" in README
        assert re.search(rf"^{command}:", makefile, re.M)


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []
