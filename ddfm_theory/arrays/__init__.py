"""Number systems: choose, convert, compare; error bounds per dtype and size live only here.

Each rational formula of the package is written once, over arrays of any of these systems:

==============  ==============================================================================================
floats          NumPy float64 and float32, Torch float64, float32 and bfloat16 on any device
rationals       NumPy object arrays of FLINT ``fmpq``: equality decides
symbols         NumPy object arrays of :class:`Symbol`, quotients of FLINT polynomials: equality decides identities
logarithms      NumPy object arrays of :class:`Log`, what :func:`log` makes of rationals and symbols
roundoff        NumPy object arrays of :class:`Rounded`, whose entries carry a derived bound on their rounding error
==============  ==============================================================================================

Three small things keep the text common: :func:`full` is the only maker of constants, :func:`ratio` the only division
(zero where the denominator is zero), and :func:`cast` brings values into another array's system, refusing floats
beside exact entries.

What a user gives passes one of the doors first (``asarray``, ``nonnegative``, ``pmf``, ``tokens`` and the rest of the
modules ``arguments``, ``doors`` and ``expressions``), which convert it and refuse by name what is no such thing; the
functions of ``shapes``, ``needs`` and ``systems`` take arrays that have passed one.
"""

from ddfm_theory.arrays.arguments import generator, instance, positive_int, sequence
from ddfm_theory.arrays.doors import alike, asarray, beside, dense_velocity, nonnegative, over_states, pmf, tokens
from ddfm_theory.arrays.expressions import from_sympy, to_sympy
from ddfm_theory.arrays.logarithm import Log
from ddfm_theory.arrays.needs import NEEDS, refuse
from ddfm_theory.arrays.roundoff import Rounded, gamma, smallest_safe, summation, unit_roundoff
from ddfm_theory.arrays.shapes import enumerated, fits, gather, over_experts, over_tokens, shaped
from ddfm_theory.arrays.symbol import Symbol
from ddfm_theory.arrays.systems import (
    Array,
    as_array,
    balanced,
    cast,
    finite,
    full,
    index_like,
    is_object,
    is_symbolic,
    log,
    namespace,
    outer,
    ratio,
    scatter_add,
    stack,
    support,
    system_of,
    to_float,
    total,
    underflows,
)

__all__ = [
    "NEEDS",
    "Array",
    "Log",
    "Rounded",
    "Symbol",
    "alike",
    "as_array",
    "asarray",
    "balanced",
    "beside",
    "cast",
    "dense_velocity",
    "enumerated",
    "finite",
    "fits",
    "from_sympy",
    "full",
    "gamma",
    "gather",
    "generator",
    "index_like",
    "instance",
    "is_object",
    "is_symbolic",
    "log",
    "namespace",
    "nonnegative",
    "outer",
    "over_experts",
    "over_states",
    "over_tokens",
    "pmf",
    "positive_int",
    "ratio",
    "refuse",
    "scatter_add",
    "sequence",
    "shaped",
    "smallest_safe",
    "stack",
    "summation",
    "support",
    "system_of",
    "to_float",
    "to_sympy",
    "tokens",
    "total",
    "underflows",
    "unit_roundoff",
]
