"""Laws of what may be done to a mixture: sharpening (C16), averaging parameters (C17). For every number system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, full, stack
from ddfm_theory.decentralization import (
    average_parameters,
    hard_router,
    mix,
)
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.families import (
    exact,
    instance,
    masked_experts,
    moving_schedule,
)
from ddfm_theory.ledger.laws_experts import HALF, weights_everywhere
from ddfm_theory.ledger.laws_paths import decides, truth
from ddfm_theory.ledger.records import Control, Equation, Statement
from ddfm_theory.schedulers import Autoregressive
from ddfm_theory.sharpening import geometric_mixture, greedy, nucleus, temperature

# C16 ------------------------------------------------------------------------------------------------------------------


def family_sharpening(draw: Draw) -> Any:
    """Draw a router, experts' laws, an inverse temperature and a nucleus mass."""
    count, size = draw.integer(1, 3), draw.integer(2, 3)
    laws = stack([draw.pmf((size,), positive=True) for _ in range(count)])
    return instance(
        router=draw.pmf((count,), "w"),
        laws=laws,
        inverse=draw.integer(2, 3),
        one=draw.integer(0, count - 1),
        mass=flint.fmpq(draw.integer(1, 4), 4),
    )


def law_sharpening(
    case: Any, *, router: Any = None, inverse: int = 1, averaging: str = "arithmetic"
) -> Iterator[Statement]:
    """C16: sharpening and mixing agree at T = 1, for a one-hot router, and for identical experts."""
    r, laws = case.router, case.laws
    blend = mix(r, laws) if averaging == "arithmetic" else geometric_mixture(r, laws)
    yield Equation("T = 1: sharpening and mixing agree", temperature(blend, inverse), mix(r, _each(laws, inverse)))
    one_hot = hard_router([case.one], r.shape[0], r)[:, 0] if router is None else router
    before, after = temperature(mix(one_hot, laws), case.inverse), mix(one_hot, _each(laws, case.inverse))
    yield Equation("a one-hot router: sharpening and mixing agree", before, after)
    same = laws[0][None] * full((r.shape[0], 1), 1, laws)
    shared = temperature(mix(r, same), case.inverse)
    yield Equation("identical experts: sharpening and mixing agree", shared, mix(r, _each(same, case.inverse)))
    if not decides(laws):
        return
    kept = [nucleus(law, case.mass) for law in same]
    yield Equation("identical experts: nuclei agree", nucleus(mix(r, same), case.mass), mix(r, stack(kept)))
    yield from _sharpening_only_if(r, laws, case.inverse)


def _each(laws: Array, inverse: int) -> Array:
    return stack([temperature(law, inverse) for law in laws])


def _sharpening_only_if(r: Array, laws: Array, inverse: int) -> Iterator[Statement]:
    """A router that is not one-hot has experts that tell; greedy agrees where all charged experts share the arg max."""
    count = r.shape[0]
    charged = [k for k in range(count) if r[k] != 0]
    tell = exact([[1, 0]] * count)
    tell[charged[0]] = HALF
    agrees = bool((temperature(mix(r, tell), inverse) == mix(r, _each(tell, inverse))).all())
    yield truth("T != 1: agreement for all experts iff the router is one-hot", agrees, len(charged) == 1)
    best = {int(np.argmax(laws[k])) for k in charged}
    if len(best) == 1:
        yield Equation(
            "greedy agrees where experts share the arg max",
            greedy(mix(r, laws)),
            mix(r, stack([greedy(law) for law in laws])),
        )


CONTROLS_C16 = (
    Control(
        "T = 1/2, r = 1/2: (1, 0), (1/2, 1/2): 9/10 against 3/4",
        instance(
            router=exact(["1/2", "1/2"]), laws=exact([[1, 0], ["1/2", "1/2"]]), inverse=2, one=0, mass=flint.fmpq(1)
        ),
        {"inverse": 2},
        "T = 1: sharpening and mixing agree",
        "largest",
        flint.fmpq(3, 20),
    ),
    Control(
        "a router that is not one-hot, T = 1/2",
        instance(
            router=exact(["1/2", "1/2"]), laws=exact([[1, 0], ["1/2", "1/2"]]), inverse=2, one=0, mass=flint.fmpq(1)
        ),
        {"router": exact(["1/2", "1/2"])},
        "a one-hot router: sharpening and mixing agree",
        "largest",
        flint.fmpq(3, 20),
    ),
    Control(
        "the geometric mixture, at T = 1: (16/17, 1/17), (1/2, 1/2): 4/5 against 49/68",
        instance(
            router=exact(["1/2", "1/2"]),
            laws=exact([["16/17", "1/17"], ["1/2", "1/2"]]),
            inverse=2,
            one=0,
            mass=flint.fmpq(1),
        ),
        {"averaging": "geometric"},
        "T = 1: sharpening and mixing agree",
        "largest",
        flint.fmpq(4, 5) - flint.fmpq(49, 68),
    ),
)


# C17 ------------------------------------------------------------------------------------------------------------------


def family_averaging(draw: Draw) -> Any:
    """Draw masked experts whose parameters are their probability tables, and a schedule."""
    experts = masked_experts(draw, length=1)
    return instance(
        experts=experts,
        schedule=moving_schedule(draw, 1),
        parameters=stack([c.target for c in experts.couplings]),  # type: ignore[union-attr]
        weights=experts.weights,
    )


def _affine(theta: Array) -> Array:
    """Return the velocity at the mask, theta - delta_m: affine in the parameters."""
    return stack([*theta, full((1,), -1, theta)[0]])


def law_averaging(case: Any, *, velocity: Any = _affine) -> Iterator[Statement]:
    """C17: averaging parameters is averaging velocities where these are affine, and then C09's static mixture."""
    average = average_parameters(case.weights, case.parameters)
    each = mix(case.weights, stack([velocity(theta) for theta in case.parameters]))
    yield Equation("averaging parameters is averaging velocities", velocity(average), each)
    if velocity is _affine and hasattr(case, "experts"):
        u = case.experts.expert_step_velocities(Autoregressive(), 0, 1)
        static = mix(weights_everywhere(case.experts, u[..., 0, 0]), u)
        yield Equation("one static average is the static mixture", velocity(average), static[-1, 0])


def _softmax(theta: Array) -> Array:
    """Return the softmax of base-2 logits: two tokens at odds 2^theta."""
    odds = [flint.fmpq(2) ** int(entry.p) for entry in theta]
    return exact([odd / sum(odds) for odd in odds])


CONTROLS_C17 = (
    Control(
        "softmax logits: odds 1 and 4: 2/3 against 13/20",
        instance(weights=exact(["1/2", "1/2"]), parameters=exact([[0, 0], [2, 0]])),
        {"velocity": _softmax},
        "averaging parameters is averaging velocities",
        "largest",
        flint.fmpq(2, 3) - flint.fmpq(13, 20),
    ),
    Control(
        "u = w1 w2 at (1, 1), (-1, -1): 0 against 1",
        instance(weights=exact(["1/2", "1/2"]), parameters=exact([[1, 1], [-1, -1]])),
        {"velocity": lambda theta: theta[:1] * theta[1:]},
        "averaging parameters is averaging velocities",
        "largest",
        flint.fmpq(1),
    ),
)
