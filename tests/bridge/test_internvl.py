import json
import re

import pytest
import torch

from ddfm_theory.bridge import diagnose, load_expert
from ddfm_theory.bridge.internvl import convert_internvl, native_keys


def original_names(state):
    """The inverse map, written apart: native names to original ones, q, k and v fused."""
    out, fused = {}, {}
    swaps = [
        ("model.language_model.", "language_model.model."), ("lm_head.", "language_model.lm_head."),
        ("model.multi_modal_projector.layer_norm", "mlp1.0"), ("model.multi_modal_projector.linear_1", "mlp1.1"),
        ("model.multi_modal_projector.linear_2", "mlp1.3"), ("model.vision_tower.", "vision_model."),
        ("encoder.layer.", "encoder.layers."), ("cls_token", "class_embedding"),
        ("position_embeddings", "position_embedding"), ("patch_embeddings.projection", "patch_embedding"),
        ("attention.projection_layer", "attn.proj"), ("layernorm_before", "norm1"), ("layernorm_after", "norm2"),
        ("lambda_", "ls"),
    ]  # fmt: skip
    for name, value in state.items():
        for native, original in swaps:
            name = name.replace(native, original)
        if "vision_model" in name and (side := re.search(r"attention\.([qkv])_proj", name)):
            fused.setdefault(name.replace(side.group(0), "attn.qkv"), {})[side.group(1)] = value
        else:
            out[name] = value.clone()
    return out | {name: torch.cat([parts[s] for s in "qkv"]) for name, parts in fused.items()}


def original_config(model):
    vision, text = model.config.vision_config, model.config.text_config
    return {
        "model_type": "internvl_chat", "ps_version": "v2", "downsample_ratio": 0.5, "select_layer": -1,
        "force_image_size": 16, "auto_map": {"AutoConfig": "configuration_internvl_chat.InternVLChatConfig"},
        "llm_config": {**text.to_dict(), "model_type": "qwen2", "vocab_size": 40},
        "vision_config": {
            "model_type": "intern_vit_6b", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 32, "image_size": 16, "patch_size": 4, "num_channels": 3, "hidden_act": "gelu",
            "layer_norm_eps": vision.layer_norm_eps, "norm_type": "layer_norm", "qkv_bias": True,
            "qk_normalization": False,
        },
    }  # fmt: skip


@pytest.fixture
def original(tmp_path):
    from safetensors.torch import save_file

    from bridge.tiny_models import internvl, tokenizer

    model = internvl(0)
    place = tmp_path / "original"
    tokenizer().save_pretrained(place)
    (place / "config.json").write_text(json.dumps(original_config(model)))
    (place / "added_tokens.json").write_text(json.dumps({"<IMG_CONTEXT>": 39}))
    save_file(original_names(model.state_dict()), place / "model.safetensors", metadata={"format": "pt"})
    (place / "configuration_internvl_chat.py").write_text("raise SystemExit('code of the folder was run')")
    return place


def resave(place, change):
    from safetensors.torch import load_file, save_file

    tensors = load_file(place / "model.safetensors")
    change(tensors)
    save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})


def test_conversion_gives_back_the_native_model_to_the_last_bit(original, tmp_path, make_expert, make_prompts):
    evidence = convert_internvl(original, tmp_path / "native")
    assert evidence["residual"] <= evidence["bound"]
    assert evidence["noise"] > 0
    expert, prompts = load_expert(tmp_path / "native"), make_prompts("internvl")
    native = make_expert("internvl").prefill(prompts).log_law
    assert torch.equal(expert.prefill(prompts).log_law, native)
    assert expert.image_token == 39
    assert diagnose(tmp_path / "native").kind == "image-text"
    assert not list((tmp_path / "native").glob("*.py"))
    with pytest.raises(ValueError, match="must not be there yet"):
        convert_internvl(original, tmp_path / "native")


def swap(tensors, a, b):
    tensors[a], tensors[b] = tensors[b].clone(), tensors[a].clone()


@pytest.mark.parametrize(("change", "message"), [
    (lambda t: t.update(extra=torch.zeros(1)), "'extra' is none"),
    (lambda t: t.update({"vision_model.encoder.layers.0.attn.rope": torch.zeros(1)}), "attn.rope' is none"),
    (lambda t: t.pop("mlp1.1.bias"), r"lacked \['model.multi_modal_projector.linear_1.bias'\]"),
])  # fmt: skip
def test_unknown_and_missing_keys_are_refused(change, message, original, tmp_path):
    resave(original, change)
    with pytest.raises(ValueError, match=message):
        convert_internvl(original, tmp_path / "native")
    assert not (tmp_path / "native").exists()


def test_a_wrong_map_is_seen_by_the_logits(original, tmp_path, monkeypatch):
    """The control: q and k exchanged, or the thirds taken in another order, and nothing is written."""
    monkeypatch.setattr("ddfm_theory.bridge.internvl.native_keys", lambda name: _exchanged(native_keys(name)))
    with pytest.raises(ValueError, match="converted logits must equal the original's"):
        convert_internvl(original, tmp_path / "native")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["original"]


def _exchanged(keys):
    return keys if len(keys) == 1 else [keys[2], keys[1], keys[0]]


@pytest.mark.parametrize(("change", "message"), [
    ({"ps_version": "v1"}, "ps_version of config.json must be 'v2', was 'v1'"),
    ({"llm_config": {"model_type": "internlm2"}}, "'internlm2'"),
    ({"model_type": "internvl"}, "must be a folder in the original InternVL layout"),
])  # fmt: skip
def test_other_models_are_refused(change, message, original, tmp_path):
    config = json.loads((original / "config.json").read_text())
    (original / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ValueError, match=message):
        convert_internvl(original, tmp_path / "native")


def test_the_image_token_is_found_or_asked_for(original, tmp_path):
    (original / "added_tokens.json").unlink()
    with pytest.raises(ValueError, match="give image_token"):
        convert_internvl(original, tmp_path / "native")
    convert_internvl(original, tmp_path / "native", image_token=39)
    assert load_expert(tmp_path / "native").image_token == 39


def test_a_configuration_of_the_published_size_has_its_parameters():
    from transformers import InternVLForConditionalGeneration

    from ddfm_theory.bridge.internvl import native_config

    text = {
        "model_type": "qwen2", "vocab_size": 151674, "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "rope_theta": 1000000.0,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "auto_map": {}, "torch_dtype": "bfloat16",
    }  # fmt: skip
    vision = {
        "hidden_size": 1024, "image_size": 448, "patch_size": 14, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16, "qkv_bias": True, "qk_normalization": False, "norm_type": "layer_norm",
    }  # fmt: skip
    original = {"model_type": "internvl_chat", "ps_version": "v2", "llm_config": text, "vision_config": vision}
    config = native_config(original, 151667)
    with torch.device("meta"):
        model = InternVLForConditionalGeneration(config)
    assert sum(p.numel() for p in model.parameters()) == 938_193_024
    assert config.image_seq_length == 256
    assert config.text_config.rope_parameters["rope_theta"] == 1000000.0
