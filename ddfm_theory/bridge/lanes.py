"""Lanes: one expert's prefixes over the batch rows that it serves, and the tokens that some of them have yet to read.

A row whose weight for an expert is small may sleep in that expert's lane: its tokens pile up unread, and the expert
runs over the other rows alone. Taking an unread likelihood as one bounds its weight above, so the mass that sleeps is
known to be no more than it looks. When that is too much the row wakes: the expert reads the missed tokens behind the
cache that it left, all in one pass, so the cache is what it would have been, the weight is exact again, and the row
goes on with the others. A row that slept forever would keep a bound that only grows.

Waking costs a pass of its own. So where an expert runs on for other rows, a row falls asleep only when its weight is so
far below the bound that it will sleep for a while (``DEEP``); where all rows of an expert are light, they all sleep;
and with a row that must wake those wake that are no longer deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ddfm_theory.bridge.experts import Prefix
from ddfm_theory.bridge.logdomain import log_posterior
from ddfm_theory.bridge.losses import conditioned

Tensor = Any  # torch.Tensor
DEEP = 1 / 256  # the share of the bound below which a row sleeps while its expert runs on for others


@dataclass
class Sleepers:
    """Rows that fell asleep at one step: their prefixes there, and the tokens since, one array (B,) a step."""

    prefix: Prefix
    rows: Tensor
    pending: list[Tensor]


@dataclass
class Lane:
    """An expert's prefixes.

    Attributes:
        prefix: the prefixes of the rows that are awake; None where there is none.
        rows: those batch rows, in the prefix's order.
        asleep: the others that it serves, by the step at which they fell asleep.
        woken: prefixes and rows that have read the token to come already.
        lost: the rank that the expert was lost with; None while it lives.
        read: how many tokens (rows times steps) the expert has run over since the prompt.
        passes: in how many forward passes.
    """

    prefix: Prefix | None
    rows: Tensor
    asleep: list[Sleepers] = field(default_factory=list)
    woken: list[tuple[Prefix, Tensor]] = field(default_factory=list)
    lost: int | None = None
    read: int = 0
    passes: int = 0

    def __post_init__(self) -> None:
        self._bury(self.prefix)

    def awake(self, batch: int) -> Tensor:
        """Tell which batch rows the expert has read up to now, booleans of shape (B,)."""
        return _mask(self.rows, batch)

    def sleeping(self, batch: int) -> Tensor:
        """Tell which batch rows sleep, booleans of shape (B,)."""
        return _mask(torch.cat([self.rows[:0], *(group.rows for group in self.asleep)]), batch)

    def advance(self, tokens: Tensor, light: Tensor, deep: Tensor, alive: Tensor) -> None:
        """Let light rows fall asleep, read one token with the others, and take in those that woke.

        Args:
            tokens: of the whole batch, shape (B,).
            light: the rows that may sleep, booleans of shape (B,).
            deep: those of them that may while others run on.
            alive: the rows that go on, booleans of shape (B,).
        """
        if self.prefix is not None:
            going = alive[self.rows]
            drowsy = going & (light if bool(light[self.rows][going].all()) else deep)[self.rows]
            if bool(drowsy.any()):
                self.asleep.append(Sleepers(*self._part(drowsy), [tokens]))
                self._keep(going & ~drowsy)
        if self.prefix is not None:
            self.prefix.step(tokens[self.rows])
            self.read, self.passes = self.read + len(self.rows), self.passes + 1
            self._bury(self.prefix)
        self._gather()

    def _gather(self) -> None:
        for prefix, rows in self.woken:
            if self.prefix is None:
                self.prefix, self.rows = prefix, rows
            else:
                self.prefix.join(prefix)
                self.rows = torch.cat([self.rows, rows])
        self.woken = []

    def _part(self, chosen: Tensor) -> tuple[Prefix, Tensor]:
        """Return the prefixes and rows chosen by booleans over one's own rows."""
        if bool(chosen.all()):
            return self.prefix, self.rows  # type: ignore[return-value]
        return self.prefix.fork(chosen.nonzero()[:, 0].tolist()), self.rows[chosen]  # type: ignore[union-attr]

    def _keep(self, chosen: Tensor) -> None:
        self.prefix, self.rows = self._part(chosen) if bool(chosen.any()) else (None, self.rows[:0])

    def doze(self, tokens: Tensor) -> None:
        """Leave one more token unread in every row that sleeps."""
        for group in self.asleep:
            group.pending.append(tokens)

    def wake(self, due: Tensor, alive: Tensor) -> Tensor:
        """Read what is pending in some rows and return its log-likelihood a row, shape (B,), zero elsewhere.

        The first pending token's is left out: the law for it was there, and counted, when the row fell asleep.

        Args:
            due: the rows to wake, booleans of shape (B,).
            alive: the rows that go on; sleepers that do not are given up.
        """
        out, groups, self.asleep = torch.zeros(len(due), dtype=torch.double), self.asleep, []
        for group in groups:
            chosen, left = due[group.rows], (alive & ~due)[group.rows]
            if not bool(chosen.any()):
                self.asleep.append(group)
                continue
            lane = Lane(group.prefix, group.rows)
            if bool(left.any()):
                self.asleep.append(Sleepers(*lane._part(left), group.pending))
            prefix, rows = lane._part(chosen)
            tokens = torch.stack([step[rows] for step in group.pending], dim=1)
            found = prefix.read(tokens)
            if self._bury(prefix):
                break
            out[rows] = found[:, 1:].double().sum(dim=1).cpu()
            self.read, self.passes = self.read + int(tokens.numel()), self.passes + 1
            self.woken.append((prefix, rows))
        return out

    def follow(self, tokens: Tensor, block: int | None) -> Tensor:
        """Read a text (B, T) with every row and return its log-likelihoods; minus infinity where the expert is lost."""
        if self.prefix is not None:
            found = self.prefix.read(tokens, block)
            if not self._bury(self.prefix):
                return found
        return torch.full(tuple(tokens.shape), -torch.inf)

    def likelihood(self, tokens: Tensor, batch: int) -> Tensor:
        """Return the log-likelihood of one token a row, shape (B,); zero at rows not served and while asleep."""
        out = torch.zeros(batch, dtype=torch.double)
        if self.prefix is not None:
            law = self.prefix.log_law
            index = tokens[self.rows].to(law.device)[:, None]
            out[self.rows] = law.gather(1, index)[:, 0].double().cpu()
        return out

    def narrow(self, alive: Tensor) -> None:
        """Give up finished rows once they are at least half of those served."""
        keep = alive[self.rows]
        if self.prefix is not None and 2 * int(keep.sum()) <= len(self.rows):
            self._keep(keep)

    def _bury(self, prefix: Prefix | None) -> bool:
        """Give up every row where the expert was lost, and tell whether it was."""
        rank = getattr(prefix, "lost", None)
        if rank is not None:
            self.lost, self.prefix, self.rows, self.asleep, self.woken = rank, None, self.rows[:0], [], []
        return rank is not None


