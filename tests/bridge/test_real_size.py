"""The run on checkpoints of real size, shown to work on a tiny one."""

import json

import pytest
import torch

from benchmarks import gpu
from benchmarks.bridge import decoding, scoring
from benchmarks.real_size import MODELS, PUBLISHED, main
from benchmarks.real_speed import ratios


def test_a_tiny_checkpoint_goes_the_whole_way(tmp_path):
    main(["--quick", "--experts", "3", "--out", str(tmp_path / "out.json")])
    found = json.loads((tmp_path / "out.json").read_text())
    assert {record["outcome"] for record in found["records"]} == {"holds"}
    assert [record["cache"] for record in found["records"]] == ["dynamic"] * 9 + ["static"] * 9
    names = {f"{name} {cache}" for name in ("one", "generate", "mixture_1", "mixture_2", "mixture_3", "top_1")
             for cache in ("dynamic", "static")}  # fmt: skip
    assert found["speed"]["seconds"].keys() == names | {"prefill", "read"}
    assert found["peak_bytes"] > found["parameters"]


def test_one_command_runs_every_part_that_wants_a_gpu(tmp_path):
    parts = [" ".join(part) for part in gpu.commands("cuda", tmp_path, False)]
    assert len(parts) == 5
    assert any("llava-7b --experts 2 --dtype bfloat16 --device cuda" in part for part in parts)
    assert any("internvl-1b --experts 4 --dtype float32 --device cuda" in part for part in parts)
    assert parts[-1].startswith("benchmarks.bridge --device cuda")
    (quick,) = gpu.commands("cpu", tmp_path, True)
    assert quick[:3] == ["benchmarks.real_size", "--model", "tiny"]


def test_the_benchmark_of_the_bridge_runs(make_expert):
    found = decoding(
        [make_expert("llama", 0), make_expert("llama", 1), make_expert("llama", 2)], 2, 1, "cpu", [3, 4, 5]
    )
    assert found.keys() == {"one", "top_1", "mixture_2", "mixture_3"}
    assert scoring(3, 50, 1, "cpu").keys() == {"plain", "ours", "read"}


def test_ratios_are_those_of_their_names():
    seconds = {f"{name} {cache}": value * (1 if cache == "dynamic" else 0.5) for cache in ("dynamic", "static")
               for name, value in {"one": 4, "generate": 5, "mixture_1": 4, "mixture_2": 9, "mixture_4": 18,
                                   "top_1": 5}.items()} | {"read": 6}  # fmt: skip
    found = ratios(seconds, 4)
    assert found["mixture_2 over twice one dynamic"] == 9 / 8
    assert found["mixture_2 static over generate dynamic"] == 4.5 / 5
    assert found["mixture_2 static over generate static"] == 9 / 5
    assert found["read over mixture static"] == 6 / 9
    assert found["top_1 over one dynamic"] == 5 / 4
    assert found["mixture over count times mixture_1 static"] == 9 / 8


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_configurations_have_the_published_number_of_parameters(name):
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(MODELS[name]())
    assert sum(value.numel() for value in model.parameters()) == PUBLISHED[name]
