"""Marginal path and velocity on enumerated spaces, against one fresh copy of their output.

A copy is fresh where its memory is. The allocator keeps pages that arrays of less than about 32 MB have left, still in
the cache, and hands them to the next; so it is told to give them back to the system before each run that is timed.
"""

import ctypes
from itertools import product
from typing import Any

import numpy as np
import torch

from benchmarks.common import alternate, medians
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.paths import marginal_path
from ddfm_theory.schedulers import Linear
from ddfm_theory.velocities import marginal_velocity

SEED, THREADS, RUNS, TIME = 0, 1, 5, 0.3
LENGTHS = {2: (9, 11, 13, 14, 15), 4: (6, 8, 9, 10), 8: (5, 6, 7), 32: (3, 4, 5)}  # by vocabulary
FUNCTIONS = {"path": (marginal_path, 8), "velocity": (marginal_velocity, 4)}  # and the aim, in copies of the output
AIMED_FROM, MEMORY = 4_000_000, 2_000_000_000  # states; bytes of a velocity


def coupling_of(system: str, vocabulary: int, length: int) -> MaskedCoupling:
    library, dtype = system.split("-")
    law = np.random.default_rng(SEED).random((vocabulary,) * length)
    law = (law / law.sum()).astype(dtype)
    return MaskedCoupling(torch.from_numpy(law) if library == "torch" else law)


def give_memory_back() -> bool:
    """Return what memory is free to the system; False where malloc is not glibc's, which alone can be told to."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(trim and (trim(0), True))


def measure(name: str, system: str, vocabulary: int, length: int, runs: int) -> dict[str, Any]:
    """Time a function with the table S built anew in each run, in turn with a copy of what it returns."""
    coupling, (function, aim) = coupling_of(system, vocabulary, length), FUNCTIONS[name]

    def compute() -> Any:
        vars(coupling).pop("revealed", None)
        return function(coupling, Linear(), TIME)

    output = compute()
    copy = output.clone if system.startswith("torch") else output.copy
    times = alternate(runs, give_memory_back, copy=copy, compute=compute)
    middle, states = medians(times), (vocabulary + 1) ** length
    ratio = middle["compute"] / middle["copy"]
    return {
        "function": name,
        "system": system,
        "V": vocabulary,
        "N": length,
        "states": states,
        "seconds": times,
        "medians": middle,
        "ratio": ratio,
        "aim": aim if states >= AIMED_FROM else None,
        "met": ratio <= aim if states >= AIMED_FROM else None,
    }


def fits(name: str, system: str, vocabulary: int, length: int) -> bool:
    entry = int(system[-2:]) // 8
    return name == "path" or (vocabulary + 1) ** (length + 1) * length * entry <= MEMORY


def growth(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return per function, system and vocabulary the exponent of time in the output's entries, by least squares."""
    exponents = {}
    for name, system, vocabulary in product(FUNCTIONS, dict.fromkeys(row["system"] for row in rows), LENGTHS):
        mine = [r for r in rows if (r["function"], r["system"], r["V"]) == (name, system, vocabulary)]
        if len(mine) > 1:
            entries = [r["states"] * (1 if name == "path" else r["N"] * (r["V"] + 1)) for r in mine]
            slope = np.polyfit(np.log(entries), np.log([r["medians"]["compute"] for r in mine]), 1)[0]
            exponents[f"{name} {system} V={vocabulary}"] = float(slope)
    return exponents


def run(*, quick: bool = False) -> dict[str, Any]:
    torch.set_num_threads(THREADS)
    systems = ("numpy-float64", "torch-float64", "numpy-float32", "torch-float32")[: 2 if quick else 4]
    rows = []
    for name, system, (vocabulary, lengths) in product(FUNCTIONS, systems, LENGTHS.items()):
        for length in lengths[: 2 if quick else None]:
            if fits(name, system, vocabulary, length):
                rows.append(row := measure(name, system, vocabulary, length, 3 if quick else RUNS))
                show(row)
    exponents = growth(rows)
    print(f"  time grows as entries to the power {min(exponents.values()):.2f} to {max(exponents.values()):.2f}")
    settings = {"seed": SEED, "threads": THREADS, "t": TIME, "runs": RUNS, "fresh_memory": give_memory_back()}
    return {**settings, "rows": rows, "growth": exponents}


def show(row: dict[str, Any]) -> None:
    verdict = {None: "", True: f"aim {row['aim']}: met", False: f"aim {row['aim']}: NOT met"}[row["met"]]
    print(
        f"  {row['function']:8} {row['system']:13} V={row['V']:<2} N={row['N']:<2} {row['states']:>10,} states "
        f"copy {row['medians']['copy'] * 1e3:8.2f} ms  {row['ratio']:6.2f} copies  {verdict}",
        flush=True,
    )
