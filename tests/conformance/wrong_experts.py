"""Wrong routers, mixtures, and systems of other experts."""

from dataclasses import replace

import flint
import numpy as np
from catalogue import TENTH, constant, rebuilt, rebuilt_prior, wrong
from right import PRIOR

from ddfm_theory.arrays import full, total
from ddfm_theory.decentralization import bayes_filter_update, mix, top_k_gate

# The router -----------------------------------------------------------------------------------------------------------


@wrong("prior for posterior in the router", "prefix", "check_filter", "the filter's step is Bayes' rule")
def _(s):
    return replace(s, router=lambda t, rows: constant(PRIOR, rows))


@wrong("a filter that forgets half of what it knew", "prefix", "check_filter", "the filter's step is Bayes' rule")
def _(s):
    return rebuilt(update=lambda r, likely: bayes_filter_update((r + PRIOR[:, None]) * flint.fmpq(1, 2), likely))


@wrong("last-token filter with a fixed prior", "prefix", "check_router_posterior", "the router is the posterior")
def _(s):
    return rebuilt(update=lambda r, likely: bayes_filter_update(constant(PRIOR, r[0]), likely))


@wrong("an even prior", "prefix", "check_filter", "the filter starts from the prior")
def _(s):
    return replace(s, router=rebuilt_prior(full((3,), flint.fmpq(1, 3), PRIOR)).router)


@wrong("the router left unnormalized", "prefix", "check_router", "the router sums to one")
def _(s):
    return rebuilt(update=lambda r, likely: r * likely)


@wrong("renormalized twice: over experts, then over the batch", "prefix", "check_router", "the router sums to one")
def _(s):
    return replace(s, router=lambda t, rows: s.router(t, rows) / total(s.router(t, rows), 1)[:, None])


@wrong("renormalized twice: squared between", "prefix", "check_filter", "the filter's step is Bayes' rule")
def _(s):
    return rebuilt(update=lambda r, likely: bayes_filter_update(r * likely, r * likely))


@wrong("a floor under the router's weights", "prefix", "check_router_posterior", "the router is the posterior")
def _(s):
    return replace(s, router=lambda t, rows: (s.router(t, rows) + TENTH) / (1 + 3 * TENTH))


@wrong("a stale router, one token behind", "prefix", "check_router_posterior", "the router is the posterior")
def _(s):
    return replace(s, router=lambda t, rows: s.router(max(t - 1, 0), rows[:, : max(t - 1, 0)]))


@wrong("the router of the wrong prefix: the first token dropped", "prefix", "check_router_posterior",
       "the router is the posterior")  # fmt: skip
def _(s):
    return replace(s, router=lambda t, rows: s.router(max(t - 1, 0), rows[:, 1:]))


@wrong("the router of another row of the batch", "prefix", "check_batch", "router: in a batch as alone")
def _(s):
    return replace(s, router=lambda t, rows: np.roll(s.router(t, rows), 1, axis=1))


@wrong("expert order shuffled between filter and experts", "prefix", "check_filter", "the filter's step is Bayes' rule")
def _(s):
    return rebuilt(update=lambda r, likely: bayes_filter_update(r, likely[::-1]))


@wrong("a hard router where the prefix does not determine the expert", "prefix", "check_router_posterior",
       "the router is the posterior")  # fmt: skip
def _(s):
    return replace(s, router=lambda t, rows: top_k_gate(s.router(t, rows), 1))


@wrong("each token's likelihood counted twice", "prefix", "check_filter", "the filter's step is Bayes' rule")
def _(s):
    return rebuilt(update=lambda r, likely: bayes_filter_update(r, likely * likely))


@wrong("a router with negative weights", "prefix", "check_router", "the router is nonnegative")
def _(s):
    return replace(
        s, router=lambda t, rows: 2 * s.router(t, rows) - constant(full((3,), flint.fmpq(1, 3), PRIOR), rows)
    )


@wrong("a filter likelihood of the position before", "prefix", "check_router_posterior", "the router is the posterior")
def _(s):
    def router(t, rows):
        r = constant(PRIOR, rows)
        for i in range(1, rows.shape[1]):
            r = bayes_filter_update(r, s.experts(i - 1, rows[:, : i - 1])[:, np.arange(len(rows)), rows[:, i]])
        return r

    return replace(s, router=router)


# The mixture ----------------------------------------------------------------------------------------------------------


@wrong("static weights in the mixture", "prefix", "check_mixture", "the mixture is the router's of the experts")
def _(s):
    return replace(s, mixture=lambda t, rows: mix(constant(PRIOR, rows), s.experts(t, rows)))


@wrong("prior for posterior: static weights beside the central model", "prefix", "check_central",
       "the mixture is the central model's")  # fmt: skip
def _(s):
    return replace(s, mixture=None, router=lambda t, rows: constant(PRIOR, rows))


@wrong("expert order shuffled between router and laws", "prefix", "check_mixture",
       "the mixture is the router's of the experts")  # fmt: skip
