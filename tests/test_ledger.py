"""The ledger: every row, every kind of evidence, every control; and planted errors that must be named."""

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import flint
import numpy as np
import pytest

import ddfm_theory
from ddfm_theory.ledger import CLAIMS, Check, verify
from ddfm_theory.ledger.claims import CLAIMS as TABLE
from ddfm_theory.ledger.data import LAWS as DATA_LAWS
from ddfm_theory.ledger.draws import ExhaustiveDraw
from ddfm_theory.ledger.evidence import (
    PROFILES,
    Failure,
    Profile,
    decide,
    exact_evidence,
    numeric_evidence,
    property_evidence,
    symbolic_evidence,
    witness,
)
from ddfm_theory.ledger.families import exact
from ddfm_theory.ledger.formal import formal_evidence
from ddfm_theory.ledger.rates import RATES
from ddfm_theory.ledger.records import KINDS, Equation, Inequality
from ddfm_theory.ledger.report import latex, markdown, summary
from proofs.table import FUNCTIONS

EVIDENCE = {
    "numeric": numeric_evidence,
    "property": property_evidence,
    "exact": exact_evidence,
    "symbolic": symbolic_evidence,
}
PROFILE = Profile(exact=60, exhaustive=240, properties=40, symbolic=6, numeric=10, large=((3, 2, 2), (4, 3, 2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLAIMS)
def test_every_row_holds(name, kind):
    check = EVIDENCE[kind](CLAIMS[name], PROFILE, 1)
    expected = "undecided" if kind in CLAIMS[name].without else "holds"
    assert check.outcome == expected, check
    assert check.cases > 0 or expected == "undecided"
    assert check.note


@pytest.mark.parametrize(
    ("name", "control"),
    [(name, control) for name, claim in TABLE.items() for control in claim.controls],
    ids=lambda value: value if isinstance(value, str) else value.says[:40],
)
def test_every_control_fails_by_its_exact_value_and_passes_restored(name, control):
    found = witness(CLAIMS[name], control)
    assert found.outcome == "fails", found
    assert found.measured == found.stated
    assert found.got != found.expected


@pytest.mark.parametrize("name", RATES)
def test_rates(name):
    for rate in RATES[name]:
        assert rate().outcome == "holds", rate()


def test_ledger_is_complete():
    assert list(CLAIMS) == [f"C{number:02d}" for number in range(1, 23)]
    for claim in CLAIMS.values():
        assert claim.controls, f"{claim.id} has no control"
        assert claim.statement
        assert claim.hypotheses
        assert claim.source
        assert "exact" not in claim.without or "symbolic" not in claim.without


def test_rows_name_their_derivations_and_theorems():
    done = run(["verify", "--profile", "default", "--claim", "C11", "--notes"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "C11 symbolic: holds" in done.stdout
    assert "derivation '" in done.stdout
    assert "C11_router_one_hot" in done.stdout


def test_a_check_is_not_a_truth_value():
    with pytest.raises(TypeError, match="three outcomes"):
        bool(Check("C01", "exact", "undecided"))


@pytest.mark.parametrize(
    "wrong",
    [
        Equation("entry", exact([1, 2]), exact([1, 3])),
        Equation("shape", exact([1, 1]), exact([1])),
        Equation("shape", exact([[1]]), exact([1])),
        Inequality("order", exact([2]), exact([1])),
    ],
    ids=lambda statement: statement.name,
)
def test_decide_catches_a_wrong_statement(wrong):
    with pytest.raises(Failure, match=wrong.name):
        decide(wrong)


def test_a_control_that_passes_is_a_fault():
    """A control must fail by its own value: harmless ingredients, another value and a broken restoration are faults."""
    claim, control = CLAIMS["C08"], CLAIMS["C08"].controls[0]
    for faulty in (
        replace(control, broken={}),
        replace(control, value=flint.fmpq(1, 7)),
        replace(control, statement="no such statement"),
        replace(control, broken={"router": "no such router", "unknown": 1}),
    ):
        found = witness(claim, faulty)
        assert found.outcome == "undecided", faulty
    broken_law = replace(
        claim, law=lambda case, **parts: iter([Equation("the mixture is the central velocity", exact([0]), exact([1]))])
    )
    assert "restored" in witness(broken_law, control).restored


def test_each_kind_of_evidence_catches_a_planted_error():
    """A law with the prior in place of the posterior fails in every kind of evidence."""

    def law(case, **parts):
        return CLAIMS["C08"].law(case, router="prior")

    planted = replace(CLAIMS["C08"], law=law)
    for evidence in EVIDENCE.values():
        found = evidence(planted, PROFILES["quick"], 0)
        assert found.outcome == "fails", found
        assert found.where or found.residual


def test_exhaustive_draws_meet_every_case_once():
    draw, seen = ExhaustiveDraw(), []
    while True:
        first = draw.integer(0, 1)
        seen.append((first, draw.integer(3, 4) if first else None))
        if not draw.advance():
            break
    assert seen == [(0, None), (1, 3), (1, 4)]


PLANTED = {  # file, old, new, the claims that must be named
    "prior for posterior": (
        "decentralization.py",
        "joint = balanced(likelihoods, prior)",
        "joint = balanced(likelihoods * 0 + 1, prior)",
        ["C08", "C10"],
    ),
    "a sign of the divergence": ("continuity.py", "return -inflow", "return inflow", ["C03"]),
    "a sign of the velocity": (
        "velocities/marginal.py",
        "sign[mask] = -sign[mask]",
        "sign[mask] = sign[mask] * 1",
        ["C03", "C06"],
    ),
    "kappa for kappa'": (
        "velocities/marginal.py",
        "for time in (t, t_next))\n    if type(now)",
        "for time in (t, t))\n    if type(now)",
        ["C04", "C06"],
    ),
    "off by one": (
        "schedulers/given.py",
        'self.positions(length)[: positive_int(t, "t", 0, length)]',
        'self.positions(length)[: max(0, positive_int(t, "t", 0, length) - 1)]',
        ["C06"],
    ),
    "kappa for 1 - kappa": (
        "paths.py",
        "vector[size - 1] = weights[0, i]",
        "vector[size - 1] = weights[1, i]",
        ["C01", "C22"],
    ),
    "the table's last axis forgotten": (
        "couplings.py",
        "for i in reversed(range(self.length)):",
        "for i in reversed(range(self.length - 1)):",
        ["C01", "C22"],
    ),
    "pivot at the arg max": ("flux.py", "sign = -1 if backward else 1", "sign = 1 if backward else -1", ["C02", "C18"]),
    "not renormalized": (
        "decentralization.py",
        "return ratio(held, total(held, 0)[None, ...])",
        "return held",
        ["C15"],
    ),
    "the filter's path off by one": (
        "decentralization.py",
        "bayes_filter_update(columns[-1], token_likelihoods[:, t])",
        "bayes_filter_update(columns[-1], token_likelihoods[:, t - 1])",
        ["C10"],
    ),
    "half forgotten": ("stability.py", "/ full((1,), 2, p)", "/ full((1,), 1, p)", ["C05"]),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_formula_broken_by_hand_is_named(name, tmp_path):
    """Copy the package, break one formula, run the command: exit 1, and the claim is named."""
    file, old, new, named = PLANTED[name]
    copy = tmp_path / "ddfm_theory"
    shutil.copytree(
        Path(ddfm_theory.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "bridge", "partition")
    )
    text = (copy / file).read_text()
    assert text.count(old) == 1, "the formula to break has moved"
    (copy / file).write_text(text.replace(old, new))
    done = run(["verify", "--profile", "quick", *(part for claim in named for part in ("--claim", claim))], tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    for claim in named:
        assert f"{claim} fails" in done.stdout or f"{claim} control" in done.stdout


def codes(name):
    """Return the code of a public function, of a property, or of all that a class defines."""
    room, _, attributes = name.partition(".")
    found = attrgetter(attributes)(importlib.import_module(f"ddfm_theory.{room}"))
    parts = vars(found).values() if isinstance(found, type) else [getattr(found, "func", found)]
    return {inspect.unwrap(part).__code__ for part in parts if inspect.isroutine(part)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functions_that_the_table_names_are_run_for_their_row(name):
    ran, before = set(), sys.getprofile()
    sys.setprofile(lambda frame, event, argument: ran.add(frame.f_code))
    try:
        verify(profile="quick", claims=[name])
    finally:
        sys.setprofile(before)
    assert [function for function in FUNCTIONS[name] if not codes(function) & ran] == []


def run(arguments, path=None):
    """Run the command in a fresh process, from another copy of the package where a path is given."""
    environment = {**os.environ, "PYTHONPATH": str(path or ""), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "ddfm_theory.cli", *arguments], capture_output=True, text=True, env=environment, cwd=path
    )


def test_equal_seeds_give_equal_bytes_across_processes(tmp_path):
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        assert (
            run(["verify", "--profile", "quick", "--claim", "C08", "--claim", "C02", "--json", str(file)]).returncode
            == 0
        )
    assert files[0].read_bytes() == files[1].read_bytes()
    evidence = json.loads(files[0].read_text())
    assert [claim["id"] for claim in evidence["claims"]] == ["C08", "C02"] or [c["id"] for c in evidence["claims"]] == [
        "C02",
        "C08",
    ]
    assert {"numpy", "torch", "python-flint", "sympy", "hypothesis", "threads"} <= set(evidence["versions"])
    assert all(control["outcome"] == "fails" for claim in evidence["claims"] for control in claim["controls"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--claim", "C99"], "claims must be among C01..C22"),
        (["--profile", "lax"], "profile must be one of"),
        (["--seed", "-1"], "seed must be"),
        (["--data", "nowhere.npy"], "data must be a file that exists"),
        (["--data", "digits.csv"], "data must be 'digits' or a .npy or .npz"),
        (
            ["--claim", "C01", "--profile", "quick", "--json", "no/such/folder/x.json"],
            "must be in a folder that exists",
        ),
    ],
)
def test_bad_input_gives_one_line_and_exit_2(arguments, words):
    done = run(["verify", *arguments])
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (lambda path: np.save(path, np.array([[0.5, 1.0]])), "must be integers of shape"),
        (lambda path: np.save(path, np.array([[0, -1]])), "must be nonnegative, was -1 at \\(0, 1\\)"),
        (lambda path: np.save(path, np.array([0, 1])), "must be integers of shape"),
        (lambda path: np.save(path, np.zeros((0, 3), dtype=int)), "must be integers of shape"),
        (lambda path: path.write_bytes(b"not an array"), "must be a readable array file"),
        (lambda path: np.save(path, np.array([[object()]]), allow_pickle=True), "must be a readable array file"),
    ],
)
def test_bad_data_is_refused(save, words, tmp_path):
    path = tmp_path / "tokens.npy"
    save(path)
    with pytest.raises(ValueError, match=words):
        verify(data=path)


def test_bad_labels_are_refused(tmp_path):
    path = tmp_path / "tokens.npz"
    np.savez(path, tokens=np.array([[0, 1], [1, 1]]), labels=np.array([0]))
    with pytest.raises(ValueError, match="labels must be integers of shape \\(2,\\)"):
        verify(data=path)
    np.savez(path, rows=np.array([[0, 1]]))
    with pytest.raises(ValueError, match="must hold an array 'tokens'"):
        verify(data=path)


@pytest.fixture(scope="module")
def digits():
    return verify("quick", claims=sorted(DATA_LAWS), data="digits", seed=2)


def test_digits_at_full_length(digits):
    assert digits.ok
    for claim in DATA_LAWS:
        (check,) = digits.evidence(claim, "data")
        assert check.outcome == "holds"
        assert check.cases >= 130
        assert "1797 rows of 64 tokens over 17, 10 experts" in check.note


def test_a_user_s_file(tmp_path):
    path = tmp_path / "mine.npz"
    rng = np.random.default_rng(0)
    np.savez(path, tokens=rng.integers(0, 3, size=(40, 5)), labels=rng.integers(0, 2, size=40))
    report = verify("quick", claims=["C08", "C12"], data=path)
    assert report.ok
    assert "40 rows of 5 tokens over 3, 2 experts" in " ".join(summary(report))
    np.save(tmp_path / "bare.npy", np.array([[0, 1], [1, 0], [1, 1]]))
    assert verify("quick", claims=["C10"], data=tmp_path / "bare.npy").ok


def test_reports_agree_on_the_table(digits):
    for text in (markdown(digits), latex(digits), digits._repr_html_()):
        for claim in digits.claims:
            assert claim in text
    assert "\\toprule" in latex(digits)
    assert "| data |" in markdown(digits)


def test_every_row_of_the_readme_s_ledger_is_what_the_ledger_gives():
    """The README's table is generated: its marks are those of a report whose every check holds."""
    readme = (Path(ddfm_theory.__file__).parent.parent / "README.md").read_text()
    block = readme[readme.index("<!-- ledger -->") : readme.index("<!-- /ledger -->")]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines() if line.startswith("|")]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
    assert [row[""] for row in rows] == list(CLAIMS)
    for row, claim in zip(rows, CLAIMS.values(), strict=True):
        assert row["statement"] == claim.title
        assert {row["numeric"], row["property"], row["exact"]} == {"yes"}
        assert row["symbolic"] == ("open" if "symbolic" in claim.without else "yes")
        assert row["formal"] == ("yes" if formal_evidence(claim.id) else "-")
        assert row["data"] == ("yes" if claim.id in DATA_LAWS else "-")
        assert row["controls that fail"] == f"{len(claim.controls)} of {len(claim.controls)}"
