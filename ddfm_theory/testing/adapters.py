"""Adapters: a table of pmfs, functions on prefixes, Torch modules, discrete flows, each made a system under test.

Those of flows stand in ``flows``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ddfm_theory.arrays import Array, asarray, full, instance, pmf, positive_int, sequence, stack, to_float
from ddfm_theory.autoregression import next_token_law_at
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.decentralization import Decentralization, bayes_filter_update, mix, top_k_gate
from ddfm_theory.sharpening import temperature
from ddfm_theory.testing.flows import from_decentralization, from_posteriors
from ddfm_theory.testing.systems import Parts

__all__ = ["complete", "from_decentralization", "from_functions", "from_modules", "from_posteriors", "from_table"]

Law = Callable[[np.ndarray], Array]  # prefixes (B, t) -> next-token laws (B, V)


def from_functions(
    name: str,
    experts: Sequence[Law],
    prior: Any,
    *,
    vocabulary: int,
    length: int,
    router: Callable[[np.ndarray], Array] | None = None,
    update: Callable[[Array, Array], Array] = bayes_filter_update,
    combine: Callable[[Array, Array], Array] | None = None,
    central: Law | None = None,
    **more: Any,
) -> Parts:
    """Make a system of functions on token prefixes; it offers what is given here, and nothing derived in its name.

    Args:
        name: what reports call it.
        experts: K functions, prefixes (B, t) -> next-token laws (B, V).
        prior: omega, shape (K,).
        vocabulary: V.
        length: N.
        router: prefixes (B, t) -> router (K, B); None folds ``update`` along the prefix, from the prior on, so that the
            system can be made of other experts too.
        update: (router (K, B), likelihoods of the token that came (K, B)) -> router (K, B).
        combine: (router (K, B), laws (K, B, V)) -> the law (B, V) that the system uses; None leaves it unsaid.
        central: the centralized model, prefixes -> laws (B, V).
        more: further parts, as :class:`Parts` names them: ``score``, ``sample``, ``gate``, ``dtype``, ...

    Raises:
        ValueError: no experts, what is no function, or a prior that is no pmf over them.
    """
    weights, experts = pmf(prior, "prior"), sequence(experts, "experts")
    if not all(callable(expert) for expert in experts):
        raise ValueError(f"experts must be functions of prefixes, was {next(e for e in experts if not callable(e))!r}")
    if tuple(weights.shape) != (len(experts),):
        raise ValueError(f"prior must have shape ({len(experts)},), one weight an expert, was {tuple(weights.shape)}")
    v, n = positive_int(vocabulary, "vocabulary"), positive_int(length, "length")
    precise = {key: more[key] for key in ("dtype", "roundings") if key in more}

    def laws(t: Any, rows: np.ndarray) -> Array:
        return stack([expert(rows) for expert in experts])

    def route(t: Any, rows: np.ndarray) -> Array:
        return router(rows) if router is not None else fold(update, weights, laws, rows)

    def mixture(t: Any, rows: np.ndarray) -> Array:
        return combine(route(t, rows), laws(t, rows))  # type: ignore[misc]

    def select(chosen: Sequence[int], shares: Array) -> Parts:
        few = [experts[k] for k in chosen]
        return from_functions(name, few, shares, vocabulary=v, length=n, update=update, combine=combine, **precise)

    parts = Parts(
        name, v, n, prior=weights, experts=laws, router=route, mixture=None if combine is None else mixture,
        central=None if central is None else lambda t, rows: central(rows), select=None if router else select,
    )  # fmt: skip
    return replace(parts, **more)


def complete(parts: Parts) -> Parts:
    """Fill in what follows from experts and router, as this package does it: the right theory of those experts.

    Mixture, top-k gate, sharpening, score, sampler, and batches without padding. Of what is filled in, the checks say
    nothing about anybody's own.
    """
    experts: Any = parts.experts
    router: Any = parts.router
    blend: Any = parts.mixture or (lambda t, rows: mix(router(t, rows), experts(t, rows)))
    derived = {
        "mixture": blend,
        "gate": top_k_gate,
        "tempered": lambda t, rows, inverse: temperature(blend(t, rows), inverse),
        "score": lambda rows: along(blend, rows, parts.prior),
        "ragged": lambda prefixes: stack([experts(len(p), _row(p))[:, 0] for p in prefixes], axis=1),
        "sample": lambda count, seed: draw(blend, count, parts.length, seed),
    }
    return replace(parts, **{name: part for name, part in derived.items() if getattr(parts, name) is None})


def _row(prefix: Sequence[int]) -> np.ndarray:
    return np.asarray(prefix, dtype=np.int64).reshape(1, -1)


def fold(update: Callable[[Array, Array], Array], prior: Array, laws: Callable[..., Array], rows: np.ndarray) -> Array:
    """Return the router at prefixes (B, t): the update folded over their tokens from the prior on, shape (K, B)."""
    r = prior[:, None] * full((1, len(rows)), 1, prior)
    for s in range(rows.shape[1]):
        r = update(r, laws(s, rows[:, :s])[:, np.arange(len(rows)), rows[:, s]])
    return r


def along(mixture: Callable[..., Array], rows: np.ndarray, like: Array) -> Array:
    """Return the joint probability of prefixes (B, t) as the product of next-token probabilities."""
    out = full((len(rows),), 1, like)
    for s in range(rows.shape[1]):
        out = out * mixture(s, rows[:, :s])[np.arange(len(rows)), rows[:, s]]
    return out


def draw(mixture: Callable[..., Array], count: int, length: int, seed: int) -> np.ndarray:
    """Draw sequences token by token in float64, by inverting the distribution function of each distinct prefix."""
    rng, rows = np.random.default_rng(seed), np.zeros((count, 0), dtype=np.int64)
    for t in range(length):
        unique, place = np.unique(rows, axis=0, return_inverse=True)
        order, uniform, token = np.argsort(place.reshape(-1), kind="stable"), rng.random(count), np.zeros(count, int)
        ends = np.cumsum(np.bincount(place.reshape(-1), minlength=len(unique)))
        for b, prefix in enumerate(unique):
            law = np.cumsum(to_float(mixture(t, prefix[None]))[0])
            at = order[(ends[b - 1] if b else 0) : ends[b]]
            token[at] = np.searchsorted(law, uniform[at] * law[-1], side="right")
        rows = np.concatenate([rows, token[:, None]], axis=1)
    return rows


def from_table(name: str, tables: Any, prior: Any, **edits: Any) -> Parts:
    """Make a system of a table of pmfs over whole sequences, complete: the right theory, in the table's number system.

    Args:
        name: what reports call it.
        tables: each expert's pmf of whole sequences, shape (K,) + (V,) * N; rationals are checked by ``==``.
        prior: omega, shape (K,).
        edits: as for :func:`from_functions`.

    Raises:
        ValueError: not K pmfs, unequal axes, or a prior that is no pmf over them.
    """
    array = asarray(tables, "tables")
    if array.ndim < 2 or len(set(array.shape[1:])) != 1:
        raise ValueError(f"tables must have shape (K,) + (V,) * N, was {tuple(array.shape)}")
    experts = Decentralization(prior, [MaskedCoupling(array[k]) for k in range(array.shape[0])])
    v, n = int(array.shape[1]), array.ndim - 1
    known = {"central": _conditional(experts.central), "roundings": 3 * (v**n + 1) + 1}
    target = experts.central.target  # type: ignore[union-attr]
    laws = [_conditional(coupling) for coupling in experts.couplings]
    parts = from_functions(
        name, laws, experts.weights, vocabulary=v, length=n, **{"target": target, "combine": mix, **known, **edits}
    )
    return complete(parts)


def _conditional(coupling: Any) -> Law:
    def law(rows: np.ndarray) -> Array:
        count, t = rows.shape
        states = np.full((count, coupling.length), coupling.mask)
        states[:, :t] = rows
        return next_token_law_at(coupling, states, t)

    return law


def from_modules(
    name: str,
    modules: Sequence[Any],
    prior: Any,
    *,
    length: int,
    vocabulary: int,
    start: int,
    pad: int | None = None,
    forward: Callable[[Any, Any, Any], Any] | None = None,
    central: Any = None,
    **more: Any,
) -> Parts:
    """Make a system of Torch modules that give logits, each an expert; the router is the Bayes filter unless given.

    Logits become laws in float64, so what is judged is the modules' own arithmetic in their own precision.

    Args:
        name: what reports call it.
        modules: K modules, tokens (B, T) -> logits (B, T, V) or an object with ``.logits``.
        prior: omega, shape (K,).
        length: N, the number of tokens looked at after ``start``.
        vocabulary: V, the number of logits; tokens are 0..V-1.
        start: the token put before every prefix.
        pad: the token that fills short rows on the right of a ragged batch; None uses ``start``.
        forward: (module, tokens, mask of real tokens) -> logits, where calling the module with tokens is not enough.
        central: the centralized module.
        more: as for :func:`from_functions`.

    Raises:
        ValueError: no modules, or what is none; as for :func:`from_functions`.
    """
    import torch

    modules = [instance(module, torch.nn.Module, "modules") for module in sequence(modules, "modules")]
    call = forward if forward is not None else lambda module, ids, mask: module(ids)

    def law_of(module: Any) -> Law:
        return lambda rows: _last_laws(call, module, [tuple(row) for row in rows], start, start)

    def ragged(prefixes: Sequence[Sequence[int]]) -> Array:
        filler = start if pad is None else pad
        return stack([_last_laws(call, module, prefixes, start, filler) for module in modules])

    more = {"dtype": _precision(modules[0]), "roundings": _fan_in(modules[0], length, vocabulary), **more}
    return from_functions(
        name, [law_of(module) for module in modules], prior, vocabulary=vocabulary, length=length,
        central=None if central is None else law_of(central), **{"ragged": ragged, **more},
    )  # fmt: skip


def _last_laws(
    call: Callable[..., Any], module: Any, prefixes: Sequence[Sequence[int]], start: int, pad: int
) -> np.ndarray:
    """Return the laws after the last real token of each prefix, (B, V), rows filled on the right with ``pad``."""
    import torch

    lengths = torch.tensor([len(prefix) for prefix in prefixes])
    width = int(lengths.max()) + 1
    ids = torch.tensor([[start, *map(int, prefix), *[pad] * (width - 1 - len(prefix))] for prefix in prefixes])
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    mask = (torch.arange(width)[None, :] <= lengths[:, None]).to(device)
    with torch.no_grad():
        answer = call(module, ids.to(device), mask)
    logits = answer.logits if hasattr(answer, "logits") else answer
    last = logits[torch.arange(len(prefixes), device=device), lengths.to(device)]
    return np.asarray(torch.softmax(last.double(), dim=-1).cpu().numpy())


def _precision(module: Any) -> str:
    first = next((p for p in module.parameters()), None)
    return "float64" if first is None else str(first.dtype).removeprefix("torch.")


def _fan_in(module: Any, length: int, vocabulary: int) -> int:
    """Count roundings along a feed-forward path: every weight's fan-in, attention's sums over N + 1, and the softmax.

    How a network amplifies them is not in it: where it does, tell ``roundings``.
    """
    weights = [p for p in module.parameters() if p.ndim > 1]
    return sum(int(p[0].numel()) + 1 + length + 1 for p in weights) + 3 * (vocabulary + 4)
