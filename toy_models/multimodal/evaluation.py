"""What is measured on trained checkpoints: scores of every variant, and the close look at the base variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import BayesFilter, CheckpointExpert, Ensemble, FixedPrior
from ddfm_theory.partition import Partition
from toy_models.multimodal.answering import Asked, Routed, alone, answer, by_row, majority, remembering, shuffled
from toy_models.multimodal.folders import Row, images_of
from toy_models.multimodal.plan import Variant
from toy_models.multimodal.scoring import by_category, scored
from toy_models.multimodal.terms import (
    SOFT,
    Rule,
    account,
    along,
    bounds,
    c12_residual,
    dense_laws,
    learned_term,
    read,
    rules,
)
from toy_models.multimodal.units import Run

Array = Any


def tested(run: Run) -> list[str]:
    """Return the parts that models are tested on."""
    return [part for part in ("test", "shifted") if part in run.data]


def scores(run: Run, variant: Variant | None, seed: int) -> dict[str, Any]:
    """Return the scores of a variant with argmax routing, or of the dense model, by part; its mismatch and its work."""
    experts, out = run.experts(variant, seed), {}
    partition = None if variant is None else run.partition(variant, seed)
    for part in tested(run):
        rows = run.rows(part)
        asked, weights = Asked(run.data[part], rows, experts[0]), None
        if variant is not None and partition is not None:
            weights = by_row(rows, partition.route(run.features(variant.encoder, part), rule=inferred(partition)))
        ensemble = alone(experts[0]) if variant is None else Ensemble(experts, Routed(variant.experts))
        out[part] = scored(rows, answer(ensemble, asked, weights))
    if variant is None:
        out |= controls(run, experts[0])
    return out if partition is None or variant is None else {**out, "partition": told(run, partition, variant)}


def inferred(partition: Partition) -> str:
    """Return the rule that inference follows: the nearest centroid's, of fine centroids where there are such."""
    return "fine" if "fine" in partition.rules else "centroids"


def told(run: Run, partition: Partition, variant: Variant) -> dict[str, Any]:
    """Return what becomes of a partition: sizes, mismatch of routing and labels (C11), and the groups of its shards."""
    rows = run.rows("train")
    group = {row.image: row.group for row in rows}
    names = [group[image] for image in images_of(rows)]
    labels = np.asarray(partition.labels)
    mixed = {name: np.bincount(labels[[n == name for n in names]], minlength=len(partition)).tolist()
             for name in sorted(set(names))}  # fmt: skip
    mismatch = partition.mismatch(run.features(variant.encoder, "train"), rule=inferred(partition))
    return {"sizes": partition.sizes.tolist(), "mismatch": mismatch.share, "groups": mixed}


def controls(run: Run, dense: Any) -> dict[str, Any]:
    """Return what a table of questions reaches, and the dense model where every image is another row's."""
    rows = run.rows("test")
    blind = Asked(run.data["test"], rows, dense, shuffled(rows, 0))
    return {"question only": scored(rows, majority(run.rows("train"), rows)),
            "shuffled images": scored(rows, answer(alone(dense), blind))}  # fmt: skip


def some(run: Run, part: str) -> list[Row]:
    """Return the rows of each so-manieth image of a part."""
    rows = run.rows(part)
    kept = set(images_of(rows)[:: run.preset.every])
    return [row for row in rows if row.image in kept]


@dataclass(frozen=True)
class Look:
    """A close look at the base variant on some test rows: experts, dense model, rows, k* of each, routing rules."""

    experts: list[CheckpointExpert]
    dense: CheckpointExpert
    partition: Partition
    asked: Asked
    own: Array
    rules: dict[str, Rule]


def look(run: Run, seed: int) -> Look:
    """Load what :func:`routed` looks at."""
    base, rows, every = run.preset.base, some(run, "test"), run.rows("test")
    partition, dense = run.partition(base, seed), run.experts(None, seed)[0]
    experts = [remembering(expert) for expert in run.experts(base, seed)]
    place = {row.id: i for i, row in enumerate(every)}
    seen = by_row(every, run.features(base.encoder, "test"))[[place[row.id] for row in rows]]
    found = rules(partition, run.features(base.encoder, "train"), seen, run.preset.temperature)
    own = partition.assign(seen, rule=label_rule(partition))
    return Look(experts, remembering(dense), partition, Asked(run.data["test"], rows, experts[0]), own, found)


def routed(run: Run, seed: int) -> dict[str, Any]:
    """Return, for the base variant, each routing rule's scores and terms, and the laws beside the dense model's."""
    at, out = look(run, seed), {"rules": {}, "bounds": {}}
    central, laws, nats = read(alone(at.dense), at.asked)[0], dense_laws(at.dense, at.asked), {}
    for name, rule in at.rules.items():
        ensemble = rule.ensemble(at.experts)
        out["rules"][name] = scored(at.asked.rows, answer(ensemble, at.asked, rule.seen))["metrics"]
        out["bounds"][name] = bounds(laws, rule, at.experts, at.asked, at.own, name in SOFT)
        nats[name], each, after = read(ensemble, at.asked, rule.seen)
        if name == "filter from prior":
            shares = at.partition.sizes / at.partition.sizes.sum()
            out["c12 residual"] = c12_residual(nats[name], each, after, shares, at.own)
            out["c12 bound"] = gamma(np.float64, 64) * float(1 + each.max())
    return {**out, **further(at), **told_apart(at, account(central, each, nats, at.own))}


