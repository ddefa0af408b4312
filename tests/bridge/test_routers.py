import itertools
import json

import numpy as np
import pytest
import torch

from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import (
    BayesFilter,
    CosineRouter,
    DistanceRouter,
    FixedPrior,
    LastToken,
    LinearRouter,
    PaperRouter,
    Product,
)
from ddfm_theory.bridge.feature_routers import CHANGE
from ddfm_theory.bridge.router_files import load_router, read_paper_router, save_router
from ddfm_theory.bridge.routers import Router, check_log_law
from ddfm_theory.decentralization import bayes_filter, router_posterior

RNG = np.random.default_rng(0)
CENTROIDS, FEATURES = RNG.normal(size=(3, 5)), RNG.normal(size=(7, 5))
BOUND = gamma(np.float64, 2000)  # logarithms and exponentials of arguments below 100, sums of at most 12 terms
PRIORS = {
    "fixed": FixedPrior([0.2, 0.5, 0.3]),
    "cosine": CosineRouter(CENTROIDS, 0.1),
    "paper": PaperRouter(CENTROIDS),
    "two-stage": PaperRouter(RNG.normal(size=(6, 5)), [0, 1, 2, 2, 1, 0]),
    "distance": DistanceRouter(CENTROIDS, 0.7),
    "linear": LinearRouter(CENTROIDS, [0.1, -0.2, 0.0]),
    "product": Product([CosineRouter(CENTROIDS, 0.3), FixedPrior([0.2, 0.5, 0.3])]),
}


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_is_a_log_law_over_experts(name):
    law = PRIORS[name].prior(torch.tensor(FEATURES), 7)
    assert law.shape == (3, 7)
    assert check_log_law(law) is law


def test_priors_by_their_formulas():
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    axes = CENTROIDS / np.linalg.norm(CENTROIDS, axis=1, keepdims=True)
    cosines = axes @ unit.T
    hot = np.exp(cosines / 0.1)
    assert np.abs(PRIORS["cosine"].prior(torch.tensor(FEATURES), 7).exp().numpy() - hot / hot.sum(0)).max() < BOUND
    squared = ((CENTROIDS[:, None] - FEATURES[None]) ** 2).sum(-1)
    near = np.exp(-squared / 0.7)
    assert np.abs(PRIORS["distance"].prior(torch.tensor(FEATURES), 7).exp().numpy() - near / near.sum(0)).max() < BOUND
    assert PRIORS["paper"].prior(torch.tensor(FEATURES), 7).argmax(0).tolist() == cosines.argmax(0).tolist()
    both = np.exp(cosines / 0.3) * np.array([0.2, 0.5, 0.3])[:, None]
    assert np.abs(PRIORS["product"].prior(torch.tensor(FEATURES), 7).exp().numpy() - both / both.sum(0)).max() < BOUND


def test_cosine_goes_to_the_papers_rule_as_it_cools():
    cold = CosineRouter(CENTROIDS, 1e-4).prior(torch.tensor(FEATURES), 7).exp()
    assert torch.equal(cold.argmax(0), PRIORS["paper"].prior(torch.tensor(FEATURES), 7).argmax(0))
    assert float(cold.max(0).values.min()) > 0.999


def test_two_stages_compare_with_fine_centroids():
    fine = np.array([[1.0, 0, 0], [0, 1, 0], [0.8, 0.6, 0], [0, 0, 1]])
    router = PaperRouter(fine, [0, 1, 1, 0])
    feature = torch.tensor([[0.85, 0.53, 0.0]])  # nearer to fine centroid 2, whose expert is 1
    assert router.prior(feature, 1).argmax(0).tolist() == [1]
    coarse = PaperRouter(np.array([[1.0, 0, 0.2], [0.2, 1, 0]]))  # what comparing with coarse ones would say
    assert coarse.prior(feature, 1).argmax(0).tolist() == [0]


def run(router, likelihoods):
    prior = router.prior(None, likelihoods.shape[1])
    current, path = prior, [prior]
    for t in range(likelihoods.shape[2]):
        current = router.update(prior, current, torch.log(likelihoods[:, :, t]))
        path.append(current)
    return torch.stack(path, dim=2).exp()


def test_the_filter_is_the_linear_one_and_the_posterior():
    likelihoods = torch.tensor(np.random.default_rng(1).uniform(0.05, 1, size=(3, 2, 6)))
    prior = PRIORS["fixed"].weights
    found = run(BayesFilter(PRIORS["fixed"]), likelihoods)
    for b in range(2):
        assert float((found[:, b] - bayes_filter(prior, likelihoods[:, b])).abs().max()) < BOUND
    whole = router_posterior(prior, likelihoods.prod(dim=2))
    assert float((found[:, :, -1] - whole).abs().max()) < BOUND


