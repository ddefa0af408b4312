r"""Sampling: the exact law of a sampler, and samples.

A step draws each position apart from :math:`\delta_{z^i} + h\, u^i(\cdot, z)`. On an enumerated space the whole pmf is
propagated, so a sampler is judged by its law; samples are drawn in float64. Three ways to use experts: draw one and run
it (route once), mix their velocities by the router at every step, or by the static prior.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595 (the sampler).
"""

from ddfm_theory.sampling.draws import (
    sample,
    sample_categorical,
    sample_discrete,
    sample_euler,
    sample_route_once,
    sample_static,
    start_states,
)
from ddfm_theory.sampling.laws import (
    chain_law,
    euler_law,
    mixed_kernel_law,
    path_law,
    propagate,
    route_once_law,
    sampler_law,
    static_law,
    step_laws,
)

__all__ = [
    "chain_law",
    "euler_law",
    "mixed_kernel_law",
    "path_law",
    "propagate",
    "route_once_law",
    "sample",
    "sample_categorical",
    "sample_discrete",
    "sample_euler",
    "sample_route_once",
    "sample_static",
    "sampler_law",
    "start_states",
    "static_law",
    "step_laws",
]
