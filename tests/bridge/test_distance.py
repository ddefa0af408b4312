import copy

import numpy as np
import pytest
import torch

from bridge.bounds import near, text_bound
from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import BayesFilter, CheckpointExpert, Ensemble, FixedPrior
from ddfm_theory.bridge.distance import MEASURES, compare

ANSWERS = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14]]
PRIOR = [0.2, 0.5, 0.3]
ROUNDING = gamma(np.float32, 2 * 40)  # the mixture's law is held in float32, log-probabilities below 40 in size


class Central:
    """The dense model that the theory names: its law is the mixture of the experts' sequence laws, by definition."""

    def __init__(self, experts, prior):
        self.experts, self.prior, self.vocabulary = experts, torch.log(torch.tensor(prior)).double(), 40

    def prefill(self, prompts, features=None):
        out = copy.copy(self)
        out.parts = [expert.prefill(prompts) for expert in self.experts]
        out.joint = self.prior[:, None].repeat(1, len(prompts))
        return out

    @property
    def log_law(self):
        laws = torch.stack([part.log_law.double() for part in self.parts])
        whole = torch.logsumexp(self.joint[:, :, None] + laws, 0)
        return whole - torch.logsumexp(self.joint, 0)[:, None]

    def step(self, tokens):
        for k, part in enumerate(self.parts):
            self.joint[k] += part.log_law.gather(1, tokens[:, None])[:, 0].double()
            part.step(tokens)


@pytest.fixture(scope="module")
def trio(make_expert):
    return [make_expert("llama", seed) for seed in (0, 1, 2)]


def test_an_ensemble_with_the_filter_is_its_central_model(trio, make_prompts):
    found = compare(Ensemble(trio, BayesFilter(FixedPrior(PRIOR))), Central(trio, PRIOR), make_prompts(), ANSWERS)
    assert found.values["tv"].max() <= ROUNDING
    assert np.abs(found.values["kl"]).max() <= ROUNDING
    assert np.abs(found.values["nll_gap"]).max() <= ROUNDING
    assert found.means("agreement").tolist() == [1, 1, 1]
    first = -(np.array(PRIOR) * np.log(PRIOR)).sum()
    assert found.values["router_entropy"][:, 0] == near(first, 32)


def test_a_static_router_is_not(trio, make_prompts):
    found = compare(Ensemble(trio, FixedPrior(PRIOR)), Central(trio, PRIOR), make_prompts(), ANSWERS)
    assert found.values["tv"][:, 0].max() <= ROUNDING
    assert found.values["tv"][:, 1:].max() > 0.01
    slack = gamma(np.float64, 40 + 16) * 40  # V terms of the KL, logarithms below 40
    assert (found.values["tv"] <= np.sqrt((np.maximum(found.values["kl"], 0) + slack) / 2)).all()  # Pinsker


def test_measures_agree_with_scores_and_stop_at_the_answers_end(trio, make_prompts):
    ensemble, dense = Ensemble(trio[:2], BayesFilter(FixedPrior([0.5, 0.5])), gate=1), trio[2]
    found = compare(ensemble, dense, make_prompts(), ANSWERS)
    alone = Ensemble([dense], FixedPrior([1.0])).score(make_prompts(), ANSWERS).log_likelihoods
    gap = alone - ensemble.score(make_prompts(), ANSWERS).log_likelihoods
    bound = 2 * text_bound(trio, make_prompts(), max(map(len, ANSWERS)))
    assert np.abs(found.values["nll_gap"].sum(1) - gap.numpy()).max() <= bound
    for name in MEASURES:
        for b, answer in enumerate(ANSWERS):
            assert (found.values[name][b, len(answer) :] == 0).all()


def test_the_summary_is_by_cluster(trio, make_prompts):
    found = compare(Ensemble(trio, FixedPrior(PRIOR)), trio[0], make_prompts(), ANSWERS)
    summary = found.summary(clusters=[0, 1, 1])
    assert list(summary) == ["all", "0", "1"]
    assert summary["0"]["kl"]["n"] == 1
    assert summary["all"]["kl"]["low"] <= summary["all"]["kl"]["mean"] <= summary["all"]["kl"]["high"]
    assert summary["1"]["tv"]["mean"] == near(found.means("tv")[1:].mean(), 8)


def test_another_vocabulary_is_refused(trio, make_prompts):
    from bridge.tiny_models import llama

    with pytest.raises(ValueError, match="one vocabulary"):
        compare(Ensemble(trio, FixedPrior(PRIOR)), CheckpointExpert(llama(0, 41)), make_prompts(), ANSWERS)
