"""The noise of a forward pass, measured where no bound can be derived: one function, evaluated several ways."""

from __future__ import annotations

from typing import Any

import torch

from ddfm_theory.arrays import unit_roundoff
from ddfm_theory.bridge.prompts import Prompts

Tensor = Any  # torch.Tensor
MARGIN = 16  # how many times the noise between two evaluations a third may lie away


def law_gap(a: Tensor, b: Tensor) -> float:
    """Return the largest difference of two log-laws, zero where both are minus infinity."""
    both = torch.isneginf(a) & torch.isneginf(b)
    return float(torch.where(both, 0.0, (a - b).abs()).max())


def forward_noise(expert: Any, prompts: Prompts) -> float:
    """Return how far evaluations of one forward pass lie apart, in log-probability.

    Attention fused and eager (where the model offers both), and embeddings moved by one unit in the last place; at
    least two units of roundoff of the model's dtype at the size of the log-law. Neither batch, padding nor cache
    enters, which the checks judge.
    """
    law = expert.prefill(prompts).log_law
    model = getattr(expert, "model", None)
    unit = unit_roundoff(law.dtype if model is None else model.dtype)
    floor = 2 * unit * float(law[torch.isfinite(law)].abs().max())
    return max([floor, *(law_gap(law, other) for other in _eager(expert, prompts) + _moved(expert, prompts, unit))])


def _moved(expert: Any, prompts: Prompts, unit: float) -> list[Tensor]:
    model = getattr(expert, "model", None)
    if model is None:
        return []

    def move(module: Any, inputs: Any, embedded: Tensor) -> Tensor:
        signs = torch.randint(0, 2, embedded.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        wide = embedded.double() * (1 + 2 * unit * signs.to(embedded.device))
        return wide.to(embedded.dtype)

    hook = model.get_input_embeddings().register_forward_hook(move)
    try:
        return [expert.prefill(prompts).log_law]
    finally:
        hook.remove()


def _eager(expert: Any, prompts: Prompts) -> list[Tensor]:
    model = getattr(expert, "model", None)
    used = getattr(getattr(model, "config", None), "_attn_implementation", None)
    if model is None or used in (None, "eager"):
        return []
    model.set_attn_implementation("eager")
    try:
        return [expert.prefill(prompts).log_law]
    finally:
        model.set_attn_implementation(used)
