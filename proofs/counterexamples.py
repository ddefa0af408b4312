r"""The smallest counterexamples to C05, C09, C13, C16, C17, C20 and C21 without a hypothesis, found by search.

Candidates run over small rationals, by increasing denominator, then by size, then by support; both sides of the claim
go through the project's functions; the first candidate whose sides differ is the counterexample.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import flint

from ddfm_theory.arrays import Array, stack
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization, average_parameters, mix
from ddfm_theory.ledger.families import exact, table
from ddfm_theory.ledger.laws_experts import weights_everywhere
from ddfm_theory.paths import marginal_path
from ddfm_theory.sampling import (
    mixed_kernel_law,
    path_law,
    propagate,
    route_once_law,
    sampler_law,
    static_law,
)
from ddfm_theory.schedulers import Autoregressive, Windowed
from ddfm_theory.sharpening import geometric_mixture, temperature
from ddfm_theory.stability import total_variation
from ddfm_theory.velocities import marginal_velocity, step_velocity
from proofs.sums import over, pmfs, tabulate

LARGEST = 12  # the largest denominator (or parameter) that is searched


@dataclass(frozen=True)
class Counterexample:
    """The first instance met on which a claim fails without a hypothesis.

    Attributes:
        claim: the ledger's row.
        dropped: the hypothesis that is dropped.
        instance: the instance, in LaTeX.
        got: the one side, at the first entry where they differ.
        expected: the other side there.
        distance: half the L1 distance of the sides.
        before: how many smaller candidates agreed.
    """

    claim: str
    dropped: str
    instance: str
    got: Any
    expected: Any
    distance: Any
    before: int


@dataclass(frozen=True)
class Search:
    """Candidates by increasing size, and the two sides that the claim says are equal.

    Attributes:
        claim: the ledger's row.
        dropped: the hypothesis that is dropped.
        candidates: (size) -> instances of that denominator, as (LaTeX, instance).
        sides: instance -> the two sides; None where the claim says nothing.
    """

    claim: str
    dropped: str
    candidates: Callable[[int], Iterator[tuple[str, Any]]]
    sides: Callable[[Any], tuple[Array, Array] | None]

    def smallest(self) -> Counterexample:
        """Return the first candidate whose sides differ.

        Raises:
            ValueError: there is none up to the largest denominator.
        """
        before = 0
        for size in range(1, LARGEST + 1):
            for words, instance in self.candidates(size):
                both = self.sides(instance)
                if both is None:
                    continue
                gaps = [(a, b) for a, b in zip(both[0].ravel(), both[1].ravel(), strict=True) if a != b]
                if gaps:
                    distance = sum((abs(a - b) for a, b in gaps), flint.fmpq(0)) / 2
                    return Counterexample(self.claim, self.dropped, words, *gaps[0], distance, before)
                before += 1
        raise ValueError(f"candidates must hold a counterexample to {self.claim} up to {LARGEST}, held none")


def _show(values: Array) -> str:
    return "(" + ", ".join(_number(value) for value in values.ravel()) + ")"


def _number(value: Any) -> str:
    return rf"\frac{{{value.p}}}{{{value.q}}}" if value.q != 1 else str(value)


def _masked(cells: int, length: int, n: int) -> list[Array]:
    return [law.reshape((cells,) * length) for law in pmfs(cells**length, n)]


def _targets(n: int) -> Iterator[tuple[str, Any]]:
    """Return masked targets of growing length and vocabulary."""
    for length, vocabulary in ((1, 2), (2, 1), (2, 2)):
        for q in sorted(_masked(vocabulary, length, n), key=lambda law: _support((law,))):
            yield rf"$N={length}$, $V={vocabulary}$, $q={_show(q)}$", MaskedCoupling(q)


def _support(laws: tuple[Array, ...]) -> int:
    """Return how many outcomes the laws charge together: of one denominator, the fewest first."""
    return sum(int(entry != 0) for law in laws for entry in law.ravel())


def _pairs(n: int, laws: list[Array], words: str, make: Callable[[Array], Any]) -> Iterator[tuple[str, Any]]:
    """Return pairs of experts with their weights."""
    for w in pmfs(2, n):
        for first, second in sorted(itertools.combinations(laws, 2), key=_support):
            shown = rf"{words}, $\omega={_show(w)}$, experts ${_show(first)}$ and ${_show(second)}$"
            yield shown, Decentralization(w, [make(first), make(second)])


def _masked_experts(n: int, lengths: tuple[int, ...] = (1, 2)) -> Iterator[tuple[str, Any]]:
    for length in lengths:
        yield from _pairs(n, _masked(2, length, n), rf"masks, $N={length}$", MaskedCoupling)


def _uniform_experts(n: int) -> Iterator[tuple[str, Any]]:
    even = exact(["1/2", "1/2"])
    yield from _pairs(n, _masked(2, 1, n), "uniform source, $N=1$", lambda law: Coupling.independent(even, law))


def _moved(coupling: Any) -> tuple[Array, Array]:
    schedule = table([0] * coupling.length, [1] * coupling.length)
    law = propagate(marginal_path(coupling, schedule, 0), step_velocity(coupling, schedule, 0, 1))
    return law, marginal_path(coupling, schedule, 1)


def _static_experts(n: int) -> Iterator[tuple[str, Any]]:
    """Return experts with a time inside (0, 1)."""
    for j in range(1, n):
        kappa = flint.fmpq(j, n)
        for words, experts in itertools.chain(_masked_experts(n), _uniform_experts(n)):
            yield rf"{words}, $\kappa={_number(kappa)}$, $\dot\kappa=1$", (experts, kappa)


def _static(case: Any) -> tuple[Array, Array]:
    """Return the static mixture and the central velocity, at the states that every expert reaches."""
    experts, kappa = case
    length = experts.central.length
    schedule = table([kappa] * length, slopes=[1] * length)
    u, paths = experts.expert_velocities(schedule, 0), experts.paths(schedule, 0)
    reached = tabulate(paths.shape[1:], lambda *z: int(all(paths[(k, *z)] != 0 for k in range(len(experts)))))
    weights = weights_everywhere(experts, u[..., 0, 0])
    sides = mix(weights, u), marginal_velocity(experts.central, schedule, 0)
    return sides[0] * reached[..., None, None], sides[1] * reached[..., None, None]


def _at_once(experts: Decentralization) -> tuple[Array, Array]:
    schedule = table([0] * experts.central.length, [1] * experts.central.length)
    return sampler_law(experts, schedule, (0, 1)), route_once_law(experts, schedule, (0, 1))


def _paths(experts: Decentralization) -> tuple[Array, Array]:
    schedule = table([0], ["1/2"], [1])

    def run(coupling: Any, mover: Any) -> Array:
        return path_law(marginal_path(coupling, schedule, 0), [mover.step_velocity(schedule, s, s + 1) for s in (0, 1)])

    alone = [
        path_law(marginal_path(c, schedule, 0), [step_velocity(c, schedule, s, s + 1) for s in (0, 1)])
        for c in experts.couplings
    ]
    return run(experts.central, experts), mix(experts.weights, stack(alone))


def _static_runs(experts: Decentralization) -> tuple[Array, Array]:
    times = range(experts.central.length + 1)
    return static_law(experts, Autoregressive(), times), route_once_law(experts, Autoregressive(), times)


def _laws(n: int) -> Iterator[tuple[str, Any]]:
    for r in pmfs(2, n):
        for first, second in itertools.combinations(pmfs(2, n), 2):
            words = rf"$r={_show(r)}$, $p_1={_show(first)}$, $p_2={_show(second)}$"
            yield words, (r, stack([first, second]))


def _even_laws(n: int) -> Iterator[tuple[str, Any]]:
    even = exact(["1/2", "1/2"])
    for _, (_, laws) in _laws(n):
        if all(entry != 0 for entry in laws.flat):
            yield rf"$r={_show(even)}$, $p_1={_show(laws[0])}$, $p_2={_show(laws[1])}$", (even, laws)


def _sharpened(case: Any) -> tuple[Array, Array]:
    r, laws = case
    return temperature(mix(r, laws), 2), mix(r, stack([temperature(law, 2) for law in laws]))


def _geometric(case: Any) -> tuple[Array, Array] | None:
    """Return the geometric and the arithmetic mixture; None where the geometric one is irrational."""
    try:
        return geometric_mixture(*case), mix(*case)
    except ValueError:
        return None


def _parameters(n: int) -> Iterator[tuple[str, Any]]:
    """Return pairs of two integer parameters each, of size n - 1 at most, with an integer mean."""
    values = list(itertools.product(range(-n + 1, n), repeat=2))
    for first, second in itertools.combinations(values, 2):
        if all((a + b) % 2 == 0 for a, b in zip(first, second, strict=True)):
            yield (
                rf"$\theta_1={first}$, $\theta_2={second}$, $w=(\frac{{1}}{{2}}, \frac{{1}}{{2}})$",
                exact([first, second]),
            )


def _averaged(velocity: Callable[[Array], Array]) -> Callable[[Any], tuple[Array, Array]]:
    def sides(parameters: Array) -> tuple[Array, Array]:
        even = exact(["1/2", "1/2"])
        each = mix(even, stack([velocity(theta) for theta in parameters]))
        return velocity(average_parameters(even, parameters)), each

    return sides


def _softmax(theta: Array) -> Array:
    """Return the softmax of logits to base 2."""
    odds = tabulate((len(theta),), lambda i: flint.fmpq(2) ** int(theta[i].p))
    return tabulate((len(theta),), lambda i: over(odds[i], sum(odds)))


def _kernels(experts: Decentralization) -> tuple[Array, Array]:
    schedule = table([0] * experts.central.length, [1] * experts.central.length)
    p, velocities = marginal_path(experts.central, schedule, 0), experts.expert_step_velocities(schedule, 0, 1)
    return propagate(p, experts.step_velocity(schedule, 0, 1)), mixed_kernel_law(
        p, experts.router(schedule, 0), velocities
    )


def _overlaps(n: int) -> Iterator[tuple[str, Any]]:
    """Return windowed runs of up to n steps and overlaps in n-ths, half on 0...0, half on the first two flipped."""
    for length, steps, j in itertools.product((2, 3), range(1, n + 1), range(1, n)):
        if math.gcd(j, n) == 1:
            q = tabulate((2,) * length, lambda *x: flint.fmpq(int(x[0] == x[1] and not any(x[2:])), 2))
            w = flint.fmpq(j, n)
            yield rf"$N={length}$, $T={steps}$, $w={_number(w)}$, half 0..0, half 110..0", (MaskedCoupling(q), w, steps)


def _against_parallel(case: Any) -> tuple[Array, Array]:
    """Return TV at overlap w, and it again or TV at w = 1, whichever is less."""
    coupling, w, steps = case
    times = [flint.fmpq(s, steps) for s in range(steps + 1)]
    target = marginal_path(coupling, Windowed(w), 1).reshape(-1)
    laws = [sampler_law(coupling, Windowed(overlap), times).reshape(-1) for overlap in (w, 1)]
    found = [total_variation(law, target) for law in laws]
    return stack([found[0]]), stack([min(found)])


SEARCHES = (
    Search("C05", "all positions at once, not one mover a state", _targets, _moved),
    Search("C09", r"static weights where $r(z) \ne \omega$", _static_experts, _static),
    Search("C13", "all positions at once, not one mover a state", _masked_experts, _at_once),
    Search("C13", r"static weights $\omega_k$ at every autoregressive step", _masked_experts, _static_runs),
    Search("C13", r"path laws off the masked source, $\kappa = 0, \frac12, 1$", _uniform_experts, _paths),
    Search("C16", r"sharpening, $T = \frac12$", _laws, _sharpened),
    Search("C16", "averaged logits: the geometric mixture", _even_laws, _geometric),
    Search("C17", "softmax of logits to base 2", _parameters, _averaged(_softmax)),
    Search("C17", r"the product $u = \theta^1 \theta^2$", _parameters, _averaged(lambda theta: theta[:1] * theta[1:])),
    Search("C20", r"three positions: TV at $w$ exceeds that at $w = 1$", _overlaps, _against_parallel),
    Search("C21", "all positions at once, not one mover a state", _masked_experts, _kernels),
)


@cache
def counterexamples() -> tuple[Counterexample, ...]:
    """Return the smallest counterexample of each search."""
    return tuple(search.smallest() for search in SEARCHES)


HEADER = ("claim", "without", "smallest instance", "one side", "other side", "half L1", "smaller that agree")


def _rows(claims: tuple[str, ...] | None) -> list[tuple[str, ...]]:
    return [
        (e.claim, e.dropped, e.instance, *(f"${_number(v)}$" for v in (e.got, e.expected, e.distance)), str(e.before))
        for e in counterexamples()
        if claims is None or e.claim in claims
    ]


def markdown(claims: tuple[str, ...] | None = None) -> str:
    """Return the table of counterexamples in Markdown, of all claims or of some."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in _rows(claims)]) + "\n"


def latex(claims: tuple[str, ...] | None = None) -> str:
    """Return the table of counterexamples as a LaTeX tabular (booktabs), of all claims or of some."""
    columns = r"lp{3.2cm}p{6cm}cccr"
    head = "claim & without & smallest instance & one side & other side & $\\frac12 L_1$ & agree"
    body = [" & ".join(row) + r" \\ \addlinespace" for row in _rows(claims)]
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head + r" \\", r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"
