"""What a training is made of: its settings, its rows, its start; and a refusal of what another training left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toy_models.multimodal.folders import row_lines


def rows_digest(places: Sequence[Path]) -> str:
    """Return the SHA-256 of the rows of data folders, sorted, so that it does not depend on how they were cut."""
    lines = sorted(line for place in places for line in row_lines(place))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def weights_digest(model: Any) -> str:
    """Return the SHA-256 of a model's weights."""
    import torch

    found = hashlib.sha256()
    for name, value in model.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def same(out: Path, report: str, made_of: Mapping[str, str]) -> Path:
    """Return a folder that is there, if its report says that it is made of the same.

    Raises:
        ValueError: it is no training's folder, or another's.
    """
    try:
        told = json.loads((out / report).read_text(encoding="utf-8"))
        before = {name: told[name] for name in made_of if name in told} | {"settings": json.dumps(told["settings"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"out must be a new folder or one that training wrote, {out} was there: {error}") from error
    refuse_other(before, made_of, out)
    return out


def refuse_other(before: Mapping[str, str], made_of: Mapping[str, str], written: Path) -> None:
    """Refuse what is made of other settings, other rows or another start.

    Raises:
        ValueError: it is.
    """
    for name, value in before.items():
        if value != made_of[name]:
            what = name.removesuffix("_sha256")
            raise ValueError(f"{what} must be those of the run that wrote {written}, {value}, were {made_of[name]}")
