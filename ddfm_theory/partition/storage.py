"""Partitions on disk: a safetensors file of arrays and a JSON file that names it, with its SHA-256, and holds the rest.

The tensors' file is named by its own hash and written first; replacing ``partition.json`` is the one step that
counts, so that a reader, and a crash, sees the old partition or the new one. Nothing is pickled.
:func:`~ddfm_theory.partition.load_paper` reads what the paper's clustering scripts write.

References:
    Maschan, Qu, Liu, "Decentralized Autoregressive Generation", arXiv 2601.03184, released code, clustering scripts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ddfm_theory.files import write_whole
from ddfm_theory.partition.assignment import check_labels
from ddfm_theory.partition.result import Partition
from ddfm_theory.partition.rows import unit

Array = Any
FORMAT = "ddfm_theory.partition/1"
TENSORS = ("centroids", "labels", "loads", "prices", "fine_centroids", "fine_to_coarse")
VALUES = ("objective", "metric", "method", "seed", "history")


def save(partition: Partition, folder: str | Path) -> None:
    """Write a partition to a folder, which is made if need be; one that is there is replaced in one step.

    Args:
        partition: what is written.
        folder: where.
    """
    from safetensors.numpy import save as to_bytes

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(partition, name) for name in TENSORS if getattr(partition, name) is not None}
    data = to_bytes({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    digest = hashlib.sha256(data).hexdigest()
    header = {name: getattr(partition, name) for name in VALUES}
    header |= {"format": FORMAT, "tensors": f"partition-{digest[:16]}.safetensors", "sha256": digest}
    former = _former(folder)
    write_whole(folder / header["tensors"], data)
    write_whole(folder / "partition.json", (json.dumps(header, indent=2, sort_keys=True) + "\n").encode())
    if former not in (None, header["tensors"]):
        (folder / str(former)).unlink(missing_ok=True)


def _former(folder: Path) -> str | None:
    """Return the tensors' file of a partition that is already there, None where none can be read."""
    try:
        return str(_header(folder)["tensors"])
    except ValueError:
        return None


def load(folder: str | Path) -> Partition:
    """Read a partition that :func:`save` wrote.

    Raises:
        ValueError: a file is missing, truncated, of another kind, or not the one that was saved with the other.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    folder = Path(folder)
    header = _header(folder)
    path = folder / header["tensors"]
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != header["sha256"]:
        raise ValueError(f"folder must hold a saved partition, {path} was truncated or changed: its SHA-256 differs")
    try:
        arrays: dict[str, Any] = from_bytes(data)
        values = {name: header[name] for name in VALUES} | {"history": tuple(header["history"])}
        return Partition(**{name: arrays[name] for name in TENSORS if name in arrays}, **values)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"folder must hold a saved partition, {folder} did not: {error}") from error


def _header(folder: Path) -> dict[str, Any]:
    path = folder / "partition.json"
    header = _json(path)
    if header.get("format") != FORMAT:
        raise ValueError(f"folder must hold a saved partition, the format in {path} was {header.get('format')!r}")
    missing = [name for name in ("tensors", "sha256", *VALUES) if name not in header]
    if missing:
        raise ValueError(f"folder must hold a saved partition, {path} lacked {missing}")
    if Path(str(header["tensors"])).name != header["tensors"]:
        raise ValueError(f"folder must hold a saved partition, {path} named a file elsewhere: {header['tensors']!r}")
    return header


def _json(path: Path) -> dict[str, Any]:
    try:
        header = json.loads(_read(path))
    except ValueError as error:
        raise ValueError(f"folder must hold a saved partition, {path} was no JSON: {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"folder must hold a saved partition, {path} held a {type(header).__name__}")
    return header


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"folder must hold a saved partition, {path} could not be read: {error.strerror}") from error


def load_npy(path: str | Path, name: str = "path", *, mapped: bool = False) -> Array:
    """Read one array from a .npy file; pickles are refused.

    Args:
        path: the file.
        name: the argument that the error names.
        mapped: whether to map the file rather than read it.

    Raises:
        ValueError: missing, truncated, of another kind, or pickled.
    """
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{name} must be a .npy file of numbers, {path} was not: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError(f"{name} must be a .npy file of numbers, {path} was an archive of several")
    return array


def load_paper(folder: str | Path, prefix: str = "clustering") -> Partition:
    """Read the files of the paper's clustering scripts, of one stage or of two; pickles beside them are left alone.

    One stage: ``{prefix}_centroids.npy`` and, if there, ``_assignments.npy``, the balanced labels, which the paper's
    code saves and never reads. Two stages: ``_fine_centroids.npy``, ``_coarse_centroids.npy``,
    ``_fine_to_coarse_mapping.npy`` and, if there, ``_fine_assignments.npy``. Centroids are brought to length one,
    which changes no argmax of cosines.

    Args:
        folder: where the files lie.
        prefix: what their names start with.

    Raises:
        ValueError: a file is missing or damaged, or contradicts ``{prefix}_metadata.json``.
    """
    folder = Path(folder)
    stem = str(folder / prefix)
    two = Path(f"{stem}_fine_centroids.npy").exists()
    partition = _paper_two(stem) if two else _paper_one(stem)
    metadata = Path(f"{stem}_metadata.json")
    if metadata.exists():
        _check_metadata(partition, _json(metadata), metadata)
    return partition


def _paper_one(stem: str) -> Partition:
    labels = _optional(f"{stem}_assignments.npy")
    centroids = _directions(f"{stem}_centroids.npy")
    return Partition(centroids=centroids, labels=labels, method="paper, one stage")


def _paper_two(stem: str) -> Partition:
    fine, coarse = (_directions(f"{stem}_{kind}_centroids.npy") for kind in ("fine", "coarse"))
    mapping = load_npy(f"{stem}_fine_to_coarse_mapping.npy", "folder")
    assignments = _optional(f"{stem}_fine_assignments.npy")
    partition = Partition(centroids=coarse, method="paper, two stages", fine_centroids=fine, fine_to_coarse=mapping)
    if assignments is None or partition.fine_to_coarse is None:
        return partition
    labels = partition.fine_to_coarse[check_labels(assignments, np.size(assignments), len(fine))]
    return replace(partition, labels=labels)


def _directions(path: str) -> Array:
    array = load_npy(path, "folder")
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"folder must hold finite centroids, {path} had {array.dtype} of shape {array.shape}")
    return unit(array.astype(np.float64))


def _optional(path: str) -> Array | None:
    return load_npy(path, "folder") if Path(path).exists() else None


def _check_metadata(partition: Partition, metadata: dict[str, Any], path: Path) -> None:
    """Refuse metadata that speak of another clustering than the arrays beside them."""
    found: dict[str, Any] = {"feature_dim": partition.width, "n_clusters": len(partition)}
    found["n_coarse_clusters"] = len(partition)
    if partition.fine_centroids is not None:
        found["n_fine_clusters"] = len(partition.fine_centroids)
    if partition.labels is not None:
        found |= {"n_samples": len(partition.labels), "cluster_sizes": partition.sizes.tolist()}
    for name, value in found.items():
        if name in metadata and metadata[name] != value:
            raise ValueError(
                f"folder must hold one clustering, {path} says {name} = {metadata[name]}, the files {value}"
            )
