"""Shared by the tests: Hypothesis derandomized, Torch on one thread, and the number systems to walk."""

import hypothesis
import pytest
import torch
from number_systems import SYSTEMS

hypothesis.settings.register_profile("laws", max_examples=40, derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("laws")
torch.set_num_threads(1)


@pytest.fixture(params=SYSTEMS)
def system(request):
    """Walk every number system."""
    return request.param
