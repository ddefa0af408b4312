r"""Conformance on checkpoints: what the theory says of an ensemble, measured on prompts and answers.

Each check is a plain function of a :class:`Case` that returns a :class:`Record`: a residual, a bound, and what follows.
A bound is either derived (a count of roundings times the unit roundoff of the dtype, times the size of what is added),
or, where a network's forward pass enters, ``MARGIN`` times the noise between evaluations of one and the same function,
measured in the same run by means that no check judges; the record says which.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ddfm_theory.arrays import gamma
from ddfm_theory.autoregression import next_token_velocity
from ddfm_theory.bridge.ensemble import Ensemble, Mixture
from ddfm_theory.bridge.logdomain import log_mix, log_normalize, log_posterior
from ddfm_theory.bridge.noise import MARGIN, forward_noise, law_gap
from ddfm_theory.bridge.prompts import Prompts
from ddfm_theory.bridge.scoring import Scores
from ddfm_theory.decentralization import mix, top_k_gate
from ddfm_theory.showing import record as shown
from ddfm_theory.stability import top_k_shift, total_variation

Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Record:
    """What a check found.

    Attributes:
        claim: the ledger's row that it rests on, or ``model`` for a property of the network alone.
        name: of the check.
        outcome: ``holds``, ``fails`` or ``undecided``.
        residual: the largest deviation.
        bound: what it may be; infinite where none can be derived.
        where: the place of the largest deviation, or what is missing.
        basis: of the bound, ``derived`` or ``measured noise``.
    """

    claim: str
    name: str
    outcome: str
    residual: float
    bound: float
    where: str
    basis: str = "derived"

    def _repr_html_(self) -> str:
        return shown(self)._repr_html_()


class Case:
    """An ensemble with the data it is checked on.

    Args:
        ensemble: experts, router and gate.
        prompts: B prompts, B at least 2.
        answers: B answers.
        features: what the router looks at, shape (B, D).
    """

    def __init__(
        self, ensemble: Ensemble, prompts: Prompts, answers: Sequence[Sequence[int]], features: Tensor | None = None
    ) -> None:
        if len(prompts) < 2:
            raise ValueError(f"prompts must be at least two, to compare batches, were {len(prompts)}")
        self.ensemble, self.prompts, self.features = ensemble, prompts, features
        self.answers = [[int(token) for token in row] for row in answers]

    @cached_property
    def mixture(self) -> Mixture:
        """Return the next-token laws at the prompts."""
        return self.ensemble.next_token(self.prompts, self.features)

    @cached_property
    def scores(self) -> Scores:
        """Return the scores of the answers."""
        return self.ensemble.score(self.prompts, self.answers, self.features)

    @cached_property
    def noise(self) -> float:
        """Return the largest forward noise of the experts at the prompts."""
        return max(forward_noise(expert, self.prompts) for expert in self.ensemble.experts)


def _record(claim: str, name: str, residual: float, bound: float, where: str, basis: str = "derived") -> Record:
    if bound == float("inf"):
        return Record(claim, name, "undecided", residual, bound, f"no bound can be derived: {where}", basis)
    return Record(claim, name, "holds" if residual <= bound else "fails", residual, bound, where, basis)


def check_velocity_conditions(case: Case) -> Record:
    """Velocities q_k(. | z) - delta_m must sum to zero, be nonnegative off the mask, and at least -1 at it.

    A law's sum costs the V roundings of its normalizer and a few for logarithm and exponential, relative to 1 plus its
    entropy.
    """
    worst, at, bound = 0.0, "expert 0", 0.0
    for k, log_law in enumerate([*case.mixture.log_laws, case.mixture.log_law]):
        velocity = next_token_velocity(log_law.exp().double())
        off = velocity[..., :-1]
        defect = max(float(velocity.sum(-1).abs().max()), float((-off).max()), float((-1 - velocity[..., -1]).max()))
        entropy = -(off * torch.where(off > 0, log_law.double(), 0.0)).sum(-1)
        bound = max(bound, gamma(log_law.dtype, log_law.shape[-1] + 16) * (1 + float(entropy.max())))
        if not defect <= worst:
            worst, at = defect, f"expert {k}" if k < len(case.mixture.log_laws) else "the mixture"
    return _record("C04", "velocity conditions", worst, bound, at)


def check_mixture_identity(case: Case) -> Record:
    """The velocity of the mixed law must be the router's mixture of the experts' velocities, at full vocabulary.

    The mixed law comes from the log domain, the mixture from ``decentralization.mix``: per token about 4 K + 8
    roundings, relative to the sum of ``r_k q_k (1 + |log r_k q_k|)``.
    """
    log_router, laws = case.mixture.log_router, torch.stack([law.cpu() for law in case.mixture.log_laws])
    mixed = mix(log_router.exp().to(laws.dtype), next_token_velocity(laws.exp()))
    found = next_token_velocity(log_mix(log_router, list(laws)).exp())
    gap = (mixed - found).abs()
    joint = log_router[..., None] + laws.double()
    size = (joint.exp() * (1 + torch.where(torch.isfinite(joint), joint.abs(), 0.0))).sum(0).max()
    row, token = divmod(int(gap.argmax()), gap.shape[-1])
    bound = gamma(laws.dtype, 4 * len(laws) + 8) * max(1.0, float(size))
    return _record("C08", "mixture identity", float(gap.max()), bound, f"row {row}, token {token} of {gap.shape[-1]}")


def _sequence_bound(case: Case) -> float:
    """Roundings of sums over T tokens and K experts in float64, relative to the sums of absolute log-likelihoods."""
    scores = case.scores
    count, length = scores.expert_tokens.shape[0], scores.expert_tokens.shape[-1]
    return gamma(torch.float64, 8 * (count + length) + 16) * (1 + float(scores.expert_tokens.abs().sum((0, 2)).max()))


def check_factorization(case: Case) -> Record:
    """Mixing tokens by the router must be mixing sequences by the prior: sum_t log q(x^t | x^<t) = log sum omega_k q_k.

    True of the exact filter, and of any router whose weights are one-hot; a soft static router is another law, and
    fails.
    """
    scores, bound = case.scores, _sequence_bound(case)
    if case.ensemble.gate is not None:
        return Record("C10", "factorization", "undecided", 0.0, bound, "the gate leaves experts out: check without it")
    whole = torch.logsumexp(scores.log_router[:, :, 0] + scores.experts, dim=0)
    gap = (whole - scores.log_likelihoods).abs()
    return _record("C10", "factorization", float(gap.max()), bound, f"answer {int(gap.argmax())}")


def check_filter(case: Case) -> Record:
    """The router after an answer must be the posterior of the expert given the whole answer."""
    scores, bound = case.scores, _sequence_bound(case)
    ends = torch.stack([scores.log_router[:, b, int(n)] for b, n in enumerate(scores.lengths)], dim=1)
    posterior = log_posterior(scores.log_router[:, :, 0], scores.experts)
    gap = (ends.exp() - posterior.exp()).abs().amax(0)
    return _record("C10", "filter against posterior", float(gap.max()), bound, f"answer {int(gap.argmax())}")


def check_cache(case: Case) -> Record:
    """Stepping with the cache must give the law of the longer prompt read anew, and rolling back the law before."""
    worst, at = 0.0, "expert 0"
    longer = Prompts([p + a[:2] for p, a in zip(case.prompts.ids, _pairs(case), strict=True)],
                     case.prompts.pixel_values, case.prompts.images)  # fmt: skip
    tokens = torch.tensor(_pairs(case))
    for k, expert in enumerate(case.ensemble.experts):
        prefix = expert.prefill(case.prompts)
        start = prefix.log_law
        middle = prefix.step(tokens[:, 0].to(start.device))
        gap = law_gap(prefix.step(tokens[:, 1].to(start.device)), expert.prefill(longer).log_law)
        prefix.roll_back(1)
        gap = max(gap, law_gap(prefix.log_law, middle))
        prefix.roll_back(1)
        gap = max(gap, law_gap(prefix.log_law, start))
        if gap > worst:
            worst, at = gap, f"expert {k}"
    return _record("model", "cache against recomputation", worst, MARGIN * case.noise, at, "measured noise")


def _pairs(case: Case) -> list[list[int]]:
    return [[row[0], row[min(1, len(row) - 1)]] for row in case.answers]


def check_batch(case: Case) -> Record:
    """A row's law must not depend on the other rows, on its place among them, nor on the padding they force on it."""
    worst, at, order = 0.0, "row 0", list(range(len(case.prompts)))[::-1]
    for k, expert in enumerate(case.ensemble.experts):
        together, turned = expert.prefill(case.prompts).log_law, expert.prefill(case.prompts.select(order)).log_law
        for b in range(len(case.prompts)):
            alone = expert.prefill(case.prompts.select([b])).log_law[0]
            gap = max(law_gap(together[b], alone), law_gap(turned[order.index(b)], alone))
            if gap > worst:
                worst, at = gap, f"expert {k}, row {b}"
    return _record("model", "batch and padding invariance", worst, MARGIN * case.noise, at, "measured noise")


