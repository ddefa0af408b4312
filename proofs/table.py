"""One table: source -> ledger row -> Rocq theorems -> Python functions -> test.

``python -m proofs.table`` prints it; ``proofs/TABLE.md`` is that output, and a test holds the two together.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ddfm_theory.ledger import CLAIMS
from ddfm_theory.ledger.formal import theorems

FUNCTIONS = {
    "C01": ("paths.marginal_path", "paths.conditional_path"),
    "C02": ("flux.conditional_velocity", "flux.choose_pivot"),
    "C03": ("velocities.marginal_velocity", "continuity.continuity_residual"),
    "C04": ("velocities.step_velocity", "sampling.sampler_law"),
    "C05": ("sampling.propagate", "continuity.step_continuity_residual"),
    "C06": ("velocities.step_velocity", "schedulers.Autoregressive", "autoregression.next_token_velocity"),
    "C07": ("objectives.flow_matching_cross_entropy", "objectives.next_token_loss"),
    "C08": ("decentralization.Decentralization.velocity", "decentralization.mix", "decentralization.router_posterior"),
    "C09": ("decentralization.mix",),
    "C10": ("decentralization.bayes_filter", "decentralization.bayes_filter_update"),
    "C11": ("decentralization.hard_router", "decentralization.top_k_gate"),
    "C12": ("objectives.decomposition", "objectives.mutual_information"),
    "C13": ("sampling.route_once_law", "sampling.sampler_law", "sampling.path_law"),
    "C14": ("stability.mixture_tv_bound", "stability.mixture_kl_bound", "stability.sequence_tv_bound"),
    "C15": ("stability.top_k_shift", "decentralization.top_k_gate"),
    "C16": ("sharpening.temperature", "sharpening.nucleus", "sharpening.greedy"),
    "C17": ("decentralization.average_parameters",),
    "C18": ("velocities.backward_velocity", "velocities.corrector_velocity"),
    "C19": ("objectives.negative_elbo",),
    "C20": ("schedulers.Windowed", "sampling.sampler_law"),
    "C21": ("sampling.mixed_kernel_law", "sampling.propagate"),
    "C22": ("couplings.MaskedCoupling.revealed", "decentralization.Decentralization.router"),
}


def table() -> str:
    """Return the table as Markdown."""
    described = theorems(Path(__file__).parent / "rocq")
    lines = ["| row | source | Rocq theorems | Python functions | test |", "| --- | --- | --- | --- | --- |"]
    for name, claim in CLAIMS.items():
        proved = ", ".join(f"`{t['name']}`" for t in described if t["claim"] == name) or "none: see NOT_PROVED.md"
        functions = ", ".join(f"`{function}`" for function in FUNCTIONS[name])
        test = f"`tests/test_ledger.py` (`{name}-exact`, `{name}-symbolic`)"
        lines.append(f"| {name} {claim.title} | {claim.source} | {proved} | {functions} | {test} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
