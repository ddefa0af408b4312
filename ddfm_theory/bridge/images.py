"""Images as a checkpoint's own processor prepares them, and the placeholders that stand for them in a prompt.

Where a processor's file lies beside the weights it is what reads images: LLaVA-1.5's resizes the shorter edge and crops
the middle (or pads to a square first, where its ``do_pad`` says so); InternVL's cuts an image into up to
``max_patches`` square tiles, on the grid whose shape is nearest to the image's, and adds the whole as a thumbnail. An
image is then several tiles, each with its own placeholders. Without such a file, see
:class:`ddfm_theory.bridge.data.Pixels`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ddfm_theory.bridge.extras import need

Tensor = Any  # torch.Tensor
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HERE = "<image>"  # where a prompt shows its image, whatever a tokenizer calls the placeholder
FRAME = ("<img>", "</img>")  # what InternVL puts around an image


class Processed:
    """How a checkpoint's own image processor reads images.

    Args:
        processor: an image processor of Transformers.
        tiled: whether it cuts tiles, which InternVL's processor does whatever the file of its image processor says.
    """

    def __init__(self, processor: Any, tiled: bool) -> None:
        self.processor = processor
        self.options = {"crop_to_patches": True} if tiled else {}

    def tiles(self, image: Any) -> Tensor:
        """Return an image file's tiles, shape (n, 3, height, width), n = 1 where the processor cuts none.

        Raises:
            ValueError: a file that Pillow cannot read.
        """
        picture = opened(image)
        return torch.as_tensor(self.processor(images=picture, return_tensors="pt", **self.options)["pixel_values"])


def opened(image: Any) -> Any:
    """Return an image file as an RGB picture of Pillow.

    Raises:
        ValueError: a file that Pillow cannot read.
    """
    try:
        with need("PIL.Image").open(image) as found:
            return found.convert("RGB")
    except (OSError, SyntaxError) as error:
        raise ValueError(f"image must be a picture that Pillow reads, {image} was not: {error}") from error


def load_processor(place: Path, common: dict[str, Any]) -> Any:
    """Return a checkpoint folder's image processor, None where it has no file of one."""
    file, nested = place / "preprocessor_config.json", place / "processor_config.json"
    held = nested.exists() and "image_processor" in json.loads(nested.read_text(encoding="utf-8"))
    if not (file.exists() or held):
        return None
    return need("transformers").AutoImageProcessor.from_pretrained(str(place), **common)


def shown(prompt: str, expert: Any) -> str:
    """Return a prompt in which ``<image>`` is the expert's own placeholder."""
    return prompt.replace(HERE, str(expert.tokenizer.convert_ids_to_tokens(expert.image_token)))


def with_placeholders(row: list[int], count: int, expert: Any) -> list[int]:
    """Return a prompt's tokens with ``count`` placeholders: in its own one's place, else in front, after a <s>.

    Raises:
        ValueError: a prompt that shows more than one image.
    """
    token, found = expert.image_token, row.count(expert.image_token)
    if found > 1:
        raise ValueError(f"prompt must show its image once, showed it {found} times")
    at = row.index(token) if found else int(row[:1] == [expert.tokenizer.bos_token_id])
    before, after = frame(expert)
    return row[:at] + before + [token] * count + after + row[at + found :]


def frame(expert: Any) -> tuple[list[int], list[int]]:
    """Return the tokens around an image: those of InternVL where its tokenizer has them, none otherwise."""
    if expert.model.config.model_type != "internvl":
        return [], []
    ids = expert.tokenizer.convert_tokens_to_ids(list(FRAME))
    known = [i is not None and expert.tokenizer.convert_ids_to_tokens(i) == word
             for i, word in zip(ids, FRAME, strict=True)]  # fmt: skip
    return ([ids[0]], [ids[1]]) if all(known) else ([], [])


def native_processor(original: dict[str, Any]) -> dict[str, Any]:
    """Return the image processor's file for InternVL's original configuration: its statistics, and tiles where it cuts.

    Raises:
        ValueError: tiles without a thumbnail of the whole, which the native processor always adds.
    """
    tiled = bool(original.get("dynamic_image_size", False))
    if tiled and not original.get("use_thumbnail", False):
        raise ValueError("use_thumbnail of config.json must be true where dynamic_image_size is, was not")
    side = original.get("force_image_size") or original["vision_config"]["image_size"]
    return {
        "image_processor_type": "GotOcr2ImageProcessor", "processor_class": "InternVLProcessor",
        "crop_to_patches": tiled,
        "min_patches": int(original.get("min_dynamic_patch", 1)) if tiled else 1,
        "max_patches": int(original.get("max_dynamic_patch", 6)) if tiled else 1,
        "size": {"height": side, "width": side}, "image_mean": IMAGENET[0], "image_std": IMAGENET[1],
        "do_convert_rgb": True, "do_resize": True, "do_rescale": True, "do_normalize": True, "resample": 3,
    }  # fmt: skip
