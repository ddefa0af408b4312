"""``ddfm train``: a killed run goes on to the same bytes, an expert opens its own shard alone, the bridge loads it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from bridge.tiny_models import text_config
from bridge.tiny_models import tokenizer as words_of
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from typer.testing import CliRunner

from ddfm_theory import cli
from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import Ensemble, FixedPrior, load_expert, load_experts
from ddfm_theory.bridge.commands import check_checkpoints
from ddfm_theory.bridge.noise import MARGIN, forward_noise, law_gap
from toy_models.multimodal import training
from toy_models.multimodal.answering import Asked
from toy_models.multimodal.folders import read_rows
from toy_models.multimodal.models import REST, TOWER, joined, write_model
from toy_models.multimodal.plan import PRESETS
from toy_models.multimodal.towers import as_pixels, load, outputs, standardize
from toy_models.multimodal.training import Data, Settings, Trainer, chosen_rows, train, train_shard
from toy_models.multimodal.units import Run

STEPS = Settings(steps=6, batch=8, rate=2e-3, save_every=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = Run(PRESETS["smoke"], tmp_path_factory.mktemp("work"))
    assert made.start.is_dir()
    return made


@pytest.fixture(scope="module")
def parts(run):
    return run.parts(run.preset.base, 0)


def weights(folder):
    return (folder / REST).read_bytes(), (folder / TOWER).read_bytes()


@given(st.integers(1, 40), st.integers(1, 16), st.integers(0, 5))
def test_every_epoch_shows_every_row_once(count, batch, seed):
    settings = Settings(batch=batch, seed=seed)
    steps = -(-3 * count // batch)
    seen = [row for step in range(steps) for row in chosen_rows(count, settings, step)]
    for epoch in range(3):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_a_killed_run_goes_on_to_the_same_bytes(run, parts, tmp_path):
    whole = train_shard(parts, 0, run.start, tmp_path / "whole", STEPS)

    class KilledError(Exception):
        pass

    def kill(words):
        if "step 5 of" in words:
            raise KilledError

    with pytest.raises(KilledError):
        train_shard(parts, 0, run.start, tmp_path / "killed", STEPS, say=kill)
    assert not (tmp_path / "killed").exists()  # nothing half done stands there
    said = []
    again = train_shard(parts, 0, run.start, tmp_path / "killed", STEPS, say=said.append)
    assert said[0].startswith("killed: step 5 of 6")  # from the state of step 4
    assert weights(again) == weights(whole)
    told = [json.loads((folder / "training.json").read_text()) for folder in (again, whole)]
    assert told[0]["losses"] == told[1]["losses"]
    assert told[0]["flops_a_step"] == told[1]["flops_a_step"] > 0
    assert not list(tmp_path.glob(".*"))


def test_a_state_of_another_run_is_refused(run, parts, tmp_path):
    def kill(words):
        if "step 3 of" in words:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_shard(parts, 0, run.start, tmp_path / "out", STEPS, say=kill)
    with pytest.raises(ValueError, match="settings must be those of the run"):
        train_shard(parts, 0, run.start, tmp_path / "out", replace(STEPS, seed=1))
    with pytest.raises(ValueError, match="rows must be those of the run"):
        train_shard(parts, 1, run.start, tmp_path / "out", STEPS)
    with pytest.raises(ValueError, match="start must be those of the run"):
        train_shard(parts, 0, run.model(None, 0), tmp_path / "out", STEPS)
    (tmp_path / ".out.state.safetensors").write_bytes(b"cut off")
    with pytest.raises(ValueError, match="out must have a whole state or none"):
        train_shard(parts, 0, run.start, tmp_path / "out", STEPS)


def test_a_folder_of_another_run_is_not_taken_for_this_one(run, parts, tmp_path):
    few = replace(STEPS, steps=1)
    out = train_shard(parts, 0, run.start, tmp_path / "out", few)
    before = weights(out)
    assert train_shard(parts, 0, run.start, out, few) == out
    with pytest.raises(ValueError, match="settings must be those of the run"):
        train_shard(parts, 0, run.start, out, STEPS)
    with pytest.raises(ValueError, match="rows must be those of the run"):
        train_shard(parts, 1, run.start, out, few)
    assert weights(out) == before
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="out must be a new folder or one that training wrote"):
        train_shard(parts, 0, run.start, tmp_path / "mine", few)


def test_the_seed_is_what_runs_differ_by(run, parts, tmp_path):
    one, two, other = (train_shard(parts, 0, run.start, tmp_path / name, replace(STEPS, steps=2, seed=seed))
                       for name, seed in (("one", 0), ("two", 0), ("other", 1)))  # fmt: skip
    assert weights(one) == weights(two) != weights(other)


def test_an_expert_never_opens_another_shard(run, parts, tmp_path):
    clean = train_shard(parts, 0, run.start, tmp_path / "clean", replace(STEPS, steps=2))
    planted = shutil.copytree(parts, tmp_path / "planted")
    for file in (planted / "shard_1").rglob("*"):
        if file.is_file():
            file.unlink()
            file.write_bytes(b"opening this ends the run")
    alone = train_shard(planted, 0, run.start, tmp_path / "alone", replace(STEPS, steps=2))
    assert weights(alone) == weights(clean)
    with pytest.raises(ValueError, match=r"line 1 of .*shard_1"):  # the sentinel bites whoever opens it
        train_shard(planted, None, run.start, tmp_path / "dense", replace(STEPS, steps=2))


def test_the_dense_model_does_not_depend_on_the_partition(run, parts, tmp_path):
    whole = train([run.data["train"]], run.start, tmp_path / "whole", replace(STEPS, steps=2))
    pieces = train_shard(parts, None, run.start, tmp_path / "pieces", replace(STEPS, steps=2))
    assert weights(whole) == weights(pieces)


def test_the_command_trains_and_refuses(run, parts, tmp_path, monkeypatch):
    same = train_shard(parts, 1, run.start, tmp_path / "same", replace(STEPS, steps=2, save_every=100))
    words = ["train", "--partition", str(parts), "--start", str(run.start), "--out", str(tmp_path / "out"),
             "--steps", "2", "--batch", "8", "--rate", "2e-3"]  # fmt: skip
    done = CliRunner().invoke(cli.app, [*words, "--shard", "1"])
    assert done.exit_code == 0, done.output
    assert done.stderr == ""  # no bar of another library where there is no terminal
    assert weights(tmp_path / "out") == weights(same)
    words[6] = str(tmp_path / "none")
    bad = CliRunner().invoke(cli.app, [*words, "--shard", "7"])
    assert bad.exit_code == 2
    assert "shard must be one of ['shard_0', 'shard_1'], was 7" in bad.output
    monkeypatch.setitem(cli.ROOMS, "train", ("no_such_room", None, "a checkout"))
    absent = CliRunner().invoke(cli.app, words)
    assert absent.exit_code == 2
    assert "no_such_room is not installed" in absent.output


def test_the_bridge_loads_and_checks_what_was_trained(run, parts, tmp_path):
    folders = [train_shard(parts, k, run.start, tmp_path / f"expert_{k}", STEPS) for k in (0, 1)]
    dense = train_shard(parts, None, run.start, tmp_path / "dense", STEPS)
    rows = [json.loads(line) for line in (run.data["test"] / "rows.jsonl").read_text().splitlines()]
    few = tmp_path / "few.jsonl"
    few.write_text(
        "".join(json.dumps({**row, "image": str(run.data["test"] / row["image"])}) + "\n" for row in rows[:6])
    )
    found = check_checkpoints(folders, few, dense=dense)
    assert found.ok, found.records
    assert {record.outcome for record in found.records} == {"holds"}
    assert found.items == 6
    whole = Ensemble(load_experts(folders), FixedPrior.uniform(2)).save_pretrained(tmp_path / "ensemble")
    assert len(Ensemble.from_pretrained(whole).experts) == 2


def test_a_frozen_tower_is_shared_and_its_outputs_stand_in_for_pixels(run, tmp_path):
    place, frozen = tmp_path / "data", replace(STEPS, steps=3, frozen=True)
    shutil.copytree(run.data["train"], place)
    from_images = train([place], run.start, tmp_path / "from_images", frozen)
    start = load(run.start, frozen=True)
    names = list(dict.fromkeys(row.image for row in read_rows(place)))
    np.save(place / "tower.npy", outputs(start, place, names))
    from_file = train([place], run.start, tmp_path / "from_file", frozen)
    assert weights(from_images) == weights(from_file)
    assert (from_file / TOWER).samefile(run.start / TOWER)
    rows = read_rows(place)[:4]
    pixels, stand_in = load_expert(from_file), load(from_file, frozen=True)
    prompts = {expert: Asked(place, rows, expert).prompts(range(4)) for expert in (pixels, stand_in)}
    laws = [expert.prefill(asked).log_law for expert, asked in prompts.items()]
    assert law_gap(*laws) <= MARGIN * forward_noise(pixels, prompts[pixels])
    assert not torch.equal(load_file(from_file / REST)["lm_head.weight"], load_file(run.start / REST)["lm_head.weight"])


def test_a_frozen_model_has_the_loss_of_the_whole_one(run):
    """The loss put together from the parts is Transformers' own, on the same rows."""
    place = [run.data["train"]]
    whole, parts = (Trainer(expert, Data(place, expert), replace(STEPS, frozen=frozen)) for frozen, expert in
                    ((False, load(run.start, False)), (True, load(run.start, True))))  # fmt: skip
    losses = [float(trainer.loss(trainer.data.batch(range(8))).detach()) for trainer in (whole, parts)]
    expert = load(run.start, False)  # a mean of log-probabilities moves by no more than these
    noise = forward_noise(expert, Asked(*place, run.rows("train")[:8], expert).prompts(range(8)))
    assert abs(losses[0] - losses[1]) <= MARGIN * noise


