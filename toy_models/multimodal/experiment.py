"""The run: every unit of work in a process of its own, as many at a time as asked; then one result as plain data."""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from toy_models.multimodal import evaluation, gathering
from toy_models.multimodal.plan import Preset, jobs
from toy_models.multimodal.units import Run, quiet

Say = Callable[[str], Any]
WARM = ["ddfm_theory.bridge.ensemble", "toy_models.multimodal.evaluation", "transformers.models.llava.modeling_llava",
        "transformers.models.clip.modeling_clip", "transformers.models.dinov2.modeling_dinov2",
        "transformers.models.llama.modeling_llama"]  # fmt: skip


def apart(units: Sequence[tuple[str, Callable[[], Any]]], processes: int, say: Say) -> None:
    """Do units of work, each in a fresh process that shares nothing with another; the first error ends the run.

    A server process that has imported Torch and Transformers is forked for each, which spares their import.

    Args:
        units: names, and functions that can be pickled.
        processes: how many at a time.
        say: told which are done.

    Raises:
        ValueError: a unit fails; the message names it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    due, running = list(reversed(units)), {}
    try:
        while due or running:
            while due and len(running) < processes:
                name, unit = due.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_done, args=(unit, theirs))
                process.start()
                theirs.close()
                running[ours] = (name, process)
            for pipe in wait(list(running)):
                name, process = running.pop(pipe)
                _finish(name, process, pipe)
                say(f"{name} done, {len(due) + len(running)} of {len(units)} left")
    finally:
        for _, process in running.values():
            process.terminate()


def _finish(name: str, process: Any, pipe: Any) -> None:
    try:
        error = pipe.recv()
    except EOFError:  # it died without a word
        error = "was killed"
    process.join()
    if error is not None:
        raise ValueError(f"{name} must run to its end, did not: {error}")


def _done(unit: Callable[[], Any], pipe: Any) -> None:
    quiet()
    try:
        unit()
    except Exception as error:
        traceback.print_exc()
        pipe.send(f"{type(error).__name__}: {error}")
    else:
        pipe.send(None)


def trainings(run: Run) -> Iterable[tuple[str, Callable[[], Any]]]:
    """Yield every training after the start that is not there."""
    for more in run.longer():
        yield from trainings(more)
    for seed, variant, shard in jobs(run.preset):
        name = "dense" if variant is None else f"{variant.encoder} {variant.method} {shard} of {variant.experts}"
        if not run.place("models", variant, seed, shard).exists():
            yield f"train {name}, seed {seed}", partial(run.model, variant, seed, shard)
    for seed in run.preset.seeds if "added" in run.data and run.preset.dynamic else ():
        if not run.place("models", run.preset.base, seed, "added").exists():
            yield f"train the added expert, seed {seed}", partial(run.added, seed)


def measurements(run: Run) -> Iterable[tuple[str, Callable[[], Any]]]:
    """Yield what is to be measured on the checkpoints and is not there, the longest first."""
    for more in run.longer():
        yield from measurements(more)
    close = [(what, run.preset.base) for what in (("routed", "dynamic") if run.preset.dynamic else ("routed",))]
    for what, variant in [*close, *(("scores", variant) for variant in (None, *run.preset.variants()))]:
        for seed in run.preset.seeds:
            if not run.file(what, variant, seed).exists():
                yield f"{what} of {variant or 'dense'}, seed {seed}", partial(measure, run, what, variant, seed)


def measure(run: Run, what: str, variant: Any, seed: int) -> Any:
    """Return a measurement, from its file where it has one."""
    find = partial(getattr(evaluation, what), run, *((variant,) if what == "scores" else ()), seed)
    return run.kept(what, variant, seed, find)


def prepared(run: Run) -> Run:
    """Compose data, train the start checkpoint, and part the data of every variant."""
    run.start  # noqa: B018
    for variant in run.preset.variants():
        for seed in run.preset.seeds:
            run.parts(variant, seed)
    for more in run.longer():
        prepared(more)
    return run


def experiment(preset: Preset, work: Path, *, device: str = "cpu", processes: int = 2, say: Say) -> dict[str, Any]:
    """Run a preset and return its result; what the work folder holds already is not done again, nor are its seconds.

    Args:
        preset: what to do.
        work: the folder of data, checkpoints and measurements.
        device: ``cpu`` or ``cuda``.
        processes: how many units at a time.
        say: told what goes on.
    """
    begun = time.perf_counter()
    work.mkdir(parents=True, exist_ok=True)
    run = Run(preset, work, device)
    apart([("data and start checkpoint", partial(prepared, run))], 1, say)
    run.start  # noqa: B018  every process is handed where data and start lie
    apart(list(trainings(run)), processes, say)
    apart(list(measurements(run)), processes, say)
    found = gathering.gathered(run, measure)
    return {**circumstances(preset, device), **found, "seconds": time.perf_counter() - begun}


def circumstances(preset: Preset, device: str) -> dict[str, Any]:
    """Return machine, versions, sizes and seeds."""
    import numpy as np
    import sklearn
    import torch
    import transformers

    modules = {"torch": torch, "transformers": transformers, "numpy": np, "scikit-learn": sklearn}
    machine = {"platform": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(), "device": device,
               "threads a process": 1, "dtype": "float32"}  # fmt: skip
    return {"machine": machine,
            "versions": {"python": platform.python_version(), **{k: str(m.__version__) for k, m in modules.items()}},
            "preset": asdict(preset)}  # fmt: skip
