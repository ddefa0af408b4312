"""What the experiment is made of: fetched files, canvases and questions, data folders and shards, scores."""

import json
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddfm_theory.bridge.scores import overlap
from toy_models.multimodal import fetch as fetching
from toy_models.multimodal.answering import Asked, alone, answer, majority
from toy_models.multimodal.dinov2 import MEMBER, backbone
from toy_models.multimodal.fetch import PACKAGES, Package, fetch
from toy_models.multimodal.folders import Row, cut, images_of, read_rows, shards, write_pictures
from toy_models.multimodal.scenes import SIDE, digit, portrait, scene, shape, sixteenths
from toy_models.multimodal.scoring import scored, unit
from toy_models.multimodal.sources import Emoji, Shape
from toy_models.multimodal.words import tokenizer, vocabulary

ASKED = [("what shape is present?", "circle"), ("what color is the shape?", "red"), ("is there a red shape?", "yes"),
         ("is there a blue shape?", "no"), ("is there a circle?", "yes")]  # fmt: skip


def disc(color):
    """An opaque disc, RGBA."""
    y, x = np.mgrid[:64, :64] - 31.5
    out = np.zeros((64, 64, 4), np.uint8)
    out[x**2 + y**2 < 32**2] = (*color, 255)
    return out


EMOJI = [Emoji(name, "animal", {"twitter": disc(color)})
         for name, color in (("cat", (200, 0, 0)), ("dog", (0, 200, 0)), ("owl", (0, 0, 200)))]  # fmt: skip


def all_pictures(seed=0, each=6):
    rng = np.random.default_rng(seed)
    for i in range(each):
        yield portrait(EMOJI, i % 3, "twitter", rng)
        yield scene(EMOJI, rng.permutation(3)[: 2 + i % 2].tolist(), "twitter", rng)
        yield digit(rng.integers(0, 256, (8, 8)).astype(np.uint8), i, rng)
        yield shape(Shape(disc((255, 0, 0))[..., :3], ASKED), rng)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    write_pictures(place, all_pictures())
    return place


class Oracle:
    """An expert that knows every answer: its law at a prefix is one-hot on the next token of the row's answer."""

    sees, name, image_token = True, "oracle", 0

    def __init__(self, rows):
        names = vocabulary(text for row in rows for text in (row.prompt, row.answer))
        self.tokenizer, self.vocabulary, self.image_token = tokenizer(names), len(names), len(names) - 1
        self.known, self.device = {}, "cpu"

    def image_features(self, pixels):
        return pixels[:, :1, :1, :1].flatten(2)

    def prefill(self, prompts, features=None):
        due = [self.known[(*row[1:], pixels.numpy().tobytes())]
               for row, pixels in zip(prompts.ids, prompts.pixel_values, strict=True)]  # fmt: skip
        return Told(due, self.vocabulary)


class Told:
    def __init__(self, due, vocabulary):
        self.due, self.at, self.vocabulary = due, 0, vocabulary
        self.log_law = self.law()

    def law(self):
        tokens = torch.tensor([row[min(self.at, len(row) - 1)] for row in self.due])
        return torch.where(torch.arange(self.vocabulary) == tokens[:, None], 0.0, -torch.inf)

    def step(self, tokens):
        self.at += 1
        self.log_law = self.law()
        return self.log_law

    def fork(self, rows=None):
        out = Told([self.due[i] for i in rows], self.vocabulary)
        out.at = self.at
        out.log_law = out.law()
        return out


def known(data, rows, oracle, monkeypatch):
    """Teach the oracle, and return the rows asked of it."""
    pixels = {name: torch.full((3, 4, 4), float(i)) for i, name in enumerate(images_of(rows))}
    monkeypatch.setattr("toy_models.multimodal.answering.shown", lambda *_: pixels)
    asked = Asked(data, rows, oracle)
    for ids, text, row in zip(asked.ids, asked.answers, rows, strict=True):
        oracle.known[(*ids[1:], pixels[row.image].numpy().tobytes())] = text
    return asked


