"""The documentation builds without a warning, links every row to its proofs, and types no result."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mathml
import pytest
from ledger_pages import datum
from pages import STATEMENTS, THEOREMS, counts, documented, evidence, rooms, row_page

from ddfm_theory.ledger import CLAIMS
from proofs import derivations

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
WRITTEN = sorted(path for path in DOCS.rglob("*.md") if "generated" not in path.parts)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.md"))
NOT_PROSE = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)|https?://\S+|arXiv \d+\.\d+|^---\n.*?^---$|SmolLM2-135M",
    re.S | re.M,
)
RESULT = re.compile(r"\d+\.\d+|\d+ ?%|\d{1,3}(?:,\d{3})+|\b\d{3,}\b")


def typed(page):
    """Return what looks like a result typed into prose: decimals, percentages, counts of three figures and more."""
    return [found for found in RESULT.findall(NOT_PROSE.sub(" ", page)) if not re.fullmatch(r"20\d\d|\d{2} \d", found)]


@pytest.mark.parametrize("page", [*WRITTEN, *NOTEBOOKS], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_result_is_typed(page):
    assert typed(page.read_text()) == []


@pytest.mark.parametrize("prose", ["a loss of 2.83 nats", "better by 12 %", "1,797 digits", "after 858 steps"])
def test_a_typed_result_is_seen(prose):
    assert len(typed(prose)) == 1


KEPT = "toy_models/results/smollm2.json"


def test_numbers_come_from_files():
    mean = json.loads((ROOT / KEPT).read_text())["found"]["code"]["nats"]["dense"]["mean"]
    assert datum(f"{KEPT}:found/code/nats/dense/mean:.3f") == f"{mean:.3f}"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nowhere.json:a", "must name a file"),
        (f"{KEPT}:a", "has no 'a'"),
        (f"{KEPT}:found", "is a dict"),
        ("a", "must be"),
    ],
)
def test_a_number_that_leads_nowhere_is_refused(reference, words):
    with pytest.raises(ValueError, match=words):
        datum(reference)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_rows_page_names_all_its_proofs(claim):
    page = row_page(claim)
    assert CLAIMS[claim].statement in page
    assert all(derivation.statement in page for derivation in derivations(claim))
    for step in (step for derivation in derivations(claim) for step in derivation.steps):
        assert step.latex in page
        assert not step.function or f"<ddfm_theory.{step.function}>`" in page
    for theorem in (theorem for theorem in THEOREMS if theorem["claim"] == claim):
        assert f"### `{theorem['name']}`" in page
        assert theorem["name"] in STATEMENTS
    assert set(evidence()) == set(CLAIMS)


def test_every_row_is_told_of_in_the_theory():
    told = re.findall(r"```\{claim\} (C\d\d)", "".join(page.read_text() for page in (DOCS / "theory").glob("*.md")))
    assert sorted(told) == list(CLAIMS)


def test_the_readme_counts_what_there_is():
    found = re.search(r"(\d+) theorems", (ROOT / "README.md").read_text())
    assert int(found[1]) == counts()["theorems"]


def test_formulas_are_set():
    assert "<math" in mathml.rendered(r"\big(\textstyle\sum_k r_k\big) \iff \frac12 \dots", display=True)
    with pytest.raises(mathml.MathError):
        mathml.rendered(r"\nonsense", display=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The pages as HTML, notebooks as they are written: they are run in tests of their own."""
    out = tmp_path_factory.mktemp("html")
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(out)]
    quick = {**os.environ, "DDFM_DOCS": "quick", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=quick, capture_output=True, text=True, timeout=300, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    return out


def known(built):
    """Return the names that the pages document, and the places that can be linked to."""
    from sphinx.util.inventory import InventoryFile

    with (built / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, place: place)
    names = {name for role, entries in inventory.items() if role.startswith("py:") for name in entries}
    return names, set(inventory["std:label"])


def test_builds_without_a_warning_and_leaves_nothing_out(built):
    names, places = known(built)
    promised = [f"{module}.{name}" for room in rooms() for module, found in documented(room) for name in found]
    assert {"ddfm_theory.schedulers.Linear", "ddfm_theory.velocities.marginal_velocity", "proofs.check"} <= set(
        promised
    )
    assert [name for name in promised if name not in names] == []
    rows = {f"row-{claim.lower()}" for claim in CLAIMS}
    chains = {f"derivation-{claim.lower()}-{n + 1}" for claim in CLAIMS for n in range(len(derivations(claim)))}
    assert rows | chains | {theorem["name"].lower() for theorem in THEOREMS} <= places
    page = (built / "theory" / "decentralization.html").read_text()
    assert '<a class="reference internal" href="../generated/ledger/c08.html' in page
    assert "generated/reference/ddfm_theory.decentralization.html#ddfm_theory.decentralization.mix" in page
    assert "<math" in page
    assert "cdn" not in page  # neither scripts nor fonts from elsewhere