def test_a_standardized_projector_sees_mean_zero_and_deviation_one(run):
    expert = load(run.start, frozen=True)
    first = expert.model.model.multi_modal_projector.linear_1
    before = first.weight.detach().clone(), first.bias.detach().clone()
    rng = np.random.default_rng(0)
    hidden = (rng.normal(size=(50, 17, before[0].shape[1])) * rng.uniform(0.1, 30, before[0].shape[1]) + 5).astype(
        np.float32
    )
    standardize(expert, hidden)
    patches = as_pixels(hidden).flatten(2).transpose(1, 2).flatten(0, 1).double()
    normal = (patches - patches.mean(0)) / patches.std(0)
    wanted = normal @ before[0].double().T + before[1].double()
    found = patches @ first.weight.detach().double().T + first.bias.detach().double()
    size = float((patches.abs() @ first.weight.detach().double().abs().T).max())
    most = size + float(first.bias.detach().abs().max())  # weight and bias are rounded once each
    assert float((found - wanted).abs().max()) <= gamma(torch.float32, 2) * most


@pytest.mark.parametrize("tied", [False, True])
def test_parts_joined_keep_their_weights_on_disk_too(tmp_path, tied):
    from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaForCausalLM

    words = text_config()
    words.tie_word_embeddings = tied
    language = LlamaForCausalLM(words).eval()
    vision = CLIPVisionModel(CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                              num_attention_heads=2, image_size=48, patch_size=24)).eval()  # fmt: skip
    (tmp_path / "both").mkdir()
    write_model(tmp_path / "both", joined(vision, language, 3, seed=0), words_of())
    found = load_expert(tmp_path / "both")
    ids = torch.arange(4, 12)[None]
    with torch.no_grad():
        assert torch.equal(found.model(input_ids=ids).logits, language(input_ids=ids).logits)
    tower = found.model.model.vision_tower.state_dict()
    assert all(torch.equal(tower[name], value) for name, value in vision.state_dict().items())


