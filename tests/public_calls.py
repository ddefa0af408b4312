# ruff: noqa: E501
"""Every public function of the foundation as data: valid arguments in any number system, its shape, what it refuses.

One table serves two tests: the walk over number systems, and the fuzz that replaces one argument after another. A
public name that is not in it fails ``test_every_public_name_is_in_the_table``.
"""

import importlib
import inspect
from dataclasses import dataclass, is_dataclass
from typing import Any

import flint
import numpy as np
import sympy as sp
from number_systems import SYSTEMS, draw_in

from ddfm_theory import arrays
from ddfm_theory.arrays import Log, Rounded, Symbol, stack
from ddfm_theory.autoregression import prefix_states
from ddfm_theory.couplings import Coupling, EmpiricalCoupling, MaskedCoupling, states_of
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.objectives import denoiser
from ddfm_theory.paths import marginal_path, path_derivative
from ddfm_theory.schedulers import (
    Autoregressive,
    Convex,
    Cosine,
    Given,
    Linear,
    PerPosition,
    Polynomial,
    Scheduler,
    Steps,
    Windowed,
)
from ddfm_theory.velocities import backward_velocity, marginal_velocity, step_velocity, step_velocity_at

ROOMS = ["autoregression", "continuity", "couplings", "decentralization", "objectives", "paths", "sampling",
         "schedulers", "sharpening", "stability", "velocities"]  # fmt: skip
ENTRIES = {"symbol", "logarithm", "roundoff"}  # modules of arrays that define what an object array holds
TRUSTING = {"needs", "shapes", "systems"}  # modules of arrays whose functions take arrays that have passed a door
S, LINEAR = sp.Symbol("s"), Linear()
CONVEX = Convex([1 - S, S], variable=S)
NONE, SYMBOLS, EXACT, ALL = (
    frozenset(names) for names in ((), {"symbol"}, {"symbol", "rational", "roundoff"}, SYSTEMS)
)


class Instance:
    """One of everything, valid, in a number system: an all-mask source of two positions, or a joint pmf of one."""

    def __init__(self, system, masked=True, seed=0):
        self.draw, self.system = draw_in(system, seed), system
        self.weights = self.pmf(2)
        self.masks = [MaskedCoupling(self.pmf(2, 2)) for _ in range(2)]
        self.experts = Decentralization(self.weights, self.masks if masked else [Coupling(self.pmf(2, 2))] * 2)
        self.coupling, self.mask = self.experts.couplings[0], self.masks[0]
        self.empirical = EmpiricalCoupling([[0, 1], [1, 1], [0, 1]], self.pmf(3), vocabulary=2)
        self.t, self.t_next = (self.number(i, 3) for i in (1, 2))
        self.states, self.data = states_of(self.coupling.size, self.coupling.length)[:3], states_of(2, 2)
        self.p, self.p_next = (marginal_path(self.coupling, LINEAR, t) for t in (self.t, self.t_next))
        self.u = step_velocity(self.coupling, LINEAR, self.t, self.t_next)

    def pmf(self, *shape):
        return self.draw.pmf(shape, positive=True)

    def rows(self, count, size):
        return stack([self.pmf(size) for _ in range(count)])

    def number(self, numerator, denominator):
        """A number between 0 and 1, free among symbols, as an array of shape ()."""
        out = np.empty((), dtype=object)
        out[()] = flint.fmpq(numerator, denominator)
        return self.draw.numbers((), "t", 0, 1, 1) if self.system == "symbol" else self.draw.make(out)

    def step(self, s, t, states):
        return step_velocity_at(self.mask, LINEAR, s, t, states)


@dataclass(frozen=True)
class Call:
    """A public function, ``of`` an object or of its room: valid arguments, shape of the result, systems refused.

    It is called by keywords, or ``through`` what gives it the arguments that its caller fixes.
    """

    arguments: object
    shape: object
    refuses: frozenset = NONE
    of: object = None
    through: object = None


def size(values, axis=None):
    """Shape of what a caller gave, or one of its axes."""
    found = tuple(int(n) for n in np.shape(values))
    return found if axis is None else found[axis]


def over(c):
    return (c.size,) * c.length


