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
from ddfm_theory.bridge.commands import ROUTERS, check_checkpoints, features_of, generate_text
from ddfm_theory.bridge.data import encode, read_items
from ddfm_theory.bridge.journal import Journal
from ddfm_theory.bridge.mme import COGNITION, PERCEPTION
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


@pytest.fixture
def journal(folders, text_data, tmp_path):
    """Check two experts against a dense one into one file; the arguments may be changed."""
    paths, out = [folders / "llama_0", folders / "llama_1"], tmp_path / "out.jsonl"

    def run(**changed):
        return check_checkpoints(paths, text_data, dense=folders / "llama_1", out=out, sample=2, **changed)

    run()
    return out, run


def test_a_finished_check_run_again_has_one_of_each_line(journal):
    out, run = journal
    before = out.read_text().splitlines()
    found = run()
    assert found.items == 5
    assert sorted(out.read_text().splitlines()) == sorted(before)


@pytest.mark.parametrize("changed", [{"dtype": "bfloat16"}, {"dtype": torch.float64}, {"gate": 1}, {"router": "fixed"}])
def test_rows_of_other_arguments_are_never_taken_up(journal, changed):
    out, run = journal
    before = out.read_text()
    with pytest.raises(ValueError, match="out must be of the same run"):
        run(**changed)
    assert out.read_text() == before


def test_rows_of_other_data_are_never_taken_up(journal, text_data):
    _, run = journal
    text_data.write_text(text_data.read_text().replace("w9", "w10"))
    with pytest.raises(ValueError, match="out must be of the same run"):
        run()


@pytest.mark.parametrize("text", ["my notes", "{}\n", "[1, 2]\n", '{"kind": "item", "id": "0"}\n', "one\ntwo\n"])
def test_a_file_of_something_else_is_left_as_it_is(journal, text):
    out, run = journal
    out.write_text(text)
    with pytest.raises(ValueError, match="out must be a new file"):
        run()
    assert out.read_text() == text


def test_a_journal_cut_in_its_first_line_begins_anew(journal):
    out, run = journal
    whole = out.read_text()
    out.write_text(whole[:20])
    run()
    assert out.read_text() == whole


def test_infinity_comes_back_from_a_journal(tmp_path):
    Journal(tmp_path / "out.jsonl", {}).add({"id": "a", "kl": float("inf"), "tv": 0.5})
    assert "null" in (tmp_path / "out.jsonl").read_text()
    for _ in range(2):
        assert Journal(tmp_path / "out.jsonl", {}).rows["a"] == {"id": "a", "kl": float("inf"), "tv": 0.5}


