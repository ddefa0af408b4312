"""Tiny transformers, denoisers and flows: each learns its own shard alone; a sampler is judged by its exact law."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from ddfm_theory.arrays import gamma
from ddfm_theory.couplings import MaskedCoupling
from ddfm_theory.objectives import denoiser
from ddfm_theory.sampling import sampler_law, static_law
from ddfm_theory.schedulers import Linear, Windowed
from toy_models.denoisers import Fitting, hidden_states, learned_denoisers, learned_state_router
from toy_models.flows import Flow, distance, flow_law, measured, of_couplings
from toy_models.routing import Experts
from toy_models.targets import draw, mixture_of_chains
from toy_models.transformer import Llamas, Training, parameters, train

SLACK = gamma("float64", 100_000)
TINY = Training(width=8, layers=1, steps=12, batch=8, checkpoints=(6, 12))
NETS = Fitting(width=16, steps=60, batch=64)
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def target():
    return mixture_of_chains("overlapping", 2, 3, 3, 0)


@pytest.fixture(scope="module")
def shards(target):
    rows, labels = draw(target, 4000, 0)
    return [rows[labels == k] for k in range(2)]


def test_a_transformer_is_its_seed_and_gives_laws(shards):
    one, two, other = (train(shards, 3, TINY, seed) for seed in (0, 0, 1))
    assert list(one) == [6, 12]
    assert (one[12] == two[12]).all()
    assert not (one[12] == other[12]).all()
    assert one[12].shape == (2, 3, 3, 3)
    assert abs(one[12].sum(axis=(1, 2, 3)) - 1).max() <= SLACK


def test_an_expert_never_sees_another_shard(shards):
    """Another second shard changes the second expert and leaves the first one's bytes alone."""
    both, swapped = train(shards, 3, TINY, 0)[12], train([shards[0], shards[1] * 0], 3, TINY, 0)[12]
    assert (both[0] == swapped[0]).all()
    assert not (both[1] == swapped[1]).all()


def test_experts_start_alike_and_step_as_one_that_is_alone(shards):
    """Stepped together, an expert is the model that half the batch trains alone, up to float32's rounding a step."""
    start = Llamas(2, 3, 3, TINY, 0)
    assert all((weight[0] == weight[1]).all() for weight in start.weights.values())
    short = Training(width=8, layers=1, steps=1, batch=8, rate=1e-2, checkpoints=(1,))
    half = Training(width=8, layers=1, steps=1, batch=4, rate=1e-2, checkpoints=(1,))
    together, alone = train(shards, 3, short, 0)[1][0], train(shards[:1], 3, half, 0)[1][0]
    assert distance(together, alone) <= gamma("float32", 8 * parameters(3, 3, short))


def test_the_law_is_the_product_of_what_the_model_says():
    models = Llamas(1, 3, 3, TINY, 0)
    law, row = models.laws()[0], torch.tensor([[2, 0, 1]])
    weights = {name: weight[0] for name, weight in models.weights.items()}
    with torch.no_grad():
        steps = torch.softmax(models._logits(weights, row[:, :-1]).double(), dim=-1)[0]
    due = float(steps[0, 2] * steps[1, 0] * steps[2, 1])
    assert abs(law[2, 0, 1] - due) <= gamma("float32", 8 * parameters(3, 3, TINY)) * due
    loss = float(models.loss(row[None]).detach())
    assert loss == pytest.approx(-np.log(due) / 3, rel=1e-5)  # float32


def test_a_transformer_learns_its_chain(target, shards):
    sizes = Training(width=16, layers=1, steps=150, batch=32, rate=1e-2, checkpoints=(1, 150))
    found, truth = train(shards, 3, sizes, 0), Experts.of(target)
    for k in range(2):
        assert distance(found[150][k], truth.laws[k]) < distance(found[1][k], truth.laws[k]) / 3


