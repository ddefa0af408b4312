"""What README.md shows of the kept check: conformance, distance to the dense model, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toy_models.multimodal.gathering import stat
from toy_models.multimodal.report import cell

Found = Mapping[str, Any]
MEASURES = ("kl", "tv", "nll_gap", "agreement", "router_entropy")
TOLD = ("accuracy", "confidence", "calibration_error")


def ensembles(result: Found) -> dict[str, list[Found]]:
    """Return what was found of each kind of ensemble, one a seed."""
    out: dict[str, list[Found]] = {}
    for one in result["ensembles"]:
        out.setdefault(f"{one['router']}, K = {one['experts']}", []).append(one)
    return out


def conformance(result: Found) -> str:
    """Return each check's outcome over seeds, and its largest residual in units of the bound."""
    kinds = ensembles(result)
    rows = []
    for i, first in enumerate(result["ensembles"][0]["records"]):
        held = {kind: [one["records"][i] for one in found] for kind, found in kinds.items()}
        rows.append([f"{first['claim']} {first['name']}", *map(outcome, held.values())])
    return _markdown(["residual / bound", *kinds], rows)


def outcome(records: Sequence[Found]) -> str:
    """Return the outcomes of one check, one a seed, and the largest residual in units of its bound."""
    names = [record["outcome"] for record in records]
    ratio = max(record["residual"] / record["bound"] for record in records)
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names)) + f": {ratio:.2g}"


def distance(result: Found) -> str:
    """Return the distances to the dense model, means over rows, with the interval over seeds."""
    return _over_seeds("to dense", MEASURES, {
        kind: {name: [one["distance"]["all"][name]["mean"] for one in found] for name in MEASURES}
        for kind, found in ensembles(result).items() if found[0]["distance"]})  # fmt: skip


def calibration(result: Found) -> str:
    """Return how well the router knows the expert, at the prompt and after the answer, with the interval over seeds."""
    return _over_seeds("router", TOLD, {
        f"{kind}, {when.removeprefix('router_').replace('_', ' ')}":
            {name: [one["calibration"][when][name] for one in found] for name in TOLD}
        for kind, found in ensembles(result).items() for when in found[0]["calibration"]})  # fmt: skip


def _over_seeds(title: str, columns: Sequence[str], rows: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    body = [[kind, *(cell(stat(values[name]), 3) for name in columns)] for kind, values in rows.items()]
    return _markdown([title, *columns], body)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def sections(result: Found) -> dict[str, str]:
    """Return the Markdown of README's sections, by name."""
    return {"check conformance": conformance(result), "check distance": distance(result),
            "check calibration": calibration(result)}  # fmt: skip
