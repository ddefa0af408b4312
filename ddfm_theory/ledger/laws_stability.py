"""Laws of distances and bounds: C14, C15. Written once for every number system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, Log, full, is_symbolic, namespace, ratio, stack, support, total
from ddfm_theory.decentralization import mix, top_k_gate, top_k_mask
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    exact,
    instance,
)
from ddfm_theory.ledger.laws_information import prefix_laws
from ddfm_theory.ledger.laws_paths import decides, truth
from ddfm_theory.ledger.records import Control, Equation, Inequality, Statement
from ddfm_theory.stability import (
    kl_divergence,
    mixture_kl_bound,
    mixture_tv_bound,
    sequence_kl,
    sequence_tv_bound,
    top_k_shift,
    total_variation,
)

QUARTER = flint.fmpq(1, 4)


# C14 ------------------------------------------------------------------------------------------------------------------


def family_stability(draw: Draw) -> Any:
    """Draw two routers, two families of experts' laws, and two sequence laws, all positive."""
    count, size = draw.integer(1, 3), draw.integer(2, 3)
    routers = [draw.pmf((count,), "w", positive=True) for _ in range(2)]
    laws = [stack([draw.pmf((size,), positive=True) for _ in range(count)]) for _ in range(2)]
    length = draw.integer(1, 2)
    return instance(routers=routers, laws=laws, sequences=[draw.pmf((2,) * length, positive=True) for _ in range(2)])


def law_stability(case: Any, *, weights: str = "r") -> Iterator[Statement]:
    """C14: total variation and KL of mixtures and of sequence laws are bounded by router and experts apart."""
    (r, r_hat), (p, p_hat), (q, q_hat) = case.routers, case.laws, case.sequences
    prefixes, steps = prefix_laws(q)
    prefixes_hat, steps_hat = prefix_laws(q_hat)
    flat = [kl_divergence(q.reshape(-1), q_hat.reshape(-1))]
    yield Equation(
        "KL of sequences is the sum over tokens", stack(flat), stack([sequence_kl(prefixes, steps, steps_hat)])
    )
    if is_symbolic(q):
        return
    blend, blend_hat = mix(r, p), mix(r_hat, p_hat)
    bound = mixture_tv_bound(r, r_hat, p, p_hat)
    yield Inequality("TV of mixtures", stack([total_variation(blend, blend_hat)]), stack([bound]))
    limit = mixture_kl_bound(r, r_hat, p, p_hat)
    if weights == "r_hat":
        limit = kl_divergence(r, r_hat) + total(r_hat * kl_divergence(p, p_hat))
    yield Inequality("KL of mixtures", stack([kl_divergence(blend, blend_hat)]), stack([limit]))
    distance = stack([total_variation(q.reshape(-1), q_hat.reshape(-1))])
    for name, law in (("q", prefixes), ("q^", prefixes_hat)):
        yield Inequality(f"TV of sequences under {name}", distance, stack([sequence_tv_bound(law, steps, steps_hat)]))


_KL_MIXED = instance(
    routers=[exact(["1/2", "1/2"]), exact(["1/4", "3/4"])],
    laws=[exact([[1, 0], [0, 1]]), exact([["1/4", "3/4"], [0, 1]])],
    sequences=[exact(["1/2", "1/2"]), exact(["1/2", "1/2"])],
)
CONTROLS_C14 = (
    Control(
        "the KL bound with weights r^ in place of r: r = (1/2, 1/2), r^ = (1/4, 3/4): 1/2 log(8/5) too low",
        _KL_MIXED,
        {"weights": "r_hat"},
        "KL of mixtures",
        "gap",
        Log.of(flint.fmpq(8, 5)) * flint.fmpq(1, 2),
    ),
)


# C15 ------------------------------------------------------------------------------------------------------------------


def family_top_k(draw: Draw) -> Any:
    """Draw a router with a largest weight, laws, and k."""
    count, size = draw.integer(1, 3), draw.integer(2, 3)
    laws = stack([draw.pmf((size,)) for _ in range(count)])
    return instance(router=draw.pmf((count,), "w"), laws=laws, k=draw.integer(1, count))


def law_top_k(case: Any, *, scale: Any = None, renormalize: bool = True) -> Iterator[Statement]:
    """C15: keeping mass s and renormalizing moves the mixture by exactly (1 - s) TV(kept, dropped) <= 1 - s."""
    r, laws, k = case.router, case.laws, case.k
    yield from _kept_and_dropped(r, laws, k)
    if is_symbolic(r) or is_symbolic(laws):
        return
    keeps = top_k_mask(r, k)
    held = namespace(r).where(keeps, r, full((), 0, r))
    gated = top_k_gate(r, k) if renormalize else held
    shift, lost = top_k_shift(r, k, laws)
    moved = total_variation(mix(r, laws), mix(gated, laws))
    yield Equation("the gated router sums to one", stack([total(gated)]), full((1,), 1, r))
    yield Equation("the mixture moves by (1 - s) TV(kept, dropped)", stack([moved]), stack([shift]))
    yield Inequality("at most 1 - s", stack([moved]), stack([lost if scale is None else lost * scale]))
    if decides(r) and lost != 0:
        kept, dropped = mix(held, laws), mix(r - held, laws)
        disjoint = all(a == 0 or b == 0 for a, b in zip(kept, dropped, strict=True))
        yield truth("1 - s is attained iff the supports are disjoint", bool(moved == lost), disjoint)


def _kept_and_dropped(r: Array, laws: Array, k: int) -> Iterator[Statement]:
    """The identity under the norm, for the first k experts whatever their weights: it needs no order."""
    held = r * full((1,), 0, r)
    held[:k] = r[:k]
    kept, dropped = (mix(ratio(part, total(part, 0)), laws) for part in (held, r - held))
    moved = mix(r, laws) - kept
    expected = (dropped - kept) * total(r - held, 0)
    charged = support(total(held, 0))
    yield Equation("keeping any k: mixture - kept = (1 - s)(dropped - kept)", moved * charged, expected * charged)


_GATED = instance(router=exact(["3/4", "1/4"]), laws=exact([[1, 0], [0, 1]]), k=1)
CONTROLS_C15 = (
    Control(
        "a claimed bound (1 - s)/2: delta_0, delta_1, r = (3/4, 1/4)",
        _GATED,
        {"scale": flint.fmpq(1, 2)},
        "at most 1 - s",
        "gap",
        flint.fmpq(1, 8),
    ),
    Control(
        "not renormalizing: the mixture loses 1 - s = 1/4",
        _GATED,
        {"renormalize": False},
        "the gated router sums to one",
        "largest",
        QUARTER,
    ),
)
