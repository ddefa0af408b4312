r"""What is measured where the law is known: distances, the terms of C12, and the bound of C14.

C12, of learned experts under the Bayes router, in nats a sequence: loss = experts + prior - router, where

.. math:: E_q[-\log \hat q] = \sum_k \omega_k E_{q_k}[-\log \hat q_k] + CE(\omega, \hat\omega) - E[-\log \hat r_K(X)],

and at the truth H(X) = H(X|K) + H(K) - H(K|X). C14, of any router on prefixes: with r the true one,

.. math:: TV(q, \hat q) \le \sum_t E_q\big[TV(r, \hat r)\big] + \sum_k \omega_k \sum_t E_{q_k} TV(q_k, \hat q_k),

and KL likewise; under the Bayes router also :math:`TV(\omega, \hat\omega) + \sum_k \omega_k TV(q_k, \hat q_k)`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ddfm_theory.arrays import Array
from ddfm_theory.decentralization import Decentralization, router_posterior
from ddfm_theory.objectives import cross_entropy, decomposition
from ddfm_theory.stability import kl_divergence, mixture_tv_bound, sequence_kl, sequence_tv_bound, total_variation
from toy_models.routing import Experts, Steps, conditionals, prefixes

Terms = dict[str, float | None]


def finite(measure: Callable[[], object]) -> float | None:
    """Return a divergence, or None where it is infinite: where the second law lacks what the first charges."""
    try:
        return float(measure())  # type: ignore[arg-type]
    except ValueError as error:
        if "infinite" not in str(error):
            raise
        return None


def distances(truth: np.ndarray, learned: np.ndarray) -> Terms:
    """Return exact total variation and KL(truth | learned), None where infinite."""
    p, q = truth.ravel(), learned.ravel()
    return {"tv": float(total_variation(p, q)), "kl": finite(lambda: kl_divergence(p, q))}


def true_terms(target: Decentralization) -> Terms:
    """Return C12 at the truth, in nats a sequence: H(X), H(X|K), I(X;K)."""
    terms = decomposition(target)
    return {"H(X)": float(terms.total.sum()), "H(X|K)": float(terms.experts.sum()), "I(X;K)": float(terms.router.sum())}


def objective_terms(truth: Experts, learned: Experts) -> Terms:
    """Return C12 for learned experts under the Bayes router: loss, experts, prior, router; None where infinite."""
    posterior = np.asarray(router_posterior(learned.weights, learned.laws))
    return {"c12_loss": finite(lambda: cross_entropy(truth.law, learned.law)),
            "c12_experts": finite(lambda: cross_entropy(truth.joint, learned.laws)),
            "c12_prior": finite(lambda: cross_entropy(truth.weights, learned.weights)),
            "c12_router": finite(lambda: cross_entropy(truth.joint, posterior))}  # fmt: skip


def expert_terms(truth: Experts, learned: Experts) -> Terms:
    """Return what C14 says of the experts, whatever the router: the TV term along prefixes, and the KL term."""
    known = [(prefixes(law)[:-1], conditionals(law), conditionals(hat))
             for law, hat in zip(truth.laws, learned.laws, strict=True)]  # fmt: skip

    def term(measure: Callable[[Steps, Steps, Steps], Array]) -> float:
        return sum(float(w) * float(measure(*steps)) for w, steps in zip(truth.weights, known, strict=True))

    return {"c14_experts": term(sequence_tv_bound), "c14_kl_experts": finite(lambda: term(sequence_kl))}


def router_terms(truth: Experts, router: Steps) -> Terms:
    """Return what C14 says of a router: E_q TV(r, r^) and E_q KL(r | r^), summed over the prefixes' lengths."""
    steps = list(zip(prefixes(truth.law)[:-1], truth.filter, router, strict=True))

    def term(measure: Callable[[Array, Array], Array]) -> float:
        reached = [(w[w > 0], r[:, w > 0].T, used[:, w > 0].T) for w, r, used in steps]
        return sum(float((w * measure(r, used)).sum()) for w, r, used in reached)

    return {"c14_router": term(total_variation), "c14_kl_router": finite(lambda: term(kl_divergence))}


def whole_bound(truth: Experts, learned: Experts) -> float:
    """Return C14 for whole sequences, TV(omega, omega^) + sum_k omega_k TV(q_k, q^_k): under the Bayes router."""
    flat = (len(truth.weights), -1)
    bound = mixture_tv_bound(truth.weights, learned.weights, truth.laws.reshape(flat), learned.laws.reshape(flat))
    return float(bound)
