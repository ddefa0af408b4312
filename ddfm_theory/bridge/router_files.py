"""Routers on disk: a folder with config.json and router.safetensors, and the paper's own clustering files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ddfm_theory.bridge.extras import need
from ddfm_theory.bridge.feature_routers import CosineRouter, DistanceRouter, LinearRouter, PaperRouter
from ddfm_theory.bridge.routers import BayesFilter, FixedPrior, LastToken, Product, Router

_LEAVES: dict[str, Any] = {
    cls.kind: cls for cls in (FixedPrior, CosineRouter, PaperRouter, DistanceRouter, LinearRouter)
}
_AROUND: dict[str, Any] = {cls.kind: cls for cls in (BayesFilter, LastToken)}
WORDS: dict[str, Any] = {**_AROUND, FixedPrior.kind: lambda prior: prior}


def save_router(router: Router, place: Any) -> None:
    """Write a router into a folder that is there.

    Raises:
        ValueError: a router of a class of one's own.
    """
    save_file = need("safetensors.torch").save_file
    tensors: dict[str, Any] = {}
    tree = _describe(router, "", tensors)
    folder = Path(place)
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "router.safetensors")
    (folder / "config.json").write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")


def _describe(router: Router, prefix: str, tensors: dict[str, Any]) -> dict[str, Any]:
    if router.kind not in _LEAVES | _AROUND and router.kind != Product.kind:
        raise ValueError(f"router must be of a kind that can be saved, was {router.kind!r}")
    for name, value in router.tensors().items():
        tensors[f"{prefix}{name}"] = value
    parts = [_describe(part, f"{prefix}{i}.", tensors) for i, part in enumerate(router.parts())]
    return {"kind": router.kind, "settings": router.settings(), "tensors": sorted(router.tensors()), "parts": parts}


def load_router(place: Any) -> Router:
    """Read a router that :func:`save_router` wrote.

    Raises:
        ValueError: a missing file, an unknown kind, or a tensor that is not there.
    """
    load_file = need("safetensors.torch").load_file
    folder = Path(place)
    for name in ("config.json", "router.safetensors"):
        if not (folder / name).exists():
            raise ValueError(f"place must be a router's folder with {name}, was {folder}")
    try:
        tree = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "router.safetensors")
    except (ValueError, need("safetensors").SafetensorError) as error:
        raise ValueError(f"place must be a router's folder that can be read, {folder} was not: {error}") from error
    try:
        return _build(tree, "", tensors)
    except (TypeError, AttributeError) as error:
        raise ValueError(
            f"config.json of {folder} must hold a router's kind, settings, tensors, parts: {error}"
        ) from error


def _build(tree: dict[str, Any], prefix: str, tensors: dict[str, Any]) -> Router:
    kind = tree.get("kind")
    parts = [_build(part, f"{prefix}{i}.", tensors) for i, part in enumerate(tree.get("parts", []))]
    names = {name: f"{prefix}{name}" for name in tree.get("tensors", [])}
    for name in names.values():
        if name not in tensors:
            raise ValueError(f"router.safetensors must hold {name!r}, held {sorted(tensors)}")
    if kind == Product.kind:
        return Product(parts)
    if kind not in [*_LEAVES, *_AROUND]:
        raise ValueError(f"kind of a router must be one of {sorted([*_LEAVES, *_AROUND, Product.kind])}, was {kind!r}")
    given = {name: tensors[full] for name, full in names.items()}
    return (_LEAVES | _AROUND)[kind](*parts, **given, **tree.get("settings", {}))  # type: ignore[no-any-return]


def open_router(place: Any, experts: int) -> Router:
    """Return the router that a command's ``--router`` names.

    Args:
        place: a router's folder; the folder of a partition (``ddfm partition --out``) or of the paper's clustering
            files, either of which routes as the paper does; or a word: ``filter`` (the exact one), ``last-token``
            (c-BTM's rule) or ``fixed``, each from a uniform prior.
        experts: K.

    Raises:
        ValueError: none of these, or a router over another number of experts.
    """
    folder = Path(place)
    if folder.is_dir():
        return _of_folder(folder)
    if str(place) not in WORDS:
        raise ValueError(f"router must be a folder or one of {sorted(WORDS)}, was {place}")
    return WORDS[str(place)](FixedPrior.uniform(experts))  # type: ignore[no-any-return]


def _of_folder(folder: Path) -> Router:
    if (folder / "partition.json").exists():
        from ddfm_theory.partition import Partition

        found = Partition.load(folder)
        if found.metric != "cosine":
            raise ValueError(f"partition of {folder} must be cosine's to route as the paper does, was {found.metric}")
        two_stages = found.fine_centroids is not None
        return PaperRouter(found.fine_centroids, found.fine_to_coarse) if two_stages else PaperRouter(found.centroids)
    if (folder / "config.json").exists():
        return load_router(folder)
    return read_paper_router(folder)


def read_paper_router(place: Any, prefix: str = "clustering") -> PaperRouter:
    """Read the paper's own clustering files as the router that its code applies at inference.

    Two stages where ``<prefix>_fine_centroids.npy`` and ``<prefix>_fine_to_coarse_mapping.npy`` are there (as its code
    prefers), otherwise one stage from ``<prefix>_centroids.npy``. ``<prefix>_global_mean.npy``, which later versions of
    it leave, is taken from the encoder's features before they are normalized. Pickles beside them are never read.

    Args:
        place: the folder.
        prefix: how the files' names begin.

    Raises:
        ValueError: neither is there, or an array is not what its name says.
    """
    folder = Path(place)
    fine, mapping = (folder / f"{prefix}_{name}.npy" for name in ("fine_centroids", "fine_to_coarse_mapping"))
    single, centre = folder / f"{prefix}_centroids.npy", folder / f"{prefix}_global_mean.npy"
    mean = _array(centre) if centre.exists() else None
    if fine.exists() and mapping.exists():
        return PaperRouter(_array(fine), _array(mapping), mean)
    if single.exists():
        return PaperRouter(_array(single), mean=mean)
    raise ValueError(f"place must hold {single.name}, or {fine.name} and {mapping.name}, was {folder}")


def _array(file: Path) -> np.ndarray:
    try:
        array = np.asarray(np.load(file, allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{file} must be a plain NumPy array, could not be read: {error}") from error
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{file} must hold numbers, held {array.dtype}")
    return array
