"""Ensembles: K experts trained apart, the router that weighs them, and a gate; one model of the decentralized law."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ddfm_theory.arrays import positive_int
from ddfm_theory.bridge.generation import Decoder, Decoding, Generation, Step, collect
from ddfm_theory.bridge.lanes import Lane, local_first
from ddfm_theory.bridge.loading import check_alike, load_experts
from ddfm_theory.bridge.logdomain import log_gate, log_mix
from ddfm_theory.bridge.losses import Loss, conditioned, losses
from ddfm_theory.bridge.prompts import Prompts
from ddfm_theory.bridge.router_files import load_router, save_router
from ddfm_theory.bridge.routers import Router, check_log_law
from ddfm_theory.bridge.scoring import Scores, score
from ddfm_theory.bridge.text_files import text_of

Tensor = Any  # torch.Tensor
FORMAT, VERSION = "ddfm-ensemble", 1


@dataclass(frozen=True)
class Mixture:
    """The law at some prompts.

    Attributes:
        log_law: the mixture's next-token log-law, shape (B, V).
        log_router: the weights that it was mixed with, behind the gate, shape (K, B).
        log_laws: each expert's, K arrays of shape (B, V).
        dropped: the mass that the gate, or a loss, leaves out, shape (B,).
        lost: the experts without which the law is; theirs is minus infinity.
    """

    log_law: Tensor
    log_router: Tensor
    log_laws: list[Tensor]
    dropped: Tensor
    lost: tuple[Loss, ...] = ()


class Ensemble:
    """Experts with a router.

    Args:
        experts: K experts of one vocabulary, tokenizer and image token.
        router: a router over K experts.
        gate: how many experts the mixture keeps at a prefix; None keeps all.

    Raises:
        ValueError: unlike experts, a router of another number of experts, or a gate out of range.
    """

    def __init__(self, experts: Sequence[Any], router: Router, gate: int | None = None) -> None:
        check_alike(experts)
        if router.experts != len(experts):
            raise ValueError(f"router must be over {len(experts)} experts, was over {router.experts}")
        self.experts, self.router = list(experts), router
        self.gate = None if gate is None else positive_int(gate, "gate", 1, len(experts))
        self._leaders: list[int] | None = None

    @property
    def tokenizer(self) -> Any:
        """Return the experts' tokenizer, None where they have none."""
        return next((e.tokenizer for e in self.experts if getattr(e, "tokenizer", None) is not None), None)

    def prior(self, features: Tensor | None, rows: int) -> Tensor:
        """Return the router at the prompt, checked to be a log-law: shape (K, B), float64, before any gate."""
        return check_log_law(self.router.prior(features, rows))

    def prefill(self, prompts: Prompts, needed: Tensor | None = None) -> list[Lane]:
        """Read prompts with every expert, or with those needed, computing image features once where towers are equal.

        Args:
            prompts: B prompts.
            needed: which expert must read which row, booleans of shape (K, B); None is all.
        """
        shared: dict[int, Tensor] = {}
        lanes: dict[int, Lane] = {}
        for k in local_first(self.experts):
            rows = torch.arange(len(prompts)) if needed is None else needed[k].nonzero()[:, 0]
            features = self._image_features(k, prompts, shared) if len(rows) else None
            prefix = _prefill(self.experts[k], prompts, rows.tolist(), features) if len(rows) else None
            lanes[k] = Lane(prefix, rows)
        return [lanes[k] for k in range(len(self.experts))]

    def _image_features(self, k: int, prompts: Prompts, shared: dict[int, Tensor]) -> Tensor | None:
        if prompts.pixel_values is None or not hasattr(self.experts[k], "image_features"):
            return None
        leader = self.towers[k]
        if leader not in shared:
            shared[leader] = self.experts[leader].image_features(prompts.pixel_values)
        return shared[leader]

    @property
    def towers(self) -> list[int]:
        """Return for each expert the first one whose vision tower and projector equal its own to the last bit."""
        if self._leaders is None:
            leaders: list[int] = []
            for k, expert in enumerate(self.experts):
                equal = (j for j in dict.fromkeys(leaders) if _same_tower(self.experts[j], expert))
                leaders.append(next(equal, k))
            self._leaders = leaders
        return self._leaders

    def next_token(self, prompts: Prompts, features: Tensor | None = None) -> Mixture:
        """Return the mixture's next-token law at prompts, with each expert's and the router's."""
        prior, lanes = self.prior(features, len(prompts)), self.prefill(prompts)
        weights = log_gate(conditioned(prior, lanes), self.gate)
        held = [lane.prefix.log_law for lane in lanes if lane.prefix is not None]
        nothing = torch.full_like(held[0], -torch.inf)
        laws = [nothing if lane.prefix is None else lane.prefix.log_law for lane in lanes]
        left = torch.where(torch.isfinite(weights), 0.0, prior.exp()).sum(0)
        return Mixture(log_mix(weights, laws), weights, laws, left, losses(lanes, 0))

    def score(
        self,
        prompts: Prompts,
        answers: Sequence[Sequence[int]],
        features: Tensor | None = None,
        block: int | None = None,
    ) -> Scores:
        """Return the log-law of given answers: mixture, per expert, and the router along them.

        Args:
            prompts: B prompts.
            answers: B rows of tokens of any lengths.
            features: what the router looks at, shape (B, D).
            block: positions whose logits are held at a time; None bounds them by ``couplings.BLOCK`` entries.
        """
        return score(self, prompts, answers, features, block)

    def stream(self, prompts: Prompts, features: Tensor | None = None, **options: Any) -> Iterator[Step]:
        """Generate token by token; options are those of :class:`Decoding`."""
        return iter(self._decoder(prompts, features, options))

    def generate(self, prompts: Prompts, features: Tensor | None = None, **options: Any) -> Generation:
        """Generate to the end; options are those of :class:`Decoding`. The image placeholder is never drawn."""
        return collect(self._decoder(prompts, features, options))

    def _decoder(self, prompts: Prompts, features: Tensor | None, options: dict[str, Any]) -> Decoder:
        image = getattr(self.experts[0], "image_token", None)
        if image is not None:
            options = {**options, "banned": {*options.get("banned", ()), image}}
        return Decoder(self, prompts, features, Decoding(**options))

    def save_pretrained(self, place: Any) -> Path:
        """Write config.json, router/ and expert_k/ into a new folder, whole or not at all; safetensors only.

        Raises:
            ValueError: something is there already.
        """
        target = Path(place)
        if target.exists():
            raise ValueError(f"place must not be there yet, was {target}")
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            self._write(draft)
            draft.chmod(0o755)
            os.replace(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return target

    def _write(self, draft: Path) -> None:
        names = [f"expert_{k}" for k in range(len(self.experts))]
        for name, expert in zip(names, self.experts, strict=True):
            expert.model.save_pretrained(draft / name)
            if expert.tokenizer is not None:
                expert.tokenizer.save_pretrained(draft / name)
            if getattr(expert, "reads", None) is not None:
                expert.reads.processor.save_pretrained(draft / name)
        (draft / "router").mkdir()
        save_router(self.router, draft / "router")
        config = {"format": FORMAT, "version": VERSION, "experts": names, "gate": self.gate}
        (draft / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, place: Any, **options: Any) -> Ensemble:
        """Read an ensemble that :meth:`save_pretrained` wrote; options as for ``loading.load_experts``.

        Raises:
            ValueError: no ensemble, one of another version, or an expert or router that cannot be read.
        """
        folder = Path(place)
        file = folder / "config.json"
        config = json.loads(text_of(file, "config.json")) if file.exists() else {}
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise ValueError(
                f"place must be the folder of an ensemble, its config.json of format {FORMAT!r}, was {folder}"
            )
        if config.get("version") != VERSION:
            raise ValueError(f"version of {folder} must be {VERSION}, was {config.get('version')}")
        names = config.get("experts")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"config.json of {folder} must name the folders of its experts, had {names!r}")
        experts = load_experts([folder / name for name in names], **options)
        return cls(experts, load_router(folder / "router"), config.get("gate"))


def _prefill(expert: Any, prompts: Prompts, rows: list[int], features: Tensor | None) -> Any:
    if len(rows) == len(prompts):
        return expert.prefill(prompts, features)
    return expert.prefill(prompts.select(rows), None if features is None else features[prompts.image_rows(rows)])


def _same_tower(a: Any, b: Any) -> bool:
    one, two = _tower(a), _tower(b)
    return one.keys() == two.keys() and all(torch.equal(one[name].cpu(), two[name].cpu()) for name in one)


def _tower(expert: Any) -> dict[str, Tensor]:
    named = expert.model.named_parameters()
    return {name: value for name, value in named if "language_model" not in name and "lm_head" not in name}
