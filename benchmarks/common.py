"""What the benchmarks share: the clock, the machine, child processes, and files written whole or not at all."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ddfm_theory.files import write_whole

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
PACKAGES = ("numpy", "torch", "python-flint", "sympy")


def machine() -> dict[str, Any]:
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def clock(function: Callable[[], Any]) -> float:
    """Return the seconds one call takes, its result freed after the clock has stopped."""
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    del result
    return seconds


def alternate(
    runs: int, before: Callable[[], Any] = lambda: None, **functions: Callable[[], Any]
) -> dict[str, list[float]]:
    """Time the functions in turn, ``runs`` rounds after one that warms up: noise meets all of them alike.

    Args:
        runs: the number of rounds.
        before: called before each call, off the clock.
        functions: what is timed.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(runs + 1):
        for name, function in functions.items():
            before()
            seconds = clock(function)
            times[name] += [seconds] if turn else []
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(column) for name, column in times.items()}


def child(*arguments: str, seconds: float | None = None, environment: dict[str, str] | None = None) -> str | None:
    """Return what a fresh Python process prints; None where it was stopped after that many seconds."""
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, *arguments], capture_output=True, text=True, timeout=seconds, check=True, env=environment
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout


def write(path: Path, result: dict[str, Any]) -> None:
    """Write JSON to a temporary file beside the path, then put it in place."""
    path.parent.mkdir(exist_ok=True)
    write_whole(path, json.dumps({"machine": machine(), **result}, indent=1) + "\n")


def into_readme(name: str, section: str) -> None:
    """Put a section between its marks in benchmarks/README.md."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, rest = README.read_text().split(begin)
    write_whole(README, (before + begin + section + end + rest.split(end)[1]).encode())
