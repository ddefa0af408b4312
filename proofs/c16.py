r"""C16: sharpening and mixing. Powers 1/T are integers here; the identities are those of every T.

Greedy decoding, the nucleus and the geometric mixture: :mod:`proofs.c16_order`.
"""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array, full, stack
from ddfm_theory.decentralization import hard_router, mix
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.sharpening import temperature
from proofs.c16_order import ORDERED
from proofs.derivation import Derivation, Step
from proofs.sums import add, case, delta, over, tabulate


def _instance(draw: Draw, count: int, size: int, inverse: int) -> Any:
    laws = stack([draw.pmf((size,), positive=True) for _ in range(count)])
    return case(r=draw.pmf((count,), "w"), laws=laws, a=inverse, k=range(count), x=range(size))


def _one_hot(draw: Draw, count: int, size: int, inverse: int) -> Any:
    c = _instance(draw, count, size, inverse)
    c.chosen = count - 1
    c.r = hard_router([c.chosen], count, c.laws)[:, 0]
    return c


def _identical(draw: Draw, count: int, size: int, inverse: int) -> Any:
    c = _instance(draw, count, size, inverse)
    c.laws = c.laws[:1] * full((count, 1), 1, c.laws)
    return c


def _separating(draw: Draw, count: int, inverse: int) -> Any:
    """Draw a router; expert 1 is a point mass, the others are spread evenly over two tokens."""
    r = draw.pmf((count,), "w")
    half = full((1,), 1, r)[0] / 2
    return case(r=r, laws=tabulate((count, 2), lambda k, x: half if k else 1 - x), a=inverse, rho=r[0])


def _sharpened_mixture(c: Any) -> Array:
    return temperature(mix(c.r, c.laws), c.a)


def _mixed_sharpened(c: Any) -> Array:
    return mix(c.r, stack([temperature(law, c.a) for law in c.laws]))


def _vector(c: Any, entry: Any) -> Array:
    return tabulate((len(c.x),), entry)


def _blend(c: Any, x: int) -> Any:
    return add(c.r[k] * c.laws[k, x] for k in c.k)


def _power(c: Any, k: int, x: int) -> Any:
    """Return p_k(x)^a / sum_y p_k(y)^a."""
    return over(c.laws[k, x] ** c.a, add(c.laws[k, y] ** c.a for y in c.x))


FIRST = Step(
    r"S_T\big(\textstyle\sum_k r_k p_k\big)(x)", "the sharpened mixture", _sharpened_mixture, "sharpening.temperature"
)


def _last(reason: str) -> Step:
    return Step(r"\sum_k r_k\, S_T(p_k)(x)", reason, _mixed_sharpened, "sharpening.temperature")


TEMPERATURE = (
    Derivation(
        "C16",
        "no sharpening",
        r"At $T = 1$ sharpening and mixing agree.",
        (
            FIRST,
            Step(
                r"\frac{\sum_k r_k p_k(x)}{\sum_y \sum_k r_k p_k(y)}",
                r"definition of $S_T(p) = p^{1/T} / \sum p^{1/T}$ at $T = 1$",
                lambda c: _vector(c, lambda x: over(_blend(c, x), add(_blend(c, y) for y in c.x))),
            ),
            Step(r"\sum_k r_k p_k(x)", "the mixture is a pmf", lambda c: _vector(c, lambda x: _blend(c, x))),
            _last(r"$S_1(p_k) = p_k$"),
        ),
        sizes=((1, 2, 1), (2, 2, 1), (2, 3, 1), (3, 2, 1)),
        names="K, d, 1/T",
        instance=_instance,
    ),
    Derivation(
        "C16",
        "a one-hot router",
        r"For $r = \delta_a$ sharpening and mixing agree at every $T$.",
        (
            FIRST,
            Step(
                r"\frac{p_a(x)^{1/T}}{\sum_y p_a(y)^{1/T}}",
                r"the mixture is $p_a$",
                lambda c: _vector(c, lambda x: _power(c, c.chosen, x)),
            ),
            Step(
                r"\sum_k \delta_a(k) \frac{p_k(x)^{1/T}}{\sum_y p_k(y)^{1/T}}",
                "write one term as a sum",
                lambda c: _vector(c, lambda x: add(delta(k, c.chosen) * _power(c, k, x) for k in c.k)),
            ),
            _last(r"definition of $S_T$; $r = \delta_a$"),
        ),
        sizes=((2, 2, 2), (2, 3, 2), (3, 2, 3)),
        names="K, d, 1/T",
        instance=_one_hot,
    ),
    Derivation(
        "C16",
        "identical experts",
        r"For $p_k = p$ sharpening and mixing agree at every $T$ and every $r$.",
        (
            FIRST,
            Step(
                r"\frac{p(x)^{1/T}}{\sum_y p(y)^{1/T}}",
                r"$\sum_k r_k p = p$",
                lambda c: _vector(c, lambda x: _power(c, 0, x)),
            ),
            _last(r"$\sum_k r_k = 1$"),
        ),
        sizes=((2, 2, 2), (2, 3, 2), (3, 2, 3)),
        names="K, d, 1/T",
        instance=_identical,
    ),
    Derivation(
        "C16",
        "any other router has experts that tell, at T = 1/2",
        r"Let $p_1 = (1, 0)$, the other experts $(\frac12, \frac12)$, $\rho = r_1$, $T = \frac12$. "
        r"The first token's two "
        r"probabilities differ by the last line, which is zero iff $\rho \in \{0, 1\}$; with any "
        r"charged expert as the first, "
        r"agreement for all experts forces a one-hot router.",
        (
            Step(
                r"S_T\big(\textstyle\sum_k r_k p_k\big)(0) - \sum_k r_k\, S_T(p_k)(0)",
                "sharpened mixture less mixture of sharpened",
                lambda c: (_sharpened_mixture(c) - _mixed_sharpened(c))[:1],
                "sharpening.temperature",
            ),
            Step(
                r"\frac{(1+\rho)^2}{(1+\rho)^2 + (1-\rho)^2} - \frac{1+\rho}{2}",
                r"the mixture is $\big(\frac{1+\rho}2, \frac{1-\rho}2\big)$, and each $p_k$ is its own sharpening",
                lambda c: tabulate(
                    (1,),
                    lambda _: (1 + c.rho) ** 2 / ((1 + c.rho) ** 2 + (1 - c.rho) ** 2) - (1 + c.rho) / 2,
                ),
            ),
            Step(
                r"\frac{\rho (1-\rho) (1+\rho)}{2 (1+\rho^2)}",
                r"common denominator, $(1+\rho)^2 + (1-\rho)^2 = 2(1+\rho^2)$",
                lambda c: tabulate((1,), lambda _: c.rho * (1 - c.rho) * (1 + c.rho) / (2 * (1 + c.rho**2))),
            ),
        ),
        sizes=((2, 2), (3, 2)),
        names="K, 1/T",
        instance=_separating,
    ),
)

DERIVATIONS = (*TEMPERATURE, *ORDERED)
