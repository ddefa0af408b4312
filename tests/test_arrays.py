"""Number systems: field laws of symbols, exact logarithms, derived rounding bounds, the doors."""

import subprocess
import sys
from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddfm_theory import arrays
from ddfm_theory.arrays import Log, Rounded, Symbol, asarray, cast, full, gamma, log, pmf, ratio, to_sympy, total
from ddfm_theory.decentralization import top_k_gate
from ddfm_theory.objectives import cross_entropy, entropy, generalized_kl
from ddfm_theory.sampling import sample_categorical
from ddfm_theory.sharpening import greedy, nucleus
from ddfm_theory.stability import kl_divergence, total_variation

X, Y, Z = Symbol.variables("x", "y", "z")


@st.composite
def expressions(draw, depth=2):
    """Draw a quotient of small polynomials in three symbols."""
    if depth == 0:
        return draw(st.sampled_from([X, Y, Z, X + 1, Y - 2, flint.fmpq(1, 2) * Z]))
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    operation = draw(st.sampled_from("+-*/"))
    if operation == "/":
        return left / right if right != 0 else left
    return {"+": left + right, "-": left - right, "*": left * right}[operation]


@given(expressions(), expressions(), expressions())
def test_symbols_form_a_field(a, b, c):
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a * (b + c) == a * b + a * c
    assert a - a == 0
    assert b == 0 or a / b * b == a
    assert hash(a + b) == hash(b + a)


@given(expressions(), expressions())
def test_symbols_agree_with_sympy(a, b):
    for ours, theirs in (
        (a + b, to_sympy(a) + to_sympy(b)),
        (a * b, to_sympy(a) * to_sympy(b)),
        (a - b, to_sympy(a) - to_sympy(b)),
    ):
        assert sp.cancel(to_sympy(ours) - theirs) == 0
        assert arrays.from_sympy(theirs) == ours


@given(expressions(), expressions().filter(bool))
def test_a_symbol_is_one_however_it_was_made(a, b):
    """A factor that hides in a sum, or comes by another context, changes neither text nor hash nor parts."""
    roundabout = (a * a - b * b) / (a - b) - b if a != b else a
    assert roundabout == a
    assert repr(roundabout) == repr(a)
    assert hash(roundabout) == hash(a)
    above, below = a.reduced() if isinstance(a, Symbol) else (a, 1)
    assert below == 1 or (above.gcd(below).is_one() and below.leading_coefficient() == 1)
    assert hash(a / a if a != 0 else a + 1) == hash(1)


def test_symbols_of_unlike_contexts_hash_alike():
    few, many = Symbol.variables("x", "y"), Symbol.variables("z", "y", "x")
    one, other = few[0] / (few[0] - 2 * few[1]), many[2] / (many[2] - 2 * many[1])
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other, X, Y}) == 3


def test_what_cancels_by_name_leaves_no_factor():
    """The reason why C08 is quick: routers, velocities and their sums cancel without a gcd."""
    parts, whole = [X * Y, Y * Z, X + 1], X * Y + Y * Z + X + 1
    assert sum(part / whole for part in parts).factors == ()
    mixed = sum(part / whole * (Z / part) for part in parts)
    assert sorted(power for _, power in mixed.factors) == [-1, 1]


@pytest.mark.parametrize("names", [("x", "x"), ("",), (1,), (None,)])
def test_names_of_symbols_are_different_words(names):
    with pytest.raises(ValueError, match="names must be different strings"):
        Symbol.variables(*names)


def test_logarithms_of_nothing_are_refused():
    for bad in (X - X, flint.fmpq(0), -1):
        with pytest.raises(ValueError, match="must be positive"):
            Log.of(bad)
    with pytest.raises(ValueError, match="positive"):
        Rounded.of(-1).log()


def test_unequal_symbols_are_unequal():
    assert X + 1 != X
    assert X != Y
    assert X / Y != Y / X
    assert Symbol.variables("x")[0] + Symbol.variables("y")[0] == X + Y  # contexts meet


def test_sympy_names_with_other_assumptions_stay_apart():
    plain, positive = sp.Symbol("same"), sp.Symbol("same", positive=True)
    difference = arrays.from_sympy(plain) - arrays.from_sympy(positive)
    assert difference != 0
    assert to_sympy(difference) == plain - positive


def test_transcendental_parts_are_free_variables():
    t = sp.Symbol("t")
    kappa = 1 - sp.cos(sp.pi * t / 2)
    assert to_sympy(arrays.from_sympy(kappa / (1 + kappa))).equals(kappa / (1 + kappa))
    assert to_sympy(arrays.from_sympy(sp.Function("kappa")(t))) == sp.Function("kappa")(t)


NOTHING = sp.Add(sp.Symbol("a"), -sp.Symbol("a"), evaluate=False)


