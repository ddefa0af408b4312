"""Data of figures: a JSON file each, and beside it the module that computed it by ``compute()``.

``python -m paper_figures.data [NAME...]`` computes them anew; the files say by what, where, and with what seed.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ddfm_theory.files import write_whole

FOLDER = Path(__file__).parent
DIGITS = 10  # significant digits kept of a float
PACKAGES = ("ddfm-theory", "numpy")


def names() -> list[str]:
    """Return the names of the modules that compute data."""
    return sorted(info.name for info in pkgutil.iter_modules([str(FOLDER)]) if not info.name.startswith("_"))


def computed(name: str) -> dict[str, Any]:
    """Return a data set, computed anew: by what, where, with what seed, and its numbers."""
    module = importlib.import_module(f"paper_figures.data.{name}")
    packages = {package: version(package) for package in (*PACKAGES, *getattr(module, "PACKAGES", ()))}
    head = {"made_by": f"python -m paper_figures.data {name}", "seed": module.SEED, "arithmetic": module.ARITHMETIC,
            "machine": {"platform": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
                        **packages}}  # fmt: skip
    return {**head, **rounded(module.compute(module.SEED))}


def rounded(value: Any) -> Any:
    """Return plain data: arrays as lists, floats of ``DIGITS`` significant digits."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def written(data: dict[str, Any]) -> str:
    """Return JSON with every list of numbers on a line."""
    text = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False)
    return re.sub(r"\[\n\s*([^\[\]{}]*?)\n\s*\]", _on_a_line, text) + "\n"


def _on_a_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r"\n\s*", " ", found[1]) + "]"


def save(name: str) -> Path:
    """Compute a data set and write its file, whole or not at all."""
    path = FOLDER / f"{name}.json"
    write_whole(path, written(computed(name)))
    return path
