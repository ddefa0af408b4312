r"""Dense against K experts at equal total samples and compute, with exact errors and the theory's terms beside them.

A target has C clusters; K experts hold C / K of them each, so that the law stays the same while K grows. A row has the
distance of a learned law to the truth (total variation, KL); of routed experts also C14 along prefixes (``c14_router``
+ ``c14_experts`` bounds tv, with ``kl_`` the KL), and under the Bayes router C14 of whole sequences (``bound_c14``) and
the terms of C12 (``c12_loss`` = ``c12_experts`` + ``c12_prior`` - ``c12_router``). All are in nats a sequence.
"""

from __future__ import annotations

import itertools
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import transformers

from ddfm_theory.decentralization import Decentralization
from toy_models.flows import flows
from toy_models.flows import measured as measured_flows
from toy_models.measures import distances, expert_terms, objective_terms, router_terms, true_terms, whole_bound
from toy_models.presets import KINDS, PRESETS, Preset
from toy_models.routers import cosine_router, learned_router
from toy_models.routing import RULES, Experts, Steps
from toy_models.tabular import learn
from toy_models.targets import draw, merged
from toy_models.transformer import Training, parameters, train

Say = Callable[[str], None]
Row = dict[str, Any]
EVERY, FEW = (*RULES, "true", "learned", "cosine"), ("bayes", "static", "true")
SMOOTHING = 0.5  # counts added to a dense table's entries; K experts share them
FLOW_KINDS = ("overlapping", "grid")


def judged(truth: Experts, learned: Experts, others: Mapping[str, Steps], rules: Sequence[str] = EVERY) -> list[Row]:
    """Return a row a routing rule for experts: distances, C14, and under the Bayes router C12.

    Args:
        truth: the experts' own laws.
        learned: what they learned.
        others: routers from elsewhere, by rule.
        rules: which, ``bayes`` the first.
    """
    routers = {rule: others[rule] if rule in others else learned.router(rule) for rule in rules}
    shared = expert_terms(truth, learned)
    rows = [{"model": rule, **distances(truth.law, learned.routed(router)), **router_terms(truth, router), **shared}
            for rule, router in routers.items()]  # fmt: skip
    rows[0] |= {"bound_c14": whole_bound(truth, learned), **objective_terms(truth, learned)}
    return rows


class Drawn:
    """Samples of a target with the labels of K experts, and the routers that need no expert.

    Args:
        target: one expert a cluster.
        experts: K.
        memory: of a cluster.
        rows: tokens, shape (n, N).
        clusters: their clusters, shape (n,).
    """

    def __init__(self, target: Decentralization, experts: int, memory: int, rows: np.ndarray, clusters: np.ndarray):
        self.vocabulary = target.central.vocabulary  # type: ignore[union-attr]
        self.labels = clusters // (len(target) // experts)
        self.truth, self.rows, self.experts = Experts.of(merged(target, experts)), rows, experts
        self.shares = np.bincount(self.labels, minlength=experts) / len(rows)
        known = rows, self.labels, experts, self.vocabulary
        self.others = {"true": self.truth.filter, "learned": learned_router(*known, memory),
                       "cosine": cosine_router(*known)}  # fmt: skip

    @property
    def shards(self) -> list[np.ndarray]:
        """Return each expert's rows."""
        return [self.rows[self.labels == k] for k in range(self.experts)]

    def judged(self, laws: np.ndarray, rules: Sequence[str] = EVERY) -> list[Row]:
        """Return a row a rule for experts with learned laws."""
        return judged(self.truth, Experts(self.shares, laws), self.others, rules)

    def tables(self, order: int) -> np.ndarray:
        """Return one table an expert, shape (K,) + (V,) * N."""
        learned = [learn(shard, self.vocabulary, order, SMOOTHING / self.experts) for shard in self.shards]
        return np.stack(learned)


