"""OpenGVLab's original InternVL2.5 layout to Transformers' native one, without running any code of the folder.

The configuration is translated, the keys are renamed (``attn.qkv`` is cut in thirds), unknown keys are refused, and the
converted model's logits are compared with a second reading of the same file: the vision tower and projector as the
published code defines them, written here over the original names, in front of the language model.

References:
    Chen et al., "Expanding Performance Boundaries of Open-Source Multimodal Models", arXiv 2412.05271 (InternVL 2.5).
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from ddfm_theory.arrays import unit_roundoff
from ddfm_theory.bridge.extras import need
from ddfm_theory.bridge.folders import diagnose
from ddfm_theory.bridge.images import native_processor
from ddfm_theory.bridge.noise import MARGIN

Tensor = Any  # torch.Tensor
IMAGE_WORD = "<IMG_CONTEXT>"
_TEXT_KINDS = ("qwen2", "llama")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "merges.txt",
                    "added_tokens.json", "special_tokens_map.json", "chat_template.jinja")  # fmt: skip
_RULES = [  # the first that matches renames; all are anchored
    (r"language_model\.lm_head\.weight", "lm_head.weight"),
    (r"language_model\.model\.(.+)", r"model.language_model.\1"),
    (r"mlp1\.0\.(weight|bias)", r"model.multi_modal_projector.layer_norm.\1"),
    (r"mlp1\.1\.(weight|bias)", r"model.multi_modal_projector.linear_1.\1"),
    (r"mlp1\.3\.(weight|bias)", r"model.multi_modal_projector.linear_2.\1"),
    (r"vision_model\.embeddings\.class_embedding", "model.vision_tower.embeddings.cls_token"),
    (r"vision_model\.embeddings\.position_embedding", "model.vision_tower.embeddings.position_embeddings"),
    (
        r"vision_model\.embeddings\.patch_embedding\.(weight|bias)",
        r"model.vision_tower.embeddings.patch_embeddings.projection.\1",
    ),
    (
        r"vision_model\.encoder\.layers\.(\d+)\.attn\.proj\.(weight|bias)",
        r"model.vision_tower.encoder.layer.\1.attention.projection_layer.\2",
    ),
    (
        r"vision_model\.encoder\.layers\.(\d+)\.attn\.([qk]_norm)\.weight",
        r"model.vision_tower.encoder.layer.\1.attention.\2.weight",
    ),
    (
        r"vision_model\.encoder\.layers\.(\d+)\.norm1\.(weight|bias)",
        r"model.vision_tower.encoder.layer.\1.layernorm_before.\2",
    ),
    (
        r"vision_model\.encoder\.layers\.(\d+)\.norm2\.(weight|bias)",
        r"model.vision_tower.encoder.layer.\1.layernorm_after.\2",
    ),
    (r"vision_model\.encoder\.layers\.(\d+)\.ls([12])", r"model.vision_tower.encoder.layer.\1.lambda_\2"),
    (
        r"vision_model\.encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(weight|bias)",
        r"model.vision_tower.encoder.layer.\1.mlp.\2.\3",
    ),
]
_QKV = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.attn\.qkv\.(weight|bias)")


def native_keys(name: str) -> list[str]:
    """Return what an original key is called natively: three names for a fused ``qkv``, in that order, one otherwise.

    Raises:
        ValueError: a key that the layout does not have.
    """
    fused = _QKV.fullmatch(name)
    if fused:
        layer, part = fused.groups()
        return [f"model.vision_tower.encoder.layer.{layer}.attention.{side}_proj.{part}" for side in "qkv"]
    for pattern, replacement in _RULES:
        if re.fullmatch(pattern, name):
            return [re.sub(pattern, replacement, name)]
    raise ValueError(f"keys must be those of the original InternVL2.5 layout, {name!r} is none")


def native_config(original: dict[str, Any], image_token: int) -> Any:
    """Return the native configuration of an original ``config.json``.

    Raises:
        ValueError: another model, another language model, or an option that the native class lacks.
    """
    _require(original, "model_type", "internvl_chat")
    _require(original, "ps_version", "v2")
    text = dict(original["llm_config"])
    if text.get("model_type") not in _TEXT_KINDS:
        raise ValueError(f"llm_config must be of {_TEXT_KINDS}, was {text.get('model_type')!r}")
    kind = text.pop("model_type")
    text = {key: value for key, value in text.items() if key not in ("auto_map", "torch_dtype", "architectures")}
    vision = _vision(original["vision_config"], original.get("force_image_size"))
    ratio = float(original.get("downsample_ratio", 0.5))
    side = int(vision["image_size"] // vision["patch_size"] * ratio)
    transformers = need("transformers")
    return transformers.InternVLConfig(
        vision_config=vision,
        text_config=transformers.CONFIG_MAPPING[kind](**text).to_dict(),
        image_token_id=image_token,
        image_seq_length=side * side,
        downsample_ratio=ratio,
        vision_feature_layer=original.get("select_layer", -1),
        tie_word_embeddings=bool(text.get("tie_word_embeddings", original.get("tie_word_embeddings", False))),
    )


def _require(config: dict[str, Any], key: str, value: Any) -> None:
    if config.get(key) != value:
        raise ValueError(f"{key} of config.json must be {value!r}, was {config.get(key)!r}")


def _vision(original: dict[str, Any], forced: int | None) -> dict[str, Any]:
    same = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "num_channels",
            "patch_size", "hidden_act", "layer_norm_eps", "norm_type", "attention_dropout")  # fmt: skip
    out = {key: original[key] for key in same if key in original}
    out["image_size"] = forced or original["image_size"]
    out["attention_bias"] = bool(original.get("qkv_bias", False))
    out["use_qk_norm"] = bool(original.get("qk_normalization", True))
    return out


def native_state(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under their native names, ``qkv`` cut in thirds."""
    out: dict[str, Tensor] = {}
    for name, value in tensors.items():
        keys = native_keys(name)
        out.update(zip(keys, value.chunk(len(keys)), strict=True))
    return out


