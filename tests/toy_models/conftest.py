"""The smoke preset of the multimodal experiment, run once for all that look at it (they share an xdist group)."""

import json

import pytest

from toy_models.multimodal.__main__ import main


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """A folder with the run's ``work`` and ``found.json``, and what that says."""
    place = tmp_path_factory.mktemp("smoke")
    out = place / "found.json"
    assert main(["--preset", "smoke", "--work", str(place / "work"), "--out", str(out)]) == 0
    return place, json.loads(out.read_text(encoding="utf-8"))