def check_permutation(case: Case) -> Record:
    """The mixture must not depend on the order of the experts: a sum of K terms in float64, added in two orders."""
    mixture = case.mixture
    order = list(range(len(mixture.log_laws)))[::-1]
    laws = [law.double().cpu() for law in mixture.log_laws]
    one = log_mix(mixture.log_router, laws).exp()
    two = log_mix(mixture.log_router[order], [laws[k] for k in order]).exp()
    sizes = torch.stack(laws)
    joint = mixture.log_router[..., None] + sizes
    size = (joint.exp() * (1 + torch.where(torch.isfinite(joint), joint.abs(), 0.0))).sum(0).max()
    gap = (one - two).abs()
    bound = gamma(torch.float64, 4 * len(laws) + 8) * max(1.0, float(size))
    return _record("C08", "permutation of experts", float(gap.max()), bound, f"row {int(gap.amax(-1).argmax())}")


def check_top_k(case: Case) -> Record:
    """A gate must move the mixture by (1 - s) TV(kept, dropped), and so by no more than the mass 1 - s it drops.

    Judged in float64, where a law of V tokens costs V roundings to sum.
    """
    weights = case.ensemble.prior(case.features, len(case.prompts)).exp()
    laws = torch.stack([log_normalize(law.double().cpu(), dim=-1).exp() for law in case.mixture.log_laws])
    worst, at, count = 0.0, "top 1, row 0", weights.shape[0]
    for k in range(1, count):
        gated, full = mix(top_k_gate(weights, k), laws), mix(weights, laws)
        moved = total_variation(gated, full)
        for b in range(weights.shape[1]):
            shift, limit = (float(x) for x in top_k_shift(weights[:, b], k, laws[:, b]))
            gap = max(abs(float(moved[b]) - shift), float(moved[b]) - limit)
            if gap > worst:
                worst, at = gap, f"top {k}, row {b}"
    return _record("C15", "top-k bound", worst, gamma(torch.float64, laws.shape[-1] + 8 * count + 16), at)


