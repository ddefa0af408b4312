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
"""

from ddfm_theory.arrays.doors import (
    NEEDS,
    alike,
    asarray,
    finite,
    gather,
    nonnegative,
    numbers,
    pmf,
    positive_int,
    refuse,
    tokens,
)
from ddfm_theory.arrays.logarithm import Log, log
from ddfm_theory.arrays.roundoff import Rounded, gamma, unit_roundoff
from ddfm_theory.arrays.symbol import Symbol, from_sympy, to_sympy
from ddfm_theory.arrays.systems import (
    Array,
    as_array,
    cast,
    full,
    index_like,
    is_object,
    is_symbolic,
    namespace,
    outer,
    ratio,
    scatter_add,
    stack,
    support,
    system_of,
    to_float,
    total,
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
    "cast",
    "finite",
    "from_sympy",
    "full",
    "gamma",
    "gather",
    "index_like",
    "is_object",
    "is_symbolic",
    "log",
    "namespace",
    "nonnegative",
    "numbers",
    "outer",
    "pmf",
    "positive_int",
    "ratio",
    "refuse",
    "scatter_add",
    "stack",
    "support",
    "system_of",
    "to_float",
    "to_sympy",
    "tokens",
    "total",
    "unit_roundoff",
]