def test_settings_that_cannot_be_are_refused(run, parts, tmp_path):
    with pytest.raises(ValueError, match="steps must be"):
        train_shard(parts, 0, run.start, tmp_path / "none", replace(STEPS, steps=0))
    with pytest.raises(ValueError, match="rate must be positive"):
        train_shard(parts, 0, run.start, tmp_path / "none", replace(STEPS, rate=float("nan")))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device must be there, was cuda"):
            train_shard(parts, 0, run.start, tmp_path / "none", STEPS, device="cuda")
    with pytest.raises(ValueError, match="device must be there, was tpu"):
        train_shard(parts, 0, run.start, tmp_path / "none", STEPS, device="tpu")
    with pytest.raises(ValueError, match="seed must be an integer at least 0, was -1"):
        train_shard(parts, 0, run.start, tmp_path / "none", replace(STEPS, seed=-1))
    with pytest.raises(ValueError, match="start must be a checkpoint's folder, was"):
        train_shard(parts, 0, tmp_path / "nowhere", tmp_path / "none", STEPS)
    with pytest.raises(ValueError, match="width must be at least the longest row's"):
        train_shard(parts, 0, run.start, tmp_path / "none", replace(STEPS, width=3))
    assert training.Settings(steps=10, warmup=0.2, rate=1.0).rate_at(0) == 0.5
