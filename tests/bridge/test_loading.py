import json
import shutil

import numpy as np
import pytest
import torch

from ddfm_theory.bridge import diagnose, load_expert, load_experts
from ddfm_theory.bridge.doctor import main
from ddfm_theory.bridge.folders import safetensors_header
from ddfm_theory.bridge.loading import check_alike, check_image_matters, load_encoder


@pytest.fixture
def copy(folders, tmp_path):
    def make(name="llama_0"):
        return shutil.copytree(folders / name, tmp_path / name)

    return make


def sharded(folder):
    """Split a checkpoint's one file into two shards with an index."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / file, metadata={"format": "pt"})
    weights = {name: file for file, held in parts.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weights}))
    (folder / "model.safetensors").unlink()
    return folder


@pytest.mark.parametrize(("name", "kind", "model_type", "image"), [
    ("llama_0", "language", "llama", None),
    ("llava_0", "image-text", "llava", 39),
    ("internvl_0", "image-text", "internvl", 39),
])  # fmt: skip
def test_a_good_folder_is_known_and_loads(name, kind, model_type, image, folders, make_expert, make_prompts):
    found = diagnose(folders / name)
    assert (found.kind, found.model_type, found.vocabulary, found.image_token) == (kind, model_type, 40, image)
    assert found.tokenizer
    assert found.problems == []
    expert = load_expert(folders / name)
    assert found.parameters == sum(p.numel() for p in expert.model.parameters())
    short = name.split("_")[0]
    prompts = make_prompts(short)
    assert torch.equal(expert.prefill(prompts).log_law, make_expert(short).prefill(prompts).log_law)


def test_shards_load_and_a_missing_one_is_named(copy, make_prompts):
    folder = copy()
    whole = load_expert(folder).prefill(make_prompts()).log_law
    sharded(folder)
    assert torch.equal(load_expert(folder).prefill(make_prompts()).log_law, whole)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"shard model-00002-of-00002.safetensors of .* was missing"):
        load_expert(folder)


@pytest.mark.parametrize("cut", [4, 100, -1])
def test_a_truncated_file_is_refused(cut, copy):
    folder = copy()
    file = folder / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:cut])
    with pytest.raises(ValueError, match=r"truncated|cut within its header"):
        load_expert(folder)
    file.write_bytes(data + b"x")
    with pytest.raises(ValueError, match="truncated or corrupt"):
        load_expert(folder)


def test_a_corrupt_header_is_refused(copy, tmp_path):
    folder = copy()
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[8:12] = b"\xff\xff\xff\xff"
    file.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="header could not be read"):
        load_expert(folder)
    header = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(ValueError, match="give a 12 bytes, gave 8"):
        safetensors_header(file)


def test_wrong_folders_get_their_message(tmp_path, copy):
    with pytest.raises(ValueError, match="which is not there"):
        load_expert(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"with a config.json, was .*, which holds \[\]"):
        load_expert(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="must be JSON"):
        load_expert(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="model_type"):
        load_expert(tmp_path)
    folder = copy()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="which are pickles and are never read"):
        load_expert(folder)


@pytest.mark.parametrize(("file", "text", "part"), [
    ("tokenizer.json", '{"version": "1.0", "model": {"type": "Nothing"}}', "tokenizer"),
    ("preprocessor_config.json", '{"image_processor_type": "Nothing"}', "image processor"),
    ("config.json", {"image_seq_length": "four"}, "model"),
    ("config.json", {"model_type": "nothing"}, "model"),
])  # fmt: skip
def test_what_a_library_raises_is_one_message(file, text, part, copy):
    """Transformers and Tokenizers raise classes of their own, some of them Exception itself."""
    folder = copy("internvl_0")
    if isinstance(text, dict):
        text = json.dumps({**json.loads((folder / file).read_text()), **text})
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=f"path must be a loadable checkpoint, the {part} of .* was not: "):
        load_expert(folder)


@pytest.mark.parametrize(("file", "text", "message"), [
    ("tokenizer.json", "{", "tokenizer.json must be JSON"),
    ("tokenizer_config.json", "[]", "tokenizer_config.json must be a JSON object, was list"),
    ("config.json", {"text_config": True}, "text_config in config.json of .* must be a JSON object"),
    ("config.json", {"vocab_size": "many"}, "vocab_size in config.json of .* must be a whole number, was 'many'"),
    ("config.json", {"image_token_id": [1]}, r"image token in config.json of .* must be a whole number, was \[1\]"),
    ("config.json", {"model_type": {}}, "must name its model_type"),
    ("config.json", {"format": "ddfm-ensemble", "experts": 3}, "must name at least one expert, named 3"),
    ("model.safetensors.index.json", '{"weight_map": [1]}', "must be a JSON index with a weight_map"),
    ("model.safetensors.index.json", '{"weight_map": {"a": 3}}', "must be a JSON index with a weight_map: it must"),
])  # fmt: skip
def test_malformed_json_is_diagnosed(file, text, message, copy):
    folder = copy()
    if isinstance(text, dict):
        text = json.dumps({**json.loads((folder / file).read_text()), **text})
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_expert(folder)
    assert main([str(folder)]) == 1


@pytest.mark.parametrize("entry", [
    3, {}, {"dtype": "F32", "shape": 3, "data_offsets": [0, 16]}, {"shape": [4], "data_offsets": [0, 16]},
    {"dtype": [], "shape": [4], "data_offsets": [0, 16]}, {"dtype": "F32", "shape": [4], "data_offsets": [0]},
    {"dtype": "F32", "shape": [4], "data_offsets": ["0", 16]}, {"dtype": "F32", "data_offsets": [0, 16]},
    {"dtype": "F32", "shape": [-4], "data_offsets": [32, 16]},
])  # fmt: skip
def test_a_malformed_header_is_diagnosed(entry, copy):
    folder, header = copy(), json.dumps({"a": entry}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    assert ["header could not be read" in problem for problem in diagnose(folder).problems] == [True]


@pytest.mark.parametrize("name", ["no_such_name", "no/such/name/at/all", "no such name"])
def test_a_name_that_is_neither_folder_nor_cached_is_refused(name):
    with pytest.raises(ValueError, match=f"a folder, or a name in the local cache, {name} is neither"):
        load_expert(name)


@pytest.mark.parametrize("device", ["meta7", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device, folders):
    with pytest.raises(ValueError, match=f"device must be one of this machine .*, {device} was not"):
        load_expert(folders / "llama_0", device=device)


def test_encoders_that_see_nothing_or_lack_weights_are_refused(folders, copy, tmp_path):
    from safetensors.torch import load_file, save_file
    from transformers import CLIPVisionConfig, CLIPVisionModel

    with pytest.raises(ValueError, match=r"encoder must be a checkpoint of square images, .* is a llama"):
        load_encoder(folders / "llama_0")
    with pytest.raises(ValueError, match=r"the encoder of .* was not"):
        load_encoder(tmp_path)
    with pytest.raises(ValueError, match="encoder must be a folder, or a name in the local cache"):
        load_encoder("no_such_encoder")
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4
    )
    CLIPVisionModel(config).save_pretrained(tmp_path / "clip")
    assert load_encoder(tmp_path / "clip").dtype == torch.float32
    file = tmp_path / "clip" / "model.safetensors"
    tensors = load_file(file)
    first = sorted(tensors)[0]
    save_file({name: value for name, value in tensors.items() if name != first}, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="must fit their configuration, lacked"):
        load_encoder(tmp_path / "clip")


def test_weights_that_do_not_fit_are_refused(copy):
    from safetensors.torch import load_file, save_file

    folder = copy()
    tensors = load_file(folder / "model.safetensors")
    lacking = {name: value for name, value in tensors.items() if "layers.1.mlp.up" not in name}
    save_file(lacking, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"missing keys, the first model.layers.1.mlp.up_proj.weight"):
        load_expert(folder)
    save_file({**tensors, "extra": torch.zeros(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="unexpected keys, the first extra"):
        load_expert(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 47}))
    with pytest.raises(ValueError, match=r"mismatched keys, the first model.layers.0.mlp.down_proj.weight"):
        load_expert(folder)


def test_an_original_layout_is_refused_without_asking(copy):
    folder = copy()
    config = {
        "model_type": "internvl_chat",
        "auto_map": {"AutoConfig": "evil.Config"},
        "llm_config": {"vocab_size": 40},
    }
    (folder / "config.json").write_text(json.dumps(config))
    assert diagnose(folder).kind == "internvl-original"
    with pytest.raises(ValueError, match="convert_internvl"):
        load_expert(folder)


def test_experts_of_unlike_tokens_are_refused(folders, copy, make_expert, tmp_path):
    from bridge.tiny_models import llama, tokenizer
    from ddfm_theory.bridge import CheckpointExpert

    assert len(load_experts([folders / "llama_0", folders / "llama_1"])) == 2
    other = copy("llama_1")
    tokenizer(shuffled=True).save_pretrained(other)
    with pytest.raises(ValueError, match=r"one tokenizer, 2 tokens of expert 1 differ .* 'w3': 4 against 3"):
        load_experts([folders / "llama_0", other])
    tokenizer(punctuation=True).save_pretrained(other)
    with pytest.raises(ValueError, match="expert 1 has expert 0's vocabulary, other merges or rules"):
        load_experts([folders / "llama_0", other])
    with pytest.raises(ValueError, match="one vocabulary, expert 0 has 40, expert 1 41"):
        check_alike([make_expert(), CheckpointExpert(llama(0, 41))])
    with pytest.raises(ValueError, match="one image token, expert 0 has None, expert 1 39"):
        check_alike([make_expert(), make_expert("llava")])
    with pytest.raises(ValueError, match="at least one"):
        check_alike([])
    with pytest.raises(ValueError, match="device"):
        load_experts([folders / "llama_0"], device=["cpu", "cpu"])


def test_experts_that_read_images_unlike_are_refused(folders, copy):
    """One picture is prepared once, as expert 0 has it: another's law would be given another condition in silence."""
    said = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 8}, "crop_size": 8}
    paths = [copy("llava_0"), copy("llava_1")]
    for path, more in zip(paths, ({}, {"image_std": [0.26862954, 0.26130258, 0.27577711]}), strict=True):
        (path / "preprocessor_config.json").write_text(json.dumps(said | more))
    assert len(load_experts(paths)) == 2
    (paths[1] / "preprocessor_config.json").write_text(json.dumps(said | {"image_mean": [0.5] * 3}))
    with pytest.raises(ValueError, match=r"one way, expert 1 differs from expert 0 in image_mean: \[0.5, 0.5, 0.5\]"):
        load_experts(paths)
    with pytest.raises(ValueError, match=r"in image_size: \[8, 8\] against \[16, 16\]"):
        load_experts([folders / "internvl_0", folders / "llava_0"])


