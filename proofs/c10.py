r"""C10: under the autoregressive schedule the router is a Bayes filter over the tokens."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array, stack
from ddfm_theory.autoregression import chain_law, prefix_states
from ddfm_theory.couplings import states_of
from ddfm_theory.decentralization import Decentralization, bayes_filter
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.schedulers import Autoregressive
from proofs.derivation import Derivation, Step
from proofs.sums import add, case, marginal, masked, over, tabulate, tuples


def _instance(draw: Draw, length: int, vocabulary: int, count: int, t: int) -> Any:
    couplings = [masked(draw, length, vocabulary, positive=True) for _ in range(count)]
    experts = Decentralization(draw.pmf((count,), "w"), couplings)
    return case(experts=experts, t=t, sequences=tuples(vocabulary, length), v=vocabulary, n=length)


def _q(c: Any, k: int, x: tuple[int, ...], t: int) -> Any:
    """Return q_k(x^{<= t}), summed over completions."""
    return marginal(c.experts.couplings[k].target, dict(enumerate(x[:t])))


def _next(c: Any, k: int, x: tuple[int, ...]) -> Any:
    """Return q_k(x^{t+1} | x^{<= t})."""
    return over(_q(c, k, x, c.t + 1), _q(c, k, x, c.t))


def _normalized(c: Any, weight: Any) -> Array:
    """Return weight(k, x) / sum_j weight(j, x), shape (K, sequences)."""
    count = len(c.experts)
    return tabulate(
        (count, len(c.sequences)),
        lambda k, b: over(weight(k, c.sequences[b]), add(weight(j, c.sequences[b]) for j in range(count))),
    )


def _router(c: Any) -> Array:
    states = prefix_states(states_of(c.v, c.n), c.t + 1, c.v)
    return c.experts.router_at(Autoregressive(), c.t + 1, states)


def _prior(c: Any, k: int, x: tuple[int, ...]) -> Any:
    """Return r_k(x^{<= t}) by Bayes."""
    weights = c.experts.weights
    return over(weights[k] * _q(c, k, x, c.t), add(weights[j] * _q(c, j, x, c.t) for j in range(len(weights))))


def _filtered(c: Any) -> Array:
    sequences = states_of(c.v, c.n)
    likelihoods = stack([chain_law(coupling, sequences) for coupling in c.experts.couplings])
    columns = [bayes_filter(c.experts.weights, likelihoods[:, b, :])[:, c.t + 1] for b in range(len(c.sequences))]
    return stack(columns, axis=1)


DERIVATIONS = (
    Derivation(
        "C10",
        "the router is updated by the token's likelihood",
        r"$r_k(z^{\le t+1}) \propto r_k(z^{\le t})\, q_k(z^{t+1} \mid z^{\le t}, c)$ from "
        r"$r_k(\emptyset) = \omega_k(c)$, "
        r"wherever $q(z^{\le t+1} \mid c) > 0$ (everything below is given $c$): beyond the prior only "
        r"the experts' own "
        r"next-token likelihoods are needed.",
        (
            Step(
                r"r_k(z^{\le t+1})",
                "the router at the prefix, under the autoregressive schedule",
                _router,
                "decentralization.Decentralization.router_at",
            ),
            Step(
                r"\frac{\omega_k\, q_k(z^{\le t+1})}{\sum_j \omega_j\, q_j(z^{\le t+1})}",
                r"Bayes: on a prefix state $p_{t+1}^k(z) = q_k(z^{\le t+1})$ (C22 with $\kappa \in \{0, 1\}$)",
                lambda c: _normalized(c, lambda k, x: c.experts.weights[k] * _q(c, k, x, c.t + 1)),
            ),
            Step(
                r"\frac{\omega_k\, q_k(z^{\le t})\, q_k(z^{t+1} \mid z^{\le t})}{\sum_j \omega_j\, q_j(z^{\le t})\, "
                r"q_j(z^{t+1} \mid z^{\le t})}",
                "chain rule of probability",
                lambda c: _normalized(c, lambda k, x: c.experts.weights[k] * _q(c, k, x, c.t) * _next(c, k, x)),
            ),
            Step(
                r"\frac{r_k(z^{\le t})\, q_k(z^{t+1} \mid z^{\le t})}{\sum_j r_j(z^{\le t})\, "
                r"q_j(z^{t+1} \mid z^{\le t})}",
                r"divide above and below by $\sum_l \omega_l q_l(z^{\le t})$; Bayes at the shorter prefix",
                lambda c: _normalized(c, lambda k, x: _prior(c, k, x) * _next(c, k, x)),
            ),
            Step(
                r"\big(\text{Bayes filter after } z^1, \ldots, z^{t+1}\big)_k",
                r"induction on $t$, from $r_k(\emptyset) = \omega_k$",
                _filtered,
                "decentralization.bayes_filter",
            ),
        ),
        sizes=((1, 2, 2, 0), (2, 2, 2, 0), (2, 2, 2, 1), (2, 2, 3, 1), (2, 3, 2, 1), (3, 2, 2, 2)),
        names="N, V, K, t",
        instance=_instance,
    ),
)