def _mask(rows: Tensor, batch: int) -> Tensor:
    out = torch.zeros(batch, dtype=torch.bool)
    out[rows] = True
    return out


def local_first(parts: Sequence[Any]) -> list[int]:
    """Return indices, those first that this process computes itself, so that processes work at the same time."""
    return sorted(range(len(parts)), key=lambda k: not getattr(parts[k], "local", True))


def asleep(weights: Tensor, bound: float) -> Tensor:
    """Return which experts may sleep in which row: the lightest, as long as their mass is within the bound.

    Args:
        weights: r (or bounds above it), shape (K, B).
        bound: the mass a row may leave out, below 1; below 0 nothing sleeps.

    Returns:
        Booleans of shape (K, B); a row's heaviest expert is awake.
    """
    ordered, order = torch.sort(weights, dim=0, stable=True)
    light = ordered.cumsum(0) <= bound
    light[-1] = False
    return torch.zeros_like(light).scatter(0, order, light)


def settle(
    lanes: Sequence[Lane], log_router: Tensor, tokens: Tensor, alive: Tensor, bound: float, follows: bool = True
) -> Tensor:
    """Bring lanes past a token that was chosen, row by row: the heavy read it, the light sleep on, the grown wake.

    Args:
        lanes: K lanes at the prefix before the token.
        log_router: log r after the token, sleeping likelihoods taken as one, shape (K, B).
        tokens: the token of each row, shape (B,).
        alive: rows that go on, booleans of shape (B,).
        bound: as for :func:`asleep`.
        follows: whether the router weighs likelihoods; a static one stays whatever a woken row reads.

    Returns:
        The router after what the woken rows read, shape (K, B).
    """
    for lane in lanes:
        lane.doze(tokens)
    while True:
        weights = conditioned(log_router, lanes, alive).exp()
        light, deep = asleep(weights, bound), asleep(weights, DEEP * bound)
        sleeping = torch.stack([lane.sleeping(len(tokens)) for lane in lanes])
        due = sleeping & ~light & alive
        if not bool(due.any()):
            break
        k = int(due.any(dim=1).nonzero()[0])
        rows = sleeping[k] & ~deep[k] & alive
        gained = lanes[k].wake(rows, alive)
        if follows:
            log_router = torch.where(rows, _renormalize(log_router, k, gained), log_router)
    for k in local_first([lane.prefix for lane in lanes]):
        lanes[k].advance(tokens, light[k], deep[k], alive)
    return log_router


def _renormalize(log_router: Tensor, k: int, gained: Tensor) -> Tensor:
    likelihoods = torch.zeros_like(log_router)
    likelihoods[k] = gained
    return log_posterior(log_router, likelihoods)
