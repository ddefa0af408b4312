"""``python -m toy_models.multimodal --preset small --out FILE``: the experiment; ``--compare FILE`` judges a rerun.

``python -m toy_models.multimodal check --preset small --out FILE``: ``ddfm check`` on the experts that it trained.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run or check a preset and write the result, or a result's tables; exit 1 if it is not as due, 2 on bad input."""
    chosen = _parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes at work are ended too
    from toy_models.multimodal import report
    from toy_models.multimodal.experiment import experiment
    from toy_models.multimodal.plan import PRESETS

    try:
        if chosen.tables:
            report.write_tables(json.loads(chosen.tables.read_text(encoding="utf-8")), chosen.out)
            return 0
        if not chosen.out.parent.is_dir():
            raise ValueError(f"--out must be a file in a folder that exists, was {chosen.out}")
        if chosen.what == "check":
            return _check(chosen)
        found = experiment(PRESETS[chosen.preset], chosen.work, device=chosen.device, processes=chosen.processes,
                           say=_say)  # fmt: skip
        report.save(found, chosen.out)
        if chosen.compare:
            return report.judge(found, json.loads(chosen.compare.read_text(encoding="utf-8")), print)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"experiments: {error}\n")
        return 2
    return 0


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _check(chosen: argparse.Namespace) -> int:
    """Write what ``ddfm check`` finds; exit 1 if that is not as the theory says."""
    from toy_models.multimodal import report
    from toy_models.multimodal.checking import checked, wrong
    from toy_models.multimodal.plan import PRESETS
    from toy_models.multimodal.units import Run, quiet

    quiet()
    found = checked(Run(PRESETS[chosen.preset], chosen.work, chosen.device), _say)
    report.save(found, chosen.out)
    for words in wrong(found):
        print(words)
    return int(bool(wrong(found)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m toy_models.multimodal", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("run", "check"), default="run", help="by default run")
    parser.add_argument("--preset", choices=("smoke", "small", "smollm2", "full"), default="small")
    parser.add_argument("--out", type=Path, required=True, help="the result, or with --tables the Markdown file")
    parser.add_argument("--work", type=Path, default=Path("build/multimodal"), help="an interrupted run goes on there")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--processes", type=int, default=2, help="units of work at a time")
    parser.add_argument("--compare", type=Path, help="a kept result: exit 1 if this one is outside its intervals")
    parser.add_argument("--tables", type=Path, help="a kept result, whose tables are written")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
