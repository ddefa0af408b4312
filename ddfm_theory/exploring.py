r"""What the notebooks look at: pictures and tables of paths, velocities, routers and samplers, as functions of numbers.

Every function here draws what another room computes and computes nothing of its own; :func:`slide` puts sliders under
its plain numbers. A state is written as a word, its mask token as ``m``.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ddfm_theory.arrays import Array, stack, to_float, tokens
from ddfm_theory.autoregression import chain_law
from ddfm_theory.couplings import AnyCoupling, Coupling, MaskedCoupling, states_of
from ddfm_theory.decentralization import Decentralization, bayes_filter, mix, top_k_gate
from ddfm_theory.paths import marginal_path, path_derivative
from ddfm_theory.sampling import chain_law as propagated
from ddfm_theory.sampling import route_once_law, sampler_law, static_law
from ddfm_theory.schedulers import Autoregressive, Scheduler, Windowed
from ddfm_theory.showing import COLOURS, DASHES, Drawing, Table, bars, curves, drawn, entry, simplex, table
from ddfm_theory.stability import total_variation
from ddfm_theory.velocities import marginal_velocity

MOMENTS = 61


def word(state: Sequence[int], mask: int | None = None) -> str:
    """Return a state as a word: its tokens, the mask as ``m``."""
    return "".join("m" if token == mask else str(int(token)) for token in state)


def by_state(columns: Mapping[str, Array], mask: int | None = None, caption: str = "") -> Table:
    """Return functions of the state as a table, one state a row, leaving out states where all of them are zero.

    Args:
        columns: each of shape (d,) * N, by name.
        mask: the mask token, for the states' names.
        caption: a line below.
    """
    first = next(iter(columns.values()))
    states = [tuple(map(int, z)) for z in states_of(int(first.shape[0]), first.ndim)]
    kept = [z for z in states if any(not bool(column[z] == 0) for column in columns.values())]
    cells = {name: [column[z] for z in kept] for name, column in columns.items()}
    return table({"state": [word(z, mask) for z in kept], **cells}, caption)


def gaps(got: Array, expected: Array, mask: int | None = None, rows: int = 8) -> Table:
    """Return where two velocities differ, the largest differences first, or that they are equal.

    Args:
        got: shape (d,) * N + (N, d).
        expected: likewise.
        mask: the mask token, for the states' names.
        rows: the most rows shown.
    """
    off = abs(to_float(got) - to_float(expected))
    unequal = np.argwhere(np.asarray(got != expected, dtype=bool))
    order = sorted((tuple(map(int, at)) for at in unequal), key=lambda at: (-off[at], at))
    names = [word([token], mask) for token in range(got.shape[-1])]
    cells = [
        [
            word(at[:-2], mask),
            str(at[-2] + 1),
            names[at[-1]],
            *map(entry, (got[at], expected[at], got[at] - expected[at])),
        ]
        for at in order[:rows]
    ]
    caption = f"{len(order)} of {got.size} entries differ"
    return Table(("state", "position", "token", "got", "expected", "difference"), cells, caption)


def in_floats(coupling: AnyCoupling) -> AnyCoupling:
    """Return an enumerated coupling in float64, to be drawn; an empirical one is refused where it is used."""
    if isinstance(coupling, MaskedCoupling):
        return MaskedCoupling(to_float(coupling.target))
    return Coupling(to_float(coupling.joint)) if isinstance(coupling, Coupling) else coupling


def names_of(coupling: AnyCoupling) -> list[str]:
    """Return the names of a coupling's d tokens."""
    mask = getattr(coupling, "mask", None)
    return [word([token], mask) for token in range(coupling.size)]


def path_curves(coupling: AnyCoupling, scheduler: Scheduler) -> Drawing:
    """Draw the marginal path p_t(z) over t, one curve a state that is ever charged (at most seven)."""
    coupling, times = in_floats(coupling), np.linspace(0, 1, MOMENTS)
    paths: Any = np.stack([to_float(marginal_path(coupling, scheduler, float(t))) for t in times])
    states = [tuple(map(int, z)) for z in states_of(coupling.size, coupling.length)]
    charged = sorted(states, key=lambda z: -float(paths[:, *z].max()))[:7]
    series = {word(z, getattr(coupling, "mask", None)): paths[:, *z] for z in charged}
    shown = {name: values for name, values in series.items() if values.max() > 0}
    return curves(times, shown, labels=("time t", "p_t(z)"), limits=(0, 1.02))


