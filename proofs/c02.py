r"""C02, Gat et al.'s Theorem 3: the convex-sum velocity of one position, in continuous time.

With a pivot :math:`\ell` that carries weight, :math:`u(x,z) = \sum_j a^j w^j(x) + b\,\delta_z(x)`,
:math:`a^j = \dot\kappa^j - \kappa^j \dot\kappa^\ell / \kappa^\ell`, :math:`b = \dot\kappa^\ell / \kappa^\ell`.
Every pivot generates; the arg min is needed for the sign alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import flint

from ddfm_theory.arrays import Array, stack
from ddfm_theory.flux import choose_pivot, conditional_velocity
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.paths import conditional_path
from proofs.derivation import AT_MOST, Derivation, Grid, Step
from proofs.sums import ZERO, add, case, delta, pmfs, tabulate, vanishes

U = r"\sum_j a^j w^j(x) + b\,\delta_z(x)"


def _draw(draw: Draw, count: int, size: int, pivot: int) -> Any:
    """Draw weights, another row to head for, and base pmfs; the pivot must carry weight."""
    weights, after = draw.pmf((count,), "k", positive=True), draw.pmf((count,), "k")
    bases = stack([draw.pmf((size,)) for _ in range(count)])
    return _case(weights, after - weights, bases, pivot)


def _case(weights: Array, slopes: Array, bases: Array, pivot: int) -> Any:
    rate = slopes[pivot] / weights[pivot]
    a = [slopes[j] - weights[j] * rate for j in range(len(weights))]
    p = [add(weights[j] * bases[j, x] for j in range(len(weights))) for x in range(bases.shape[1])]
    return case(weights=weights, slopes=slopes, bases=bases, pivot=pivot, a=a, b=rate, p=p)


def _tied(draw: Draw, size: int) -> Any:
    """Draw three weights of which the first two have the same rate rho."""
    weights, rho = draw.pmf((3,), "k", positive=True), draw.numbers((1,), "r", -2, 2, 1)[0]
    slopes = tabulate((3,), lambda j: rho * weights[j] if j < 2 else -rho * (weights[0] + weights[1]))
    bases = stack([draw.pmf((size,)) for _ in range(3)])
    return case(weights=weights, slopes=slopes, bases=bases, rho=rho)


def _matrix(c: Any, entry: Any) -> Array:
    return tabulate((c.bases.shape[1],) * 2, entry)


def _vector(c: Any, entry: Any) -> Array:
    return tabulate((c.bases.shape[1],), entry)


def _combined(c: Any, x: int) -> Any:
    return add(a * w[x] for a, w in zip(c.a, c.bases, strict=True))


def _off(c: Any, matrix: Array) -> Array:
    return _matrix(c, lambda z, x: ZERO if x == z else matrix[z, x])


def _grid() -> Iterator[Any]:
    """Every pair of rows of three weights in thirds, over point masses and one spread base pmf."""
    bases = tabulate((3, 2), lambda j, x: flint.fmpq(1, 2) if j == 1 else delta(x, j // 2))
    for weights, after in itertools.product(pmfs(3, 3), repeat=2):
        pivot = choose_pivot(weights[:, None], (after - weights)[:, None])[0]
        yield _case(weights, after - weights, bases, pivot)


SIZES = ((2, 2, 0), (2, 2, 1), (3, 2, 0), (3, 2, 1), (3, 3, 2), (2, 3, 0))


def _library(c: Any) -> Array:
    return conditional_velocity(c.weights, c.slopes, c.bases, c.pivot)


def _signed(c: Any, x: int) -> Any:
    charged = [j for j in range(len(c.weights)) if not vanishes(c.weights[j])]
    rest = [j for j in range(len(c.weights)) if c.weights[j] == 0]
    brackets = add(c.weights[j] * (c.slopes[j] / c.weights[j] - c.b) * c.bases[j, x] for j in charged)
    return brackets + add(c.slopes[j] * c.bases[j, x] for j in rest)


DERIVATIONS = (
    Derivation(
        "C02",
        "every pivot generates the conditional path of one position",
        r"For every pivot $\ell$ with $\kappa^\ell > 0$: $\dot p(x) = \sum_z p(z)\, u(x,z)$, which is "
        r"$\dot p + \mathrm{div}(p u) = 0$ at one position, where $p = \sum_j \kappa^j w^j$ and $u(x,z) = " + U + "$.",
        (
            Step(
                r"\dot p(x) = \sum_j \dot\kappa^j w^j(x)",
                "the derivative of the conditional path",
                lambda c: conditional_path(c.slopes, c.bases),
                "paths.conditional_path",
            ),
            Step(
                r"\sum_j a^j w^j(x) + \frac{\dot\kappa^\ell}{\kappa^\ell} \sum_j \kappa^j w^j(x)",
                r"definition of $a^j$",
                lambda c: _vector(
                    c, lambda x: _combined(c, x) + c.b * add(k * w[x] for k, w in zip(c.weights, c.bases, strict=True))
                ),
            ),
            Step(
                r"\sum_z p(z) \sum_j a^j w^j(x) + b \sum_z p(z)\, \delta_z(x)",
                r"$\sum_z p(z) = 1$ in the first term, $p(x) = \sum_z p(z) \delta_z(x)$ in the second",
                lambda c: _vector(
                    c,
                    lambda x: (
                        add(pz * _combined(c, x) for pz in c.p)
                        + c.b * add(pz * delta(x, z) for z, pz in enumerate(c.p))
                    ),
                ),
            ),
            Step(
                r"\sum_z p(z)\, u(x,z)",
                "definition of the velocity",
                lambda c: _vector(c, lambda x: add(pz * _library(c)[z, x] for z, pz in enumerate(c.p))),
                "flux.conditional_velocity",
            ),
        ),
        sizes=SIZES,
        names="J, d, l",
        instance=_draw,
    ),
    Derivation(
        "C02",
        "the rates out of a state sum to zero",
        r"$\sum_x u(x,z) = 0$ for every $z$.",
        (
            Step(
                r"\sum_x u(x,z)",
                "the velocity",
                lambda c: _vector(c, lambda z: add(_library(c)[z])),
                "flux.conditional_velocity",
            ),
            Step(
                r"\sum_j a^j + b", r"each $w^j$ and $\delta_z$ is a pmf", lambda c: _vector(c, lambda z: add(c.a) + c.b)
            ),
            Step(
                r"\sum_j \dot\kappa^j - \frac{\dot\kappa^\ell}{\kappa^\ell} \sum_j \kappa^j "
                r"+ \frac{\dot\kappa^\ell}{\kappa^\ell}",
                r"definition of $a^j$ and $b$",
                lambda c: _vector(c, lambda z: add(c.slopes) - c.b * add(c.weights) + c.b),
            ),
            Step(
                "0",
                r"$\sum_j \kappa^j = 1$ at all times, hence $\sum_j \dot\kappa^j = 0$",
                lambda c: _vector(c, lambda z: ZERO),
            ),
        ),
        sizes=SIZES,
        names="J, d, l",
        instance=_draw,
    ),
    Derivation(
        "C02",
        "ties give the same velocity",
        r"If $\dot\kappa^\ell / \kappa^\ell = \dot\kappa^{\ell'} / \kappa^{\ell'} = \rho$, both "
        r"pivots give one velocity.",
        (
            Step(
                r"u_\ell(x,z)",
                r"the velocity with pivot $\ell$",
                lambda c: conditional_velocity(c.weights, c.slopes, c.bases, 0),
                "flux.conditional_velocity",
            ),
            Step(
                r"\sum_j \big(\dot\kappa^j - \kappa^j \rho\big) w^j(x) + \rho\,\delta_z(x)",
                r"the pivot enters through the rate $\rho$ alone",
                lambda c: _matrix(
                    c,
                    lambda z, x: (
                        add((c.slopes[j] - c.weights[j] * c.rho) * c.bases[j, x] for j in range(3))
                        + c.rho * delta(x, z)
                    ),
                ),
            ),
            Step(
                r"u_{\ell'}(x,z)",
                r"the same, read for the pivot $\ell'$",
                lambda c: conditional_velocity(c.weights, c.slopes, c.bases, 1),
                "flux.conditional_velocity",
            ),
        ),
        sizes=((2,), (3,)),
        names="d",
        instance=_tied,
    ),
    Derivation(
        "C02",
        "the arg min makes the rates nonnegative",
        r"With $\ell = \arg\min\{\dot\kappa^j / \kappa^j : \kappa^j > 0\}$, $u(x,z) \ge 0$ for $x \ne z$. "
        r"The right derivative is taken, so $\kappa^j = 0$ implies $\dot\kappa^j \ge 0$.",
        (
            Step("0", "the bound to be shown", lambda c: _matrix(c, lambda z, x: ZERO)),
            Step(
                r"1[x \ne z] \Big( \sum_{j:\, \kappa^j > 0} \kappa^j \Big(\frac{\dot\kappa^j}{\kappa^j} - "
                r"\frac{\dot\kappa^\ell}{\kappa^\ell}\Big) w^j(x) + \sum_{j:\, \kappa^j = 0} "
                r"\dot\kappa^j w^j(x) \Big)",
                r"every bracket is nonnegative by the choice of $\ell$, and so is $\dot\kappa^j$ "
                r"where $\kappa^j = 0$",
                lambda c: _off(c, _matrix(c, lambda z, x: _signed(c, x))),
                relation=AT_MOST,
            ),
            Step(
                r"1[x \ne z]\, u(x,z)",
                r"definition of $a^j$; the term $b\,\delta_z(x)$ is absent at $x \ne z$",
                lambda c: _off(c, conditional_velocity(c.weights, c.slopes, c.bases)),
                "flux.conditional_velocity",
            ),
        ),
        grid=Grid(r"$J = 3$, $d = 2$, weights and next weights in thirds", _grid),
    ),
)
