"""The number systems that the tests walk."""

import numpy as np
import torch

from ddfm_theory.ledger.draws import RandomDraw, SymbolDraw, floating, rational, rounded

# far is the device of far_device.py, where that is imported first
DEVICES = ["cpu", *(name for name in ("cuda", "far") if hasattr(torch, name) and getattr(torch, name).is_available())]
FLOATS = {
    "numpy float64": np.zeros(1),
    "numpy float32": np.zeros(1, dtype="float32"),
    **{
        f"torch {dtype} {device}": torch.zeros(1, dtype=getattr(torch, dtype), device=device)
        for dtype in ("float64", "float32", "bfloat16")
        for device in DEVICES
    },
}
SYSTEMS = [*FLOATS, "rational", "roundoff", "symbol"]


def draw_in(system, seed=0):
    """Return a draw of instances in a number system by name."""
    if system == "symbol":
        return SymbolDraw((seed,))
    make = {"rational": rational, "roundoff": rounded}.get(system) or floating(FLOATS[system])
    return RandomDraw((seed,), make, limit=2)
