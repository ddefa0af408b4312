r"""C14: stability of mixtures and of sequence laws, in total variation and in relative entropy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ddfm_theory.arrays import Array, Log, stack
from ddfm_theory.decentralization import mix
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import exact
from ddfm_theory.ledger.laws_information import prefix_laws
from ddfm_theory.stability import (
    kl_divergence,
    mixture_kl_bound,
    mixture_tv_bound,
    sequence_kl,
    sequence_tv_bound,
    total_variation,
)
from proofs.derivation import AT_MOST, Derivation, Grid, Step
from proofs.sums import add, case, marginal, over, pmfs, tabulate, times, tuples


def _mixtures(routers: Any, laws: Any) -> Any:
    (r, s), (p, q) = routers, laws
    return case(r=r, s=s, p=p, q=q, k=range(len(r)), x=range(p.shape[1]))


def _grid(denominator: int, positive: bool) -> Iterator[Any]:
    """Every pair of routers and of two experts' laws over two tokens, in multiples of 1 / denominator."""
    single = [law for law in pmfs(2, denominator) if not positive or all(entry != 0 for entry in law)]
    for r, s, *laws in itertools.product(single, repeat=6):
        yield _mixtures((r, s), (stack(laws[:2]), stack(laws[2:])))


def _real(z3: Any) -> tuple[Any, list[Any]]:
    names = ("r", "s", "p1", "p2", "q1", "q2")
    numbers = [z3.Real(name) for name in names]
    r, s, *laws = [tabulate((2,), lambda j, a=a: 1 - a if j else a) for a in numbers]
    return _mixtures((r, s), (stack(laws[:2]), stack(laws[2:]))), [z3.And(a >= 0, a <= 1) for a in numbers]


def _over_tokens(c: Any, entry: Any) -> Any:
    return add(entry(x) for x in c.x) / 2


def _log_terms(c: Any) -> Any:
    return add(c.r[k] * c.p[k, x] * (Log.of(c.r[k] * c.p[k, x]) - Log.of(c.s[k] * c.q[k, x])) for k in c.k for x in c.x)


def _one(value: Any) -> Array:
    return stack([value])


MIXTURE_TV = Derivation(
    "C14",
    "total variation of mixtures",
    r"$\mathrm{TV}\big(\sum_k r_k p_k, \sum_k \hat r_k \hat p_k\big) \le \mathrm{TV}(r, \hat r) + \sum_k r_k "
    r"\mathrm{TV}(p_k, \hat p_k)$.",
    (
        Step(
            r"\mathrm{TV}\big(\textstyle\sum_k r_k p_k, \sum_k \hat r_k \hat p_k\big)",
            "the distance of the two mixtures",
            lambda c: total_variation(mix(c.r, c.p), mix(c.s, c.q)),
            "stability.total_variation",
            plain=lambda c: _over_tokens(c, lambda x: abs(add(c.r[k] * c.p[k, x] - c.s[k] * c.q[k, x] for k in c.k))),
        ),
        Step(
            r"\tfrac12 \sum_x \Big| \sum_k (r_k - \hat r_k)\, \hat p_k(x) + \sum_k r_k \big(p_k(x) - "
            r"\hat p_k(x)\big) \Big|",
            r"definition; add and subtract $\sum_k r_k \hat p_k(x)$",
            lambda c: _over_tokens(
                c,
                lambda x: abs(
                    add((c.r[k] - c.s[k]) * c.q[k, x] for k in c.k) + add(c.r[k] * (c.p[k, x] - c.q[k, x]) for k in c.k)
                ),
            ),
        ),
        Step(
            r"\tfrac12 \sum_x \sum_k |r_k - \hat r_k|\, \hat p_k(x) + \tfrac12 \sum_x \sum_k r_k \big|p_k(x) - "
            r"\hat p_k(x)\big|",
            "triangle inequality",
            lambda c: _over_tokens(
                c, lambda x: add(abs(c.r[k] - c.s[k]) * c.q[k, x] + c.r[k] * abs(c.p[k, x] - c.q[k, x]) for k in c.k)
            ),
            relation=AT_MOST,
        ),
        Step(
            r"\mathrm{TV}(r, \hat r) + \sum_k r_k\, \mathrm{TV}(p_k, \hat p_k)",
            r"exchange of finite sums; $\sum_x \hat p_k(x) = 1$",
            lambda c: mixture_tv_bound(c.r, c.s, c.p, c.q),
            "stability.mixture_tv_bound",
            plain=lambda c: (
                add(abs(c.r[k] - c.s[k]) for k in c.k) / 2
                + add(c.r[k] * _over_tokens(c, lambda x, k=k: abs(c.p[k, x] - c.q[k, x])) for k in c.k)
            ),
        ),
    ),
    grid=Grid(
        r"two experts, two tokens, every router and law in halves",
        lambda: _grid(2, False),
        attained=(
            (
                "experts of disjoint supports, the same in both mixtures",
                _mixtures((exact(["1/2", "1/2"]), exact(["1/4", "3/4"])), (exact([[1, 0], [0, 1]]),) * 2),
            ),
        ),
        real=_real,
    ),
)

