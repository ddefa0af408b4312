"""GGUF files with NumPy alone: metadata, and tensors in F32, F16, BF16, Q8_0 and Q4_1.

The file is ``GGUF``, a version, counts, key-value pairs, tensor descriptions, and the data, aligned. A quantized block
holds 32 entries: Q8_0 a half-precision scale d and 32 signed bytes q, entry d q; Q4_1 a scale d, a minimum m and 16
bytes, entry d q + m, the low nibbles first.

References:
    ggml contributors, "GGUF" (the format's description), https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# ggml's number of a tensor type: its name, entries a block, bytes a block
_TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 3: ("Q4_1", 32, 20), 8: ("Q8_0", 32, 34), 30: ("BF16", 1, 2)}


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies: its type, its shape as NumPy has it (slowest axis first), and the bytes it takes."""

    type_name: str
    shape: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True)
class GGUF:
    """A GGUF file: metadata and the places of its tensors."""

    path: Path
    metadata: dict[str, Any]
    entries: dict[str, Entry]

    def tensor(self, name: str) -> np.ndarray:
        """Return one tensor in float32.

        Raises:
            ValueError: no such tensor.
        """
        if name not in self.entries:
            raise ValueError(f"name must be a tensor of {self.path}, was {name!r}")
        entry = self.entries[name]
        raw = np.fromfile(self.path, dtype=np.uint8, count=entry.size, offset=entry.start)
        return _DECODE[entry.type_name](raw).reshape(entry.shape)


class _Reader:
    def __init__(self, data: memoryview, path: Path) -> None:
        self.data, self.at, self.path = data, 0, path

    def take(self, code: str) -> Any:
        size = struct.calcsize("<" + code)
        if self.at + size > len(self.data):
            raise ValueError(f"{self.path} must be a whole GGUF file, ended within its header at byte {self.at}")
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += size
        return value

    def text(self) -> str:
        length = self.take("Q")
        if self.at + length > len(self.data):
            raise ValueError(f"{self.path} must be a whole GGUF file, ended within a text at byte {self.at}")
        raw = bytes(self.data[self.at : self.at + length])
        self.at += length
        return raw.decode("utf-8", errors="surrogateescape")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.take("I"), self.take("Q")
            return [self.value(inner) for _ in range(count)]
        if kind not in _SCALARS:
            raise ValueError(f"{self.path} must hold GGUF value types 0..12, held {kind} at byte {self.at}")
        return self.take(_SCALARS[kind])


def read_gguf(path: Any) -> GGUF:
    """Read a GGUF file's metadata and the places of its tensors.

    Args:
        path: the file.

    Raises:
        ValueError: no GGUF file, a version other than 2 or 3, a tensor type that is not read here, or a file cut short.
    """
    place = Path(path)
    if not place.is_file():
        raise ValueError(f"path must be a GGUF file, was {place}")
    reader = _Reader(np.memmap(place, dtype=np.uint8, mode="r").data, place)
    if reader.take("4s") != b"GGUF":
        raise ValueError(f"{place} must begin with GGUF, did not")
    version = reader.take("I")
    if version not in (2, 3):
        raise ValueError(f"{place} must be of GGUF version 2 or 3, was {version}")
    tensors, pairs = reader.take("Q"), reader.take("Q")
    metadata = {}
    for _ in range(pairs):
        key = reader.text()
        metadata[key] = reader.value(reader.take("I"))
    return GGUF(place, metadata, _entries(reader, tensors, int(metadata.get("general.alignment", 32))))


def _entries(reader: _Reader, count: int, alignment: int) -> dict[str, Entry]:
    listed = []
    for _ in range(count):
        name = reader.text()
        shape = tuple(reader.take("Q") for _ in range(reader.take("I")))[::-1]
        listed.append((name, shape, reader.take("I"), reader.take("Q")))
    base = -(-reader.at // alignment) * alignment
    out = {}
    for name, shape, kind, offset in listed:
        if kind not in _TYPES:
            known = sorted(name for name, _, _ in _TYPES.values())
            raise ValueError(f"{reader.path} must hold tensors of {known}, {name} is of type {kind}")
        type_name, per_block, block_bytes = _TYPES[kind]
        entry = Entry(type_name, shape, base + offset, math.prod(shape) // per_block * block_bytes)
        if entry.start + entry.size > len(reader.data):
            due = entry.start + entry.size
            raise ValueError(f"{reader.path} must have {due} bytes for {name}, had {len(reader.data)}: truncated")
        out[name] = entry
    return out


def _f32(raw: np.ndarray) -> np.ndarray:
    return raw.view("<f4").astype(np.float32)


def _f16(raw: np.ndarray) -> np.ndarray:
    return raw.view("<f2").astype(np.float32)


def _bf16(raw: np.ndarray) -> np.ndarray:
    return np.asarray((raw.view("<u2").astype(np.uint32) << 16).view(np.float32))


def _half(columns: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(columns).view("<f2").astype(np.float32)


def _q8_0(raw: np.ndarray) -> np.ndarray:
    blocks = raw.reshape(-1, 34)
    return _half(blocks[:, :2]) * np.ascontiguousarray(blocks[:, 2:]).view(np.int8).astype(np.float32)


def _q4_1(raw: np.ndarray) -> np.ndarray:
    blocks = raw.reshape(-1, 20)
    nibbles = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    return np.asarray(_half(blocks[:, :2]) * nibbles.astype(np.float32) + _half(blocks[:, 2:4]))


_DECODE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "F32": _f32, "F16": _f16, "BF16": _bf16, "Q8_0": _q8_0, "Q4_1": _q4_1,
}  # fmt: skip
