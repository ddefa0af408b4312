"""What a checkpoint's own processor makes of images, against the rule as published, written here a second time."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bridge.bounds import law_bound
from bridge.test_internvl import original, original_config  # noqa: F401
from bridge.tiny_models import IMAGE, internvl, tokenizer
from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import BayesFilter, Ensemble, FixedPrior, load_expert
from ddfm_theory.bridge.data import CLIP, IMAGENET, Item, encode
from ddfm_theory.bridge.images import native_processor
from ddfm_theory.bridge.internvl import convert_internvl
from ddfm_theory.bridge.noise import law_gap

SIDE = 16  # of the tiny InternVL
STATISTICS = {"image_mean": IMAGENET[0], "image_std": IMAGENET[1]}
TILES = {"image_processor_type": "GotOcr2ImageProcessor", "size": {"height": SIDE, "width": SIDE}, "min_patches": 1,
         "max_patches": 6, "crop_to_patches": False, **STATISTICS}  # fmt: skip
# an intensity of at most 1: rescaled, less the mean, over the deviation, each rounded and the constants too
ROUNDED = gamma(torch.float32, 8) * (1 + max(IMAGENET[0])) / min(IMAGENET[1])


def picture(place, width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(place)
    return place


def grid(width, height, most, side):
    """The published rule: the tile grid of nearest shape; among equals a larger one if the image fills half of it."""
    grids = sorted(((i, j) for i in range(1, most + 1) for j in range(1, most + 1) if i * j <= most),
                   key=lambda g: g[0] * g[1])  # fmt: skip
    best = (1, 1)
    for one in grids:
        nearer = abs(width / height - one[0] / one[1]) - abs(width / height - best[0] / best[1])
        if nearer < 0 or (nearer == 0 and 2 * width * height > side**2 * one[0] * one[1]):
            best = one
    return best


def normal(image, statistics=IMAGENET):
    values = np.asarray(image, dtype=np.float64) / 255
    return torch.from_numpy(((values - statistics[0]) / statistics[1]).transpose(2, 0, 1))


def published_tiles(place, most, side=SIDE):
    """Tiles row by row, and the whole as a thumbnail unless there is one tile."""
    with Image.open(place) as image:
        columns, rows = grid(*image.size, most, side)
        wide = image.resize((columns * side, rows * side), Image.Resampling.BICUBIC)
        boxes = [(c * side, r * side, (c + 1) * side, (r + 1) * side) for r in range(rows) for c in range(columns)]
        out = [normal(wide.crop(box)) for box in boxes]
        thumb = [normal(image.resize((side, side), Image.Resampling.BICUBIC))] if len(out) > 1 else []
    return torch.stack(out + thumb)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """A native InternVL folder with its processor's file."""
    place = tmp_path_factory.mktemp("native")
    internvl(0).save_pretrained(place)
    tokenizer().save_pretrained(place)
    (place / "preprocessor_config.json").write_text(json.dumps(TILES))
    return place


@given(width=st.integers(3, 90), height=st.integers(3, 90))
@settings(max_examples=40, deadline=None)
def test_tiles_are_the_published_ones(native, width, height):
    expert, place = load_expert(native), picture(native / "a.png", width, height)
    found, due = expert.reads.tiles(place), published_tiles(place, 6)
    assert found.shape == due.shape
    assert float((found.double() - due).abs().max()) <= ROUNDED


def test_an_image_of_several_tiles_goes_through_prompts_ensembles_and_batches(native, tmp_path):
    expert = load_expert(native)
    sizes = [(64, 32), (16, 16), (20, 70)]
    items = [Item(str(b), picture(tmp_path / f"{b}.png", *size, b), "w5 w6", "w7") for b, size in enumerate(sizes)]
    prompts, answers = encode(items, expert)
    counts = [int(np.prod(grid(*size, 6, SIDE))) for size in sizes]
    assert prompts.images == [count + (count > 1) for count in counts] == [3, 1, 5]
    assert [row.count(IMAGE) for row in prompts.ids] == [4 * count for count in prompts.images]
    ensemble = Ensemble([expert, load_expert(native)], BayesFilter(FixedPrior([0.5, 0.5])))
    together = ensemble.next_token(prompts).log_law
    for b in range(3):
        alone = ensemble.next_token(prompts.select([b])).log_law[0]
        assert law_gap(together[b], alone) <= law_bound([expert], prompts)
    assert ensemble.score(prompts, answers).log_likelihoods.shape == (3,)
    place = ensemble.save_pretrained(tmp_path / "ensemble")
    again = Ensemble.from_pretrained(place)
    assert torch.equal(encode(items, again.experts[1])[0].pixel_values, prompts.pixel_values)


