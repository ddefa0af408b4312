"""Routing, mismatch, files."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddfm_theory.arrays import gamma
from ddfm_theory.decentralization import top_k_gate
from ddfm_theory.partition import Partition, load_paper, spherical_balanced_kmeans, storage, two_stage_kmeans
from ddfm_theory.partition.rows import Rows

SETTINGS = settings(max_examples=40, deadline=None)


def skewed(n=2000, width=16, seed=0):
    """Two clouds, three to one, wide enough to touch."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(2, width))
    which = (np.arange(n) < n // 4).astype(int)
    return (centers[which] + 0.8 * rng.normal(size=(n, width))).astype(np.float32)


X = skewed()
FOUND = spherical_balanced_kmeans(X, 2)
FOUR = spherical_balanced_kmeans(X, 4, seed=1, weights=1 + np.arange(2000) % 3)
STAGED = two_stage_kmeans(X, 3, n_fine=24)


def test_balanced_labels_and_argmax_are_two_rules():
    """The paper's practice on a skewed toy: exactly balanced labels, far from balanced routing."""
    found = FOUND.mismatch(X)
    assert found.label_sizes.tolist() == FOUND.sizes.tolist() == [1000, 1000]
    assert abs(found.routed_sizes - 1000).max() > 150
    assert found.share > 0.08
    assert found.moves.sum(axis=0).tolist() == found.routed_sizes.tolist()
    assert found.share == pytest.approx(1 - np.trace(found.moves) / 2000)


def test_prices_are_the_balanced_labels_own_rule():
    for partition in (FOUND, spherical_balanced_kmeans(X, 5)):
        assert partition.mismatch(X, rule="prices").share == 0
        assert (partition.route(X, rule="prices").argmax(axis=1) == partition.labels).all()


def test_priced_scores_are_the_assignments_own_costs():
    """To the tick: a margin finer than float32's would otherwise be decided in two ways."""
    view = Rows(X)
    ticks = view.ticks(view.source, view.scale, FOUND.centroids)
    scores = FOUND.scores(X, rule="prices") + FOUND.prices
    np.testing.assert_array_equal(scores * 2**29, 2**29 - ticks)


def test_mismatch_sees_planted_labels():
    planted = Partition(centroids=FOUND.centroids, labels=FOUND.labels[::-1], prices=FOUND.prices)
    assert planted.mismatch(X, rule="prices").share > 0.3


def test_argmax_labels_have_no_mismatch():
    relabelled = Partition(centroids=FOUND.centroids, labels=FOUND.assign(X))
    assert relabelled.mismatch(X).share == 0
    assert str(relabelled.mismatch(X)).startswith("centroids: 0.00% of 2000 rows differ")


@given(st.integers(1, 4), st.floats(1e-3, 1e3), st.sampled_from(["centroids", "prices"]))
@SETTINGS
def test_weights_are_a_law_on_the_best_k(top_k, temperature, rule):
    weights = FOUR.route(X[:50], top_k=top_k, temperature=temperature, rule=rule)
    assert weights.shape == (50, 4)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=0, atol=gamma("float64", 4 + 2))
    assert ((weights > 0).sum(axis=1) <= top_k).all()
    scores = FOUR.scores(X[:50], rule).astype(np.float64)
    soft = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    central = top_k_gate((soft / soft.sum(axis=1, keepdims=True)).T, top_k).T
    if temperature > 0.1:  # below, the full softmax underflows where the gated one need not
        spread = (
            np.ptp(scores, axis=1).max() / temperature
        )  # an exponent's rounding is the exponential's, times its size
        np.testing.assert_allclose(weights, central, rtol=gamma("float64", int(4 * spread) + 20), atol=0)


def test_one_expert_is_one_hot():
    weights = FOUR.route(X)
    assert set(np.unique(weights)) == {0.0, 1.0}
    assert (weights.argmax(axis=1) == FOUR.assign(X)).all()


def test_the_zero_row_is_routed_to_the_first_or_to_all():
    zero = np.zeros((1, 16))
    assert FOUR.route(zero).tolist() == [[1, 0, 0, 0]]
    assert FOUR.route(zero, top_k=4).tolist() == [[0.25] * 4]


