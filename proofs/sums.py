r"""The objects of the derivations by their definitions: plain sums over couplings, states, tokens and base pmfs.

Nothing here is shared with the functions that the derivations speak of; :class:`Flow` is what a reader would write
down from the definitions alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, reduce
from types import SimpleNamespace
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, full, stack
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.ledger import oracle
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import Rows, two_base

State = tuple[int, ...]
ZERO, ONE = flint.fmpq(0), flint.fmpq(1)


def tabulate(shape: Sequence[int], entry: Callable[..., Any]) -> Array:
    """Return the array whose entry at each index is ``entry(*index)``."""
    out = np.empty(tuple(shape), dtype=object)
    for index in np.ndindex(*out.shape):
        out[index] = exact(entry(*index))
    return out


def exact(value: Any) -> Any:
    """Return a Python integer as a rational, and an exact entry as it is."""
    return flint.fmpq(value) if isinstance(value, int) else value


def add(terms: Iterable[Any]) -> Any:
    """Return the sum of finitely many terms, zero of none."""
    return sum(terms, ZERO)


def times(factors: Iterable[Any]) -> Any:
    """Return the product of finitely many factors, one of none; nothing after a zero is multiplied."""
    return reduce(lambda a, b: a * b, factors, ONE)


def over(numerator: Any, denominator: Any) -> Any:
    """Return a quotient, zero where the denominator is zero."""
    return ZERO if vanishes(denominator) else numerator / denominator


def vanishes(value: Any) -> bool:
    """Tell whether a value is zero; of an unknown real, whether it is the number zero."""
    return bool(value == 0)


def delta(x: Any, y: Any) -> int:
    """Return 1 where x = y, else 0."""
    return int(x == y)


def tuples(size: int, length: int) -> list[State]:
    """Return [size]^length in lexicographic order."""
    return list(itertools.product(range(size), repeat=length))


def replaced(z: State, i: int, token: int) -> State:
    """Return z with the token at position i."""
    return (*z[:i], token, *z[i + 1 :])


def agree_off(x: State, z: State, i: int) -> bool:
    """Tell whether two states agree everywhere but perhaps at position i."""
    return x[:i] == z[:i] and x[i + 1 :] == z[i + 1 :]


class Flow:
    """A path and the velocity that is to generate it, from their definitions.

    Args:
        coupling: pi.
        weights: kappa^{i,j}, shape (J, N).
        slopes: its derivative, or its increment over a step, shape (J, N).
        bases: the base pmfs between the end points, shape (J - 2, d), or None.
        pivot: the index l of [Gat et al., Theorem 3].
    """

    def __init__(
        self, coupling: Any, weights: Array, slopes: Array, bases: Array | None = None, pivot: int = 0
    ) -> None:
        self.coupling, self.weights, self.slopes, self.bases, self.pivot = coupling, weights, slopes, bases, pivot
        self.n, self.d, self.count = coupling.length, coupling.size, weights.shape[0]
        self.states = tuples(self.d, self.n)
        self.pairs = [pair for pair in oracle.pairs(coupling) if not vanishes(pair[2])]
        self._fluxes: dict[tuple[int, int, State], Any] = {}

    def base(self, j: int, x: int, x0: int, x1: int) -> Any:
        """Return w^j(x | x0, x1)."""
        if j in (0, self.count - 1):
            return delta(x, x1 if j else x0)
        if self.bases is None:
            raise ValueError(f"bases must be given for {self.count} rows of weights, was None")
        return self.bases[j - 1, x]

    def token(self, i: int, x: int, x0: State, x1: State, rows: Array | None = None) -> Any:
        """Return sum_j kappa^{i,j} w^j(x^i | x0^i, x1^i), or the same with other rows."""
        rows = self.weights if rows is None else rows
        return add(rows[j, i] * self.base(j, x, x0[i], x1[i]) for j in range(self.count))

    def given(self, z: State, x0: State, x1: State) -> Any:
        """Return the conditional path p_t(z | x0, x1)."""
        return times(self.token(i, z[i], x0, x1) for i in range(self.n))

    def moved(self, z: State, x0: State, x1: State, i: int) -> Any:
        """Return the conditional path with the slopes in place of the weights at position i."""
        return times(self.token(j, z[j], x0, x1, self.slopes if j == i else None) for j in range(self.n))

    def rate(self, i: int, x: int, z: int, x0: State, x1: State) -> Any:
        """Return the conditional velocity sum_j a^j w^j(x) + b delta_z(x) of position i."""
        b = over(self.slopes[self.pivot, i], self.weights[self.pivot, i])
        a = [self.slopes[j, i] - self.weights[j, i] * b for j in range(self.count)]
        return add(a[j] * self.base(j, x, x0[i], x1[i]) for j in range(self.count)) + b * delta(x, z)

    @cached_property
    def path(self) -> dict[State, Any]:
        """Return the marginal path p_t."""
        return {z: add(mass * self.given(z, x0, x1) for x0, x1, mass in self.pairs) for z in self.states}

    def posterior(self, x0: State, x1: State, mass: Any, z: State) -> Any:
        """Return the posterior of (x0, x1) given z."""
        return over(mass * self.given(z, x0, x1), self.path[z])

    def velocity(self, i: int, x: int, z: State) -> Any:
        """Return the posterior average of the conditional velocities."""
        return over(self.flux(i, x, z), self.path[z])

    def flux(self, i: int, x: int, z: State) -> Any:
        """Return sum over the coupling of u(x, z | x0, x1) p_t(z | x0, x1)."""
        if (i, x, z) not in self._fluxes:
            self._fluxes[i, x, z] = add(
                self.rate(i, x, z[i], x0, x1) * self.given(z, x0, x1) * mass for x0, x1, mass in self.pairs
            )
        return self._fluxes[i, x, z]

    def over_states(self, entry: Callable[[State], Any]) -> Array:
        """Return a function of the state as an array of shape (d,) * N."""
        return tabulate((self.d,) * self.n, lambda *z: entry(z))

    def over_rates(self, entry: Callable[[int, int, State], Any]) -> Array:
        """Return a function of (i, x, z) as an array of shape (d,) * N + (N, d)."""
        return tabulate((self.d,) * self.n + (self.n, self.d), lambda *at: entry(at[-2], at[-1], at[:-2]))

    def near(self, x: State, i: int) -> list[State]:
        """Return the states that agree with x everywhere but at position i."""
        return [replaced(x, i, token) for token in range(self.d)]


def case(**parts: Any) -> SimpleNamespace:
    """Name the parts of an instance."""
    return SimpleNamespace(**parts)


def free_schedule(draw: Draw, length: int) -> Rows:
    """Draw kappa, its next value and its derivative, each free: continuous and discrete time at once.

    Of rationals the derivative vanishes wherever kappa does not rise, as it must where kappa = 1.
    """
    now, after = draw.steps(length)
    dot = draw.numbers((length,), "e", 1, 3, 2) if draw.symbolic else (after - now) * 4
    return Rows([two_base(now), two_base(after)], stack([-dot, dot]))


def slopes_of(schedule: Rows, time: str) -> Array:
    """Return the derivatives, or the increments of the step, as ``time`` says: continuous or discrete."""
    return schedule.slopes if time == "continuous" else schedule.rows[1] - schedule.rows[0]


def masked(draw: Draw, length: int, vocabulary: int, *, positive: bool = False) -> MaskedCoupling:
    """Draw a target under the all-mask source."""
    return MaskedCoupling(draw.pmf((vocabulary,) * length, positive=positive))


def any_coupling(draw: Draw, kind: str, length: int, vocabulary: int) -> Any:
    """Draw a coupling: ``masked``, or ``joint`` over (vocabulary,) * 2N."""
    if kind == "masked":
        return masked(draw, length, vocabulary)
    return Coupling(draw.pmf((vocabulary,) * (2 * length)))


def experts_of(draw: Draw, kind: str, length: int, vocabulary: int, count: int) -> Decentralization:
    """Draw experts' weights and couplings."""
    couplings = [any_coupling(draw, kind, length, vocabulary) for _ in range(count)]
    return Decentralization(draw.pmf((count,), "w"), couplings)


def pmfs(cells: int, denominator: int) -> Iterable[Array]:
    """Return every pmf over ``cells`` whose entries are multiples of 1 / denominator."""
    for cuts in itertools.combinations(range(denominator + cells - 1), cells - 1):
        ends = (-1, *cuts, denominator + cells - 1)
        counts = [b - a - 1 for a, b in itertools.pairwise(ends)]
        yield tabulate((cells,), lambda k, counts=counts: flint.fmpq(counts[k], denominator))


def marginal(q: Array, shown: dict[int, int]) -> Any:
    """Return the probability under q of the tokens shown: {position: token}, summed over the rest."""
    return add(q[x] for x in tuples(q.shape[0], q.ndim) if all(x[i] == token for i, token in shown.items()))


def revealed(z: State, mask: int) -> dict[int, int]:
    """Return the revealed tokens of a state: {position: token}."""
    return {i: token for i, token in enumerate(z) if token != mask}


def ones(like: Array) -> Array:
    """Return ones of an array's shape."""
    return full(tuple(like.shape), 1, like)


def count_of(shape: Sequence[int]) -> int:
    """Return the number of entries."""
    return math.prod(shape)
