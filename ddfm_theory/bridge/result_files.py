"""Result files of benchmarks: the public formats and those of the paper's code, one file a cluster or one in all.

Files without ids (grounding results of the paper's code) go by file and place, so that two clusters' rows stay apart.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddfm_theory.bridge.mme import COGNITION, PERCEPTION, mme, read_mme
from ddfm_theory.bridge.scores import Score, anls, by_id, exact_match, grounding
from ddfm_theory.bridge.vqa import vqa_accuracy

BENCHMARKS = ("vqa", "mme", "refcoco", "anls", "exact")


def read_json(place: Any) -> Any:
    """Return a JSON file's value, or a JSON lines file's rows.

    Raises:
        ValueError: no such file, or no JSON.
    """
    file = Path(place)
    if not file.is_file():
        raise ValueError(f"results must be a file, {file} was none")
    text = file.read_text(encoding="utf-8")
    try:
        if file.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"results must be JSON, {file} was not: {error}") from error


def read_rows(places: Sequence[Any], *fields: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of files with where they stood, each checked to have some fields.

    Raises:
        ValueError: a file that holds no list of objects, or an object that lacks a field.
    """
    out = []
    for place in places:
        rows = read_json(place)
        if not isinstance(rows, list):
            raise ValueError(f"results must be a list of objects, {place} was {type(rows).__name__}")
        for number, row in enumerate(rows):
            lacking = [name for name in fields if not isinstance(row, dict) or name not in row]
            if lacking:
                raise ValueError(f"rows must have {list(fields)}, row {number} of {place} lacked {lacking}")
            out.append((f"{Path(place).name}:{number}", row))
    return out


def answers_of(places: Sequence[Any]) -> dict[Any, str]:
    """Return question id to answer of files of rows ``question_id``, ``answer``; ids that stand twice are refused."""
    return by_id(
        ((row["question_id"], row["answer"]) for _, row in read_rows(places, "question_id", "answer")), "results"
    )


def people_of(place: Any) -> dict[Any, list[str]]:
    """Return question id to people's answers of a VQA annotation file (``annotations``, each with ``answers``)."""
    value = read_json(place)
    rows = value.get("annotations") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise ValueError(f"annotations must be a list, or an object that holds one, {place} was {type(value).__name__}")
    pairs = (
        (row["question_id"], [one["answer"] if isinstance(one, dict) else one for one in row["answers"]])
        for row in rows
    )
    return by_id(pairs, "annotations")


def score_files(
    benchmark: str,
    results: Sequence[Any],
    annotations: Any = None,
    *,
    variant: str | None = None,
    convention: str | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Score result files.

    Args:
        benchmark: ``vqa``, ``mme``, ``refcoco``, ``anls`` or ``exact``.
        results: files (for MME folders); several are read as one run.
        annotations: VQA's, ANLS' and exact match's reference file.
        variant: of VQA, required there.
        convention: of boxes, required for ``refcoco``.
        seed: of the bootstrap.

    Returns:
        One row a score: name, value, low, high, n, unread.

    Raises:
        ValueError: an argument that is missing, a file that is not what it must be, ids that do not match.
    """
    if benchmark not in BENCHMARKS:
        raise ValueError(f"benchmark must be one of {BENCHMARKS}, was {benchmark!r}")
    if benchmark == "mme":
        return _mme_rows(results, seed)
    if benchmark == "refcoco":
        if convention is None:
            raise ValueError("convention must be given for refcoco: what the numbers of a box mean is no default")
        return [_row(_boxes(results, convention), seed)]
    if annotations is None:
        raise ValueError(f"annotations must be given for {benchmark}, were not")
    if benchmark == "vqa":
        if variant is None:
            raise ValueError("variant must be given for vqa: they give different numbers")
        return [_row(vqa_accuracy(answers_of(results), people_of(annotations), variant=variant), seed)]
    measure = anls if benchmark == "anls" else exact_match
    return [_row(measure(answers_of(results), people_of(annotations)), seed)]


def _boxes(results: Sequence[Any], convention: str) -> Score:
    rows = read_rows(results, "answer", "gt_bbox", "hw")
    due = {where: (row["gt_bbox"], row["hw"][1], row["hw"][0]) for where, row in rows}
    return grounding([(where, row["answer"]) for where, row in rows], due, convention=convention)


def _row(score: Score, seed: int) -> dict[str, Any]:
    low, high = score.interval(seed=seed)
    return {"name": score.name, "value": score.value, "low": low, "high": high, "n": len(score.values),
            "unread": len(score.unread)}  # fmt: skip


def _mme_rows(results: Sequence[Any], seed: int) -> list[dict[str, Any]]:
    run, out = mme(read_mme(*results)), []
    for name, categories in (("MME perception", PERCEPTION), ("MME cognition", COGNITION)):
        if not set(categories) <= set(run.accuracy):
            continue
        low, high = run.interval(categories, seed=seed)
        images = sum(len(run.images[one]) for one in categories)
        out.append(
            {"name": name, "value": run.total(categories), "low": low, "high": high, "n": images, "unread": run.unread}
        )
    if not out:
        raise ValueError(f"results must cover perception or cognition whole, had {sorted(run.accuracy)}")
    return out