def flow(c):
    return (*over(c), c.length, c.size)


def at(c, states):
    return (size(states, 0), c.length, c.size)


def pair(w, **more):
    return {"coupling": w.coupling, "scheduler": LINEAR, "t": w.t, **more}


def run(w, **more):
    return {"coupling": w.coupling, "scheduler": LINEAR, "times": [w.t, w.t_next], **more}


def routed(w, **more):
    return {"experts": w.experts, "scheduler": LINEAR, "times": [w.t, w.t_next], **more}


def laws(w):
    return {"router": w.pmf(2), "router_hat": w.pmf(2), "laws": w.rows(2, 3), "laws_hat": w.rows(2, 3)}


def chains(w):
    first = [w.pmf(1).reshape(()), w.pmf(2)]
    return {"prefix_probability": first, "laws": [w.pmf(2), w.rows(2, 2)], "laws_hat": [w.pmf(2), w.rows(2, 2)]}


def central(a):
    return a["coupling"].central if isinstance(a["coupling"], Decentralization) else a["coupling"]


NAMED = dict(through=lambda f, a, w: f(**a, name="values"))  # noqa: C408
CALLS = {
    "arrays.generator": Call(lambda w: {"seed": 0}, None),
    "arrays.instance": Call(lambda w: {"value": 1}, None, through=lambda f, a, w: f(a["value"], int, "value")),
    "arrays.positive_int": Call(lambda w: {"value": 2}, None, through=lambda f, a, w: f(a["value"], "value", 1, 3)),
    "arrays.sequence": Call(lambda w: {"values": [1, 2]}, None, through=lambda f, a, w: len(f(a["values"], "values"))),
    "arrays.asarray": Call(lambda w: {"values": w.rows(2, 3)}, lambda a: size(a["values"]), **NAMED),
    "arrays.nonnegative": Call(lambda w: {"values": w.rows(2, 3)}, lambda a: size(a["values"]), **NAMED),
    "arrays.pmf": Call(lambda w: {"values": w.pmf(2, 2)}, lambda a: size(a["values"]), **NAMED),
    "arrays.dense_velocity": Call(lambda w: {"values": w.u}, lambda a: size(a["values"]), **NAMED),
    "arrays.alike": Call(lambda w: {"first": w.pmf(2), "second": w.pmf(2)}, lambda a: (size(a["first"]),) * 2,
                         through=lambda f, a, w: f(a["first"], a["second"], ("first", "second"))),
    "arrays.beside": Call(lambda w: {"values": w.pmf(2)}, lambda a: (2,),
                          through=lambda f, a, w: f(a["values"], w.weights, "values", (2,), "(2,)")),
    "arrays.over_states": Call(lambda w: {"values": w.u}, lambda a: size(a["values"]),
                               through=lambda f, a, w: f(a["values"], w.p, "values")),
    "arrays.tokens": Call(lambda w: {"values": w.states}, lambda a: size(a["values"]),
                          through=lambda f, a, w: f(a["values"], "values", 3)),
    "arrays.from_sympy": Call(lambda w: {"expression": S / (1 + S)}, None),
    "arrays.to_sympy": Call(lambda w: {"values": w.pmf(2)}, None, ALL - {"rational", "symbol"}),
    "arrays.gamma": Call(lambda w: {"dtype": np.float32, "roundings": 3}, None),
    "arrays.summation": Call(lambda w: {"dtype": "float64", "count": 3}, None),
    "arrays.unit_roundoff": Call(lambda w: {"dtype": "float64"}, None),
    "arrays.smallest_safe": Call(lambda w: {"dtype": "float64"}, None),
    "arrays.Symbol.variables": Call(lambda w: {"names": "x"}, None, of=lambda w: Symbol,
                                    through=lambda f, a, w: f(a["names"], "y")),
    "arrays.Symbol.reduced": Call(lambda w: {}, None, of=lambda w: Symbol.variables("x")[0]),
    "arrays.Log.of": Call(lambda w: {"value": flint.fmpq(1, 3)}, None, of=lambda w: Log),
    "arrays.Log.sign": Call(lambda w: {}, None, of=lambda w: Log.of(2)),
    "arrays.Rounded.of": Call(lambda w: {"number": flint.fmpq(1, 3)}, None, of=lambda w: Rounded),
    "arrays.Rounded.error": Call(lambda w: {"dtype": "float64"}, None, of=lambda w: Rounded.of(3)),
    "arrays.Rounded.log": Call(lambda w: {}, None, of=lambda w: Rounded.of(3)),
    "autoregression.prefix_states": Call(lambda w: {"sequences": w.data, "t": 1, "vocabulary": 2, "order": Autoregressive()},
                                         lambda a: size(a["sequences"])),
    "autoregression.next_token_velocity": Call(lambda w: {"law": w.rows(3, 2)},
                                               lambda a: (*size(a["law"])[:-1], size(a["law"], -1) + 1)),
    "autoregression.next_token_law": Call(lambda w: {"velocity": step_velocity_at(w.mask, Autoregressive(), 0, 1, [[2, 2]])[:, 0]},
                                          lambda a: (*size(a["velocity"])[:-1], size(a["velocity"], -1) - 1)),
    "autoregression.next_token_law_at": Call(lambda w: {"coupling": w.mask, "states": prefix_states(w.data, 1, 2), "position": 1},
                                             lambda a: (size(a["states"], 0), a["coupling"].vocabulary)),
    "autoregression.chain_law": Call(lambda w: {"coupling": w.mask, "sequences": w.data, "order": None},
                                     lambda a: size(a["sequences"])),
    "autoregression.sequence_probability": Call(lambda w: {"coupling": w.mask, "sequences": w.data},
                                                lambda a: size(a["sequences"])[:1]),
    "continuity.divergence": Call(lambda w: {"p": w.p, "u": w.u}, lambda a: size(a["p"])),
    "continuity.continuity_residual": Call(
        lambda w: {"p_dot": path_derivative(w.coupling, LINEAR, w.t), "p": w.p, "u": w.u}, lambda a: size(a["p"])),
    "continuity.step_continuity_residual": Call(lambda w: {"p": w.p, "p_next": w.p_next, "u": w.u}, lambda a: size(a["p"])),
    "couplings.Coupling": Call(lambda w: {"joint": w.pmf(2, 2)}, None),
    "couplings.Coupling.independent": Call(lambda w: {"source": w.pmf(2), "target": w.pmf(2)}, None, of=lambda w: Coupling),
    "couplings.MaskedCoupling": Call(lambda w: {"target": w.pmf(2, 2)}, None),
    "couplings.MaskedCoupling.enumerated": Call(lambda w: {}, None, of=lambda w: w.mask),
    "couplings.EmpiricalCoupling": Call(lambda w: {"samples": w.data, "weights": w.pmf(4), "vocabulary": 2}, None),
    "couplings.EmpiricalCoupling.contract": Call(lambda w: {"kernels": [w.pmf(3, 3)] * 2}, None,
                                                 ALL, lambda w: w.empirical),
    "couplings.states_of": Call(lambda w: {"size": 2, "length": 2}, lambda a: (a["size"] ** a["length"], a["length"])),
    "decentralization.router_posterior": Call(lambda w: {"weights": w.weights, "likelihoods": w.rows(2, 3)},
                                              lambda a: size(a["likelihoods"])),
    "decentralization.mix": Call(lambda w: {"router": w.rows(2, 3), "velocities": stack([w.rows(3, 2), w.rows(3, 2)])},
                                 lambda a: size(a["velocities"])[1:]),
    "decentralization.bayes_filter_update": Call(lambda w: {"router": w.rows(2, 3), "token_likelihoods": w.rows(2, 3)},
                                                 lambda a: size(a["token_likelihoods"])),
    "decentralization.bayes_filter": Call(lambda w: {"prior": w.weights, "token_likelihoods": w.rows(2, 3)},
                                          lambda a: (2, size(a["token_likelihoods"], 1) + 1)),
    "decentralization.top_k_gate": Call(lambda w: {"router": w.rows(2, 3), "k": 1}, lambda a: size(a["router"]), SYMBOLS),
    "decentralization.hard_router": Call(lambda w: {"assignments": [0, 1, 1], "experts": 2, "like": w.weights},
                                         lambda a: (a["experts"], size(a["assignments"], 0))),
    "decentralization.average_parameters": Call(lambda w: {"weights": w.weights, "parameters": w.rows(2, 3)},
                                                lambda a: size(a["parameters"])[1:]),
    "decentralization.Decentralization": Call(lambda w: {"weights": w.weights, "couplings": w.masks}, None),
    "objectives.cross_entropy": Call(lambda w: {"p": w.pmf(3), "q": w.pmf(3)}, lambda a: ()),
    "objectives.entropy": Call(lambda w: {"p": w.pmf(3)}, lambda a: ()),
    "objectives.mutual_information": Call(lambda w: {"joint": w.pmf(2, 2)}, lambda a: ()),
    "objectives.denoiser": Call(lambda w: {"coupling": w.mask},
                                lambda a: (*over(a["coupling"]), a["coupling"].length, a["coupling"].vocabulary)),
    "objectives.flow_matching_cross_entropy": Call(
        lambda w: {"coupling": w.mask, "scheduler": LINEAR, "t": w.t, "t_next": w.t_next, "law": denoiser(w.mask)},
        lambda a: (a["coupling"].length,)),
    "objectives.next_token_loss": Call(lambda w: {"target": w.pmf(2, 2), "laws": [w.pmf(2), w.rows(2, 2)]},
                                       lambda a: (len(size(a["target"])),)),
    "objectives.generalized_kl": Call(lambda w: {"p": w.p, "velocity": w.u, "model": w.u + w.u}, lambda a: ()),
    "objectives.negative_elbo": Call(
        lambda w: {"coupling": w.mask, "scheduler": LINEAR, "law": denoiser(w.mask), "nodes": None}, lambda a: ()),
    "objectives.reveal_entropy": Call(lambda w: {"target": w.pmf(2, 2), "revealed": [1]}, lambda a: ()),
    "objectives.decomposition": Call(lambda w: {"experts": Decentralization(w.weights, w.masks)}, None),
    "paths.marginal_path": Call(pair, lambda a: over(a["coupling"])),
    "paths.path_derivative": Call(pair, lambda a: over(a["coupling"])),
    "paths.path_at": Call(lambda w: pair(w, states=w.states), lambda a: size(a["states"])[:1]),
    "paths.sample_path": Call(lambda w: pair(w, coupling=w.mask, count=3, seed=0),
                              lambda a: (a["count"], a["coupling"].length), SYMBOLS),
    "sampling.step_laws": Call(lambda w: {"velocity": w.u, "h": w.number(1, 2)}, lambda a: size(a["velocity"])),
    "sampling.propagate": Call(lambda w: {"p": w.p, "velocity": w.u, "h": 1}, lambda a: size(a["p"])),
    "sampling.chain_law": Call(lambda w: {"p": w.p, "velocities": [w.u, w.u * 0]}, lambda a: size(a["p"])),
    "sampling.path_law": Call(lambda w: {"p": w.p, "velocities": [w.u]},
                              lambda a: (int(np.prod(size(a["p"]))),) * (len(a["velocities"]) + 1)),
    "sampling.sampler_law": Call(lambda w: run(w, coupling=w.experts), lambda a: over(central(a))),
    "sampling.euler_law": Call(run, lambda a: over(a["coupling"])),
    "sampling.route_once_law": Call(routed, lambda a: over(a["experts"].central)),
    "sampling.static_law": Call(routed, lambda a: over(a["experts"].central)),
    "sampling.mixed_kernel_law": Call(
        lambda w: {"p": w.p, "router": w.experts.router(LINEAR, w.t),
                   "velocities": w.experts.expert_step_velocities(LINEAR, w.t, w.t_next)}, lambda a: size(a["p"])),
    "sampling.sample_categorical": Call(lambda w: {"laws": w.rows(2, 3), "rng": np.random.default_rng(0), "dtype": np.float64},
                                        lambda a: size(a["laws"])[:-1], EXACT),
    "sampling.sample": Call(lambda w: {"step": w.step, "states": [[2, 0], [2, 2]], "times": [w.t, w.t_next], "size": 3,
                                       "seed": 0}, lambda a: size(a["states"]), EXACT),
    "sampling.start_states": Call(lambda w: pair(w, count=3, seed=0), lambda a: (a["count"], a["coupling"].length), SYMBOLS),
    "sampling.sample_discrete": Call(lambda w: run(w, count=3, seed=0), lambda a: (a["count"], central(a).length), EXACT),
    "sampling.sample_euler": Call(lambda w: run(w, coupling=w.experts, count=3, seed=0),
                                  lambda a: (a["count"], central(a).length), EXACT),
    "sampling.sample_route_once": Call(lambda w: routed(w, count=3, seed=0),
                                       lambda a: (a["count"], a["experts"].central.length), EXACT),
    "sampling.sample_static": Call(lambda w: routed(w, count=3, seed=0),
                                   lambda a: (a["count"], a["experts"].central.length), EXACT),
    "schedulers.Scheduler": Call(lambda w: {}, None),
    "schedulers.Linear": Call(lambda w: {}, None),
    "schedulers.Polynomial": Call(lambda w: {"exponent": 2}, None),
    "schedulers.Cosine": Call(lambda w: {}, None),
    "schedulers.Windowed": Call(lambda w: {"overlap": w.number(1, 2)}, None, SYMBOLS),
    "schedulers.Given": Call(lambda w: {"kappa": w.t, "kappa_dot": w.t}, None),
    "schedulers.PerPosition": Call(lambda w: {"schedulers": [LINEAR, Polynomial(2)]}, None),
    "schedulers.Steps": Call(lambda w: {"table": [[0], [1]]}, None),
    "schedulers.Autoregressive": Call(lambda w: {"order": [1, 0]}, None),
    "schedulers.Autoregressive.positions": Call(lambda w: {"length": 2}, None, of=lambda w: Autoregressive([1, 0])),
    "schedulers.Convex": Call(lambda w: {"weights": [1 - S, S - S**2, S**2], "bases": w.rows(1, 2), "variable": S,
                                         "weights_dot": None, "grid": 4}, None),
    "sharpening.temperature": Call(lambda w: {"law": w.rows(2, 3), "inverse": 2}, lambda a: size(a["law"])),
    "sharpening.nucleus": Call(lambda w: {"law": w.pmf(3), "mass": w.number(1, 2)}, lambda a: size(a["law"]), SYMBOLS),
    "sharpening.greedy": Call(lambda w: {"law": w.pmf(3)}, lambda a: size(a["law"]), SYMBOLS),
    "sharpening.geometric_mixture": Call(lambda w: {"router": [1, 0], "laws": w.rows(2, 3)},
                                         lambda a: size(a["laws"])[1:], frozenset({"symbol", "roundoff"})),
    "stability.total_variation": Call(lambda w: {"p": w.rows(2, 3), "q": w.rows(2, 3)}, lambda a: size(a["p"])[:-1], SYMBOLS),
    "stability.kl_divergence": Call(lambda w: {"p": w.rows(2, 3), "q": w.rows(2, 3)}, lambda a: size(a["p"])[:-1]),
    "stability.mixture_tv_bound": Call(laws, lambda a: (), SYMBOLS),
    "stability.mixture_kl_bound": Call(laws, lambda a: ()),
    "stability.sequence_tv_bound": Call(chains, lambda a: (), SYMBOLS),
    "stability.sequence_kl": Call(chains, lambda a: ()),
    "stability.top_k_shift": Call(lambda w: {"router": w.pmf(2), "k": 1, "laws": w.rows(2, 3)}, lambda a: ((), ()), SYMBOLS),
    "stability.top_k_bound": Call(lambda w: {"router": w.rows(2, 3), "k": 1}, lambda a: size(a["router"])[1:], SYMBOLS),
    "velocities.choose_pivot": Call(lambda w: {"weights": LINEAR.weights(w.t, 2), "slopes": LINEAR.weights_dot(w.t, 2),
                                               "backward": True}, None),
    "velocities.conditional_velocity": Call(
        lambda w: {"weights": LINEAR.weights(w.t, 1)[:, 0], "slopes": LINEAR.weights_dot(w.t, 1)[:, 0],
                   "bases": w.rows(2, 3), "pivot": None}, lambda a: (size(a["bases"], -1),) * 2),
    "velocities.corrector_velocity": Call(
        lambda w: {"forward": marginal_velocity(w.coupling, LINEAR, w.t),
                   "backward": backward_velocity(w.coupling, LINEAR, w.t), "alpha": 2, "beta": 1},
        lambda a: size(a["forward"])),
    "velocities.velocity_conditions": Call(lambda w: {"velocity": w.u, "states": None}, None),
    "velocities.marginal_velocity": Call(lambda w: pair(w, pivot=None), lambda a: flow(a["coupling"])),
    "velocities.backward_velocity": Call(pair, lambda a: flow(a["coupling"])),
    "velocities.step_velocity": Call(lambda w: pair(w, t_next=w.t_next, pivot=None), lambda a: flow(a["coupling"])),
    "velocities.step_backward_velocity": Call(lambda w: pair(w, t_next=w.t_next), lambda a: flow(a["coupling"])),
    "velocities.velocity_at": Call(lambda w: pair(w, states=w.states), lambda a: at(a["coupling"], a["states"])),
    "velocities.step_velocity_at": Call(lambda w: pair(w, t_next=w.t_next, states=w.states),
                                        lambda a: at(a["coupling"], a["states"])),
}  # fmt: skip

