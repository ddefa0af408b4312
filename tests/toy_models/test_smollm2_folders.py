"""Experts as folders, on a tiny random Llama and made-up texts, through the commands that read them."""

import dataclasses
import json

import pytest
from bridge.tiny_models import llama, tokenizer

from ddfm_theory.bridge import CheckpointExpert
from ddfm_theory.bridge.commands import check_checkpoints, generate_text
from toy_models import smollm2
from toy_models.smollm2 import Sizes
from toy_models.smollm2_folders import write_folders

WORDS = {
    text: {"a.txt": " ".join(f"w{first + i % 15}" for i in range(600))} for text, first in (("code", 3), ("prose", 20))
}
TINY = Sizes(steps=12, batch=4, width=24, held_out=5, compared=3, prompt=6, new_tokens=4)


def test_folders_are_checked_and_generate(tmp_path, monkeypatch):
    monkeypatch.setattr(smollm2, "RATE", 1e-2)
    base, place, said = CheckpointExpert(llama(), tokenizer(), "base"), tmp_path / "smollm2", []
    write_folders(base, WORDS, TINY, place, said.append)
    assert said[-1].startswith("dense: step 24 of 24")
    rows = [json.loads(line) for line in (place / "held_out.jsonl").read_text().splitlines()]
    assert [row["expert"] for row in rows] == [0, 0, 0, 1, 1, 1]
    assert {len((row["prompt"] + " " + row["answer"]).split()) for row in rows} == {TINY.width}
    experts = [place / "code", place / "prose"]
    found = check_checkpoints(experts, place / "held_out.jsonl", dense=place / "dense")
    assert found.ok
    assert found.calibration["router_after_answer"]["accuracy"] == 1
    wrong = [row | {"expert": 1 - row["expert"]} for row in rows]
    (tmp_path / "wrong.jsonl").write_text("\n".join(map(json.dumps, wrong)))
    assert check_checkpoints(experts, tmp_path / "wrong.jsonl").calibration["router_after_answer"]["accuracy"] == 0
    assert len(generate_text(experts, ["w5 w6"], greedy=True, max_new_tokens=3)[0]["tokens"]) == 3
    with pytest.raises(ValueError, match="DIR must not be there yet"):
        write_folders(base, WORDS, dataclasses.replace(TINY), place, said.append)
