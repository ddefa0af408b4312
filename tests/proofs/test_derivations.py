"""Every derivation checks, wrong steps are caught, and the appendix is LaTeX that compiles."""

import dataclasses
import importlib
import itertools
import re
import shutil
import subprocess
from pathlib import Path

import flint
import numpy as np
import pytest

from ddfm_theory.arrays import Log, Symbol, as_array
from ddfm_theory.decentralization import Decentralization, mix
from ddfm_theory.ledger.laws_experts import weights_everywhere
from ddfm_theory.ledger.records import FAILS, HOLDS, UNDECIDED
from ddfm_theory.velocities import marginal_velocity
from proofs import CLAIMS, Derivation, Step, check, check_by_solver, derivations
from proofs import table as table_room
from proofs.__main__ import main
from proofs.appendix import align, appendix, displayed
from proofs.counterexamples import counterexamples, latex, markdown
from proofs.derivation import AT_MOST, instances
from proofs.sums import Flow, add, over

ALL = [derivation for claim in CLAIMS for derivation in derivations(claim)]
NAMES = [f"{derivation.claim} {derivation.title}" for derivation in ALL]


def one_of(claim, part):
    """Return the derivation of a claim whose title has the part."""
    (found,) = [d for d in derivations(claim) if part in d.title]
    return found


def small(derivation):
    """Return a derivation with one instance, of its smallest size and of its grid."""
    grid = derivation.grid
    if grid is not None:
        first = grid.instances
        grid = dataclasses.replace(grid, instances=lambda: itertools.islice(first(), 1), attained=())
    return dataclasses.replace(derivation, sizes=derivation.sizes[:1], corners=0, grid=grid)


def with_step(derivation, number, value):
    """Return a derivation with another value at one step."""
    steps = list(derivation.steps)
    steps[number] = dataclasses.replace(steps[number], value=value)
    return dataclasses.replace(derivation, steps=tuple(steps))


def failing(derivation):
    """Return the numbers of the steps that fail."""
    return {outcome.step for outcome in check(derivation) if outcome.outcome == FAILS}


# Every derivation checks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("derivation", ALL, ids=NAMES)
def test_derivation_checks(derivation):
    outcomes = check(derivation)
    assert [o for o in outcomes if o.outcome != HOLDS] == []
    assert {o.step for o in outcomes if o.step} == set(range(1, len(derivation.steps)))


def test_every_claim_has_derivations():
    assert {d.claim for d in ALL} == set(CLAIMS)
    assert len(set(NAMES)) == len(NAMES)


def test_steps_say_something():
    for derivation in ALL:
        assert all(step.reason.strip() and step.latex.strip() for step in derivation.steps)
        assert all(a.latex != b.latex for a, b in itertools.pairwise(derivation.steps))
        assert derivation.steps[0].relation == "="


def test_every_chain_reaches_a_function_of_the_project():
    for derivation in ALL:
        named = [step.function for step in derivation.steps if step.function]
        assert named, f"{derivation.title} must reach a function of the project"
        for name in named:
            module, *attributes = name.split(".")
            thing = importlib.import_module(f"ddfm_theory.{module}")
            for attribute in attributes:
                thing = getattr(thing, attribute)


FREE = [d for d in ALL if d.instance is not None]


def test_equalities_are_decided_with_free_symbols():
    for derivation in FREE:
        _, case = next(instances(derivation))
        entries = [entry for step in derivation.steps for entry in np.asarray(as_array(step.value(case))).ravel()]
        assert any(isinstance(entry, Symbol | Log) for entry in entries), derivation.title


# Wrong steps are caught -----------------------------------------------------------------------------------------------


def shifted(values, shift):
    unit = Log.of(10**9) if any(isinstance(v, Log) for v in values.ravel()) else flint.fmpq(10)
    return values + unit * shift


def frozen(derivation):
    """Return a derivation with one instance, its steps' values there, and the same with these values as constants."""
    few = small(derivation)
    case = next(instances(few))[1] if few.instance else next(iter(few.grid.instances()))
    values = [np.asarray(as_array(step.value(case))) for step in few.steps]
    steps = tuple(dataclasses.replace(s, value=lambda c, v=v: v) for s, v in zip(few.steps, values, strict=True))
    return dataclasses.replace(few, steps=steps), values


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_step_counts(claim):
    for derivation in derivations(claim):
        few, values = frozen(derivation)
        for number, step in enumerate(few.steps):
            down = number == len(few.steps) - 1 and step.relation == AT_MOST
            wrong = shifted(values[number], -1 if down else 1)
            found = failing(with_step(few, number, lambda c, wrong=wrong: wrong))
            assert found & {number, number + 1}, f"{derivation.title}: step {number} may be anything"


@pytest.mark.parametrize("claim", CLAIMS)
def test_unlike_shapes_are_caught(claim):
    for derivation in derivations(claim):
        few, values = frozen(derivation)
        wrong = values[1][None]
        assert 1 in failing(with_step(few, 1, lambda c, wrong=wrong: wrong))


