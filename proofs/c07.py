r"""C07: under the autoregressive schedule the flow-matching cross entropy is the next-token loss, term by term."""

from __future__ import annotations

from typing import Any

from ddfm_theory.arrays import Array, Log, stack, total
from ddfm_theory.ledger.draws import Draw
from ddfm_theory.ledger.laws_information import prefix_laws
from ddfm_theory.objectives import denoiser, entropy, flow_matching_cross_entropy, next_token_loss
from ddfm_theory.schedulers import Autoregressive
from ddfm_theory.stability import sequence_kl
from proofs.derivation import Derivation, Step
from proofs.sums import Flow, add, case, marginal, masked, over, tabulate, tuples, vanishes


def _instance(draw: Draw, length: int, vocabulary: int) -> Any:
    coupling, model = (masked(draw, length, vocabulary, positive=True) for _ in range(2))
    return case(coupling=coupling, model=model, n=length, v=vocabulary, q=coupling.target, hat=model.target)


def _per_step(c: Any, entry: Any) -> Array:
    return tabulate((c.n,), entry)


def _whole(value: Any) -> Array:
    return stack([value])


def _conditional(c: Any, q: Array, x: tuple[int, ...]) -> Any:
    """Return q(x^t | x^{<t}) for a prefix x of t tokens."""
    return over(_prefix(q, x), _prefix(q, x[:-1]))


def _prefix(q: Array, x: tuple[int, ...]) -> Any:
    return marginal(q, dict(enumerate(x)))


def _loss(c: Any, t: int) -> Any:
    """Return the step's loss by its definition: over states, moving positions and tokens."""
    schedule = Autoregressive()
    now, after = (schedule.weights(s, c.n) for s in (t, t + 1))
    flow = Flow(c.coupling, now, after - now)
    truth, model = denoiser(c.coupling), denoiser(c.model)
    return add(
        flow.path[z] * (flow.slopes[1, i] / now[0, i]) * truth[(*z, i, x)] * -Log.of(model[(*z, i, x)])
        for z in flow.states
        for i in range(c.n)
        if z[i] == c.v and not vanishes(flow.slopes[1, i]) and not vanishes(flow.path[z])
        for x in range(c.v)
    )


def _by_prefix(c: Any, t: int, weight: Any) -> Any:
    """Return the sum over prefixes of t + 1 tokens of weight(prefix) (-log q^(last | rest))."""
    return add(weight(x) * -Log.of(_conditional(c, c.hat, x)) for x in tuples(c.v, t + 1))


def _prefix_entropy(c: Any, t: int) -> Any:
    return add(_prefix(c.q, x) * -Log.of(_prefix(c.q, x)) for x in tuples(c.v, t))


def _entropy_rates(c: Any) -> Any:
    return add(_prefix(c.q, x) * -Log.of(_conditional(c, c.q, x)) for t in range(c.n) for x in tuples(c.v, t + 1))


def _divergences(c: Any) -> Any:
    return add(
        _prefix(c.q, x) * (Log.of(_conditional(c, c.q, x)) - Log.of(_conditional(c, c.hat, x)))
        for t in range(c.n)
        for x in tuples(c.v, t + 1)
    )


def _library_loss(c: Any) -> Array:
    law = denoiser(c.model)
    steps = [flow_matching_cross_entropy(c.coupling, Autoregressive(), t, t + 1, law) for t in range(c.n)]
    return stack([total(step) for step in steps])


def _excess(c: Any) -> Any:
    prefixes, laws = prefix_laws(c.q)
    return entropy(c.q) + sequence_kl(prefixes, laws, prefix_laws(c.hat)[1])


SIZES = ((1, 2), (1, 3), (2, 2), (2, 3))

DERIVATIONS = (
    Derivation(
        "C07",
        "the step's cross entropy is the next-token loss",
        r"Under $\kappa_t^i = 1[t \ge i]$ from masks, for every model $\hat q$ with $\hat q > 0$ "
        r"where $q > 0$, the loss of "
        r"the step $t \to t+1$, summed over moving positions, is the next-token loss at $t + 1$.",
        (
            Step(
                r"\mathcal L_t",
                "the flow-matching cross entropy of the step",
                _library_loss,
                "objectives.flow_matching_cross_entropy",
            ),
            Step(
                r"\sum_z p_t(z) \sum_{i:\, z^i = m} \frac{\kappa'^i - \kappa^i}{1 - \kappa^i} \sum_x "
                r"q(x^i = x \mid z) "
                r"\big(-\log \hat q(x \mid z)\big)",
                "definition",
                lambda c: _per_step(c, lambda t: _loss(c, t)),
            ),
            Step(
                r"\sum_{x^{\le t}} q(x^{\le t}) \sum_{x^{t+1}} q(x^{t+1} \mid x^{\le t}) \big(-\log "
                r"\hat q(x^{t+1} \mid "
                r"x^{\le t})\big)",
                r"the charged states are prefixes, $p_t(z) = q(x^{\le t})$, and only $i = t + 1$ "
                r"moves, with weight one",
                lambda c: _per_step(
                    c,
                    lambda t: _by_prefix(c, t, lambda x: _prefix(c.q, x[:-1]) * _conditional(c, c.q, x)),
                ),
            ),
            Step(
                r"\sum_{x^{\le t+1}} q(x^{\le t+1}) \big(-\log \hat q(x^{t+1} \mid x^{\le t})\big)",
                "chain rule of probability",
                lambda c: next_token_loss(c.q, prefix_laws(c.hat)[1]),
                "objectives.next_token_loss",
            ),
        ),
        sizes=SIZES,
        instance=_instance,
    ),
    Derivation(
        "C07",
        "the minimum is the entropy",
        r"$\sum_t \mathcal L_t = H(q) + \sum_t E_q\, \mathrm{KL}\big(q(\cdot \mid x^{\le t}) \,\|\, "
        r"\hat q(\cdot \mid "
        r"x^{\le t})\big) \ge H(q)$, with equality iff the model's next-token laws are $q$'s on prefixes of positive "
        r"probability (Gibbs).",
        (
            Step(
                r"\sum_t \mathcal L_t",
                "the next-token loss, summed",
                lambda c: _whole(total(next_token_loss(c.q, prefix_laws(c.hat)[1]))),
                "objectives.next_token_loss",
            ),
            Step(
                r"\sum_t E_q\big[-\log q(x^{t+1} \mid x^{\le t})\big] + \sum_t E_q \log "
                r"\frac{q(x^{t+1} \mid x^{\le t})}"
                r"{\hat q(x^{t+1} \mid x^{\le t})}",
                r"$-\log \hat q = -\log q + \log (q / \hat q)$",
                lambda c: _whole(_entropy_rates(c) + _divergences(c)),
            ),
            Step(
                r"\sum_t \big(H(X^{\le t+1}) - H(X^{\le t})\big) + \sum_t E_q \log \frac{q(x^{t+1} \mid x^{\le t})}"
                r"{\hat q(x^{t+1} \mid x^{\le t})}",
                "chain rule of entropy",
                lambda c: _whole(
                    add(_prefix_entropy(c, t + 1) - _prefix_entropy(c, t) for t in range(c.n)) + _divergences(c)
                ),
            ),
            Step(
                r"H(q) + \sum_t E_q\, \mathrm{KL}\big(q(\cdot \mid x^{\le t}) \,\|\, \hat q(\cdot "
                r"\mid x^{\le t})\big)",
                "telescoping; definition of KL",
                lambda c: _whole(_excess(c)),
                "stability.sequence_kl",
            ),
        ),
        sizes=SIZES,
        instance=_instance,
    ),
)
