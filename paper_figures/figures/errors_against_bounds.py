"""Measured errors against the bounds of C14 and C15: no point above the line."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures.captions import number, whole
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import GREY, LOOKS, letter

STABILITY = {"mixture_tv": "mixture, TV", "mixture_kl": "mixture, KL", "sequence_tv": "sequence, TV"}
GATES = {"top_k": "any experts", "top_k_disjoint": "disjoint experts"}


@figure("paper_figures/data/errors_against_bounds.json", width="page", height=2.2)
def draw(target: Any, data: Record) -> None:
    """Draw error against bound, with the line where they are equal."""
    left, right = target.subplots(1, 2)
    _scatter(left, data, STABILITY)
    _scatter(right, data, GATES)
    left.set(xscale="log", yscale="log", xlabel="bound of C14 (TV; KL in nats)", ylabel="measured error (TV; nats)")
    right.set(
        xlabel="bound of C15: $1-s$, the mass dropped",
        ylabel="measured shift (TV)",
        xlim=(-0.02, 0.85),
        ylim=(-0.02, 0.85),
    )
    _line(left, _reach(data, STABILITY))
    _line(right, np.array([0, 0.85]))
    left.minorticks_off()
    for ax, name in ((left, "a"), (right, "b")):
        ax.legend(loc="upper left", handletextpad=0.2)
        letter(ax, name)


def _scatter(ax: Any, data: Record, names: dict[str, str]) -> None:
    for look, (name, label) in zip(LOOKS, names.items(), strict=False):
        pairs = data["pairs"][name]
        ax.plot(pairs.array("bound"), pairs.array("error"), linestyle="none", marker=look.marker, markersize=2.4,
                markeredgewidth=0.5, markerfacecolor="none", color=look.color, label=label, zorder=3)  # fmt: skip


def _reach(data: Record, names: dict[str, str]) -> np.ndarray:
    bounds = np.concatenate([data["pairs"][name].array("bound") for name in names])
    return np.array([bounds.min(), bounds.max()])


def _line(ax: Any, ends: np.ndarray) -> None:
    ax.plot(ends, ends, color=GREY, linewidth=0.7)
    ax.text(ends[1], ends[1], "equal ", color=GREY, ha="right", va="bottom", fontsize="small")


@captioned
def caption(data: Record) -> str:
    """Say what was drawn, how near errors come to their bounds, and that none is above."""
    pairs = data["pairs"]
    ratios = {name: pairs[name].array("error") / pairs[name].array("bound") for name in (*STABILITY, *GATES)}
    median = {name: number(float(np.median(ratio)), 2) for name, ratio in ratios.items()}
    above = sum(int((pairs[name].array("error") > pairs[name].array("bound") * (1 + 1e-9)).sum()) for name in ratios)
    count = sum(len(ratio) for ratio in ratios.values())
    return (
        rf"Measured errors against their bounds, {whole(data['draws'])} random instances each (seed {data['seed']},"
        rf" float64): {above} of {whole(count)} lie above the line. (a)~C14: mixtures of {data['experts']} experts over"
        rf" {data['tokens']} tokens in total variation (median ratio of error to bound ${median['mixture_tv']}$) and KL"
        rf" (${median['mixture_kl']}$), and laws of {data['length']} tokens (${median['sequence_tv']}$). (b)~C15: a"
        rf" top-$k$ gate that keeps mass $s$ shifts the mixture by at most $1 - s$ (median ratio ${median['top_k']}$);"
        rf" experts of disjoint supports attain it (${median['top_k_disjoint']}$)."
    )
