r"""Couplings: the joint law of source and target, :math:`\pi(x_0, x_1)`, of which a path is an average.

``Coupling`` enumerates any joint pmf. ``MaskedCoupling`` and ``EmpiricalCoupling`` start from the all-mask state, whose
one table of partial marginals S(z), the probability under the target of the revealed tokens of z, serves every time,
schedule, velocity and router (theory: C22).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import device

from ddfm_theory.arrays import (
    Array,
    asarray,
    cast,
    enumerated,
    finite,
    fits,
    full,
    gather,
    index_like,
    instance,
    is_object,
    namespace,
    pmf,
    positive_int,
    scatter_add,
    sequence,
    shaped,
    support,
    system_of,
    tokens,
    total,
)

__all__ = ["AnyCoupling", "Coupling", "EmpiricalCoupling", "MaskedCoupling", "states_of"]

LARGEST_VOCABULARY = (1 << 31) - 2  # the mask is one token more
BLOCK = 1 << 24  # entries of a temporary: what "bounded memory" means here


class Coupling:
    r"""A joint pmf over enumerated states, axes :math:`x_0^1, ..., x_0^N, x_1^1, ..., x_1^N`.

    Args:
        joint: shape (d,) * 2N, N <= 32, any number system, summing to one.

    Raises:
        ValueError: an odd number of axes, unequal axes, negative or unnormalized.
    """

    masked = False

    def __init__(self, joint: Any) -> None:
        self.joint = pmf(joint, "joint")
        if self.joint.ndim % 2 or not 2 <= self.joint.ndim <= 64 or len(set(self.joint.shape)) != 1:
            raise ValueError(f"joint must have shape (d,) * 2N with N in 1..32, was {tuple(self.joint.shape)}")
        self.length, self.size = self.joint.ndim // 2, int(self.joint.shape[0])

    @property
    def like(self) -> Array:
        """Return an array of the coupling's number system."""
        return self.joint

    @property
    def source(self) -> Array:
        """Return the marginal p(x0), shape (d,) * N."""
        return _marginal(self.joint, range(self.length, 2 * self.length))

    @property
    def target(self) -> Array:
        """Return the marginal q(x1), shape (d,) * N."""
        return _marginal(self.joint, range(self.length))

    def contract(self, kernels: Sequence[Array]) -> Array:
        r"""Return :math:`\sum_{x_0, x_1} \pi(x_0, x_1) \prod_i K^i(x_0^i, x_1^i, \cdot)`.

        Args:
            kernels: N arrays with axes x0, x1 and any further axes, which are kept, in the order of positions.
        """
        return finite(self._contract(self.joint, _kernels(kernels, self)), "kernels")

    def reaches(self, kernels: Sequence[Array]) -> Array:
        """Return where ``contract`` is not zero, decided by its factors and so before any product underflows."""
        return self._contract(support(self.joint), [support(kernel) for kernel in _kernels(kernels, self)]) != 0

    def _contract(self, law: Array, kernels: Sequence[Array]) -> Array:
        for left, kernel in zip(range(self.length, 0, -1), kernels, strict=True):
            law = namespace(law).tensordot(law, kernel, axes=([0, left], [0, 1]))
        return law

    @classmethod
    def independent(cls, source: Any, target: Any) -> Coupling:
        r"""Return the product coupling :math:`p(x_0) q(x_1)` of two pmfs of shape (d,) * N."""
        q = pmf(target, "target")
        p = pmf(cast(enumerated(asarray(source, "source"), "source"), q, "source"), "source")
        if tuple(p.shape) != tuple(q.shape):
            raise ValueError(f"source must have the target's shape {tuple(q.shape)}, was {tuple(p.shape)}")
        fits((*p.shape, *q.shape), "source and target", "give a MaskedCoupling or an EmpiricalCoupling")
        if 2 * q.ndim > 64:
            raise ValueError(f"target must have at most 32 axes, had {q.ndim}")
        return cls(p[(...,) + (None,) * q.ndim] * q)


def _kernels(kernels: Sequence[Array], coupling: Coupling | MaskedCoupling) -> list[Array]:
    rows, d = sequence(kernels, "kernels"), coupling.size
    if len(rows) != coupling.length:
        raise ValueError(f"kernels must be one a position, {coupling.length}, were {len(rows)}")
    like, arrays = coupling.like, rows
    if is_object(like) or not all(type(k) is type(like) and k.dtype == like.dtype for k in rows):
        arrays = [cast(asarray(kernel, "kernels"), like, "kernels") for kernel in rows]
    return [shaped(k, "kernels", (d, d, *k.shape[2:]), f"({d}, {d}, ...)") for k in arrays]