def path_on_simplex(coupling: AnyCoupling, schedulers: Mapping[str, Scheduler], t: float) -> Drawing:
    """Draw the paths of one position over three tokens in their triangle, with dp/dt as an arrow at time t.

    Args:
        coupling: of one position, d = 3.
        schedulers: by name.
        t: the time in [0, 1).

    Raises:
        ValueError: another length or number of tokens.
    """
    if (coupling.length, coupling.size) != (1, 3):
        found = (coupling.length, coupling.size)
        raise ValueError(f"coupling must have one position and three tokens, had (N, d) = {found}")
    coupling, times = in_floats(coupling), np.linspace(0, 1, MOMENTS)
    paths = {
        name: np.stack([to_float(marginal_path(coupling, s, float(u))) for u in times])
        for name, s in schedulers.items()
    }
    moves = {
        f"{name} at t = {t:.2f}": (
            to_float(marginal_path(coupling, s, t)),
            0.25 * to_float(path_derivative(coupling, s, t)),
        )
        for name, s in schedulers.items()
    }
    return simplex(paths, names_of(coupling), moves)


def velocity_bars(coupling: AnyCoupling, scheduler: Scheduler, t: float, state: Sequence[int]) -> Drawing:
    """Draw the velocity u_t^i(., z) at one state, one group of bars a position."""
    coupling = in_floats(coupling)
    (row,) = tokens(np.array([state]), "state", coupling.size, coupling.length)
    u = to_float(marginal_velocity(coupling, scheduler, t))[tuple(row)]
    laws = {f"position {i + 1}" if len(u) > 1 else "velocity": u[i] for i in range(len(u))}
    return bars(laws, names_of(coupling), "u(x, z)")


def mixture_bars(
    experts: Decentralization, scheduler: Scheduler, t: float, state: Sequence[int], position: int
) -> Drawing:
    """Draw at one state and position every expert's velocity, their mixtures by router and by omega, and the central.

    Args:
        experts: omega and the couplings.
        scheduler: kappa.
        t: the time.
        state: z, a token a position.
        position: i, 0-based.
    """
    experts = Decentralization(to_float(experts.weights), [in_floats(coupling) for coupling in experts.couplings])
    (row,) = tokens(np.array([state]), "state", experts.central.size, experts.central.length)
    at = (*map(int, row), position)
    parts = experts.expert_velocities(scheduler, t)
    laws = {f"expert {k}": to_float(parts[(k, *at)]) for k in range(len(experts))}
    laws["mixed by omega"] = to_float(mix(experts.weights, parts)[at])
    laws["mixed by the router"] = to_float(experts.velocity(scheduler, t)[at])
    laws["central"] = to_float(marginal_velocity(experts.central, scheduler, t)[at])
    return bars(laws, names_of(experts.central), "u(x, z)")


def filter_path(experts: Decentralization, sequence: Sequence[int]) -> Array:
    """Return the router along a sequence by the Bayes filter, from the experts' own next-token laws: (K, N + 1)."""
    rows = np.array([sequence])
    laws = [chain_law(coupling, rows)[0] for coupling in experts.couplings]  # type: ignore[arg-type]
    return bayes_filter(experts.weights, stack(laws))


def filter_curves(experts: Decentralization, sequence: Sequence[int]) -> Drawing:
    """Draw the router's weights along a sequence, from the prior on."""
    return router_curves(to_float(filter_path(experts, sequence)))


def routing_laws(experts: Decentralization, left: int = 1) -> dict[str, Array]:
    """Return the law of texts drawn token by token under rules in use, by rule, each of shape (V,) * N.

    Args:
        experts: with the all-mask source.
        left: how many experts the rule ``top-k`` leaves in.
    """
    schedule, times = Autoregressive(), range(experts.central.length + 1)
    start, steps = marginal_path(experts.central, schedule, 0), list(itertools.pairwise(times))
    gated = [
        mix(top_k_gate(experts.router(schedule, s), left), experts.expert_step_velocities(schedule, s, t))
        for s, t in steps
    ]
    laws = {
        "posterior": sampler_law(experts, schedule, times),
        "an expert drawn once": route_once_law(experts, schedule, times),
        "omega at every token": static_law(experts, schedule, times),
        f"top-{left} of the posterior": propagated(start, gated),
    }
    revealed = (slice(experts.central.size - 1),) * experts.central.length
    return {rule: law[revealed] for rule, law in laws.items()}


