"""The machine-checked theorems: compiled and audited here, and the audit shown to bite."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from ddfm_theory.ledger import CLAIMS
from ddfm_theory.ledger.formal import checked, fingerprint, formal_evidence, room, stamp, theorems
from proofs.machine import MISSING, audit, version

FOLDER = Path(__file__).parents[2] / "proofs" / "rocq"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Compile and audit a copy of the sources once; later copies reuse what was compiled."""
    if not version():
        if os.environ.get("DDFM_REQUIRE_ROCQ"):
            pytest.fail(f"DDFM_REQUIRE_ROCQ is set, but {MISSING}")
        pytest.skip(MISSING)
    copy = tmp_path_factory.mktemp("rocq") / "rocq"
    products = shutil.ignore_patterns("*.vo*", "*.glob", "*.aux", "Makefile.coq*", "audit.out")
    shutil.copytree(FOLDER, copy, ignore=products)
    done = audit(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"audit: {len(theorems(FOLDER))} theorems, closed under the global context" in done.stdout
    return copy


@pytest.fixture
def copy(built, tmp_path):
    """Return a compiled copy to break (times are kept, so that only what is broken compiles again)."""
    target = tmp_path / "rocq"
    shutil.copytree(built, target)
    return target


@pytest.mark.xdist_group("rocq")
def test_every_theorem_is_checked_and_axiom_free(built):
    assert "Axioms:" not in (built / "audit.out").read_text()


def last_theorem(text):
    return list(re.finditer(r"^Theorem (\w+).*?^Qed\.$", text, re.M | re.S))[-1]


def reproved(found, proof):
    """Return a theorem with another proof."""
    return re.sub(r"Proof\..*Qed\.", proof, found.group(), flags=re.S)


def with_top_level_hypothesis(text, found):
    cheated = text[: found.start()] + reproved(found, "Proof. by case: cheat. Qed.") + text[found.end() :]
    return cheated.replace("Section DistanceOne.", "Hypothesis cheat : False.\nSection DistanceOne.", 1)


BREAKS = {
    "an axiom": lambda text, found: "Axiom cheat : False.\n" + text,
    "a top-level hypothesis": with_top_level_hypothesis,
    "an admitted proof": lambda text, found: (
        text[: found.start()] + reproved(found, "Proof. Admitted.") + text[found.end() :]
    ),
    "a theorem that nobody audits": lambda text, found: text + "Theorem C99_unseen : true = true. Proof. by []. Qed.\n",
}


@pytest.mark.xdist_group("rocq")
@pytest.mark.parametrize("name", BREAKS)
def test_the_audit_catches(name, copy):
    path = copy / "TopK.v"
    text = path.read_text()
    path.write_text(BREAKS[name](text, last_theorem(text)))
    assert audit(copy).returncode != 0


@pytest.mark.xdist_group("rocq")
def test_a_weakened_statement_shows_as_a_diff(copy):
    path = copy / "statements.txt"
    path.write_text(path.read_text().replace("<=", "<", 1))
    done = audit(copy)
    assert done.returncode != 0
    assert "<" in done.stdout


@pytest.mark.xdist_group("rocq")
def test_a_wrong_value_does_not_compile(copy):
    path = copy / "CounterexamplesToken.v"
    text = path.read_text()
    assert text.count("13%:R / 20%:R") == 1
    path.write_text(text.replace("13%:R / 20%:R", "13%:R / 21%:R"))
    assert audit(copy).returncode != 0


def test_descriptions_speak_of_the_ledger():
    described = theorems(FOLDER)
    assert len({theorem["name"] for theorem in described}) == len(described)
    for theorem in described:
        assert theorem["claim"] in CLAIMS
        assert theorem["name"].startswith(theorem["claim"])
        assert theorem["says"]
        assert re.search(rf"\bTheorem {theorem['name']}\b", (FOLDER / theorem["file"]).read_text())


def test_formal_evidence_is_believed_only_where_these_sources_were_checked(tmp_path, monkeypatch):
    target = tmp_path / "rocq"
    shutil.copytree(FOLDER, target, ignore=shutil.ignore_patterns("*.vo*", "*.glob", "*.aux", ".checked.json"))
    monkeypatch.setattr("ddfm_theory.ledger.formal.room", lambda: target)
    (before,) = formal_evidence("C08")
    assert before.outcome == "undecided"
    assert "make proofs" in before.note
    stamp(target, "Coq 8.16")
    assert checked(target) == "Coq 8.16"
    (after,) = formal_evidence("C08")
    assert after.outcome == "holds"
    assert "C08_decentralization_discrete" in after.note
    source = target / "Sums.v"
    source.write_text(source.read_text() + "\n")
    assert formal_evidence("C08")[0].outcome == "undecided"
    assert fingerprint(target) != fingerprint(FOLDER)
    others = [theorem for theorem in theorems(target) if theorem["claim"] != "C07"]
    (target / "theorems.json").write_text(json.dumps(others))
    assert formal_evidence("C07") == []
    monkeypatch.setattr("ddfm_theory.ledger.formal.room", lambda: None)
    assert formal_evidence("C08") == []


def test_the_room_is_found_from_a_checkout():
    assert room() == FOLDER