def original_logits(config: Any, tensors: dict[str, Tensor], pixels: Tensor, ids: Tensor) -> Tensor:
    """Return the logits of an original checkpoint by its own names: its tower, its projector, its language model.

    Args:
        config: the native configuration (for sizes alone).
        tensors: the original tensors.
        pixels: shape (n, C, H, W).
        ids: shape (1, L), the image tokens of n tiles among them.
    """
    language = need("transformers").AutoModelForCausalLM.from_config(config.text_config).float().eval()
    prefix = "language_model."
    state = {name.removeprefix(prefix): v.float() for name, v in tensors.items() if name.startswith(prefix)}
    if "lm_head.weight" not in state:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    language.load_state_dict(state)
    with torch.no_grad():
        embedded = language.get_input_embeddings()(ids)
        embedded[ids == config.image_token_id] = original_features(config, tensors, pixels).flatten(0, 1)
        return language(inputs_embeds=embedded).logits


def original_features(config: Any, tensors: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """Return what the original tower and projector make of images: (n, C, H, W) to (n, tokens, width)."""
    vision, functional = config.vision_config, torch.nn.functional
    get = {name.removeprefix("vision_model."): value.float() for name, value in tensors.items()}
    kernel, bias = get["embeddings.patch_embedding.weight"], get["embeddings.patch_embedding.bias"]
    patches = functional.conv2d(pixels, kernel, bias, stride=tuple(vision.patch_size))
    rows, columns = patches.shape[-2:]
    x = torch.cat(
        [get["embeddings.class_embedding"].expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], 1
    )
    x = x + get["embeddings.position_embedding"]
    for i in range(vision.num_hidden_layers):
        x = _block(vision, {k.removeprefix(f"encoder.layers.{i}."): v for k, v in get.items()}, x)
    grid = x[:, 1:].reshape(len(pixels), rows, columns, -1)
    fold = round(1 / config.downsample_ratio)  # each fold x fold square of patches becomes one token, row by row
    grid = (
        grid.reshape(len(pixels), rows // fold, fold, columns // fold, fold, -1)
        .transpose(2, 3)
        .flatten(1, 2)
        .flatten(2)
    )
    normed = functional.layer_norm(grid, grid.shape[-1:], get["mlp1.0.weight"], get["mlp1.0.bias"])
    hidden = functional.gelu(functional.linear(normed, get["mlp1.1.weight"], get["mlp1.1.bias"]))
    return functional.linear(hidden, get["mlp1.3.weight"], get["mlp1.3.bias"])


def _block(vision: Any, get: dict[str, Tensor], x: Tensor) -> Tensor:
    """One encoder layer by its definition: x + ls1 attention(norm1 x), then x + ls2 mlp(norm2 x)."""
    functional, heads, eps = torch.nn.functional, vision.num_attention_heads, vision.layer_norm_eps

    def norm(values: Tensor, name: str) -> Tensor:
        if vision.norm_type == "rms_norm":
            return values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + eps) * get[f"{name}.weight"]
        return functional.layer_norm(values, values.shape[-1:], get[f"{name}.weight"], get[f"{name}.bias"], eps)

    q, k, v = functional.linear(norm(x, "norm1"), get["attn.qkv.weight"], get.get("attn.qkv.bias")).chunk(3, dim=-1)
    if "attn.q_norm.weight" in get:
        q, k = (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + eps) * get[f"attn.{s}_norm.weight"]
                for y, s in ((q, "q"), (k, "k")))  # fmt: skip
    q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v))
    weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
    attended = (weights @ v).transpose(1, 2).flatten(2)
    x = x + get["ls1"] * functional.linear(attended, get["attn.proj.weight"], get["attn.proj.bias"])
    hidden = functional.gelu(functional.linear(norm(x, "norm2"), get["mlp.fc1.weight"], get["mlp.fc1.bias"]))
    return x + get["ls2"] * functional.linear(hidden, get["mlp.fc2.weight"], get["mlp.fc2.bias"])