def test_hiding_hides_one_token_at_least_and_every_number_alike():
    rows = np.zeros((6000, 3), dtype=int)
    hidden = (hidden_states(rows, 9, np.random.default_rng(0)) == 9).sum(axis=1)
    assert hidden.min() == 1
    assert abs(np.bincount(hidden)[1:] / 6000 - 1 / 3).max() < 5 * (2 / 9 / 6000) ** 0.5  # five standard deviations


def test_denoisers_learn_their_shard_alone(target, shards):
    laws = learned_denoisers(shards, 3, NETS, 0)
    swapped = learned_denoisers([shards[0], shards[1] * 0], 3, NETS, 0)
    assert (laws[0] == swapped[0]).all()
    assert not (laws[1] == swapped[1]).all()
    sums = laws.sum(axis=-1)
    states = np.indices((4,) * 3)
    for i in range(3):
        assert (sums[..., i][:, states[i] != 3] == 0).all()
        assert abs(sums[..., i][:, states[i] == 3] - 1).max() <= SLACK
    exact = np.stack([denoiser(coupling) for coupling in target.couplings])
    reached = np.stack([coupling.revealed for coupling in target.couplings])[..., None, None]
    own, crossed = ((reached * np.abs(laws - exact[order])).sum() for order in ([0, 1], [1, 0]))
    assert own < crossed / 2


def test_a_router_of_states_learns_the_posterior(target, shards):
    rows = np.concatenate(shards)
    labels = np.repeat([0, 1], [len(shard) for shard in shards])
    router = learned_state_router(rows, labels, 2, 3, Fitting(width=16, steps=300, batch=128), 0)
    assert abs(router.sum(axis=0) - 1).max() <= SLACK
    exact = target.router(Linear(), 0.5)
    weight = target.central.revealed
    assert (weight * np.abs(router - exact)).sum() < 0.5 * (weight * np.abs(0.5 - exact)).sum()


@pytest.mark.parametrize("overlap", [Fraction(0), Fraction(1, 3), Fraction(1)])
@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_denoisers_sampler_is_the_couplings_and_mixing_changes_nothing(target, overlap, steps):
    scheduler, times = Windowed(overlap), [float(t) for t in np.linspace(0, 1, steps + 1)]
    due, data = sampler_law(target.central, scheduler, times), (slice(3),) * 3
    found = {flow.model: flow_law(flow.law, scheduler, steps) for flow in of_couplings("exact", target.central, target)}
    assert distance(found["central"], due[data]) <= SLACK
    assert distance(found["bayes"], due[data]) <= SLACK
    assert distance(found["static"], static_law(target, scheduler, times)[data]) <= SLACK
    if steps > 1:
        assert distance(found["static"], due[data]) > 0.001


def test_what_is_measured_of_a_flow(target):
    uniform = Flow("network", "central", denoiser(MaskedCoupling(np.full((3,) * 3, 1 / 27))))
    exact = list(of_couplings("exact", target.central, target))
    errors, losses = measured(target, [*exact, uniform], [Fraction(1, 2)], [1, 3])
    assert len(errors) == 4 * 2
    assert [row["to_central"] for row in errors if row["model"] == "central"] == [0] * 4
    entropy = -(target.central.target * np.log(target.central.target)).sum()
    elbo = {(row["learner"], row["model"]): row["elbo"] for row in losses}
    assert abs(elbo["exact", "central"] - entropy) <= SLACK * entropy
    assert abs(elbo["exact", "bayes"] - entropy) <= SLACK * entropy
    assert elbo["exact", "static"] > entropy + 0.01
    assert abs(elbo["network", "central"] - 3 * np.log(3)) <= SLACK * 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: train([np.zeros((1, 3), dtype=int)] * 3, 2, TINY, 0), "share 8 rows a step evenly"),
        (lambda: train([np.zeros((0, 3), dtype=int)], 2, TINY, 0), "shards must hold rows"),
        (lambda: learned_denoisers([np.zeros((1, 3), dtype=int)] * 3, 2, NETS, 0), "share 64 rows a step evenly"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
