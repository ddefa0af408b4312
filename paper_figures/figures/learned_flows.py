"""From parallel to autoregressive with learned velocities: error against steps, central and routed (C05, C08, C20)."""

from __future__ import annotations

from typing import Any

from paper_figures.captions import number
from paper_figures.entries import captioned, figure
from paper_figures.records import Record, chosen, columns, different
from paper_figures.style import BLACK, BLUE, DASHDOT, DASHED, RED, Look, ranges

KIND = "overlapping"
CENTRAL, ROUTED, STATIC = Look(BLACK, "-", "o"), Look(BLUE, DASHED, "s"), Look(RED, DASHDOT, "^")
FACES = {"exact": "white", "network": None}
SHOWN = (
    ("exact", "central", CENTRAL, "central"), ("network", "central", CENTRAL, "central"),
    ("exact", "bayes", ROUTED, "routed"), ("network", "true router", ROUTED, "routed"),
    ("exact", "static", STATIC, "static"), ("network", "static", STATIC, "static"),
)  # fmt: skip


@figure("toy_models/results/small.json", width="page", height=2.1)
def draw(target: Any, data: Record) -> None:
    """Draw mean errors over steps: a panel an overlap, open marks the exact posterior, filled ones networks."""
    overlaps, steps = data["sizes"]["overlaps"], data["sizes"]["steps"]
    axes = target.subplots(1, len(overlaps), sharey=True)
    for ax, overlap in zip(axes, overlaps, strict=True):
        for learner, model, look, name in SHOWN:
            rows = chosen(data["flows"], kind=KIND, overlap=overlap, learner=learner, model=model)
            mean, spread = ranges([next(columns(chosen(rows, steps=count), "tv")) for count in steps])
            shown = look.drawn(markerfacecolor=FACES[learner] or look.color, label=f"{name}, {learner}")
            ax.errorbar(steps, mean, spread, elinewidth=0.6, **shown)
        ax.set(xscale="log", xlabel=f"steps $T$, overlap $w={overlap:g}$", ylim=(-0.01, None))
        ax.set_xticks(steps, list(map(str, steps)))
        ax.minorticks_off()
    axes[0].set(ylabel="total variation to the target")
    target.legend(*axes[-1].get_legend_handles_labels(), loc="outside upper center", ncols=3)


@captioned
def caption(data: Record) -> str:
    """Say what was sampled, give the errors at the most steps, and the routed velocity's distance to the central."""
    rows, steps, overlaps = chosen(data["flows"], kind=KIND), data["sizes"]["steps"], data["sizes"]["overlaps"]
    first = chosen(rows, overlap=overlaps[0], learner="network")
    last = {model: number(next(columns(chosen(first, model=model, steps=steps[-1]), "tv")).mean(), 2)
            for model in ("central", "true router", "static")}  # fmt: skip
    apart = max(row["to_central"] for row in chosen(rows, learner="exact", model="bayes"))
    vocabulary, length = data["sizes"]["flow_targets"]["chain"]
    return (
        r"From parallel to autoregressive with experts, exact and learned: law of the discrete-time sampler for"
        rf" {data['sizes']['flow_targets']['clusters']} {KIND} clusters of chains over {vocabulary} tokens of length"
        rf" {length}, mean and range over {len(different(rows, 'seed'))} seeds. Open marks: exact posteriors, where the"
        rf" routed velocity is the central one (largest difference ${number(apart, 1)}$) and its error is the step's"
        rf" alone; filled: networks trained on samples, one central or one a cluster. At $w = {overlaps[0]:g}$ and"
        rf" {steps[-1]} steps the networks miss by ${last['central']}$ (central), ${last['true router']}$ (routed),"
        rf" ${last['static']}$ (static weights)."
    )
