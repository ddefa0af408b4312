# ruff: noqa: E501
"""Bad input: whatever stands for one argument of a public function, a valid result or one ValueError that names it.

Every function of the table ``public_calls`` gets valid arguments, one of them replaced: by another shape or dtype, NaN,
infinities, negative or unnormalized entries, nothing at all, a huge vocabulary, an object of another kind. The
environment variable ``DDFM_FUZZ`` says how many replacements a function is tried with.
"""

import dataclasses
import math
import os
import re
from fractions import Fraction

import flint
import hypothesis
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import strategies as st
from public_calls import CALLS, LINEAR, Instance, S, target, wanted

from ddfm_theory.arrays import Log, Rounded, Symbol, asarray, is_object, log, to_float
from ddfm_theory.couplings import EmpiricalCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.ledger import verify
from ddfm_theory.schedulers import Autoregressive, Convex, Cosine, Given, PerPosition, Scheduler, Steps

EXAMPLES = int(os.environ.get("DDFM_FUZZ", "60"))
WORLDS = {
    (system, masked): Instance(system, masked)
    for system in ("numpy float64", "torch float32 cpu", "rational")
    for masked in (True, False)
}
HUGE = 152_000
NUMBERS = [-1, 0, 1, 3, 7, 2**31, 2**70, 10**400, -0.5, 0.5, 1.5, 1e300, 1e-320, math.nan, math.inf, -math.inf, True,
           1j, Fraction(1, 3), flint.fmpq(1, 3), sp.Symbol("q"), sp.Float(0.5), np.float16(0.5), np.longdouble(0.5),
           Symbol.variables("y")[0], Rounded.of(1), np.int8(1), np.datetime64("2026-01-01")]  # fmt: skip
THINGS = [None, "a", "", b"a", object(), int, len, {}, {"a": 1}, set(), (), [], [[]], [[0.5], [0.5, 0.5]], ["a"], [None],
          [0.5, 0.5], [1, 0], [[0, 1]], [[0.5, 0.5]], ["C08"], range(3), [np.zeros(2), np.zeros(3)]]  # fmt: skip
ARRAYS = [np.array(0.5), np.zeros(0), np.zeros((0, 2)), np.zeros((2, 0)), np.full(2, 0.5), np.full((2, 2), 0.25),
          np.full((2, 2, 2), 0.125), np.full((2, 3), 1 / 6), np.full((1,) * 9, 1.0), np.array(["a", "b"]),
          np.array([True, False]), np.array([None, 0.5]), np.array([0.5, 0.5], dtype=object), np.full(2, 0.5 + 0j),
          np.full(HUGE, 1 / HUGE), np.full((1, 2), HUGE), np.array([[2, 2]], dtype=np.uint8), np.full(2, 0.5, np.longdouble),
          torch.full((2,), 0.5), torch.full((2, 2), 0.25, dtype=torch.bfloat16), torch.tensor([1, 0]), torch.tensor(math.nan),
          torch.full((2,), 0.5, requires_grad=True), torch.zeros(2, dtype=torch.complex64), asarray([1, 0], "x"),
          log(asarray([2, 3], "x")), asarray([S, 1 - S], "x"), np.ma.array([0.5, 0.5], mask=[0, 1])]  # fmt: skip
OBJECTS = [LINEAR, Cosine(), Autoregressive(), Autoregressive([1, 0]), Steps([[0], [1]]), Given(0.5), Given(flint.fmpq(1, 2), 9),
           Given(0.5, -1e308), PerPosition([LINEAR]), Convex([1 - S, S - S**2, S**2], [[0.5, 0.5]], variable=S),
           Convex([1 - S, S - S**2, S**2], [[1, 0, 0]], variable=S), Scheduler, Scheduler(), EmpiricalCoupling([[0, 1]], vocabulary=2),
           EmpiricalCoupling([[0]], vocabulary=HUGE)]  # fmt: skip


def edits(value, name):
    """Edits of a valid argument: of its shape, its dtype, one of its entries, all of them."""
    if isinstance(value, list):
        return [
            value[:-1],
            [*value, value[0]],
            value[::-1],
            [*value[:-1], None],
            [*value[:-1], "a"],
            tuple(value),
            value[0],
        ]
    if not isinstance(value, (np.ndarray, torch.Tensor)):
        return [HUGE] if value == 2 and name != "length" else []
    found = [value[None], value[..., None], value.reshape(-1)]
    if value.ndim and len(value):
        found += [
            value[:-1],
            value[0],
            value[1:],
            np.concatenate([value, value]) if isinstance(value, np.ndarray) else value,
        ]
    return found + (_of_floats(value) if "float" in str(value.dtype) else [value * 0, value - value - 1, value * 3])


