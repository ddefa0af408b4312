r"""Generation from an ensemble: mix the experts' laws at every prefix, then sharpen, then draw.

Sharpening and mixing do not commute, so temperature and nucleus are applied after mixing. Routing once draws one expert
a row from the prior and runs it alone, which has the same sequence law as mixing at each step with the Bayes filter. An
expert whose weight in a row is small enough may be left unread there; leaving out mass 1 - s moves the next-token law
by at most 1 - s in total variation, and the sum of these along the text bounds, in expectation, the distance of the
sequence laws.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ddfm_theory.arrays import positive_int
from ddfm_theory.bridge.lanes import settle
from ddfm_theory.bridge.logdomain import (
    log_gate,
    log_mix,
    log_normalize,
    log_nucleus,
    log_sharpen,
    most_likely,
)
from ddfm_theory.bridge.losses import Loss, conditioned, losses
from ddfm_theory.bridge.prompts import Prompts
from ddfm_theory.bridge.routers import one_hot
from ddfm_theory.sampling import sample_categorical

if TYPE_CHECKING:
    from ddfm_theory.bridge.ensemble import Ensemble

Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Decoding:
    """How a law becomes a token.

    Attributes:
        max_new_tokens: the most tokens a row.
        greedy: take the most likely token, the lowest index on ties.
        temperature: T of the sharpened mixture.
        top_p: the mass of its nucleus.
        seed: row b draws from NumPy's generator seeded by (seed, b), so that its text does not depend on other rows.
        stop: tokens that end a row (they are kept in its text).
        banned: tokens that are never drawn.
        route: ``mix`` at each step, or ``once``.
        skip_below: the expert mass that may be left unread at a step, a row, in [0, 1).
    """

    max_new_tokens: int = 32
    greedy: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop: Collection[int] = ()
    banned: Collection[int] = ()
    route: str = "mix"
    skip_below: float = 0.0

    def __post_init__(self) -> None:
        positive_int(self.max_new_tokens, "max_new_tokens")
        positive_int(self.seed, "seed", 0)
        if self.route not in ("mix", "once"):
            raise ValueError(f"route must be 'mix' or 'once', was {self.route!r}")
        if not 0 <= self.skip_below < 1:
            raise ValueError(f"skip_below must be a mass in [0, 1), was {self.skip_below}")
        log_sharpen(torch.zeros(1), self.temperature)
        log_nucleus(torch.zeros(1, 1), self.top_p)

    def sharpened(self, law: Tensor) -> Tensor:
        """Return the law that tokens are drawn from: banned tokens out, then temperature, then nucleus."""
        law = log_normalize(self._allowed(law), dim=-1) if self.banned else law
        return log_nucleus(log_sharpen(law, self.temperature), self.top_p)

    def _allowed(self, law: Tensor) -> Tensor:
        if not self.banned:
            return law
        return law.index_fill(-1, torch.tensor(sorted(self.banned), device=law.device), -torch.inf)

    def choose(self, law: Tensor, rngs: list[np.random.Generator], alive: Tensor) -> Tensor:
        """Return one token a row, shape (B,), zero at finished rows."""
        if self.greedy:
            return torch.where(alive, torch.from_numpy(most_likely(self._allowed(law))), 0)
        out, laws = torch.zeros(len(rngs), dtype=torch.long), self.sharpened(law).exp().cpu()
        for b in alive.nonzero()[:, 0].tolist():
            out[b] = int(sample_categorical(laws[b : b + 1], rngs[b])[0])
        return out


@dataclass(frozen=True)
class Step:
    """One token of every row.

    Attributes:
        tokens: shape (B,), -1 at finished rows.
        log_likelihoods: of the tokens under the mixture, unsharpened, shape (B,).
        log_router: the router at the prefix before the token, shape (K, B); of experts left unread a bound above.
        dropped: the mass left out, a bound on the total variation to the full mixture, shape (B,).
        lost: the experts that the law is conditioned on being without, see ``losses``.
    """

    tokens: Tensor
    log_likelihoods: Tensor
    log_router: Tensor
    dropped: Tensor
    lost: tuple[Loss, ...] = ()


@dataclass(frozen=True)
class Generation:
    """What was generated.

    Attributes:
        tokens: a list of tokens a row, the stop token included.
        log_likelihoods: of the rows under the mixture, unsharpened, shape (B,).
        dropped: the sum over steps of the mass left out, shape (B,): an unbiased estimate, where tokens are drawn from
            the mixture itself, of a bound on the total variation of the sequence laws.
        worst: the largest mass left out at a step, shape (B,): bounds the next-token law's error at every prefix.
        log_router: the router after the last token read, shape (K, B).
        stopped: whether a row ended by a stop token.
        tokens_read: rows times steps that each expert ran over after the prompt.
        passes: the forward passes that this took each expert.
        lost: the experts that were lost on the way, each with the step from which the law is conditioned on the others.
    """

    tokens: list[list[int]]
    log_likelihoods: Tensor
    dropped: Tensor
    worst: Tensor
    log_router: Tensor
    stopped: list[bool]
    tokens_read: list[int]
    passes: list[int]
    lost: tuple[Loss, ...] = ()


class Decoder:
    """A generation under way: an iterator of :class:`Step`.

    Args:
        ensemble: the experts, their router and gate.
        prompts: B prompts.
        features: what the router looks at, shape (B, D).
        decoding: how a law becomes a token.
    """

    def __init__(self, ensemble: Ensemble, prompts: Prompts, features: Tensor | None, decoding: Decoding) -> None:
        router = ensemble.router
        if decoding.skip_below > 0 and not router.exact:
            raise ValueError(f"skip_below must be 0 for a {router.kind} router, whose weights cannot be bounded "
                             f"unread, was {decoding.skip_below}")  # fmt: skip
        self.ensemble, self.decoding, self.batch = ensemble, decoding, len(prompts)
        self.rngs = [np.random.default_rng((decoding.seed, b)) for b in range(self.batch)]
        self.alive = torch.ones(self.batch, dtype=torch.bool)
        self.prior = self.log_router = self._prior(features)
        self.lanes = ensemble.prefill(prompts, torch.isfinite(self.log_router))
        self.kept = self.log_router
        self.lost = losses(self.lanes, 0)

    def _prior(self, features: Tensor | None) -> Tensor:
        """Return the router at the prompt; a static one behind its gate, a drawn one for routing once."""
        ensemble, prior = self.ensemble, self.ensemble.prior(features, self.batch)
        self.static = ensemble.router.static or self.decoding.route == "once"
        self.gate_mass = torch.zeros(self.batch).double()
        if not self.static:
            return prior
        gated = log_gate(prior, ensemble.gate)
        if self.decoding.route == "once":
            laws = gated.exp().T.contiguous()
            drawn = [int(sample_categorical(laws[b : b + 1], self.rngs[b])[0]) for b in range(self.batch)]
            return one_hot(torch.tensor(drawn), len(ensemble.experts))
        self.gate_mass = _outside(prior, gated)
        return gated

    def mixture(self) -> tuple[Tensor, Tensor]:
        """Return the mixture's log-law at the prefixes, shape (B, V), and the mass left out, shape (B,)."""
        awake = torch.stack([lane.awake(self.batch) for lane in self.lanes])
        held = conditioned(self.log_router, self.lanes, self.alive)
        held = log_normalize(torch.where(awake, held, -torch.inf))
        self.kept = held if self.static else log_gate(held, self.ensemble.gate)
        used = [k for k, lane in enumerate(self.lanes) if lane.prefix is not None]
        laws = [self.lanes[k].prefix.log_law for k in used]  # type: ignore[union-attr]
        law = log_mix(self.kept[used], laws, [self.lanes[k].rows for k in used])
        return law, self.gate_mass + _outside(self.log_router, self.kept)

    def __iter__(self) -> Iterator[Step]:
        tokens = None
        for t in range(self.decoding.max_new_tokens):
            if tokens is not None:
                self._extend(tokens)
                self.lost = losses(self.lanes, t, self.lost)
            law, dropped = self.mixture()
            tokens = self.decoding.choose(law, self.rngs, self.alive)
            likelihoods = law.gather(1, tokens[:, None].to(law.device))[:, 0].double().cpu()
            yield Step(torch.where(self.alive, tokens, -1), torch.where(self.alive, likelihoods, 0.0), self.log_router,
                       torch.where(self.alive, dropped, 0.0), self.lost)  # fmt: skip
            self.alive = self.alive & ~torch.isin(tokens, torch.tensor(list(self.decoding.stop), dtype=torch.long))
            if not bool(self.alive.any()):
                return

    def _extend(self, tokens: Tensor) -> None:
        if not self.static:
            likelihoods = torch.stack([lane.likelihood(tokens, self.batch) for lane in self.lanes])
            updated = self.ensemble.router.update(self.prior, self.log_router, likelihoods)
            self.log_router = torch.where(self.alive, updated, self.log_router)
        for lane in self.lanes:
            lane.narrow(self.alive)
        bound = self.decoding.skip_below if self.ensemble.router.exact else -1.0
        self.log_router = settle(self.lanes, self.log_router, tokens, self.alive, bound, not self.static)


def _outside(log_router: Tensor, kept: Tensor) -> Tensor:
    """Return the mass of a router on the experts that another leaves out, shape (B,)."""
    return torch.where(torch.isfinite(kept), 0.0, log_router.exp()).sum(dim=0)


def collect(decoder: Decoder) -> Generation:
    """Run a decoder to its end."""
    steps = list(decoder)
    tokens = torch.stack([step.tokens for step in steps], dim=1)
    rows = [[int(token) for token in row if token >= 0] for row in tokens]
    dropped = torch.stack([step.dropped for step in steps])
    return Generation(
        tokens=rows,
        log_likelihoods=torch.stack([step.log_likelihoods for step in steps]).sum(0),
        dropped=dropped.sum(0),
        worst=dropped.max(0).values,
        log_router=decoder.log_router,
        stopped=[row[-1] in decoder.decoding.stop for row in rows],
        tokens_read=[lane.read for lane in decoder.lanes],
        passes=[lane.passes for lane in decoder.lanes],
        lost=decoder.lost,
    )