def routing_errors(experts: Sequence[Decentralization], columns: Sequence[Any]) -> Table:
    """Return the exact total variation to the data's law of every rule of :func:`routing_laws`.

    Args:
        experts: one system a column.
        columns: what to call the columns.
    """
    found = [routing_laws(system) for system in experts]
    errors = [
        {rule: total_variation(law.ravel(), system.central.target.ravel()) for rule, law in laws.items()}  # type: ignore[union-attr]
        for system, laws in zip(experts, found, strict=True)
    ]
    cells = {str(name): list(column.values()) for name, column in zip(columns, errors, strict=True)}
    return table({"rule": list(errors[0]), **cells}, "total variation to the data")


def router_curves(weights: Any, names: Sequence[str] = ()) -> Drawing:
    """Draw given router weights along a sequence.

    Args:
        weights: r, shape (K, T + 1).
        names: of the experts; none are numbered.
    """
    path = np.asarray(weights, dtype=float)
    series = {names[k] if names else f"expert {k}": path[k] for k in range(len(path))}
    return curves(range(path.shape[1]), series, labels=("tokens read", "router weight"), limits=(0, 1.02))


def sampler_error(target: Array, scheduler: Scheduler, steps: int) -> Array:
    """Return the total variation between q and the law of the sampler with equal steps from the all-mask state.

    Args:
        target: q, shape (V,) * N.
        scheduler: of continuous time.
        steps: T.
    """
    coupling, length = MaskedCoupling(target), len(target.shape)
    law = sampler_law(coupling, scheduler, np.linspace(0, 1, steps + 1).tolist())
    data = law[(slice(coupling.vocabulary),) * length]
    return total_variation(data.ravel(), coupling.target.ravel())


def error_curves(target: Array, schedulers: Mapping[str, Scheduler], steps: Sequence[int]) -> Drawing:
    """Draw the samplers' exact errors over the number of steps, both axes logarithmic; exact samplers leave no curve.

    Args:
        target: q, shape (V,) * N.
        schedulers: of continuous time, by name.
        steps: the numbers of steps.
    """
    errors = {name: [float(sampler_error(target, s, n)) for n in steps] for name, s in schedulers.items()}
    return curves(steps, errors, labels=("steps", "total variation to q"), logarithmic=True)


def window(target: Array, overlap: float, steps: int) -> Drawing:
    """Draw a windowed schedule with its sampler's exact error: from autoregression (0) to all at once (1).

    Args:
        target: q, shape (V,) * N.
        overlap: w in [0, 1].
        steps: T equal steps.
    """
    scheduler, length = Windowed(overlap), len(target.shape)
    error = float(sampler_error(target, scheduler, steps))
    times = np.linspace(0, 1, MOMENTS)
    rows = np.stack([to_float(scheduler.kappa(float(t), length)) for t in times])

    def draw(axes: Any) -> None:
        for i in range(length):
            axes.plot(times, rows[:, i], color=COLOURS[i % 7], ls=DASHES[i % 7], label=f"position {i + 1}")
        for n in range(steps + 1):
            axes.axvline(n / steps, color="0.85", lw=0.6, zorder=0)
        axes.set(xlabel=f"time t, {steps} steps; total variation to q: {error:.3g}", ylabel="kappa")
        axes.figure.legend(loc="outside right center")

    return drawn(draw)


def slide(draw: Callable[..., Any], *fixed: Any, **ranges: Any) -> Any:
    """Return a drawing with sliders under it, or, where ipywidgets is not installed, the drawing at each first value.

    Args:
        draw: a function of this room.
        fixed: its first arguments.
        ranges: of its other arguments: ``(first, last, step)`` is a slider, a list a menu of choices.
    """
    if importlib.util.find_spec("ipywidgets") is None:
        return draw(*fixed, **{name: choices[0] for name, choices in ranges.items()})
    from ipywidgets import interactive

    def shown(**chosen: Any) -> Any:
        return draw(*fixed, **chosen)

    return interactive(shown, **ranges)