def test_floats_are_caught():
    few = small(one_of("C02", "sum to zero"))
    assert 3 in failing(with_step(few, 3, lambda c: np.zeros(2)))


def test_wrong_sign_of_the_divergence():
    derivation = one_of("C03", "posterior average")
    last = derivation.steps[-1].value
    assert failing(with_step(derivation, 6, lambda c: -last(c))) == {6}


def test_dropped_factor_in_the_path():
    derivation = one_of("C22", "the path")
    wrong = with_step(derivation, 3, lambda c: c.coupling.revealed)
    assert failing(wrong) == {3}


def test_prior_for_posterior_in_the_marginal_velocity():
    derivation = one_of("C03", "from masks")

    def by_the_prior(c):
        return c.flow.over_rates(
            lambda i, x, z: (
                over(c.flow.slopes[-1, i], c.flow.weights[0, i])
                * add(mass * (int(x1[i] == x) - int(z[i] == x)) for _, x1, mass in c.flow.pairs)
            )
        )

    assert 1 in failing(with_step(derivation, 1, by_the_prior))


def test_prior_for_posterior_in_the_router():
    size = ("masked", 2, 2, 2, "continuous")
    derivation = dataclasses.replace(one_of("C08", "mixture"), sizes=(size,))

    def by_omega(c):
        u = c.experts.expert_velocities(c.schedule, 0)
        return mix(weights_everywhere(c.experts, u[..., 0, 0]), u)

    assert failing(with_step(derivation, 5, by_omega)) == {5}


def test_omitted_normalization_of_the_filter():
    derivation = one_of("C10", "updated")

    def unnormalized(c):
        sequences, experts = c.sequences, c.experts
        out = np.empty((len(experts), len(sequences)), dtype=object)
        for k, coupling in enumerate(experts.couplings):
            for b, x in enumerate(sequences):
                known = {i: x[i] for i in range(c.t + 1)}
                tokens = [y for y in sequences if all(y[i] == token for i, token in known.items())]
                out[k, b] = experts.weights[k] * add(coupling.target[y] for y in tokens)
        return out

    assert failing(with_step(derivation, 1, unnormalized)) == {1, 2}


def test_sum_over_positions_has_another_shape():
    derivation = small(one_of("C08", "mixture"))
    last = derivation.steps[-1].value
    (outcome,) = [o for o in check(with_step(derivation, 5, lambda c: last(c).sum(axis=-2))) if o.outcome == FAILS]
    assert "shape" in outcome.before
    assert "shape" in outcome.after


def test_a_bound_in_the_wrong_direction_is_caught():
    derivation = one_of("C14", "total variation of mixtures")
    steps = derivation.steps
    turned = dataclasses.replace(
        derivation, steps=(steps[3], dataclasses.replace(steps[0], relation=AT_MOST)), grid=derivation.grid
    )
    assert 1 in failing(turned)


def test_a_false_equality_case_is_caught():
    derivation = one_of("C14", "total variation of mixtures")
    strict = next(
        c for c in derivation.grid.instances() if derivation.steps[0].value(c) < derivation.steps[-1].value(c)
    )
    wrong = dataclasses.replace(
        derivation, grid=dataclasses.replace(derivation.grid, instances=list, attained=(("not so", strict),))
    )
    assert any(o.step == 0 and o.outcome == FAILS for o in check(wrong))


def test_an_empty_grid_is_undecided():
    derivation = one_of("C15", "costs")
    empty = dataclasses.replace(derivation, grid=dataclasses.replace(derivation.grid, instances=list, attained=()))
    assert {o.outcome for o in check(empty)} == {UNDECIDED}
    with pytest.raises(TypeError, match="three values"):
        bool(check(empty)[0])


def test_one_expression_is_no_derivation():
    with pytest.raises(ValueError, match="at least two steps"):
        check(Derivation("C01", "alone", "", (Step("x", "alone", lambda c: c),)))


# Bounds by z3 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("derivation", [d for d in ALL if d.grid and d.grid.real], ids=lambda d: f"{d.claim} {d.title}")
def test_bounds_by_z3(derivation):
    pytest.importorskip("z3", reason="z3-solver is not installed: the bounds are decided on rational grids alone")
    outcomes = check_by_solver(derivation)
    assert FAILS not in {o.outcome for o in outcomes}
    assert sum(o.outcome == HOLDS for o in outcomes) >= 2


PLAIN = [(d, step) for d in ALL for step in d.steps if step.plain is not None]


@pytest.mark.parametrize(("derivation", "step"), PLAIN, ids=lambda part: getattr(part, "title", "step"))
def test_plain_sums_are_what_the_function_gives(derivation, step):
    for c in itertools.islice(derivation.grid.instances(), 0, 60, 3):
        assert np.ravel(step.value(c)).tolist() == np.ravel(as_array(step.plain(c))).tolist()


