import json

import numpy as np
import pytest
import torch
from PIL import Image

from bridge.bounds import near, router_bound
from ddfm_theory.bridge import (
    BayesFilter,
    CosineRouter,
    DistanceRouter,
    Ensemble,
    FixedPrior,
    LastToken,
    LinearRouter,
    PaperRouter,
    Product,
    load_expert,
    load_experts,
    router_files,
)
from ddfm_theory.bridge.commands import ROUTERS, check_checkpoints, generate_text
from ddfm_theory.bridge.data import encode, read_items
from ddfm_theory.bridge.result_files import score_files
from ddfm_theory.bridge.router_files import open_router, save_router
from ddfm_theory.partition import euclidean_kmeans, spherical_balanced_kmeans, two_stage_kmeans


@pytest.fixture
def text_data(tmp_path):
    rows = [{"id": i, "prompt": " ".join(f"w{5 + j}" for j in range(i + 2)), "answer": "w7 w8 w9"} for i in range(5)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data.jsonl"


@pytest.fixture
def image_data(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append({"id": i, "image": f"{i}.png", "prompt": "w5 w6", "answer": "w7 w8"})
    (tmp_path / "images.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "images.jsonl"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    from transformers import CLIPConfig, CLIPModel

    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        vision_config={**small, "image_size": 8, "patch_size": 4},
        text_config={**small, "vocab_size": 9},
        projection_dim=6,
    )
    place = tmp_path_factory.mktemp("clip") / "clip"
    CLIPModel(config).save_pretrained(place)
    return place


def test_check_of_language_models_against_a_dense_one(folders, text_data, tmp_path):
    said = []
    paths = [folders / "llama_0", folders / "llama_1"]
    found = check_checkpoints(paths, text_data, dense=folders / "llama_1", out=tmp_path / "out.jsonl", say=said.append)
    assert found.ok
    assert found.items == 5
    assert set(found.distance["all"]) == {"kl", "tv", "nll_gap", "agreement", "router_entropy"}
    assert found.distance["all"]["tv"]["low"] <= found.distance["all"]["tv"]["mean"]
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert kinds == ["run"] + ["check"] * 9 + ["item"] * 5 + ["summary"]
    assert said


def test_an_interrupted_check_goes_on_where_it_was(folders, text_data, tmp_path, monkeypatch):
    paths, out = [folders / "llama_0", folders / "llama_1"], tmp_path / "out.jsonl"
    whole = check_checkpoints(paths, text_data, dense=folders / "llama_1", out=out)
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:12]) + lines[12][:20])  # two items, and a third cut in the middle
    done = []
    original = __import__("ddfm_theory.bridge.commands", fromlist=["compare"]).compare

    def counted(ensemble, dense, prompts, answers, features):
        done.append(len(prompts))
        return original(ensemble, dense, prompts, answers, features)

    monkeypatch.setattr("ddfm_theory.bridge.commands.compare", counted)
    again = check_checkpoints(paths, text_data, dense=folders / "llama_1", out=out)
    assert sum(done) == 3
    experts, items = [load_expert(path) for path in paths], read_items(text_data)
    prompts, answers = encode(items, experts[0])
    bound = router_bound(experts, prompts, 2 * max(map(len, answers)))  # other batches; KL and its like, of two texts
    for measure, row in again.distance["all"].items():
        assert abs(row["mean"] - whole.distance["all"][measure]["mean"]) <= bound
    with pytest.raises(ValueError, match="out must be of the same run"):
        check_checkpoints(paths, text_data, dense=folders / "llama_0", out=out)


LINEAR = LinearRouter(np.eye(2, 6), [0.1, 0.0])
KINDS = {
    "cosine": CosineRouter(np.eye(2, 6)), "distance": DistanceRouter(np.eye(2, 6)), "linear": LINEAR,
    "paper": PaperRouter(np.eye(2, 6)), "product": Product([LINEAR, FixedPrior([0.25, 0.75])]),
    "filter": BayesFilter(LINEAR), "last-token": LastToken(LINEAR), "fixed": FixedPrior([0.25, 0.75]),
}  # fmt: skip


def test_every_kind_of_router_is_in_the_table():
    assert set(KINDS) == {*router_files._LEAVES, *router_files._AROUND, Product.kind}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_router_is_reached_by_its_folder(kind, folders, image_data, clip, tmp_path):
    (tmp_path / "router").mkdir()
    save_router(KINDS[kind], tmp_path / "router")
    paths, encoder = [folders / "llava_0", folders / "llava_1"], None if kind == "fixed" else clip
    found = check_checkpoints(paths, image_data, router=tmp_path / "router", encoder=encoder, sample=2)
    assert len(found.records) == 9
    made = generate_text(paths, ["w5"], router=tmp_path / "router", encoder=encoder, images=[tmp_path / "0.png"],
                         max_new_tokens=2)  # fmt: skip
    assert len(made[0]["tokens"]) == 2