def _marginal(joint: Array, axes: Sequence[int]) -> Array:
    for axis in sorted(axes, reverse=True):
        joint = total(joint, axis)
    return joint


class MaskedCoupling:
    r"""The all-mask source coupled with a target: :math:`\pi = \delta_{m \dots m}(x_0) q(x_1)`.

    Args:
        target: the pmf q, shape (V,) * N, any number system, summing to one. The mask is token V, so d = V + 1.

    Raises:
        ValueError: unequal axes, negative or unnormalized.
    """

    masked = True

    def __init__(self, target: Any) -> None:
        self.target = pmf(target, "target")
        fits(tuple(n + 1 for n in self.target.shape), "target", "give samples to EmpiricalCoupling")
        if self.target.ndim < 1 or len(set(self.target.shape)) != 1:
            raise ValueError(f"target must have shape (V,) * N with N at least 1, was {tuple(self.target.shape)}")
        self.length, self.vocabulary = self.target.ndim, int(self.target.shape[0])
        self.mask, self.size = self.vocabulary, self.vocabulary + 1

    @property
    def like(self) -> Array:
        """Return an array of the coupling's number system."""
        return self.target

    @cached_property
    def revealed(self) -> Array:
        """Return S(z), the probability under q of the revealed tokens of z, for every state: shape (d,) * N.

        Filled in place, one sum a masked state, from the last axis to the first, so that what follows the summed axis
        is contiguous.
        """
        data, mask = slice(self.vocabulary), self.mask
        table = full((self.size,) * self.length, 0, self.target)
        table[(data,) * self.length] = self.target
        for i in reversed(range(self.length)):
            table[(data,) * i + (mask,)] = total(table[(data,) * (i + 1)], i)[()]
        return table

    def mass_at(self, states: Any) -> Array:
        """Return S(z) for given states, shape (B,)."""
        return gather(self.revealed, tokens(states, "states", self.size, self.length))

    def reveal_at(self, states: Any) -> Array:
        """Return S(z with token x at position i), shape (B, N, V)."""
        rows = tokens(states, "states", self.size, self.length)
        fits((rows.shape[0], self.length, self.vocabulary), "states", "give fewer at a time")
        out = full((rows.shape[0], self.length, self.vocabulary), 0, self.target)
        for i in range(self.length):
            index = [index_like(rows[:, j, None], self.target) for j in range(self.length)]
            index[i] = index_like(np.arange(self.vocabulary)[None, :], self.target)
            out[:, i, :] = self.revealed[tuple(index)]
        return out

    def contract(self, kernels: Sequence[Array]) -> Array:
        r"""Return :math:`\sum_{x_1} q(x_1) \prod_i K^i(m, x_1^i, \cdot)`, kernels as for ``Coupling.contract``."""
        return finite(self._contract(self.target, _kernels(kernels, self)), "kernels")

    def reaches(self, kernels: Sequence[Array]) -> Array:
        """Return where ``contract`` is not zero, as ``Coupling.reaches`` does."""
        return self._contract(support(self.target), [support(kernel) for kernel in _kernels(kernels, self)]) != 0

    def _contract(self, law: Array, kernels: Sequence[Array]) -> Array:
        for kernel in kernels:
            law = namespace(law).tensordot(law, kernel[self.mask, : self.vocabulary], axes=([0], [0]))
        return law

    def enumerated(self) -> Coupling:
        """Return the same coupling as a joint pmf over (d,) * 2N."""
        shape = (self.size,) * (2 * self.length)
        fits(shape, "target", "its own functions need no joint pmf")
        joint = full(shape, 0, self.target)
        joint[(self.mask,) * self.length + (slice(self.vocabulary),) * self.length] = self.target
        return Coupling(joint)


