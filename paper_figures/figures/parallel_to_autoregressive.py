"""From parallel to autoregressive: the sampler's exact error against steps and overlap (C05, C20)."""

from __future__ import annotations

from typing import Any

from paper_figures.captions import whole
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import GREY, LOOKS, letter

ZERO = "exactly 0"


@figure("paper_figures/data/parallel_to_autoregressive.json", width="page", height=2.2)
def draw(target: Any, data: Record) -> None:
    """Draw the error against the number of steps by overlap, and against overlap by the number of steps."""
    left, right = target.subplots(1, 2)
    _by_steps(left, data)
    _by_overlap(right, data)
    letter(left, "a")
    letter(right, "b")


def _by_steps(ax: Any, data: Record) -> None:
    steps, rows = data.array("steps"), data["by_steps"]
    floor = min(tv[tv > 0].min() for tv in (row.array("tv") for row in rows)) / 4
    for look, row in zip(LOOKS, reversed(rows), strict=False):
        tv = row.array("tv")
        ax.plot(steps[tv > 0], tv[tv > 0], **look.drawn(label=rf"$w={row['overlap']:g}$"))
        ax.plot(steps[tv == 0], 0 * steps[tv == 0] + floor, **look.drawn(linestyle="none", markerfacecolor=look.color))
    far, top = steps[steps >= 8], rows[-1].array("tv")[steps == 8][0]
    for power, start, (dx, dy) in (
        (1, top * 1.5, (1.05, 1.15)),
        (2, rows[0].array("tv")[steps == 8][0] / 2.2, (0.6, 0.55)),
    ):
        ax.plot(far, start * (8 / far) ** power, color=GREY, linewidth=0.7)
        at = len(far) // 2
        ax.text(far[at] * dx, start * (8 / far[at]) ** power * dy, f"$T^{{-{power}}}$", color=GREY, fontsize="small")
    ax.set(xscale="log", yscale="log", xlabel="number of steps $T$", ylabel="total variation to the target")
    ax.axhline(floor * 1.8, color="black", linewidth=0.4, linestyle=":")
    ax.text(1, floor, "exact", va="center", ha="left", fontsize="small")
    ax.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"], minor=False)
    ax.minorticks_off()
    ax.legend(ncols=1, loc="upper left", bbox_to_anchor=(0.99, 1.02))


def _by_overlap(ax: Any, data: Record) -> None:
    overlaps = data.array("overlaps")
    for look, row in zip(LOOKS, data["by_overlap"], strict=False):
        ax.plot(overlaps, row.array("tv"), markevery=6, **look.drawn(label=f"$T={row['steps']}$"))
    ax.set(xlabel="overlap $w$ (0: one position at a time, 1: all at once)", ylabel="total variation to the target",
           xlim=(-0.02, 1.02), ylim=(-0.004, None))  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(0.99, 1.02))


@captioned
def caption(data: Record) -> str:
    """Say what was sampled, and give the values of the linear schedule."""
    steps, linear = data.array("steps"), data["by_steps"][-1].array("tv")
    powers = [2**i for i in range(1, 7)]
    values = [f"{linear[steps == n][0]:.6f}" for n in powers]
    states = data["vocabulary"] ** data["length"]
    aligned = [int(n) for n in steps[data["by_steps"][0].array("tv") == 0]]
    return (
        r"From parallel to autoregressive: exact error of the discrete-time sampler for a Dirichlet(1) target over"
        rf" ${data['vocabulary']}^{data['length']} = {whole(states)}$ sequences (seed {data['seed']}, rational"
        r" arithmetic). (a)~Against the number of steps $T$, for overlaps $w$ of the windowed schedule; $w = 1$ is"
        rf" linear at all positions, with error ${', '.join(values)}$ for ${powers[0]}, {powers[1]}, \dots,"
        rf" {powers[-1]}$ steps, decaying as $1/T$. At $w = 0$ the sampler is exact where $N = {data['length']}$"
        rf" divides $T$ (filled marks), and decays as $1/T^2$ elsewhere ($T = {', '.join(map(str, aligned))}$ are exact"
        r" here). (b)~Against the overlap: the error is not monotone."
    )
