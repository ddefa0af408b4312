import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bounds import near
from ddfm_theory.bridge.calibration import calibration


def drawn(seed, rows, experts, sharpness):
    """Weights of a router, and experts drawn from these very weights."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(experts) / sharpness, size=rows).T
    return weights, (rng.random(rows) > weights.cumsum(axis=0)[:-1]).sum(axis=0)


@given(st.integers(0, 10), st.integers(2, 4), st.sampled_from([0.2, 1.0, 5.0]))
def test_a_posterior_is_calibrated_and_a_sharpened_one_is_not(seed, experts, sharpness):
    weights, truth = drawn(seed, 20_000, experts, sharpness)
    right = calibration(weights, truth)
    assert abs(right["gap"]) < 5 * right["standard_error"]  # of a normal variable, 6e-7
    assert right["calibration_error"] < 5 * 0.5 * np.sqrt(10 / 20_000)  # ten means of terms of deviation at most 1/2
    wrong = calibration(weights**4 / (weights**4).sum(axis=0), truth)
    assert wrong["gap"] < -5 * wrong["standard_error"] - 0.01
    assert wrong["brier"] > right["brier"]
    assert wrong["cross_entropy"] > right["cross_entropy"]


def test_worked_by_hand():
    found = calibration([[0.75, 0.5], [0.25, 0.5]], [0, 1])
    assert found["accuracy"] == 0.5  # a tie goes to the lowest index
    assert found["confidence"] == 0.625
    assert found["calibration_error"] == (0.25 + 0.5) / 2
    assert found["brier"] == (2 * 0.25**2 + 2 * 0.5**2) / 2
    assert found["cross_entropy"] == near(-(np.log(0.75) + np.log(0.5)) / 2, 16)
    assert calibration([[1.0], [0.0]], [1])["cross_entropy"] == np.inf


@pytest.mark.parametrize(
    ("weights", "experts", "words"),
    [
        ([[1.0], [0.0]], [2], "experts must be integers in 0..1, were 2 to 2"),
        ([[1.0], [0.0]], [0.0], "experts must be integers"),
        ([[1.0], [0.0]], [0, 1], "experts must be one index a column of weights"),
        ([[], []], [], "experts must be one index a column of weights"),
    ],
)
def test_wrong_labels_are_refused(weights, experts, words):
    with pytest.raises(ValueError, match=words):
        calibration(weights, experts)
