"""Two processes against one: the same program, the same numbers, and a rank that dies is named."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("distributed_program.py")


def environment(**extra):
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(PROGRAM.parent),
        **extra,
    }


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    out = tmp_path_factory.mktemp("one")
    subprocess.run([sys.executable, str(PROGRAM), str(out)], check=True, env=environment())
    return json.loads((out / "alone.json").read_text())


def test_two_processes_give_what_one_gives(one_process, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(PROGRAM)]
    subprocess.run([*command, str(tmp_path)], check=True, env=environment(), capture_output=True, timeout=120)
    for rank in (0, 1):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == one_process


def test_a_lost_rank_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), "lose"], stderr=subprocess.PIPE, text=True,
            env=environment(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port),
        )
        for rank in (0, 1)
    ]  # fmt: skip
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert started[0].returncode == 3
    assert "rank 1 must stay in the run, was lost to rank 0" in errors[0]
