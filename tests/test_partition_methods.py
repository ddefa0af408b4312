"""Laws of every method: balance, determinism, invariance, monotony, files as arrays."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ddfm_theory import cli
from ddfm_theory.arrays import gamma
from ddfm_theory.partition import (
    METHODS,
    by_label,
    is_optimal_assignment,
    lloyd,
    others,
    partition_file,
    prices,
    rows,
    spherical_balanced_kmeans,
    spherical_kmeans,
    two_stage_kmeans,
)
from ddfm_theory.partition.rows import Rows

SETTINGS = settings(max_examples=30, deadline=None)
FAST = {"balanced", "spherical", "euclidean", "euclidean-balanced", "random"}


def clouds(n=240, width=12, k=3, seed=0, noise=0.6, odds=None):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(k, width))
    which = rng.choice(k, n, p=odds)
    return (centers[which] + noise * rng.normal(size=(n, width))).astype(np.float32), which


def run(name, x, k, seed=0, **options):
    if name == "two-stage":
        options.setdefault("n_fine", max(k, len(x) // 4))
    if name == "label":
        options.setdefault("targets", np.arange(len(x)) % (k + 1))
    return METHODS[name](x, k, seed, **options)


def digest(partition):
    arrays = (partition.labels, partition.centroids, np.array(partition.objective))
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_fills_every_cluster_and_repeats_itself(name):
    x, _ = clouds(n=90)
    for weights in (None, 1 + np.arange(90) % 7):
        one, two = run(name, x, 4, seed=5, weights=weights), run(name, x, 4, seed=5, weights=weights)
        assert digest(one) == digest(two)
        assert one.sizes.sum() == 90
        assert (one.sizes > 0).all()
        assert (one.method, one.seed) == (name, 5)
        assert (one.loads is None) == (weights is None)
        mean = np.average(_distance(x, one), weights=weights)
        assert one.objective == pytest.approx(mean, abs=max(1.0, mean) * _rounding(x.shape[1]))


def _distance(x, partition):
    x = x.astype(np.float64)
    own = partition.centroids.astype(np.float64)[partition.labels]
    if partition.metric == "euclidean":
        return ((x - own) ** 2).sum(axis=1)
    return 1 - (x * own).sum(axis=1) / np.linalg.norm(x, axis=1)


@given(st.integers(1, 30), st.data())
@SETTINGS
def test_balance_is_exact_for_every_n_and_k(n, data):
    k = data.draw(st.integers(1, n))
    entries = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=2, max_size=2)
    x = np.array(data.draw(st.lists(entries, min_size=n, max_size=n)))
    x[0] = 1.0
    for name in ("balanced", "euclidean-balanced"):
        sizes = METHODS[name](x, k, starts=2).sizes
        assert sizes.max() - sizes.min() <= 1
    assert (METHODS["spherical"](x, k, starts=2).sizes > 0).all()


@pytest.mark.parametrize("name", ["balanced", "spherical", "euclidean", "euclidean-balanced", "agglomerative"])
def test_permuting_rows_permutes_labels(name):
    x, _ = clouds(n=150, noise=0.9)
    order = np.random.default_rng(1).permutation(150)
    one, two = run(name, x, 4, seed=2), run(name, x[order], 4, seed=2)
    renamed = {(int(a), int(b)) for a, b in zip(one.labels[order], two.labels, strict=True)}
    assert len(renamed) == 4  # a bijection of names
    if name != "agglomerative":
        assert all(a == b for a, b in renamed)


@given(st.lists(st.integers(-60, 60), min_size=40, max_size=40))
@SETTINGS
def test_scaling_rows_by_powers_of_two_changes_no_byte(exponents):
    x = clouds(n=40)[0].astype(np.float64)
    scaled = np.ldexp(x, np.array(exponents)[:, None])
    assert digest(spherical_balanced_kmeans(scaled, 3)) == digest(spherical_balanced_kmeans(x, 3))


def renamings(one, two):
    """The pairs of labels met: K of them iff the partitions are one up to names."""
    return {(int(a), int(b)) for a, b in zip(one.labels, two.labels, strict=True)}


def test_scaling_rows_changes_no_cluster():
    """Up to names: of starts that end alike the last bits decide."""
    x, _ = clouds(n=200)
    scaled = x * np.random.default_rng(4).uniform(0.01, 100, size=(200, 1))
    for name in ("balanced", "spherical"):
        assert len(renamings(run(name, scaled, 3), run(name, x, 3))) == 3
    assert len(renamings(run("euclidean", scaled, 3), run("euclidean", x, 3))) > 3  # the control


def test_rows_of_any_size_are_normalized():
    x = np.array([[1e-300, 0], [1e300, 1e300], [3e-320, -3e-320], [0, 0]])
    got = rows.unit(x)
    np.testing.assert_array_equal(got, np.array([[1, 0], [0.5**0.5] * 2, [0.5**0.5, -(0.5**0.5)], [0, 0]], np.float32))


@given(st.integers(0, 2**63), st.integers(2, 6), st.booleans())
@SETTINGS
def test_the_objective_never_rises(seed, k, balance):
    x, _ = clouds(n=120, width=6, noise=1.5, seed=seed % 1000)
    method = spherical_balanced_kmeans if balance else spherical_kmeans
    found = method(x, k, seed, tol=0.0)
    history = np.array(found.history)
    assert len(history) > 1
    assert found.objective == pytest.approx(history.min(), abs=_rounding(6))
    assert (np.diff(history) <= _rounding(6)).all()


def test_the_objective_is_weighted():
    x, _ = clouds(n=120, noise=1.5)
    weights = np.where(np.arange(120) < 60, 1, 50)
    for method in (spherical_balanced_kmeans, spherical_kmeans):
        found = method(x, 3, weights=weights)
        weighted, plain = np.average(_distance(x, found), weights=weights), _distance(x, found).mean()
        assert min(found.history) == pytest.approx(weighted, abs=_rounding(12))
        assert abs(plain - weighted) > 1000 * _rounding(12)  # the control


def test_seeds_are_neither_zero_nor_copies():
    x = np.zeros((300, 3), dtype=np.float32)
    x[:9] = np.eye(3).repeat(3, axis=0)
    for seed in range(20):
        assert sorted(lloyd.seeds(Rows(x), 3, seed, 0).tolist()) == sorted(np.eye(3).tolist())


def test_seeds_are_drawn_by_weight_and_distance():
    """k-means++'s odds: the first seed by weight, the second by weight times distance to it."""
    x = np.array([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])
    weights = np.array([1, 2, 3])
    drawn = [lloyd.seeds(Rows(x), 2, seed, 0, weights, trials=1) for seed in range(1200)]
    first = np.mean([tuple(seeds[0]) == (-1, 0) for seeds in drawn])
    after = np.mean([seeds[1][0] == -1 for seeds in drawn if tuple(seeds[0]) == (1, 0)])
    assert abs(first - 3 / 6) < 5 * (0.25 / 1200) ** 0.5
    assert abs(after - 6 / (0.8 + 6)) < 5 * (0.25 / 150) ** 0.5


