r"""Objectives: cross entropies, the negative ELBO and the decentralized objective, in nats.

For the all-mask source and a denoiser :math:`\hat q(x^i \mid z)` (its law of each masked token),

.. math:: \mathcal L_t = \sum_z p_t(z) \sum_{i: z^i = m} \frac{\dot\kappa^i}{1 - \kappa^i}
    \sum_x q(x^i = x \mid z) \big(-\log \hat q(x \mid z)\big),

with the increment in place of the derivative in discrete time. Summed over the autoregressive schedule it is the
next-token loss; integrated over any continuous one it is the negative ELBO; its minimum is the entropy H(q).
The logarithms of exact entries are exact (:class:`~ddfm_theory.arrays.Log`), so these identities are decided by ``==``.
"""

from ddfm_theory.objectives.decomposed import Decomposition, decomposition
from ddfm_theory.objectives.elbo import negative_elbo
from ddfm_theory.objectives.entropies import cross_entropy, entropy, mutual_information, reveal_entropy
from ddfm_theory.objectives.losses import denoiser, flow_matching_cross_entropy, generalized_kl, next_token_loss

__all__ = [
    "Decomposition",
    "cross_entropy",
    "decomposition",
    "denoiser",
    "entropy",
    "flow_matching_cross_entropy",
    "generalized_kl",
    "mutual_information",
    "negative_elbo",
    "next_token_loss",
    "reveal_entropy",
]