for name in ("Coupling", "MaskedCoupling", "EmpiricalCoupling"):
    made = {"Coupling": lambda w: Coupling(w.pmf(2, 2)), "MaskedCoupling": lambda w: w.mask,
            "EmpiricalCoupling": lambda w: w.empirical}[name]  # fmt: skip
    if name != "EmpiricalCoupling":
        kernels = {"Coupling": lambda w: {"kernels": [w.pmf(2, 2, 2)]},
                   "MaskedCoupling": lambda w: {"kernels": [w.pmf(3, 3, 2)] * 2}}[name]  # fmt: skip
        CALLS[f"couplings.{name}.contract"] = Call(kernels, None, of=made)
        CALLS[f"couplings.{name}.reaches"] = Call(kernels, None, of=made)
    if name != "Coupling":
        states = lambda w: {"states": [[2, 0], [1, 2]]}  # noqa: E731
        CALLS[f"couplings.{name}.mass_at"] = Call(states, lambda a: size(a["states"])[:1], of=made)
        CALLS[f"couplings.{name}.reveal_at"] = Call(states, lambda a: (size(a["states"], 0), 2, 2), of=made)

for name, arguments, result in (
    ("paths", ("t",), lambda a: (len(a["self"]), *over(a["self"].central))),
    ("router", ("t",), lambda a: (len(a["self"]), *over(a["self"].central))),
    ("expert_velocities", ("t",), lambda a: (len(a["self"]), *flow(a["self"].central))),
    ("expert_step_velocities", ("t", "t_next"), lambda a: (len(a["self"]), *flow(a["self"].central))),
    ("velocity", ("t",), lambda a: flow(a["self"].central)),
    ("step_velocity", ("t", "t_next"), lambda a: flow(a["self"].central)),
    ("router_at", ("t", "states"), lambda a: (len(a["self"]), size(a["states"], 0))),
    ("velocity_at", ("t", "states"), lambda a: at(a["self"].central, a["states"])),
    ("step_velocity_at", ("t", "t_next", "states"), lambda a: at(a["self"].central, a["states"])),
):  # fmt: skip
    CALLS[f"decentralization.Decentralization.{name}"] = Call(
        lambda w, names=arguments: {"scheduler": LINEAR, **{key: getattr(w, key) for key in names}},
        result, of=lambda w: w.experts)  # fmt: skip


