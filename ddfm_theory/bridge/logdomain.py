r"""The router's formulas in the log domain, where a large vocabulary and a trajectory of 1,000 tokens do not underflow.

Each function is the logarithm of one that lives elsewhere, and is tested to equal it in float64:

=====================  =========================================================
here                   linear domain
=====================  =========================================================
``log_posterior``      ``decentralization.router_posterior``
``log_mix``            ``decentralization.mix``
``log_gate``           ``decentralization.top_k_gate`` (called)
``log_sharpen``        ``sharpening.temperature``
``log_nucleus``        ``sharpening.nucleus``, one law a row
=====================  =========================================================

The logarithm of zero is minus infinity here, never NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ddfm_theory.decentralization import top_k_gate

Tensor = Any  # torch.Tensor
CACHED = 3 << 16  # logits that a processor keeps close, and their exponentials, while it adds these
MODERATE = 2.0**60  # far from float32's largest number, its inverse times any vocabulary far from the smallest


def wide(logits: Tensor) -> Tensor:
    """Return logits in float32 at least."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def log_law(logits: Tensor) -> Tensor:
    """Return the log-law of logits over the last axis, in float32 at least: (..., V) to (..., V)."""
    return torch.log_softmax(wide(logits), dim=-1)


def log_likelihoods(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-likelihoods of tokens (B, T) under logits (B, T, V), with no temporary of that size on a CPU."""
    rows = logits.flatten(0, 1)
    return (_of(rows, tokens.flatten()) - log_sum(rows)).unflatten(0, tuple(tokens.shape))


def row_likelihoods(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-likelihoods of tokens (n,) under logits (n, V), in one expression that a compiler can fuse."""
    return _of(logits, tokens) - torch.logsumexp(wide(logits), dim=-1)


def _of(logits: Tensor, tokens: Tensor) -> Tensor:
    return wide(logits.gather(-1, tokens[:, None])[:, 0])


def log_sum(logits: Tensor) -> Tensor:
    r"""Return :math:`\log \sum_x e^{v_x}` of each row, (n, V) to (n,), on a CPU without a shift that is not needed.

    There a shift by the maximum costs more than the exponentials. Each of these is exact to a unit in its last place
    whatever its size, and where the sum is of moderate size what over- or underflowed is no part of it. Other rows,
    and other devices, where asking would cost more, are shifted.
    """
    if logits.device.type != "cpu":
        return torch.logsumexp(wide(logits), dim=-1)
    parts = logits.split(max(1, CACHED // logits.shape[-1]))
    sums = torch.cat([torch.exp(wide(part)).sum(-1) for part in parts])
    shifted = ~((sums > 1 / MODERATE) & (sums < MODERATE))
    out = sums.log_()
    if bool(shifted.any()):
        out[shifted] = torch.logsumexp(wide(logits[shifted]), dim=-1)
    return out


def log_normalize(log_weights: Tensor, dim: int = 0) -> Tensor:
    """Return log weights that sum to one along an axis; minus infinity where all of them are (undefined)."""
    norm = torch.logsumexp(log_weights, dim=dim, keepdim=True)
    return torch.where(torch.isneginf(norm), log_weights, log_weights - torch.where(torch.isneginf(norm), 0.0, norm))


def log_posterior(log_weights: Tensor, log_likelihoods: Tensor) -> Tensor:
    r"""Return :math:`\log r_k = \log \omega_k + \log L_k - \log \sum_j \omega_j L_j`.

    Args:
        log_weights: log omega, shape (K,) or (K, ...).
        log_likelihoods: log L, shape (K, ...).

    Returns:
        Shape (K, ...); minus infinity where every omega_k L_k is zero, where it is undefined.

    Raises:
        ValueError: the leading axes differ.
    """
    if log_weights.shape[0] != log_likelihoods.shape[0]:
        raise ValueError(f"log_weights must have one row an expert, {log_likelihoods.shape[0]}, "
                         f"had {log_weights.shape[0]}")  # fmt: skip
    shaped = log_weights[(...,) + (None,) * (log_likelihoods.ndim - log_weights.ndim)]
    return log_normalize(shaped + log_likelihoods)


def log_mix(log_router: Tensor, log_laws: Sequence[Tensor], rows: Sequence[Tensor] | None = None) -> Tensor:
    r"""Return :math:`\log \sum_k r_k\, q_k(x)`, expert by expert, with no K x B x V temporary.

    Args:
        log_router: log r, shape (K, B).
        log_laws: log q_k, K arrays of shape (B, V), or (rows of k, V) where an expert serves some rows only.
        rows: the batch rows that each expert serves; None is all.

    Returns:
        Shape (B, V).

    Raises:
        ValueError: not one law an expert.
    """
    if len(log_laws) != log_router.shape[0]:
        raise ValueError(f"log_laws must hold one law an expert, {log_router.shape[0]}, held {len(log_laws)}")
    first, count = log_laws[0], log_router.shape[1]
    out = torch.full((count, first.shape[-1]), -torch.inf, dtype=first.dtype, device=first.device)
    for k, law in enumerate(log_laws):
        term = law.to(out.device) + _weights(log_router, k, rows, out)[:, None]
        if rows is None or rows[k].tolist() == list(range(count)):
            out = torch.logaddexp(out, term)
        else:
            at = rows[k].to(out.device)
            out[at] = torch.logaddexp(out[at], term)
    return out


def _weights(log_router: Tensor, k: int, rows: Sequence[Tensor] | None, like: Tensor) -> Tensor:
    chosen = log_router[k] if rows is None else log_router[k, rows[k].to(log_router.device)]
    return chosen.to(like.dtype).to(like.device)


def log_gate(log_router: Tensor, k: int | None) -> Tensor:
    """Return the router behind a top-k gate, renormalized; None is no gate: (K, B) to (K, B)."""
    if k is None:
        return log_router
    device = log_router.device
    return torch.log(top_k_gate(log_router.exp().cpu(), k)).to(device)


def log_sharpen(law: Tensor, temperature: float) -> Tensor:
    r"""Return :math:`\log (p^{1/T} / \sum p^{1/T})` over the last axis.

    Raises:
        ValueError: a temperature that is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, was {temperature}: greedy decoding is greedy=True")
    return law if temperature == 1 else torch.log_softmax(law / temperature, dim=-1)


def log_nucleus(law: Tensor, mass: float) -> Tensor:
    """Return each law kept to its smallest set of largest tokens of at least ``mass``, renormalized: (B, V) to (B, V).

    The lowest index comes first on ties.

    Raises:
        ValueError: a mass outside (0, 1].
    """
    if not 0 < mass <= 1:
        raise ValueError(f"mass of a nucleus must be in (0, 1], was {mass}")
    if mass == 1:
        return law
    ordered, order = torch.sort(law, dim=-1, descending=True, stable=True)
    before = torch.cumsum(ordered.exp(), dim=-1) - ordered.exp()
    held = torch.where(before < mass, ordered, -torch.inf)
    return log_normalize(torch.empty_like(law).scatter_(-1, order, held), dim=-1)


def most_likely(law: Tensor) -> np.ndarray:
    """Return the most likely token of each law, the lowest index on ties: (B, V) to (B,), found where the law lies."""
    return np.asarray(law.detach().argmax(dim=-1).cpu())
