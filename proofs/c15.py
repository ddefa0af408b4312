r"""C15: what a renormalized top-k gate moves the mixture by."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ddfm_theory.arrays import Array, stack
from ddfm_theory.decentralization import mix, top_k_gate, top_k_mask
from ddfm_theory.ledger.families import exact
from ddfm_theory.stability import top_k_bound, top_k_shift, total_variation
from proofs.derivation import AT_MOST, Derivation, Grid, Step
from proofs.sums import add, case, over, pmfs, tabulate


def _case(router: Array, laws: Array, k: int, keeps: Array | None = None) -> Any:
    keeps = top_k_mask(router, k) if keeps is None else keeps
    kept = add(w for w, keep in zip(router, keeps, strict=True) if keep)
    return case(r=router, laws=laws, k=k, keeps=keeps, s=kept)


def _side(c: Any, keep: bool, x: int) -> Any:
    """Return the kept (or the dropped) experts' own mixture at x."""
    chosen = [k for k in range(len(c.r)) if bool(c.keeps[k]) == keep]
    return over(add(c.r[k] * c.laws[k, x] for k in chosen), c.s if keep else 1 - c.s)


def _l1(c: Any, term: Any) -> Any:
    return add(abs(term(x)) for x in range(c.laws.shape[1])) / 2


def _grid() -> Iterator[Any]:
    """Three experts over two tokens, routers in fifths, laws in halves, k = 1, 2, 3."""
    single = list(pmfs(2, 2))
    for r, k, *laws in itertools.product(pmfs(3, 5), (1, 2, 3), *([single] * 3)):
        yield _case(r, stack(laws), k)


def _real(z3: Any) -> tuple[Any, list[Any]]:
    r, p, q = z3.Reals("r p q")
    pair = [tabulate((2,), lambda j, a=a: 1 - a if j else a) for a in (r, p, q)]
    known = [z3.And(2 * r >= 1, r < 1), z3.And(p >= 0, p <= 1), z3.And(q >= 0, q <= 1)]
    return _case(pair[0], stack(pair[1:]), 1, tabulate((2,), lambda j: 1 - j)), known


def _moved(c: Any) -> Array:
    return total_variation(mix(c.r, c.laws), mix(top_k_gate(c.r, c.k), c.laws))


def _total_variation(c: Any) -> Any:
    sides = [tabulate((c.laws.shape[1],), lambda x, keep=keep: _side(c, keep, x)) for keep in (True, False)]
    return total_variation(*sides)


DERIVATIONS = (
    Derivation(
        "C15",
        "what a top-k gate costs",
        r"Keeping mass $s > 0$ and renormalizing moves the mixture by exactly $(1-s)\,\mathrm{TV}(\text{kept}, "
        r"\text{dropped}) \le 1 - s$, attained iff the kept and the dropped mixture have disjoint "
        r"supports. Write $P$ and "
        r"$D$ for the kept and the dropped experts' own mixtures.",
        (
            Step(
                r"\mathrm{TV}\big(\textstyle\sum_k r_k p_k,\ \sum_k \mathrm{gate}(r)_k\, p_k\big)",
                "how far the gate moves the mixture",
                _moved,
                "decentralization.top_k_gate",
            ),
            Step(
                r"\tfrac12 \sum_x \big| s P(x) + (1-s) D(x) - P(x) \big|",
                r"split $\sum_k r_k p_k$ into kept and dropped; renormalizing divides the kept part by $s$",
                lambda c: _l1(
                    c, lambda x: c.s * _side(c, True, x) + (1 - c.s) * _side(c, False, x) - _side(c, True, x)
                ),
            ),
            Step(
                r"(1-s)\, \tfrac12 \sum_x |D(x) - P(x)|",
                "collect; $1 - s \\ge 0$ leaves the absolute value",
                lambda c: (1 - c.s) * _l1(c, lambda x: _side(c, False, x) - _side(c, True, x)),
            ),
            Step(
                r"(1-s)\, \mathrm{TV}(\text{kept}, \text{dropped})",
                "definition of TV",
                lambda c: top_k_shift(c.r, c.k, c.laws)[0],
                "stability.top_k_shift",
            ),
            Step(
                r"1 - s",
                r"$\mathrm{TV} \le 1$, with equality iff the supports are disjoint",
                lambda c: top_k_bound(c.r, c.k),
                "stability.top_k_bound",
                AT_MOST,
            ),
        ),
        grid=Grid(
            r"three experts, two tokens, routers in fifths, laws in halves, $k = 1, 2, 3$",
            _grid,
            attained=(
                ("disjoint supports", _case(exact(["3/4", "1/4"]), exact([[1, 0], [0, 1]]), 1)),
                ("nothing dropped", _case(exact(["3/4", "1/4"]), exact([["1/2", "1/2"], [0, 1]]), 2)),
            ),
        ),
    ),
    Derivation(
        "C15",
        "the bound, for all reals",
        r"The same bound without the gate: for $0 \le s < 1$ and pmfs $P$, $D$ (two tokens for z3).",
        (
            Step(
                r"\tfrac12 \sum_x \big| s P(x) + (1-s) D(x) - P(x) \big|",
                "the move, kept and dropped apart",
                lambda c: _l1(
                    c, lambda x: c.s * _side(c, True, x) + (1 - c.s) * _side(c, False, x) - _side(c, True, x)
                ),
            ),
            Step(
                r"(1-s)\, \mathrm{TV}(P, D)",
                "collect; $1 - s \\ge 0$ leaves the absolute value",
                lambda c: (1 - c.s) * _total_variation(c),
                "stability.total_variation",
                plain=lambda c: (1 - c.s) * _l1(c, lambda x: _side(c, True, x) - _side(c, False, x)),
            ),
            Step(r"1 - s", r"$\mathrm{TV} \le 1$", lambda c: 1 - c.s, relation=AT_MOST),
        ),
        grid=Grid(r"the grid above", _grid, real=_real),
    ),
)
