"""What a folder is, read from its files alone: no model is built, no weight is loaded, nothing of it is executed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ITEM = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
         "F8_E4M3": 1, "F8_E5M2": 1}  # fmt: skip
_BESIDE = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
_HEADER_LIMIT = 100_000_000  # what the format allows


@dataclass
class Diagnosis:
    """What a folder (or file) is, and what keeps it from serving.

    Attributes:
        path: what was looked at.
        kind: ``language``, ``image-text``, ``internvl-original``, ``gguf``, ``ensemble`` or ``unknown``.
        model_type: the configuration's name of the architecture, where there is one.
        parameters: the number of entries of its tensors.
        dtypes: entries a dtype.
        vocabulary: the number of tokens, where the configuration says so.
        tokenizer: whether a tokenizer lies beside the weights.
        image_token: the id of the image placeholder, where there is one.
        problems: one clear line each; empty means that it can serve.
    """

    path: str
    kind: str = "unknown"
    model_type: str | None = None
    parameters: int = 0
    dtypes: dict[str, int] = field(default_factory=dict)
    vocabulary: int | None = None
    tokenizer: bool = False
    image_token: int | None = None
    problems: list[str] = field(default_factory=list)

    def require(self) -> Diagnosis:
        """Return this diagnosis, or raise ValueError with its first problem."""
        if self.problems:
            raise ValueError(self.problems[0])
        return self


def diagnose(path: Any) -> Diagnosis:
    """Say what a folder is: a checkpoint of a known layout, a GGUF file, an ensemble, or none of these.

    Args:
        path: a folder, or a ``.gguf`` file.

    Returns:
        The diagnosis; what is wrong stands in ``problems``, nothing is raised for it.
    """
    place = Path(path)
    found = Diagnosis(str(place))
    if place.suffix == ".gguf":
        return _gguf(place, found)
    if not place.is_dir():
        why = "is a file" if place.exists() else "is not there"
        found.problems.append(f"path must be a folder, was {place}, which {why}")
        return found
    config = read_config(place, found)
    if config is None:
        return found
    if config.get("format") == "ddfm-ensemble":
        return _ensemble(place, config, found)
    _architecture(config, found)
    _weights(place, found)
    found.tokenizer = has_tokenizer(place)
    found.problems += [_not_json(file) for name in _BESIDE if (file := place / name).exists() and _not_json(file)]
    return found


def _not_json(file: Path) -> str:
    """Return what keeps a file from being a JSON object; nothing where it is one."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{file} must be JSON: {error}"
    return "" if isinstance(value, dict) else f"{file} must be a JSON object, was {type(value).__name__}"


def has_tokenizer(place: Path) -> bool:
    """Tell whether a tokenizer's file lies in a folder."""
    return any((place / name).exists() for name in ("tokenizer.json", "tokenizer.model", "vocab.json"))


def read_config(place: Path, found: Diagnosis) -> dict[str, Any] | None:
    """Return a folder's config.json, or None after writing down why there is none."""
    file = place / "config.json"
    if not file.exists():
        seen = sorted(entry.name for entry in place.iterdir())[:5]
        found.problems.append(f"path must be a checkpoint folder with a config.json, was {place}, which holds {seen}")
        return None
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        found.problems.append(f"config.json of {place} must be JSON: {error}")
        return None
    if not isinstance(config, dict):
        found.problems.append(f"config.json of {place} must be a JSON object, was {type(config).__name__}")
        return None
    return config


def _architecture(config: dict[str, Any], found: Diagnosis) -> None:
    found.model_type = config.get("model_type")
    text = config.get("text_config") or config.get("llm_config") or config
    if not isinstance(text, dict):
        found.problems.append(f"text_config in config.json of {found.path} must be a JSON object, was {text!r}")
        text = {}
    found.vocabulary = _index(text.get("vocab_size", config.get("vocab_size")), "vocab_size", found)
    found.image_token = _index(config.get("image_token_id", config.get("image_token_index")), "image token", found)
    if not isinstance(found.model_type, str):
        found.problems.append(f"config.json of {found.path} must name its model_type, did not")
    elif found.model_type == "internvl_chat":
        found.kind = "internvl-original"
    else:
        found.kind = "image-text" if "vision_config" in config else "language"


