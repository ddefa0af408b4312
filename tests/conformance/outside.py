"""Runs pytest in a folder of its own, as an outside package would."""

import os
import subprocess
import sys
from pathlib import Path

import ddfm_theory

ROOT = Path(ddfm_theory.__file__).parent.parent
PLUGIN = "ddfm_theory.testing.plugin"


def python(folder, *words, **variables):
    """Run Python in a folder; returns exit code and everything printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DDFM"))}
    environment |= {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1", "COLUMNS": "120"} | variables
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # so that it starts fast, and loads by name what it tests
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def pytest(folder, *words, **variables):
    """Run pytest in a folder with no configuration but its own."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-c", str(folder / "pytest.ini"), "--rootdir", str(folder),
             "-p", PLUGIN, *words]  # fmt: skip
    return python(folder, *words, **variables)
