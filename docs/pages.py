"""Pages made from the repository: the ledger's rows with derivations and theorems, the reference, the notebooks.

Nothing here is typed twice: statements come from ``ddfm_theory.ledger``, derivations and theorems from ``proofs``, the
evidence from the table in README.md, docstrings from the rooms. ``write_all`` puts the pages into ``docs/generated``.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ddfm_theory.files import write_whole
from ddfm_theory.ledger import CLAIMS
from proofs import derivations
from proofs.derivation import EQUAL, Derivation
from proofs.table import FUNCTIONS

ROOT = Path(__file__).parent.parent
OUT = Path(__file__).parent / "generated"
ROCQ = ROOT / "proofs" / "rocq"
THEOREMS: list[dict[str, Any]] = json.loads((ROCQ / "theorems.json").read_text())
STATEMENTS = (ROCQ / "statements.txt").read_text()


def counts() -> dict[str, int]:
    """Return how many of everything there are, for the pages' prose."""
    from ddfm_theory.testing.checks import CHECKS

    chains = sum(len(derivations(claim)) for claim in CLAIMS)
    controls = sum(len(claim.controls) for claim in CLAIMS.values())
    return {
        "claims": len(CLAIMS), "controls": controls, "derivations": chains, "theorems": len(THEOREMS),
        "checks": len(CHECKS),
    }  # fmt: skip


def function(name: str) -> str:
    """Return a link to a function or class of ``ddfm_theory``, given below it: decided by nitpicky Sphinx."""
    return f"{{py:obj}}`{name} <ddfm_theory.{name}>`"


def evidence() -> dict[str, tuple[list[str], list[str]]]:
    """Return each row's cells in README's ledger, and the table's head."""
    block = (ROOT / "README.md").read_text().split("<!-- ledger -->")[1].split("<!-- /ledger -->")[0]
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in block.strip().splitlines()]
    head = [cell.strip() for cell in block.strip().splitlines()[0].strip("|").split("|")]
    return {cells[0]: (head[2:], cells[2:]) for cells in lines if cells[0] in CLAIMS}


def card(claim: str) -> str:
    """Return a row of the ledger in MyST: statement, hypotheses, source, and where each of its proofs is."""
    row = CLAIMS[claim]
    mine = [theorem for theorem in THEOREMS if theorem["claim"] == claim]
    chains = [f"[{d.title}](#{anchor(d)})" for d in derivations(claim)]
    links = {
        "Functions": ", ".join(map(function, FUNCTIONS[claim])),
        "Derivations": "; ".join(chains),
        "Theorems": ", ".join(f"[`{t['name']}`](#{t['name'].lower()})" for t in mine) or "none: see [limits](#limits)",
        "Controls": "; ".join(f"{control.says} (fails by {control.value})" for control in row.controls),
    }
    lines = [f"$$\n{row.statement}\n$$", f"Hypotheses: {row.hypotheses}. Source: {row.source}."]
    lines += [f"**{name}:** {escaped(words) if name == 'Controls' else words}" for name, words in links.items()]
    return "\n\n".join(lines)


def escaped(text: str) -> str:
    """Return plain words with what MyST would read as markup made literal."""
    return re.sub(r"([_*$\\`<>\[\]{}^])", r"\\\1", text)


def anchor(derivation: Derivation) -> str:
    """Return the name of a derivation's place."""
    return f"derivation-{derivation.claim.lower()}-{derivations(derivation.claim).index(derivation) + 1}"


def chain(derivation: Derivation) -> str:
    """Return a derivation as a list: each expression with its reason and the function that evaluates it."""
    lines = [f"({anchor(derivation)})=\n### {sentence(derivation.title)}\n\n{derivation.statement}\n"]
    for n, step in enumerate(derivation.steps):
        sign = "" if n == 0 else f"{step.relation if step.relation != EQUAL else '='}\\ "
        by = f" Evaluated by {function(step.function)}." if step.function else " Evaluated by sums from the definition."
        lines.append(f"{n + 1}. $\\displaystyle {sign}{step.latex}$\n\n   {sentence(step.reason)}.{by}")
    return "\n".join(lines) + "\n"


def sentence(words: str) -> str:
    """Return words with a capital where they begin with a small letter."""
    return words[0].upper() + words[1:]


def formal(theorem: dict[str, Any]) -> str:
    """Return a theorem: what it says, where it is proved, and its statement as Rocq checked it."""
    name = theorem["name"]
    found = re.search(rf"^{re.escape(name)}\n((?:[ ].*\n)+)", STATEMENTS, re.M)
    if found is None:
        raise ValueError(f"statements.txt must hold the statement of {name}, did not")
    says = f"{escaped(theorem['says'])} (`proofs/rocq/{theorem['file']}`)"
    return f"({name.lower()})=\n### `{name}`\n\n{says}\n\n```text\n{found[1].rstrip()}\n```\n"