def further(at: Look) -> dict[str, Any]:
    """Return the distances along answers under one-hot and gated routing, and what a soft router knows of k*."""
    near = {name: along(at.rules[name], at.experts, at.dense, at.asked) for name in ("argmax", "top-2")}
    soft = {name: at.rules[name] for name in ("soft", "learned")}
    routers = {name: rule.router.prior(rule.seen, len(at.own)).exp().numpy() for name, rule in soft.items()}
    return {"along": near, "learned term": {name: learned_term(router, at.own) for name, router in routers.items()}}


def told_apart(at: Look, terms: dict[str, Array]) -> dict[str, Any]:
    """Return the means of the terms, of all rows and of each kind of question."""
    kept = ("expert term", "argmax: router term", "argmax: gap")
    return {"terms": {name: float(values.mean()) for name, values in terms.items()},
            "by category": {name: by_category(at.asked.rows, terms[name].tolist()) for name in kept}}  # fmt: skip


def label_rule(partition: Partition) -> str:
    """Return the rule that gives the labels of the training images: the balanced ones' where they are balanced."""
    return "prices" if "prices" in partition.rules else inferred(partition)


def moved(nats: Array, before: Array, after: Array) -> Array:
    """Return, row by row, by how much a change of one-hot routing changes the nats of an answer.

    Args:
        nats: of each answer under each expert, shape (K, n).
        before: the expert of each row, shape (n,); ``after`` likewise.
        after: after the change.
    """
    at = np.arange(nats.shape[1])
    return nats[after, at] - nats[before, at]


def dynamic(run: Run, seed: int) -> dict[str, Any]:
    """Return what dropping each expert, and adding one of the other style, does: predicted, and measured on tests.

    Under one-hot routing only rows that change their expert change their law. The prediction takes rows of training
    images: the share that moves, and the nats by which their answers change; the total variation can move by no more
    than that share (C15).
    """
    base, partition = run.preset.base, run.partition(run.preset.base, seed)
    experts, out = run.experts(base, seed), {"dropped": [], "added": {}}
    held = {part: nats_of(run, experts, part) for part in ("train", "test")}
    for j in range(len(partition)):
        change = {part: dropping(partition, seen, nats, j) for part, (seen, nats) in held.items()}
        out["dropped"].append(compared(change["train"], change["test"]))
    if "added" in run.data:
        more = [*experts, run.experts_added(seed)]
        centers = with_center(partition, run.features(base.encoder, "added"))
        held = {part: nats_of(run, more, part) for part in ("added", "test", "shifted")}
        change = {part: adding(centers, seen, nats) for part, (seen, nats) in held.items()}
        out["added"] = {"shifted": compared(change["added"], change["shifted"]),
                        "test": {f"measured {name}": v for name, v in change["test"].items()},
                        "scores": added_scores(run, more, centers)}  # fmt: skip
    return out


def nats_of(run: Run, experts: Any, part: str, most: int = 240) -> tuple[Array, Array]:
    """Return features (n, D) and the nats of each answer under each expert (K, n), on rows of some images of a part."""
    rows = run.rows(part)
    images = images_of(rows)
    kept = set(images[:: max(1, len(images) // most * 2)])
    chosen = [i for i, row in enumerate(rows) if row.image in kept]
    seen = by_row(rows, run.features(run.preset.base.encoder, part))[chosen]
    ensemble = Ensemble(experts, BayesFilter(FixedPrior.uniform(len(experts))))
    return seen, read(ensemble, Asked(run.data[part], [rows[i] for i in chosen], experts[0]))[1]


def dropping(partition: Partition, seen: Array, nats: Array, j: int) -> dict[str, float]:
    """Return the share of rows that lose their expert, and the change in nats an answer over all rows."""
    cosines = partition.scores(seen).astype(np.float64)
    before, cosines[:, j] = cosines.argmax(axis=1), -np.inf
    after = cosines.argmax(axis=1)
    return {"share": float((before != after).mean()), "nats": float(moved(nats, before, after).mean())}


def adding(centers: Partition, seen: Array, nats: Array) -> dict[str, float]:
    """Return the share of rows that go to the last expert, and the change in nats an answer over all rows."""
    cosines = centers.scores(seen)
    before, after = cosines[:, :-1].argmax(axis=1), cosines.argmax(axis=1)
    return {"share": float((before != after).mean()), "nats": float(moved(nats, before, after).mean())}


def compared(predicted: dict[str, float], measured: dict[str, float]) -> dict[str, float]:
    """Return a prediction beside what came."""
    return {f"{kind} {name}": value for kind, of in (("predicted", predicted), ("measured", measured))
            for name, value in of.items()}  # fmt: skip


def with_center(partition: Partition, features: Array) -> Partition:
    """Return centroids with one more, the direction of the mean of some features at length one."""
    wide = features / np.linalg.norm(features, axis=1, keepdims=True)
    mean = wide.mean(axis=0)
    return Partition(centroids=np.concatenate([partition.centroids, (mean / np.linalg.norm(mean))[None]]))


def added_scores(run: Run, experts: Any, centers: Partition) -> dict[str, Any]:
    """Return the metrics on both parts with one expert more."""
    out = {}
    for part in tested(run):
        rows = run.rows(part)
        weights = by_row(rows, centers.route(run.features(run.preset.base.encoder, part)))
        asked = Asked(run.data[part], rows, experts[0])
        out[part] = scored(rows, answer(Ensemble(experts, Routed(len(experts))), asked, weights))["metrics"]
    return out
