"""Your system: edit these functions, then run notebook 06 again.

Rows of tokens come as an integer array of shape (B, t): B prefixes of t tokens each.
"""

import numpy as np

from ddfm_theory.testing.adapters import from_functions

PRIOR = np.array([0.5, 0.5])  # how much of the data each expert was trained on
VOCABULARY, LENGTH = 2, 3
COINS = np.array([[0.75, 0.25], [0.25, 0.75]])


def expert_0(prefixes):
    """Return the first expert's next-token laws, shape (B, VOCABULARY)."""
    return np.tile(COINS[0], (len(prefixes), 1))


def expert_1(prefixes):
    """Return the second expert's next-token laws, shape (B, VOCABULARY)."""
    return np.tile(COINS[1], (len(prefixes), 1))


def router(prefixes):
    """Return the weights of the experts, shape (2, B). This one looks at the last token only."""
    if prefixes.shape[1] == 0:
        return np.tile(PRIOR[:, None], (1, len(prefixes)))
    joint = PRIOR[:, None] * COINS[:, prefixes[:, -1]]
    return joint / joint.sum(axis=0)


EXPERTS = [expert_0, expert_1]
system = from_functions("my system", EXPERTS, PRIOR, vocabulary=VOCABULARY, length=LENGTH, router=router)
repaired = from_functions("my system, Bayes filter", EXPERTS, PRIOR, vocabulary=VOCABULARY, length=LENGTH)