class Setting:
    """A target of one kind and seed, with what was drawn from it; nothing is drawn or fitted twice.

    Args:
        kind: of the target.
        seed: of the target, of what is drawn, and of training.
        sizes: of the run.
    """

    def __init__(self, kind: str, seed: int, sizes: Preset) -> None:
        self.target, self.memory = sizes.targets.draw(kind, seed), sizes.targets.memory(kind)
        self.seed, self.sizes = seed, sizes
        self.law, self.vocabulary = self.target.central.target, self.target.central.vocabulary  # type: ignore[union-attr]
        self._rows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._drawn: dict[tuple[int, int], Drawn] = {}

    def rows(self, samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Return that many rows and their clusters."""
        if samples not in self._rows:
            self._rows[samples] = draw(self.target, samples, self.seed)
        return self._rows[samples]

    def drawn(self, samples: int, experts: int) -> Drawn:
        """Return that many rows for K experts, with the routers fitted to them."""
        if (samples, experts) not in self._drawn:
            self._drawn[samples, experts] = Drawn(self.target, experts, self.memory, *self.rows(samples))
        return self._drawn[samples, experts]


def table_rows(setting: Setting) -> Iterator[Row]:
    """Yield rows of tables of two orders, a cluster's memory and all tokens; the dense table's once a K."""
    counts = setting.sizes.experts
    for samples in setting.sizes.samples:
        for order, rules in ((setting.memory, EVERY), (setting.law.ndim - 1, FEW)):
            head = {"order": order, "samples": samples}
            law = learn(setting.rows(samples)[0], setting.vocabulary, order, SMOOTHING)
            dense = {"model": "dense", **distances(setting.law, law)}
            yield from ({**head, "experts": k, **dense} for k in (1, *counts))
            for k in counts:
                drawn = setting.drawn(samples, k)
                yield from ({**head, "experts": k, **row} for row in drawn.judged(drawn.tables(order), rules))


def exact_rows(setting: Setting) -> Iterator[Row]:
    """Yield rows of the true experts: what the routers cost alone, those that are learned at the most samples."""
    for k in setting.sizes.experts:
        drawn = setting.drawn(max(setting.sizes.samples), k)
        yield from ({"experts": k, **row} for row in judged(drawn.truth, drawn.truth, drawn.others))


def transformer_rows(setting: Setting) -> Iterator[Row]:
    """Yield rows of tiny transformers after every checkpoint, dense and K experts at the same total of rows seen."""
    most, sizes = max(setting.sizes.samples), setting.sizes.training
    for step, laws in train([setting.rows(most)[0]], setting.vocabulary, sizes, setting.seed).items():
        yield {"step": step, "experts": 1, "model": "dense", **distances(setting.law, laws[0])}
    for k in setting.sizes.experts:
        drawn = setting.drawn(most, k)
        for step, laws in train(drawn.shards, setting.vocabulary, sizes, setting.seed).items():
            rules = EVERY if step == sizes.steps else FEW
            yield from ({"step": step, "experts": k, **row} for row in drawn.judged(laws, rules))


def flow_rows(sizes: Preset, say: Say) -> tuple[list[Row], list[Row]]:
    """Return rows of the flow models' errors and of their losses."""
    errors, losses = [], []
    for kind, seed in itertools.product(FLOW_KINDS, sizes.seeds[: sizes.few]):
        target = sizes.flow_targets.draw(kind, seed)
        head = {"kind": kind, "seed": seed, "experts": len(target)}
        say(f"flows: {kind}, seed {seed}")
        found = list(flows(target, max(sizes.samples), sizes.fitting, seed))
        mine = measured_flows(target, found, sizes.overlaps, sizes.steps)
        entropy = true_terms(target)["H(X)"]
        errors += [{**head, **row} for row in mine[0]]
        losses += [{**head, **row, "H(X)": entropy} for row in mine[1]]
    return errors, losses


def run(preset: str, say: Say = lambda words: None) -> dict[str, Any]:
    """Run a preset and return its result as plain data: sizes, seeds, versions, targets, rows."""
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {sorted(PRESETS)}, was {preset!r}")
    sizes, start = PRESETS[preset], time.monotonic()
    found: dict[str, list[Row]] = {name: [] for name in ("targets", "rows", "grids", "exact", "transformers")}
    for kind, seed in itertools.product(KINDS, sizes.seeds):
        setting, head = Setting(kind, seed, sizes), {"kind": kind, "seed": seed}
        parts = {"grids" if kind == "grid" else "rows": table_rows, "exact": exact_rows}
        if seed in sizes.seeds[: sizes.few]:
            parts["transformers"] = transformer_rows
        found["targets"] += [
            {**head, "experts": k, **true_terms(merged(setting.target, k))} for k in (1, *sizes.experts)
        ]
        for name, rows in parts.items():
            say(f"{kind}, seed {seed}: {name}")
            found[name] += [{**head, **row} for row in rows(setting)]
    errors, losses = flow_rows(sizes, say)
    return {**circumstances(preset), **found, "flows": errors, "flow_losses": losses,
            "seconds": time.monotonic() - start}  # fmt: skip


def circumstances(preset: str) -> dict[str, Any]:
    """Return what a run was made with: sizes, machine, versions, and the operations of a transformer's training."""
    sizes = PRESETS[preset]
    versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": str(torch.__version__),
                "transformers": transformers.__version__}  # fmt: skip
    machine = {"platform": f"{platform.system()} {platform.machine()}", "threads": torch.get_num_threads(),
               "dtype": "float64; networks are trained in float32"}  # fmt: skip
    levels, rows, columns = sizes.targets.grid
    work = {"chain": training_flops(*sizes.targets.chain, sizes.training),
            "grid": training_flops(levels, rows * columns, sizes.training)}  # fmt: skip
    plain = asdict(sizes) | {"overlaps": [float(w) for w in sizes.overlaps]}
    vocabulary, length = sizes.targets.chain
    return {
        "preset": preset,
        "vocabulary": vocabulary,
        "length": length,
        "sizes": plain,
        "versions": versions,
        "machine": machine,
        "training_flops": work,
    }


def training_flops(vocabulary: int, length: int, sizes: Training) -> int:
    """Return 6 operations a parameter and token seen: the same for the dense model and for K experts together."""
    return 6 * parameters(vocabulary, length, sizes) * sizes.steps * sizes.batch * length
