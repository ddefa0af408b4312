"""A GGUF file of the Llama family as a Transformers model and tokenizer, and as a checkpoint folder.

The file stores the rows of W_q and W_k so that a rotary pair lies side by side, 2j and 2j + 1 within a head;
Transformers pairs j with j + head/2. The permutation is undone here.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge.extras import need
from ddfm_theory.bridge.gguf import GGUF, read_gguf

_OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# what splits text before merging, by the file's name for it; others are refused rather than guessed
_PRE = {"smollm": True, "gpt-2": False, "default": False}
_CONTROL, _USER = 3, 4
_NEEDED = ("llama.embedding_length", "llama.attention.head_count", "llama.block_count", "llama.feed_forward_length",
           "llama.context_length", "llama.attention.layer_norm_rms_epsilon")  # fmt: skip


def load_gguf(path: Any, dtype: Any = torch.float32) -> tuple[Any, Any]:
    """Build a LlamaForCausalLM and its tokenizer from a GGUF file.

    Args:
        path: the file.
        dtype: the floating type of the weights.

    Returns:
        The model in evaluation mode, and the tokenizer (None where its kind is not byte-level BPE).

    Raises:
        ValueError: another architecture, a tensor of an unknown name, or one that is missing.
    """
    file = read_gguf(path)
    config = llama_config(file)
    state = {_rename(name): torch.from_numpy(_weight(file, name, config)) for name in file.entries}
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = need("transformers").LlamaForCausalLM(config)
    try:
        lost, extra = model.load_state_dict(state, strict=False)
    except RuntimeError as error:  # sizes that differ
        words = " ".join(str(error).split())[:300]
        raise ValueError(f"{path} must hold tensors of the sizes that its metadata names, did not: {words}") from error
    if lost or extra:
        raise ValueError(
            f"{path} must hold the tensors of its configuration, lacked {lost[:1]}, had {extra[:1]} besides"
        )
    for parameter in model.parameters():  # not .to(dtype), which would round the rotary frequencies too
        parameter.data = parameter.data.to(dtype)
    return model.eval(), tokenizer_of(file)


def llama_config(file: GGUF) -> Any:
    """Return the configuration that a file's metadata describes.

    Raises:
        ValueError: an architecture other than Llama's, scaled rotary frequencies, or metadata that is missing or does
            not fit the tensors.
    """
    meta = file.metadata
    if meta.get("general.architecture") != "llama":
        raise ValueError(f"{file.path} must be of the Llama family, was {meta.get('general.architecture')!r}")
    if "llama.rope.scaling.type" in meta or "rope_freqs.weight" in file.entries:
        raise ValueError(f"{file.path} must have plain rotary frequencies, has scaled ones, which are not read here")
    _check_sizes(file)
    heads = meta["llama.attention.head_count"]
    return need("transformers").LlamaConfig(
        vocab_size=file.entries["token_embd.weight"].shape[0],
        hidden_size=meta["llama.embedding_length"],
        intermediate_size=meta["llama.feed_forward_length"],
        num_hidden_layers=meta["llama.block_count"],
        num_attention_heads=heads,
        num_key_value_heads=meta.get("llama.attention.head_count_kv", heads),
        max_position_embeddings=meta["llama.context_length"],
        rms_norm_eps=meta["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": float(meta.get("llama.rope.freq_base", 10000.0))},
        tie_word_embeddings="output.weight" not in file.entries,
        bos_token_id=meta.get("tokenizer.ggml.bos_token_id"),
        eos_token_id=meta.get("tokenizer.ggml.eos_token_id"),
        pad_token_id=meta.get("tokenizer.ggml.padding_token_id"),
    )


def _check_sizes(file: GGUF) -> None:
    """Compare metadata with tensors before a model is built by it: a corrupt count would build for ever."""
    meta, embedding = file.metadata, file.entries.get("token_embd.weight")
    bad = [key for key in _NEEDED if not isinstance(meta.get(key), (int, float)) or not meta[key] > 0]
    if bad or embedding is None or len(embedding.shape) != 2:
        raise ValueError(f"{file.path} must hold token_embd.weight and {list(_NEEDED)}, lacked {bad or 'the former'}")
    width, heads, depth, inner = (meta[key] for key in _NEEDED[:4])
    held = {name.split(".")[1] for name in file.entries if name.startswith("blk.")}
    pairs = meta.get("llama.attention.head_count_kv", heads)
    gates = {entry.shape[0] for name, entry in file.entries.items() if ".ffn_gate." in name and entry.shape}
    fits = width == embedding.shape[1] and width % heads == 0 and depth == len(held) and gates <= {inner}
    if not fits or not isinstance(pairs, int) or pairs < 1 or heads % pairs:
        raise ValueError(f"{file.path} must name sizes that fit its tensors, named width {width}, inner {inner}, "
                         f"heads {heads} and {pairs}, blocks {depth}, held width {embedding.shape[1]}, inner "
                         f"{sorted(gates)}, blocks {len(held)}")  # fmt: skip


def _rename(name: str) -> str:
    if name in _OUTER:
        return _OUTER[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _INNER and parts[3] == "weight":
        return f"model.layers.{parts[1]}.{_INNER[parts[2]]}.weight"
    raise ValueError(f"tensor names must be those of the Llama family, {name!r} is none")


def _weight(file: GGUF, name: str, config: Any) -> np.ndarray:
    values = file.tensor(name)
    if ".attn_q." in name:
        return unpermute(values, config.num_attention_heads)
    return unpermute(values, config.num_key_value_heads) if ".attn_k." in name else values


def unpermute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo the rotary permutation: rows (head, pair, side) back to (head, side, pair), shape (heads * size, width)."""
    rows, width = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, width)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows, width)


