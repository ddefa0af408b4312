"""Seconds a token of checkpoints of real size: one model, mixtures of several, and what they are measured against.

Each is the time of ``steps`` tokens behind a prompt with its image, less that of one token, so without the prefill.

=================  ========================================================================
``one``            one expert's own cached step
``mixture_K``      a greedy step of the mixture of the first K experts
``top_1``          the same of all experts, routed to one
``generate``       Transformers' greedy ``generate`` of one dense model
``read``           reading all experts' weights once, a time which no step of theirs can beat
=================  ========================================================================

``static`` beside a name: with the static cache, which on a GPU is compiled into CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.common import alternate, medians
from ddfm_theory.bridge import BayesFilter, CheckpointExpert, Ensemble, FixedPrior, PaperRouter, Prompts

CACHES = ("dynamic", "static")


def twins(experts: list[CheckpointExpert], cache: str) -> list[CheckpointExpert]:
    """Return experts over the same weights with another cache."""
    return [CheckpointExpert(expert.model, expert.tokenizer, expert.name, cache) for expert in experts]


def texts(experts: list[CheckpointExpert], shown: Prompts, cache: str) -> dict[str, Callable[[int], Any]]:
    """Return by name what makes a text of so many tokens."""
    held = twins(experts, cache)
    counts = sorted({1, 2, len(held)} & set(range(1, len(held) + 1)))
    routed, features = Ensemble(held, PaperRouter(np.eye(len(held)))), torch.eye(len(held))[:1]

    def one(count: int) -> None:
        prefix, token = held[0].prefill(shown), torch.tensor([5])
        for _ in range(count - 1):
            prefix.step(token)

    def mixture(k: int) -> Callable[[int], Any]:
        ensemble = Ensemble(held[:k], BayesFilter(FixedPrior.uniform(k)))
        return lambda count: ensemble.generate(shown, greedy=True, max_new_tokens=count)

    out: dict[str, Callable[[int], Any]] = {f"one {cache}": one, f"generate {cache}": dense(held[0], shown, cache)}
    out |= {f"mixture_{k} {cache}": mixture(k) for k in counts}
    out[f"top_1 {cache}"] = lambda count: routed.generate(shown, features, greedy=True, max_new_tokens=count)
    return out


def dense(expert: CheckpointExpert, shown: Prompts, cache: str) -> Callable[[int], Any]:
    """Return Transformers' own greedy generation of one model; its static cache is compiled on a GPU as well."""
    ids, mask = shown.padded(device=expert.device)
    pixels = shown.pixel_values.to(expert.device, expert.model.dtype)  # type: ignore[union-attr]
    extra = {"cache_implementation": "static"} if cache == "static" else {}
    return lambda count: expert.model.generate(
        input_ids=ids, attention_mask=mask, pixel_values=pixels, max_new_tokens=count, min_new_tokens=count,
        do_sample=False, pad_token_id=0, **extra,
    )  # fmt: skip


def finished(call: Callable[[], Any], device: str) -> Callable[[], Any]:
    """Return a call that ends when the device has done its work."""
    return call if device == "cpu" else lambda: (call(), torch.cuda.synchronize())


def speed(experts: list[CheckpointExpert], shown: Prompts, device: str, steps: int, runs: int) -> dict[str, Any]:
    """Return seconds a token by name, and the ratios that are aimed at."""
    makers = {name: make for cache in CACHES for name, make in texts(experts, shown, cache).items()}
    weights = [value for expert in experts for value in expert.model.parameters()]
    calls: dict[str, Callable[[], Any]] = {"prefill": lambda: experts[0].prefill(shown)}
    calls |= {"read": lambda: [value.sum() for value in weights]}
    for name, make in makers.items():
        calls |= {f"{name} first": lambda make=make: make(1), f"{name} all": lambda make=make: make(steps + 1)}
    found = medians(alternate(runs, **{name: finished(call, device) for name, call in calls.items()}))
    seconds = {name: (found[f"{name} all"] - found[f"{name} first"]) / steps for name in makers}
    seconds |= {name: found[name] for name in ("prefill", "read")}
    return {"seconds": seconds, "ratios": ratios(seconds, len(experts))}


def ratios(seconds: dict[str, float], count: int) -> dict[str, float]:
    """Return what is aimed at, by name.

    The mixture of two against twice one model's step (at most 1.1) and against ``generate`` of one dense model (below 1
    on a GPU); reading the weights once against the mixture of all (at least 0.5); top-1 against one model (1); the
    mixture of all against that of one, an expert (1: cost linear in K).
    """
    out = {}
    for cache in CACHES:
        two, every = seconds[f"mixture_{min(2, count)} {cache}"], seconds[f"mixture_{count} {cache}"]
        out |= {
            f"mixture_2 over twice one {cache}": two / (2 * seconds[f"one {cache}"]),
            f"mixture_2 {cache} over generate dynamic": two / seconds["generate dynamic"],
            f"mixture_2 {cache} over generate {cache}": two / seconds[f"generate {cache}"],
            f"read over mixture {cache}": seconds["read"] / every,
            f"top_1 over one {cache}": seconds[f"top_1 {cache}"] / seconds[f"one {cache}"],
            f"mixture over count times mixture_1 {cache}": every / (count * seconds[f"mixture_1 {cache}"]),
        }
    return out
