r"""Schedules: how the mass of each position moves from the source token to the target token.

A schedule gives, per position i and time t, convex weights :math:`\kappa_t^{i,j}` over base pmfs
:math:`w^j(x^i \mid x_0, x_1)`; the conditional path is :math:`\prod_i \sum_j \kappa_t^{i,j} w^j`. With two bases,
:math:`\delta_{x_0}` and :math:`\delta_{x_1}`, one number :math:`\kappa_t^i` a position says it all, and the weights are
:math:`(1 - \kappa, \kappa)`.

References:
    Gat, Remez, Shaul, Kreuk, Chen, Synnaeve, Adi, Lipman, "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595.
"""

from ddfm_theory.schedulers.base import Scheduler
from ddfm_theory.schedulers.convex import Convex
from ddfm_theory.schedulers.given import Autoregressive, Given, PerPosition, Steps
from ddfm_theory.schedulers.smooth import Cosine, Linear, Polynomial, Windowed

__all__ = [
    "Autoregressive",
    "Convex",
    "Cosine",
    "Given",
    "Linear",
    "PerPosition",
    "Polynomial",
    "Scheduler",
    "Steps",
    "Windowed",
]
