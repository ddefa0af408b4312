r"""Probability velocities that generate the paths, in continuous and in discrete time.

Conditional, per position, with :math:`\ell` the pivot [Gat et al., Theorem 3]:

.. math:: u(x, z) = \sum_j a^j w^j(x) + b\, \delta_z(x), \quad
    a^j = \dot\kappa^j - \kappa^j \dot\kappa^\ell / \kappa^\ell, \quad b = \dot\kappa^\ell / \kappa^\ell,

marginal by the posterior of the coupling [Theorem 2]. **A step is the same formula** with the increment
:math:`\kappa' - \kappa` in place of the derivative. The flux :math:`p_t(z) u(x, z)` is formed first, a polynomial, and
divided once, last: so the autoregressive schedule meets no 0/0, and t = 1 is an exact limit for every source.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595, Theorems 2 and 3.
"""

from ddfm_theory.flux import choose_pivot, conditional_velocity
from ddfm_theory.velocities.at_states import step_velocity_at, velocity_at
from ddfm_theory.velocities.backward import backward_velocity, corrector_velocity, step_backward_velocity
from ddfm_theory.velocities.conditions import velocity_conditions
from ddfm_theory.velocities.marginal import marginal_velocity, step_velocity

__all__ = [
    "backward_velocity",
    "choose_pivot",
    "conditional_velocity",
    "corrector_velocity",
    "marginal_velocity",
    "step_backward_velocity",
    "step_velocity",
    "step_velocity_at",
    "velocity_at",
    "velocity_conditions",
]
