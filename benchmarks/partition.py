"""Balanced partitions: time, memory, cost and balance, beside other packages, each cell in a process of its own.

    python -m benchmarks.partition [--quick] [--rows 10000 100000] [--clusters 2 8 64] [--limit 60] [--memory 8]
    python -m benchmarks.partition --readme       write the table of the last run into benchmarks/README.md

Two jobs. ``assign``: the balanced assignment alone, from the same cost matrix; exact contenders must agree to the tick.
``cluster``: rows of length one in K clusters, at most ten assignments of all rows, otherwise each package as it comes
(its own seeding and tolerance), but one start for the others, where this package tries four on 4096 rows. The cost is
the mean cosine distance of rows to the mean direction of their cluster, by one text for all. Which optimum is found is
chance: where a cell is run several times each run has a seed of its own, and the mean cost is what is compared. A
contender that is not installed, or takes more than the limits on wall clock or private memory, is recorded as such.

Seconds are of the processor, user and system, of one thread, loading the features included, and ratios are of these: on
a machine that does other work wall clock says little. It is recorded too. Memory is the most that was resident, of
which ``peak_mib_before`` was there before the contender had its features. Features are clouds of Zipf sizes around a
common mean, as image embeddings are.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import into_readme
from benchmarks.partition_report import section, verdicts
from ddfm_theory.files import write_whole

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("ddfm-theory", "numpy", "scipy", "ortools", "k-means-constrained", "faiss-cpu", "scikit-learn", "pot")
ITERATIONS = 10
REPEATED = 1_000_000
OTHERS = ("ddfm, unbalanced", "scikit-learn, unbalanced")


def features(n: int, width: int, seed: int) -> np.ndarray:
    """Return n float32 rows of length one in 100 clouds, sizes by Zipf's law."""
    rng = np.random.default_rng(seed)
    odds = 1 / np.arange(1, 101)
    centers = 1.0 + rng.normal(size=(100, width))
    out = np.empty((n, width), dtype=np.float32)
    for start in range(0, n, 8192):
        which = rng.choice(100, min(8192, n - start), p=odds / odds.sum())
        rows = centers[which] + 0.8 * rng.normal(size=(len(which), width))
        out[start : start + len(which)] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return out


