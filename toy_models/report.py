"""``python -m toy_models.report``: write the tables of README.md anew from the committed results.

Every table stands between ``<!-- name -->`` and ``<!-- /name -->``; numbers in prose are those of
:mod:`toy_models.values`. In the tables here a number is the mean over seeds with half the width of Student's 95 %
interval; an error is the exact total variation to the truth.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddfm_theory.files import write_whole
from toy_models.intervals import across_seeds
from toy_models.multimodal import checking_report
from toy_models.multimodal.report import markdown
from toy_models.smollm2_report import sections
from toy_models.values import with_values

HERE = Path(__file__).parent
Row = Mapping[str, Any]
RULES = ("bayes", "true", "learned", "cosine", "last token", "top-1", "static")


def chosen(rows: Iterable[Row], **keys: Any) -> list[Row]:
    """Return the rows that have these values."""
    return [row for row in rows if all(row[key] == value for key, value in keys.items())]


def different(rows: Iterable[Row], key: str) -> list[Any]:
    """Return the values of a key, each once, as they come."""
    return list(dict.fromkeys(row[key] for row in rows))


def cell(values: Sequence[float | None]) -> str:
    """Return a mean over seeds with half its interval; infinite where a seed's value is."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "infinite" if known or values else "-"
    found = across_seeds(known)
    return f"{found['mean'] + 0.0:.4f} ± {found['high'] - found['mean']:.4f}"


