"""What static, last-token and exact routers do to the law, the experts being exact (C08-C10)."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures.captions import number
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import NAMES, RULES, letter


@figure("paper_figures/data/wrong_routers.json", width="page", height=2.1)
def draw(target: Any, data: Record) -> None:
    """Draw each rule's error along the sequence and against the information in the expert."""
    left, right = target.subplots(1, 2, sharey=True)
    _along(left, data)
    _apart(right, data)
    letter(left, "a")
    letter(right, "b")


def _along(ax: Any, data: Record) -> None:
    lengths = np.arange(1, data["length"] + 1)
    for rule, look in RULES.items():
        errors = data["along"].array(rule)
        ax.plot(lengths, np.median(errors, axis=0), **look.drawn(label=NAMES[rule], zorder=3))
        if rule != "bayes":
            _quartiles(ax, lengths, errors, look)
    ax.set(xlabel="tokens $t$", ylabel="total variation to the truth", xticks=lengths, ylim=(-0.012, None))


def _quartiles(ax: Any, x: np.ndarray, errors: np.ndarray, look: Any) -> None:
    low, high = np.quantile(errors, [0.25, 0.75], axis=0)
    ax.fill_between(x, low, high, facecolor=look.color, alpha=0.18, linewidth=0)


def _apart(ax: Any, data: Record) -> None:
    apart = data["apart"]
    information = np.median(apart.array("information"), axis=0)
    for rule, look in RULES.items():
        errors = apart.array(rule)
        ax.plot(information, np.median(errors, axis=0), markevery=4, **look.drawn(label=NAMES[rule], zorder=3))
        if rule != "bayes":
            _quartiles(ax, information, errors, look)
    ax.set(xlabel="$I(X;K)$, what a sequence tells of its expert (nats)")
    ax.tick_params(labelleft=True)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def power(data: Record, rule: str) -> float:
    """Return the power of I(X;K) by which a rule's median error falls, from the two least informed experts."""
    information, errors = (np.median(data["apart"].array(key), axis=0)[1:3] for key in ("information", rule))
    return float(np.log(errors[1] / errors[0]) / np.log(information[1] / information[0]))


@captioned
def caption(data: Record) -> str:
    """Say what was routed, and give the errors at full length."""
    last = {rule: float(np.median(data["along"].array(rule)[:, -1])) for rule in RULES}
    worst = float(data["along"].array("bayes").max())
    return (
        rf"Exact experts, wrong routers: {data['experts']} Markov chains over {data['vocabulary']} tokens, equal"
        rf" weights, median and quartiles over {data['draws']} draws, autoregressive sampling, laws enumerated."
        rf" (a)~Error of the law of the first $t$ tokens. At $t = {data['length']}$: static prior"
        rf" ${number(last['static'], 2)}$, last token with a fixed prior ${number(last['last token'], 2)}$, top-1 of"
        rf" the filter ${number(last['top-1'], 2)}$, the Bayes filter at most ${number(worst, 1)}$, which is rounding."
        rf" (b)~Error at $t = {data['short_length']}$ as the experts are moved towards their mean, so that the mixture"
        r" stays and $I(X;K)$ falls. Where the sequence tells nothing of the expert, the experts are equal and every"
        r" rule is right (C09); towards it the static prior's error falls like the information (to the power"
        rf" ${number(power(data, 'static'), 2)}$), that of top-1 only like its root"
        rf" (${number(power(data, 'top-1'), 2)}$)."
    )
