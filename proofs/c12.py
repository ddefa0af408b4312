r"""C12: the decentralized objective. Logarithms of symbols are exact combinations of logarithms of their factors."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array, Log, log, stack, total
from ddfm_theory.autoregression import chain_law, next_token_law_at, prefix_states
from ddfm_theory.couplings import states_of
from ddfm_theory.decentralization import Decentralization, mix, router_posterior
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.objectives import cross_entropy, entropy, mutual_information
from ddfm_theory.schedulers import Autoregressive
from proofs.derivation import Derivation, Step
from proofs.sums import add, case, marginal, masked, tabulate, tuples


def _instance(draw: Draw, length: int, vocabulary: int, count: int) -> Any:
    couplings = [masked(draw, length, vocabulary, positive=True) for _ in range(count)]
    experts = Decentralization(draw.pmf((count,), "w", positive=True), couplings)
    laws = stack([coupling.target for coupling in couplings])
    learned = stack([draw.pmf((count,), "r", positive=True) for _ in tuples(vocabulary, length)], axis=1)
    return case(
        experts=experts,
        w=experts.weights,
        laws=laws,
        q=experts.central.target,
        xs=tuples(vocabulary, length),
        learned=learned,
        k=range(count),
        v=vocabulary,
        n=length,
    )


def _prefixed(draw: Draw, length: int, vocabulary: int, count: int, t: int) -> Any:
    c = _instance(draw, length, vocabulary, count)
    c.t = t
    return c


def _average(c: Any, term: Any) -> Array:
    """Return sum_k omega_k sum_x q_k(x) term(k, x)."""
    return stack([add(c.w[k] * c.laws[(k, *x)] * term(k, x) for k in c.k for x in c.xs)])


def _joint(c: Any) -> Array:
    return c.laws * c.w[(..., *(None,) * c.n)]


def _posterior(c: Any) -> Array:
    return router_posterior(c.w, c.laws)


def _each(c: Any, entry: Any) -> Array:
    return tabulate(c.laws.shape, lambda k, *x: entry(k, x))


def _split(c: Any) -> Array:
    experts = stack([entropy(law) * w for law, w in zip(c.laws, c.w, strict=True)])
    return stack([total(experts) + mutual_information(_joint(c))])


def _divergence(c: Any) -> Any:
    """Return sum_x q(x) KL(r(. | x) || r^(. | x)) from its definition."""
    r = _posterior(c)
    return add(
        c.q[x] * r[(k, *x)] * (Log.of(r[(k, *x)]) - Log.of(c.learned[k, b])) for b, x in enumerate(c.xs) for k in c.k
    )


def _router_at(c: Any, t: int) -> Array:
    return c.experts.router_at(Autoregressive(), t, prefix_states(states_of(c.v, c.n), t, c.v))


def _next(c: Any) -> Array:
    """Return q_k(x^{t+1} | x^{<= t}) per expert and sequence."""
    return stack([chain_law(coupling, states_of(c.v, c.n))[:, c.t] for coupling in c.experts.couplings])


def _prefix_mass(c: Any, q: Array, x: tuple[int, ...], t: int) -> Any:
    return marginal(q, dict(enumerate(x[:t])))


def _per_expert(c: Any, entry: Any) -> Array:
    return tabulate((len(c.k), len(c.xs)), lambda k, b: entry(k, c.xs[b]))


def _central_rate(c: Any) -> Array:
    rate = -log(chain_law(c.experts.central, states_of(c.v, c.n))[:, c.t])
    return stack([rate for _ in c.k])


def _shift(c: Any, k: int, x: tuple[int, ...], t: int) -> Any:
    return Log.of(_prefix_mass(c, c.laws[k], x, t)) - Log.of(_prefix_mass(c, c.q, x, t))


def _mixed_laws(c: Any) -> Array:
    """Return sum_k r_k(prefix) q_k(. | prefix) per sequence."""
    states = prefix_states(states_of(c.v, c.n), c.t, c.v)
    laws = stack([next_token_law_at(coupling, states, c.t) for coupling in c.experts.couplings])
    return mix(_router_at(c, c.t), laws)


def _next_of(c: Any, q: Array, x: tuple[int, ...], token: int) -> Any:
    return _prefix_mass(c, q, (*x[: c.t], token), c.t + 1)


SIZES = ((1, 2, 2), (1, 3, 2), (1, 2, 3), (2, 2, 2))
PREFIXES = ((1, 2, 2, 0), (2, 2, 2, 0), (2, 2, 2, 1), (2, 2, 3, 1))

WHOLE = Derivation(
    "C12",
    "entropy is what the experts pay and what the expert tells",
    r"$H(X) = \sum_k \omega_k H(X \mid k) + I(X;K)$, for $q = \sum_k \omega_k q_k$.",
    (
        Step(r"H(X)", "the entropy of the data", lambda c: stack([entropy(c.q)]), "objectives.entropy"),
        Step(
            r"-\sum_k \omega_k \sum_x q_k(x) \log q(x)",
            r"definition; $q = \sum_k \omega_k q_k$; exchange of finite sums",
            lambda c: _average(c, lambda k, x: -Log.of(c.q[x])),
        ),
        Step(
            r"\sum_k \omega_k \sum_x q_k(x) \Big( -\log q_k(x) + \log \frac{\omega_k\, "
            r"q_k(x)}{\omega_k\, q(x)} \Big)",
            r"add and subtract $\log q_k(x)$; expand by $\omega_k$",
            lambda c: _average(
                c, lambda k, x: Log.of(c.w[k] * c.laws[(k, *x)]) - Log.of(c.w[k] * c.q[x]) - Log.of(c.laws[(k, *x)])
            ),
        ),
        Step(
            r"\sum_k \omega_k H(X \mid k) + I(X;K)",
            r"definitions; the joint law of $(k,x)$ is $\omega_k q_k(x)$",
            _split,
            "objectives.mutual_information",
        ),
    ),
    sizes=SIZES,
    names="N, V, K",
    instance=_instance,
    corners=2,
)

SEQUENCE = Derivation(
    "C12",
    "per sequence",
    r"$-\log q(x) = -\log q_k(x) + \log(r_k(x)/\omega_k)$ for each $k$ with $r_k(x) > 0$.",
    (
        Step(r"-\log q(x)", "the central loss of a sequence", lambda c: _each(c, lambda k, x: -Log.of(c.q[x]))),
        Step(
            r"-\log q_k(x) + \log \frac{q_k(x)}{q(x)}",
            r"add and subtract $\log q_k(x)$",
            lambda c: _each(c, lambda k, x: -Log.of(c.laws[(k, *x)]) + Log.of(c.laws[(k, *x)] / c.q[x])),
        ),
        Step(
            r"-\log q_k(x) + \log \frac{r_k(x)}{\omega_k}",
            r"$r_k(x) = \omega_k q_k(x) / q(x)$",
            lambda c: log(_posterior(c)) - log(c.laws) - log(_joint(c) / c.laws),
            "decentralization.router_posterior",
        ),
    ),
    sizes=SIZES,
    names="N, V, K",
    instance=_instance,
    corners=2,
)

PREFIX = Derivation(
    "C12",
    "per token, at a prefix",
    r"$-\log q(x^{t+1} \mid x^{\le t}) = -\log q_k(x^{t+1} \mid x^{\le t}) + \log\big(r_k(x^{\le "
    r"t+1}) / r_k(x^{\le t})\big)$: "
    r"at a prefix the weights are $r_k(x^{\le t})$, not $\omega_k$.",
    (
        Step(
            r"-\log q(x^{t+1} \mid x^{\le t})", "the central loss of a token", _central_rate, "autoregression.chain_law"
        ),
        Step(
            r"-\log q_k(x^{t+1} \mid x^{\le t}) + \log \frac{q_k(x^{\le t+1})}{q(x^{\le t+1})} - \log "
            r"\frac{q_k(x^{\le t})}{q(x^{\le t})}",
            r"add and subtract $\log q_k(x^{t+1} \mid x^{\le t})$; chain rule of probability",
            lambda c: _per_expert(c, lambda k, x: _shift(c, k, x, c.t + 1) - _shift(c, k, x, c.t)) - log(_next(c)),
        ),
        Step(
            r"-\log q_k(x^{t+1} \mid x^{\le t}) + \log \frac{r_k(x^{\le t+1})}{r_k(x^{\le t})}",
            r"$r_k(x^{\le s}) = \omega_k q_k(x^{\le s}) / q(x^{\le s})$ (C10); $\omega_k$ cancels",
            lambda c: log(_router_at(c, c.t + 1)) - log(_router_at(c, c.t)) - log(_next(c)),
            "decentralization.Decentralization.router_at",
        ),
    ),
    sizes=PREFIXES,
    names="N, V, K, t",
    instance=_prefixed,
    corners=2,
)

ATTAINED = Derivation(
    "C12",
    "experts at their optima with the posterior router attain the central optimum",
    r"$\sum_k r_k(x^{\le t})\, q_k(x^{t+1} \mid x^{\le t}) = q(x^{t+1} \mid x^{\le t})$, the "
    r"minimizer of the central loss (C07).",
    (
        Step(
            r"\sum_k r_k(x^{\le t})\, q_k(x^{t+1} \mid x^{\le t})",
            "the mixture of the experts' optima by the posterior at the prefix",
            _mixed_laws,
            "decentralization.mix",
        ),
        Step(
            r"\sum_k \frac{\omega_k\, q_k(x^{\le t})}{q(x^{\le t})} \frac{q_k(x^{\le t+1})}{q_k(x^{\le t})}",
            "Bayes; definition of the conditional probability",
            lambda c: tabulate(
                (len(c.xs), c.v),
                lambda b, y: add(
                    c.w[k]
                    * _prefix_mass(c, c.laws[k], c.xs[b], c.t)
                    / _prefix_mass(c, c.q, c.xs[b], c.t)
                    * (_next_of(c, c.laws[k], c.xs[b], y) / _prefix_mass(c, c.laws[k], c.xs[b], c.t))
                    for k in c.k
                ),
            ),
        ),
        Step(
            r"\frac{q(x^{\le t+1})}{q(x^{\le t})}",
            r"cancel; $\sum_k \omega_k q_k = q$",
            lambda c: tabulate(
                (len(c.xs), c.v), lambda b, y: _next_of(c, c.q, c.xs[b], y) / _prefix_mass(c, c.q, c.xs[b], c.t)
            ),
        ),
        Step(
            r"q(x^{t+1} \mid x^{\le t})",
            "definition of the conditional probability",
            lambda c: next_token_law_at(c.experts.central, prefix_states(states_of(c.v, c.n), c.t, c.v), c.t),
            "autoregression.next_token_law_at",
        ),
    ),
    sizes=PREFIXES,
    names="N, V, K, t",
    instance=_prefixed,
    corners=2,
)

LEARNED = Derivation(
    "C12",
    "what a learned router is worth",
    r"A learned router $\hat r(k \mid x)$ is worth $H(K) - \mathrm{CE}(\hat r) \le I(X;K)$, short by "
    r"its own divergence.",
    (
        Step(
            r"H(K) - \sum_{k,x} \omega_k q_k(x) \big(-\log \hat r(k \mid x)\big)",
            "the router's term, with its cross entropy",
            lambda c: stack([entropy(c.w) - cross_entropy(_joint(c).reshape(len(c.k), -1), c.learned)]),
            "objectives.cross_entropy",
        ),
        Step(
            r"\sum_{k,x} \omega_k q_k(x) \Big( \log \frac{r_k(x)}{\omega_k} - \log \frac{r_k(x)}{\hat "
            r"r(k \mid x)} \Big)",
            r"$H(K) = -\sum_{k,x} \omega_k q_k(x) \log \omega_k$; add and subtract $\log r_k(x)$",
            lambda c: _average(
                c,
                lambda k, x: (
                    Log.of(_posterior(c)[(k, *x)] / c.w[k])
                    - Log.of(_posterior(c)[(k, *x)] / c.learned[k, c.xs.index(x)])
                ),
            ),
        ),
        Step(
            r"I(X;K) - \sum_x q(x)\, \mathrm{KL}\big(r(\cdot \mid x) \,\|\, \hat r(\cdot \mid x)\big)",
            r"$r_k(x)/\omega_k = q_k(x)/q(x)$; $\omega_k q_k(x) = q(x)\, r_k(x)$",
            lambda c: stack([mutual_information(_joint(c)) - _divergence(c)]),
            "objectives.mutual_information",
        ),
    ),
    sizes=SIZES,
    names="N, V, K",
    instance=_instance,
    corners=2,
)

DERIVATIONS = (WHOLE, SEQUENCE, PREFIX, ATTAINED, LEARNED)
