r"""Scoring: the log-law of given answers under the mixture and under each expert, with the router along the way.

Only each expert's probability of the token that came enters, :math:`q(x^{t+1} \mid x^{\le t}) = \sum_k r_k(x^{\le t})\,
q_k(x^{t+1} \mid x^{\le t})`, so nothing of the vocabulary's size outlives the block of positions it was computed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ddfm_theory.bridge.lanes import Lane, local_first
from ddfm_theory.bridge.logdomain import log_gate
from ddfm_theory.bridge.losses import Loss, LostRank, conditioned, losses
from ddfm_theory.bridge.prompts import Prompts

if TYPE_CHECKING:
    from ddfm_theory.bridge.ensemble import Ensemble

Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Scores:
    """Log-laws of B answers of at most T tokens under K experts, float64; what lies past an answer's end is zero.

    Attributes:
        log_likelihoods: of the answers under the mixture, shape (B,).
        experts: of the answers under each expert, shape (K, B).
        tokens: of each token under the mixture, shape (B, T).
        expert_tokens: of each token under each expert, shape (K, B, T).
        log_router: log r at each prefix, shape (K, B, T + 1); past an answer's end it stays.
        lengths: tokens an answer, shape (B,).
        dropped: the mass that the gate leaves out at each prefix, shape (B, T).
        lost: the experts without which the mixture is, from the prompt on; their own likelihoods are minus infinity.
    """

    log_likelihoods: Tensor
    experts: Tensor
    tokens: Tensor
    expert_tokens: Tensor
    log_router: Tensor
    lengths: Tensor
    dropped: Tensor
    lost: tuple[Loss, ...] = ()


def score(
    ensemble: Ensemble,
    prompts: Prompts,
    answers: Sequence[Sequence[int]],
    features: Tensor | None = None,
    block: int | None = None,
) -> Scores:
    """Score answers; see :meth:`ddfm_theory.bridge.Ensemble.score`."""
    tokens, lengths = padded_answers(answers, len(prompts), ensemble.experts[0].vocabulary)
    real = torch.arange(tokens.shape[1])[None, :] < lengths[:, None]
    lanes = ensemble.prefill(prompts)
    reads = {k: lanes[k].follow(tokens, block) for k in local_first([lane.prefix for lane in lanes])}
    found = torch.where(real, torch.stack([reads[k].double().cpu() for k in range(len(reads))]), 0.0)
    prior = conditioned(ensemble.prior(features, len(prompts)), lanes)
    path = _trajectory(ensemble, prior, found, real)
    gated = log_gate(path[:, :, :-1], ensemble.gate)
    mixed = torch.where(real, torch.logsumexp(gated + found, dim=0), 0.0)
    left = torch.where(torch.isfinite(gated), 0.0, path[:, :, :-1].exp()).sum(0)
    dropped = torch.where(real, left, 0.0)
    return Scores(mixed.sum(-1), found.sum(-1), mixed, found, path, lengths, dropped, losses(lanes, 0))


def whole(lanes: Sequence[Lane]) -> list[Any]:
    """Return the prefixes of all experts.

    Raises:
        LostRank: an expert is lost, and what is measured is the whole ensemble.
    """
    for k, lane in enumerate(lanes):
        if lane.prefix is None:
            raise LostRank(f"every expert must be there to be measured, expert {k} was lost with rank {lane.lost}")
    return [lane.prefix for lane in lanes]


def padded_answers(answers: Sequence[Sequence[int]], rows: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Return answers as tokens (B, T), padded with zeros on the right, and their lengths (B,), checked."""
    if len(answers) != rows:
        raise ValueError(f"answers must be one a prompt, {rows}, were {len(answers)}")
    for b, row in enumerate(answers):
        if len(row) == 0 or min(row) < 0 or max(row) >= vocabulary:
            shown = list(row)[:8]
            raise ValueError(f"answers must be nonempty rows of tokens in 0..{vocabulary - 1}, row {b} was {shown}")
    width = max(len(row) for row in answers)
    tokens = torch.tensor([list(row) + [0] * (width - len(row)) for row in answers])
    return tokens, torch.tensor([len(row) for row in answers])


def _trajectory(ensemble: Ensemble, prior: Tensor, found: Tensor, real: Tensor) -> Tensor:
    path = [prior]
    for t in range(found.shape[-1]):
        updated = ensemble.router.update(prior, path[-1], found[:, :, t])
        path.append(torch.where(real[:, t], updated, path[-1]))
    return torch.stack(path, dim=-1)
