"""The identity C08, decided for all pmfs, weights, kappa and kappa_dot at once: ours, and plain SymPy with ``cancel``.

Each case runs in a fresh process (``python -m benchmarks.symbolic ROUTE V N K``), which is stopped at the limit.
"""

import statistics
import sys
from typing import Any

import numpy as np
import sympy

from benchmarks.common import child, clock
from ddfm_theory.arrays import Symbol
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.schedulers import Given
from ddfm_theory.velocities import marginal_velocity

LIMIT, RUNS, AIM = 60.0, 3, 100
SHARED = (
    (2, 1, 2),
    (3, 1, 2),
    (2, 2, 1),
    (2, 2, 2),
    (3, 2, 2),
    (2, 3, 2),
    (3, 3, 2),
    (4, 3, 2),
    (4, 3, 4),
    (5, 3, 4),
)  # (V, N, K), rising, to the first that SymPy does not decide within the limit
OURS = ((2, 6, 2), (3, 4, 2), (4, 4, 2), (6, 3, 4), (8, 3, 2), (3, 5, 4), (5, 4, 2), (6, 4, 2))


def count(V: int, N: int, K: int) -> int:
    """Return the number of free symbols: normalized pmfs, normalized weights, kappa and kappa_dot per position."""
    return K * (V**N - 1) + (K - 1) + 2 * N


def instance(free: list[Any], V: int, N: int, K: int) -> tuple[Any, list[Any], Any, Any]:
    """Return weights, K pmfs, kappa and kappa_dot made of free symbols; a pmf's last entry is one minus the others."""
    symbols = iter(free)

    def take(cells: int) -> Any:
        out = np.empty(cells, dtype=object)
        out[:] = [next(symbols) for _ in range(cells)]
        return out

    def pmf(cells: int) -> Any:
        head = take(cells - 1)
        return np.append(head, 1 - sum(head)) if cells > 1 else take(0)

    weights = pmf(K) if K > 1 else None
    return weights, [pmf(V**N).reshape((V,) * N) for _ in range(K)], take(N), take(N)


def ours(V: int, N: int, K: int) -> bool:
    names = [f"v{i}" for i in range(count(V, N, K))]
    weights, laws, kappa, slope = instance(Symbol.variables(*names), V, N, K)
    experts = Decentralization([1] if weights is None else weights, [MaskedCoupling(law) for law in laws])
    schedule = Given(kappa, slope)
    difference = experts.velocity(schedule, 0) - marginal_velocity(experts.central, schedule, 0)
    return bool((difference == 0).all())


def plain(V: int, N: int, K: int) -> bool:
    weights, laws, kappa, slope = instance(list(sympy.symbols(f"v:{count(V, N, K)}")), V, N, K)
    weights = [sympy.Integer(1)] if weights is None else weights
    tables = [marginals(law) for law in laws]
    central = marginals(sum(weight * law for weight, law in zip(weights, laws, strict=True)))
    mixed = sum(
        (weight * table / central)[..., None, None] * velocity(table, kappa, slope)
        for weight, table in zip(weights, tables, strict=True)
    )
    return all(sympy.cancel(entry) == 0 for entry in (mixed - velocity(central, kappa, slope)).ravel())


def marginals(law: Any) -> Any:
    """Return S(z), axis by axis: the sum over the axis appended as the mask."""
    for axis in range(law.ndim):
        law = np.concatenate([law, law.sum(axis=axis, keepdims=True)], axis=axis)
    return law


def velocity(table: Any, kappa: Any, slope: Any) -> Any:
    """Return kappa_dot / (1 - kappa) (S(z with x at i) / S(z) - [x = m]) where z^i = m, by look-up and quotient."""
    N, mask = table.ndim, table.shape[0] - 1
    out = np.full((*table.shape, N, mask + 1), sympy.Integer(0), dtype=object)
    for z in np.ndindex(table.shape):
        for i in (i for i in range(N) if z[i] == mask):
            rate = slope[i] / (1 - kappa[i])
            for x in range(mask):
                out[(*z, i, x)] = rate * table[(*z[:i], x, *z[i + 1 :])] / table[z]
            out[(*z, i, mask)] = -rate
    return out


ROUTES = {"ours": ours, "plain": plain}


def decide(route: str, size: tuple[int, int, int], runs: int) -> dict[str, Any]:
    """Return the seconds of some runs, or that the first was stopped at the limit."""
    row: dict[str, Any] = {"route": route, "size": size, "symbols": count(*size), "seconds": []}
    while len(row["seconds"]) < runs and sum(row["seconds"]) < LIMIT / 2:
        answer = child("-m", "benchmarks.symbolic", route, *map(str, size), seconds=LIMIT)
        if answer is None:
            break
        row["seconds"].append(float(answer))
    row["median"] = statistics.median(row["seconds"]) if row["seconds"] else None
    shown = f"{row['median']:8.3f} s" if row["seconds"] else f"stopped at {LIMIT:.0f} s"
    print(f"  {route:5} V={size[0]} N={size[1]} K={size[2]} {row['symbols']:4} symbols  {shown}", flush=True)
    return row


def run(*, quick: bool = False) -> dict[str, Any]:
    runs = 1 if quick else RUNS
    rows, pairs = [], []
    for size in SHARED[: 3 if quick else None]:
        fast, slow = decide("ours", size, runs), decide("plain", size, runs)
        rows += [fast, slow]
        if slow["median"]:
            pairs.append({"size": size, "ratio": slow["median"] / fast["median"]})
    rows += [decide("ours", size, 1) for size in OURS[: 1 if quick else None]]
    largest = max((row for row in rows if row["route"] == "ours" and row["median"]), key=lambda row: row["symbols"])
    met = pairs[-1]["ratio"] >= AIM
    verdict = f"aim {AIM}x: {'' if met else 'NOT '}met"
    print(f"  plain SymPy over ours at {pairs[-1]['size']}: {pairs[-1]['ratio']:.0f}x, {verdict}")
    return {
        "threads": 1,
        "limit_seconds": LIMIT,
        "rows": rows,
        "ratios": pairs,
        "aim": AIM,
        "met": met,
        "largest_within_limit": {key: largest[key] for key in ("size", "symbols", "median")},
    }


if __name__ == "__main__":
    route, size = ROUTES[sys.argv[1]], [int(argument) for argument in sys.argv[2:]]
    verdict = [route(2, 1, 1)]  # what is imported at the first use is no part of the identity
    seconds = clock(lambda: verdict.append(route(*size)))
    if verdict != [True, True]:
        raise SystemExit("the identity was not decided")
    print(seconds)
