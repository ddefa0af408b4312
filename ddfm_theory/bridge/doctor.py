"""Say what a checkpoint folder is: ``python -m ddfm_theory.bridge.doctor DIR [DIR ...]``.

Exit code 0: every folder can serve, and several together have one vocabulary; 1: not so; 2: no folder given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ddfm_theory.bridge.folders import Diagnosis, diagnose


def describe(found: Diagnosis) -> str:
    """Return a diagnosis as lines for a person."""
    dtypes = ", ".join(f"{name} {count:,}" for name, count in sorted(found.dtypes.items())) or "none"
    lines = [
        f"{found.path}: {found.kind}" + (f" ({found.model_type})" if found.model_type else ""),
        f"  parameters {found.parameters:,} ({dtypes})",
        f"  vocabulary {found.vocabulary}, tokenizer {'beside it' if found.tokenizer else 'absent'}"
        + (f", image token {found.image_token}" if found.image_token is not None else ""),
    ]
    if found.kind == "internvl-original" and not found.problems:
        lines.append("  convert it with ddfm_theory.bridge.internvl.convert_internvl before use")
    return "\n".join([*lines, *(f"  PROBLEM: {problem}" for problem in found.problems)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a diagnosis a folder and return the exit code."""
    paths = list(sys.argv[1:] if arguments is None else arguments)
    if not paths:
        print("usage: python -m ddfm_theory.bridge.doctor DIR [DIR ...]", file=sys.stderr)
        return 2
    found = [diagnose(path) for path in paths]
    for diagnosis in found:
        print(describe(diagnosis))
    vocabularies = [diagnosis.vocabulary for diagnosis in found]
    alike = len({v for v in vocabularies if v is not None}) <= 1
    if not alike:
        print(f"PROBLEM: these cannot be experts of one ensemble, their vocabularies are {vocabularies}")
    return 0 if alike and not any(diagnosis.problems for diagnosis in found) else 1


if __name__ == "__main__":
    sys.exit(main())