def _(s):
    return rebuilt(combine=lambda r, laws: mix(r, laws[::-1]))


@wrong("the plain mean of the experts", "prefix", "check_mixture", "the mixture is the router's of the experts")
def _(s):
    return rebuilt(combine=lambda r, laws: total(laws, 0) / 3)


@wrong("laws added, not averaged", "prefix", "check_laws", "mixture: laws sum to one")
def _(s):
    return rebuilt(combine=lambda r, laws: total(laws, 0))


@wrong("logits averaged", "prefix_float", "check_mixture", "the mixture is the router's of the experts")
def _(s):
    def combine(r, laws):
        powered = np.exp((r[..., None] * np.log(laws)).sum(0))
        return powered / powered.sum(-1, keepdims=True)

    return replace(s, mixture=lambda t, rows: combine(s.router(t, rows), s.experts(t, rows)))


@wrong("parameters averaged: a softmax of evenly averaged logits", "prefix_float", "check_central",
       "the mixture is the central model's")  # fmt: skip
def _(s):
    def mixture(t, rows):
        powered = np.exp(np.log(s.experts(t, rows)).mean(0))
        return powered / powered.sum(-1, keepdims=True)

    return replace(s, mixture=mixture)


@wrong("top-1 where experts overlap", "prefix", "check_central", "the mixture is the target's conditional")
def _(s):
    return replace(s, central=None, mixture=lambda t, rows: mix(top_k_gate(s.router(t, rows), 1), s.experts(t, rows)))


@wrong("guidance without normalization of signs", "prefix", "check_laws", "mixture: laws are nonnegative")
def _(s):
    return replace(s, mixture=lambda t, rows: 9 * s.experts(t, rows)[0] - 8 * s.experts(t, rows)[1])


@wrong("mask mass leaked from the experts' laws", "prefix", "check_laws", "expert 0: laws sum to one")
def _(s):
    return replace(s, experts=lambda t, rows: s.experts(t, rows) * (1 - TENTH))


@wrong("a central model trained on experts' data without their weights", "prefix", "check_central",
       "the mixture is the central model's")  # fmt: skip
def _(s):
    return replace(s, central=rebuilt_prior(full((3,), flint.fmpq(1, 3), PRIOR)).central)


@wrong("a target read from right to left", "prefix", "check_central", "the mixture is the target's conditional")
def _(s):
    return replace(s, target=np.transpose(s.target))


@wrong("off by one: the context lacks its last token", "prefix", "check_central",
       "the mixture is the target's conditional")  # fmt: skip
def _(s):
    def late(t, rows):
        return s.mixture(t, np.concatenate([rows[:, :1], rows[:, :-1]], axis=1)) if t else s.mixture(t, rows)

    return replace(s, mixture=late, central=None)


@wrong("the mixture renormalized by what a row of the batch holds", "prefix", "check_order",
       "mixture: in any order of rows")  # fmt: skip
def _(s):
    return replace(s, mixture=lambda t, rows: (s.mixture(t, rows) + s.mixture(t, rows)[:1]) / 2)


# Systems of other experts ---------------------------------------------------------------------------------------------


@wrong("an expert of its own beside the given ones", "prefix", "check_one_expert", "expert 0 alone is the mixture")
def _(s):
    even = flint.fmpq(1, 2)

    def select(chosen, weights):
        few = s.select(chosen, weights)
        return replace(few, mixture=lambda t, rows: few.mixture(t, rows) * (1 - TENTH) + TENTH * even)

    return replace(s, select=select)


@wrong("weights that stay while experts move", "prefix", "check_permutation", "the router is permuted")
def _(s):
    return replace(s, select=lambda chosen, weights: s.select(chosen, PRIOR if len(chosen) == 3 else weights))


@wrong("the first expert favoured by its place", "prefix", "check_permutation", "permuted experts: the mixture")
def _(s):
    def combine(r, laws):
        return mix(r, laws) * (1 - TENTH) + laws[0] * TENTH

    return rebuilt(combine=combine)


@wrong("top-2 gating, which duplicates change", "prefix", "check_duplicates", "duplicated experts: the mixture")
def _(s):
    return rebuilt(combine=lambda r, laws: mix(top_k_gate(r, min(2, len(r))), laws))


@wrong("weights by the number of experts", "prefix", "check_duplicates", "duplicated experts: the mixture")
def _(s):
    def combine(r, laws):
        even = full((len(r), r.shape[1]), flint.fmpq(1, len(r)), r)
        share = flint.fmpq(1, len(r))
        return mix(r, laws) * (1 - share) + mix(even, laws) * share

    return rebuilt(combine=combine)


@wrong("a lone expert that shares its weight with nobody", "prefix", "check_one_expert",
       "expert 0 alone: the router is one")  # fmt: skip
def _(s):
    def select(chosen, weights):
        few = s.select(chosen, weights)
        return replace(few, router=lambda t, rows: few.router(t, rows) * (1 - TENTH))

    return replace(s, select=select)
