"""Lanes: one expert's prefixes over the batch rows that it serves, and the tokens that it has yet to read.

A lane whose weight is small may sleep: its tokens pile up unread. Taking an unread likelihood as one bounds its weight
above, so the mass that sleeps is known to be no more than it looks; when that is too much the lane wakes, reads all its
tokens in one pass, and its weight is exact again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ddfm_theory.bridge.experts import Prefix
from ddfm_theory.bridge.logdomain import log_posterior

Tensor = Any  # torch.Tensor


@dataclass
class Lane:
    """An expert's prefixes.

    Attributes:
        prefix: the prefixes of the rows served; None where there is none.
        rows: the batch rows served, ascending.
        pending: tokens of the whole batch, one array a step, that the lane has yet to read.
        read: how many tokens (rows times steps) the expert has run over since the prompt.
        passes: in how many forward passes.
    """

    prefix: Prefix | None
    rows: Tensor
    pending: list[Tensor] = field(default_factory=list)
    read: int = 0
    passes: int = 0

    def advance(self, tokens: Tensor) -> None:
        """Read one token a row; tokens of the whole batch, shape (B,)."""
        if self.prefix is not None:
            self.prefix.step(tokens[self.rows])
            self.read, self.passes = self.read + len(self.rows), self.passes + 1

    def wake(self, batch: int) -> Tensor:
        """Read what is pending and return its log-likelihood a row, shape (B,), zero at rows not served.

        The first pending token's is left out: the law for it was there, and counted, when the lane fell asleep.
        """
        out = torch.zeros(batch, dtype=torch.double)
        if self.prefix is not None and self.pending:
            tokens = torch.stack([step[self.rows] for step in self.pending], dim=1)
            out[self.rows] = self.prefix.read(tokens)[:, 1:].double().sum(dim=1).cpu()
            self.read, self.passes = self.read + int(tokens.numel()), self.passes + 1
        self.pending = []
        return out

    def likelihood(self, tokens: Tensor, batch: int) -> Tensor:
        """Return the log-likelihood of one token a row, shape (B,); zero at rows not served and while asleep."""
        out = torch.zeros(batch, dtype=torch.double)
        if self.prefix is not None and not self.pending:
            law = self.prefix.log_law
            index = tokens[self.rows].to(law.device)[:, None]
            out[self.rows] = law.gather(1, index)[:, 0].double().cpu()
        return out

    def narrow(self, alive: Tensor) -> None:
        """Give up finished rows once they are at least half of those served."""
        keep = alive[self.rows].nonzero()[:, 0].tolist()
        if self.prefix is None or 2 * len(keep) > len(self.rows):
            return
        self.prefix = self.prefix.fork(keep) if keep else None
        self.rows = self.rows[keep]


def local_first(parts: Sequence[Any]) -> list[int]:
    """Return indices, those first that this process computes itself, so that processes work at the same time."""
    return sorted(range(len(parts)), key=lambda k: not getattr(parts[k], "local", True))


def asleep(weights: Tensor, bound: float) -> list[int]:
    """Return which experts may sleep: lightest first, as long as no row's sleeping mass exceeds the bound.

    Args:
        weights: r (or bounds above it), shape (K, B).
        bound: the mass a row may leave out, below 1; below 0 nothing sleeps.
    """
    order = torch.argsort(weights.max(dim=1).values, stable=True).tolist()
    mass = torch.zeros(weights.shape[1], dtype=weights.dtype)
    out: list[int] = []
    for k in order:
        if float((mass + weights[k]).max()) > bound:
            break
        mass, out = mass + weights[k], [*out, k]
    return sorted(out)


def settle(
    lanes: Sequence[Lane], log_router: Tensor, tokens: Tensor, alive: Tensor, bound: float, follows: bool = True
) -> Tensor:
    """Bring lanes past a token that was chosen: the heavy read it, the light sleep on, the grown wake.

    Args:
        lanes: K lanes at the prefix before the token.
        log_router: log r after the token, sleeping likelihoods taken as one, shape (K, B).
        tokens: the token of each row, shape (B,).
        alive: rows that go on, booleans of shape (B,).
        bound: as for :func:`asleep`.
        follows: whether the router weighs likelihoods; a static one stays whatever a woken lane reads.

    Returns:
        The router after what the woken lanes read, shape (K, B).
    """
    sleeping = [k for k, lane in enumerate(lanes) if lane.pending]
    fresh = [k for k in range(len(lanes)) if k not in sleeping]
    for k in sleeping:
        lanes[k].pending.append(tokens)
    while True:
        light = asleep(log_router[:, alive].exp(), bound)
        grown = [k for k in sleeping if k not in light and lanes[k].pending]
        if not grown:
            break
        gained = lanes[grown[0]].wake(len(tokens))
        if follows:
            log_router = torch.where(alive, _renormalize(log_router, grown[0], gained), log_router)
    for k in local_first([lane.prefix for lane in lanes]):
        if k not in fresh:
            continue
        if k in light:
            lanes[k].pending.append(tokens)
        else:
            lanes[k].advance(tokens)
    return log_router


def _renormalize(log_router: Tensor, k: int, gained: Tensor) -> Tensor:
    likelihoods = torch.zeros_like(log_router)
    likelihoods[k] = gained
    return log_posterior(log_router, likelihoods)