def test_the_last_token_rule_forgets():
    likelihoods = torch.tensor(np.random.default_rng(1).uniform(0.05, 1, size=(3, 2, 6)))
    found = run(LastToken(PRIORS["fixed"]), likelihoods)
    last = router_posterior(PRIORS["fixed"].weights, likelihoods[:, :, -1])
    assert float((found[:, :, -1] - last).abs().max()) < BOUND
    assert float((found[:, :, -1] - run(BayesFilter(PRIORS["fixed"]), likelihoods)[:, :, -1]).abs().max()) > 0.01


def test_the_exact_next_token_law_needs_the_filter():
    """Two experts over sequences of length 3: the filter gives the central law, the other rules do not."""
    laws = np.random.default_rng(1).dirichlet(np.ones(8), size=2).reshape(2, 2, 2, 2)
    prior = np.array([0.3, 0.7])
    central = np.tensordot(prior, laws, 1)
    gaps = {BayesFilter: 0.0, LastToken: 0.0}
    for rule, (a, b) in itertools.product(gaps, itertools.product(range(2), repeat=2)):
        seen = np.stack([laws[:, a].sum((1, 2)), laws[:, a, b].sum(1) / laws[:, a].sum((1, 2))], 1)
        weights = run(rule(FixedPrior(prior)), torch.tensor(seen)[:, None])[:, 0, -1].numpy()
        mixed = weights @ (laws[:, a, b] / laws[:, a, b].sum(1, keepdims=True))
        gaps[rule] = max(gaps[rule], np.abs(mixed - central[a, b] / central[a, b].sum()).max())
    assert gaps[BayesFilter] < BOUND
    assert gaps[LastToken] > 0.01


def test_a_linear_router_learns_the_posterior():
    many = np.random.default_rng(1).normal(size=(400, 5))
    labels = PRIORS["paper"].prior(torch.tensor(many), 400).argmax(0)
    fitted = LinearRouter.fit(many, labels, 3)
    assert float((fitted.prior(torch.tensor(many), 400).argmax(0) == labels).double().mean()) > 0.97
    constant = LinearRouter.fit(np.ones((10, 1)), [0] * 7 + [1] * 3, 2, decay=0.0)
    assert constant.prior(torch.ones(1, 1), 1).exp()[:, 0].tolist() == pytest.approx([0.7, 0.3], rel=0, abs=CHANGE**0.5)


@pytest.mark.parametrize("router", [
    *PRIORS.values(), BayesFilter(PRIORS["cosine"]), LastToken(PRIORS["fixed"]), BayesFilter(PRIORS["product"]),
], ids=lambda r: r.kind)  # fmt: skip
def test_saved_routers_come_back_equal(router, tmp_path):
    save_router(router, tmp_path)
    again = load_router(tmp_path)
    assert type(again) is type(router)
    features = torch.tensor(FEATURES)
    assert torch.equal(again.prior(features, 7), router.prior(features, 7))