def tokenizer_of(file: GGUF) -> Any:
    """Return the byte-level BPE tokenizer of a file's metadata; None where it holds another kind or none.

    Raises:
        ValueError: a byte-level BPE whose way to split text is not known here.
    """
    tokenizers, transformers = need("tokenizers"), need("transformers")
    meta = file.metadata
    if meta.get("tokenizer.ggml.model") != "gpt2":
        return None
    kind, words = meta.get("tokenizer.ggml.pre", "default"), meta["tokenizer.ggml.tokens"]
    if kind not in _PRE:
        raise ValueError(f"{file.path} must split text in one of the ways {sorted(_PRE)}, names {kind!r}")
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in meta["tokenizer.ggml.merges"])]
    inner = tokenizers.models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges)
    tokenizer, split = tokenizers.Tokenizer(inner), tokenizers.pre_tokenizers
    bytes_ = split.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = split.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = split.Sequence([digits, bytes_]) if _PRE[kind] else bytes_
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    typed, added = list(zip(words, meta.get("tokenizer.ggml.token_type", []), strict=False)), tokenizers.AddedToken
    tokenizer.add_special_tokens([added(word, normalized=False, special=True) for word, t in typed if t == _CONTROL])
    tokenizer.add_tokens([added(word, normalized=False) for word, t in typed if t == _USER])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **_named(meta, words))


def _named(meta: dict[str, Any], words: list[str]) -> dict[str, Any]:
    names = {"bos": "bos", "eos": "eos", "padding": "pad", "unknown": "unk"}
    named = {short: meta.get(f"tokenizer.ggml.{long}_token_id") for long, short in names.items()}
    out: dict[str, Any] = {f"{short}_token": words[index] for short, index in named.items() if index is not None}
    if "tokenizer.chat_template" in meta:
        out["chat_template"] = meta["tokenizer.chat_template"]
    return out


def convert_gguf(path: Any, destination: Any, dtype: Any = torch.float32) -> Path:
    """Write a GGUF file as a checkpoint folder (safetensors, config, tokenizer), whole or not at all.

    Raises:
        ValueError: the destination is there already, or the file cannot be read.
    """
    target = Path(destination)
    if target.exists():
        raise ValueError(f"destination must not be there yet, was {target}")
    model, tokenizer = load_gguf(path, dtype)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        folder = Path(place) / target.name
        model.save_pretrained(folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
        (folder / "converted_from.json").write_text(json.dumps({"source": Path(path).name}), encoding="utf-8")
        folder.rename(target)
    return target