def check_image(case: Case) -> Record:
    """An image must change the law by more than the noise: shown its negative, the experts must answer otherwise."""
    name = "the image is seen"
    if case.prompts.pixel_values is None:
        return Record("model", name, "undecided", 0.0, 0.0, "the prompts show no image", "measured noise")
    other = Prompts(case.prompts.ids, 1 - case.prompts.pixel_values, case.prompts.images)
    gaps = [
        law_gap(expert.prefill(case.prompts).log_law, expert.prefill(other).log_law) for expert in case.ensemble.experts
    ]
    least = min(gaps)
    return Record("model", name, "holds" if least > MARGIN * case.noise else "fails", least, MARGIN * case.noise,
                  f"expert {gaps.index(least)}; the change must exceed the bound", "measured noise")  # fmt: skip


CHECKS: tuple[Callable[[Case], Record], ...] = (
    check_velocity_conditions,
    check_mixture_identity,
    check_factorization,
    check_filter,
    check_permutation,
    check_top_k,
    check_cache,
    check_batch,
    check_image,
)


def conformance(case: Case, checks: Sequence[Callable[[Case], Record]] = CHECKS) -> Iterator[Record]:
    """Run checks one after the other and yield their records."""
    for check in checks:
        yield check(case)


def write_records(records: Sequence[Record], place: Any) -> None:
    """Write records as JSON lines; an infinite bound is written as null."""
    lines = []
    for record in records:
        row = asdict(record)
        row["bound"] = None if record.bound == float("inf") else record.bound
        lines.append(json.dumps(row, allow_nan=False))
    Path(place).write_text("\n".join(lines) + "\n", encoding="utf-8")