def _index(value: Any, name: str, found: Diagnosis) -> int | None:
    """Return a whole number of a configuration, None after writing down that it is none."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    found.problems.append(f"{name} in config.json of {found.path} must be a whole number, was {value!r}")
    return None


def _weights(place: Path, found: Diagnosis) -> None:
    """Read the safetensors headers, and compare them with the index where there is one."""
    shards, due = _shards(place, found)
    held: set[str] = set()
    for shard in shards:
        if not shard.exists():
            found.problems.append(f"shard {shard.name} of {place} must be there, was missing")
            continue
        try:
            header = safetensors_header(shard)
        except ValueError as error:
            found.problems.append(str(error))
            continue
        held |= set(header)
        _count(header, found)
    lost = sorted(due - held) if due and not found.problems else []
    if lost:
        found.problems.append(f"index of {place} names {len(lost)} tensors that no shard holds, the first {lost[0]}")


def _shards(place: Path, found: Diagnosis) -> tuple[list[Path], set[str]]:
    index = place / "model.safetensors.index.json"
    if index.exists():
        try:
            weights = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            if not all(isinstance(name, str) for name in weights.values()):
                raise ValueError("it must name files")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found.problems.append(f"{index.name} of {place} must be a JSON index with a weight_map: {error}")
            return [], set()
        return [place / name for name in sorted(set(weights.values()))], set(weights)
    single = sorted(place.glob("*.safetensors"))
    if not single:
        pickles = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in place.glob(pattern))
        why = f"only {pickles[:3]}, which are pickles and are never read" if pickles else "none"
        found.problems.append(f"weights of {place} must be safetensors, found {why}")
    return single, set()


def safetensors_header(file: Path) -> dict[str, Any]:
    """Return the header of a safetensors file (name to dtype, shape, offsets) after checking the file's length by it.

    Raises:
        ValueError: the file is truncated, longer than it says, or no safetensors file.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _HEADER_LIMIT):
            raise ValueError(f"{file} must be a whole safetensors file, was cut within its header or is none")
        try:
            header = json.loads(stream.read(length))
            entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
            ends = [_checked(name, entry) for name, entry in entries.items()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} must be a safetensors file, its header could not be read: {error}") from error
    due = 8 + length + max(ends, default=0)
    if size != due:
        raise ValueError(f"{file} must have {due} bytes by its header, had {size}: truncated or corrupt")
    for name, entry in entries.items():
        _check_entry(file, name, entry)
    return entries


def _checked(name: str, entry: dict[str, Any]) -> int:
    """Return where an entry ends, once its dtype is a word, and its shape and two offsets are whole numbers."""
    numbers = [*entry["shape"], *entry["data_offsets"]]
    whole = all(isinstance(number, int) and number >= 0 for number in numbers)
    if not whole or len(entry["data_offsets"]) != 2 or not isinstance(entry["dtype"], str):
        raise ValueError(f"{name} has dtype {entry['dtype']!r}, shape {entry['shape']}, at {entry['data_offsets']}")
    return int(entry["data_offsets"][1])


def _check_entry(file: Path, name: str, entry: dict[str, Any]) -> None:
    start, end = entry["data_offsets"]
    item = _ITEM.get(entry["dtype"])
    if item is not None and end - start != item * math.prod(entry["shape"]):
        raise ValueError(
            f"{file} must give {name} {item * math.prod(entry['shape'])} bytes, gave {end - start}: corrupt"
        )


def _count(header: dict[str, Any], found: Diagnosis) -> None:
    for entry in header.values():
        size = math.prod(entry["shape"])
        found.parameters += size
        found.dtypes[entry["dtype"]] = found.dtypes.get(entry["dtype"], 0) + size


def _gguf(place: Path, found: Diagnosis) -> Diagnosis:
    from ddfm_theory.bridge.gguf import read_gguf

    try:
        file = read_gguf(place)
    except (ValueError, OSError) as error:
        found.problems.append(str(error))
        return found
    found.kind, found.model_type = "gguf", file.metadata.get("general.architecture")
    found.vocabulary = len(file.metadata.get("tokenizer.ggml.tokens", [])) or None
    found.tokenizer = found.vocabulary is not None
    for entry in file.entries.values():
        found.parameters += math.prod(entry.shape)
        found.dtypes[entry.type_name] = found.dtypes.get(entry.type_name, 0) + math.prod(entry.shape)
    return found


def _ensemble(place: Path, config: dict[str, Any], found: Diagnosis) -> Diagnosis:
    found.kind = "ensemble"
    names = config.get("experts")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        found.problems.append(f"config.json of {place} must name at least one expert, named {names!r}")
        return found
    parts = [diagnose(place / name) for name in names]
    found.vocabulary, found.tokenizer = parts[0].vocabulary, parts[0].tokenizer
    found.parameters = sum(part.parameters for part in parts)
    for part in parts:
        found.problems += part.problems
    if not (place / "router" / "config.json").exists():
        found.problems.append(f"ensemble {place} must hold router/config.json, did not")
    if len({part.vocabulary for part in parts}) > 1:
        found.problems.append(f"experts of {place} must have one vocabulary, had {[part.vocabulary for part in parts]}")
    return found
