"""What README.md shows of the kept SmolLM2 run: tables and the facts that are numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Found = Mapping[str, Mapping[str, Any]]


def sections(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the Markdown of README's sections, by name."""
    found = result["found"]
    columns = {"": "nats", ", less dense": "nats_minus_dense"}
    named = {text + name: found[text][kind] for text in found for name, kind in columns.items()}
    weight, distance = ({text: found[text][of] for text in found} for of in ("weight_on_own", "distance_to_dense"))
    return {"smollm2 nats": _grid("nats a token", named), "smollm2 weight": _grid("weight on own after", weight),
            "smollm2 distance": _grid("filter to dense", distance), "smollm2 pairs": pairs(result),
            "smollm2 facts": facts(result)}  # fmt: skip


def _grid(title: str, columns: Found) -> str:
    lines = [f"| {title} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row in next(iter(columns.values())):
        lines.append(f"| {row} | {' | '.join(_cell(at[row]) for at in columns.values())} |")
    return "\n".join(lines)


def _cell(value: Mapping[str, Any]) -> str:
    """Return a mean, its interval over windows in brackets and that over seeds in braces."""
    seeds = value["seeds"]
    return f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}] {{{seeds['low']:.3f}, {seeds['high']:.3f}}}"


def pairs(result: Mapping[str, Any]) -> str:
    """Return what each pair of seeds gave: the rules less the dense model, and the dense model less the base."""
    lines = [
        "| pair of seeds | text | dense less base | filter less dense | own expert less dense |",
        "|---|---|---|---|---|",
    ]
    seeds = zip(result["seeds"]["experts"], result["seeds"]["dense"], strict=True)
    for i, (experts, dense) in enumerate(seeds):
        for text, found in result["found"].items():
            less = {name: value["seeds"]["values"][i] for name, value in found["nats_minus_dense"].items()}
            cells = [-less["base"], less["filter"], less[f"expert {text}"]]
            lines.append(f"| experts {experts}, dense {dense} | {text} | {' | '.join(f'{x:.3f}' for x in cells)} |")
    return "\n".join(lines)


def facts(result: Mapping[str, Any]) -> str:
    """Return a list of the numbers that are not in a table: time, conformance, and what skipping spared and dropped."""
    outcomes = [outcome for one in result["outcomes"] for outcome in one]
    counts = ", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes))
    minutes = ", ".join(f"{seconds / 60:.0f}" for seconds in result["seconds"])
    lines = [f"- The pairs of seeds took {minutes} minutes, on one of {result['machine']['cores']} shared cores.",
             f"- Conformance records of the {len(result['outcomes'])} ensembles: {counts}."]  # fmt: skip
    for text, spoken in result["generations"].items():
        lines += [_spoken(text, spoken[0], one) for one in spoken[1:]]
    return "\n".join(lines)


def _spoken(text: str, whole: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    spared = _listed([a - b for a, b in zip(whole["passes"], one["passes"], strict=True)])
    same = "the same text" if one["text"] == whole["text"] else "another text"
    told = [f"- Experts of weight below {one['skip_below']} left unread, {text} prompt: {same}",
            f"{spared} of {whole['passes'][0]} passes of the experts spared",
            f"at most {one['dropped_worst']:.4f} dropped at a token, {one['dropped_sum']:.3f} in all."]  # fmt: skip
    return "; ".join(told)


def _listed(counts: Sequence[int]) -> str:
    return " and ".join(map(str, counts))
