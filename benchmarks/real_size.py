"""Checkpoints of real size with random weights: every check of the bridge, memory and time.

    python -m benchmarks.real_size --model internvl-1b --experts 4 --dtype bfloat16 --device cuda --out FILE.json

Models: ``llava-7b`` (LLaVA-1.5-7B), ``internvl-1b`` (InternVL2.5-1B), with the exact sizes of the published ones, and
``tiny``, which shows that this runs (``--quick``: that one, with few steps). Times: see ``real_speed``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import write
from benchmarks.real_speed import CACHES, speed, twins
from ddfm_theory.bridge import BayesFilter, Case, CheckpointExpert, Ensemble, FixedPrior, Prompts, conformance

PUBLISHED = {"llava-7b": 7_063_427_072, "internvl-1b": 938_193_024}


def llava(width: int, inner: int, layers: int, heads: int, vocabulary: int, vision: dict[str, int]) -> Any:
    """Return a configuration of LLaVA-1.5's architecture."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    text = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, rms_norm_eps=1e-5, max_position_embeddings=4096,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    return LlavaConfig(
        vision_config=CLIPVisionConfig(**vision), text_config=text, image_token_index=vocabulary - 64,
        image_seq_length=patches, vision_feature_layer=-2, vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )  # fmt: skip


def internvl() -> Any:
    """Return the configuration of InternVL2.5-1B: InternViT-300M and Qwen2.5-0.5B, untied."""
    from transformers import InternVLConfig, InternVLVisionConfig, Qwen2Config

    vision = InternVLVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=448,
        patch_size=14, attention_bias=True, use_qk_norm=False, layer_norm_eps=1e-6, layer_scale_init_value=0.1,
        use_absolute_position_embeddings=True, use_mean_pooling=True,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=151_674, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, rope_theta=1e6, tie_word_embeddings=False,
    )  # fmt: skip
    return InternVLConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), image_token_id=151_667, image_seq_length=256,
        downsample_ratio=0.5, tie_word_embeddings=False,
    )  # fmt: skip


def _clip(width: int, inner: int, layers: int, heads: int, side: int, patch: int) -> dict[str, int]:
    return {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, "image_size": side, "patch_size": patch}  # fmt: skip


MODELS: dict[str, Callable[[], Any]] = {
    "llava-7b": lambda: llava(4096, 11008, 32, 32, 32_064, _clip(1024, 4096, 24, 16, 336, 14)),
    "internvl-1b": internvl,
    "tiny": lambda: llava(32, 48, 2, 4, 96, _clip(16, 32, 2, 2, 8, 4)),
}


def build(name: str, seed: int, dtype: Any, device: str) -> CheckpointExpert:
    """Return an expert of random weights, made where it will live."""
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(seed)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(MODELS[name](), dtype=dtype)
    return CheckpointExpert(model, name=f"{name}, seed {seed}")


def prompts(expert: CheckpointExpert, rows: int, length: int) -> Prompts:
    """Return prompts of unlike lengths, one image each."""
    generator = torch.Generator().manual_seed(0)
    config = expert.model.config
    side = config.vision_config.image_size
    height, width = (side, side) if isinstance(side, int) else side
    pixels = torch.rand((rows, 3, height, width), generator=generator)
    words = torch.randint(3, 60, (rows, length), generator=generator).tolist()
    shown = [int(expert.image_token)] * config.image_seq_length  # type: ignore[arg-type]
    return Prompts([[1, *shown, *row[: length - b]] for b, row in enumerate(words)], pixels)


def run(name: str, count: int, dtype: str, device: str, *, length: int, steps: int, runs: int, timed: bool) -> Any:
    """Build K experts, check them on two prompts, and time them."""
    start = time.perf_counter()
    experts = [build(name, seed, getattr(torch, dtype), device) for seed in range(count)]
    built = time.perf_counter() - start
    shown = prompts(experts[0], 2, length)
    answers = [[7, 11, 13, 17], [19, 23]]
    start, records = time.perf_counter(), []
    for cache in CACHES:
        ensemble = Ensemble(twins(experts, cache), BayesFilter(FixedPrior.uniform(count)))
        for record in conformance(Case(ensemble, shown, answers)):
            print(f"{cache}: {record.name}: {record.outcome}, {record.residual:.3g} of {record.bound:.3g}", flush=True)
            bound = None if record.bound == float("inf") else record.bound
            records.append({**asdict(record), "bound": bound, "cache": cache})
    return {
        "transformers": version("transformers"),
        "model": name, "experts": count, "dtype": dtype, "seeds": list(range(count)),
        "device": device if device == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(), "parameters": sum(p.numel() for p in experts[0].model.parameters()),
        "published": PUBLISHED.get(name), "vocabulary": experts[0].vocabulary, "prompt": len(shown.ids[0]),
        "build_seconds": built, "check_seconds": time.perf_counter() - start, "records": records,
        "speed": speed(experts, shown.select([0]), device, steps, runs) if timed else None,
        "peak_bytes": torch.cuda.max_memory_allocated() if device != "cpu" else _resident(),
    }  # fmt: skip


def _resident() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(arguments: list[str] | None = None) -> None:
    """Run and print, and write where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_size", description=__doc__)
    parser.add_argument("--model", choices=sorted(MODELS), default="tiny")
    parser.add_argument("--experts", type=int, default=2)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--length", type=int, default=16, help="words of the longer prompt, beside its image")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-times", action="store_true", help="checks alone, as on a busy machine")
    parser.add_argument("--quick", action="store_true", help="the tiny model, few steps: shows that this runs")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    if given.quick:
        given.model, given.steps, given.runs = "tiny", 2, 1
    with torch.no_grad():
        result = run(given.model, given.experts, given.dtype, given.device, length=given.length, steps=given.steps,
                     runs=given.runs, timed=not given.no_times)  # fmt: skip
    print(json.dumps({key: value for key, value in result.items() if key != "records"}, indent=1))
    if given.out:
        write(given.out, result)


if __name__ == "__main__":
    main()
