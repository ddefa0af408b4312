"""Real data: the claims at full length, on states met along sampled paths of empirical couplings.

Rows of tokens are split into experts by their labels (or by row number where there are none); every coupling is
empirical, so a posterior is a ratio of counts. Each statement is decided in rationals by ==, and in float64 against
``gamma_n`` times the size of its entries, n = N (4 rows + 2 K + 16): a posterior sums at most all rows twice on each
side, a mixture K experts, and a sequence multiplies N of these.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flint
import numpy as np

from ddfm_theory.arrays import Array, Log, cast, full, gamma, is_object, log, stack, to_float, total
from ddfm_theory.autoregression import chain_law, next_token_law, prefix_states
from ddfm_theory.couplings import EmpiricalCoupling
from ddfm_theory.decentralization import Decentralization, bayes_filter, mix
from ddfm_theory.ledger.evidence import ERRORS, Failure, decide, sides
from ddfm_theory.ledger.records import FAILS, HOLDS, Check, Equation, Statement
from ddfm_theory.paths import sample_path
from ddfm_theory.schedulers import Autoregressive, Linear
from ddfm_theory.velocities import step_velocity_at, velocity_at

SEQUENCES = {"quick": 2, "default": 8, "exhaustive": 32}
LARGEST = 1 << 25  # entries of one state's velocity
TIMES = (flint.fmpq(1, 64), flint.fmpq(1, 16), flint.fmpq(1, 4), flint.fmpq(3, 4))


@dataclass(frozen=True)
class Source:
    """Rows of tokens (n, N) in 0..vocabulary-1 with a label each."""

    name: str
    tokens: np.ndarray
    vocabulary: int
    labels: np.ndarray


def load(data: Any) -> Source:
    """Load ``"digits"`` or a ``.npy`` / ``.npz`` file of integer tokens (key ``tokens``, and ``labels`` if any).

    Raises:
        ValueError: no such file, another format, or an array that is not integer tokens of shape (n, N).
    """
    if not isinstance(data, str | Path):
        raise ValueError(f"data must be 'digits' or the path of a file, was {data!r}")
    if str(data) == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return Source("digits", digits.data.astype(np.int64), 17, digits.target)
    path = Path(data)
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"data must be 'digits' or a .npy or .npz file, was {str(data)!r}")
    if not path.is_file():
        raise ValueError(f"data must be a file that exists, was {str(data)!r}")
    tokens, labels = _arrays(path)
    return _source(path.name, tokens, labels)


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded, None
        with loaded:
            if "tokens" not in loaded.files:
                raise ValueError(f"it must hold an array 'tokens', held {loaded.files}")
            return loaded["tokens"], loaded["labels"] if "labels" in loaded.files else None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = "" if "pickle" in str(error) else f": {error}"
        raise ValueError(f"data must be a readable array file, {path.name} was not{reason}") from error


def _source(name: str, tokens: np.ndarray, labels: np.ndarray | None) -> Source:
    if tokens.dtype.kind not in "iu" or tokens.ndim != 2 or 0 in tokens.shape:
        raise ValueError(f"data tokens must be integers of shape (n, N), were {tokens.dtype} of shape {tokens.shape}")
    if int(tokens.min()) < 0:
        where = tuple(int(i) for i in np.argwhere(tokens < 0)[0])
        raise ValueError(f"data tokens must be nonnegative, was {tokens[where]} at {where}")
    if int(tokens.max()) * tokens.shape[1] >= LARGEST:
        where = tuple(int(i) for i in np.argwhere(tokens == tokens.max())[0])
        raise ValueError(f"data tokens must keep N times the vocabulary below {LARGEST}, was {tokens.max()} at {where}")
    labels = np.arange(len(tokens)) % 2 if labels is None else np.asarray(labels)
    if labels.shape != (len(tokens),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"data labels must be integers of shape ({len(tokens)},), were {labels.dtype} of shape {labels.shape}"
        )
    return Source(name, tokens.astype(np.int64), int(tokens.max()) + 1, labels)


@dataclass(frozen=True)
class Setting:
    """Experts on a source in one number system, and the states and sequences looked at."""

    source: Source
    experts: Decentralization
    sequences: np.ndarray
    states: tuple[tuple[Any, np.ndarray], ...]

    @property
    def rows(self) -> list[np.ndarray]:
        """Return each expert's rows of tokens."""
        return [c.samples for c in self.experts.couplings]  # type: ignore[union-attr]