def _rounding(width):
    """Two objectives' errors: a product of ``width`` terms over a length of as many, six roundings more, a tick."""
    return 2 * (gamma("float32", 2 * width + 6) + 2.0**-30)


def test_a_wrong_mean_is_seen_in_the_objective(monkeypatch):
    x, _ = clouds(n=120, width=6)
    right = lloyd.Sums.means
    monkeypatch.setattr(lloyd.Sums, "means", lambda *args: -right(*args))
    assert np.diff(spherical_balanced_kmeans(x, 3, tol=0.0).history).max() > 1000 * _rounding(6)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_labels_are_optimal_for_the_centroids_returned(k):
    x, _ = clouds(n=400, noise=1.5, odds=[0.8, 0.1, 0.1])
    found = spherical_balanced_kmeans(x, k)
    view = Rows(x)
    ticks = view.ticks(view.source, view.scale, found.centroids)
    assert is_optimal_assignment(ticks, found.labels)
    assert not is_optimal_assignment(ticks, np.random.default_rng(0).permutation(found.labels))


def test_clear_clusters_are_found():
    x, which = clouds(n=300, k=4, width=16, noise=0.05)
    for name in METHODS.keys() - {"random", "label", "two-stage", "balanced", "euclidean-balanced"}:
        labels = run(name, x, 4).labels
        assert len(set(zip(labels.tolist(), which.tolist(), strict=True))) == 4
    targets = run("label", x, 4, targets=which)
    assert (targets.labels == which).all()


