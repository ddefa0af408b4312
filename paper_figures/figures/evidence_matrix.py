"""The evidence of the ledger: which claims have which kinds of evidence, and how many controls fail."""

from __future__ import annotations

from typing import Any

from paper_figures.captions import whole
from paper_figures.entries import captioned, figure
from paper_figures.records import Record
from paper_figures.style import BLUE, ORANGE, PALE_BLUE, RED

KINDS = ("numeric", "property", "exact", "symbolic", "formal", "data")
SHADES = {"holds": (BLUE, "", "white"), "undecided": (ORANGE, "////", "black"), "fails": (RED, "xxxx", "black")}


@figure("paper_figures/data/ledger.json", width="page", height=3.6)
def draw(target: Any, data: Record) -> None:
    """Draw a cell a claim and kind: its outcome by colour and hatch, the number of cases decided in it."""
    ax, claims = target.subplots(), data["claims"]
    for row, claim in enumerate(claims):
        for column, kind in enumerate(KINDS):
            _cell(ax, column, row, *found(claim, kind))
        failing = sum(control["outcome"] == "fails" for control in claim["controls"])
        _box(ax, len(KINDS), row, PALE_BLUE if failing == len(claim["controls"]) else RED, "")
        ax.text(len(KINDS), row, f"{failing}/{len(claim['controls'])}", ha="center", va="center", fontsize="small")
    ax.set_xticks(range(len(KINDS) + 1), [*KINDS, "controls\nthat fail"])
    ax.set_yticks(range(len(claims)), [f"{claim['id']}  {claim['title']}" for claim in claims])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set(xlim=(-0.55, len(KINDS) + 0.55), ylim=(len(claims) - 0.45, -0.55))
    ax.spines[:].set_visible(False)


def found(claim: Record, kind: str) -> tuple[str, int]:
    """Return the joint outcome of a claim's evidence of a kind (empty: none) and how many cases it decided."""
    checks = [check for check in claim["evidence"] if check["kind"] == kind]
    outcomes = {check["outcome"] for check in checks}
    joint = next((outcome for outcome in ("fails", "undecided", "holds") if outcome in outcomes), "")
    return joint, sum(check["cases"] for check in checks)


def _cell(ax: Any, column: int, row: int, outcome: str, cases: int) -> None:
    if not outcome:
        ax.text(column, row, "\N{EN DASH}", ha="center", va="center", fontsize="small")
        return
    color, hatch, ink = SHADES[outcome]
    _box(ax, column, row, color, hatch)
    text = f"${whole(cases)}$" if outcome == "holds" else outcome
    plate = {"facecolor": "white", "edgecolor": "none", "pad": 1} if hatch else None
    ax.text(column, row, text, ha="center", va="center", fontsize="small", color=ink, bbox=plate)


def _box(ax: Any, column: int, row: int, color: str, hatch: str) -> None:
    ax.bar(column, 0.86, 0.94, bottom=row - 0.43, facecolor=color, hatch=hatch, edgecolor="white", linewidth=0)


@captioned
def caption(data: Record) -> str:
    """Say what a cell is, and count what holds."""
    claims = data["claims"]
    cells = [found(claim, kind) for claim in claims for kind in KINDS]
    controls = [control for claim in claims for control in claim["controls"]]
    failing = sum(control["outcome"] == "fails" for control in controls)
    versions = data["versions"]
    counts = {outcome: sum(o == outcome for o, _ in cells) for outcome in ("holds", "undecided", "fails")}
    return (
        rf"Evidence for the {len(claims)} statements of the ledger (profile {data['profile']}, data {data['data']},"
        rf" seed {data['seed']}; Python {versions['python']}, NumPy {versions['numpy']}). A cell gives the number of"
        rf" cases decided: {whole(sum(cases for _, cases in cells))} in {counts['holds']} cells that hold,"
        rf" {counts['undecided']} undecided, {counts['fails']} failing; a dash: no evidence of that kind. Numeric:"
        r" floats within a derived rounding bound; property: drawn and shrunk; exact: rationals by $=$; symbolic: free"
        r" symbols; formal: Rocq; data: real sequences. Last column: controls that fail as stated when a hypothesis is"
        rf" dropped, {failing} of {len(controls)}."
    )
