"""What the partition benchmark found, held against its aims, and its section of benchmarks/README.md."""

from __future__ import annotations

from typing import Any

import numpy as np


def verdicts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Hold what was found against the aims: ten times the peer's speed at a cost no worse, memory, linear growth."""
    found = {(row["job"], row["n"], row["k"], row["contender"]): row for row in rows if "seconds" in row}
    against, memory, growth = [], [], {}
    for (job, n, k, contender), row in found.items():
        peer = found.get((job, n, k, "k-means-constrained"))
        if job == "cluster" and contender == "ddfm":
            share = (row["peak_mib"] - row["peak_mib_before"]) / (row["feature_mib"])
            memory.append({"n": n, "k": k, "of_features": round(share, 2), "met": share <= 1.5})
            if peer:
                ratio = peer["seconds"] / row["seconds"]
                against.append({
                    "n": n, "k": k, "ratio": round(ratio, 1), "cost": row["cost"], "peer_cost": peer["cost"],
                    "faster": ratio >= 10, "no_worse": row["cost"] <= peer["cost"],
                })  # fmt: skip
    for k in sorted({row["k"] for row in rows}):
        line = [
            (n, row["seconds"]) for (job, n, kk, who), row in found.items() if (job, kk, who) == ("cluster", k, "ddfm")
        ]
        if len(line) > 1:
            growth[k] = round(float(np.polyfit(*np.log(np.array(line)).T, 1)[0]), 2)
    return {"against": against, "memory": memory, "growth": growth}


def section(result: dict[str, Any]) -> str:
    """Return the section on partitions: machine, verdicts, and every cell."""
    met, machine_, settings = {True: "met", False: "**not met**"}, result["machine"], result["settings"]
    versions = ", ".join(f"{name} {value}" for name, value in machine_["versions"].items())
    lines = [
        f"{settings['width']} wide, float32, seed {settings['seed']}; {machine_['cpu'][0]}, one thread of "
        f"{machine_['cores']} cores; Python {machine_['python']}, {versions}. Limits: {settings['limit']:g} s of wall "
        f"clock and {settings['memory']:g} GiB of private memory a cell.",
        "",
        "| n | K | speed by k-means-constrained's | 10x | its cost | ours | no worse | memory by features' | 1.5x |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    against = {(one["n"], one["k"]): one for one in result["verdicts"]["against"]}
    for one in result["verdicts"]["memory"]:
        peer = against.get((one["n"], one["k"]))
        cells = ["none", "undecided", "none", "", "undecided"]
        if peer:
            ours, theirs = f"{peer['cost']:.6f}", f"{peer['peer_cost']:.6f}"
            cells = [f"{peer['ratio']}x", met[peer["faster"]], theirs, ours, met[peer["no_worse"]]]
        lines.append(
            "| "
            + " | ".join([f"{one['n']:,}", str(one["k"]), *cells, f"{one['of_features']}x", met[one["met"]]])
            + " |"
        )
    growth = ", ".join(f"{value} at K = {k}" for k, value in result["verdicts"]["growth"].items())
    lines += ["", f"Growth, the exponent of our time in n by least squares (1 is linear): {growth}.", ""]
    have = {(row["n"], row["k"], row["contender"]) for row in result["rows"] if row["job"] == "cluster"}
    sizes = [(n, k) for n in (10_000, 100_000, 1_000_000) for k in (2, 8, 64)]
    for name in ("ddfm", "k-means-constrained"):
        missing = ", ".join(f"{n:,} at K = {k}" for n, k in sizes if (n, k, name) not in have)
        lines += [f"Not run, {name}: {missing}.", ""] if missing else []
    ours = {(row["job"], row["n"], row["k"]): row for row in result["rows"] if row["contender"] == "ddfm"}
    lines += [
        "| job | n | K | contender | seconds | times ours | cost | sizes | peak MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row, ours[row["job"], row["n"], row["k"]]) for row in ordered(result["rows"])]
    return "\n".join(lines) + "\n"


def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows by job and size, contenders as they first came."""
    names = list(dict.fromkeys(row["contender"] for row in rows))
    return sorted(rows, key=lambda row: (row["job"], row["n"], row["k"], names.index(row["contender"])))


def _line(row: dict[str, Any], ours: dict[str, Any]) -> str:
    cells = [row["job"], f"{row['n']:,}", str(row["k"]), row["contender"]]
    if "seconds" not in row:
        return "| " + " | ".join([*cells, row["failed"], "", "", "", ""]) + " |"
    cost = f"{row['cost']:.6f}" if isinstance(row["cost"], float) else str(row["cost"])
    times = f"{row['seconds'] / ours['seconds']:.3g}"
    sizes, peak = f"{row['smallest']:,} to {row['largest']:,}", f"{row['peak_mib']:.0f}"
    return "| " + " | ".join([*cells, f"{row['seconds']:.3g}", times, cost, sizes, peak]) + " |"