def test_more_starts_are_never_worse():
    x, _ = clouds(n=300, k=8, width=4)
    objectives = [spherical_balanced_kmeans(x, 8, starts=starts).objective for starts in (1, 3, 9)]
    assert objectives == sorted(objectives, reverse=True)


@pytest.mark.parametrize("name", sorted(FAST | {"two-stage", "agglomerative", "spectral"}))
def test_copies_and_zero_rows_leave_no_cluster_empty(name):
    x = np.zeros((12, 3))
    x[:4] = [1.0, 0, 0]
    x[4] = [0, 1.0, 0]
    assert (run(name, x, 5).sizes > 0).all()
    assert np.isfinite(run(name, x, 5).centroids).all()


SCRIPT = """
import hashlib
import numpy as np
from ddfm_theory.partition import METHODS
x = np.random.default_rng(0).normal(size=(200, 12))
for name in ("balanced", "two-stage", "spherical", "euclidean-balanced", "random"):
    found = METHODS[name](x, 3, 9, weights=1 + np.arange(200) % 5)
    print(name, hashlib.sha256(found.labels.tobytes() + found.centroids.tobytes()).hexdigest())
"""


def test_the_same_bytes_in_every_process():
    outputs = set()
    for salt in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": salt}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 10


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 600)
    monkeypatch.setattr(lloyd, "SEEDING", 100)


@pytest.mark.parametrize("name", ["balanced", "spherical", "euclidean", "euclidean-balanced", "two-stage", "random"])
def test_a_file_gives_the_bytes_of_the_array(tmp_path, small_blocks, name):
    x, _ = clouds(n=500)
    np.save(tmp_path / "x.npy", x)
    options = {"n_fine": 6} if name == "two-stage" else {}
    calls = []
    weights = 1 + np.arange(500) % 5
    from_file = partition_file(
        tmp_path / "x.npy", 3, 1, method=name, weights=weights, progress=lambda *call: calls.append(call), **options
    )
    assert digest(from_file) == digest(METHODS[name](x, 3, 1, weights=weights, **options))
    assert {call[0] for call in calls} >= {"check", "average"}
    assert [done for stage, done, _ in calls if stage == "check"] == [*range(50, 501, 50)]
    assert all(n == 500 for *_, n in calls)


