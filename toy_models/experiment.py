r"""Dense against K experts at equal total samples, with exact errors and the theory's terms beside them.

A row of the result has the distance of the learned law to the truth (total variation, KL), and for the experts the two
terms of C14, :math:`TV(\omega, \hat\omega) + \sum_k \omega_k TV(q_k, \hat q_k)`, which bound it under the Bayes router,
and those of C12, H(X), sum_k omega_k H(X|k) and I(X;K).
"""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddfm_theory.decentralization import Decentralization
from ddfm_theory.files import write_whole
from ddfm_theory.objectives import decomposition, entropy
from ddfm_theory.stability import kl_divergence, mixture_tv_bound, total_variation
from toy_models.routing import RULES, routed_law
from toy_models.tabular import learn
from toy_models.targets import KINDS, draw, mixture_of_chains


@dataclass(frozen=True)
class Preset:
    """The sizes of a run: vocabulary, length, the dense model's order, and what is varied."""

    vocabulary: int
    length: int
    orders: tuple[int, ...]
    experts: tuple[int, ...]
    samples: tuple[int, ...]
    seeds: tuple[int, ...]


PRESETS = {
    "smoke": Preset(4, 3, (1, 2), (1, 2), (200,), (0, 1)),
    "small": Preset(9, 5, (1, 4), (1, 2, 4, 8), (1_000, 10_000, 100_000), (0, 1, 2, 3, 4)),
}


def distances(truth: np.ndarray, learned: np.ndarray) -> dict[str, float]:
    """Return exact total variation and KL(truth | learned)."""
    p, q = truth.ravel(), learned.ravel()
    return {"tv": float(total_variation(p, q)), "kl": float(kl_divergence(p, q)) if (q[p > 0] > 0).all() else None}  # type: ignore[dict-item]


def compare(target: Decentralization, order: int, samples: int, seed: int) -> list[dict[str, Any]]:
    """Train a dense table on all samples and one table an expert on its own, and judge every routing rule.

    Args:
        target: the truth.
        order: of every table, dense and experts.
        samples: in total.
        seed: of the draw.

    Returns:
        One row a model: model, tv, kl; the bound of C14 beside the experts under the Bayes router.
    """
    rows, labels = draw(target, samples, seed)
    truth, v = target.central.target, target.central.vocabulary  # type: ignore[union-attr]
    found = [{"model": "dense", **distances(truth, learn(rows, v, order))}]
    shares = np.bincount(labels, minlength=len(target)) / samples
    laws = np.stack([learn(rows[labels == k], v, order) for k in range(len(target))])
    exact = np.stack([coupling.target for coupling in target.couplings])  # type: ignore[union-attr]
    flat = (len(target), -1)
    bound = mixture_tv_bound(target.weights, shares, exact.reshape(flat), laws.reshape(flat))
    for rule in RULES:
        found.append({"model": rule, **distances(truth, routed_law(shares, laws, rule))})
    found[1]["bound_c14"] = float(bound)
    return found


def run(preset: str, say: Callable[[str], None] = lambda words: None) -> dict[str, Any]:
    """Run a preset and return its result as plain data: sizes, seeds, versions, rows."""
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {sorted(PRESETS)}, was {preset!r}")
    sizes, rows = PRESETS[preset], []
    for kind, experts, seed in itertools.product(KINDS, sizes.experts, sizes.seeds):
        target = mixture_of_chains(kind, experts, sizes.vocabulary, sizes.length, seed)
        say(f"{kind}, {experts} experts, seed {seed}")
        terms = decomposition(target)
        truth = {"H(X)": float(entropy(target.central.target)), "H(X|K)": float(terms.experts.sum()),  # type: ignore[union-attr]
                 "I(X;K)": float(terms.router.sum())}  # fmt: skip
        for order, samples in itertools.product(sizes.orders, sizes.samples):
            head = {"kind": kind, "experts": experts, "seed": seed, "order": order, "samples": samples, **truth}
            rows += [{**head, **row} for row in compare(target, order, samples, seed)]
    return {"preset": preset, "vocabulary": sizes.vocabulary, "length": sizes.length, "dtype": "float64",
            "machine": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
            "numpy": np.__version__, "rows": rows}  # fmt: skip


def save(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON, one row a line, atomically."""
    head = json.dumps({key: value for key, value in result.items() if key != "rows"}, sort_keys=True)
    rows = ",\n".join(json.dumps(row, sort_keys=True) for row in result["rows"])
    write_whole(path, f'{head[:-1]}, "rows": [\n{rows}\n]}}\n')


def summary(result: dict[str, Any]) -> list[str]:
    """Return one line a setting: the mean total variation over seeds of every model, at the most samples."""
    rows: Sequence[dict[str, Any]] = result["rows"]
    most = max(row["samples"] for row in rows)
    lines = []
    for kind, experts, order in sorted({(row["kind"], row["experts"], row["order"]) for row in rows}):
        mine = [r for r in rows if (r["kind"], r["experts"], r["order"], r["samples"]) == (kind, experts, order, most)]
        cells = [f"{name} {np.mean([r['tv'] for r in mine if r['model'] == name]):.4f}" for name in ("dense", *RULES)]
        lines.append(f"{kind}, K = {experts}, order {order}: TV " + ", ".join(cells))
    return lines