def test_an_image_that_changes_nothing_is_refused(make_prompts):
    from bridge.tiny_models import internvl, llava
    from ddfm_theory.bridge import CheckpointExpert

    for make, kind in ((llava, "llava"), (internvl, "internvl")):
        expert, prompts = CheckpointExpert(make(5)), make_prompts(kind)
        assert check_image_matters(expert, prompts) > 0
        with torch.no_grad():
            expert.model.model.multi_modal_projector.linear_2.weight.zero_()
        with pytest.raises(ValueError, match="must change the law"):
            check_image_matters(expert, prompts)
        with pytest.raises(ValueError, match="must show an image"):
            check_image_matters(expert, prompts.without_images())


def test_doctor_prints_and_exits(folders, tmp_path, capsys):
    assert main([str(folders / "llama_0"), str(folders / "llava_0")]) == 0
    shown = capsys.readouterr().out
    assert "language (llama)" in shown
    assert "image-text (llava)" in shown
    assert "vocabulary 40, tokenizer beside it, image token 39" in shown
    assert main([str(tmp_path)]) == 1
    assert "PROBLEM: path must be a checkpoint folder" in capsys.readouterr().out
    assert main([]) == 2


def test_doctor_sees_vocabularies_that_differ(folders, copy, capsys):
    folder = copy()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 41}))
    assert main([str(folders / "llama_0"), str(folder)]) == 1
    assert "vocabularies are [40, 41]" in capsys.readouterr().out


def test_dtype_is_honoured(folders, make_prompts):
    law = load_expert(folders / "llama_0", dtype=torch.bfloat16).prefill(make_prompts()).log_law
    assert law.dtype == torch.float32
    assert np.isfinite(law.numpy()).all()
