"""Dense against experts as a LaTeX table (booktabs): exact errors by clusters, learner and number of experts."""

from __future__ import annotations

import numpy as np

from paper_figures.captions import whole
from paper_figures.entries import table
from paper_figures.figures.dense_against_experts import KINDS, learners
from paper_figures.records import Record, chosen, columns, different

SHOWN = (("short table", "bayes"), ("long table", "bayes"), ("transformer", "bayes"), ("transformer", "static"))
OPENING = (r"% Packages: booktabs.", r"\begin{table*}", r"\centering\footnotesize\setlength{\tabcolsep}{4pt}")
CLOSING = (r"\bottomrule", r"\end{tabular}", r"\end{table*}", "")


@table("toy_models/results/small.json")
def latex(data: Record) -> str:
    """Return means and standard deviations over seeds of total variation in per cent."""
    body = [line for kind in KINDS for line in _kind(data, kind)]
    head = _row("clusters", "$K$", "$I(X;K)$", "short table", "long table", "transformer", "static")
    opening = [*OPENING, rf"\caption{{{_caption(data)}}}", r"\label{tab:dense_against_experts}"]
    return "\n".join([*opening, r"\begin{tabular}{@{}lrrrrrr@{}}", r"\toprule", head, *body, *CLOSING])


def _caption(data: Record) -> str:
    sizes = data["sizes"]
    tables, transformers = (len(different(data[name], "seed")) for name in ("rows", "transformers"))
    return (
        r"Dense against $K$ experts at equal total samples and compute: total variation to the truth in per cent, mean"
        rf" $\pm$ standard deviation over seeds ({tables} for tables, {transformers} for transformers). Markov chains"
        rf" over {sizes['targets']['chain'][0]} tokens of length {sizes['targets']['chain'][1]}, and grids; tables of"
        rf" {whole(max(sizes['samples']))} samples that look back as far as a cluster does (short) or at all tokens"
        r" (long). Experts are routed by the Bayes filter; last column: transformers by static weights. $I(X;K)$ in"
        r" nats."
    )


def _kind(data: Record, kind: str) -> list[str]:
    """Return a line for the dense models, and one a number of experts."""
    rows = learners(data, kind)
    dense = [_cell(chosen(found, experts=1, model="dense")) for found in rows.values()]
    lines = [r"\midrule", _row(kind, "dense", "", *dense, "")]
    for experts in data["sizes"]["experts"]:
        cells = [_cell(chosen(rows[name], experts=experts, model=rule)) for name, rule in SHOWN]
        (information,) = columns(chosen(data["targets"], kind=kind, experts=experts), "I(X;K)")
        lines.append(_row("", str(experts), f"{information.mean():.2f}", *cells))
    return lines


def _row(*cells: str) -> str:
    return " & ".join(cells) + r" \\"


def _cell(rows: list[Record]) -> str:
    (tv,) = columns(rows, "tv")
    return rf"${100 * tv.mean():.1f} \pm {100 * np.std(tv, ddof=1):.1f}$"