def test_routers_by_word_and_by_partition(tmp_path):
    assert isinstance(open_router("last-token", 3), LastToken)
    assert open_router("filter", 3).kind == "filter"
    assert open_router("fixed", 4).prior(None, 1).exp()[:, 0].tolist() == near([0.25] * 4, 4)
    with pytest.raises(ValueError, match=r"router must be a folder or one of \['filter', 'fixed', 'last-token'\]"):
        open_router(tmp_path / "nothing", 2)
    features = np.random.default_rng(0).normal(size=(40, 6))
    for found, name in (spherical_balanced_kmeans(features, 2, seed=0), "one"), (
        two_stage_kmeans(features, 2, n_fine=8, seed=0), "two"
    ):  # fmt: skip
        found.save(tmp_path / name)
        weights = open_router(tmp_path / name, 2).prior(torch.tensor(features), 40).exp()
        rule = "fine" if name == "two" else "centroids"
        assert np.array_equal(weights.argmax(0).numpy(), found.route(features, rule=rule).argmax(1))
    np.save(tmp_path / "clustering_centroids.npy", np.eye(2, 6))
    assert open_router(tmp_path, 2).kind == "paper"
    euclidean_kmeans(features, 2, seed=0).save(tmp_path / "e")
    with pytest.raises(ValueError, match="must be cosine's to route as the paper does, was euclidean"):
        open_router(tmp_path / "e", 2)


@pytest.mark.parametrize("dense", [True, False])
def test_a_check_reports_the_router_s_calibration(folders, text_data, tmp_path, dense):
    rows = [json.loads(line) for line in text_data.read_text().splitlines()]
    file = tmp_path / "labelled.jsonl"
    file.write_text("\n".join(json.dumps(row | {"expert": b % 2}) for b, row in enumerate(rows)))
    paths = [folders / "llama_0", folders / "llama_1"]
    found = check_checkpoints(paths, file, dense=folders / "llama_1" if dense else None, out=tmp_path / "out.jsonl")
    assert bool(found.distance) == dense
    assert found.calibration[ROUTERS[0]]["confidence"] == 0.5  # the uniform prior
    assert found.calibration[ROUTERS[1]]["n"] == len(rows)
    assert found.calibration[ROUTERS[1]]["confidence"] > 0.5
    file.write_text(json.dumps(rows[0] | {"expert": -1}))
    with pytest.raises(ValueError, match="expert of line 1"):
        check_checkpoints(paths, file)


def test_check_of_multimodal_experts_routed_by_an_encoder(folders, image_data, clip, tmp_path):
    router = tmp_path / "router"
    router.mkdir()
    save_router(BayesFilter(CosineRouter(np.eye(2, 6), 0.5)), router)
    paths = [folders / "llava_0", folders / "llava_1"]
    found = check_checkpoints(paths, image_data, dense=folders / "llava_0", router=router, encoder=clip)
    assert found.ok
    assert {record.outcome for record in found.records} == {"holds"}
    with pytest.raises(ValueError, match="features must be given"):
        check_checkpoints(paths, image_data, router=router)


def test_text_is_generated_from_folders(folders, image_data, tmp_path):
    rows = generate_text([folders / "llama_0", folders / "llama_1"], ["w5 w6", "w7"], greedy=True, max_new_tokens=4)
    assert [row["prompt"] for row in rows] == ["w5 w6", "w7"]
    assert all(sum(row["router"]) == near(1, 32) for row in rows)
    assert all(len(row["tokens"]) <= 4 for row in rows)
    ensemble = Ensemble(load_experts([folders / "llava_0", folders / "llava_1"]), BayesFilter(FixedPrior([0.5, 0.5])))
    place = ensemble.save_pretrained(tmp_path / "ensemble")
    shown = generate_text([place], ["w5"], images=[tmp_path / "0.png"], max_new_tokens=3, seed=1)
    assert isinstance(shown[0]["text"], str)


def test_scores_of_result_files(tmp_path):
    boxes = [{"answer": "[[0, 0, 500, 1000]]", "gt_bbox": [0, 0, 100, 100], "hw": [100, 200]}]
    for name in ("cluster0.json", "cluster1.json"):
        (tmp_path / name).write_text(json.dumps(boxes))
    files = [tmp_path / "cluster0.json", tmp_path / "cluster1.json"]
    (row,) = score_files("refcoco", files, convention="thousandths")
    assert (row["value"], row["n"], row["unread"]) == (1, 2, 0)
    (tmp_path / "answers.jsonl").write_text('{"question_id": 1, "answer": "dogs"}\n')
    people = {"annotations": [{"question_id": 1, "answers": [{"answer": "dogs"}] * 2 + [{"answer": "x"}] * 8}]}
    (tmp_path / "people.json").write_text(json.dumps(people))
    given = [tmp_path / "answers.jsonl"]
    (row,) = score_files("vqa", given, tmp_path / "people.json", variant="official")
    assert row["value"] == near(0.6, 32)
    for benchmark in ("anls", "exact"):
        assert score_files(benchmark, given, tmp_path / "people.json")[0]["value"] == 1
    with pytest.raises(ValueError, match="must hold each id once"):
        score_files("vqa", given * 2, tmp_path / "people.json", variant="official")


def test_mme_files_are_scored(tmp_path):
    for name in ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"):
        (tmp_path / f"{name}.txt").write_text("a.jpg\tone?\tYes\tyes\na.jpg\ttwo?\tNo\tyes\n")
    (row,) = score_files("mme", [tmp_path])
    assert (row["name"], row["value"], row["n"]) == ("MME cognition", 200, 4)


@pytest.mark.parametrize(("arguments", "message"), [
    (("best", []), "benchmark must be one of"),
    (("refcoco", []), "convention must be given"),
    (("vqa", []), "annotations must be given"),
    (("anls", ["none.json"], "none.json"), "must be a file"),
])  # fmt: skip
def test_missing_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        score_files(*arguments)