def test_an_expert_that_is_none_is_refused_before_anything_is_measured(folders, text_data, tmp_path):
    rows = [json.loads(line) for line in text_data.read_text().splitlines()]
    write(text_data, rows[0])
    text_data.write_text("\n".join(json.dumps(row | {"expert": 2}) for row in rows))
    with pytest.raises(ValueError, match=r"expert of row '0' must be an index in 0..1, was 2"):
        check_checkpoints([folders / "llama_0", folders / "llama_1"], text_data, out=tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_images_are_looked_at_in_blocks(image_data, clip, monkeypatch):
    items = read_items(image_data)
    apart = [features_of(items[:2], clip), features_of(items[2:], clip)]
    monkeypatch.setattr("ddfm_theory.bridge.commands._LOOKED_AT", 2)
    found, raw = features_of(items, clip), features_of(items, clip, raw=True)
    assert torch.equal(found, torch.cat(apart))
    assert torch.equal(found, raw / raw.norm(dim=1, keepdim=True))
    assert not torch.equal(found, raw)


def test_a_router_with_a_mean_looks_at_features_as_they_are(folders, image_data, clip, tmp_path):
    """Raw features less their mean part; the normalized ones less it would all go one way."""
    raw = features_of(read_items(image_data), clip, raw=True).numpy()
    mean, out = raw.mean(axis=0), tmp_path / "out.jsonl"
    centroids = np.stack([raw[0] - mean, raw[1] - mean])
    np.save(tmp_path / "clustering_centroids.npy", centroids)
    np.save(tmp_path / "clustering_global_mean.npy", mean)
    paths = [folders / "llava_0", folders / "llava_1"]
    check_checkpoints(paths, image_data, dense=paths[0], router=tmp_path, encoder=clip, sample=2, out=out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["cluster"] for row in rows if row["kind"] == "item"][:2] == [0, 1]
    (made,) = generate_text(paths, ["w5"], router=tmp_path, encoder=clip, images=[tmp_path / "1.png"], max_new_tokens=1)
    assert made["router"] == [0, 1]


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


def test_a_wrong_router_is_refused_before_experts_are_loaded(text_data, tmp_path):
    for given, message in ("nope", "router must be a folder or one of"), (tmp_path, "place must hold clustering"):
        with pytest.raises(ValueError, match=message):
            check_checkpoints(["nowhere_0", "nowhere_1"], text_data, router=given)


def test_text_is_generated_from_folders(folders, image_data, tmp_path):
    rows = generate_text([folders / "llama_0", folders / "llama_1"], ["w5 w6", "w7"], greedy=True, max_new_tokens=4)
    assert [row["prompt"] for row in rows] == ["w5 w6", "w7"]
    assert all(sum(row["router"]) == near(1, 32) for row in rows)
    assert all(len(row["tokens"]) <= 4 for row in rows)
    ensemble = Ensemble(load_experts([folders / "llava_0", folders / "llava_1"]), BayesFilter(FixedPrior([0.5, 0.5])))
    place = ensemble.save_pretrained(tmp_path / "ensemble")
    shown = generate_text([place], ["w5"], images=[tmp_path / "0.png"], max_new_tokens=3, seed=1)
    assert isinstance(shown[0]["text"], str)
    with pytest.raises(ValueError, match="images must be one a prompt, 2, were 1"):
        generate_text([place], ["w5", "w6"], images=[tmp_path / "0.png"])


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


def write(place, value):
    place.write_text(json.dumps(value), encoding="utf-8")
    return place


ROWS = [{"question_id": 1, "answer": "dogs"}]
PEOPLE = [{"question_id": 1, "answers": [{"answer": "dogs"}] * 10}]


@pytest.mark.parametrize(("results", "annotations"), [
    ([{"questionId": 1, "answer": "dogs", "annotation": ["x"]}], {"data": [{"questionId": 1, "answers": ["dogs"]}]}),
    ([{"question_id": 1, "prompt": "what?", "text": "dogs"}], {"annotations": PEOPLE}),
    (ROWS, [{"question_id": 1, "answers": "dogs"}]),
    ([{"image": "a.png", "answer": "dogs", "annotation": ["cats", "Dogs"]}] * 2, None),
])  # fmt: skip
def test_public_formats_are_read(tmp_path, results, annotations):
    given = [write(tmp_path / "results.json", results)]
    file = None if annotations is None else write(tmp_path / "references.json", annotations)
    for benchmark in ("anls", "exact"):
        (row,) = score_files(benchmark, given, file)
        assert (row["value"], row["n"]) == (1, len(results))


def test_lines_end_at_newlines_alone(tmp_path):
    text = "dogs\u2028and\x85cats"
    (tmp_path / "r.jsonl").write_text(json.dumps({"question_id": 1, "answer": text}, ensure_ascii=False), "utf-8")
    people = write(tmp_path / "p.json", [{"question_id": 1, "answers": [text]}])
    assert score_files("exact", [tmp_path / "r.jsonl"], people)[0]["value"] == 1


@pytest.mark.parametrize(("benchmark", "results", "annotations", "message"), [
    ("vqa", [{"question_id": 1, "answer": None}], PEOPLE, "predictions must be texts"),
    ("vqa", [{"question_id": [1], "answer": "a"}], PEOPLE, "question_id or questionId must be a number or a text"),
    ("vqa", [{"question_id": 1}], PEOPLE, "rows must be objects with answer or text, row 0"),
    ("vqa", ["a"], PEOPLE, "rows must be objects with question_id or questionId, answer or text, row 0"),
    ("vqa", {"question_id": 1}, PEOPLE, "results must be a list of objects"),
    ("vqa", ROWS, {"questions": []}, "annotations must be a list"),
    ("vqa", ROWS, ["a"], "rows must be objects with question_id or questionId, answers, row 0"),
    ("vqa", ROWS, [{"question_id": 1}], "rows must be objects with answers"),
    ("vqa", ROWS, [{"question_id": 1, "answers": None}], "answers must be a list"),
    ("vqa", ROWS, [{"question_id": 1, "answers": [{}]}], "rows must be objects with answer,"),
    ("vqa", ROWS, [{"question_id": None, "answers": []}], "question_id or questionId must be"),
    ("exact", ROWS, [{"question_id": 1, "answers": []}], "references must be a text or several"),
    ("anls", ROWS, None, "rows must be objects with annotation"),
    ("refcoco", [{"answer": "", "gt_bbox": [0, 0, 1, 1], "hw": None}], None, r"hw must be \[height, width\]"),
    ("refcoco", [{"answer": "", "gt_bbox": [0, 0, 1], "hw": [1, 1]}], None, "references must be"),
])  # fmt: skip
def test_malformed_result_files_have_one_message(tmp_path, benchmark, results, annotations, message):
    given = [write(tmp_path / "results.json", results)]
    file = None if annotations is None else write(tmp_path / "references.json", annotations)
    with pytest.raises(ValueError, match=message.rstrip(",")):
        score_files(benchmark, given, file, variant="official", convention="pixels")


def test_grounding_files_of_one_name_stay_apart(tmp_path):
    row = {"answer": "[0, 0, 1, 1]", "gt_bbox": [0, 0, 1, 1], "hw": [1, 1]}
    for cluster in ("0", "1"):
        (tmp_path / cluster).mkdir()
    given = [write(tmp_path / cluster / "refcoco.json", [row]) for cluster in ("0", "1")]
    assert score_files("refcoco", given, convention="pixels")[0]["n"] == 2
    with pytest.raises(ValueError, match="results must hold each id once"):
        score_files("refcoco", given[:1] * 2, convention="pixels")


def test_mme_lacking_a_category_is_refused(tmp_path):
    for name in PERCEPTION + COGNITION:
        said = "yes" if name in PERCEPTION else "maybe"
        (tmp_path / f"{name}.txt").write_text(f"a.jpg\tone?\tYes\t{said}\na.jpg\ttwo?\tNo\tno\n")
    rows = {row["name"]: row for row in score_files("mme", [tmp_path])}
    assert list(rows) == [f"MME {name}{part}" for name in ("perception", "cognition") for part in ("", " acc", " acc+")]
    assert [row["value"] for row in rows.values()] == [2000, 1000, 1000, 200, 200, 0]
    assert [row["unread"] for row in rows.values()] == [0] * 3 + [len(COGNITION)] * 3
    (tmp_path / "OCR.txt").write_text("")
    with pytest.raises(ValueError, match=r"questions must cover .* lacked \['OCR'\]"):
        score_files("mme", [tmp_path])


def test_mme_files_are_scored(tmp_path):
    for name in ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"):
        (tmp_path / f"{name}.txt").write_text("a.jpg\tone?\tYes\tyes\na.jpg\ttwo?\tNo\tyes\n")
    row, acc, plus = score_files("mme", [tmp_path])
    assert (row["name"], row["value"], row["n"]) == ("MME cognition", 200, 4)
    assert (acc["value"], acc["low"], acc["high"]) == (200, 200, 200)
    assert (plus["value"], plus["low"], plus["high"]) == (0, 0, 0)


@pytest.mark.parametrize(("arguments", "message"), [
    (("best", []), "benchmark must be one of"),
    (("refcoco", []), "convention must be given"),
    (("vqa", []), "annotations must be given"),
    (("anls", ["none.json"], "none.json"), "must be a file"),
])  # fmt: skip
def test_missing_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        score_files(*arguments)
