"""How much of the gap to a dense model, or to the truth, the experts account for and how much the router (C12, C14)."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np

from paper_figures.captions import listed, number
from paper_figures.entries import captioned, figure
from paper_figures.figures.dense_against_experts import KINDS
from paper_figures.records import Record, chosen, columns, different
from paper_figures.style import DENSE, LOOKS, PALE_BLUE, letter

SOURCES = ("toy_models/results/multimodal.json", "toy_models/results/small.json")
EXPERTS, ROUTER = {"facecolor": PALE_BLUE, "edgecolor": "black"}, LOOKS[3].filled(hatch="////")
MARK = DENSE.drawn(linestyle="none")


@figure(SOURCES, width="page", height=2.7)
def draw(target: Any, data: Record) -> None:
    """Draw C12's and C14's terms of every routing rule on real images, and C12's of tables over the number of experts.

    A bar is the experts' term with the router's behind it (where that is negative: over it, to the left), a mark
    what the two add up to or bound.
    """
    left, middle, right = target.subplots(1, 3, width_ratios=(1, 1, 1.5))
    real, rules = data["multimodal"], rules_of(data["multimodal"])
    terms = real["terms"]
    _bars(left, [terms["expert term"]["mean"]] * len(rules), [terms[f"{r}: router term"]["mean"] for r in rules])
    _marks(left, [terms[f"{rule}: gap"] for rule in rules])
    bounds = [real["bounds"][rule] for rule in rules]
    _bars(middle, *([one[f"tv {part} term"]["mean"] for one in bounds] for part in ("expert", "router")))
    _marks(middle, [one["tv"] for one in bounds])
    left.set_yticks(range(len(rules)), rules)
    middle.set_yticks(range(len(rules)), [""] * len(rules))
    left.set(xlabel="nats an answer, to dense")
    middle.set(xlabel="first token, TV to dense")
    for ax in (left, middle):
        ax.set(ylim=(len(rules) - 0.5, -0.5))
        ax.tick_params(axis="y", length=0)
    _objective(right, data["small"])
    target.legend(*right.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    for ax, name in zip((left, middle, right), "abc", strict=True):
        letter(ax, name)


def rules_of(real: Record) -> list[str]:
    """Return the routing rules, the least gap first."""
    names = [key.removesuffix(": gap") for key in real["terms"] if key.endswith(": gap")]
    return sorted(names, key=lambda rule: float(real["terms"][f"{rule}: gap"]["mean"]))


def _bars(ax: Any, experts: Sequence[float], router: Sequence[float]) -> None:
    at = np.arange(len(experts))
    ax.barh(at, experts, height=0.62, **EXPERTS)
    ax.barh(at, router, left=experts, height=0.62 if min(router) >= 0 else 0.4, **ROUTER)


def _marks(ax: Any, found: Sequence[Record]) -> None:
    mean, low, high = (np.array([one[key] for one in found]) for key in ("mean", "low", "high"))
    ax.errorbar(mean, np.arange(len(found)), xerr=[mean - low, high - mean], elinewidth=0.8, **MARK)


def _objective(ax: Any, data: Record) -> None:
    """Draw, by clusters and number of experts, what the experts lose, what the router takes back, and the KL left."""
    counts = data["sizes"]["experts"]
    for column, kind in enumerate(KINDS):
        dense = next(columns(short(data, kind, 1, "dense"), "kl")).mean()
        ax.plot([column - 0.42, column + 0.42], [dense] * 2, **DENSE.lined(linewidth=1.4),
                label=None if column else "dense table")  # fmt: skip
        at = column + (np.arange(len(counts)) - (len(counts) - 1) / 2) * 0.27
        found = np.array([objective(data, kind, k) for k in counts]).T
        ax.bar(at, found[0], 0.24, **EXPERTS, label=None if column else "experts' term")
        ax.bar(at, -found[1], 0.14, bottom=found[0], **ROUTER, label=None if column else "router's term")
        ax.plot(at, found[2], label=None if column else "routed experts: gap, error or KL", **MARK)
        for x, k in zip(at, counts, strict=True):
            ax.annotate(str(k), (x, 0), (0, -3), textcoords="offset points", ha="center", va="top", fontsize=6)
    ax.set(ylabel="nats a sequence, to the truth", xlabel="experts $K$, clusters")
    ax.margins(y=0.06)
    ax.set_ylim(bottom=0)
    ax.set_xticks(range(len(KINDS)), KINDS)
    ax.tick_params(axis="x", length=0, pad=10)


def short(data: Record, kind: str, experts: int, model: str) -> list[Record]:
    """Return rows of tables that look back as far as a cluster does, at the most samples."""
    rows = chosen(data["grids" if kind == "grid" else "rows"], kind=kind, experts=experts, model=model)
    return chosen(rows, order=min(different(rows, "order")), samples=max(different(rows, "samples")))


def objective(data: Record, kind: str, experts: int) -> tuple[float, ...]:
    """Return C12's terms of Bayes-routed short tables less those of the truth: experts, router, loss, prior."""
    rows, truth = short(data, kind, experts, "bayes"), chosen(data["targets"], kind=kind, experts=experts)
    paired = {row["seed"]: row for row in truth}
    known = [paired[row["seed"]] for row in rows]
    inside, information, whole = columns(known, "H(X|K)", "I(X;K)", "H(X)")
    at = {"experts": inside, "router": log(experts) - information, "loss": whole, "prior": log(experts)}
    found = columns(rows, *(f"c12_{name}" for name in at))
    return tuple(float((one - true).mean()) for one, true in zip(found, at.values(), strict=True))


@captioned
def caption(data: Record) -> str:
    """Say whose the gap is, on real images by routing rule and for tables over the number of experts."""
    real, small = data["multimodal"], data["small"]
    terms, rules = real["terms"], rules_of(real)
    seeds, most = len(terms["expert term"].array("values")), max(small["sizes"]["experts"])
    told = [rf"{name} ${number(terms[f'{name}: router term']['mean'], 2)}$" for name in ("argmax", "soft", "prior")]
    beyond = sum(int(one["rows beyond the bound"]["mean"] > 0) for one in real["bounds"].values())
    prior = max(abs(objective(small, kind, k)[3]) for kind in KINDS for k in small["sizes"]["experts"])
    left = listed([rf"{kind} ${number(objective(small, kind, most)[2], 1)}$" for kind in KINDS])
    two = objective(small, KINDS[0], 2)
    return (
        r"Whose the gap is. (a)~Real images, by routing rule on the same"
        rf" {real['preset']['base']['experts']} experts: the loss beyond the dense model's (marks, $95\,\%$ intervals"
        rf" over {seeds} seeds) is the experts' term, ${number(terms['expert term']['mean'], 2)}$ for every rule, and"
        rf" the router's, {listed(told)} (C12; it is zero under the rule of the labels by definition)."
        r" (b)~Total variation to the dense model at the first answer token (marks) and its bound, the experts' term"
        rf" plus the router's (C14), beyond which lie rows under {beyond} of {len(rules)} rules. (c)~Tables with a"
        r" known law that look back as far as a cluster does: the KL to the truth (marks) is what the experts lose"
        r" less what their posterior gives back, the router's term, with a minus sign (C12; the prior's is at most"
        rf" ${number(prior, 2)}$), beside the dense table's KL (lines): {KINDS[0]}, $K = 2$, ${number(two[2], 2)} ="
        rf" {number(two[0], 2)} - {number(two[1], 2)}$. At $K = {most}$, one cluster an expert, what is left is"
        rf" {left}."
    )
