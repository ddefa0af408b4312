"""The bridge: the same mathematics on real checkpoints. States are prefixes, an expert's velocity is its next-token law
minus the mask, the router is a posterior, and the mixture is the one that was proved.

Names are imported when they are first used, so that importing this package loads neither Torch nor Transformers.
"""  # noqa: D205

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "check": ["Case", "Record", "conformance"],
    "ensemble": ["Ensemble"],
    "experts": ["CheckpointExpert", "Expert", "Prefix"],
    "feature_routers": ["CosineRouter", "DistanceRouter", "LinearRouter", "PaperRouter"],
    "folders": ["Diagnosis", "diagnose"],
    "generation": ["Generation", "Step"],
    "loading": ["load_expert", "load_experts"],
    "losses": ["Loss", "LostRank"],
    "prompts": ["Prompts"],
    "routers": ["BayesFilter", "FixedPrior", "LastToken", "Product", "Router"],
    "scoring": ["Scores"],
    "survivors": ["Survivors"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