MIXTURE_KL = Derivation(
    "C14",
    "relative entropy of mixtures",
    r"$\mathrm{KL}\big(\sum_k r_k p_k \,\|\, \sum_k \hat r_k \hat p_k\big) \le \mathrm{KL}(r \| \hat r) + \sum_k r_k "
    r"\mathrm{KL}(p_k \| \hat p_k)$, where the right side is finite.",
    (
        Step(
            r"\mathrm{KL}\big(\textstyle\sum_k r_k p_k \,\|\, \sum_k \hat r_k \hat p_k\big)",
            "the divergence of the two mixtures",
            lambda c: _one(kl_divergence(mix(c.r, c.p), mix(c.s, c.q))),
            "stability.kl_divergence",
        ),
        Step(
            r"\sum_x \sum_k r_k p_k(x) \log \frac{r_k p_k(x)}{\hat r_k \hat p_k(x)}",
            r"log-sum inequality at each $x$",
            lambda c: _one(_log_terms(c)),
            relation=AT_MOST,
        ),
        Step(
            r"\mathrm{KL}(r \| \hat r) + \sum_k r_k\, \mathrm{KL}(p_k \| \hat p_k)",
            r"split the logarithm; $\sum_x p_k(x) = 1$ in the first part",
            lambda c: _one(mixture_kl_bound(c.r, c.s, c.p, c.q)),
            "stability.mixture_kl_bound",
        ),
    ),
    grid=Grid(
        r"two experts, two tokens, every positive router and law in thirds",
        lambda: _grid(3, True),
        attained=(
            (
                r"identical experts in both mixtures and one router",
                _mixtures((exact(["1/3", "2/3"]),) * 2, (exact([["1/4", "3/4"]] * 2),) * 2),
            ),
            (
                r"$r_k p_k(x) / (\hat r_k \hat p_k(x))$ one number for all $k$ at each $x$",
                _mixtures(
                    (exact(["1/3", "2/3"]), exact(["1/3", "2/3"])),
                    (exact([["1/4", "3/4"]] * 2), exact([["1/2", "1/2"]] * 2)),
                ),
            ),
        ),
    ),
)


# Sequences ------------------------------------------------------------------------------------------------------------


def _sequences(q: Array, hat: Array) -> Any:
    return case(q=q, hat=hat, n=q.ndim, v=q.shape[0], xs=tuples(q.shape[0], q.ndim))


def _drawn(draw: Draw, length: int, vocabulary: int) -> Any:
    return _sequences(*(draw.pmf((vocabulary,) * length, positive=True) for _ in range(2)))


def _sequence_grid() -> Iterator[Any]:
    """Every pair of laws of two binary tokens, positive, in sixths."""
    laws = [law.reshape(2, 2) for law in pmfs(4, 6) if all(entry != 0 for entry in law)]
    for q, hat in itertools.product(laws, repeat=2):
        yield _sequences(q, hat)


def _next(q: Array, x: tuple[int, ...], t: int) -> Any:
    """Return q(x^{t+1} | x^{<= t})."""
    return over(marginal(q, dict(enumerate(x[: t + 1]))), marginal(q, dict(enumerate(x[:t]))))


def _telescoped(c: Any, x: tuple[int, ...], inside: Any) -> Any:
    """Return sum_t prod_{s<t} q_s inside(q_t - q^_t) prod_{s>t} q^_s along x."""
    first, second = ([_next(law, x, t) for t in range(c.n)] for law in (c.q, c.hat))
    return add(times(first[:t]) * inside(first[t] - second[t]) * times(second[t + 1 :]) for t in range(c.n))


def _prefix_weighted(c: Any) -> Array:
    return sequence_tv_bound(prefix_laws(c.q)[0], prefix_laws(c.q)[1], prefix_laws(c.hat)[1])


def _log_ratio(c: Any, x: tuple[int, ...]) -> Any:
    return Log.of(c.q[x]) - Log.of(c.hat[x])


