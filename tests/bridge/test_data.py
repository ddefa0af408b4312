import json

import numpy as np
import pytest
import torch
from PIL import Image

from bridge.bounds import near
from ddfm_theory.bridge import load_expert
from ddfm_theory.bridge.data import CLIP, Pixels, encode, image_embeddings, read_items
from ddfm_theory.bridge.loading import check_image_matters


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append({"id": f"a{i}", "image": f"{i}.png", "prompt": "w5 w6 " * (i + 1), "answer": "w7 w8"})
    return tmp_path / "data.jsonl", rows


def write(data, rows):
    data[0].write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return data[0]


@pytest.mark.parametrize("name", ["llava_0", "internvl_0"])
def test_rows_become_prompts_that_an_expert_reads(name, data, folders):
    expert, items = load_expert(folders / name), read_items(write(data, data[1]))
    prompts, answers = encode(items, expert)
    assert prompts.ids[1] == [39] * 4 + [5, 6, 5, 6]
    assert answers == [[7, 8]] * 3
    assert check_image_matters(expert, prompts) > 0


def test_rows_without_images(data, folders):
    rows = [{"prompt": row["prompt"], "answer": row["answer"]} for row in data[1]]
    items = read_items(write(data, rows))
    assert [item.key for item in items] == ["1", "2", "3"]
    prompts, _ = encode(items, load_expert(folders / "llama_0"))
    assert prompts.pixel_values is None


def test_a_line_ends_at_a_newline_alone(tmp_path):
    row = {"prompt": "one\u2028two", "answer": "three\x85"}
    (tmp_path / "d.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n\n", encoding="utf-8")
    (item,) = read_items(tmp_path / "d.jsonl")
    assert (item.prompt, item.answer) == (row["prompt"], row["answer"])


@pytest.mark.parametrize(("change", "message"), [
    ({"id": "a0"}, "'a0' of line 2 stood before"),
    ({"image": "none.png"}, "image of line 2 of .* must be there"),
    ({"answer": None}, "prompt and answer of line 2 of .* must be texts, were 'w5 w6 w5 w6 ' and None"),
    ({"prompt": 3}, "prompt and answer of line 2 of .* must be texts"),
    ({"answer": None, "prompt": None}, None),
])  # fmt: skip
def test_rows_are_refused_and_never_dropped(change, message, data):
    rows = [data[1][0], {**data[1][1], **change}]
    if message is None:
        rows = [data[1][0], {"id": "x"}]
        message = "line 2 of .* must be JSON with prompt and answer"
    with pytest.raises(ValueError, match=message):
        read_items(write(data, rows))


def test_other_refusals(data, folders, tmp_path):
    with pytest.raises(ValueError, match=r"data must be a file, .* was none"):
        read_items(tmp_path / "nothing.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="held none"):
        read_items(tmp_path / "empty.jsonl")
    items = read_items(write(data, data[1]))
    with pytest.raises(ValueError, match="a language model, 3 did"):
        encode(items, load_expert(folders / "llama_0"))
    mixed = read_items(write(data, [data[1][0], {"id": "t", "prompt": "w5", "answer": "w6"}]))
    with pytest.raises(ValueError, match="1 of 2 did"):
        encode(mixed, load_expert(folders / "llava_0"))
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="Pillow reads"):
        encode(items, load_expert(folders / "llava_0"))
    with pytest.raises(ValueError, match="fit must be"):
        Pixels(8, "guess")


def test_fits_by_hand(tmp_path):
    """An image 4 high and 8 wide, white but for its black left quarter."""
    array = np.full((4, 8, 3), 255, np.uint8)
    array[:, :2] = 0
    Image.fromarray(array).save(tmp_path / "a.png")
    plain = {"mean": (0.0,) * 3, "deviation": (1.0,) * 3}
    crop = Pixels(4, "crop", **plain).read(tmp_path / "a.png")
    assert torch.equal(crop, torch.ones(3, 4, 4))
    pad = Pixels(8, "pad", **plain).read(tmp_path / "a.png")
    assert torch.equal(pad[:, :2], torch.zeros(3, 2, 8))
    assert torch.equal(pad[:, 2:6, 2:], torch.ones(3, 4, 6))
    assert Pixels(4, "stretch", **plain).read(tmp_path / "a.png")[0, 0, 0] < 0.2
    white = Pixels(4, "crop").read(tmp_path / "a.png")[:, 0, 0]
    assert white.tolist() == near([(1 - m) / s for m, s in zip(*CLIP, strict=True)], 8, torch.float32)


def test_embeddings_of_clip_and_of_a_plain_tower(make_expert):
    from transformers import CLIPConfig, CLIPModel

    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 8, "patch_size": 4}  # fmt: skip
    text = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 9,
    }
    clip = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=6)).eval()
    pixels = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert image_embeddings(clip, pixels).shape == (2, 6)
    assert image_embeddings(make_expert("llava").model.model.vision_tower, pixels).shape == (2, 16)