def grid(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the Markdown tables of a result, by name."""
    made = (number_of_experts, over_samples, rules, objective, bounds, training, transformer_rules, flow_errors,
            flow_losses)  # fmt: skip
    return {one.__name__.replace("_", " "): one(result) for one in made}


def every_table(result: Mapping[str, Any]) -> list[Row]:
    """Return the rows of tables, of chains and of grids."""
    return [*result["rows"], *result["grids"]]


def _orders(rows: Sequence[Row], kind: str) -> list[int]:
    return sorted(different(chosen(rows, kind=kind), "order"))


def number_of_experts(result: Mapping[str, Any]) -> str:
    """Return errors of dense tables and of Bayes-routed experts over K, at the most samples, for both orders."""
    every, lines = every_table(result), []
    most = max(row["samples"] for row in every)
    counts = [k for k in different(every, "experts") if k > 1]
    for kind in different(every, "kind"):
        for order in _orders(every, kind):
            rows = chosen(every, kind=kind, order=order, samples=most)
            dense = [row["tv"] for row in chosen(rows, experts=1, model="dense")]
            routed = {k: [row["tv"] for row in chosen(rows, experts=k, model="bayes")] for k in counts}
            less = cell([a - b for a, b in zip(routed[counts[-1]], dense, strict=True)])
            lines.append([kind, str(order), cell(dense), *(cell(routed[k]) for k in counts), less])
    head = ["clusters", "order", "dense", *(f"K = {k}" for k in counts), f"K = {counts[-1]}, less dense"]
    return grid(head, lines)


def over_samples(result: Mapping[str, Any]) -> str:
    """Return errors over the number of samples at the largest K: dense, routed by Bayes and by the static prior."""
    every, lines = every_table(result), []
    samples, most = different(every, "samples"), max(row["experts"] for row in every)
    for kind in different(every, "kind"):
        for order in _orders(every, kind):
            for model in ("dense", "bayes", "static"):
                rows = chosen(every, kind=kind, order=order, model=model, experts=most)
                cells = [cell([row["tv"] for row in chosen(rows, samples=n)]) for n in samples]
                lines.append([kind, str(order), model, *cells])
    return grid(["clusters", "order", f"model, K = {most}", *(f"{n:,} samples" for n in samples)], lines)


def rules(result: Mapping[str, Any]) -> str:
    """Return errors of every routing rule at the largest K and the most samples: learned tables, and exact experts."""
    every, lines = every_table(result), []
    most, largest = max(row["samples"] for row in every), max(row["experts"] for row in every)
    for kind in different(every, "kind"):
        order = _orders(every, kind)[0]
        learned = chosen(every, kind=kind, order=order, samples=most, experts=largest)
        exact = chosen(result["exact"], kind=kind, experts=largest)
        for name, rows in (("tables", learned), ("exact", exact)):
            lines.append([kind, name, *(cell([row["tv"] for row in chosen(rows, model=rule)]) for rule in RULES)])
    return grid(["clusters", f"experts, K = {largest}", *RULES], lines)


def objective(result: Mapping[str, Any]) -> str:
    """Return C12 of learned tables, each term less its value at the truth: loss = experts + prior - router."""
    every, lines = every_table(result), []
    most = max(row["samples"] for row in every)
    truth = {(row["kind"], row["seed"], row["experts"]): row for row in result["targets"]}
    for kind in different(every, "kind"):
        rows = chosen(every, kind=kind, order=_orders(every, kind)[0], samples=most, model="bayes")
        for k in different(rows, "experts"):
            mine = chosen(rows, experts=k)
            known = [truth[kind, row["seed"], k] for row in mine]
            columns = [[row["I(X;K)"] for row in known]]
            columns += [[row[f"c12_{name}"] - at for row, at in zip(mine, truths(name, known, k), strict=True)]
                        for name in ("loss", "experts", "prior", "router")]  # fmt: skip
            lines.append([kind, str(k), *map(cell, columns)])
    return grid(["clusters", "K", "I(X;K)", "loss", "experts", "prior", "router"], lines)


def truths(name: str, known: Sequence[Row], experts: int) -> list[float]:
    """Return a term of C12 at the truth, a seed: H(X), H(X|K), H(K) or H(K|X), the prior being even."""
    of: dict[str, Callable[[Row], float]] = {
        "loss": lambda row: row["H(X)"],
        "experts": lambda row: row["H(X|K)"],
        "prior": lambda row: math.log(experts),
        "router": lambda row: math.log(experts) - row["I(X;K)"],
    }
    return [of[name](row) for row in known]


def bounds(result: Mapping[str, Any]) -> str:
    """Return C14 beside the true error by rule: the largest K, tables of a cluster's memory, the most samples."""
    every, lines = every_table(result), []
    most, largest = max(row["samples"] for row in every), max(row["experts"] for row in every)
    for kind in different(every, "kind"):
        order = _orders(every, kind)[0]
        for rule in RULES:
            rows = chosen(every, kind=kind, order=order, samples=most, experts=largest, model=rule)
            whole = [row["bound_c14"] for row in rows] if rule == "bayes" else []
            terms = ([row[key] for row in rows] for key in ("tv", "c14_router", "c14_experts"))
            lines.append([kind, rule, *map(cell, terms), cell(whole)])
    return grid(["clusters", "rule", "error", "router's term", "experts' term", "bound of whole sequences"], lines)


def training(result: Mapping[str, Any]) -> str:
    """Return errors of tiny transformers along training: dense, and Bayes-routed experts over K."""
    rows, lines = result["transformers"], []
    steps = different(rows, "step")
    for kind in different(rows, "kind"):
        for k in sorted(different(rows, "experts")):
            mine = chosen(rows, kind=kind, experts=k, model="dense" if k == 1 else "bayes")
            cells = [cell([row["tv"] for row in chosen(mine, step=step)]) for step in steps]
            lines.append([kind, "dense" if k == 1 else f"K = {k}", *cells])
    return grid(["clusters", "model", *(f"{step} steps" for step in steps)], lines)


def transformer_rules(result: Mapping[str, Any]) -> str:
    """Return errors of every routing rule over transformers trained to the end, at the largest K."""
    rows = result["transformers"]
    last, largest = max(row["step"] for row in rows), max(row["experts"] for row in rows)
    lines = []
    for kind in different(rows, "kind"):
        mine = chosen(rows, kind=kind, step=last, experts=largest)
        lines.append([kind, *(cell([row["tv"] for row in chosen(mine, model=rule)]) for rule in RULES)])
    return grid([f"clusters, K = {largest}", *RULES], lines)


def flow_errors(result: Mapping[str, Any]) -> str:
    """Return errors of the sampled law over steps and overlap, and the largest distance to the central law."""
    kind, lines = result["flows"][0]["kind"], []
    rows = chosen(result["flows"], kind=kind)
    steps = different(rows, "steps")
    for overlap, learner in itertools.product(different(rows, "overlap"), different(rows, "learner")):
        mine = chosen(rows, overlap=overlap, learner=learner)
        for model in different(mine, "model"):
            found = chosen(mine, model=model)
            cells = [mean([row["tv"] for row in chosen(found, steps=count)]) for count in steps]
            apart = max(row["to_central"] for row in found)
            lines.append([f"{overlap:g}", learner, model, *cells, f"{apart:.1e}" if apart else "0"])
    return grid(["overlap", "posterior", f"velocity ({kind})", *(f"T = {t}" for t in steps), "to central"], lines)


def mean(values: Sequence[float]) -> str:
    """Return a mean over seeds alone."""
    return f"{sum(values) / len(values):.4f}"


def flow_losses(result: Mapping[str, Any]) -> str:
    """Return the negative ELBO less H(X), in nats a sequence, by overlap of the schedule that it is integrated over."""
    rows, lines = result["flow_losses"], []
    overlaps = different(rows, "overlap")
    for kind in different(rows, "kind"):
        for learner in different(rows, "learner"):
            mine = chosen(rows, kind=kind, learner=learner)
            for model in different(mine, "model"):
                found = [chosen(mine, model=model, overlap=overlap) for overlap in overlaps]
                cells = [cell([row["elbo"] - row["H(X)"] for row in some]) for some in found]
                lines.append([kind, learner, model, *cells])
    return grid(["clusters", "posterior", "velocity", *(f"overlap {w:g}" for w in overlaps)], lines)


def filled(text: str, made: Mapping[str, str]) -> str:
    """Return a text with every table in its place.

    Raises:
        ValueError: a table's markers do not stand in the text once each, in order.
    """
    for name, table in made.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
            raise ValueError(f"text must hold {start} and {end} once each, in this order, did not")
        before, rest = text.split(start)
        text = f"{before}{start}\n{table}\n{end}{rest.split(end)[1]}"
    return text


def written() -> str:
    """Return what README.md is to be, by the results that are kept."""
    kept = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((HERE / "results").glob("*.json"))}
    made = tables(kept["small"]) | sections(kept["smollm2"]) | checking_report.sections(kept["multimodal_check"])
    made |= {name.replace("_", " "): markdown(found).strip() for name, found in kept.items() if "budget" in found}
    return with_values(filled((HERE / "README.md").read_text("utf-8"), made), kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write README.md, or with ``--check`` say whether it is up to date."""
    parser = argparse.ArgumentParser(prog="python -m toy_models.report", description=__doc__)
    parser.add_argument("--check", action="store_true")
    chosen_arguments = parser.parse_args(arguments)
    path, text = HERE / "README.md", written()
    if not chosen_arguments.check:
        write_whole(path, text)
    elif path.read_text("utf-8") != text:
        sys.stderr.write(f"{path.name} must show the kept results, does not: run python -m toy_models.report\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
