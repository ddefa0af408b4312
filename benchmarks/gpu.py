"""Everything that wants a GPU, in one command, each part a process of its own, written to benchmarks/results.

    python -m benchmarks.gpu [--device cuda] [--out benchmarks/results]
    python -m benchmarks.gpu --quick              the tiny model on a CPU: shows that this runs

Checks, memory and time of LLaVA-1.5-7B's and InternVL2.5-1B's sizes in bfloat16 and float32 (``real_size``), and the
scoring of two experts' logits against one read of them (``bridge``).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.common import RESULTS

EXPERTS = {"llava-7b": 2, "internvl-1b": 4}
DTYPES = ("bfloat16", "float32")


def commands(device: str, out: Path, quick: bool) -> list[list[str]]:
    """Return the arguments of each part, a module first."""
    parts = [["tiny", "3", "float32"]] if quick else [[m, str(k), d] for m, k in EXPERTS.items() for d in DTYPES]
    made = [
        ["benchmarks.real_size", "--model", model, "--experts", count, "--dtype", dtype, "--device", device,
         *(["--quick"] if quick else ["--steps", "64"]), "--out", str(out / f"{model}-{dtype}-{kind(device)}.json")]
        for model, count, dtype in parts
    ]  # fmt: skip
    last = ["benchmarks.bridge", "--device", device, "--out", str(out / f"bridge-{kind(device)}.json")]
    return made if quick else [*made, last]


def kind(device: str) -> str:
    """Return a device's name without its number."""
    return device.split(":")[0]


def main(arguments: list[str] | None = None) -> None:
    """Run the parts one after the other; the first that fails ends the run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    device = "cpu" if given.quick else given.device
    for part in commands(device, given.out, given.quick):
        print(f"\n{' '.join(part)}", flush=True)
        subprocess.run([sys.executable, "-m", *part], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
