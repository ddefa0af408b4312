"""Rates of convergence (C05, C20), measured with and without their hypotheses, and accidental agreement (C16)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import flint
import numpy as np

from ddfm_theory.arrays import gamma, stack, to_float
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.decentralization import mix
from ddfm_theory.ledger.families import TWO_WAYS, Rows, exact, masked
from ddfm_theory.ledger.records import FAILS, HOLDS, Check
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import sampler_law
from ddfm_theory.schedulers import Linear, Polynomial, Scheduler, Windowed
from ddfm_theory.sharpening import temperature
from ddfm_theory.stability import total_variation

DOUBLINGS = (2, 4, 8, 16, 32, 64)
TWINS = MaskedCoupling(np.array([[0.5, 0.0], [0.0, 0.5]]))  # 00/11
PUBLISHED = (0.182936, 0.093496, 0.047255, 0.023754, 0.011909, 0.005962)  # to six digits, for this very target


def dirichlet_target() -> MaskedCoupling:
    """Return the target Dirichlet(1) over 2^3 from ``default_rng(1)``, all positions in parallel."""
    return MaskedCoupling(np.random.default_rng(1).dirichlet(np.ones(8)).reshape(2, 2, 2))


def defects(coupling: MaskedCoupling | Coupling, scheduler: Scheduler, counts: tuple[int, ...]) -> list[float]:
    """Return TV(sampler with T equal steps, target) for each T."""
    target = marginal_path(coupling, scheduler, 1.0)
    found = []
    for count in counts:
        law = sampler_law(coupling, scheduler, [step / count for step in range(count)] + [1.0])
        found.append(float(to_float(total_variation(law.reshape(-1), target.reshape(-1)))))
    return found


def orders(found: list[float]) -> list[float]:
    """Return the observed orders of convergence, log2 of the ratios of defects at doubled numbers of steps."""
    return [math.log2(a / b) for a, b in itertools.pairwise(found)]


def _order_check(note: str, claimed: float, found: list[float], extra: bool = True) -> Check:
    """Judge an order: the last one observed is nearest the claimed among multiples of 1/4, and they approach it."""
    seen = orders(found)
    off = [abs(order - claimed) for order in seen]
    approaching = all(later < earlier for earlier, later in itertools.pairwise(off))
    outcome = HOLDS if off[-1] < 1 / 8 and approaching and extra else FAILS
    where = "orders " + ", ".join(f"{order:.4f}" for order in seen)
    return Check("C05", "numeric", outcome, len(found), f"{off[-1]:.3e}", "1.250e-01", where, note)


def order_one() -> Check:
    """C05: for a Lipschitz kappa the defect of a run is O(h), and the published values come out to their six digits."""
    found = defects(dirichlet_target(), Linear(), DOUBLINGS)
    digits = max(abs(a - b) for a, b in zip(found, PUBLISHED, strict=True)) <= 0.5e-6 + gamma("float64", 64 * 27)
    return _order_check("order 1 for linear kappa, TV for 2..64 steps as published to six digits", 1, found, digits)


def order_half() -> Check:
    """C05's hypothesis dropped: kappa = t^(1/4) is not Lipschitz, and the defect is O(h^(1/2))."""
    found = defects(dirichlet_target(), Polynomial(0.25), (64, 128, 256, 512))
    return _order_check("hypothesis dropped, kappa = t^(1/4): order 1/2", 0.5, found)


def order_zero() -> Check:
    """C05's hypothesis dropped: of three components the first is spent at t = 1/2, and the defect does not decay.

    The bases are mask, mask and data with weights (1 - 2t, t, t), then (0, 1 - t, t): the path of two components, but
    the pivot's ratio falls to zero, so that revealed tokens are redrawn too.
    """
    found = []
    for count in (32, 64, 128, 256):
        times = np.arange(count + 1)[:, None] / count * np.ones(2)
        first = np.maximum(1 - 2 * times, 0)
        weights = list(np.stack([first, 1 - first - times, times], axis=1))
        law = sampler_law(TWINS, Rows(weights, bases=np.array([[0.0, 0.0, 1.0]])), range(count + 1))
        target = marginal_path(TWINS, Linear(), 1.0)
        found.append(float(to_float(total_variation(law.reshape(-1), target.reshape(-1)))))
    return _order_check("hypothesis dropped, three components, the first spent at t = 1/2: order 0", 0, found)


def unaligned() -> Check:
    """C20: at w = 0 and N = 2 with an odd number of steps, 00/11 is missed by 1 / (2 T^2), exactly."""
    for steps in (1, 3, 5, 7, 9):
        times = [flint.fmpq(step, steps) for step in range(steps + 1)]
        coupling = masked(TWO_WAYS)
        law = sampler_law(coupling, Windowed(0), times)
        missed = total_variation(law.reshape(-1), marginal_path(coupling, Linear(), 1).reshape(-1))
        if missed != flint.fmpq(1, 2 * steps**2):
            return Check("C20", "exact", FAILS, 0, str(missed), f"1/{2 * steps**2}", f"w = 0, T = {steps}")
    return Check("C20", "exact", HOLDS, 5, note="w = 0, T odd, 00/11: TV = 1/(2 T^2)")


def accidental() -> Check:
    """C16: single instances may agree by accident, at T = 1/2: mirror images at r = 1/2, and one unlike pair."""
    mirror = (["1/2", "1/2"], [["1/4", "3/4"], ["3/4", "1/4"]])
    unlike = (["8/35", "27/35"], [["1/4", "3/4"], ["2/3", "1/3"]])
    for weights, laws in (mirror, unlike):
        r, p = exact(weights), exact(laws)
        after, before = mix(r, stack([temperature(law, 2) for law in p])), temperature(mix(r, p), 2)
        if not (before == after).all():
            return Check(
                "C16", "exact", FAILS, 0, str(before[0]), str(after[0]), f"accidental agreement, r = {weights}"
            )
    return Check("C16", "exact", HOLDS, 2, note="accidental agreement: mirror images at r = 1/2; 1/4, 2/3 at r = 8/35")


RATES: dict[str, tuple[Callable[[], Check], ...]] = {
    "C05": (order_one, order_half, order_zero),
    "C16": (accidental,),
    "C20": (unaligned,),
}
