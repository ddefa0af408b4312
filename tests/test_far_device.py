"""No public function leaves the device of its arguments: the walk over number systems, on a device that tells."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
PLANTED = """
import far_device, pytest, torch
far = torch.tensor([1.0, 2.0], device="far")
assert (far + 1).device.type == "far" and float(far.sum()) == 3 and far.cpu().tolist() == [1, 2]
assert far[torch.tensor([1])].device.type == "far" and (far * torch.tensor(2.0))[1].item() == 4
for slip in (lambda: far + torch.ones(2), lambda: far.numpy(), lambda: torch.where(far > 0, far, torch.zeros(2))):
    with pytest.raises(RuntimeError):
        slip()
"""
EXPERIMENT = """
import far_device, torch
from types import SimpleNamespace
from toy_models.multimodal.terms import first_laws
law = torch.tensor([[0.25, 0.75]], device="far").log()
mixture = SimpleNamespace(log_law=law, log_laws=[law, law], log_router=torch.zeros(2, 1))
class Asked(list):
    blocks, prompts = lambda self: [[0]], lambda self, rows: rows
found = first_laws(SimpleNamespace(next_token=lambda *asked: mixture), Asked([0]))
assert [part.shape for part in found] == [(1, 2), (2, 1, 2), (2, 1)]
"""


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=HERE, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", autouse=True)
def device():
    if not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this Torch cannot register a device from Python")


def test_the_device_refuses_what_a_gpu_refuses():
    done = run("-c", PLANTED)
    assert done.returncode == 0, done.stderr


def test_no_public_function_leaves_its_device():
    done = run("far_device.py", "-k", "keeps_its_number_system and float64 and far", "test_number_systems.py")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 passed" in done.stdout, done.stdout[-3000:]  # masked and joint


def test_the_experiment_reads_laws_from_the_device_of_the_experts():
    done = run("-c", EXPERIMENT)
    assert done.returncode == 0, done.stderr
