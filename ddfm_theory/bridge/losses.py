r"""What becomes of an ensemble that loses an expert while it runs.

Lost experts are left out and the weights of those that are left renormalized, so that from then on the next-token law
is :math:`q(x \mid z, K \in \text{living})`, the mixture conditioned on the remaining experts. It is off the whole
mixture by at most the lost experts' weight in total variation, which is exact at the first prefix without them; later
their likelihoods are unread, taken as one, and the reported mass is a bound on the weight that tends to one. Nothing of
this happens unless it was asked for (``survivors.Survivors``), and it is said: by a warning, and in what is returned.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ddfm_theory.bridge.logdomain import log_normalize

Tensor = Any  # torch.Tensor


class LostRank(ConnectionError):  # noqa: N818
    """A process that holds an expert does not answer any more."""


@dataclass(frozen=True)
class Loss:
    """An expert that a run went on without.

    Attributes:
        expert: its index.
        rank: of the process that held it.
        step: the tokens after the prompt at the first prefix without it.
    """

    expert: int
    rank: int
    step: int

    def __str__(self) -> str:
        return (f"expert {self.expert} was lost with rank {self.rank}: from step {self.step} on the law is the mixture "
                "conditioned on the remaining experts")  # fmt: skip


def losses(lanes: Sequence[Any], step: int, known: Sequence[Loss] = ()) -> tuple[Loss, ...]:
    """Return what is known to be lost with what the lanes lost since, and warn of the latter.

    Args:
        lanes: K lanes; ``lost`` is the rank that an expert went with, None while it lives.
        step: the tokens after the prompt.
        known: what was lost before.
    """
    before = {loss.expert for loss in known}
    fresh = [Loss(k, lane.lost, step) for k, lane in enumerate(lanes) if lane.lost is not None and k not in before]
    for loss in fresh:
        warnings.warn(str(loss), RuntimeWarning, stacklevel=2)
    return (*known, *fresh)


def conditioned(log_router: Tensor, lanes: Sequence[Any], alive: Tensor | None = None) -> Tensor:
    """Return a router conditioned on the experts that are left: (K, B) to (K, B).

    Args:
        log_router: log r, shape (K, B).
        lanes: K lanes, of which ``lost`` is None while the expert lives.
        alive: the rows that must keep an expert, booleans of shape (B,); None is all.

    Raises:
        LostRank: a row whose weight lies on lost experts alone.
    """
    gone = [k for k, lane in enumerate(lanes) if lane.lost is not None]
    if not gone:
        return log_router
    out = log_router.clone()
    out[gone] = -torch.inf
    out = log_normalize(out)
    empty = torch.isneginf(out).all(0)
    empty = empty if alive is None else empty & alive
    if bool(empty.any()):
        raise LostRank(f"each row must keep an expert, row {int(empty.nonzero()[0])} weighs only those lost, {gone}")
    return out