@pytest.mark.parametrize("bad", [sp.Float(0.5), sp.oo, sp.nan, sp.cos(sp.Float(0.5) * sp.Symbol("t")), 1 / NOTHING])
def test_floats_and_infinities_do_not_become_symbols(bad):
    with pytest.raises(ValueError, match=r"exact|finite"):
        arrays.from_sympy(bad)


positive = st.builds(flint.fmpq, st.integers(1, 60), st.integers(1, 60))


@given(positive, positive)
def test_logarithms_are_exact_and_ordered(a, b):
    assert Log.of(a * b) == Log.of(a) + Log.of(b)
    assert Log.of(a / b) == Log.of(a) - Log.of(b)
    assert (Log.of(a) == Log.of(b)) == (a == b)
    assert (Log.of(a) < Log.of(b)) == (a < b)
    assert abs(float(Log.of(a)) - np.log(float(a))) <= 8 * arrays.unit_roundoff("float64") * (1 + abs(np.log(float(a))))


def test_logarithms_of_close_numbers_are_told_apart():
    big = flint.fmpq(10**40 + 1, 10**40)
    assert Log.of(big) > 0
    assert not Log.of(flint.fmpq(1)) > 0


def test_logarithms_of_symbols():
    assert Log.of(X * Y / 2) == Log.of(X) + Log.of(Y) - Log.of(2)
    assert Log.of(X + Y) != Log.of(X) + Log.of(Y)
    assert X * Log.of(Y) - Log.of(Y) * X == Log({})


@given(st.lists(st.integers(1, 20), min_size=3, max_size=3))
def test_entropies_of_symbols_are_real_where_their_variables_are_a_pmf(counts):
    """SymPy gets log(1 - a - b) for log |a + b - 1|, and an absolute value where the sign is open, as of a - b."""
    a, b = sp.symbols("a b")
    p = [sp.Rational(count, sum(counts)) for count in counts]
    at = {a: p[0], b: p[1]}
    found = to_sympy(entropy([a, b, 1 - a - b])).subs(at)
    assert sp.simplify(found + sum(x * sp.log(x) for x in p)) == 0
    difference = to_sympy(Log.of(arrays.from_sympy(a - b)))
    assert difference == sp.log(sp.Abs(a - b))
    assert difference.subs(at).is_real or p[0] == p[1]


def test_sympy_prints_symbols_and_logarithms():
    """Its printers look for a method by the class's name, and find one of their own for a class called Symbol."""
    half = asarray([1, 1], "p") / 2
    assert (sp.latex(X / Y), sp.sstr(X / Y), sp.pretty(X)) == (r"\frac{x}{y}", "x/y", "x")
    assert sp.latex(entropy(half)) == r"\log{\left(2 \right)}"
    assert entropy(half)._repr_latex_() == r"$\log{\left(2 \right)}$"


def test_log_refuses_what_is_not_positive():
    for bad in (asarray([0, 1], "p"), np.array([0.0, 1.0]), torch.tensor([-1.0])):
        with pytest.raises(ValueError, match="positive"):
            log(bad)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 50)), min_size=2, max_size=12))
def test_rounding_bounds_hold_and_are_not_vacuous(dtype, pairs):
    """A sum of products and quotients in floats lies within its derived bound of the rational value."""
    exact = [flint.fmpq(a, b) for a, b in pairs]

    def formula(v):
        return sum((x * y + x / (1 + y * y) for x, y in zip(v, v[1:], strict=False)), v[0])

    truth = formula(exact)
    carried = formula([Rounded.of(x) for x in exact])
    floats = formula([getattr(np, dtype)(float(x)) for x in exact])
    error = abs(flint.fmpq(*float(floats).as_integer_ratio()) - truth)
    assert error <= flint.fmpq(*float(carried.error(dtype)).as_integer_ratio())
    assert carried.error(dtype) < 1e-3 * (1 + carried.magnitude)


def test_rounding_bounds_catch_a_planted_error():
    carried = Rounded.of(flint.fmpq(1, 3)) * Rounded.of(flint.fmpq(1, 7))
    assert abs(1 / 3 * (1 / 7) - 1 / 21) <= carried.error("float64")
    assert abs(float(np.float32(1 / 3) * np.float32(1 / 7)) - 1 / 21) > carried.error("float64")


def test_a_denominator_that_cancels_leaves_no_bound():
    tiny = Rounded(1e-20, 1.0, 10)
    assert (Rounded.of(flint.fmpq(1)) / tiny).error("float64") == float("inf")
    assert gamma("bfloat16", 256) == float("inf")


def test_ratio_is_zero_where_the_denominator_is(system):
    from number_systems import draw_in

    values = draw_in(system).pmf((3,), positive=True)
    both = arrays.stack([values, values * 0])
    out = ratio(full((2, 3), 1, values), both)
    assert bool((out[1] == 0).all())
    assert bool((out[0] * 1 != 0).all())