class EmpiricalCoupling:
    r"""The all-mask source coupled with weighted samples: any length, real vocabularies, nothing enumerated.

    Args:
        samples: data tokens, shape (n, N), entries in 0..vocabulary-1.
        weights: pmf over the samples, shape (n,), any number system without symbols' needs; None is uniform, in floats.
        vocabulary: V; the mask is token V, so d = V + 1.

    Raises:
        ValueError: no samples, tokens out of range, negative or unnormalized weights.
    """

    masked = True

    def __init__(self, samples: Any, weights: Any = None, *, vocabulary: int) -> None:
        self.vocabulary = positive_int(vocabulary, "vocabulary", high=LARGEST_VOCABULARY)
        self.samples = tokens(samples, "samples", self.vocabulary)
        n, self.length = self.samples.shape
        if n == 0:
            raise ValueError(f"samples must have at least one row, was of shape {self.samples.shape}")
        self.weights = np.full(n, 1 / n) if weights is None else pmf(weights, "weights")
        if tuple(self.weights.shape) != (n,):
            raise ValueError(f"weights must have shape ({n},), was {tuple(self.weights.shape)}")
        self.mask, self.size = self.vocabulary, self.vocabulary + 1

    @property
    def like(self) -> Array:
        """Return an array of the coupling's number system."""
        return self.weights

    def _matches(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs (state, sample) whose sample agrees with the state's revealed tokens."""
        match = np.ones((rows.shape[0], self.samples.shape[0]), dtype=bool)
        for i in range(self.length):
            match &= (rows[:, i, None] == self.mask) | (rows[:, i, None] == self.samples[:, i])
        pairs = np.nonzero(match)
        return pairs[0], pairs[1]

    def _blocks(self, states: Any) -> list[tuple[slice, np.ndarray]]:
        rows = tokens(states, "states", self.size, self.length)
        step = max(1, BLOCK // self.samples.shape[0])
        return [(slice(a, a + step), rows[a : a + step]) for a in range(0, rows.shape[0], step)]

    def mass_at(self, states: Any) -> Array:
        """Return S(z), the weight of the samples that agree with the revealed tokens of z, shape (B,)."""
        blocks = self._blocks(states)
        out = full((sum(rows.shape[0] for _, rows in blocks),), 0, self.weights)
        for place, rows in blocks:
            b, s = self._matches(rows)
            scatter_add(out[place], (b,), self.weights[index_like(s, self.weights)])
        return out

    def reveal_at(self, states: Any) -> Array:
        """Return S(z with token x at position i) at the hidden positions of z, zero at the others: (B, N, V)."""
        blocks = self._blocks(states)
        count = sum(rows.shape[0] for _, rows in blocks)
        fits((count, self.length, self.vocabulary), "states", "give fewer at a time")
        out = full((count, self.length, self.vocabulary), 0, self.weights)
        for place, rows in blocks:
            b, s = self._matches(rows)
            for i in range(self.length):
                hidden = rows[b, i] == self.mask
                values = self.weights[index_like(s[hidden], self.weights)]
                scatter_add(out[place][:, i, :], (b[hidden], self.samples[s[hidden], i]), values)
        return out

    def contract(self, kernels: Sequence[Array]) -> Array:
        """Raise ValueError: nothing is enumerated here."""
        raise ValueError(
            "coupling must be enumerated for a dense path or velocity, was EmpiricalCoupling: use path_at, "
            "velocity_at or step_velocity_at"
        )


AnyCoupling = Coupling | MaskedCoupling | EmpiricalCoupling


def mixture(weights: Array, couplings: Sequence[AnyCoupling]) -> AnyCoupling:
    r"""Return the coupling :math:`\pi = \sum_k \omega_k \pi_k` of couplings of one kind and shape.

    Args:
        weights: omega, shape (K,), in the couplings' number system.
        couplings: K couplings of one class, length and vocabulary.
    """
    first = couplings[0]
    if isinstance(first, EmpiricalCoupling):
        parts = [c.weights * weights[k] for k, c in enumerate(couplings)]  # type: ignore[union-attr]
        samples = np.concatenate([c.samples for c in couplings])  # type: ignore[union-attr]
        return EmpiricalCoupling(samples, namespace(*parts).concat(parts), vocabulary=first.vocabulary)
    laws = [c.joint if isinstance(c, Coupling) else c.target for c in couplings]  # type: ignore[union-attr]
    blend = laws[0] * weights[0]
    for k in range(1, len(laws)):
        blend = blend + laws[k] * weights[k]
    return type(first)(blend)


def check_alike(couplings: Sequence[AnyCoupling]) -> None:
    """Check that couplings are a nonempty sequence of one class, number system, length and vocabulary."""
    for coupling in sequence(couplings, "couplings"):
        instance(coupling, AnyCoupling, "couplings")
    kinds = {(type(c).__name__, c.length, c.size, _system(c.like)) for c in couplings}
    if len(kinds) != 1:
        shown = sorted(f"{name}(N={n}, d={d}, {system})" for name, n, d, system in kinds)
        raise ValueError(f"couplings must be alike in class, length, vocabulary and number system, were {shown}")


def _system(like: Array) -> str:
    """Name what two couplings must share to be mixed: exact entries mix freely, floats by library, dtype and device."""
    return "exact" if is_object(like) else f"{type(like).__module__}.{system_of(like)} on {device(like)}"


def states_of(size: int, length: int) -> np.ndarray:
    """Return all states of [size]^length in lexicographic order, shape (size**length, length)."""
    length = positive_int(length, "length", high=64)
    fits((positive_int(size, "size"),) * length + (length,), "size and length", "take some of the states")
    grid = np.indices((size,) * length)
    return np.asarray(grid.reshape(length, math.prod(grid.shape[1:])).T)
