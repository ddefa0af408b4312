"""flow_matching's published path and solver as systems under test; a comparator, never a dependency."""

import numpy as np
import torch
from flow_matching.path import MixtureDiscreteProbPath
from flow_matching.path.scheduler import CosineScheduler, PolynomialConvexScheduler
from flow_matching.solver import MixtureDiscreteEulerSolver
from flow_matching.utils import ModelWrapper
from right import JOINT, MASKED, TWO_WAYS, floats

from ddfm_theory.ledger import oracle
from ddfm_theory.schedulers import Polynomial
from ddfm_theory.testing.adapters import from_posteriors

STEPS = 16


def posterior(coupling, exponent):
    """The exact posterior of the target's tokens given x_t, as a perfect network would give it: logits."""

    def model(x, t):
        kappa = t.numpy() ** exponent
        laws = np.stack([_posterior_at(coupling, tuple(row), k) for row, k in zip(x.tolist(), kappa, strict=True)])
        return torch.log(torch.as_tensor(laws))

    return model


def _posterior_at(coupling, z, kappa):
    weights, laws = Polynomial(1).weights(float(kappa), len(z)), np.zeros((len(z), coupling.size))
    for x0, x1, mass in oracle.pairs(coupling):
        joint = mass * oracle.conditional(Polynomial(1), weights, x0, x1, z)
        laws[np.arange(len(z)), list(x1)] += joint
    total = laws.sum(-1, keepdims=True)
    if (
        coupling.masked and not total.any()
    ):  # a state that the path never reaches: what is shown stays, the rest is even
        hidden = np.array(z) == coupling.mask
        laws[np.arange(len(z)), z] = ~hidden
        laws[hidden, : coupling.vocabulary] = 1 / coupling.vocabulary
        return laws
    return laws / total


class Probabilities(ModelWrapper):
    def __init__(self, model):
        super().__init__(torch.nn.Identity())
        self.logits = model

    def forward(self, x, t, **extras):
        unique, place = torch.unique(x, dim=0, return_inverse=True)
        return torch.softmax(self.logits(unique, t[: len(unique)]), dim=-1)[place]


def solver(coupling, exponent):
    path = MixtureDiscreteProbPath(PolynomialConvexScheduler(n=exponent))
    model = Probabilities(posterior(coupling, exponent))
    run = MixtureDiscreteEulerSolver(model=model, path=path, vocabulary_size=coupling.size)

    def sample(count, seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            start = torch.full((count, coupling.length), coupling.size - 1)
            grid = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
            return run.sample(x_init=start, step_size=None, time_grid=grid, dtype_categorical=torch.float64).numpy()

    return sample


def of(name, experts, exponent, sample=None):
    models = [posterior(coupling, exponent) for coupling in experts.couplings]
    path = MixtureDiscreteProbPath(PolynomialConvexScheduler(n=exponent))
    return from_posteriors(name, models, experts.weights, path, coupling=experts.central,
                           couplings=experts.couplings, sample=sample)  # fmt: skip


masked = of("flow_matching, masked source", floats(MASKED), 2.0, solver(floats(MASKED).central, 2.0))
linear = of("flow_matching, any source", floats(JOINT), 1.0)
tied = of("flow_matching, 00 or 11", floats(TWO_WAYS), 1.0, solver(floats(TWO_WAYS).central, 1.0))


def cosine():
    """The published cosine scheduler on the published discrete path."""
    experts = floats(MASKED)
    models = [posterior(coupling, 1.0) for coupling in experts.couplings]
    return from_posteriors(
        "flow_matching, cosine", models, experts.weights, lambda: MixtureDiscreteProbPath(CosineScheduler()),
        coupling=experts.central, couplings=experts.couplings,
    )  # fmt: skip
