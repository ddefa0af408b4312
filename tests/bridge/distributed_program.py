"""What each process runs in test_distributed: scores and texts of a three-expert ensemble, written as JSON."""

import json
import os
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)


def build(make):
    from ddfm_theory.bridge import BayesFilter, Ensemble, FixedPrior

    return Ensemble([make(k) for k in range(3)], BayesFilter(FixedPrior([0.2, 0.5, 0.3])))


def results(ensemble):
    from ddfm_theory.bridge import Prompts

    prompts = Prompts([[3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13]])
    scores = ensemble.score(prompts, [[5, 6, 7, 8], [9, 10], [11, 12, 13]])
    made = ensemble.generate(prompts, max_new_tokens=8, seed=1, stop=[2], skip_below=0.05)
    once = ensemble.generate(prompts, max_new_tokens=6, seed=2, route="once")
    return {
        "scores": scores.log_likelihoods.tolist(),
        "router": scores.log_router.exp().tolist(),
        "tokens": made.tokens,
        "dropped": made.dropped.tolist(),
        "passes": made.passes,
        "once": once.tokens,
    }


def make(k):
    from tiny_models import llama

    from ddfm_theory.bridge import CheckpointExpert

    return CheckpointExpert(llama(k))


def main(target):
    from ddfm_theory.bridge.distributed import LostRank, distribute, join, leave

    if "RANK" not in os.environ:
        Path(target, "alone.json").write_text(json.dumps(results(build(make))))
        return 0
    rank = join("gloo", seconds=15)
    experts = distribute(3, make)
    ensemble = build(lambda k: experts[k])
    if target != "lose":
        Path(target, f"{rank}.json").write_text(json.dumps(results(ensemble)))
        leave()
        return 0
    if rank == 1:
        os._exit(9)
    try:
        results(ensemble)
    except LostRank as error:
        print(error, file=sys.stderr)
        os._exit(3)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