class Own(Scheduler):
    """The least that a schedule of one's own must define: what else it has is the abstract class's."""

    def _formula(self, t, length):
        return (t**2,) * length

    def _values(self, time, length):
        return LINEAR.kappa(time, length) ** 2

    def _slopes(self, time, length):
        return LINEAR.kappa(time, length) * 2


CONTINUOUS = {
    "Scheduler": lambda w: Own(),
    "Linear": lambda w: LINEAR,
    "Polynomial": lambda w: Polynomial(2),
    "Cosine": lambda w: Cosine(),
    "Windowed": lambda w: Windowed(0),
    "Given": lambda w: Given(w.t, w.t),
    "PerPosition": lambda w: PerPosition([LINEAR, Polynomial(2)]),
    "Convex": lambda w: CONVEX,
}
DISCRETE = {"Steps": lambda w: Steps([[0, 0], [1, 1]]), "Autoregressive": lambda w: Autoregressive([1, 0])}
NO_INVERSE, NO_FORMULA = {"Scheduler", "Given", "Convex", *DISCRETE}, {"Given", *DISCRETE}
for name, made in {**CONTINUOUS, **DISCRETE}.items():
    irrational = {"Cosine": frozenset({"rational", "roundoff"}), "Convex": frozenset({"roundoff"})}.get(name, NONE)
    for method, refuses, result in (
        ("kappa", irrational, lambda a: (a["length"],)),
        ("kappa_dot", ALL if name in DISCRETE else irrational, lambda a: (a["length"],)),
        ("weights", irrational, lambda a: (2, a["length"])),
        ("weights_dot", ALL if name in DISCRETE else irrational, lambda a: (2, a["length"])),
    ):
        CALLS[f"schedulers.{name}.{method}"] = Call(
            lambda w, name=name: {"t": 1 if name in DISCRETE else w.t, "length": 2}, result, refuses, made
        )
    CALLS[f"schedulers.{name}.inverse"] = Call(
        lambda w: {"kappa": 0.5, "length": 2}, lambda a: (a["length"],), ALL if name in NO_INVERSE else NONE, made)  # fmt: skip
    for method, key, without in (("formula", "t", NO_FORMULA), ("inverse_formula", "kappa", NO_INVERSE)):
        CALLS[f"schedulers.{name}.{method}"] = Call(
            lambda w, key=key: {key: S, "length": 2}, None, ALL if name in without else NONE, made)  # fmt: skip
    CALLS[f"schedulers.{name}.breakpoints"] = Call(lambda w: {"length": 2}, None, NONE, made)