def _experts(source: Source, *, exact: bool) -> Decentralization:
    groups = [source.tokens[source.labels == label] for label in np.unique(source.labels)]
    weights = _shares([len(group) for group in groups], exact)
    couplings = [
        EmpiricalCoupling(group, _shares([1] * len(group), exact), vocabulary=source.vocabulary) for group in groups
    ]
    return Decentralization(weights, couplings)


def _shares(counts: Sequence[int], exact: bool) -> Array:
    out = np.empty(len(counts), dtype=object)
    out[:] = [flint.fmpq(count, sum(counts)) for count in counts]
    return out if exact else cast(out, np.zeros(1))


def _settings(source: Source, profile: str, seed: int) -> tuple[Setting, Setting]:
    rng = np.random.default_rng(seed)
    sequences = source.tokens[rng.integers(len(source.tokens), size=SEQUENCES[profile])]
    exact = _experts(source, exact=True)
    states = tuple((t, sample_path(exact.central, Linear(), t, SEQUENCES[profile], seed)) for t in TIMES)
    return Setting(source, exact, sequences, states), Setting(source, _experts(source, exact=False), sequences, states)


def _matching(rows: np.ndarray, z: np.ndarray, mask: int) -> Any:
    """Return the rows that agree with the revealed tokens of z, by definition."""
    shown = z != mask
    return rows[(rows[:, shown] == z[shown]).all(axis=1)]


def _counted(setting: Setting, z: np.ndarray, position: Any) -> Array:
    """Return q(x^i = . | revealed tokens of z) as shares of the matching rows."""
    mask, like = setting.source.vocabulary, setting.experts.weights
    found = Counter(int(row[position]) for row in _matching(setting.source.tokens, z, mask))
    return _as(like, [flint.fmpq(found[token], sum(found.values())) for token in range(mask)])


def _as(like: Array, values: Sequence[Any]) -> Array:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return cast(out, like)


def _autoregression(s: Setting) -> Iterator[Statement]:
    """C06: on prefixes the velocity is the next-token law less the mask; the chain of them gives q(x)."""
    central, n = s.experts.central, s.source.tokens.shape[1]
    for t in range(n):
        states = prefix_states(s.sequences, t, s.source.vocabulary)
        u = step_velocity_at(central, Autoregressive(), t, t + 1, states)
        expected = full(tuple(u.shape), 0, u)
        expected[:, t, :-1] = stack([_counted(s, z, t) for z in states])
        expected[:, t, -1] = -full((len(states),), 1, u)
        yield Equation(f"velocity at prefixes of length {t}", u, expected)
    copies = [flint.fmpq(len(_matching(s.source.tokens, x, -1)), len(s.source.tokens)) for x in s.sequences]
    yield Equation("the chain gives q(x)", _along(chain_law(central, s.sequences)), _as(s.experts.weights, copies))  # type: ignore[arg-type]


def _along(chain: Array) -> Array:
    """Multiply next-token probabilities (..., N) along the sequence."""
    out = chain[..., 0]
    for t in range(1, chain.shape[-1]):
        out = out * chain[..., t]
    return out


