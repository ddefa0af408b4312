"""Shared by the tests: Hypothesis derandomized, and the number systems to walk."""

import hypothesis
import pytest
import torch

from ddfm_theory.ledger.draws import RandomDraw, SymbolDraw, floating, rational, rounded

hypothesis.settings.register_profile("laws", max_examples=40, derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("laws")
torch.set_num_threads(1)

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
FLOATS = {
    "numpy float64": lambda: __import__("numpy").zeros(1),
    "numpy float32": lambda: __import__("numpy").zeros(1, dtype="float32"),
    **{
        f"torch {dtype} {device}": (
            lambda dtype=dtype, device=device: torch.zeros(1, dtype=getattr(torch, dtype), device=device)
        )
        for dtype in ("float64", "float32", "bfloat16")
        for device in DEVICES
    },
}


def draw_in(system, seed=0):
    """Return a draw of instances in a number system by name."""
    if system == "symbol":
        return SymbolDraw((seed,))
    make = {"rational": rational, "roundoff": rounded}.get(system) or floating(FLOATS[system]())
    return RandomDraw((seed,), make, limit=2)


SYSTEMS = [*FLOATS, "rational", "roundoff", "symbol"]


@pytest.fixture(params=SYSTEMS)
def system(request):
    """Walk every number system."""
    return request.param
