"""What each process runs in test_survivors: three ranks generate, rank 1 is killed at its fourth token."""

import json
import sys
import warnings
from pathlib import Path

import torch
from tables import TableExpert, law_table

from ddfm_theory.bridge import BayesFilter, Ensemble, FixedPrior, Prompts
from ddfm_theory.bridge.distributed import distribute
from ddfm_theory.bridge.survivors import Survivors

torch.set_num_threads(1)


def main(target):
    survivors = Survivors(seconds=3)
    experts = distribute(3, lambda k: TableExpert(law_table(k), 4 if k == 1 else -1), survivors)
    ensemble = Ensemble(experts, BayesFilter(FixedPrior([0.2, 0.5, 0.3])))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = ensemble.generate(Prompts([[3, 4, 5], [6, 7, 8, 9]]), max_new_tokens=8, seed=1)
    found = {
        "tokens": made.tokens,
        "log_likelihoods": made.log_likelihoods.tolist(),
        "dropped": made.dropped.tolist(),
        "lost": [[loss.expert, loss.rank, loss.step] for loss in made.lost],
        "said": [str(warning.message) for warning in said if "lost" in str(warning.message)],
    }
    Path(target, f"{survivors.rank}.json").write_text(json.dumps(found))
    survivors.leave()


if __name__ == "__main__":
    main(sys.argv[1])