@pytest.mark.parametrize(
    ("values", "like", "words"),
    [
        (np.array([0.5]), asarray([1], "x"), "must be exact"),
        (asarray([sp.Symbol("a")], "x"), np.zeros(1), "held symbols"),
    ],
)
def test_cast_refuses_floats_beside_exact_and_symbols_beside_floats(values, like, words):
    with pytest.raises(ValueError, match=words):
        cast(values, like, "weights")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 64, 65])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sums_along_an_axis_of_any_length(dtype, length, axis):
    shape = tuple(length if i == axis else 3 for i in range(3))
    values = np.random.default_rng(0).integers(-4, 5, shape).astype(dtype)  # small integers are added exactly
    found = total(values[..., ::-1], axis)
    assert found.dtype == dtype
    assert (found == values[..., ::-1].astype(int).sum(axis)).all()
    assert not np.shares_memory(found, values)


@pytest.mark.parametrize("make", [np.array, lambda x: torch.tensor(x, dtype=torch.float64)])
def test_what_overflows_in_a_sum_is_still_finite(make):
    large = make([1.5e308, 1.5e308, -1.0])
    assert asarray(large, "values") is large
    with pytest.raises(ValueError, match=r"values must be finite, was -inf at \(1,\)"):
        asarray(make([1.5e308, -np.inf, np.inf]), "values")


def test_cast_keeps_device_and_dtype():
    like = torch.zeros(1, dtype=torch.bfloat16)
    assert cast(asarray([Fraction(1, 2)], "x"), like).dtype == torch.bfloat16
    assert cast(np.array([0.5]), np.zeros(1, dtype=np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([0.5, 0.6], "sum to one"),
        ([0.5, float("nan")], "finite, was nan at \\(1,\\)"),
        ([float("inf"), 0], "finite"),
        ([-0.5, 1.5], "nonnegative, was -0.5 at \\(0,\\)"),
        ([], "empty"),
        ([Fraction(1, 2), Fraction(1, 3)], "summed to 5/6"),
        ([Fraction(1, 2), 0.5], "one system"),
        (["a", "b"], "numbers"),
        ([[1], [1, 2]], "rectangular"),
        ([True, False], "numbers"),
        (np.array([1 + 2j]), "numbers"),
        (None, "numbers"),
    ],
)
def test_pmf_refuses(bad, words):
    with pytest.raises(ValueError, match=words):
        pmf(bad, "target")


@pytest.mark.parametrize("axis", [1, -2])
def test_pmf_refuses_an_axis_that_is_not_there(axis):
    with pytest.raises(ValueError, match=rf"target must have an axis {axis} of probabilities, was of shape \(2,\)"):
        pmf([0.5, 0.5], "target", axis=axis)


def test_doors_take_what_people_write():
    for values in ([0.25, 0.75], np.array([0.25, 0.75], dtype=np.float32), torch.tensor([0.25, 0.75])):
        assert arrays.system_of(pmf(values, "p")).startswith("float")
    for values in ([Fraction(1, 4), Fraction(3, 4)], [flint.fmpq(1, 4), flint.fmpq(3, 4)], [0, 1], sp.Matrix([[0, 1]])):
        assert arrays.system_of(pmf(values, "p")) == "rational"
    assert arrays.system_of(pmf([sp.Symbol("a"), 1 - sp.Symbol("a")], "p")) == "symbol"
    assert total(asarray([], "p")) == 0


NEEDING = {
    "decentralization.top_k_gate": lambda x: top_k_gate(x, 1),
    "objectives.cross_entropy": lambda x: cross_entropy(x, x),
    "objectives.generalized_kl": lambda x: generalized_kl(x, x, x),
    "sampling.sample_categorical": lambda x: sample_categorical(x, np.random.default_rng(0)),
    "sharpening.greedy": greedy,
    "sharpening.nucleus": lambda x: nucleus(x, 1),
    "stability.kl_divergence": lambda x: kl_divergence(x, x),
    "stability.total_variation": lambda x: total_variation(x, x),
}


@pytest.mark.parametrize("name", arrays.NEEDS)
def test_table_of_needs_is_true(name):
    """Each function of the table refuses, by name, a system that lacks what it needs."""
    lacking = {
        "order": asarray([X, 1 - X], "p"),
        "logarithm": log(asarray([2, 3], "p")),
        "randomness": asarray([0, 1], "p"),
    }
    with pytest.raises(ValueError, match=rf"{name} must have {arrays.NEEDS[name]}"):
        NEEDING[name](lacking[arrays.NEEDS[name]])
    if arrays.NEEDS[name] == "order":  # as a person writes them, no array yet
        a = sp.Symbol("a")
        for written in ([a, 1 - a], np.array([a, 1 - a])):
            with pytest.raises(ValueError, match="must have order"):
                NEEDING[name](written)
    assert set(NEEDING) == set(arrays.NEEDS)


def test_importing_the_package_pulls_in_nothing_heavy():
    heavy = {"ddfm_theory": "torch sympy flint hypothesis", "ddfm_theory.decentralization": "torch sympy hypothesis"}
    for module, absent in heavy.items():
        code = f"import sys, {module}; print(sorted(set('{absent}'.split()) & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
