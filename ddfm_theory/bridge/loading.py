"""Loading experts from local checkpoints, and refusing what cannot serve with one clear message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ddfm_theory.bridge.experts import CheckpointExpert
from ddfm_theory.bridge.extras import need
from ddfm_theory.bridge.folders import diagnose, has_tokenizer
from ddfm_theory.bridge.images import Processed, load_processor
from ddfm_theory.bridge.prompts import Prompts

Tensor = Any  # torch.Tensor
_PREPARED = ("size", "crop_size", "do_resize", "do_center_crop", "do_pad", "do_rescale", "rescale_factor", "resample",
             "do_normalize", "image_mean", "image_std", "crop_to_patches", "min_patches", "max_patches")  # fmt: skip
_WORDS = 300  # letters of another library's message
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def load_expert(
    path: Any,
    *,
    dtype: Any = torch.float32,
    device: Any = "cpu",
    revision: str | None = None,
    local_files_only: bool = True,
    trust_remote_code: bool = False,
    cache: str = "dynamic",
) -> CheckpointExpert:
    """Load a checkpoint as an expert.

    Args:
        path: a folder of a Transformers checkpoint, a ``.gguf`` file of the Llama family, or a name in the local cache.
        dtype: the floating type of the weights, or its name.
        device: where they go.
        revision: of a named checkpoint.
        local_files_only: whether nothing may be fetched.
        trust_remote_code: whether code that lies beside the weights may run.
        cache: ``dynamic`` or ``static``, as for :class:`ddfm_theory.bridge.CheckpointExpert`.

    Raises:
        ValueError: the folder is none, a shard is missing, a file is truncated, weights do not fit the configuration.
    """
    dtype = _floating(dtype)
    if str(path).endswith(".gguf"):
        from ddfm_theory.bridge.gguf_llama import load_gguf

        model, tokenizer = load_gguf(path, dtype=dtype)
        return CheckpointExpert(_placed(model, device), tokenizer, str(path), cache)
    if Path(path).exists() or str(path).startswith((".", "/")):
        _refuse_kinds(diagnose(path).require())
    elif local_files_only and not _cached(str(path), revision):
        raise ValueError(f"path must be a folder, or a name in the local cache, {path} is neither")
    common = {"revision": revision, "local_files_only": local_files_only, "trust_remote_code": trust_remote_code}
    model = _load_model(str(path), dtype, common)
    with _refusing(path, "tokenizer"):
        tokenizer = _load_tokenizer(str(path), common)
    expert = CheckpointExpert(_placed(model, device), tokenizer, str(path), cache)
    with _refusing(path, "image processor"):
        processor = load_processor(Path(path), common) if expert.sees and Path(path).is_dir() else None
    if processor is not None:
        expert.reads = Processed(processor, model.config.model_type == "internvl")
    return expert


@contextmanager
def _refusing(path: Any, part: str) -> Iterator[None]:
    """Turn what a library raises over a folder's files into one message.

    Raises:
        ValueError: whatever it was; what Transformers and Tokenizers raise has no common class below Exception.
    """
    try:
        yield
    except Exception as error:
        words = " ".join(str(error).split())[:_WORDS]
        raise ValueError(
            f"path must be a loadable checkpoint, the {part} of {path} was not: {type(error).__name__}: {words}"
        ) from error


def _floating(dtype: Any) -> Any:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found not in DTYPES:
        raise ValueError(f"dtype must be one of {[str(known) for known in DTYPES]}, was {dtype!r}")
    return found


def _placed(model: Any, device: Any) -> Any:
    try:
        return model.to(device)
    except (AssertionError, RuntimeError) as error:  # no such device here, or no room on it
        raise ValueError(f"device must be one of this machine with room for the weights, {device} was not: "
                         f"{str(error).splitlines()[0]}") from error  # fmt: skip


def _cached(name: str, revision: str | None) -> bool:
    """Tell whether a name's configuration lies in the local cache; what can be no name is none."""
    try:
        return isinstance(need("huggingface_hub").try_to_load_from_cache(name, "config.json", revision=revision), str)
    except ValueError:
        return False


def _refuse_kinds(found: Any) -> None:
    if found.kind == "internvl-original":
        raise ValueError(f"path must be a Transformers checkpoint, {found.path} has OpenGVLab's original layout: "
                         "convert it with ddfm_theory.bridge.internvl.convert_internvl")  # fmt: skip
    if found.kind == "ensemble":
        raise ValueError(f"path must be one expert, {found.path} is an ensemble: use Ensemble.from_pretrained")


def _load_model(path: str, dtype: Any, common: dict[str, Any]) -> Any:
    transformers = need("transformers")

    with _refusing(path, "model"):
        config = transformers.AutoConfig.from_pretrained(path, **common)
        sees = type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and hasattr(config, "vision_config")
        auto = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        model, info = auto.from_pretrained(path, dtype=dtype, output_loading_info=True, use_safetensors=True,
                                           ignore_mismatched_sizes=True, **common)  # fmt: skip
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if info[what]:
            first = sorted(str(key if isinstance(key, str) else key[0]) for key in info[what])[0]
            raise ValueError(f"weights of {path} must fit their configuration, had {len(info[what])} "
                             f"{what.replace('_', ' ')}, the first {first}")  # fmt: skip
    return model


def _load_tokenizer(path: str, common: dict[str, Any]) -> Any:
    transformers = need("transformers")

    if Path(path).is_dir() and not has_tokenizer(Path(path)):
        return None
    return transformers.AutoTokenizer.from_pretrained(path, **common)


