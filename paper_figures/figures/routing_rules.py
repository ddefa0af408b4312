"""Errors of routing rules, the experts being exact, tables or transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures.captions import listed
from paper_figures.entries import captioned, figure
from paper_figures.records import Record, chosen, columns, different
from paper_figures.style import LOOKS, ranges

KINDS = ("overlapping", "nested", "disjoint", "grid")
RULES = {"bayes": "Bayes\nfilter", "true": "true\nrouter", "learned": "learned", "cosine": "cosine",
         "last token": "last\ntoken", "top-1": "top-1", "static": "static"}  # fmt: skip


@figure("toy_models/results/small.json", width="page", height=2.2)
def draw(target: Any, data: Record) -> None:
    """Draw mean total variation by rule, whiskers over seeds, at the most experts."""
    axes = target.subplots(1, len(KINDS), sharey=True)
    for ax, kind in zip(axes, KINDS, strict=True):
        for offset, look, (name, rows) in zip((-0.22, 0, 0.22), LOOKS, experts(data, kind).items(), strict=False):
            values = [next(columns(chosen(rows, model=rule), "tv")) for rule in RULES]
            mean, spread = ranges(values)
            at = np.arange(len(RULES)) + offset
            ax.errorbar(mean, at, xerr=spread, elinewidth=0.6, label=name, **look.drawn(linestyle="none"))
        ax.set(xlabel=f"total variation, {kind}", ylim=(len(RULES) - 0.5, -0.5), xlim=(-0.03, 1.03), xticks=(0, 0.5, 1))
        for line in np.arange(len(RULES) - 1) + 0.5:
            ax.axhline(line, color="black", linewidth=0.2)
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(RULES)), [name.replace("\n", " ") for name in RULES.values()])
    target.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)


def experts(data: Record, kind: str) -> dict[str, list[Record]]:
    """Return the rows of exact experts, of short tables and of trained transformers, at the most experts."""
    rows = chosen(data["grids" if kind == "grid" else "rows"], kind=kind)
    order, samples = min(row["order"] for row in rows), max(row["samples"] for row in rows)
    most = max(row["experts"] for row in rows)
    steps = data["sizes"]["training"]["steps"]
    return {"exact experts": chosen(data["exact"], kind=kind, experts=most),
            "tables": chosen(rows, order=order, samples=samples, experts=most),
            "transformers": chosen(data["transformers"], kind=kind, step=steps, experts=most)}  # fmt: skip


@captioned
def caption(data: Record) -> str:
    """Say what was routed, and give each rule's error on exact experts."""
    exact = {kind: experts(data, kind)["exact experts"] for kind in KINDS}
    means = {rule: [f"{next(columns(chosen(rows, model=rule), 'tv')).mean():.3f}" for rows in exact.values()]
             for rule in RULES if rule not in ("bayes", "true")}  # fmt: skip
    told = "; ".join(rf"{rule} ${', '.join(values)}$" for rule, values in means.items())
    most = max(data["sizes"]["experts"])
    seeds, fewer = (len(different(data[name], "seed")) for name in ("exact", "transformers"))
    return (
        rf"Routing rules on $K = {most}$ experts, mean and range over seeds ({seeds} for exact experts and tables,"
        rf" {fewer} for transformers)."
        r" Learned: a classifier of prefixes; cosine: likeness of the tokens so far to an expert's data; top-1: the"
        r" filter's largest weight. An exact expert off its support has no token to offer, so that a wrong rule loses"
        rf" mass. On exact experts the Bayes filter is exact, and the errors are the rules' own ({listed(KINDS)}):"
        rf" {told}."
    )
