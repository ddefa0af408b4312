"""Velocities of two experts, their router and their mixture on three tokens, uniform source (C08), in rationals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ddfm_theory.arrays import to_float
from ddfm_theory.couplings import Coupling
from ddfm_theory.decentralization import Decentralization, mix
from ddfm_theory.paths import marginal_path
from ddfm_theory.schedulers import Linear
from ddfm_theory.velocities import marginal_velocity

SEED, ARITHMETIC = 0, "rationals; nothing is drawn"
TIME, STEPS = Fraction(1, 2), 20
TARGETS = ((17, 2, 1), (3, 15, 2))  # twentieths
WEIGHTS = (Fraction(1, 2), Fraction(1, 2))


def compute(seed: int) -> dict[str, Any]:
    """Return velocities u(x, z) as rows z, the router, the paths, and the largest difference to the centre."""
    laws = np.array([[Fraction(n, 20) for n in target] for target in TARGETS], dtype=object)
    source = np.full(3, Fraction(1, 3), dtype=object)
    experts = Decentralization(WEIGHTS, [Coupling(np.multiply.outer(source, law)) for law in laws])
    velocities, central = experts.expert_velocities(Linear(), TIME), marginal_velocity(experts.central, Linear(), TIME)
    mixed, static = mix(experts.router(Linear(), TIME), velocities), mix(experts.weights, velocities)
    times = [Fraction(s, STEPS) for s in range(STEPS + 1)]
    couplings = {"experts": experts.couplings, "central": (experts.central,)}
    paths = {
        name: [[to_float(marginal_path(c, Linear(), t)) for t in times] for c in of] for name, of in couplings.items()
    }
    return {"time": float(TIME), "weights": [float(w) for w in WEIGHTS], "targets": to_float(laws).tolist(),
            "experts": to_float(velocities)[:, :, 0], "router": to_float(experts.router(Linear(), TIME)),
            "mixture": to_float(mixed)[:, 0], "central": to_float(central)[:, 0], "paths": paths,
            "difference": str(max(abs(mixed - central).ravel())),
            "difference_static": float(to_float(abs(static - central)).max())}  # fmt: skip
