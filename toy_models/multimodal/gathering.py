"""The result: measurements of all seeds as means with their intervals, over seeds by Student's t."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from toy_models.multimodal.plan import Variant, jobs
from toy_models.multimodal.training import REPORT
from toy_models.multimodal.units import Run

Measure = Callable[[Run, str, Variant | None, int], Any]


def stat(values: Sequence[float]) -> dict[str, Any]:
    """Return values of all seeds with their mean and its 95 % interval by Student's t; of one seed the value alone."""
    found = np.asarray(values, dtype=float)
    wide = float(student.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5) if len(found) > 1 else 0.0
    mean = float(found.mean())
    return {"mean": mean, "low": mean - wide, "high": mean + wide, "values": found.tolist()}


def merged(found: Sequence[Any]) -> Any:
    """Return plain data of equal form, one a seed, as one, with numbers as :func:`stat`."""
    first = found[0]
    if isinstance(first, dict):
        return {key: merged([one[key] for one in found]) for key in first}
    if isinstance(first, list):
        return [merged([one[i] for one in found]) for i in range(len(first))]
    return stat(found)


def less(found: Sequence[dict[str, float]], other: Sequence[dict[str, float]]) -> Any:
    """Return the differences seed by seed, with their intervals."""
    return merged([{key: one[key] - two[key] for key in one} for one, two in zip(found, other, strict=True)])


def gathered(run: Run, measure: Measure) -> dict[str, Any]:
    """Return the result of a run whose units are done."""
    seeds, base, what = run.preset.seeds, run.preset.base, ("dynamic",) if run.preset.dynamic else ()
    dense, experts = ([measure(run, "scores", variant, seed) for seed in seeds] for variant in (None, base))
    close = [measure(run, "routed", base, seed) for seed in seeds]
    parts = [part for part in ("test", "shifted") if part in dense[0]]
    return {
        "main": {part: table(dense, experts, part) for part in parts},
        "controls": {name: merged([one[name]["metrics"] for one in dense])
                     for name in ("question only", "shuffled images")},
        "categories": categories(dense, experts, close),
        "budget": {str(one.preset.dense.steps): budget(one, measure) for one in (run, *run.longer())},
        "ablations": {name: ablation(run, name, variants, measure) for name, variants in run.preset.ablations.items()},
        "routing": merged([one["rules"] for one in close]),
        "terms": merged([one["terms"] for one in close]),
        "bounds": merged([one["bounds"] for one in close]),
        "along answers": merged([one["along"] for one in close]),
        "learned term": merged([one["learned term"] for one in close]),
        "c12": {"residual": max(one["c12 residual"] for one in close), "bound": min(one["c12 bound"] for one in close)},
        **{name: merged([measure(run, name, base, seed) for seed in seeds]) for name in what},
        "work": work(run),
    }  # fmt: skip


def table(dense: Sequence[Any], experts: Sequence[Any], part: str) -> dict[str, Any]:
    """Return the metrics of dense model and experts on a part, and the experts' less the dense model's."""
    both = [[one[part]["metrics"] for one in found] for found in (dense, experts)]
    return {"dense": merged(both[0]), "experts": merged(both[1]), "difference": less(both[1], both[0])}


def budget(run: Run, measure: Measure) -> dict[str, Any]:
    """Return the table of the test part at a run's steps, and the terms of the gap under argmax routing."""
    seeds, base = run.preset.seeds, run.preset.base
    dense, experts = ([measure(run, "scores", variant, seed) for seed in seeds] for variant in (None, base))
    terms = merged([measure(run, "routed", base, seed)["terms"] for seed in seeds])
    names = {"dense": "dense", "gap": "argmax: gap", "expert term": "expert term",
             "router term": "argmax: router term"}  # fmt: skip
    return {**table(dense, experts, "test"), "nats": {name: terms[key] for name, key in names.items()}}


def categories(dense: Sequence[Any], experts: Sequence[Any], close: Sequence[Any]) -> dict[str, Any]:
    """Return by what is asked the share of right answers, its difference, and the terms of the gap in nats."""
    out = {}
    for name in experts[0]["test"]["categories"]:
        both = [[one["test"]["categories"][name] for one in found] for found in (dense, experts)]
        out[name] = {"dense": stat(both[0]), "experts": stat(both[1]),
                     "difference": stat([b - a for a, b in zip(*both, strict=True)])}  # fmt: skip
        for term in ("argmax: gap", "expert term", "argmax: router term"):
            held = [one["by category"][term].get(name) for one in close]
            if None not in held:
                out[name][term.removeprefix("argmax: ")] = stat(held)
    return out


def ablation(run: Run, what: str, variants: Sequence[Variant], measure: Measure) -> dict[str, Any]:
    """Return the metrics of variants by what sets them apart, the mismatch of their routing, and their shares."""
    out = {}
    for variant in variants:
        dense = variant.experts == 1
        found = [measure(run, "scores", None if dense else variant, seed) for seed in run.preset.seeds]
        row = {"metrics": merged([one["test"]["metrics"] for one in found]), "variant": vars(variant)}
        if not dense:
            told = [one["partition"] for one in found]
            row |= {"mismatch": stat([one["mismatch"] for one in told]), "sizes": [one["sizes"] for one in told],
                    "groups": [one["groups"] for one in told]}  # fmt: skip
        out[str(getattr(variant, "method" if what == "clustering" else what))] = row
    return out


def work(run: Run) -> dict[str, Any]:
    """Return rows, and steps, operations and seconds of trainings: steps and operations of dense and experts agree.

    Seconds are of the clock, each training by itself, so that they add up to more where several run at a time.
    """
    base, seed = run.preset.base, run.preset.seeds[0]
    places = {"dense": [run.model(None, seed)], "start": [run.start],
              "experts": [run.model(base, seed, k) for k in range(base.experts)],
              "all": [run.start, *(run.model(variant, s, k) for s, variant, k in jobs(run.preset)),
                      *(run.added(s) for s in run.preset.seeds if "added" in run.data and run.preset.dynamic),
                      *(more.model(v, s, k) for more in run.longer() for s, v, k in jobs(more.preset))]}  # fmt: skip
    out: dict[str, Any] = {"train rows": len(run.rows("train")), "test rows": len(run.rows("test"))}
    for name, folders in places.items():
        told = [json.loads((folder / REPORT).read_text(encoding="utf-8")) for folder in folders]
        out[name] = {"trainings": len(told), "steps": sum(one["settings"]["steps"] for one in told),
                     "flops": sum(one["settings"]["steps"] * one["flops_a_step"] for one in told),
                     "seconds": round(sum(one["seconds"] for one in told), 1)}  # fmt: skip
    return out
