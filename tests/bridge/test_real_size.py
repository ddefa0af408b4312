"""The run on checkpoints of real size, shown to work on a tiny one."""

import json

import pytest
import torch

from benchmarks.real_size import MODELS, PUBLISHED, main


def test_a_tiny_checkpoint_goes_the_whole_way(tmp_path):
    main(["--model", "tiny", "--steps", "2", "--runs", "1", "--out", str(tmp_path / "out.json")])
    found = json.loads((tmp_path / "out.json").read_text())
    assert {record["outcome"] for record in found["records"]} == {"holds"}
    assert len(found["records"]) == 9
    assert found["seconds"]["step_of_mixture"] > 0
    assert found["peak_bytes"] > found["parameters"]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_configurations_have_the_published_number_of_parameters(name):
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(MODELS[name]())
    assert sum(value.numel() for value in model.parameters()) == PUBLISHED[name]
