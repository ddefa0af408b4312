"""Rationals: ``fmpq`` object arrays against ``fractions.Fraction`` object arrays through one velocity text."""

from fractions import Fraction
from typing import Any

import flint
import numpy as np

from benchmarks.common import alternate, medians
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.schedulers import Given
from ddfm_theory.velocities import marginal_velocity

SEED, RUNS = 0, 5
SIZES = ((4, 2), (4, 3), (8, 3), (4, 4))  # (V, N)


def objects(numerators: Any, denominator: int, make: Any) -> Any:
    out = np.empty(numerators.shape, dtype=object)
    for index in np.ndindex(out.shape):
        out[index] = make(int(numerators[index]), denominator)
    return out


def velocity(law: Any, kappa: Any, slope: Any) -> Any:
    """Return the marginal velocity for either entries: S(z) axis by axis, then one quotient an entry."""
    N, mask, zero = law.ndim, law.shape[0], kappa[0] * 0
    for axis in reversed(range(N)):
        law = np.concatenate([law, law.sum(axis=axis, keepdims=True)], axis=axis)
    out = np.full((*law.shape, N, mask + 1), zero, dtype=object)
    for i in range(N):
        at, rate = (slice(None),) * i, slope[i] / (1 - kappa[i])
        quotient = np.moveaxis(law, i, -1)[..., :mask] / law[(*at, mask)][..., None]
        out[(*at, mask, ..., i, slice(mask))] = quotient * rate
        out[(*at, mask, ..., i, mask)] = -rate
    return out


def measure(V: int, N: int, runs: int) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    counts, steps = rng.integers(1, 1000, (V,) * N), rng.integers(1, 7, N)
    systems = {
        name: (objects(counts, int(counts.sum()), make), objects(steps, 7, make), objects(steps, 5, make))
        for name, make in (("fmpq", flint.fmpq), ("fraction", Fraction))
    }
    law, kappa, slope = systems["fmpq"]

    def package() -> Any:
        return marginal_velocity(MaskedCoupling(law), Given(kappa, slope), 0)

    expected = velocity(law, kappa, slope)
    if not (package() == expected).all():
        raise SystemExit("the two texts differ")
    times = alternate(
        runs,
        fmpq=lambda: velocity(*systems["fmpq"]),
        fraction=lambda: velocity(*systems["fraction"]),
        package=package,
    )
    middle = medians(times)
    ratio = middle["fraction"] / middle["fmpq"]
    shown = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in middle.items())
    print(f"  V={V} N={N}: {shown}: Fraction over fmpq {ratio:.1f}x", flush=True)
    return {"V": V, "N": N, "seconds": times, "medians": middle, "ratio": ratio}


def run(*, quick: bool = False) -> dict[str, Any]:
    rows = [measure(V, N, 3 if quick else RUNS) for V, N in SIZES[: 2 if quick else None]]
    return {"seed": SEED, "threads": 1, "runs": RUNS, "rows": rows}