def test_the_command_says_how_far_it_is(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", clouds(n=300)[0])
    said = []
    monkeypatch.setattr(cli, "progress", said.append)
    done = CliRunner().invoke(cli.app, ["partition", str(tmp_path / "x.npy"), "--clusters", "3"])
    assert done.exit_code == 0
    assert said[0] == "check: 300 of 300 rows"
    assert {words.partition(":")[0] for words in said} == {"check", "assign", "average", ""}
    assert said[-1] == ""


def _peak(run):
    run()  # imports
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("mapped", [False, True])
def test_memory_is_half_of_the_features_beside_them(tmp_path, monkeypatch, mapped):
    """Per row: K costs of 4 bytes, K flags, and at most 16 vectors of 8; what else there is does not grow with n."""
    monkeypatch.setattr(rows, "BLOCK", 1 << 15)
    monkeypatch.setattr(lloyd, "SEEDING", 256)
    monkeypatch.setattr(prices, "SAMPLE", 256)
    peaks, (width, k) = {}, (256, 4)
    for n in (10_000, 20_000):
        x = np.random.default_rng(0).normal(size=(n, width)).astype(np.float32)
        np.save(tmp_path / "x.npy", x)
        source = np.load(tmp_path / "x.npy", mmap_mode="r") if mapped else x
        peaks[n] = _peak(lambda source=source: spherical_balanced_kmeans(source, k, max_iter=3, starts=1))
    assert peaks[20_000] < 20_000 * width * 4 / 2
    assert peaks[20_000] - peaks[10_000] < 10_000 * (5 * k + 16 * 8)


def test_float32_is_used_as_it_is():
    x, _ = clouds(n=100)
    assert np.shares_memory(Rows(x).source, x)
    assert not np.shares_memory(Rows(x.astype(np.float64)).source, x)


@given(st.lists(st.integers(-140, 120), min_size=30, max_size=30))
@SETTINGS
def test_float32_rows_of_any_length_are_normalized_by_scale(exponents):
    """Down to subnormal entries, whose lost digits are those of the input, not of the length."""
    x = np.ldexp(clouds(n=30, width=8)[0], np.array(exponents)[:, None])
    x[::7] = 0
    block, scale = rows.prepared(x, "cosine")
    want = rows.unit(x.astype(np.float64))
    np.testing.assert_allclose(block * scale[:, None], want, rtol=gamma("float32", 8 + 4), atol=0)


def test_sums_follow_the_labels():
    """Kept-up sums are those made anew, but for two float32 sums a block; a row that is not taken away is seen."""
    x, _ = clouds(n=400, width=5)
    view, weights = Rows(x), 1 + np.arange(400) % 3
    rng, kept = np.random.default_rng(0), lloyd.Sums(Rows(x), 1 + np.arange(400) % 3, 3)
    labels = np.arange(400) % 3
    for _ in range(5):
        labels = np.where(rng.random(400) < 0.2, rng.integers(0, 3, 400), labels)
        kept.means(labels, np.zeros((3, 5), dtype=np.float32))
    anew = lloyd.Sums(view, weights, 3)
    anew.means(labels, np.zeros((3, 5), dtype=np.float32))
    assert kept.masses.tolist() == anew.masses.tolist()
    size = 11 * weights.sum()  # each of five updates takes away and adds
    np.testing.assert_allclose(kept.sums, anew.sums, rtol=0, atol=size * gamma("float32", 400))
    kept.labels = np.where(np.arange(400) == 7, (labels + 1) % 3, labels)
    kept.means(labels, np.zeros((3, 5), dtype=np.float32))
    assert kept.masses.tolist() != anew.masses.tolist()


def test_blank_rows_are_shared_out():
    x, _ = clouds(n=1200, k=4)
    x[::2] = 0
    found = spherical_balanced_kmeans(x, 7)
    assert sorted(found.sizes) == [171] * 4 + [172] * 3
    assert found.mismatch(x, rule="prices").share <= 0.5  # only the blanks' choice is free


def test_two_stages_follow_the_nearest_fine_centroid():
    x, _ = clouds(n=400, k=6)
    for balance in ("centroids", "samples"):
        found = two_stage_kmeans(x, 3, n_fine=31, balance=balance)
        assert found.mismatch(x, rule="fine").share == 0
        assert (found.fine_to_coarse[(rows.unit(x) @ found.fine_centroids.T).argmax(axis=1)] == found.labels).all()
        if balance == "centroids":
            assert sorted(np.bincount(found.fine_to_coarse)) == [10, 10, 11]


def test_two_stages_balance_centroids_or_what_lies_behind_them():
    angles = np.linspace(0, 2 * np.pi, 600, endpoint=False)
    x, weights = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.where(angles < np.pi, 30, 1)
    off = {}
    for balance in ("centroids", "samples"):
        found = two_stage_kmeans(x, 3, n_fine=30, balance=balance, weights=weights)
        fine = np.bincount((rows.unit(x) @ found.fine_centroids.T).argmax(axis=1), weights)
        off[balance] = abs(found.loads - weights.sum() / 3).max() / (fine.max() + 1)
    assert off["samples"] <= 1 < off["centroids"]


def test_labels_are_packed_heaviest_first():
    x, _ = clouds(n=10)
    targets = np.array(["a"] * 5 + ["b"] * 3 + ["c"] * 2)
    found = by_label(x, 2, targets=targets)
    assert found.sizes.tolist() == [5, 5]
    assert by_label(x, 2, targets=targets, weights=[1] * 8 + [50, 50]).loads.tolist() == [100, 8]


X = clouds(n=12)[0]
BAD = {
    "not a number": (np.where(np.arange(12) == 3, np.nan, X.T).T, 2, {}, r"features .* nan at \(3, 0\)"),
    "infinite": (np.where(np.arange(12) == 3, np.inf, X.T).T, 2, {}, r"features .* inf at \(3, 0\)"),
    "one axis": (X[0], 2, {}, "features"),
    "empty": (X[:0], 1, {}, "features"),
    "ragged": ([[1.0], [1.0, 2.0]], 1, {}, "features"),
    "complex": (X * 1j, 2, {}, "features"),
    "all zero": (0 * X, 2, {}, "features must have a nonzero row"),
    "more clusters than rows": (X, 13, {}, r"n_clusters must be an integer in 1\.\.12, was 13"),
    "no clusters": (X, 0, {}, "n_clusters"),
    "float clusters": (X, 2.0, {}, "n_clusters"),
    "float seed": (X, 2, {"seed": 0.5}, "seed"),
    "weights": (X, 2, {"weights": np.zeros(12, dtype=int)}, "weights"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("method", ["balanced", "spectral", "random"])
def test_wrong_arguments_are_refused(name, method):
    x, k, options, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        METHODS[method](x, k, **options)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("balanced", {"starts": 0}, "starts"),
        ("balanced", {"max_iter": 0}, "max_iter"),
        ("balanced", {"tol": float("nan")}, "tol"),
        ("two-stage", {"n_fine": 1}, "n_fine"),
        ("two-stage", {"balance": "tokens"}, "balance"),
        ("label", {}, "targets"),
        ("label", {"targets": np.zeros(12, dtype=int)}, "targets .* had 1"),
    ],
)
def test_wrong_options_are_refused(method, options, message):
    with pytest.raises(ValueError, match=message):
        METHODS[method](X, 2, **options)


def test_large_input_is_refused_where_memory_is_quadratic(monkeypatch):
    monkeypatch.setattr(others, "DENSE_ROWS", 11)
    for name in ("agglomerative", "spectral"):
        with pytest.raises(ValueError, match=f"features .* 11 rows for method {name}, had 12"):
            METHODS[name](X, 2)


def test_large_euclidean_features_are_refused():
    with pytest.raises(ValueError, match=r"features .* below 1e\+18"):
        METHODS["euclidean"](X * 1e20, 2)


@pytest.mark.parametrize("method", ["euclidean", "euclidean-balanced"])
def test_euclidean_features_that_float32_cannot_tell_apart_are_refused(method):
    """Beside a large common part distances are rounding; with less of one the clusters are those of the rows alone."""
    for lost in (X + 1e5, X.astype(np.float64) * 1e-25):
        with pytest.raises(ValueError, match="features must spread by at least"):
            METHODS[method](lost, 2)
    assert METHODS[method](np.full((12, 3), 1e5), 2).sizes.sum() == 12  # rows that are all the same are no rounding
    alone, beside = (METHODS[method](x, 3).objective for x in (X, X + 100))
    assert abs(alone - beside) < 2.0**-6 * alone  # a distance is known to 2^-22 of a squared length, 2^-16 at the least


def test_features_of_more_than_64_bits_are_refused():
    if np.dtype(np.longdouble).itemsize == 8:
        pytest.skip("a long double is a double here")
    with pytest.raises(ValueError, match="features must be real numbers of at most 64 bits"):
        METHODS["balanced"](X.astype(np.longdouble), 2)


def test_wrong_files_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", X)
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[:200])
    (tmp_path / "text.npy").write_text("clusters")
    (tmp_path / "empty.npy").write_bytes(b"")
    np.savez(tmp_path / "many.npz", X)
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name in ("short.npy", "text.npy", "empty.npy", "many.npz", "pickled.npy", "absent.npy"):
        with pytest.raises(ValueError, match=f"path must be a .npy file .*{name}"):
            partition_file(tmp_path / name, 2)
    with pytest.raises(ValueError, match=r"method must be one of .* was 'kmeans'"):
        partition_file(tmp_path / "x.npy", 2, method="kmeans")
    with pytest.raises(ValueError, match=r"targets must not be given for method balanced, which takes \['max_iter'"):
        partition_file(tmp_path / "x.npy", 2, targets=np.arange(12))
    with pytest.raises(ValueError, match="starts must not be given for method random"):
        partition_file(tmp_path / "x.npy", 2, method="random", starts=2)


def test_torch_tensors_are_taken():
    torch = pytest.importorskip("torch", reason="Torch is needed to give a tensor")
    labels = spherical_balanced_kmeans(X, 3).labels
    assert (spherical_balanced_kmeans(torch.from_numpy(X), 3).labels == labels).all()
    assert spherical_balanced_kmeans(torch.from_numpy(X).bfloat16(), 3).sizes.tolist() == [4, 4, 4]
