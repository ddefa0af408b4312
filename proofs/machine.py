"""Check the Rocq theorems here: compile, audit, and leave the stamp that the ledger believes.

``python -m proofs.machine`` exits 0 where every theorem compiles, is closed under the global context and says what the
accepted statements say; 1 where not; 2 where Coq is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from ddfm_theory.ledger.formal import stamp

FOLDER = Path(__file__).parent / "rocq"
MISSING = "coqc is not installed: Debian has it as coq, libcoq-mathcomp-ssreflect and libcoq-mathcomp-algebra"


def audit(folder: Path) -> subprocess.CompletedProcess[str]:
    """Compile and audit a folder of sources; the exit status is the verdict."""
    command = ["make", "--no-print-directory", "-j2", "-C", str(folder), "audit"]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def version() -> str:
    """Return the checker's version, or the empty string where it is not installed."""
    coqc = shutil.which("coqc")
    if coqc is None:
        return ""
    done = subprocess.run([coqc, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return "Coq " + done.stdout.split("version", 1)[1].split()[0]


def main() -> int:
    """Audit the theorems and stamp the sources."""
    checker = version()
    if not checker:
        sys.stderr.write(f"proofs: {MISSING}\n")
        return 2
    done = audit(FOLDER)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    if done.returncode != 0:
        return 1
    stamp(FOLDER, checker)
    sys.stdout.write(f"axioms: none; {checker}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