def row_page(claim: str) -> str:
    """Return the page of a row: card, evidence, derivations, theorems."""
    parts = [f"(row-{claim.lower()})=\n# {claim} {CLAIMS[claim].title}\n", card(claim), ""]
    head, cells = evidence()[claim]
    rule = "|".join(["---"] * len(head))
    parts.append(f"## Evidence\n\n| {' | '.join(head)} |\n|{rule}|\n| {' | '.join(cells)} |\n")
    parts.append("## Derivations\n")
    parts += [chain(derivation) for derivation in derivations(claim)]
    mine = [theorem for theorem in THEOREMS if theorem["claim"] == claim]
    parts += ["## Theorems\n", *map(formal, mine)] if mine else []
    return "\n".join(parts)


def ledger_page() -> str:
    """Return the index of the rows, with the table that ``make readme`` writes."""
    table = (ROOT / "README.md").read_text().split("<!-- ledger -->")[1].split("<!-- /ledger -->")[0]
    linked = re.sub(r"^\| (C\d\d) \|", lambda m: f"| [{m[1]}](#row-{m[1].lower()}) |", table.strip(), flags=re.M)
    rows = "\n".join(claim.lower() for claim in CLAIMS)
    return f"# The ledger, row by row\n\n{linked}\n\n```{{toctree}}\n:hidden:\n\n{rows}\n```\n"


def rooms() -> list[str]:
    """Return the rooms of the package, in the order in which they may import, lowest first, and ``proofs``."""
    import tomllib

    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    return [*reversed(layers), "proofs"]


def modules(room: str) -> list[str]:
    """Return a room's modules, itself first; the derivations of the rows are shown on the rows' pages."""
    package = importlib.import_module(room)
    below = [info.name for info in pkgutil.iter_modules(getattr(package, "__path__", []), f"{room}.")]
    return [room, *(name for name in below if not re.search(r"\.(c\d\d\w*|__main__)$", name))]


def public(module: ModuleType) -> list[str]:
    """Return a module's functions and classes without an underscore: what it declares, and what it defines itself."""
    declared = list(getattr(module, "__all__", ()))
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    names = dict.fromkeys([*own, *declared])
    return [n for n in names if inspect.isclass(getattr(module, n)) or inspect.isfunction(getattr(module, n))]


def documented(room: str) -> Iterator[tuple[str, list[str]]]:
    """Return a room's modules with the names that each documents: what the room exports stands on the room itself."""
    exported = set(public(importlib.import_module(room)))
    for name in modules(room):
        names = public(importlib.import_module(name))
        yield name, [n for n in names if name == room or n not in exported]


def reference_page(room: str) -> str:
    """Return a room's page in reStructuredText: every module's docstring and every public name's."""
    lines: list[str] = []
    for name, names in documented(room):
        title = f"``{name}``"
        lines += [title, ("=" if name == room else "-") * len(title), "", f".. automodule:: {name}", ""]
        module = importlib.import_module(name)
        for n in names:
            kind = "class" if inspect.isclass(getattr(module, n)) else "function"
            lines += [f".. auto{kind}:: {name}.{n}", *(["   :members:"] if kind == "class" else []), ""]
    return "\n".join(lines) + "\n"


def reference_index() -> str:
    """Return the index of the rooms."""
    listed = "\n".join(rooms())
    return (
        "# Reference\n\nOne page a room, in the order in which they stand on one another. Every public name has its "
        f"docstring here.\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    )


def figures_list() -> str:
    """Return the figures and tables of ``paper_figures`` with what they show and the data they are made from."""
    from paper_figures.entries import entries_named

    lines = []
    for entry in entries_named(()):
        kind = "tables" if entry.draw is None else "figures"
        shows = (importlib.import_module(f"paper_figures.{kind}.{entry.name}").__doc__ or "").splitlines()[0]
        sources = ", ".join(f"`{source}`" for source in entry.sources)
        lines.append(f"- `{entry.name}`, from {sources}: {escaped(shows[0].lower() + shows[1:])}")
    return "\n".join(lines) + "\n"


def notebook_pages() -> Iterator[tuple[str, str]]:
    """Return the notebooks' texts, and the file that the last one reads."""
    for path in [*sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.md")), ROOT / "notebooks" / "my_system.py"]:
        yield f"notebooks/{path.name}", path.read_text()


def pages() -> Iterator[tuple[str, str]]:
    """Return every generated page: its place below ``generated`` and its text."""
    yield "ledger/index.md", ledger_page()
    for claim in CLAIMS:
        yield f"ledger/{claim.lower()}.md", row_page(claim)
    yield "reference/index.md", reference_index()
    for room in rooms():
        yield f"reference/{room}.rst", reference_page(room)
    yield "figures.md", figures_list()
    yield from notebook_pages()


def write_all(out: Path = OUT) -> None:
    """Write the pages that changed, so that Sphinx reads no more than it must, and remove those that are no more."""
    wanted = {out / place: text for place, text in pages()}
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            write_whole(path, text)
    for path in [*out.rglob("*.md"), *out.rglob("*.rst")]:
        if path not in wanted:
            path.unlink()
