"""Ranks that are lost while others go on: all survivors agree, say so, and sample the mixture of what is left."""

import json
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from bridge.tables import TableExpert, law_table
from bridge.test_distributed import environment
from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import BayesFilter, Ensemble, FixedPrior, Prompts
from ddfm_theory.bridge.distributed import distribute
from ddfm_theory.bridge.losses import Loss, LostRank, conditioned
from ddfm_theory.bridge.survivors import Survivors

PRIOR = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
PROMPTS = Prompts([[3, 4, 5], [6, 7, 8, 9]])
TABLES = [law_table(k) for k in range(3)]
LOGS = float(max(-table.min() for table in TABLES))
FLOAT32, FLOAT64 = (gamma(dtype, 64) * LOGS for dtype in (torch.float32, torch.float64))  # K terms of this size
PROGRAM = Path(__file__).with_name("survivors_program.py")


def experts(**ends):
    """Three experts, some of which end: k1=(4, "quit")."""
    return [TableExpert(table, *ends.get(f"k{k}", ())) for k, table in enumerate(TABLES)]


def whole():
    return Ensemble(experts(), BayesFilter(FixedPrior(PRIOR)))


def rest(*kept):
    """The ensemble of some experts, its prior conditioned on them."""
    prior = PRIOR[list(kept)]
    return Ensemble([experts()[k] for k in kept], BayesFilter(FixedPrior(prior / prior.sum())))


def test_survivors_of_a_killed_rank_sample_the_mixture_conditioned_on_the_rest(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), str(tmp_path)], stderr=subprocess.PIPE, text=True,
            env=environment(RANK=str(rank), WORLD_SIZE="3", MASTER_ADDR="127.0.0.1", MASTER_PORT=port),
        )
        for rank in range(3)
    ]  # fmt: skip
    errors = [process.communicate(timeout=180)[1] for process in started]
    assert [process.returncode for process in started] == [0, -signal.SIGKILL, 0], errors
    one, two = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 2))
    assert one == two
    assert one["lost"] == [[1, 1, 4]]
    assert one["said"] == [str(Loss(1, 1, 4))]
    full, left = (ensemble.score(PROMPTS, one["tokens"]) for ensemble in (whole(), rest(0, 2)))
    for b in range(2):
        expected = full.tokens[b, :4].sum() + left.tokens[b, 4:].sum()
        assert abs(float(expected) - one["log_likelihoods"][b]) <= 8 * FLOAT32
        assert abs(float(left.tokens[b, 4:].sum() - full.tokens[b, 4:].sum())) > 8 * FLOAT32  # the loss is to be seen
        assert one["dropped"][b] >= float(full.log_router[1, b, 4:8].exp().sum()) - 8 * FLOAT32


def together(held, work, seconds=0.5):
    """Run ranks as threads over one store and return what each returns or raises."""
    import torch.distributed as dist

    world, out = len(held), [None] * len(held)
    host = dist.TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=20), wait_for_workers=False)

    def run(rank):
        store = dist.TCPStore("127.0.0.1", host.port, is_master=False, timeout=timedelta(seconds=20))
        survivors = Survivors(seconds, (store, rank, world))
        try:
            shared = distribute(3, lambda k: held[k], survivors)
            out[rank] = work(Ensemble(shared, BayesFilter(FixedPrior(PRIOR))))
            survivors.leave()
        except (LostRank, SystemExit) as error:
            out[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return out


def generating(ensemble):
    return ensemble.generate(PROMPTS, max_new_tokens=6, seed=3)


@pytest.mark.filterwarnings("ignore:expert . was lost:RuntimeWarning")
def test_a_rank_that_was_only_slow_counts_as_lost_and_is_told():
    one, two, slow = together(experts(k2=(2, 3.0)), generating)
    assert one.tokens == two.tokens
    assert one.lost == two.lost == (Loss(2, 2, 2),)
    assert torch.equal(one.dropped, two.dropped)
    assert isinstance(slow, LostRank)
    assert "rank 2 must answer within 0.5 seconds" in str(slow)


@pytest.mark.filterwarnings("ignore:expert . was lost:RuntimeWarning")
def test_two_ranks_lost_at_two_steps():
    last = together(experts(k1=(1, "quit"), k2=(4, "quit")), generating)[0]
    assert [(loss.expert, loss.step) for loss in last.lost] == [(1, 1), (2, 4)]
    steps = [ensemble.score(PROMPTS, last.tokens).tokens for ensemble in (whole(), rest(0, 2), rest(0))]
    expected = steps[0][:, :1].sum(1) + steps[1][:, 1:4].sum(1) + steps[2][:, 4:].sum(1)
    assert float((expected - last.log_likelihoods).abs().max()) <= 6 * FLOAT32


@pytest.mark.filterwarnings("ignore:expert . was lost:RuntimeWarning")
def test_scores_and_laws_without_a_lost_expert_are_those_of_the_rest():
    def scoring(ensemble):
        return ensemble.next_token(PROMPTS), ensemble.score(PROMPTS, [[1, 2], [3, 0]])

    (law, scores), _, _ = together(experts(k2=(0, "quit")), scoring)
    alone, expected = scoring(rest(0, 1))
    assert law.lost == scores.lost == (Loss(2, 2, 0),)
    assert float((law.dropped - PRIOR[2]).abs().max()) <= FLOAT64
    assert float((law.log_law - alone.log_law).abs().max()) <= FLOAT32
    assert float((scores.tokens - expected.tokens).abs().max()) <= FLOAT64
    assert bool(torch.isneginf(scores.experts[2]).all())


def test_without_a_loss_survivors_have_the_results_of_one_process():
    for made in together(experts(), generating, seconds=20):
        assert made.tokens == generating(whole()).tokens
        assert made.lost == ()


def test_refusals():
    with pytest.raises(ValueError, match="seconds must be positive"):
        Survivors(0, (None, 0, 1))
    with pytest.raises(ValueError, match="survivors must hold an expert each, 3 experts were for 4 ranks"):
        distribute(3, lambda k: experts()[k], Survivors(1, (None, 0, 4)))

    class Gone:
        lost = 1

    with pytest.raises(LostRank, match=r"row 1 weighs only those lost, \[0\]"):
        conditioned(torch.log(torch.tensor([[0.5, 1.0], [0.5, 0.0]])), [Gone, type("Here", (), {"lost": None})])


def test_the_stores_host_is_always_needed():
    import torch.distributed as dist

    host = dist.TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=5), wait_for_workers=False)
    client = dist.TCPStore("127.0.0.1", host.port, is_master=False, timeout=timedelta(seconds=5))
    survivors = Survivors(2, (client, 1, 2))
    del host
    with pytest.raises(LostRank, match="the host of the store must stay in the run"):
        survivors.share("0/1", 0, None)