def _loss(s: Setting) -> Iterator[Statement]:
    """C07: the step's loss, read off the velocity, is the next-token loss; along a sequence they sum to -log q(x)."""
    central, n, rows = s.experts.central, s.source.tokens.shape[1], np.arange(len(s.sequences))
    losses = []
    for t in range(n):
        states = prefix_states(s.sequences, t, s.source.vocabulary)
        law = next_token_law(step_velocity_at(central, Autoregressive(), t, t + 1, states)[:, t, :])
        losses.append(-log(law[rows, s.sequences[:, t]]))
        counted = stack([_counted(s, z, t)[x] for z, x in zip(states, s.sequences[:, t], strict=True)])
        yield Equation(f"loss of step {t}", losses[-1], -log(counted))
    copies = [flint.fmpq(len(_matching(s.source.tokens, x, -1)), len(s.source.tokens)) for x in s.sequences]
    yield Equation("the losses sum to -log q(x)", total(stack(losses), 0), -log(_as(s.experts.weights, copies)))


def _decentralization(s: Setting) -> Iterator[Statement]:
    """C08: the mixture is the central velocity, on states of a parallel path and on prefixes."""
    experts, central = s.experts, s.experts.central
    for t, states in s.states:
        mixed = experts.velocity_at(Linear(), t, states)
        yield Equation(f"velocity at t = {t}", mixed, velocity_at(central, Linear(), t, states))
        counted = [[_counted(s, z, i) for i in np.flatnonzero(z == central.size - 1)] for z in states]
        rate = _as(s.experts.weights, [1 / (1 - t)])
        for b, (z, laws) in enumerate(zip(states, counted, strict=True)):
            hidden = np.flatnonzero(z == central.size - 1)
            if len(hidden):
                yield Equation(f"counted velocity at t = {t}", mixed[b, hidden, :-1], stack(laws) * rate)
    n = s.source.tokens.shape[1]
    for t in sorted({0, 1, n // 4, n // 2, 3 * n // 4, n - 1} & set(range(n))):
        states = prefix_states(s.sequences, t, s.source.vocabulary)
        mixed = experts.step_velocity_at(Autoregressive(), t, t + 1, states)
        yield Equation(
            f"step velocity at prefixes of length {t}",
            mixed,
            step_velocity_at(central, Autoregressive(), t, t + 1, states),
        )


def _filter(s: Setting) -> Iterator[Statement]:
    """C10: the filter along a sequence is the posterior of the expert, counted."""
    n = s.source.tokens.shape[1]
    likelihoods = stack([chain_law(c, s.sequences) for c in s.experts.couplings])  # type: ignore[arg-type]
    for b, x in enumerate(s.sequences):
        trajectory = bayes_filter(s.experts.weights, likelihoods[:, b, :])
        counted = []
        for t in range(n + 1):
            z = prefix_states(x[None], t, s.source.vocabulary)[0]
            found = [len(_matching(rows, z, s.source.vocabulary)) for rows in s.rows]
            counted.append(_as(s.experts.weights, [flint.fmpq(count, sum(found)) for count in found]))
        yield Equation("the filter's path is the posterior's", trajectory, stack(counted, axis=1))


def _objective(s: Setting) -> Iterator[Statement]:
    """C12: -log q(x) = -log q_k(x) + log(r_k(x) / omega_k) on the data, and the entropies add up over all rows."""
    omega = s.experts.weights
    whole = s.experts.central.mass_at(s.sequences)  # type: ignore[union-attr]
    routers = s.experts.router_at(Autoregressive(), s.source.tokens.shape[1], s.sequences)
    for k, coupling in enumerate(s.experts.couplings):
        mass, r = coupling.mass_at(s.sequences), routers[k]  # type: ignore[union-attr]
        at = np.flatnonzero([bool(entry != 0) for entry in r])
        if len(at):
            yield Equation(
                f"per sequence, expert {k}", -log(whole[at]), log(r[at]) - log(mass[at]) - log(omega[k : k + 1])
            )
    counts = [Counter(map(bytes, np.ascontiguousarray(rows))) for rows in s.rows]
    h = _entropy([sum(c[x] for c in counts) for x in set().union(*counts)], omega)
    parts = [_entropy(list(c.values()), omega) for c in counts]
    joint = _entropy([count for c in counts for count in c.values()], omega)
    information = h + _entropy([len(rows) for rows in s.rows], omega) - joint
    yield Equation("H(X) = sum omega_k H(X|k) + I(X;K)", stack([h]), stack([mix(omega, stack(parts)) + information]))


def _entropy(counts: Sequence[int], like: Array) -> Any:
    """Return the entropy of counts, grouped by value so that each logarithm is taken once."""
    size, groups = sum(counts), Counter(counts)
    if is_object(like):
        return sum((Log.of(flint.fmpq(size, c)) * flint.fmpq(c * m, size) for c, m in groups.items()), Log({}))
    return np.float64(sum(m * c / size * np.log(size / c) for c, m in groups.items()))


def _once(s: Setting) -> Iterator[Statement]:
    """C13: along a sequence, mixing next-token laws by the filter has the probability of drawing the expert once."""
    likelihoods = stack([chain_law(c, s.sequences) for c in s.experts.couplings])  # type: ignore[arg-type]
    once = mix(s.experts.weights, _along(likelihoods))
    for b in range(len(s.sequences)):
        routers = bayes_filter(s.experts.weights, likelihoods[:, b, :])[:, :-1]
        yield Equation(
            "the mixed path has the law of routing once",
            stack([_along(mix(routers, likelihoods[:, b, :]))]),
            once[b : b + 1],
        )


LAWS: dict[str, Callable[[Setting], Iterator[Statement]]] = {
    "C06": _autoregression,
    "C07": _loss,
    "C08": _decentralization,
    "C10": _filter,
    "C12": _objective,
    "C13": _once,
}


def data_evidence(
    source: Source, claims: Sequence[str], profile: str, seed: int, say: Callable[[str], None]
) -> list[Check]:
    """Return the evidence of kind ``data`` for those claims that speak of data."""
    settings = _settings(source, profile, seed)
    found = []
    for claim in claims:
        if claim in LAWS:
            say(f"{claim} on {source.name}")
            found.append(_data_check(claim, settings))
    return found


def _data_check(claim: str, settings: tuple[Setting, Setting]) -> Check:
    exact, floating = settings
    states = len(exact.sequences) * (exact.source.tokens.shape[1] + 1) + (
        sum(len(z) for _, z in exact.states) if claim == "C08" else 0
    )
    try:
        for statement in LAWS[claim](exact):
            decide(statement)
        residual, bound, where = _float_data(claim, floating)
    except Failure as failure:
        return Check(claim, "data", FAILS, 0, failure.got, failure.expected, failure.where)
    except ERRORS as error:
        return Check(claim, "data", FAILS, 0, repr(error), "", exact.source.name)
    n, length = exact.source.tokens.shape
    size = f"{n} rows of {length} tokens over {exact.source.vocabulary}, {len(exact.experts)} experts, {states} states"
    note = f"{exact.source.name}: {size}; rationals by == and float64"
    return Check(claim, "data", HOLDS, states, f"{residual:.3e}", f"{bound:.3e}", where, note)


def _float_data(claim: str, setting: Setting) -> tuple[float, float, str]:
    n, length = setting.source.tokens.shape
    slack = gamma("float64", length * (4 * n + 2 * len(setting.experts) + 16))
    worst = (0.0, 0.0, "")
    for statement in LAWS[claim](setting):
        got, expected = sides(statement)
        size = float(max(1.0, np.abs(to_float(expected)).max()))
        residual = float(np.abs(got - expected).max())
        if not residual <= slack * size:
            raise Failure(statement.name, f"off by {residual:.3e}", f"within {slack * size:.3e}")
        worst = max(worst, (residual, slack * size, f"{statement.name}, float64"))
    return worst
