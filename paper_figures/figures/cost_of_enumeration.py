"""The cost of exact verification: seconds against states by enumeration, and against symbols by algebra."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures.captions import number, whole
from paper_figures.entries import captioned, figure
from paper_figures.records import Record, chosen, columns
from paper_figures.style import GREY, LOOKS, letter

SYSTEM, FUNCTIONS = "numpy-float64", {"path": "path $p_t$", "velocity": "velocity $u_t$"}
ROUTES = {"ours": "this package", "plain": "SymPy"}


@figure(("benchmarks/results/enumeration.json", "benchmarks/results/symbolic.json"), width="page", height=2.1)
def draw(target: Any, data: Record) -> None:
    """Draw medians of runs, with the range of the runs."""
    left, right = target.subplots(1, 2)
    _enumeration(left, data["enumeration"])
    _symbols(right, data["symbolic"])
    letter(left, "a")
    letter(right, "b")


def _enumeration(ax: Any, data: Record) -> None:
    for face, (function, label) in zip(("white", None), FUNCTIONS.items(), strict=True):
        for look, vocabulary in zip(LOOKS, _vocabularies(data), strict=False):
            rows = chosen(data["rows"], function=function, system=SYSTEM, V=vocabulary)
            (states,) = columns(rows, "states")
            runs = [row["seconds"].array("compute") for row in rows]
            shown = look.lined(marker=look.marker, markerfacecolor=face or look.color, markeredgewidth=0.8)
            _ranges(ax, states, runs, shown, f"{label}, $V={vocabulary}$")
    ax.set(xscale="log", yscale="log", xlabel="number of states $(V+1)^N$", ylabel="seconds")
    ax.minorticks_off()
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03), fontsize="small")


def _ranges(ax: Any, x: np.ndarray, runs: list[np.ndarray], shown: dict[str, Any], label: str) -> None:
    """Draw medians with whiskers from the fastest to the slowest run."""
    middle = np.array([np.median(run) for run in runs])
    spread = np.array([[m - run.min(), run.max() - m] for m, run in zip(middle, runs, strict=True)]).T
    ax.errorbar(x, middle, spread, label=label, elinewidth=0.6, **shown)


def _vocabularies(data: Record) -> list[int]:
    return sorted({row["V"] for row in data["rows"]})


def _symbols(ax: Any, data: Record) -> None:
    for look, (route, label) in zip(LOOKS, ROUTES.items(), strict=False):
        rows = chosen(data["rows"], route=route)
        done, stopped = ([row for row in rows if ("median" in row) == whole] for whole in (True, False))
        (symbols,) = columns(done, "symbols")
        _ranges(ax, symbols, [row.array("seconds") for row in done], look.drawn(linestyle="none"), label)
        if stopped:
            (symbols,) = columns(stopped, "symbols")
            shown = look.drawn(linestyle="none", markerfacecolor=look.color)
            ax.plot(symbols, 0 * symbols + data["limit_seconds"], label=f"{label}, stopped", **shown)
    ax.axhline(data["limit_seconds"], color=GREY, linewidth=0.6, linestyle=":")
    ax.set(xscale="log", yscale="log", xlabel="number of free symbols", ylabel="seconds to decide C08")
    ax.minorticks_off()
    ax.legend(loc="lower right")


@captioned
def caption(data: Record) -> str:
    """Say what was timed and on what, with the largest sizes."""
    enumeration, symbolic = data["enumeration"], data["symbolic"]
    largest = max(chosen(enumeration["rows"], function="path", system=SYSTEM), key=lambda row: row["states"])
    machine, most = enumeration["machine"], symbolic["largest_within_limit"]
    return (
        rf"Cost of exact verification ({machine['platform'].replace('_', chr(92) + '_')}, one thread, Python"
        rf" {machine['python']}, NumPy {machine['numpy']}; medians of runs, whiskers from the fastest to the slowest)."
        rf" (a)~Marginal path and velocity of the all-mask source over all states, float64: {whole(largest['states'])}"
        rf" states take {number(largest['medians']['compute'], 2)}\,s for the path. (b)~Deciding C08 with every"
        r" probability and schedule value a free symbol, in this package's arithmetic and in plain SymPy, stopped"
        rf" after {symbolic['limit_seconds']:g}\,s: there it decides up to {whole(most['symbols'])} symbols ($V, N, K ="
        rf" {', '.join(map(str, most['size']))}$, {number(most['median'], 2)}\,s)."
    )
