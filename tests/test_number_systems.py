"""The walk: every public function keeps its number system, or refuses it by a ValueError where the table says so."""

import dataclasses

import numpy as np
import pytest
import torch
from number_systems import FLOATS
from public_calls import CALLS, Instance, public_names, target

from ddfm_theory.arrays import is_object, system_of, to_float

OWN = ("inverse", "Steps", "Autoregressive")  # float64 by nature, and tables that bring their own system


def arrays_in(value):
    """The arrays of numbers in a result: neither tokens nor truth values."""
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, (tuple, list)):
        return [array for item in value for array in arrays_in(item)]
    value = getattr(value, "like", value)
    numbers = isinstance(value, (np.ndarray, torch.Tensor)) and (is_object(value) or "float" in str(value.dtype))
    return [value] if numbers else []


def test_every_public_name_is_in_the_table():
    assert sorted(CALLS) == sorted(public_names())


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "joint"])
def test_every_public_function_keeps_its_number_system_or_refuses_it(system, masked):
    for name, call in CALLS.items():
        w = Instance(system, masked)
        arguments = call.arguments(w)
        if system in call.refuses:
            with pytest.raises(ValueError, match="must"):
                target(name, w)(**arguments)
            continue
        for array in arrays_in(target(name, w)(**arguments)):
            if name.startswith("schedulers") and any(word in name for word in OWN):
                continue
            if system in FLOATS:
                assert type(array) is type(FLOATS[system]), name
                assert array.dtype == FLOATS[system].dtype, name
                assert np.isfinite(to_float(array)).all(), name
            else:
                assert is_object(array), name
                assert system == "roundoff" or system_of(array) != "roundoff", name


def test_a_float_that_slips_into_exact_entries_is_seen():
    assert arrays_in((np.zeros(2), [np.zeros(1, dtype=int)]))[0].dtype == float
    assert len(arrays_in((np.zeros(2), [np.zeros(1, dtype=int)]))) == 1