def ticks_of(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return the costs of an assignment to k of the rows, in ticks of 2^-29."""
    chosen = np.random.default_rng(seed).choice(len(x), k, replace=False)
    return np.rint((1.0 - x @ x[chosen].T) * 2**29).astype(np.int32)


def assign_here(ticks: np.ndarray) -> np.ndarray:
    from ddfm_theory.partition import balanced_assignment

    return balanced_assignment(ticks)


def assign_all_arcs(ticks: np.ndarray) -> np.ndarray:
    """One min-cost flow over all n K arcs."""
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    n, k = ticks.shape
    share, extra = divmod(n, k)
    graph = SimpleMinCostFlow()
    tails, heads = np.repeat(np.arange(n), k), np.tile(np.arange(n, n + k), n)
    arcs = graph.add_arcs_with_capacity_and_unit_cost(tails, heads, np.ones(n * k, int), ticks.ravel().astype(int))
    spares = np.arange(n, n + k)
    graph.add_arcs_with_capacity_and_unit_cost(spares, np.full(k, n + k), np.ones(k, int), np.zeros(k, int))
    graph.set_nodes_supplies(np.arange(n + k + 1), np.concatenate([np.ones(n, int), np.full(k, -share), [-extra]]))
    if graph.solve() != graph.OPTIMAL:
        raise RuntimeError("no optimum")
    return graph.flows(arcs).reshape(n, k).argmax(axis=1)


def assign_pot(ticks: np.ndarray) -> np.ndarray:
    """Network simplex; equal masses, so that K must divide n for it to be a balanced assignment."""
    import ot

    n, k = ticks.shape
    plan = ot.emd(np.full(n, 1 / n), np.full(k, 1 / k), ticks.astype(float), numItermax=100_000_000)
    return plan.argmax(axis=1)


def cluster_here(path: str, k: int, seed: int) -> np.ndarray:
    from ddfm_theory.partition import spherical_balanced_kmeans

    return np.asarray(spherical_balanced_kmeans(np.load(path), k, seed, max_iter=ITERATIONS).labels)


def cluster_file(path: str, k: int, seed: int) -> np.ndarray:
    """From the mapped file, private memory being held to what there is, half of the file and 128 MiB for imports."""
    from ddfm_theory.partition import partition_file

    limit = int((_status("VmData") + 128) * 2**20) + Path(path).stat().st_size // 2
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    return np.asarray(partition_file(path, k, seed, max_iter=ITERATIONS).labels)


def cluster_plain(path: str, k: int, seed: int) -> np.ndarray:
    from ddfm_theory.partition import spherical_kmeans

    return np.asarray(spherical_kmeans(np.load(path), k, seed, max_iter=ITERATIONS).labels)


def cluster_constrained(path: str, k: int, seed: int) -> np.ndarray:
    from k_means_constrained import KMeansConstrained

    x = np.load(path)
    low, high = len(x) // k, -(-len(x) // k)
    model = KMeansConstrained(
        k, size_min=low, size_max=high, n_init=1, max_iter=ITERATIONS, random_state=seed, n_jobs=1
    )
    return model.fit_predict(x)


def cluster_faiss(path: str, k: int, seed: int) -> np.ndarray:
    import faiss

    x = np.load(path)
    model = faiss.Kmeans(x.shape[1], k, niter=ITERATIONS, seed=seed, spherical=True, max_points_per_centroid=2**31 - 1)
    model.train(x)
    return model.index.search(x, 1)[1][:, 0]


def cluster_sklearn(path: str, k: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=1, max_iter=ITERATIONS, random_state=seed).fit_predict(np.load(path))


ASSIGN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ddfm": assign_here,
    "ortools, all arcs": assign_all_arcs,
    "pot": assign_pot,
}
CLUSTER: dict[str, Callable[[str, int, int], np.ndarray]] = {
    "ddfm": cluster_here,
    "ddfm, from file": cluster_file,
    "k-means-constrained": cluster_constrained,
    "ddfm, unbalanced": cluster_plain,
    "faiss, unbalanced": cluster_faiss,
    "scikit-learn, unbalanced": cluster_sklearn,
}


def cell(job: str, contender: str, path: str, k: int, seed: int) -> dict[str, Any]:
    """Run one contender once, in this process, after a small run that imports what it needs."""
    x = np.load(path, mmap_mode="r")
    with tempfile.TemporaryDirectory() as folder:
        small = str(Path(folder) / "small.npy")
        np.save(small, x[: 4 * k])
        _ = ASSIGN[contender](ticks_of(x[: 4 * k], k, seed)) if job == "assign" else CLUSTER[contender](small, k, seed)
    if job == "assign":
        ticks = ticks_of(x, k, seed)
        labels, found = measured(lambda: ASSIGN[contender](ticks))
        cost: Any = int(np.take_along_axis(ticks, labels[:, None], axis=1).astype(np.int64).sum())
    else:
        labels, found = measured(lambda: CLUSTER[contender](path, k, seed))
        cost = 1 - float(sum(np.linalg.norm(total) for total in sums_of(x, labels, k))) / len(x)
    sizes = np.bincount(labels, minlength=k)
    return found | {"cost": cost, "smallest": int(sizes.min()), "largest": int(sizes.max())}


def measured(run: Callable[[], np.ndarray]) -> tuple[np.ndarray, dict[str, float]]:
    """Return the labels, and what they took."""
    before, clock, start = _status("VmHWM"), time.perf_counter(), time.process_time()
    labels = run()
    seconds, wall = time.process_time() - start, time.perf_counter() - clock
    peaks = {"peak_mib": round(_status("VmHWM"), 1), "peak_mib_before": round(before, 1)}
    return labels, {"seconds": seconds, "wall_seconds": wall} | peaks


def sums_of(x: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Return the sum of each cluster's rows, a block at a time."""
    sums = np.zeros((k, x.shape[1]))
    for start in range(0, len(x), 8192):
        np.add.at(sums, labels[start : start + 8192], x[start : start + 8192].astype(np.float64))
    return sums


def _status(name: str) -> float:
    """Return a line of /proc/self/status in MiB; the peak of a new process there does not hold its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def attempt(job: str, contender: str, path: str, k: int, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Run one cell in a process of its own, within the limits on wall clock and private memory."""
    command = [sys.executable, "-m", "benchmarks.partition", "--memory", str(args.memory)]
    command += ["--cell", json.dumps([job, contender, path, k, seed])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.limit)  # noqa: S603
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {args.limit:g} s of wall clock"}
    if "MemoryError" in done.stderr or "bad_alloc" in done.stderr or done.returncode < 0:
        return {"failed": f"more than {args.memory:g} GiB"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200]}
    return json.loads(done.stdout.splitlines()[-1])


def compare(job: str, n: int, k: int, path: str, args: argparse.Namespace, done: list[dict[str, Any]]) -> None:
    """Run every contender at one size that is not done, and add a row each."""
    for contender in ASSIGN if job == "assign" else CLUSTER:
        known = any((row["job"], row["n"], row["k"], row["contender"]) == (job, n, k, contender) for row in done)
        if not known and (args.contenders is None or contender in args.contenders):
            done.append(raced(job, n, k, contender, path, args))
            write(done, args)
            print(describe(done[-1]), flush=True)
    costs = {row["cost"] for row in done if (row["job"], row["n"], row["k"]) == ("assign", n, k) and "cost" in row}
    if len(costs) > 1:
        raise SystemExit(f"exact assignments must cost the same, cost {costs}")