def _of_floats(value):
    with np.errstate(all="ignore"):
        scaled = [value * factor for factor in (-1, 0, 2, 1e-300, 1e-30, 1e30, math.inf, math.nan)]
    flat = to_float(value).copy()
    for entry in (math.nan, -math.inf):
        flat.reshape(-1)[-1:] = entry
        scaled.append(flat.copy())
    plain = to_float(value)
    kinds = [plain.astype(kind) for kind in ("float32", "int64", "bool", "str", "object", "float16")]
    return scaled + kinds + [plain.tolist(), torch.tensor(plain), torch.tensor(plain, dtype=torch.bfloat16)]


def junk(value, name, w):
    """Draw what replaces a valid argument."""
    of_its_kind = [*edits(value, name), w.masks[1], w.experts, w.coupling, w.empirical]
    return st.sampled_from(of_its_kind) | st.sampled_from(NUMBERS) | st.sampled_from(THINGS + ARRAYS + OBJECTS)


def sound(value):
    """Tell whether a result is one: floats finite, exact entries exact."""
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, (tuple, list)):
        return all(sound(item) for item in value)
    if isinstance(value, Decentralization):
        value = value.central
    value = getattr(value, "like", value)
    if is_object(value):
        kinds = {type(entry) for entry in np.asarray(value, dtype=object).flat}
        return kinds <= {flint.fmpq, Symbol, Rounded, Log} and (
            kinds != {Rounded} or np.isfinite(to_float(value)).all()
        )
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.dtype in (bool, torch.bool) or bool(np.isfinite(to_float(value)).all())
    return value is not None


def shape_of(value):
    return tuple(shape_of(v) for v in value) if isinstance(value, tuple) else tuple(np.shape(value))


def outcome(name, w, arguments):
    """Call, and return what is wrong with the outcome; None where nothing is."""
    try:
        result = target(name, w)(**arguments)
    except ValueError as error:
        words = [
            *arguments,
            "length",
            *("t" if "times" in arguments else ""),
            *(("coupling", "scheduler", "experts") if CALLS[name].of else ()),
        ]
        named = re.search(rf"\b({'|'.join(words)})\b.* (must|is refused)", " ".join(str(error).split()))
        return None if named else f"no argument is named: {error!r}"
    except Exception as error:  # any other is what the test is for
        return f"foreign: {error!r}"
    shape = wanted(name, w, arguments)
    if shape is not None and shape_of(result) != shape:
        return f"shape {shape_of(result)} instead of {shape}"
    return None if sound(result) else f"not finite, or not of a number system: {result!r}"


@pytest.mark.parametrize("name", [name for name in CALLS if CALLS[name].arguments(WORLDS["numpy float64", True])])
@hypothesis.settings(max_examples=EXAMPLES)
@hypothesis.given(data=st.data())
def test_one_bad_argument_gives_a_valid_result_or_one_error_that_names_it(name, data):
    w = WORLDS[data.draw(st.sampled_from(list(WORLDS)))]
    arguments = CALLS[name].arguments(w)
    which = data.draw(st.sampled_from(sorted(arguments)))
    arguments[which] = data.draw(junk(arguments[which], which, w))
    hypothesis.assume(
        not (which in ("times", "velocities") and getattr(arguments[which], "size", 0) == HUGE)
    )  # long, not wrong
    hypothesis.assume(not (which == "step" and callable(arguments[which])))  # what it raises is its own
    wrong = outcome(name, w, arguments)
    assert wrong is None, f"{name}({which}={arguments[which]!r}): {wrong}"


VERIFY = {
    "profile": [["quick"], None, "lax", 3, np.zeros(2)],
    "claims": ["C08", 3, [["C08"]], [], ["C99"], [None], {"C08": 1}, np.zeros(2)],
    "data": [3, ["digits"], b"digits", np.zeros((2, 2)), "nowhere.npy", "digits.csv", "/"],
    "seed": [-1, "a", 0.5, True, None, [1]],
    "progress": [3, "loud"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in VERIFY.items() for value in values], ids=repr
)
def test_verify_refuses_before_it_runs(name, value):
    with pytest.raises(ValueError, match=rf"{name} must"):
        verify(**{"profile": "quick", "claims": ["C11"], name: value})


def test_the_fuzz_sees_a_planted_fault(monkeypatch):
    """A NaN let through, a foreign error, an argument that is not named: each is told apart."""
    w, name = WORLDS["numpy float64", True], "continuity.divergence"
    arguments = CALLS[name].arguments(w)
    for wrong, words in (
        (lambda p, u: p * math.nan, "not finite"),
        (lambda p, u: p[0], "shape"),
        (lambda p, u: p + "a", "foreign"),
        (lambda p, u: np.zeros(2) + np.zeros(3), "no argument is named"),
    ):
        monkeypatch.setattr("ddfm_theory.continuity.divergence", wrong)
        assert words in outcome(name, w, arguments)
    monkeypatch.undo()
    assert outcome(name, w, arguments) is None
