"""Tables out of a result, never typed, as Markdown or LaTeX; and whether a rerun lies in the intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ddfm_theory.files import write_whole

METRICS = ("vqa", "acc", "acc_plus", "mme", "grounding")
JUDGED = ("main", "ablations", "routing")


def rounded(value: Any) -> Any:
    """Return plain data with every float rounded to six significant digits; infinity, which JSON lacks, is null."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def save(result: Mapping[str, Any], path: Path) -> None:
    """Write a result as JSON, rounded, whole or not at all."""
    write_whole(path, json.dumps(rounded(dict(result)), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def stats(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every mean with its interval, and where it stands."""
    if isinstance(value, dict) and {"mean", "low", "high"} <= value.keys():
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from stats(inner, (*path, key))


def judge(found: Mapping[str, Any], kept: Mapping[str, Any], say: Callable[[str], Any]) -> int:
    """Say which means of a rerun lie outside the kept intervals; return 1 if any does, or is not there, else 0."""
    ours = {at: stat for name in JUDGED for at, stat in stats(rounded(found)[name], (name,))}
    due = [(at, stat) for name in JUDGED for at, stat in stats(kept[name], (name,))]
    outside = [(at, stat, ours.get(at)) for at, stat in due
               if at not in ours or not stat["low"] <= ours[at]["mean"] <= stat["high"]]  # fmt: skip
    for at, stat, mine in outside:
        here = "is missing" if mine is None else f"was {mine['mean']:.4g}"
        say(f"{' / '.join(at)} must lie in [{stat['low']:.4g}, {stat['high']:.4g}], {here}")
    say(f"{len(due) - len(outside)} of {len(due)} means lie in the kept intervals")
    return int(bool(outside))


def cell(stat: Mapping[str, Any], digits: int) -> str:
    """Return a mean with its interval."""
    return f"{stat['mean']:.{digits}f} [{stat['low']:.{digits}f}, {stat['high']:.{digits}f}]"


def grid(title: str, columns: tuple[str, ...], rows: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return a table as rows of cells, the head first; what a row lacks is a dash."""
    shown = [name for name in columns if any(name in row for row in rows.values())]
    body = [[name, *(cell(row[m], 1 if m == "mme" else 3) if m in row else "-" for m in shown)]
            for name, row in rows.items()]  # fmt: skip
    return [[title, *shown], *body]


def tables(result: Mapping[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Return every table with its caption."""
    out = []
    for part, held in result["main"].items():
        rows = {"dense": held["dense"], "experts": held["experts"], "experts - dense": held["difference"]}
        if part == "test":
            rows |= result["controls"]
        out.append((f"Dense against experts, {part}", grid(part, METRICS, rows)))
    if len(result["budget"]) > 1:
        rows = {f"{steps} steps: {name}": held[name] for steps, held in result["budget"].items()
                for name in ("dense", "experts", "difference")}  # fmt: skip
        out.append(("More training at equal compute", grid("test", METRICS, rows)))
        rows = {f"{steps} steps": held["nats"] for steps, held in result["budget"].items()}
        out.append(("More training: nats an answer, argmax", grid("test", TERMS, rows)))
    for name, held in result["ablations"].items():
        rows = {key: {**row["metrics"], **({"mismatch": row["mismatch"]} if "mismatch" in row else {})}
                for key, row in held.items()}  # fmt: skip
        out.append((f"Ablation: {name}", grid(name, (*METRICS, "mismatch"), rows)))
    out.append(("Routing rules on the same experts", grid("rule", METRICS, result["routing"])))
    out.append(("Where the gap comes from, nats an answer", _gaps(result["terms"])))
    out.append(("First answer token: distance to dense, and C14", grid("rule", BOUNDS, result["bounds"])))
    out += _moves(result["dynamic"]) if "dynamic" in result else []
    columns = ("dense", "experts", "difference", "gap", "expert term", "router term")
    out.append(("What is asked, right answers and nats", grid("asked", columns, result["categories"])))
    return out


MOVES = ("predicted share", "measured share", "predicted nats", "measured nats")
TERMS = ("dense", "gap", "expert term", "router term")
BOUNDS = ("tv", "tv bound", "tv router term", "tv expert term", "kl", "kl bound")


def _moves(found: Mapping[str, Any]) -> list[tuple[str, list[list[str]]]]:
    rows = {f"without expert {k}": held for k, held in enumerate(found["dropped"])}
    rows |= {f"one more, {part}": found["added"][part] for part in ("shifted", "test") if part in found["added"]}
    return [("Experts dropped and added: rows that change their expert, nats an answer", grid("change", MOVES, rows))]


def _gaps(terms: Mapping[str, Any]) -> list[list[str]]:
    names = [key.removesuffix(": gap") for key in terms if key.endswith(": gap")]
    rows = {name: {"gap": terms[f"{name}: gap"], "expert term": terms["expert term"],
                   "router term": terms[f"{name}: router term"]} for name in names}  # fmt: skip
    return grid("rule", ("gap", "expert term", "router term"), rows)


def markdown(result: Mapping[str, Any]) -> str:
    """Return the tables as Markdown."""
    out = []
    for caption, rows in tables(result):
        lines = [f"| {' | '.join(row)} |" for row in rows]
        out += [f"*{caption}*", "", lines[0], "|---" * len(rows[0]) + "|", *lines[1:], ""]
    return "\n".join(out)


def latex(result: Mapping[str, Any]) -> str:
    """Return the tables as LaTeX, with booktabs."""
    out = []
    for caption, rows in tables(result):
        lines = [" & ".join(word.replace("_", r"\_") for word in row) + r" \\" for row in rows]
        out += [rf"\begin{{table}}\small\centering\caption{{{caption}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(rows[0]) - 1)}}}\toprule", lines[0], r"\midrule", *lines[1:],
                r"\bottomrule\end{tabular}\end{table}", ""]  # fmt: skip
    return "\n".join(out)


def write_tables(result: Mapping[str, Any], path: Path) -> None:
    """Write the tables, into a .tex file as LaTeX, into another as Markdown."""
    write_whole(path, latex(result) if path.suffix == ".tex" else markdown(result))