def test_fine_scores_are_the_best_of_an_experts_fine_centroids():
    scores = STAGED.scores(X, rule="fine")
    every = X / np.linalg.norm(X, axis=1, keepdims=True) @ STAGED.fine_centroids.T
    for k in range(3):
        best = every[:, STAGED.fine_to_coarse == k].max(axis=1)
        np.testing.assert_allclose(scores[:, k], best, rtol=0, atol=2 * gamma("float32", 2 * 16 + 4))


BAD_ROUTES = [
    ({"top_k": 0}, "top_k"),
    ({"top_k": 5}, "top_k"),
    ({"temperature": 0.0}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"rule": "fine"}, "rule must be one of .* was 'fine'"),
    ({"rule": "nearest"}, "rule"),
]


@pytest.mark.parametrize(("options", "message"), BAD_ROUTES)
def test_wrong_routing_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FOUR.route(X, **options)


def test_wrong_features_are_refused():
    with pytest.raises(ValueError, match="features must be 16 wide"):
        FOUR.route(X[:, :5])
    with pytest.raises(ValueError, match=r"features .* nan at \(1, 0\)"):
        FOUR.route(np.where(np.arange(2000) == 1, np.nan, X.T).T)
    with pytest.raises(ValueError, match="features must have the 2000 labelled rows"):
        FOUR.mismatch(X[:3])
    with pytest.raises(ValueError, match="labels must be known"):
        _ = Partition(centroids=FOUR.centroids).sizes


