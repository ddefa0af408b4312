"""Velocity fields of two experts, the router, and their mixture, which is the central field (C08)."""

from __future__ import annotations

from typing import Any

import numpy as np

from paper_figures.captions import number
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import CORNERS, LOOKS, on_simplex, simplex

GRID = 8
NAMES = ("1", "2", "3")


@figure("paper_figures/data/velocities_of_experts.json", width="page", height=1.75)
def draw(target: Any, data: Record) -> None:
    """Draw the fields dp/dt = sum_z p(z) u(., z) on the simplex of laws, each with the path it generates."""
    axes = target.subplots(1, 4)
    experts, paths = data.array("experts"), data["paths"]
    for k, ax in enumerate((axes[0], axes[1])):
        _field(ax, experts[k], paths.array("experts")[k], LOOKS[k])
    _router(axes[2], data.array("router"), target)
    _field(axes[3], data.array("mixture"), paths.array("central")[0], LOOKS[2])
    names = ("(a) expert 1: $u^1$", "(b) expert 2: $u^2$", r"(c) router $r_1$", r"(d) $r_1u^1+r_2u^2=u$")
    for ax, name in zip(axes, names, strict=True):
        ax.text(0.5, -0.22, name, ha="center", va="top")
        ax.set_ylim(-0.4, 0.97)


def _points() -> np.ndarray:
    """Return an even grid of laws inside the simplex, shape (M, 3)."""
    inside = [(i, j, GRID - i - j) for i in range(GRID + 1) for j in range(GRID + 1 - i)]
    return np.array(inside) / GRID


def _field(ax: Any, velocity: np.ndarray, path: np.ndarray, look: Any) -> None:
    laws = _points()
    moves = on_simplex(laws @ velocity)  # dp/dt at the law p: sum_z p(z) u(., z)
    ax.quiver(*on_simplex(laws).T, *moves.T, angles="xy", scale_units="xy", scale=9, width=0.008, headwidth=4,
              headlength=4, headaxislength=3.6, color=look.color, zorder=2)  # fmt: skip
    ax.plot(*on_simplex(path).T, color="black", linewidth=0.9, zorder=3)
    ends = on_simplex(path[[0, -1]])
    ax.plot(*ends[0], "o", color="black", markerfacecolor="white", markersize=3, zorder=4)
    ax.plot(*ends[1], "o", color="black", markersize=3, zorder=4)
    simplex(ax, NAMES)


def _router(ax: Any, router: np.ndarray, fig: Any) -> None:
    laws = _points()
    shade = ax.tricontourf(*on_simplex(laws).T, laws @ router[0], levels=np.linspace(0, 1, 21), cmap="Greys")
    for corner, weight in zip(CORNERS, router[0], strict=True):
        inner = corner + 0.3 * (CORNERS.mean(axis=0) - corner)
        ax.text(*inner, f"{weight:.2f}", ha="center", va="center", fontsize="small",
                color="white" if weight > 0.5 else "black")  # fmt: skip
    simplex(ax, NAMES)
    bar = fig.colorbar(shade, ax=ax, shrink=0.6, pad=0.02, aspect=14, ticks=[0, 0.5, 1])
    bar.outline.set_linewidth(0.4)


@captioned
def caption(data: Record) -> str:
    """Say what the fields are, and how equal the mixture is to the central field."""
    weights = " and ".join(number(r, 2) for r in data.array("router")[0][[0, 2]])
    targets = " and ".join(f"$({', '.join(f'{q:g}' for q in law)})$" for law in data["targets"])
    return (
        rf"Decentralization on one token of $d = {len(data['targets'][0])}$ values, uniform source, linear schedule,"
        rf" $t = {data['time']:g}$. (a, b)~The field $\dot p = \sum_z p(z)\, u^k(\cdot, z)$ of two experts with targets"
        rf" {targets} and weights ${data['weights'][0]:g}, {data['weights'][1]:g}$; black: the path $p_s^k$, $0 \le s"
        r" \le 1$, from the circle to the dot. (c)~The router $r_1(z) = \omega_1 p_t^1(z)/p_t(z)$ at the states, the"
        rf" corners, between {weights}, and its mean under $p$ inside. (d)~The experts' velocities mixed by the router"
        rf" state by state: the largest difference to the central velocity is {data['difference']} in rational"
        rf" arithmetic; with the static weights in place of the router it is ${number(data['difference_static'], 2)}$."
    )
