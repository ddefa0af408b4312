"""Dense against experts at equal total samples and compute: over compute, and over the number of experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from paper_figures.captions import number, whole
from paper_figures.entries import captioned, figure
from paper_figures.records import Record, chosen, columns, different
from paper_figures.style import LOOKS, letter, ranges

KINDS = ("overlapping", "nested", "disjoint", "grid")


@figure("toy_models/results/small.json", width="page", height=3.6)
def draw(target: Any, data: Record) -> None:
    """Draw mean total variation with the range over seeds: transformers along training, then all learners over K."""
    grid = target.subplots(2, len(KINDS), sharey="row")
    for column, kind in enumerate(KINDS):
        _compute(grid[0, column], data, kind)
        _experts(grid[1, column], data, kind)
        grid[0, column].set(xlabel=f"Gflop, {kind}")
        grid[1, column].set(xlabel=f"experts $K$, {kind}")
    for ax in grid[:, 0]:
        ax.set(ylabel="total variation")
        _errors(ax)
    for ax, name in zip(grid[:, 0], "ab", strict=True):
        letter(ax, name)
    _legends(target, grid)


def _legends(target: Any, grid: Any) -> None:
    handles, labels = grid[0, 0].get_legend_handles_labels()
    more, words = grid[1, 0].get_legend_handles_labels()
    target.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    target.legend(more, words, loc="outside lower center", ncols=3)


def _compute(ax: Any, data: Record, kind: str) -> None:
    rows = chosen(data["transformers"], kind=kind)
    sizes = data["sizes"]["training"]
    work = data["training_flops"]["grid" if kind == "grid" else "chain"] / sizes["steps"] / 1e9
    for look, experts in zip(LOOKS, sorted(different(rows, "experts")), strict=False):
        mine = chosen(rows, experts=experts, model="dense" if experts == 1 else "bayes")
        label = "dense transformer" if experts == 1 else f"$K={experts}$"
        _ranges(ax, mine, "step", label, work, **look.drawn())
    _ticks(ax, [work * step for step in sizes["checkpoints"]])


def _ticks(ax: Any, values: Sequence[float]) -> None:
    """Set both scales logarithmic, and ticks where something was measured."""
    ax.set(xscale="log", yscale="log", xlim=(values[0] / 1.3, values[-1] * 1.3))
    ax.set_xticks(values, [f"{value:.2g}" for value in values])
    ax.minorticks_off()


def _errors(ax: Any) -> None:
    """Set ticks at 1, 2 and 5 times powers of ten within a logarithmic scale: it may span less than two of these."""
    low, high = ax.get_ylim()
    values = [step * 10.0**power for power in range(-4, 1) for step in (1, 2, 5)]
    shown = [value for value in values if low <= value <= high]
    ax.set_yticks(shown, [f"{value:g}" for value in shown])
    ax.minorticks_off()
    ax.set_ylim(low, high)


def _experts(ax: Any, data: Record, kind: str) -> None:
    for look, (name, rows) in zip(LOOKS, learners(data, kind).items(), strict=False):
        dense = next(columns(chosen(rows, experts=1, model="dense"), "tv")).mean()
        ax.axhline(dense, color=look.color, linestyle=look.line, linewidth=0.8)
        _ranges(ax, chosen(rows, model="bayes"), "experts", f"experts, {name}", **look.drawn(linestyle="none"))
        ax.plot([], [], color=look.color, linestyle=look.line, linewidth=0.8, label=f"dense, {name}")
    _ticks(ax, data["sizes"]["experts"])


def learners(data: Record, kind: str) -> dict[str, list[Record]]:
    """Return what learned: tables that look back as far as a cluster, tables of all tokens, transformers at the end."""
    rows = chosen(data["grids" if kind == "grid" else "rows"], kind=kind)
    rows = chosen(rows, samples=max(row["samples"] for row in rows))
    low, full = (limit(different(rows, "order")) for limit in (min, max))
    steps = data["sizes"]["training"]["steps"]
    return {"short table": chosen(rows, order=low), "long table": chosen(rows, order=full),
            "transformer": chosen(data["transformers"], kind=kind, step=steps)}  # fmt: skip


def _ranges(ax: Any, rows: Sequence[Record], by: str, label: str, scale: float = 1, **look: Any) -> None:
    """Draw means over seeds, whiskers from the least to the largest."""
    at = sorted(different(rows, by))
    values = [next(columns(chosen(rows, **{by: x}), "tv")) for x in at]
    mean, spread = ranges(values)
    ax.errorbar(scale * np.array(at), mean, spread, label=label, elinewidth=0.6, capsize=1.2, **look)


def means(data: Record, kind: str, learner: str) -> tuple[float, float]:
    """Return the mean error of the dense model, and of the most experts."""
    rows = learners(data, kind)[learner]
    most = max(row["experts"] for row in rows)
    dense, experts = chosen(rows, experts=1, model="dense"), chosen(rows, experts=most, model="bayes")
    return float(next(columns(dense, "tv")).mean()), float(next(columns(experts, "tv")).mean())


@captioned
def caption(data: Record) -> str:
    """Say what was trained, and give the means of dense model and most experts."""
    sizes, training = data["sizes"], data["sizes"]["training"]
    told = {learner: "; ".join(
        rf"{kind} ${number(a, 2)}$, ${number(b, 2)}$" for kind in KINDS for a, b in [means(data, kind, learner)])
        for learner in ("short table", "transformer")}  # fmt: skip
    seeds = {name: len(different(data[name], "seed")) for name in ("rows", "transformers")}
    most = max(sizes["experts"])
    vocabulary, length = sizes["targets"]["chain"]
    return (
        r"Dense against $K$ experts at equal total samples and compute, error to the known law:"
        rf" {sizes['targets']['clusters']} clusters, Markov chains over {vocabulary} tokens of length {length} or"
        r" grids, each expert holding as many clusters. Bayes-routed; mean and range over seeds"
        rf" ({seeds['transformers']} for transformers, {seeds['rows']} for tables). (a)~Transformers along training,"
        rf" {training['steps']} steps in all; $10^9$ operations of all experts together. (b)~Over $K$: lines dense,"
        rf" marks experts; tables of {whole(max(sizes['samples']))} samples that look back as far as a cluster does"
        rf" (short) or at all tokens (long). Dense and $K = {most}$: short tables {told['short table']}; transformers"
        rf" {told['transformer']}."
    )
