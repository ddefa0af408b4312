"""Import time in a fresh process, against NumPy alone, and what an import pulls in.

Every module is compiled in the first turn and read from its bytecode afterwards, as where a package is installed.
"""

import json
import os
import tempfile
from typing import Any

from benchmarks.common import child, medians

RUNS, AIM = 11, 0.050  # seconds beyond NumPy's own
HEAVY = ("torch", "sympy", "scipy", "sklearn", "transformers", "hypothesis", "matplotlib")
AIMED = ("ddfm_theory", "ddfm_theory.decentralization")  # the package, and its rooms of mathematics
TARGETS = ("numpy", "ddfm_theory", "ddfm_theory.arrays", "ddfm_theory.decentralization", "ddfm_theory.ledger")
CODE = """
import json, sys, time
before = set(sys.modules)
start = time.perf_counter()
import {target}
seconds = time.perf_counter() - start
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(json.dumps([seconds, sorted(name for name in new if name not in sys.stdlib_module_names)]))
"""


def run(*, quick: bool = False) -> dict[str, Any]:
    times: dict[str, list[float]] = {target: [] for target in TARGETS}
    pulled: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        for turn in range(1 + (3 if quick else RUNS)):
            for target in TARGETS:
                printed = child("-c", CODE.format(target=target), environment=environment)
                seconds, modules = json.loads(printed or "")
                pulled[target] = [name for name in modules if not name.startswith("_")]
                times[target] += [seconds] if turn else []  # the first turn compiles, and warms the files
    middle = medians(times)
    rows = [row(target, times[target], middle, pulled[target]) for target in TARGETS]
    return {"runs": RUNS, "threads": 1, "aim_seconds_beyond_numpy": AIM, "heavy": HEAVY, "rows": rows}


def row(target: str, seconds: list[float], middle: dict[str, float], modules: list[str]) -> dict[str, Any]:
    beyond, heavy = middle[target] - middle["numpy"], [name for name in modules if name in HEAVY]
    met = beyond <= AIM and not heavy if target in AIMED else None
    print(
        f"  {target:29} {middle[target] * 1e3:7.1f} ms, beyond NumPy {beyond * 1e3:+7.1f} ms  "
        f"{ {None: '', True: 'aim 50 ms: met', False: 'aim 50 ms: NOT met'}[met] }  pulls in {', '.join(modules)}",
        flush=True,
    )
    return {
        "target": target,
        "seconds": seconds,
        "median": middle[target],
        "beyond_numpy": beyond,
        "modules": modules,
        "heavy": heavy,
        "met": met,
    }