def find_image_token(place: Path) -> int:
    """Return the id of ``<IMG_CONTEXT>`` by the tokenizer's files.

    Raises:
        ValueError: none of them names it.
    """
    added = place / "added_tokens.json"
    if added.exists() and IMAGE_WORD in (words := json.loads(added.read_text(encoding="utf-8"))):
        return int(words[IMAGE_WORD])
    full = place / "tokenizer.json"
    if full.exists():
        for entry in json.loads(full.read_text(encoding="utf-8")).get("added_tokens", []):
            if entry["content"] == IMAGE_WORD:
                return int(entry["id"])
    raise ValueError(f"tokenizer of {place} must name {IMAGE_WORD}, did not: give image_token")


def convert_internvl(source: Any, destination: Any, image_token: int | None = None) -> dict[str, float]:
    """Convert an original checkpoint folder, check its logits, and write a native one, whole or not at all.

    Args:
        source: the folder in the original layout.
        destination: the folder to write, which must not be there yet.
        image_token: the id of the image placeholder; None finds it in the tokenizer's files.

    Returns:
        ``residual``, the largest difference of logits from the second reading, ``noise``, the largest between two
        evaluation orders of the converted model, and ``bound``, which the residual does not exceed.

    Raises:
        ValueError: another layout, unknown or missing keys, or logits that differ beyond the bound.
    """
    place, target = Path(source), Path(destination)
    found = diagnose(place).require()
    if found.kind != "internvl-original":
        raise ValueError(f"source must be a folder in the original InternVL layout, {place} is {found.kind}")
    if target.exists():
        raise ValueError(f"destination must not be there yet, was {target}")
    original = json.loads((place / "config.json").read_text(encoding="utf-8"))
    config = native_config(original, find_image_token(place) if image_token is None else image_token)
    tensors, processor = _read(place), native_processor(original)
    model = _native_model(config, native_state(tensors))
    evidence = check_logits(model, config, tensors)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as draft:
        folder = Path(draft) / target.name
        model.to(next(iter(tensors.values())).dtype).save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n", encoding="utf-8")
        for name in _TOKENIZER_FILES:
            if (place / name).exists():
                shutil.copy(place / name, folder / name)
        folder.rename(target)
    return evidence


def _read(place: Path) -> dict[str, Tensor]:
    load_file = need("safetensors.torch").load_file
    return {name: value for file in sorted(place.glob("*.safetensors")) for name, value in load_file(file).items()}


def _native_model(config: Any, state: dict[str, Tensor]) -> Any:
    model = need("transformers").InternVLForConditionalGeneration(config).float().eval()
    lost, extra = model.load_state_dict(state, strict=False)
    lost = [name for name in lost if not (name == "lm_head.weight" and config.tie_word_embeddings)]
    if lost or extra:
        raise ValueError(f"weights must fill the configuration, lacked {lost[:1]} and had {extra[:1]} beside")
    return model


def check_logits(model: Any, config: Any, tensors: dict[str, Tensor]) -> dict[str, float]:
    """Compare the converted model's logits with the second reading of the original.

    Raises:
        ValueError: they differ by more than ``MARGIN`` times the noise between two evaluation orders.
    """
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, config.vision_config.num_channels, *config.vision_config.image_size, generator=generator)
    words = torch.randint(0, min(1000, config.image_token_id), (1, 8), generator=generator)
    ids = torch.cat([words[:, :3], torch.full((1, config.image_seq_length), config.image_token_id), words[:, 3:]], 1)
    with torch.no_grad():
        fused = model(input_ids=ids, pixel_values=pixels).logits
        model.set_attn_implementation("eager")
        plain = model(input_ids=ids, pixel_values=pixels).logits
        model.set_attn_implementation("sdpa")
    floor = 2 * unit_roundoff(torch.float32) * float(fused.abs().max())
    noise = max(float((fused - plain).abs().max()), floor)
    residual = float((fused - original_logits(config, tensors, pixels, ids)).abs().max())
    if not residual <= MARGIN * noise:
        raise ValueError(
            f"converted logits must equal the original's up to {MARGIN * noise:.3g}, differed by {residual:.3g}"
        )
    return {"residual": residual, "noise": noise, "bound": MARGIN * noise}
