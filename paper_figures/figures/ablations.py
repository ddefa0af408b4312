"""Scores of experts on real images, over the number of experts, the encoder and the clustering that parted the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures.captions import listed, number
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import LOOKS

ABLATIONS = {"experts": "number of experts", "encoder": "image encoder", "clustering": "clustering"}
SCORES = {"vqa": "VQA accuracy", "mme": "MME, of the most", "grounding": "grounding, IoU 0.5"}


@figure("toy_models/results/multimodal.json", width="page", height=2.5)
def draw(target: Any, data: Record) -> None:
    """Draw each variant's mean scores with their intervals, the dense model's as lines with bands; all are shares."""
    most = most_of(data)
    axes = target.subplots(1, len(ABLATIONS), sharex=True)
    for ax, (name, words) in zip(axes, ABLATIONS.items(), strict=True):
        variants = variants_of(data, name)
        for offset, look, (score, label) in zip((-0.22, 0, 0.22), LOOKS, SCORES.items(), strict=False):
            found = [variant["metrics"][score] for variant in variants.values()]
            mean, low, high = (np.array([row[key] for row in found]) / most[score] for key in ("mean", "low", "high"))
            at = np.arange(len(found)) + offset
            ax.errorbar(mean, at, xerr=[mean - low, high - mean], elinewidth=0.6, label=f"experts, {label}",
                        **look.drawn(linestyle="none"))  # fmt: skip
            mean, low, high = (
                data["main"]["test"]["dense"][score][key] / most[score] for key in ("mean", "low", "high")
            )
            ax.axvspan(low, high, facecolor=look.color, alpha=0.18, linewidth=0)
            ax.axvline(mean, label=f"dense, {label}", **look.lined(linewidth=0.8))
        ax.set_yticks(range(len(variants)), [key.replace("-", "-\n") for key in variants])
        ax.set(
            xlabel=f"share, by {words}",
            ylabel="$K$" if name == "experts" else "",
            ylim=(len(variants) - 0.5, -0.5),
        )
        ax.tick_params(axis="y", length=0)
    target.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)


def most_of(data: Record) -> dict[str, float]:
    """Return the most that each score can be: MME adds 100 acc and 100 acc+ of every category."""
    return {"vqa": 1.0, "grounding": 1.0, "mme": 200.0 * sum(name.startswith("mme ") for name in data["categories"])}


def variants_of(data: Record, name: str) -> dict[str, Record]:
    """Return an ablation's variants of more than one expert."""
    return {key: row for key, row in data["ablations"][name].items() if key != "1"}


@captioned
def caption(data: Record) -> str:
    """Say what was varied about what, and by how much argmax routing departs from the labels."""
    main = data["main"]["test"]
    gap, most = main["difference"]["vqa"], most_of(data)["mme"]
    departs = "; ".join(
        listed([rf"{key} ${number(row['mismatch']['mean'], 2)}$" for key, row in variants_of(data, name).items()])
        for name in ("encoder", "clustering")
    )
    seeds = len(gap.array("values"))
    return (
        r"Dense against experts on real images at equal compute, as the experts' number, the encoder and the clustering"
        rf" vary, one at a time; mean over {seeds} seeds with $95\,\%$ intervals by Student's $t$; lines and"
        rf" bands are the dense model. Experts less dense in VQA accuracy: ${number(gap['mean'])}$"
        rf" $[{number(gap['low'])}, {number(gap['high'])}]$. MME is a share of its most, ${most:.0f}$. Share of"
        rf" training images that argmax routing sends to another expert than their label: {departs}."
    )
