"""The sizes of a run."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ddfm_theory.decentralization import Decentralization
from toy_models.denoisers import Fitting
from toy_models.targets import KINDS as CHAINS
from toy_models.targets import mixture_of_chains, mixture_of_grids
from toy_models.transformer import Training

KINDS = (*CHAINS, "grid")


@dataclass(frozen=True)
class Targets:
    """The sizes of targets: a chain's vocabulary and length, a grid's levels, rows and columns, and the clusters."""

    chain: tuple[int, int]
    grid: tuple[int, int, int]
    clusters: int

    def draw(self, kind: str, seed: int) -> Decentralization:
        """Return the target of that kind and seed, one expert a cluster."""
        if kind == "grid":
            return mixture_of_grids(self.clusters, *self.grid, seed)
        return mixture_of_chains(kind, self.clusters, *self.chain, seed)

    def memory(self, kind: str) -> int:
        """Return how many tokens back a cluster's next token depends on."""
        return self.grid[2] if kind == "grid" else 1


@dataclass(frozen=True)
class Preset:
    """The sizes of a run and what is varied in it.

    Attributes:
        targets: of tables and transformers.
        experts: K, each dividing the number of clusters.
        samples: of tables; the transformers draw from the most.
        seeds: of targets and draws; tables take all, transformers and flows the first ``few``.
        few: how many.
        training: of the transformers.
        flow_targets: of the flow models, one expert a cluster.
        fitting: of the flow models' networks.
        overlaps: w of their schedules.
        steps: T of their samplers.
    """

    targets: Targets
    experts: tuple[int, ...]
    samples: tuple[int, ...]
    seeds: tuple[int, ...]
    few: int
    training: Training
    flow_targets: Targets
    fitting: Fitting
    overlaps: tuple[Fraction, ...]
    steps: tuple[int, ...]


PRESETS = {
    "smoke": Preset(
        targets=Targets((4, 3), (2, 2, 2), 2), experts=(2,), samples=(200,), seeds=(0, 1), few=2,
        training=Training(width=8, layers=1, steps=8, batch=8, checkpoints=(4, 8)),
        flow_targets=Targets((2, 2), (2, 1, 2), 2), fitting=Fitting(width=8, steps=20, batch=16),
        overlaps=(Fraction(0), Fraction(1)), steps=(1, 2, 4)),
    "small": Preset(
        targets=Targets((12, 4), (2, 3, 3), 8), experts=(2, 4, 8), samples=(1_000, 30_000, 1_000_000),
        seeds=(0, 1, 2, 3, 4), few=3, training=Training(),
        flow_targets=Targets((4, 4), (2, 2, 3), 4), fitting=Fitting(steps=800),
        overlaps=(Fraction(0), Fraction(1, 2), Fraction(1)), steps=(1, 2, 4, 8, 16, 32)),
}  # fmt: skip
