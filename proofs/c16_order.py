r"""C16: greedy decoding, the nucleus, and the geometric mixture, on rationals (they need an order, or roots)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ddfm_theory.arrays import Array, stack
from ddfm_theory.decentralization import mix
from ddfm_theory.ledger.families import exact
from ddfm_theory.sharpening import geometric_mixture, greedy, nucleus
from ddfm_theory.stability import total_variation
from proofs.derivation import Derivation, Grid, Step
from proofs.sums import add, case, pmfs, tabulate


def _mixed(c: Any, sharpen: Any) -> Array:
    return mix(c.r, stack([sharpen(law) for law in c.laws]))


def _best(law: Array) -> int:
    return min(range(len(law)), key=lambda x: (-law[x], x))


def _one(value: Any) -> Array:
    return tabulate((1,), lambda _: value)


def _experts(count: int, tokens: int, n: int) -> Iterator[Any]:
    for r in pmfs(count, n):
        for laws in itertools.combinations(pmfs(tokens, n), count):
            yield case(r=r, laws=stack(list(laws)))


def _greedy_cases() -> Iterator[Any]:
    yield from _experts(2, 3, 3)
    yield from itertools.islice(_experts(3, 2, 3), 0, None, 3)


GREEDY = Derivation(
    "C16",
    "greedy decoding misses by the weight of who disagrees",
    r"Let $a_k$ be the most likely token of expert $k$ (lowest index on ties), $a$ that of the mixture. Then "
    r"$\mathrm{TV}(\delta_a, \sum_k r_k \delta_{a_k}) = \sum_{k:\, a_k \ne a} r_k$. It is zero iff the experts with "
    r"$r_k > 0$ share $a_k$: if they do, no token beats it in the mixture, nor ties with it at a lower index.",
    (
        Step(
            r"\mathrm{TV}\big(G(\textstyle\sum_k r_k p_k), \sum_k r_k\, G(p_k)\big)",
            "greedy after mixing, and mixing after greedy",
            lambda c: _one(total_variation(greedy(mix(c.r, c.laws)), _mixed(c, greedy))),
            "sharpening.greedy",
        ),
        Step(
            r"1 - \big(\textstyle\sum_k r_k\, \delta_{a_k}\big)(a)",
            r"$\mathrm{TV}(\delta_a, p) = 1 - p(a)$",
            lambda c: _one(1 - _mixed(c, greedy)[_best(mix(c.r, c.laws))]),
        ),
        Step(
            r"\sum_{k:\, a_k \ne a} r_k",
            r"$\sum_k r_k = 1$",
            lambda c: _one(add(r for r, law in zip(c.r, c.laws, strict=True) if _best(law) != _best(mix(c.r, c.laws)))),
        ),
    ),
    grid=Grid("two experts over three tokens in thirds; three over two, every third", _greedy_cases),
)


def _kept(law: Array, mass: Any) -> list[int]:
    """Return the nucleus by its definition: the fewest most likely tokens of at least the mass."""
    order, kept = sorted(range(len(law)), key=lambda x: (-law[x], x)), []
    while add(law[x] for x in kept) < mass:
        kept.append(order[len(kept)])
    return sorted(kept)


def _nucleus_cases() -> Iterator[Any]:
    for mass, c in itertools.product(exact(["1/2", "3/4"]), _experts(2, 3, 4)):
        kept = [_kept(law, mass) for law in c.laws]
        if kept[0] == kept[1]:
            yield case(r=c.r, laws=c.laws, p=mass, kept=kept[0], m=[add(law[x] for x in kept[0]) for law in c.laws])


def _held(c: Any, k: int, x: int) -> Any:
    return c.laws[k, x] * int(x in c.kept)


NUCLEUS = Derivation(
    "C16",
    "two experts with one nucleus",
    r"Let $A$ be the nucleus (top-$p$) of both experts, $m_k = p_k(A)$, $n_k = 1_A p_k / m_k$. Then $A$ is that of the "
    r"mixture, and the two orders differ by the last line: they agree for all $r$ iff $m_1 = m_2$ or $n_1 = n_2$.",
    (
        Step(
            r"C_p\big(\textstyle\sum_k r_k p_k\big)(x) - \sum_k r_k\, C_p(p_k)(x)",
            "nucleus after mixing less mixing after nucleus",
            lambda c: nucleus(mix(c.r, c.laws), c.p) - _mixed(c, lambda law: nucleus(law, c.p)),
            "sharpening.nucleus",
        ),
        Step(
            r"\frac{\sum_k r_k 1_A(x) p_k(x)}{\sum_k r_k m_k} - \sum_k r_k \frac{1_A(x) p_k(x)}{m_k}",
            r"every token of $A$ comes before every other for both experts, so in the mixture; without its last token "
            r"each expert has less than $p$ of $A$, so has the mixture",
            lambda c: tabulate(
                (3,),
                lambda x: (
                    add(c.r[k] * _held(c, k, x) for k in range(2)) / add(c.r[k] * c.m[k] for k in range(2))
                    - add(c.r[k] * _held(c, k, x) / c.m[k] for k in range(2))
                ),
            ),
        ),
        Step(
            r"\frac{r_1 r_2 (m_1 - m_2) \big(n_1(x) - n_2(x)\big)}{r_1 m_1 + r_2 m_2}",
            r"$m_1 - \bar m = r_2 (m_1 - m_2)$ and $m_2 - \bar m = -r_1 (m_1 - m_2)$, $\bar m = r_1 m_1 + r_2 m_2$",
            lambda c: tabulate(
                (3,),
                lambda x: (
                    c.r[0]
                    * c.r[1]
                    * (c.m[0] - c.m[1])
                    * (_held(c, 0, x) / c.m[0] - _held(c, 1, x) / c.m[1])
                    / (c.r[0] * c.m[0] + c.r[1] * c.m[1])
                ),
            ),
        ),
    ),
    grid=Grid(r"three tokens in quarters, $p = \frac12, \frac34$, every pair with one nucleus", _nucleus_cases),
)


def _square_odds() -> Iterator[Any]:
    values = exact(["1/3", "1/2", 1, "3/2", 2, 3, 4])
    for a, b in itertools.product(values, repeat=2):
        laws = exact([[0, 0], [0, 0]])
        for k, odds in enumerate((a, b)):
            laws[k, 0], laws[k, 1] = odds**2 / (1 + odds**2), 1 / (1 + odds**2)
        yield case(r=exact(["1/2", "1/2"]), laws=laws, a=a, b=b)


GEOMETRIC = Derivation(
    "C16",
    "the geometric mixture is not the arithmetic one",
    r"Two tokens, $r = (\frac12, \frac12)$, odds $\alpha^2$ and $\beta^2$ of the first: averaged logits "
    r"have odds $\alpha\beta$. The two mixtures differ by the last line: they agree iff "
    r"$\alpha = \beta$ (one law) or $\alpha\beta = 1$ (mirror images).",
    (
        Step(
            r"g(0) - \textstyle\sum_k r_k p_k(0)",
            r"the geometric mixture $g \propto \prod_k p_k^{r_k}$ less the arithmetic one",
            lambda c: (geometric_mixture(c.r, c.laws) - mix(c.r, c.laws))[:1],
            "sharpening.geometric_mixture",
        ),
        Step(
            r"\frac{\alpha\beta}{1 + \alpha\beta} - \frac12 \Big(\frac{\alpha^2}{1+\alpha^2} + "
            r"\frac{\beta^2}{1+\beta^2}\Big)",
            r"$p_k(0) = \alpha^2 / (1 + \alpha^2)$, and $g(0)/g(1) = \sqrt{\alpha^2 \beta^2}$",
            lambda c: _one(c.a * c.b / (1 + c.a * c.b) - (c.a**2 / (1 + c.a**2) + c.b**2 / (1 + c.b**2)) / 2),
        ),
        Step(
            r"\frac{(\alpha - \beta)^2 (\alpha\beta - 1)}{2 (1 + \alpha\beta)(1 + \alpha^2)(1 + \beta^2)}",
            "common denominator",
            lambda c: _one((c.a - c.b) ** 2 * (c.a * c.b - 1) / (2 * (1 + c.a * c.b) * (1 + c.a**2) * (1 + c.b**2))),
        ),
    ),
    grid=Grid(r"$\alpha, \beta$ among $\frac13, \frac12, 1, \frac32, 2, 3, 4$", _square_odds),
)

ORDERED = (GREEDY, NUCLEUS, GEOMETRIC)
