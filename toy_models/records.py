"""Results as JSON: six digits of every float, one row a line, written whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddfm_theory.files import write_whole

DIGITS = 6


def rounded(value: Any) -> Any:
    """Return plain data with every float rounded to six significant digits."""
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return rounded(value.tolist())
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def save_rows(result: Mapping[str, Any], path: Path) -> None:
    """Write a result whose lists of rows stand one row a line, rounded, atomically."""
    parts = [f'"{key}": {_lines(value)}' for key, value in sorted(rounded(result).items())]
    write_whole(path, "{\n" + ",\n".join(parts) + "\n}\n")


def _lines(value: Any) -> str:
    if isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
        return "[\n" + ",\n".join(json.dumps(row, sort_keys=True, allow_nan=False) for row in value) + "\n]"
    return json.dumps(value, sort_keys=True, allow_nan=False)
