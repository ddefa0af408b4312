"""Derivations as LaTeX: for Jupyter, as ``align`` environments with the reasons, and as a whole appendix."""

from __future__ import annotations

from collections.abc import Sequence

from ddfm_theory.ledger import CLAIMS as LEDGER
from ddfm_theory.ledger.formal import room, theorems
from proofs import CLAIMS, derivations
from proofs.counterexamples import SEARCHES
from proofs.counterexamples import latex as counterexample_table
from proofs.derivation import EQUAL, Derivation, Step

PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage{amsmath}
\usepackage{booktabs}
\setlength{\textwidth}{18.2cm}
\setlength{\oddsidemargin}{-1.15cm}
\setlength{\textheight}{24cm}
\setlength{\topmargin}{-1.6cm}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\emergencystretch=4em
\allowdisplaybreaks
\begin{document}
"""
TITLE = r"""\section*{Appendix: derivations}
Notation. A state is $x = (x^1, \ldots, x^N)$, $x^{-i}$ all positions but $i$, $m$ the mask, $\delta$ a point mass. The
coupling $\pi$ has source $p$ and target $q$; the conditional path is $p_t(x \mid x_0, x_1) = \prod_i \sum_j
\kappa_t^{i,j} w^j(x^i)$ with convex weights $\kappa$ and base pmfs $w$, the marginal path $p_t$ its average over $\pi$.
$u_t^i(x, z)$ is the velocity of token $i$ at state $z$, $\mathrm{div}_x(p u) = -\sum_z p(z) \sum_i \delta_z(x^{-i})\,
u^i(x^i, z)$; a step draws position $i$ from $\delta_{z^i} + u^i(\cdot, z)$, positions apart. Experts $\pi_k$ have
weights $\omega_k$, $\pi = \sum_k \omega_k \pi_k$, and the router is $r_k(z) = \omega_k p_t^k(z) / p_t(z)$. A prime is
the value after a step.

Every expression below also evaluates itself on an instance: through the named function of \texttt{ddfm\_theory} where
one stands beside it, and by plain sums from the definitions otherwise. Each step is decided by exact equality with
every pmf, weight and schedule value a free symbol, at the sizes shown, and on rationals with zeros among them ($0/0$
counting as 0); chains that need an order are decided on every instance of a rational grid, with their equality cases.
"""
REASONS = "5.4cm"


def displayed(derivation: Derivation) -> str:
    """Return a derivation for Jupyter: the statement, and the chain as an ``aligned`` display."""
    rows = [_row(step, n, rf"\text{{{step.reason}}}") for n, step in enumerate(derivation.steps)]
    body = " \\\\\n".join(rows)
    return f"{_heading(derivation)}\n\n$$\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n$$"


def _heading(derivation: Derivation) -> str:
    return f"**{derivation.claim}, {derivation.title}.** {derivation.statement}"


def _row(step: Step, n: int, reason: str) -> str:
    sign = "& " if n == 0 else f"{'=' if step.relation == EQUAL else step.relation}{{}}& "
    return f"{sign}{step.latex} && {reason}"


def align(derivation: Derivation) -> str:
    """Return the chain as an ``align*`` environment, the reasons on the right, never broken next to an end."""
    rows = [_row(step, n, _boxed(step)) for n, step in enumerate(derivation.steps)]
    ends = ["\\\\*" if n in {0, len(rows) - 2} else "\\\\" for n in range(len(rows) - 1)]
    lines = [f"{row} {end}" for row, end in zip(rows, ends, strict=False)]
    return "\n".join(["\\begin{align*}", *lines, rows[-1], "\\end{align*}"])


def _boxed(step: Step) -> str:
    function = f" [{_code(step.function.split('.', 1)[1])}]" if step.function else ""
    text = f"{step.reason}{function}"
    return rf"\parbox[t]{{{REASONS}}}{{\raggedright\footnotesize {text}}}"


def _code(name: str) -> str:
    return rf"\mbox{{\texttt{{{name}}}}}".replace("_", r"\_")


def checked_at(derivation: Derivation) -> str:
    """Return how a derivation is decided, in LaTeX."""
    parts = []
    if derivation.instance is not None:
        sizes = ", ".join(_size(size) for size in derivation.sizes)
        names = derivation.names if len(derivation.sizes[0]) == 1 else f"({derivation.names})"
        parts.append(f"Decided with free symbols at {_escaped(names)} = {sizes}.")
    if derivation.grid is not None:
        words = "; ".join(words for words, _ in derivation.grid.attained)
        parts.append(f"Decided on the grid: {derivation.grid.says}.")
        parts.append(f"Equality: {words}." if words else "")
    return " ".join(part for part in parts if part)


def _size(size: tuple[object, ...]) -> str:
    words = [_entry(entry) for entry in size]
    return _escaped(words[0] if len(words) == 1 else f"({', '.join(words)})")


def _entry(entry: object) -> str:
    """Return an entry of a size; a state or an order of positions as a word, such as 011."""
    return "".join(str(part) for part in entry) if isinstance(entry, tuple) else str(entry)


def _escaped(text: str) -> str:
    return text.replace("^", r"\textasciicircum{}").replace("_", r"\_")


def _body(derivation: Derivation) -> str:
    lines = [
        rf"\paragraph{{{derivation.title[0].upper()}{derivation.title[1:]}.}} {derivation.statement}",
        align(derivation),
        rf"{{\footnotesize {checked_at(derivation)}\par}}",
    ]
    return "\n".join(lines)


def _section(claim: str) -> str:
    row = LEDGER[claim]
    title = rf"\subsection*{{{claim}. {row.title[0].upper()}{row.title[1:]}}}"
    return "\n\n".join([title, *map(_body, derivations(claim)), _machine_checked(claim)])


def _machine_checked(claim: str) -> str:
    """Return the names of the theorems of a claim that a proof assistant checks, controls last."""
    folder = room()
    mine = [] if folder is None else [t for t in theorems(folder) if t["claim"] == claim]
    if not mine:
        return ""
    names = ", ".join(_code(t["name"]) for t in sorted(mine, key=lambda t: "_control_" in t["name"]))
    return rf"{{\footnotesize\raggedright Theorems in Rocq, for every size, and controls: {names}.\par}}"


def appendix(claims: Sequence[str] | None = None) -> str:
    """Return the derivations of some claims, or of all, as a LaTeX document of the article class.

    Args:
        claims: C01..C22; None is all.

    Raises:
        ValueError: no such claim.
    """
    chosen = tuple(CLAIMS if claims is None else claims)
    parts = [PREAMBLE + TITLE, *(_section(claim) for claim in chosen)]
    if any(search.claim in chosen for search in SEARCHES):
        parts.append(_counterexamples(chosen))
    return "\n\n".join([*parts, "\\end{document}\n"])


def _counterexamples(claims: tuple[str, ...]) -> str:
    intro = (
        "The first instance on which a claim fails without its hypothesis, in a search by increasing "
        "denominator, then "
        "size, then support (laws list their probabilities in lexicographic order), with the two "
        "sides at the first entry where they differ; the last "
        "column counts the smaller "
        "candidates on which the sides agree."
    )
    table = counterexample_table(claims)
    return "\\subsection*{Smallest counterexamples}\n" + intro + "\n\n{\\footnotesize\n" + table + "\\par}"