BAD_FIELDS = [
    ({"metric": "manhattan"}, "metric"),
    ({"labels": np.array([0, 4])}, "labels .* 4 at 1"),
    ({"labels": np.array([0.0])}, "labels"),
    ({"prices": np.zeros(3)}, "prices"),
    ({"centroids": 2 * FOUR.centroids}, "centroids must have rows of length one"),
    ({"centroids": FOUR.centroids[0]}, "centroids"),
    ({"fine_to_coarse": np.arange(4)}, "fine_centroids"),
    ({"fine_centroids": FOUR.centroids, "fine_to_coarse": np.array([0, 1, 2, 2])}, "fine_to_coarse must reach"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_FIELDS)
def test_wrong_fields_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Partition(**{"centroids": FOUR.centroids, **fields})


def test_arrays_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        FOUR.labels[0] = 1


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("partition", [FOUND, FOUR, STAGED, Partition(centroids=FOUR.centroids)])
def test_saving_and_loading_changes_nothing(tmp_path, partition):
    partition.save(tmp_path / "one")
    again = Partition.load(tmp_path / "one")
    for name in storage.TENSORS:
        one, two = getattr(partition, name), getattr(again, name)
        assert (one is None and two is None) or (one.dtype == two.dtype and one.tobytes() == two.tobytes())
    for name in storage.VALUES:
        assert getattr(partition, name) == getattr(again, name)
    again.save(tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert (again.route(X, top_k=2) == partition.route(X, top_k=2)).all()


def test_saving_over_leaves_the_new_alone(tmp_path):
    FOUND.save(tmp_path)
    FOUR.save(tmp_path)
    FOUR.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert (Partition.load(tmp_path).labels == FOUR.labels).all()


@pytest.mark.parametrize("step", [0, 1])
def test_a_crash_while_saving_leaves_the_old(tmp_path, monkeypatch, step):
    FOUND.save(tmp_path)
    real, calls = os.replace, []

    def failing(*args):
        calls.append(args)
        if len(calls) > step:
            raise OSError("no space")
        real(*args)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="no space"):
        FOUR.save(tmp_path)
    assert (Partition.load(tmp_path).labels == FOUND.labels).all()
    assert not list(tmp_path.glob(".*"))


def test_damaged_and_foreign_folders_are_refused(tmp_path):
    FOUR.save(tmp_path)
    header, tensors = tmp_path / "partition.json", next(tmp_path.glob("*.safetensors"))
    good, data = json.loads(header.read_text()), tensors.read_bytes()
    damages = {
        "truncated": lambda: tensors.write_bytes(data[:-7]),
        "SHA-256": lambda: tensors.write_bytes(data[:-1] + bytes([data[-1] ^ 1])),
        "could not be read": lambda: tensors.unlink(),
        "no JSON": lambda: header.write_text(header.read_text()[:30]),
        "was no JSON": lambda: header.write_bytes(b"\xff\xfe"),
        "held a list": lambda: header.write_text("[]"),
        "format": lambda: header.write_text(json.dumps(good | {"format": "other"})),
        "lacked": lambda: header.write_text(json.dumps({k: v for k, v in good.items() if k != "seed"})),
        "elsewhere": lambda: header.write_text(json.dumps(good | {"tensors": "../x.safetensors"})),
        "metric": lambda: header.write_text(json.dumps(good | {"metric": "other"})),
        "did not": lambda: header.write_text(json.dumps(good | {"history": 3})),
    }
    for message, damage in damages.items():
        damage()
        with pytest.raises(ValueError, match=f"folder must hold a saved partition, .*{message}"):
            Partition.load(tmp_path)
        header.write_text(json.dumps(good))
        tensors.write_bytes(data)
    assert (Partition.load(tmp_path).labels == FOUR.labels).all()
    with pytest.raises(ValueError, match="folder must hold a saved partition"):
        Partition.load(tmp_path / "absent")


def write_paper(folder, partition, two_stages):
    def put(name, array):
        np.save(folder / f"clustering_{name}.npy", array)

    metadata = {"feature_dim": 16, "n_samples": 2000}
    if two_stages:
        put("fine_centroids", partition.fine_centroids)
        put("coarse_centroids", partition.centroids * 0.7)  # the released code leaves them unnormalized
        put("fine_to_coarse_mapping", partition.fine_to_coarse)
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        put("fine_assignments", (unit @ partition.fine_centroids.T).argmax(axis=1))
        metadata |= {"n_fine_clusters": 24, "n_coarse_clusters": 3}
    else:
        put("centroids", partition.centroids)
        put("assignments", partition.labels)
        metadata |= {"n_clusters": 2, "cluster_sizes": [1000, 1000]}
    (folder / "clustering_metadata.json").write_text(json.dumps(metadata))


def test_the_papers_one_stage_files_are_read(tmp_path):
    write_paper(tmp_path, FOUND, two_stages=False)
    read = load_paper(tmp_path)
    np.testing.assert_allclose(read.centroids, FOUND.centroids, rtol=gamma("float32", 3), atol=0)
    assert read.sizes.tolist() == [1000, 1000]
    close = abs(np.diff(FOUND.scores(X).astype(np.float64))) <= 4 * gamma("float32", 2 * 16 + 6)
    assert abs(read.mismatch(X).share - FOUND.mismatch(X).share) <= close.mean()  # other rows cannot change sides
    (tmp_path / "clustering_assignments.npy").unlink()
    assert load_paper(tmp_path).labels is None


def test_the_papers_two_stage_files_are_read(tmp_path):
    write_paper(tmp_path, STAGED, two_stages=True)
    read = load_paper(tmp_path)
    assert (read.labels == STAGED.labels).all()
    assert read.mismatch(X, rule="fine").share == 0
    lengths = np.linalg.norm(read.centroids.astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=0, atol=gamma("float32", 2))


def test_the_papers_files_must_agree_and_be_whole(tmp_path):
    def refused(message):
        with pytest.raises(ValueError, match=message):
            load_paper(tmp_path)

    refused("folder must be a .npy file .*clustering_centroids")
    write_paper(tmp_path, FOUND, two_stages=False)
    (tmp_path / "clustering_metadata.json").write_text('{"n_clusters": 3}')
    refused("says n_clusters = 3, the files 2")
    (tmp_path / "clustering_metadata.json").write_text("{")
    refused("no JSON")
    np.save(tmp_path / "clustering_assignments.npy", np.full(5, 2))
    refused("labels must be in")
    np.save(tmp_path / "clustering_assignments.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused("clustering_assignments.npy was not")
    np.save(tmp_path / "clustering_centroids.npy", np.full((2, 3), np.nan))
    np.save(tmp_path / "clustering_assignments.npy", np.zeros(5, dtype=int))
    refused("finite centroids")
    write_paper(tmp_path, STAGED, two_stages=True)
    np.save(tmp_path / "clustering_fine_assignments.npy", np.array([0, 24]))
    refused("labels must be in 0..23, was 24 at 1")
    (tmp_path / "clustering_fine_to_coarse_mapping.npy").unlink()
    refused("fine_to_coarse_mapping.npy was not")
