"""What rounding to the digits that results are kept with can change."""

import math

from toy_models.records import DIGITS


def half(*values):
    """Half a unit of the last digit that is kept, summed over values."""
    return sum(0.5 * 10.0 ** (math.floor(math.log10(abs(v))) + 1 - DIGITS) for v in values if v)
