"""The balanced partition of digits into experts, by PCA and t-SNE, and the rows that argmax routes elsewhere."""

from __future__ import annotations

from typing import Any

from paper_figures.captions import number, percent, whole
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import LOOKS, letter


@figure("paper_figures/data/partition_of_digits.json", width="page", height=2.6)
def draw(target: Any, data: Record) -> None:
    """Draw both embeddings, a colour and a marker an expert, rows routed elsewhere filled black."""
    left, right = target.subplots(1, 2)
    first, second = data.array("explained")
    _scatter(left, data, data["pca"])
    _scatter(right, data, data["tsne"])
    left.set(xlabel=f"first component ({100 * first:.0f} % of variance)", ylabel=f"second ({100 * second:.0f} %)")
    right.set(xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)", xticks=[], yticks=[])
    target.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=data["experts"] + 1,
                  markerscale=1.8, handletextpad=0.1)  # fmt: skip
    letter(left, "a")
    letter(right, "b")


def _scatter(ax: Any, data: Record, points: Record) -> None:
    x, y, labels, routed = points.array("x"), points.array("y"), data.array("labels"), data.array("routed")
    stays = labels == routed
    for k, look in enumerate(LOOKS[: data["experts"]]):
        mine = (labels == k) & stays
        ax.plot(x[mine], y[mine], linestyle="none", marker=look.marker, markersize=1.7, color=look.color,
                markerfacecolor="none", markeredgewidth=0.4, label=f"expert {k + 1}")  # fmt: skip
    ax.plot(x[~stays], y[~stays], linestyle="none", marker="x", markersize=2.6, color="black", markeredgewidth=0.7,
            label="routed elsewhere by argmax")  # fmt: skip


@captioned
def caption(data: Record) -> str:
    """Say what was parted, and how many rows the two rules part differently."""
    labels = data.array("labels")
    sizes = sorted({int((labels == k).sum()) for k in range(data["experts"])})
    return (
        rf"{whole(data['rows'])} handwritten digits of {data['width']} pixels, parted into {data['experts']} experts"
        rf" by balanced spherical $k$-means (sizes {' or '.join(map(str, sizes))}, mean cosine distance"
        rf" ${number(data['objective'])}$, seed {data['seed']}), by (a)~principal components of the unit vectors and"
        rf" (b)~t-SNE (perplexity {data['perplexity']}). Crosses: the {percent(data['share_differing'])} of rows whose"
        r" balanced label is not the nearest centroid; experts trained by the label and routed by argmax follow two"
        r" rules there (C11)."
    )