def load_encoder(path: Any) -> Any:
    """Load a checkpoint that embeds images, such as CLIP's, on the CPU in float32.

    Raises:
        ValueError: it cannot be loaded, or sees no images.
    """
    if not Path(path).exists() and not _cached(str(path), None):
        raise ValueError(f"encoder must be a folder, or a name in the local cache, {path} is neither")
    with _refusing(path, "encoder"):
        common = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
        model, info = need("transformers").AutoModel.from_pretrained(str(path), dtype=torch.float32,
                                                                     output_loading_info=True, **common)  # fmt: skip
    if info["missing_keys"]:
        raise ValueError(f"weights of {path} must fit their configuration, lacked {sorted(info['missing_keys'])[0]}")
    size = getattr(getattr(model.config, "vision_config", model.config), "image_size", None)
    if not isinstance(size, int):
        raise ValueError(f"encoder must be a checkpoint of square images, {path} is a {model.config.model_type}")
    return model.eval()


def load_experts(paths: Sequence[Any], **options: Any) -> list[CheckpointExpert]:
    """Load several experts and check that they speak of one vocabulary; options as for :func:`load_expert`.

    A ``device`` that is a list gives each expert its own.

    Raises:
        ValueError: as for :func:`load_expert` and :func:`ddfm_theory.bridge.loading.check_alike`.
    """
    devices = options.pop("device", "cpu")
    if isinstance(devices, (str, torch.device)):
        devices = [devices] * len(paths)
    if len(devices) != len(paths):
        raise ValueError(f"device must be one, or one an expert, {len(paths)}, was {len(devices)}")
    experts = [load_expert(path, device=device, **options) for path, device in zip(paths, devices, strict=True)]
    check_alike(experts)
    return experts


def check_alike(experts: Sequence[Any]) -> None:
    """Check that experts share vocabulary, tokenizer, image placeholder and reading of images.

    Laws over unlike tokens have no mixture, and laws given unlike conditions are not those of one state.

    Raises:
        ValueError: no experts, or unlike ones.
    """
    if not experts:
        raise ValueError("experts must hold at least one, was empty")
    first = experts[0]
    for k, other in enumerate(experts[1:], start=1):
        if other.vocabulary != first.vocabulary:
            raise ValueError(f"experts must have one vocabulary, expert 0 has {first.vocabulary}, "
                             f"expert {k} {other.vocabulary}")  # fmt: skip
        a, b = getattr(first, "image_token", None), getattr(other, "image_token", None)
        if a != b:
            raise ValueError(f"experts must have one image token, expert 0 has {a}, expert {k} {b}")
        _check_reading(first, other, k)
        _check_tokenizers(getattr(first, "tokenizer", None), getattr(other, "tokenizer", None), k)


def _check_reading(first: Any, other: Any, k: int) -> None:
    """One picture is prepared once for all experts: they must agree on how."""
    a, b = _reading(first), _reading(other)
    unlike = sorted(name for name in a.keys() & b.keys() if a[name] != b[name])
    if unlike:
        raise ValueError(f"experts must read images in one way, expert {k} differs from expert 0 in {unlike[0]}: "
                         f"{b[unlike[0]]} against {a[unlike[0]]}")  # fmt: skip


def _reading(expert: Any) -> dict[str, Any]:
    """Return the side of an expert's images, and what its processor's file says of preparing them, if it has one."""
    vision = getattr(getattr(getattr(expert, "model", None), "config", None), "vision_config", None)
    side = getattr(vision, "image_size", None)
    out = {} if side is None else {"image_size": [side, side] if isinstance(side, int) else list(side)}
    reads = getattr(expert, "reads", None)
    given = {} if reads is None else reads.processor.to_dict()
    written = {name: json.loads(json.dumps(given[name], default=dict)) for name in _PREPARED if name in given}
    return out | written  # as JSON, so that a tuple by default is the list that a file holds


def _check_tokenizers(first: Any, other: Any, k: int) -> None:
    if first is None or other is None:
        return
    a, b = first.get_vocab(), other.get_vocab()
    unlike = sorted(token for token in a.keys() | b.keys() if a.get(token) != b.get(token))
    if unlike:
        raise ValueError(f"experts must have one tokenizer, {len(unlike)} tokens of expert {k} differ from expert 0's, "
                         f"the first {unlike[0]!r}: {b.get(unlike[0])} against {a.get(unlike[0])}")  # fmt: skip
    if _rules(first) != _rules(other):
        raise ValueError(
            f"experts must have one tokenizer, expert {k} has expert 0's vocabulary, other merges or rules"
        )


def _rules(tokenizer: Any) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    parts = json.loads(backend.to_str())
    return parts["model"], parts["normalizer"], parts["pre_tokenizer"]


def check_image_matters(expert: CheckpointExpert, prompts: Prompts) -> float:
    """Check that an image changes an expert's law, by showing its negative instead.

    Returns:
        The largest change of a log-probability.

    Raises:
        ValueError: prompts without images, or a law that does not change at all.
    """
    if prompts.pixel_values is None:
        raise ValueError("prompts must show an image, showed none")
    other = Prompts(prompts.ids, 1 - prompts.pixel_values, prompts.images)
    change = float((expert.prefill(prompts).log_law - expert.prefill(other).log_law).abs().max())
    if not change > 0:
        raise ValueError(f"an image must change the law of {expert.name}, its negative gave the same to the last bit: "
                         "is the image dropped, or the projector zero?")  # fmt: skip
    return change