def test_a_planted_oracle_gets_full_marks_through_generation_and_every_score(data, monkeypatch):
    rows = read_rows(data)
    oracle = Oracle(rows)
    asked = known(data, rows, oracle, monkeypatch)
    found = scored(rows, answer(alone(oracle), asked))
    kinds = {row.category for row in rows if row.task == "mme"}
    assert kinds == {"existence", "count", "position", "OCR", "color"}
    assert found["metrics"] == {"vqa": 1.0, "mme": 200.0 * len(kinds), "acc": 1.0, "acc_plus": 1.0, "grounding": 1.0}
    assert found["right"] == [1.0] * len(rows)
    assert set(found["categories"].values()) == {1.0}
    first = next(i for i, row in enumerate(rows) if row.task == "mme" and row.category == "count")
    oracle.known[(*asked.ids[first][1:], asked.pixels[rows[first].image].numpy().tobytes())] = [4, 2]
    one_off = scored(rows, answer(alone(oracle), asked))
    assert one_off["metrics"]["acc_plus"] < one_off["metrics"]["acc"] < 1
    assert one_off["right"].count(0.0) == 1


def test_answers_that_cannot_be_read_are_wrong():
    box = Row("a", "x.png", "where", "<0> <0> <8> <8>", "grounding", "box", "scene", (0, 0, 24, 24))
    assert scored([box], ["<0> <0> <8> <8>"])["metrics"] == {"grounding": 1.0}
    assert scored([box], ["<0> <0> <8>"])["metrics"] == {"grounding": 0.0}
    assert unit("<4> <8> <12> <15>") == "[0.25, 0.5, 0.75, 0.9375]"


def test_a_table_of_questions_answers_by_the_most_frequent(data):
    rows = [Row(str(i), "i.png", prompt, text, "vqa", "c") for i, (prompt, text) in enumerate(
        [("a ?", "x"), ("a ?", "y"), ("a ?", "y"), ("b ?", "x")])]  # fmt: skip
    asked = [Row("q", "i.png", prompt, "", "vqa", category) for prompt, category in
             [("a ?", "c"), ("b ?", "c"), ("never ?", "c"), ("never ?", "d")]]  # fmt: skip
    assert majority(rows, asked) == ["y", "x", "x", ""]


@given(st.integers(0, 2**32 - 1))
def test_boxes_hold_what_they_name_and_location_tokens_keep_them(seed):
    rng = np.random.default_rng(seed)
    picture = scene(EMOJI, [0, 1, 2][: int(rng.integers(2, 4))], "twitter", rng)
    channel = {"cat": 0, "dog": 1, "owl": 2}
    for one in picture.asked:
        if one.task != "grounding":
            continue
        left, top, right, bottom = one.box
        inside = picture.pixels[(top + bottom) // 2, (left + right) // 2].astype(int)
        assert inside.argmax() == channel[one.prompt.split()[3]]
        assert 0 <= left < right <= SIDE
        assert 0 <= top < bottom <= SIDE
        tokens = [int(word.strip("<>")) * SIDE / 16 for word in one.answer.split()]
        assert overlap(tokens, one.box) >= 0.5  # an exact answer is never out by rounding
    yes = [one for one in picture.asked if one.category == "position" and one.answer == "yes"]
    names = [row.prompt.split()[3] for row in picture.asked if row.task == "grounding"]
    boxes = {
        name: one.box for name, one in zip(names, [a for a in picture.asked if a.task == "grounding"], strict=True)
    }
    for one in yes:
        words = one.prompt.split()
        if words[2] in boxes and words[-2] in boxes:
            assert boxes[words[2]][2] <= boxes[words[-2]][0]


def test_mme_asks_a_yes_and_a_no_of_every_image(data):
    rows = [row for row in read_rows(data) if row.task == "mme"]
    for image in images_of(rows):
        for category in {row.category for row in rows if row.image == image}:
            assert sorted(row.answer for row in rows if (row.image, row.category) == (image, category)) == ["no", "yes"]


def test_location_tokens_stay_in_range():
    assert sixteenths((0, 0, SIDE, SIDE)) == "<0> <0> <15> <15>"


def test_shards_part_the_rows_by_image(data, tmp_path):
    rows = read_rows(data)
    images = images_of(rows)
    labels = np.arange(len(images)) % 3
    np.save(data / "tower.npy", np.arange(len(images))[:, None])
    cut(data, labels, tmp_path)
    (data / "tower.npy").unlink()
    parts = [read_rows(place) for place in shards(tmp_path)]
    assert sorted(row.id for part in parts for row in part) == sorted(row.id for row in rows)
    for k, (place, part) in enumerate(zip(shards(tmp_path), parts, strict=True)):
        assert images_of(part) == [name for name, label in zip(images, labels, strict=True) if label == k]
        assert sorted(file.name for file in (place / "images").iterdir()) == sorted(
            n.split("/")[1] for n in images_of(part)
        )
        assert np.load(place / "tower.npy")[:, 0].tolist() == np.flatnonzero(labels == k).tolist()


def test_a_row_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data must be a folder with rows.jsonl"):
        read_rows(tmp_path)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"image": "a.png", "prompt": "?"}) + "\n")
    with pytest.raises(ValueError, match=r"line 1 of .* must be JSON with image, prompt and answer"):
        read_rows(tmp_path)
    for wrong in ({"image": 3, "prompt": "?", "answer": "a"}, {"image": "a.png", "prompt": "?", "answer": None}):
        (tmp_path / "rows.jsonl").write_text(json.dumps(wrong) + "\n")
        with pytest.raises(ValueError, match=r"line 1 of .* must be JSON with image, prompt and answer: \w+ was"):
            read_rows(tmp_path)
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"data must have rows, .*rows.jsonl had none"):
        read_rows(tmp_path)