def public_names():
    """Every name in a room's ``__all__``, and the public methods of its classes that are defined in the package.

    Of ``arrays`` the modules are public that take what anybody gives; what takes arrays that have passed one of these
    doors, and so trusts them, is named by its module too, so that a module of neither kind is none of these rooms.
    """
    yield from public_of_arrays()
    for room in ROOMS:
        module = importlib.import_module(f"ddfm_theory.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value) or (inspect.isclass(value) and not is_dataclass(value)):  # a record only holds
                yield f"{room}.{name}"
            for method in dir(value) if inspect.isclass(value) else ():
                if not method.startswith("_") and callable(getattr(value, method)):
                    yield f"{room}.{name}.{method}"


def public_of_arrays():
    """The functions of the doors, and the methods of the entries, whose constructors only hold what these make."""
    for name in arrays.__all__:
        value = getattr(arrays, name)
        if value is Any:  # what ``Array`` stands for
            continue
        module = getattr(value, "__module__", "").removeprefix("ddfm_theory.arrays.")
        if inspect.isclass(value) and module in ENTRIES:
            yield from (f"arrays.{name}.{method}" for method in dir(value)
                        if not method.startswith("_") and callable(getattr(value, method)))  # fmt: skip
        elif callable(value) and module not in TRUSTING:
            yield f"arrays.{name}"


def target(name, w):
    """The function of a row, bound to what it is of and to what its caller fixes."""
    of, through = CALLS[name].of, CALLS[name].through
    room, _, rest = name.partition(".")
    found = (
        getattr(of(w), name.rpartition(".")[2]) if of else getattr(importlib.import_module(f"ddfm_theory.{room}"), rest)
    )
    return (lambda **given: through(found, given, w)) if through else found


def wanted(name, w, arguments):
    """The shape that the table promises for these arguments; None where it promises none."""
    of = CALLS[name].of
    return CALLS[name].shape and CALLS[name].shape({**arguments, "self": of and of(w)})
