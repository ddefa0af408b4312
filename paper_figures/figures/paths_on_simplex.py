"""Probability paths of four schedules, on the simplex of how many positions are revealed."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures.captions import number
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import LOOKS, letter, on_simplex, simplex

QUARTERS = (0.25, 0.5, 0.75)


@figure("paper_figures/data/paths_on_simplex.json", width="page", height=2.15)
def draw(target: Any, data: Record) -> None:
    """Draw kappa of both positions, and the law of the number of revealed positions."""
    left, right = target.subplots(1, 2, width_ratios=(1.25, 1))
    for look, (name, schedule) in zip(LOOKS, data["schedules"].items(), strict=False):
        _kappa(left, schedule, look, name)
        _path(right, schedule, look, name)
    left.set(xlabel=r"time $t$ (autoregressive: step$/N$)", ylabel=r"$\kappa_t^i$, share revealed at position $i$",
             xlim=(0, 1), ylim=(-0.02, 1.04), yticks=np.linspace(0, 1, 6))  # fmt: skip
    left.text(0.42, 0.7, "$i=1$", ha="right", va="bottom", fontsize="small")
    left.text(0.6, 0.35, "$i=2$", ha="left", va="top", fontsize="small")
    simplex(right, ("none revealed\n($t=0$)", "both revealed\n($t=1$)", "one revealed"))
    right.legend(loc="upper left", bbox_to_anchor=(0.98, 1.0), title="mark every $1/4$")
    letter(left, "a")
    letter(right, "b")


def _kappa(ax: Any, schedule: Record, look: Any, name: str) -> None:
    times, kappa = schedule.array("times"), schedule.array("kappa")
    draw_line = ax.step if name == "autoregressive" else ax.plot
    for i in range(kappa.shape[1]):
        more = {"where": "post"} if name == "autoregressive" else {}
        draw_line(times, kappa[:, i], **look.lined(label=name if not i else None), **more)


def _path(ax: Any, schedule: Record, look: Any, name: str) -> None:
    laws, times = schedule.array("law")[:, [0, 2, 1]], schedule.array("times")
    x, y = on_simplex(laws).T
    at = [int(np.argmin(abs(times - t))) for t in QUARTERS] if len(times) > 3 else list(range(len(times)))
    ax.plot(x, y, label=name, markevery=at, **look.drawn(zorder=3))


@captioned
def caption(data: Record) -> str:
    """Say what the two panels show."""
    linear = data["schedules"]["linear"]
    middle = linear.array("law")[len(linear["times"]) // 2]
    return (
        rf"Four schedules for $N = {data['length']}$ tokens from the all-mask source. (a)~$\kappa_t^i$ at both"
        rf" positions; linear and cosine are equal at both, windowed (overlap $w = {number(data['overlap'], 1)}$) and"
        r" autoregressive reveal position~1 first. (b)~The law of the number of revealed positions along the path, on"
        r" the simplex; marks at $t = 1/4, 1/2, 3/4$, for the autoregressive path at its steps. Linear and cosine"
        rf" follow one curve at different speeds (linear at $t = 1/2$: $({', '.join(number(p, 2) for p in middle)})$);"
        r" the narrower the window, the nearer the path to the two edges, along which one position moves at a time,"
        r" and whose corners are the autoregressive states."
    )
