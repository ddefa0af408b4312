"""Print the derivations, check every step, and write the appendix: ``python -m proofs``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ddfm_theory.files import write_whole
from ddfm_theory.ledger.records import HOLDS, UNDECIDED
from proofs import CLAIMS, Derivation, Outcome, check, check_by_solver, derivations
from proofs.appendix import appendix, checked_at
from proofs.counterexamples import SEARCHES, markdown

ALL_HOLD, NOT_ALL, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 where every step holds, 1 where not, 2 for bad arguments."""
    parser = argparse.ArgumentParser(prog="ddfm prove", description="Print and check the derivations of the ledger.")
    parser.add_argument("--claim", action="append", help="a row, such as C08; may be given several times")
    parser.add_argument("--latex", type=Path, help="write the appendix here")
    parser.add_argument("--solver", action="store_true", help="decide bounds by z3 too, for all reals")
    chosen = parser.parse_args(arguments)
    try:
        claims = tuple(dict.fromkeys(chosen.claim or CLAIMS))
        text = appendix(claims) if chosen.latex else ""
        holds = [prove(derivation, solver=chosen.solver) for claim in claims for derivation in derivations(claim)]
        if chosen.latex:
            write_whole(chosen.latex, text)
    except (ValueError, OSError) as error:
        print(f"ddfm prove: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    if any(search.claim in claims for search in SEARCHES):
        print(f"Smallest counterexamples\n\n{markdown(claims)}")
    print(f"{sum(holds)} of {len(holds)} derivations hold at every step")
    return ALL_HOLD if all(holds) else NOT_ALL


def prove(derivation: Derivation, *, solver: bool = False) -> bool:
    """Print a derivation with the outcome of each step; return whether every step holds."""
    outcomes = check(derivation)
    print(described(derivation, outcomes))
    if solver and derivation.grid is not None:
        for outcome in check_by_solver(derivation):
            where = f": {outcome.where}" if outcome.where else ""
            print(f"    z3, step {outcome.step}: {outcome.outcome}{where}")
            outcomes += [outcome] if outcome.outcome != UNDECIDED else []
    print()
    return all(outcome.outcome == HOLDS for outcome in outcomes)


def described(derivation: Derivation, outcomes: Sequence[Outcome]) -> str:
    """Return a derivation as text: the statement, each expression with its reason, and what the check found."""
    found: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.step, []).append(outcome)
    lines = [f"{derivation.claim}, {derivation.title}", f"  {derivation.statement}"]
    for n, step in enumerate(derivation.steps):
        sign = {0: " "}.get(n, "=" if step.relation == "=" else "<=")
        lines.append(f"  {sign:>2} {step.latex}")
        function = f"  [{step.function}]" if step.function else ""
        lines.append(f"       {step.reason}{function}" + "".join(f"  {_told(o)}" for o in found.get(n, []) if n))
    lines += [f"    {_told(outcome)}" for outcome in found.get(0, [])]
    return "\n".join([*lines, f"    {checked_at(derivation)}"])


def _told(outcome: Outcome) -> str:
    where = f", {outcome.where}" if outcome.where else ""
    sides = f": {outcome.before} against {outcome.after}" if outcome.before or outcome.after else ""
    return f"({outcome.outcome}, {outcome.cases} cases, {outcome.by}{where}{sides})"


if __name__ == "__main__":
    raise SystemExit(main())
