"""What numbers of the tests may differ by: a count of roundings, or noise measured in the same run, added up."""

import pytest
import torch

from ddfm_theory.arrays import gamma
from ddfm_theory.bridge.noise import MARGIN, forward_noise


def near(value, roundings, dtype=torch.float64):
    """Numbers computed by sums of terms of one sign, products and quotients: relative error gamma of the roundings."""
    return pytest.approx(value, rel=gamma(dtype, roundings), abs=0)


def law_bound(experts, prompts):
    """How far two evaluations of one log-law may lie apart (batch, padding, cache, blocks of another size)."""
    return MARGIN * max(forward_noise(expert, prompts) for expert in experts)


def text_bound(experts, prompts, tokens):
    """The same for the log-likelihood of a text: its tokens' differences add up."""
    return tokens * law_bound(experts, prompts)


def router_bound(experts, prompts, tokens):
    """The same for log r after a text: the likelihood's difference and the normalizer's."""
    return 2 * text_bound(experts, prompts, tokens)


def mass_bound(vocabulary, experts, entropy, dtype=torch.float32):
    """How far a mixture's mass may be off one: V exponentials of a log-law, each off by its logarithm's roundings.

    A log-law carries the V roundings of its normalizer and a few for logarithm, exponential and K additions.
    """
    return gamma(dtype, vocabulary + 4 * experts + 16) * (1 + entropy)
