"""Run the benchmarks: ``python -m benchmarks [enumeration symbolic rationals imports] [--quick]``."""

import argparse
import importlib

from benchmarks.common import RESULTS, write

NAMES = ("imports", "rationals", "symbolic", "enumeration")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed, as ratios in one run.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(NAMES)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="small sizes and few runs; not written to results/")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"name must be one of {', '.join(NAMES)}, was {', '.join(sorted(unknown))}")
    for name in options.names or NAMES:
        print(f"\n{name}", flush=True)
        result = importlib.import_module(f"benchmarks.{name}").run(quick=options.quick)
        if not options.quick:
            write(RESULTS / f"{name}.json", result)


if __name__ == "__main__":
    main()
