"""Machine-checked evidence: the Rocq theorems of ``proofs/rocq``, believed only where they were checked here.

``make proofs`` compiles and audits the sources and leaves a stamp: their hash and the checker's version. A row's formal
evidence holds where the stamp is of the very sources at hand; otherwise it is undecided, with how to check it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from ddfm_theory.ledger.records import HOLDS, UNDECIDED, Check

STAMP = ".checked.json"
HOW = "run 'make proofs' (needs Coq 8.16 and MathComp 1.15) in a checkout"


def room() -> Path | None:
    """Return the folder of the Rocq sources, or None where the room is not installed."""
    spec = importlib.util.find_spec("proofs")
    places = [] if spec is None or spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    found = [Path(place) / "rocq" for place in places if (Path(place) / "rocq" / "theorems.json").is_file()]
    return found[0] if found else None


def fingerprint(folder: Path) -> str:
    """Return one hash of every source, of the accepted statements and of the theorems' descriptions."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.v"), folder / "statements.txt", folder / "theorems.json"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def theorems(folder: Path) -> list[dict[str, Any]]:
    """Return what each theorem says, and for which claim."""
    described: list[dict[str, Any]] = json.loads((folder / "theorems.json").read_text())
    return described


def stamp(folder: Path, checker: str) -> None:
    """Record that the sources as they are were compiled and audited by ``checker``."""
    (folder / STAMP).write_text(json.dumps({"sources": fingerprint(folder), "checker": checker}) + "\n")


def checked(folder: Path) -> str:
    """Return the checker's version where these very sources were checked here, else the empty string."""
    if not (folder / STAMP).is_file():
        return ""
    found = json.loads((folder / STAMP).read_text())
    return str(found["checker"]) if found["sources"] == fingerprint(folder) else ""


def formal_evidence(claim: str) -> list[Check]:
    """Return a row's machine-checked evidence: none where no theorem speaks of it."""
    folder = room()
    if folder is None:
        return []
    mine = [theorem for theorem in theorems(folder) if theorem["claim"] == claim]
    general = [t["name"] for t in mine if not t["control"] and "_control_" not in t["name"]]
    if not general:
        return []
    names = ", ".join(general) + f"; {len(mine) - len(general)} controls"
    checker = checked(folder)
    if not checker:
        return [Check(claim, "formal", UNDECIDED, 0, note=f"not checked here: {HOW}; {names}")]
    return [Check(claim, "formal", HOLDS, len(mine), note=f"{checker}, no axioms: {names}")]