def test_z3_refutes_a_wrong_bound():
    pytest.importorskip("z3", reason="z3-solver is not installed")
    derivation = one_of("C15", "for all reals")
    assert check_by_solver(with_step(derivation, 2, lambda c: (1 - c.s) / 2))[-1].outcome == FAILS


# LaTeX ----------------------------------------------------------------------------------------------------------------


def unbalanced(text):
    """Return what is wrong with a text's braces, environments and dollars, or an empty string."""
    plain = re.sub(r"\\\\", "", text)
    plain = re.sub(r"\\[{}$&]", "", plain)
    depth = 0
    for letter in plain:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth < 0:
            return "a brace too many is closed"
    if depth:
        return "a brace is left open"
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{([^}]*)\}", text):
        if kind == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            return f"environment {name} is closed and was not open"
    if opened:
        return f"environment {opened[-1]} is left open"
    return "an odd number of dollars" if plain.count("$") % 2 else ""


@pytest.mark.parametrize("claim", CLAIMS)
def test_latex_is_balanced(claim):
    for derivation in derivations(claim):
        for text in (align(derivation), displayed(derivation), derivation.statement):
            assert unbalanced(text) == ""
        for step in derivation.steps:
            assert unbalanced(step.latex) == unbalanced(step.reason) == ""
            assert "$" not in step.latex
            assert "&" not in step.latex
        assert derivation._repr_latex_() == displayed(derivation)


def test_unbalanced_latex_is_caught():
    assert unbalanced(r"\frac{1}{2") == "a brace is left open"
    assert unbalanced(r"\begin{align*}") == "environment align* is left open"
    assert unbalanced("$x$ and $y") == "an odd number of dollars"


def test_appendix_compiles(tmp_path):
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed: Debian has it as texlive-latex-base and texlive-latex-recommended")
    (tmp_path / "appendix.tex").write_text(appendix())
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "appendix.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "appendix.pdf").stat().st_size > 50_000
    assert "Overfull \\hbox" not in done.stdout


def test_appendix_needs_only_amsmath_and_booktabs():
    assert set(re.findall(r"\\usepackage\{([^}]*)\}", appendix(["C08"]))) == {"amsmath", "booktabs"}
    assert unbalanced(appendix()) == ""


# Counterexamples and the command --------------------------------------------------------------------------------------


def test_counterexamples_are_found():
    found = counterexamples()
    assert {e.claim for e in found} == {"C05", "C09", "C13", "C16", "C17", "C20", "C21"}
    assert all(e.got != e.expected and e.distance > 0 for e in found)
    values = [e.distance for e in found if e.claim in {"C05", "C21"}]
    assert values == [flint.fmpq(1, 2)] * 2
    assert [e.distance for e in found if "sharpening" in e.dropped] == [flint.fmpq(3, 20)]


def test_counterexamples_print():
    assert markdown(("C05",)).count("\n") == 3
    assert unbalanced(latex()) == unbalanced(markdown()) == ""


def test_command(tmp_path, capsys):
    path = tmp_path / "appendix.tex"
    assert main(["--claim", "C22", "--claim", "C16", "--latex", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "C22, the router" in printed
    assert "10 of 10 derivations hold at every step" in printed
    assert path.read_text() == appendix(["C22", "C16"])
    assert list(tmp_path.iterdir()) == [path]


def test_command_refuses_what_is_no_claim(capsys):
    assert main(["--claim", "C23"]) == 2
    assert capsys.readouterr().err == "ddfm prove: claim must be one of C01..C22, was 'C23'\n"


def test_command_fails_with_a_wrong_step(monkeypatch, capsys):
    derivation = small(one_of("C22", "the router"))
    wrong = with_step(derivation, 2, lambda c: c.experts.router(c.schedule, 0) * 2)
    monkeypatch.setattr("proofs.__main__.derivations", lambda claim: (wrong,))
    assert main(["--claim", "C22"]) == 1
    assert "fails" in capsys.readouterr().out


def test_flow_agrees_with_the_project():
    """The plain sums are the project's path and velocity on an instance drawn at random."""
    _, case = next(instances(one_of("C08", "mixture")))
    assert isinstance(case.experts, Decentralization)
    assert isinstance(case.flow, Flow)
    assert (marginal_velocity(case.experts.central, case.schedule, 0) == case.flow.over_rates(case.flow.velocity)).all()


def test_the_table_is_what_the_code_gives():
    """proofs/TABLE.md maps source, row, theorems, functions and tests; each function it names exists."""
    assert (Path(table_room.__file__).parent / "TABLE.md").read_text() == table_room.table()
    for functions in table_room.FUNCTIONS.values():
        for function in functions:
            module, *names = function.split(".")
            place = importlib.import_module(f"ddfm_theory.{module}")
            for name in names:
                place = getattr(place, name)
