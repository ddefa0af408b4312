"""Result files of benchmarks: the public formats and those of the paper's code, one file a cluster or one in all.

A row is ``question_id`` and ``answer`` (``questionId`` in DocVQA's files, ``text`` in LLaVA's). References stand in a
file of their own (``annotations`` of VQA, ``data`` of DocVQA and TextVQA, or a list), or, for ANLS and exact match, in
each row as ``annotation``, as the paper's code leaves them. Such rows, and its grounding results, go by file and
place, so that two clusters' rows stay apart.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddfm_theory.bridge.mme import COGNITION, PARTS, PERCEPTION, mme, read_mme
from ddfm_theory.bridge.scores import Score, anls, by_id, exact_match, grounding
from ddfm_theory.bridge.text_files import lines_of, text_of
from ddfm_theory.bridge.vqa import vqa_accuracy

BENCHMARKS = ("vqa", "mme", "refcoco", "anls", "exact")
ID, ANSWER = ("question_id", "questionId"), ("answer", "text")


def read_json(place: Any, name: str = "results") -> Any:
    """Return a JSON file's value, or a JSON lines file's rows.

    Args:
        place: the file.
        name: what the message calls it.

    Raises:
        ValueError: no such file, or no JSON.
    """
    try:
        if Path(place).suffix == ".jsonl":
            return [json.loads(line) for _, line in lines_of(place, name)]
        return json.loads(text_of(place, name))
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} must be JSON, {place} was not: {error}") from error


def read_rows(places: Sequence[Any], *fields: Sequence[str]) -> list[tuple[str, list[Any]]]:
    """Return where each row of files stood and its fields' values.

    Args:
        places: the files.
        fields: the names that each field may go by; the first that is there counts.

    Raises:
        ValueError: a file that holds no list of objects, or an object that lacks a field.
    """
    out = []
    for place in places:
        rows = read_json(place)
        if not isinstance(rows, list):
            raise ValueError(f"results must be a list of objects, {place} was {type(rows).__name__}")
        out += [(f"{Path(place)}:{number}", _fields(row, number, place, fields)) for number, row in enumerate(rows)]
    return out


def _fields(row: Any, number: int, place: Any, fields: Sequence[Sequence[str]]) -> list[Any]:
    found = [[name for name in names if isinstance(row, dict) and name in row] for names in fields]
    if not all(found):
        lacking = [" or ".join(names) for names, held in zip(fields, found, strict=True) if not held]
        raise ValueError(f"rows must be objects with {', '.join(lacking)}, row {number} of {place} was not")
    return [row[held[0]] for held in found]


def _id(value: Any, place: Any) -> Any:
    if not isinstance(value, (str, int)):
        raise ValueError(f"{' or '.join(ID)} must be a number or a text, {place} had {value!r}")
    return value


def answers_of(places: Sequence[Any]) -> dict[Any, Any]:
    """Return question id to answer of files of rows; ids that stand twice are refused."""
    return by_id([(_id(key, where), answer) for where, (key, answer) in read_rows(places, ID, ANSWER)], "results")


def people_of(place: Any) -> dict[Any, Any]:
    """Return question id to people's answers of a file of references, each row with ``answers``.

    Raises:
        ValueError: no list of rows, a row without id or answers, an answer that is none, or an id that stands twice.
    """
    value = read_json(place, "annotations")
    held = [value[name] for name in ("annotations", "data") if isinstance(value, dict) and name in value] or [value]
    if not isinstance(held[0], list):
        raise ValueError(f"annotations must be a list, or an object with annotations or data, {place} was neither")
    pairs = []
    for number, row in enumerate(held[0]):
        key, answers = _fields(row, number, place, (ID, ("answers",)))
        texts = [answers] if isinstance(answers, str) else answers
        if not isinstance(texts, list):
            raise ValueError(f"answers must be a list, row {number} of {place} had {answers!r}")
        several = [_fields(one, number, place, (("answer",),))[0] if isinstance(one, dict) else one for one in texts]
        pairs.append((_id(key, f"row {number} of {place}"), several))
    return by_id(pairs, "annotations")


def _pairs(results: Sequence[Any], annotations: Any) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return answers and references by id, from a file of references, or from the results' own rows without one."""
    if annotations is not None:
        return answers_of(results), people_of(annotations)
    rows = read_rows(results, ANSWER, ("annotation",))
    return {where: row[0] for where, row in rows}, {where: row[1] for where, row in rows}


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
        annotations: the file of references for VQA, ANLS and exact match; the latter two do without it where each row
            holds its ``annotation``.
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
    if benchmark == "vqa":
        if annotations is None:
            raise ValueError("annotations must be given for vqa, were not")
        if variant is None:
            raise ValueError("variant must be given for vqa: they give different numbers")
        return [_row(vqa_accuracy(answers_of(results), people_of(annotations), variant=variant), seed)]
    measure = anls if benchmark == "anls" else exact_match
    return [_row(measure(*_pairs(results, annotations)), seed)]


def _boxes(results: Sequence[Any], convention: str) -> Score:
    rows = read_rows(results, ANSWER, ("gt_bbox",), ("hw",))
    answers = by_id([(where, answer) for where, (answer, _, _) in rows], "results")
    due = {where: (box, *_sides(hw, where)) for where, (_, box, hw) in rows}
    return grounding(answers, due, convention=convention)


def _sides(hw: Any, where: str) -> tuple[Any, Any]:
    if not isinstance(hw, list) or len(hw) != 2:
        raise ValueError(f"hw must be [height, width], {where} had {hw!r}")
    return hw[1], hw[0]


def _row(score: Score, seed: int) -> dict[str, Any]:
    low, high = score.interval(seed=seed)
    return {"name": score.name, "value": score.value, "low": low, "high": high, "n": len(score.values),
            "unread": len(score.unread)}  # fmt: skip


def _mme_rows(results: Sequence[Any], seed: int) -> list[dict[str, Any]]:
    """Return perception and cognition, whichever was asked, whole and in parts; a lacking category is refused."""
    run, out = mme(read_mme(*results)), []
    for name, categories in (("MME perception", PERCEPTION), ("MME cognition", COGNITION)):
        if set(categories).isdisjoint(run.accuracy):
            continue
        for part, parts in (("", PARTS), *((f" {part}", (part,)) for part in PARTS)):
            total, (low, high) = run.total(categories, parts), run.interval(categories, seed=seed, parts=parts)
            images, unread = sum(len(run.images[one]) for one in categories), sum(run.unread[one] for one in categories)
            out.append({"name": name + part, "value": total, "low": low, "high": high, "n": images, "unread": unread})
    return out
