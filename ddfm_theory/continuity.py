r"""The continuity equation: arrays in, residual out.

.. math:: \mathrm{div}_x(p\, u) = -\sum_z p(z) \sum_i \delta_z(x^{-i})\, u^i(x^i, z), \qquad
    \dot p_t + \mathrm{div}(p_t u_t) = 0, \qquad p_{t+1} - p_t + \mathrm{div}(p_t u_t) = 0.

References:
    Gat et al., "Discrete Flow Matching", NeurIPS 2024, arXiv 2407.15595; in unit steps: Maschan, Qu, Liu,
    "Decentralized Autoregressive Generation", arXiv 2601.03184.
"""

from __future__ import annotations

from ddfm_theory.arrays import Array, asarray, beside, enumerated, namespace, over_states, total

__all__ = ["continuity_residual", "divergence", "step_continuity_residual"]


def divergence(p: Array, u: Array) -> Array:
    """Return div_x(p u), what flows out of each state less what flows in.

    Args:
        p: pmf over states, shape (d,) * N.
        u: velocity, shape (d,) * N + (N, d).

    Returns:
        Shape (d,) * N.

    Raises:
        ValueError: the shapes do not belong together.
    """
    p = enumerated(asarray(p, "p"), "p")
    u = over_states(u, p, "u")
    inflow = p * 0
    for i in range(p.ndim):
        arriving = total(p[..., None] * u[..., i, :], i)
        inflow = inflow + namespace(p).moveaxis(arriving, -1, i)
    return -inflow


def continuity_residual(p_dot: Array, p: Array, u: Array) -> Array:
    """Return dp/dt + div(p u), zero where u generates the path; shapes as for :func:`divergence`."""
    p = enumerated(asarray(p, "p"), "p")
    return beside(p_dot, p, "p_dot", tuple(p.shape), f"{tuple(p.shape)}, as p") + divergence(p, u)


def step_continuity_residual(p: Array, p_next: Array, u: Array) -> Array:
    """Return p' - p + div(p u), zero where the increment u carries p to p' to first order; shapes as above."""
    p = enumerated(asarray(p, "p"), "p")
    return beside(p_next, p, "p_next", tuple(p.shape), f"{tuple(p.shape)}, as p") - p + divergence(p, u)
