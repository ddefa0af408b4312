"""Families of instances: couplings, schedules and experts, small enough to enumerate, corners included."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, full, stack
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.schedulers import Autoregressive, Scheduler


class Rows(Scheduler):
    """Schedule weights by rows, unchecked: what the laws range over, and what a control may break.

    Args:
        weights: one array (J, N) a step t = 0, 1, ...
        slopes: the derivatives (J, N), whatever t, where continuous time is asked for.
        bases: the pmfs between the end points, or None.
    """

    def __init__(self, weights: list[Array], slopes: Array | None = None, bases: Array | None = None) -> None:
        self.rows, self.slopes, self.bases = weights, slopes, bases

    def weights(self, t: Any, length: int) -> Array:
        """Return the rows of step t."""
        return self.rows[int(t)]

    def weights_dot(self, t: Any, length: int) -> Array:
        """Return the given derivatives."""
        return self.slopes

    def kappa(self, t: Any, length: int) -> Array:
        """Return the last row of step t."""
        return self.rows[int(t)][-1]


def two_base(kappa: Array) -> Array:
    """Return (1 - kappa, kappa)."""
    return stack([1 - kappa, kappa])


def table(*rows: Any, slopes: Any = None) -> Rows:
    """Return the two-base schedule with the given values of kappa a step, in rationals."""
    return Rows(
        [two_base(exact(row)) for row in rows], None if slopes is None else two_base(exact(slopes)) - _e1(slopes)
    )


def _e1(slopes: Any) -> Array:
    """Return (1, 0): the weights' derivative is (-kappa_dot, kappa_dot), not (1 - kappa_dot, kappa_dot)."""
    ones = full((len(slopes),), 1, exact(slopes))
    return stack([ones, ones * 0])


def exact(values: Any) -> Array:
    """Return nested numbers and strings like ``"3/4"`` as an array of rationals."""
    array = np.array(values, dtype=object)
    out = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        parts = str(array[index]).split("/")
        out[index] = flint.fmpq(int(parts[0]), int(parts[1]) if len(parts) > 1 else 1)
    return out


def masked_coupling(draw: Draw, length: int, vocabulary: int, *, positive: bool = False) -> MaskedCoupling:
    """Draw a target under the all-mask source."""
    return MaskedCoupling(draw.pmf((vocabulary,) * length, positive=positive))


def dense_coupling(draw: Draw, length: int, size: int) -> Coupling:
    """Draw a joint pmf, or an independent coupling of two pmfs."""
    if draw.integer(0, 1):
        return Coupling.independent(draw.pmf((size,) * length), draw.pmf((size,) * length))
    return Coupling(draw.pmf((size,) * (2 * length)))


def sizes(draw: Draw) -> tuple[int, int, bool]:
    """Draw (length, vocabulary, masked): masked up to three positions, joint pmfs up to two."""
    masked = bool(draw.integer(0, 1))
    length = draw.integer(1, draw.limit if masked else min(draw.limit, 2 if not draw.symbolic else 1))
    vocabulary = 2 if length > 2 else draw.integer(1, 3 if masked else 2)
    return length, max(vocabulary, 1 if masked else 2), masked


def any_coupling(draw: Draw) -> Any:
    """Draw a masked or a joint coupling."""
    length, vocabulary, masked = sizes(draw)
    return masked_coupling(draw, length, vocabulary) if masked else dense_coupling(draw, length, vocabulary)


def any_experts(draw: Draw) -> Decentralization:
    """Draw experts of any kind: overlapping or disjoint, some perhaps of weight zero."""
    length, vocabulary, masked = sizes(draw)
    count = draw.integer(1, draw.limit)
    make = masked_coupling if masked else dense_coupling
    return Decentralization(draw.pmf((count,)), [make(draw, length, vocabulary) for _ in range(count)])


def masked_experts(draw: Draw, *, positive: bool = False, length: int | None = None) -> Decentralization:
    """Draw experts with the all-mask source."""
    n = length or draw.integer(1, 2)
    vocabulary, count = draw.integer(1 if n < 2 else 2, 2), draw.integer(1, draw.limit)
    couplings = [masked_coupling(draw, n, vocabulary, positive=positive) for _ in range(count)]
    return Decentralization(draw.pmf((count,), positive=positive), couplings)


def moving_schedule(draw: Draw, length: int) -> Rows:
    """Draw kappa, its derivative and its next value, two bases: kappa_dot = 0 wherever kappa = 1."""
    now, after = (two_base(row) for row in draw.steps(length))
    slopes = (after - now) * 4
    return Rows([now, after], slopes)


def general_schedule(draw: Draw, length: int, size: int) -> Rows:
    """Draw convex weights over three bases, the middle one any pmf, with weight left on the first base."""
    now, after = (stack([draw.pmf((3,), "k", positive=row == 0) for _ in range(length)], axis=1) for row in range(2))
    return Rows([now, after], after - now, draw.pmf((size,))[None, :])


def single_mover(draw: Draw, length: int) -> Rows:
    """Draw a schedule of one step in which at most one position moves."""
    now, after = draw.steps(length)
    mover = draw.integer(0, length - 1)
    later = now + full((1,), 0, now)
    later[mover] = after[mover]
    return Rows([two_base(now), two_base(later)])


def reveal_order(draw: Draw, length: int) -> Autoregressive:
    """Draw an order of positions."""
    left, order = list(range(length)), []
    while left:
        order.append(left.pop(draw.integer(0, len(left) - 1)))
    return Autoregressive(order)


def instance(**parts: Any) -> SimpleNamespace:
    """Name the parts of an instance."""
    return SimpleNamespace(**parts)


def masked(target: Any) -> MaskedCoupling:
    """Return the masked coupling of an exact target."""
    return MaskedCoupling(exact(target))


def product(*laws: Any) -> Array:
    """Return the product pmf of exact laws."""
    out = exact(laws[0])
    for law in laws[1:]:
        out = out[..., None] * exact(law)
    return out


TWO_WAYS = [["1/2", 0], [0, "1/2"]]  # q = 1/2 on 00 and 1/2 on 11
BIASED = [["3/4", "1/4"], ["1/4", "3/4"]]


def two_coins(length: int) -> Decentralization:
    """Return the experts (3/4, 1/4)^N and (1/4, 3/4)^N at even weights, masked source."""
    return Decentralization(exact(["1/2", "1/2"]), [MaskedCoupling(product(*[law] * length)) for law in BIASED])


def two_points(length: int) -> Decentralization:
    """Return the experts delta_{0...0} and delta_{1...1} at even weights, masked source."""
    return Decentralization(
        exact(["1/2", "1/2"]), [MaskedCoupling(product(*[law] * length)) for law in ([1, 0], [0, 1])]
    )