@pytest.mark.parametrize(("said", "most"), [
    ({"dynamic_image_size": True, "use_thumbnail": True, "max_dynamic_patch": 12}, 12),
    ({"dynamic_image_size": False, "use_thumbnail": True, "max_dynamic_patch": 12}, 1),
    ({}, 1),
])  # fmt: skip
def test_a_converted_checkpoint_tiles_as_the_original_said(said, most, original, tmp_path):  # noqa: F811
    config = json.loads((original / "config.json").read_text())
    (original / "config.json").write_text(json.dumps(config | said))
    convert_internvl(original, tmp_path / "native")
    place = picture(tmp_path / "a.png", 50, 15)
    found, due = load_expert(tmp_path / "native").reads.tiles(place), published_tiles(place, most)
    assert found.shape == due.shape
    assert len(due) == (4 if most > 1 else 1)
    assert float((found.double() - due).abs().max()) <= ROUNDED


def test_tiles_without_a_thumbnail_are_refused(make_expert):
    config = original_config(make_expert("internvl").model) | {"dynamic_image_size": True}
    with pytest.raises(ValueError, match=r"use_thumbnail of config.json must be true"):
        native_processor(config)


def resized(image, side):
    """The shorter edge to a length, the other in proportion, cut down to a whole number."""
    width, height = image.size
    long = int(side * max(width, height) / min(width, height))
    return image.resize((side, long) if width < height else (long, side), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("pads", [False, True])
def test_llava_crops_or_pads_as_its_processor_says(pads, folders, tmp_path):
    """The published file crops; LLaVA's own evaluation pads to a square with the mean color first."""
    from transformers import AutoModelForImageTextToText

    AutoModelForImageTextToText.from_pretrained(folders / "llava_0").save_pretrained(tmp_path / "llava")
    tokenizer().save_pretrained(tmp_path / "llava")
    kind = "LlavaImageProcessor" if pads else "CLIPImageProcessor"
    said = {"image_processor_type": kind, "size": {"shortest_edge": 8}, "crop_size": {"height": 8, "width": 8},
            "do_pad": pads, "image_mean": CLIP[0], "image_std": CLIP[1]}  # fmt: skip
    (tmp_path / "llava" / "preprocessor_config.json").write_text(json.dumps(said))
    place = picture(tmp_path / "a.png", 30, 12)
    with Image.open(place) as image:
        if pads:
            square = Image.new("RGB", (30, 30), tuple(int(255 * value) for value in CLIP[0]))
            square.paste(image, (0, 9))
            due = square.resize((8, 8), Image.Resampling.BICUBIC)
        else:
            due = resized(image, 8).crop((6, 0, 14, 8))
    found = load_expert(tmp_path / "llava").reads.tiles(place)
    assert float((found[0].double() - normal(due, CLIP)).abs().max()) <= ROUNDED


def framed_tokenizer():
    words = tokenizer()
    words.add_special_tokens({"additional_special_tokens": ["<img>", "</img>"]})
    return words


def test_placeholders_stand_where_the_prompt_shows_its_image(native, folders, tmp_path):
    place = picture(tmp_path / "a.png", 16, 16)
    expert = load_expert(native)

    def ids(prompt, expert):
        return encode([Item("a", place, prompt, "w7")], expert)[0].ids[0]

    assert ids("w5 <image> w6", expert) == [5, *[IMAGE] * 4, 6]
    assert ids("w5 w6", expert) == [*[IMAGE] * 4, 5, 6]
    assert ids("<s> w5 w6", expert) == [1, *[IMAGE] * 4, 5, 6]
    with pytest.raises(ValueError, match="prompt must show its image once, showed it 2 times"):
        ids("<image> w5 <image>", expert)
    expert.tokenizer = framed_tokenizer()
    start, end = expert.tokenizer.convert_tokens_to_ids(["<img>", "</img>"])
    assert ids("w5 <image> w6", expert) == [5, start, *[IMAGE] * 4, end, 6]
    llava = load_expert(folders / "llava_0")
    llava.tokenizer = expert.tokenizer
    assert ids("w5 <image> w6", llava) == [5, *[IMAGE] * 4, 6]


def test_a_folder_without_a_processors_file_reads_by_the_default(folders):
    assert load_expert(folders / "internvl_0").reads is None
    assert load_expert(folders / "llama_0").reads is None