def raced(job: str, n: int, k: int, contender: str, path: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return the row of one contender at one size, the seconds a median over repeats."""
    size = round(Path(path).stat().st_size / 2**20, 1)
    row: dict[str, Any] = {"job": job, "n": n, "k": k, "contender": contender, "feature_mib": size}
    if contender == "pot" and (n % k or n * k > args.pot_arcs):
        return row | {"failed": f"not run: K must divide n, and n K be at most {args.pot_arcs}"}
    if contender in OTHERS and n > args.others:
        return row | {"failed": f"not run above {args.others:,} rows"}
    seeds = [args.seed + (i if job == "cluster" else 0) for i in range(repeats(n * k, args))]
    runs = [attempt(job, contender, path, k, seeds[0], args)]
    if "seconds" not in runs[0]:
        return row | runs[0]
    runs += [attempt(job, contender, path, k, seed, args) for seed in seeds[1:]]
    every = {f"all_{name}": [run[name] for run in runs] for name in ("seconds", "cost")}
    cost = statistics.mean(every["all_cost"]) if job == "cluster" else runs[0]["cost"]
    return row | runs[0] | every | {"seconds": statistics.median(every["all_seconds"]), "cost": cost}


def repeats(arcs: int, args: argparse.Namespace) -> int:
    return 1 if args.quick or arcs > REPEATED else args.repeats


def describe(row: dict[str, Any]) -> str:
    head = f"{row['job']:8} n={row['n']:<8} K={row['k']:<3} {row['contender']:26}"
    if "seconds" not in row:
        return f"{head} {row['failed']}"
    cost = f"{row['cost']:.6f}" if isinstance(row["cost"], float) else str(row["cost"])
    sizes = f"{row['smallest']}..{row['largest']}"
    return f"{head} {row['seconds']:9.3f} s  cost {cost:22} sizes {sizes:16} {row['peak_mib']} MiB"


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    threads = {name: os.environ[name] for name in sorted(os.environ) if name.endswith("_NUM_THREADS")}
    return {
        "cpu": sorted(models) or [platform.processor()],
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "threads": threads,
    }


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Balanced partitions beside other packages.")
    parser.add_argument("--quick", action="store_true", help="2000 rows, 64 wide, once")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--clusters", type=int, nargs="+", default=[2, 8, 64])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5, help=f"for n K to {REPEATED}; once above")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds of wall clock a cell")
    parser.add_argument("--contenders", nargs="+", choices=[*ASSIGN, *CLUSTER], help="only these; all by default")
    parser.add_argument("--data", type=Path, help="a folder where the features of this width and seed are kept")
    parser.add_argument("--resume", action="store_true", help="keep what the result file has, run what it has not")
    parser.add_argument("--others", type=int, default=100_000, help=f"rows up to which {' and '.join(OTHERS)} run")
    parser.add_argument("--memory", type=float, default=8.0, help="GiB of private memory a cell")
    parser.add_argument("--readme", action="store_true", help="only write the table of the last run into the README")
    parser.add_argument("--pot-arcs", type=int, default=1_000_000)
    parser.add_argument("--jobs", nargs="+", choices=["assign", "cluster"], default=["assign", "cluster"])
    parser.add_argument("--seed", type=int, default=0, help="of the features and of the first run")
    parser.add_argument("--out", type=Path, default=RESULTS / "partition.json")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.rows, args.width = [2000], 64
    return args


def main() -> None:
    args = parsed()
    if args.cell:
        limit = int(args.memory * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        print(json.dumps(cell(*json.loads(args.cell))), flush=True)
        return
    if args.readme:
        into_readme("partition", section(json.loads(args.out.read_text())))
        return
    rows = json.loads(args.out.read_text())["rows"] if args.resume and args.out.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        for n in args.rows:
            path = str((args.data or Path(folder)) / f"{n}.npy")
            if not Path(path).exists():
                np.save(path, features(n, args.width, args.seed))
            for job in args.jobs:
                for k in args.clusters:
                    compare(job, n, k, path, args, rows)
            if args.data is None:
                Path(path).unlink()


def write(rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Write what has been measured so far."""
    names = ("width", "seed", "limit", "memory", "quick")
    settings = {name: getattr(args, name) for name in names} | {"iterations": ITERATIONS}
    result = {"machine": machine(), "settings": settings, "verdicts": verdicts(rows), "rows": rows}
    write_whole(args.out, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
