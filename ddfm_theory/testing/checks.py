"""All checks: plain functions from a system to one Check record, in the order in which a failure is best read.

What is wrong with a law is said before what is wrong with a mixture of laws.
"""

from __future__ import annotations

from ddfm_theory.testing.checks_batches import check_batch, check_order, check_padding
from ddfm_theory.testing.checks_experts import (
    check_central,
    check_duplicates,
    check_factorization,
    check_filter,
    check_laws,
    check_mixture,
    check_one_expert,
    check_permutation,
    check_router,
    check_router_posterior,
    check_sharpening,
    check_top_k,
)
from ddfm_theory.testing.checks_flows import (
    check_continuity,
    check_ends,
    check_path,
    check_schedule,
    check_steps,
    check_velocity_conditions,
)
from ddfm_theory.testing.checks_sampling import check_sampling
from ddfm_theory.testing.registry import ConformanceCheck

CHECKS: tuple[ConformanceCheck, ...] = (
    check_laws,
    check_schedule,
    check_ends,
    check_path,
    check_velocity_conditions,
    check_router,
    check_filter,
    check_router_posterior,
    check_mixture,
    check_central,
    check_continuity,
    check_steps,
    check_one_expert,
    check_permutation,
    check_duplicates,
    check_factorization,
    check_top_k,
    check_sharpening,
    check_batch,
    check_order,
    check_padding,
    check_sampling,
)

__all__ = ["CHECKS", "ConformanceCheck", *(check.__name__ for check in CHECKS)]