def _log_ratios(c: Any, x: tuple[int, ...]) -> Any:
    return add(Log.of(_next(c.q, x, t)) - Log.of(_next(c.hat, x, t)) for t in range(c.n))


SEQUENCE_TV = Derivation(
    "C14",
    "total variation of sequence laws",
    r"$\mathrm{TV}(q, \hat q) \le \sum_t E_q\, \mathrm{TV}\big(q(\cdot \mid x^{\le t}), \hat q(\cdot "
    r"\mid x^{\le t})\big)$. TV "
    r"being symmetric, the two names may be exchanged: the bound holds under $E_{\hat q}$ too. Write $q_t$ for "
    r"$q(x^{t+1} \mid x^{\le t})$.",
    (
        Step(
            r"\mathrm{TV}(q, \hat q)",
            "the distance of the sequence laws",
            lambda c: total_variation(c.q.reshape(-1), c.hat.reshape(-1)),
            "stability.total_variation",
        ),
        Step(
            r"\tfrac12 \sum_x \Big| \prod_t q_t - \prod_t \hat q_t \Big|",
            "definition; chain rule of probability",
            lambda c: (
                add(
                    abs(times(_next(c.q, x, t) for t in range(c.n)) - times(_next(c.hat, x, t) for t in range(c.n)))
                    for x in c.xs
                )
                / 2
            ),
        ),
        Step(
            r"\tfrac12 \sum_x \Big| \sum_t \Big(\prod_{s<t} q_s\Big) (q_t - \hat q_t) "
            r"\Big(\prod_{s>t} \hat q_s\Big) \Big|",
            "telescoping",
            lambda c: add(abs(_telescoped(c, x, lambda gap: gap)) for x in c.xs) / 2,
        ),
        Step(
            r"\tfrac12 \sum_x \sum_t \Big(\prod_{s<t} q_s\Big) |q_t - \hat q_t| \Big(\prod_{s>t} \hat q_s\Big)",
            "triangle inequality",
            lambda c: add(_telescoped(c, x, abs) for x in c.xs) / 2,
            relation=AT_MOST,
        ),
        Step(
            r"\sum_t E_q\, \mathrm{TV}\big(q(\cdot \mid x^{\le t}), \hat q(\cdot \mid x^{\le t})\big)",
            r"exchange of sums; the factors $s > t$ sum to one over later tokens",
            _prefix_weighted,
            "stability.sequence_tv_bound",
        ),
    ),
    grid=Grid(
        r"two binary tokens, every pair of positive laws in sixths",
        _sequence_grid,
        attained=(
            (
                "one law of the first token, two of the second",
                _sequences(exact([["1/4", "1/4"], ["1/4", "1/4"]]), exact([["3/8", "1/8"], ["1/8", "3/8"]])),
            ),
        ),
    ),
)

SEQUENCE_KL = Derivation(
    "C14",
    "relative entropy of sequence laws",
    r"$\mathrm{KL}(q \| \hat q) = \sum_t E_q\, \mathrm{KL}\big(q(\cdot \mid x^{\le t}) \,\|\, \hat "
    r"q(\cdot \mid x^{\le t})\big)$.",
    (
        Step(
            r"\mathrm{KL}(q \| \hat q)",
            "the divergence of the sequence laws",
            lambda c: _one(kl_divergence(c.q.reshape(-1), c.hat.reshape(-1))),
            "stability.kl_divergence",
        ),
        Step(
            r"\sum_x q(x) \log \frac{q(x)}{\hat q(x)}",
            "definition",
            lambda c: _one(add(c.q[x] * _log_ratio(c, x) for x in c.xs)),
        ),
        Step(
            r"\sum_x q(x) \sum_t \log \frac{q(x^{t+1} \mid x^{\le t})}{\hat q(x^{t+1} \mid x^{\le t})}",
            "chain rule of probability",
            lambda c: _one(add(c.q[x] * _log_ratios(c, x) for x in c.xs)),
        ),
        Step(
            r"\sum_t E_q\, \mathrm{KL}\big(q(\cdot \mid x^{\le t}) \,\|\, \hat q(\cdot \mid x^{\le t})\big)",
            r"exchange of sums; later tokens sum out of $q(x)$",
            lambda c: _one(sequence_kl(*prefix_laws(c.q), prefix_laws(c.hat)[1])),
            "stability.sequence_kl",
        ),
    ),
    sizes=((1, 2), (1, 3), (2, 2), (2, 3), (3, 2)),
    instance=_drawn,
)

DERIVATIONS = (MIXTURE_TV, MIXTURE_KL, SEQUENCE_TV, SEQUENCE_KL)
