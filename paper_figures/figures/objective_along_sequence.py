"""The decentralized objective token by token: what the experts pay and what the router is worth (C12)."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures.captions import number
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import ORANGE, PALE_BLUE


@figure("paper_figures/data/objective_along_sequence.json", width="page", height=1.9)
def draw(target: Any, data: Record) -> None:
    """Draw the two terms as stacked bars, and the information gathered so far as a line."""
    axes = target.subplots(1, len(data["kinds"]), sharey=True)
    positions = np.arange(1, data["length"] + 1)
    for ax, (kind, terms) in zip(axes, data["kinds"].items(), strict=True):
        experts, router = terms.array("experts"), terms.array("router")
        ax.bar(
            positions,
            experts,
            0.72,
            facecolor=PALE_BLUE,
            edgecolor="black",
            label=r"experts: $\sum_k\omega_k H(X^t|X^{<t},k)$",
        )
        ax.bar(positions, router, 0.72, bottom=experts, facecolor=ORANGE, hatch="//////", edgecolor="black",
               label=r"router: $I(X^t;K|X^{<t})$")  # fmt: skip
        ax.plot(
            positions,
            np.cumsum(router),
            color="black",
            marker="o",
            markersize=3,
            linewidth=1,
            label=r"$I(X^{\leq t};K)$",
        )
        ax.axhline(terms["entropy_of_expert"], color="black", linewidth=0.6, linestyle=":", label="$H(K)$")
        ax.set(xlabel=f"token $t$, {kind} clusters", xticks=positions)
    axes[0].set(ylabel="nats a token (line: nats)")
    target.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)


@captioned
def caption(data: Record) -> str:
    """Say how the terms add up, with the sums over the sequence."""
    sums = []
    for kind, terms in data["kinds"].items():
        total, experts, router = (float(terms.array(name).sum()) for name in ("total", "experts", "router"))
        sums.append(rf"{kind} ${number(total)} = {number(experts)} + {number(router)}$")
    return (
        rf"The objective of {data['experts']} experts along sequences of {data['length']} tokens over"
        rf" {data['vocabulary']} (seed {data['seed']}): $H(X^t \mid X^{{<t}}) = \sum_k \omega_k H(X^t \mid X^{{<t}}, k)"
        r" + I(X^t; K \mid X^{<t})$. Bars: both terms of every token; line: the information gathered about the"
        rf" expert, at most $H(K) = {number(next(iter(data['kinds'].values()))['entropy_of_expert'])}$ nats. Over the"
        rf" whole sequence, in nats: {'; '.join(sums)}. Disjoint clusters are told by their first token; overlapping"
        r" ones by all tokens."
    )
