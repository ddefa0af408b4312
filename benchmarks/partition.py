"""Balanced partitions: time, memory, cost and balance, beside other packages, each cell in a process of its own.

    python benchmarks/partition.py [--quick] [--rows 10000 100000] [--clusters 2 8 64] [--limit 60]

Two jobs. ``assign``: the balanced assignment alone, from the same cost matrix; exact contenders must agree to the tick.
``cluster``: ten iterations of clustering from one seeding, of rows of length one (this package first runs as many on
2^14 rows). A contender that is not installed, runs out of time or out of memory is recorded as such. Features are
clouds of Zipf sizes around a common mean, as image embeddings are.
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

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("ddfm-theory", "numpy", "scipy", "ortools", "k-means-constrained", "faiss-cpu", "scikit-learn", "pot")
ITERATIONS = 10
REPEATED = 200_000


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

    found = spherical_balanced_kmeans(np.load(path), k, seed, starts=1, max_iter=ITERATIONS, tol=0.0)
    return np.asarray(found.labels)


def cluster_file(path: str, k: int, seed: int) -> np.ndarray:
    from ddfm_theory.partition import partition_file

    return np.asarray(partition_file(path, k, seed, starts=1, max_iter=ITERATIONS, tol=0.0).labels)


def cluster_plain(path: str, k: int, seed: int) -> np.ndarray:
    from ddfm_theory.partition import spherical_kmeans

    return np.asarray(spherical_kmeans(np.load(path), k, seed, starts=1, max_iter=ITERATIONS, tol=0.0).labels)


def cluster_constrained(path: str, k: int, seed: int) -> np.ndarray:
    from k_means_constrained import KMeansConstrained

    x = np.load(path)
    low, high = len(x) // k, -(-len(x) // k)
    model = KMeansConstrained(
        k, size_min=low, size_max=high, n_init=1, max_iter=ITERATIONS, tol=0.0, random_state=seed, n_jobs=1
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

    return KMeans(k, n_init=1, max_iter=ITERATIONS, tol=0.0, random_state=seed).fit_predict(np.load(path))


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
        base = _peak()
        start = time.perf_counter()
        labels = ASSIGN[contender](ticks)
        seconds = time.perf_counter() - start
        cost: Any = int(np.take_along_axis(ticks, labels[:, None], axis=1).astype(np.int64).sum())
    else:
        base = _peak()
        start = time.perf_counter()
        labels = CLUSTER[contender](path, k, seed)
        seconds = time.perf_counter() - start
        sums = np.stack([x[labels == j].sum(axis=0, dtype=np.float64) for j in range(k)])
        cost = 1 - float(np.linalg.norm(sums, axis=1).sum()) / len(x)  # mean cosine distance to the mean direction
    sizes = np.bincount(labels, minlength=k)
    found = {"seconds": seconds, "cost": cost, "smallest": int(sizes.min()), "largest": int(sizes.max())}
    return found | {"peak_mib": round(_peak(), 1), "peak_mib_before": round(base, 1)}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def attempt(job: str, contender: str, path: str, k: int, seed: int, limit: float) -> dict[str, Any]:
    """Run one cell in a process of its own, for at most ``limit`` seconds of wall clock, data loading included."""
    command = [sys.executable, __file__, "--cell", json.dumps([job, contender, path, k, seed])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)  # noqa: S603
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {limit:g} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200]}
    return json.loads(done.stdout.splitlines()[-1])


def compare(job: str, n: int, k: int, path: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run every contender at one size and return a row each, medians over repeats, ratios to this package."""
    rows: list[dict[str, Any]] = []
    for contender in ASSIGN if job == "assign" else CLUSTER:
        row: dict[str, Any] = {"job": job, "n": n, "k": k, "contender": contender}
        if contender == "pot" and (n % k or n * k > args.pot_arcs):
            rows.append(row | {"failed": f"not run: K must divide n, and n K be at most {args.pot_arcs}"})
            continue
        runs = [attempt(job, contender, path, k, args.seed, args.limit)]
        if "seconds" in runs[0]:
            runs += [attempt(job, contender, path, k, args.seed, args.limit) for _ in range(repeats(n * k, args) - 1)]
        seconds = [run["seconds"] for run in runs if "seconds" in run]
        row |= runs[0] | {"repeats": len(runs)}
        if seconds:
            row |= {"seconds": statistics.median(seconds), "all_seconds": seconds}
            row["ratio"] = round(row["seconds"] / rows[0]["seconds"], 2) if rows and "seconds" in rows[0] else 1.0
        rows.append(row)
        print(describe(row), flush=True)
    if job == "assign":
        costs = {row["cost"] for row in rows if "cost" in row}
        if len(costs) != 1:
            raise SystemExit(f"exact assignments must cost the same, cost {costs}")
    return rows


def repeats(arcs: int, args: argparse.Namespace) -> int:
    return 1 if args.quick or arcs > REPEATED else args.repeats


def describe(row: dict[str, Any]) -> str:
    head = f"{row['job']:8} n={row['n']:<8} K={row['k']:<3} {row['contender']:26}"
    if "seconds" not in row:
        return f"{head} {row['failed']}"
    cost = f"{row['cost']:.6f}" if isinstance(row["cost"], float) else str(row["cost"])
    sizes = f"{row['smallest']}..{row['largest']}"
    return f"{head} {row['seconds']:9.3f} s  x{row['ratio']:<8} cost {cost:22} sizes {sizes:16} {row['peak_mib']} MiB"


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
    parser.add_argument("--repeats", type=int, default=3, help=f"for n K at most {REPEATED}; once above")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds a cell")
    parser.add_argument("--pot-arcs", type=int, default=1_000_000)
    parser.add_argument("--jobs", nargs="+", choices=["assign", "cluster"], default=["assign", "cluster"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "partition.json")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.rows, args.width = [2000], 64
    return args


def main() -> None:
    args = parsed()
    if args.cell:
        print(json.dumps(cell(*json.loads(args.cell))))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for n in args.rows:
            path = str(Path(folder) / f"{n}.npy")
            np.save(path, features(n, args.width, args.seed))
            for job in args.jobs:
                for k in args.clusters:
                    rows += compare(job, n, k, path, args)
                    write(rows, args)
            Path(path).unlink()


def write(rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Write what has been measured so far."""
    settings = {name: getattr(args, name) for name in ("width", "seed", "limit", "quick")} | {"iterations": ITERATIONS}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine(), "settings": settings, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