def test_the_papers_own_files_are_read(tmp_path):
    with pytest.raises(ValueError, match=r"clustering_centroids.npy, or"):
        read_paper_router(tmp_path)
    np.save(tmp_path / "clustering_centroids.npy", CENTROIDS.astype(np.float32))
    one = read_paper_router(tmp_path)
    assert one.prior(torch.tensor(FEATURES), 7).equal(PRIORS["paper"].prior(torch.tensor(FEATURES), 7))
    fine, mapping = np.random.default_rng(1).normal(size=(6, 5)), np.array([0, 1, 2, 2, 1, 0])
    np.save(tmp_path / "clustering_fine_centroids.npy", fine)
    np.save(tmp_path / "clustering_fine_to_coarse_mapping.npy", mapping)
    two = read_paper_router(tmp_path)
    assert two.prior(torch.tensor(FEATURES), 7).equal(PaperRouter(fine, mapping).prior(torch.tensor(FEATURES), 7))
    np.save(tmp_path / "clustering_fine_to_coarse_mapping.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(ValueError, match="plain NumPy array"):
        read_paper_router(tmp_path)
    np.save(tmp_path / "clustering_fine_to_coarse_mapping.npy", np.array(["0", "1"]))
    with pytest.raises(ValueError, match=r"mapping.npy must hold numbers, held <U1"):
        read_paper_router(tmp_path)


def test_the_papers_mean_is_taken_before_features_are_normalized(tmp_path):
    """Far from the origin every raw feature is nearest to one centroid; about their mean they part."""
    features = 10 * np.ones(5) + np.vstack([CENTROIDS, -CENTROIDS[:1], CENTROIDS[::-1]])
    mean = (10 * np.ones(5)).astype(np.float32)
    np.save(tmp_path / "clustering_centroids.npy", CENTROIDS)
    plain = read_paper_router(tmp_path)
    np.save(tmp_path / "clustering_global_mean.npy", mean)
    centred = read_paper_router(tmp_path)
    assert (plain.raw, centred.raw, BayesFilter(centred).raw) == (False, True, True)
    moved = torch.tensor(features) - torch.tensor(mean).double()
    assert centred.prior(torch.tensor(features), 7).equal(plain.prior(moved, 7))
    assert centred.prior(torch.tensor(features), 7).argmax(0)[:3].tolist() == [0, 1, 2]
    assert not centred.prior(torch.tensor(features), 7).equal(plain.prior(torch.tensor(features), 7))
    (tmp_path / "saved").mkdir()
    save_router(centred, tmp_path / "saved")
    assert load_router(tmp_path / "saved").prior(torch.tensor(features), 7).equal(centred.prior(moved + 10, 7))
    assert Product([centred, FixedPrior.uniform(3)]).raw
    with pytest.raises(ValueError, match="features of one length"):
        Product([centred, LinearRouter(CENTROIDS)])
    np.save(tmp_path / "clustering_global_mean.npy", mean[:4])
    with pytest.raises(ValueError, match=r"mean must have shape \(5,\), was \(4,\)"):
        read_paper_router(tmp_path)


def test_a_damaged_router_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"config.json"):
        load_router(tmp_path)
    save_router(PRIORS["cosine"], tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**tree, "kind": "magic"}))
    with pytest.raises(ValueError, match="'magic'"):
        load_router(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**tree, "tensors": ["weights"]}))
    with pytest.raises(ValueError, match="must hold 'weights'"):
        load_router(tmp_path)
    for damage in [], {**tree, "settings": {"heat": 1}}, {**tree, "tensors": []}, {**tree, "parts": 3}:
        (tmp_path / "config.json").write_text(json.dumps(damage))
        with pytest.raises(ValueError, match="must hold a router's kind, settings, tensors, parts"):
            load_router(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="router's folder that can be read"):
        load_router(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(tree))
    (tmp_path / "router.safetensors").write_bytes(b"short")
    with pytest.raises(ValueError, match="router's folder that can be read"):
        load_router(tmp_path)

    class Own(Router):
        kind = "own"

    with pytest.raises(ValueError, match="'own'"):
        save_router(Own(), tmp_path)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: CosineRouter(CENTROIDS).prior(None, 7), "features must be given"),
    (lambda: CosineRouter(CENTROIDS).prior(torch.tensor(FEATURES), 6), r"features must have shape \(6, 5\)"),
    (lambda: CosineRouter(CENTROIDS).prior(torch.full((1, 5), torch.nan), 1), "features must be finite, row 0"),
    (lambda: CosineRouter(CENTROIDS).prior(torch.zeros(1, 5), 1), "no zero row"),
    (lambda: CosineRouter(CENTROIDS, 0), "temperature"),
    (lambda: CosineRouter(CENTROIDS[0]), "centroids must be a finite matrix"),
    (lambda: FixedPrior([0.5, 0.6]), "weights must sum to one"),
    (lambda: FixedPrior([[0.5, 0.5]]), "weights must have shape"),
    (lambda: PaperRouter(CENTROIDS, [0, 0, 2]), "mapping must send"),
    (lambda: LinearRouter(CENTROIDS, [1.0]), "bias"),
    (lambda: LinearRouter.fit(FEATURES, [3] * 7, 3), "labels"),
    (lambda: Product([]), "factors"),
    (lambda: Product([BayesFilter(PRIORS["fixed"])]), "static routers"),
    (lambda: BayesFilter(LastToken(PRIORS["fixed"])), "counted twice"),
    (lambda: Product([FixedPrior([0.0, 1.0]), FixedPrior([1.0, 0.0])]).prior(None, 2), "leave each row an expert"),
    (lambda: check_log_law(torch.zeros(2, 3)), "off one by"),
])  # fmt: skip
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