@pytest.mark.parametrize("held", [[], ["shard_1"], ["shard_0", "shard_2"], ["shard_0", "shard_x"]])
def test_a_partition_that_lacks_a_shard_is_refused(tmp_path, held):
    for name in held:
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=r"partition must be a folder with shard_0, .*, none missing"):
        shards(tmp_path)


def test_a_file_of_another_digest_is_refused(tmp_path):
    package = PACKAGES["shapes"]
    (tmp_path / package.file).write_bytes(b"not what was pinned")
    with pytest.raises(ValueError, match=rf"sha256 of {package.file} must be {package.sha256}"):
        fetch("shapes", tmp_path)


def test_what_is_fetched_is_checked_before_it_is_kept(tmp_path, monkeypatch):
    def download(words, **_):
        folder = next(word for word in words if word.startswith(str(tmp_path)))
        (fetching.Path(folder) / "a.whl").write_bytes(b"a package")
        return fetching.subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(fetching.subprocess, "run", download)
    right = "4b89eb0b3d23d0dd1cbfd2b2c5c8f9c5" * 2
    monkeypatch.setitem(PACKAGES, "shapes", Package("a", "1", "pip", "a.whl", right, "none"))
    with pytest.raises(ValueError, match=r"sha256 of a\.whl must be"):
        fetch("shapes", tmp_path)
    assert not (tmp_path / "a.whl").exists()
    found = fetching.hashlib.sha256(b"a package").hexdigest()
    monkeypatch.setitem(PACKAGES, "shapes", Package("a", "1", "pip", "a.whl", found, "none"))
    assert fetch("shapes", tmp_path).read_bytes() == b"a package"


def test_without_npm_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fetching.shutil, "which", lambda name: None)
    assert fetching.main(["--to", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["fetch: npm must be installed to fetch emoji-datasource-twitter, was not "
                    "(digits alone: --preset smoke)"]  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix_of_the_file_is_named_by_the_bias_that_is_added(tmp_path, turned):
    onnx = pytest.importorskip("onnx", reason="the extra experiments is not installed")
    rng, name = np.random.default_rng(0), "backbone.encoder.layer.0.mlp.fc1.bias"
    held = {"onnx::MatMul_7": rng.normal(size=(4, 3)), name: rng.normal(size=3),
            "other": rng.normal(size=(4, 3)), "onnx::Concat_1": rng.normal(size=(1, 1, 384)),
            "onnx::Reshape_2": rng.normal(size=(1, 37 * 37, 384))}  # fmt: skip
    held = {key: value.astype(np.float32) for key, value in held.items()}
    added = ["product", name][:: -1 if turned else 1]
    nodes = [onnx.helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["product"]),
             onnx.helper.make_node("MatMul", ["x", "other"], ["unnamed"]),
             onnx.helper.make_node("Add", added, ["y"])]  # fmt: skip
    tensors = [onnx.numpy_helper.from_array(value, key) for key, value in held.items()]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], tensors))
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr(MEMBER, model.SerializeToString())
    found = backbone(tmp_path / "a.whl")
    assert found.keys() == {"encoder.layer.0.mlp.fc1.bias", "encoder.layer.0.mlp.fc1.weight",
                            "embeddings.position_embeddings"}  # fmt: skip
    assert np.array_equal(found["encoder.layer.0.mlp.fc1.weight"], held["onnx::MatMul_7"].T)
    assert np.array_equal(found["embeddings.position_embeddings"][:, :1], held["onnx::Concat_1"])
