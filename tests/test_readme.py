"""The README's example runs and prints as printed."""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_example_runs_as_printed():
    code, printed = re.search(r"```python\n(.*?)```\s+```\n(.*?)```", README, re.S).groups()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == printed


def test_readme_names_the_two_commands():
    assert "make verify" in README
    assert "make test" in README
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    assert re.search(r"^verify:", makefile, re.M)
    assert re.search(r"^test:", makefile, re.M)
