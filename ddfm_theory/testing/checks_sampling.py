"""Check of samples: their law by a chi-square test of stated error probability, and equal seeds give equal samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ddfm_theory.arrays import is_symbolic, to_float
from ddfm_theory.couplings import states_of
from ddfm_theory.ledger.records import Inequality
from ddfm_theory.testing.judging import Missing, Refuted, Told, equal
from ddfm_theory.testing.looking import ENUMERABLE, Look
from ddfm_theory.testing.places import Place
from ddfm_theory.testing.registry import check
from ddfm_theory.testing.systems import PREFIX

POOLED = 5  # cells expected less often are counted as one (W. G. Cochran, Biometrics 10, 1954)


@check("C06", "sample")
def check_sampling(look: Look, draws: int = 20_000, error: float = 1e-6) -> Iterator[Told]:
    """Samples have the system's own law; a right sampler is refused with probability ``error`` (asymptotically).

    The law is the chain of the mixture's next-token laws over as many first tokens as can be enumerated, or the target
    where the system offers it (of a flow always).
    """
    if look.system.prior is not None and is_symbolic(look.prior):
        raise Missing("symbols cannot be drawn from")
    tokens, again = (np.asarray(look.call("sample", f"seed {look.seed}", draws, look.seed)) for _ in range(2))
    _in_range(look, tokens, draws)
    yield equal("equal seeds give equal samples", tokens.astype(float), again.astype(float), _draw)
    law = _law(look)
    n = law.ndim
    seen = np.bincount(np.ravel_multi_index(tuple(tokens[:, :n].T), law.shape), minlength=law.size)
    yield from _chi_square(law.ravel(), seen, draws, error, lambda cell: np.unravel_index(cell, law.shape))


def _draw(index: tuple[int, ...]) -> str:
    return f"draw {index[0]}, position {index[1]}" if len(index) > 1 else f"draw {index[0]}"


def _in_range(look: Look, tokens: np.ndarray, draws: int) -> None:
    v, shape = look.system.vocabulary, (draws, look.system.length)
    if tokens.dtype.kind not in "iu" or tokens.shape != shape:
        raise Refuted("samples are tokens", f"{draws} draws", f"{tokens.dtype} {tokens.shape}", f"integers {shape}")
    bad = (tokens < 0) | (tokens >= v)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise Refuted("samples are data tokens", _draw(where), str(tokens[where]), f"a token in 0..{v - 1}")


def _law(look: Look) -> np.ndarray:
    """Return the law of the first tokens, shape (V,) * n."""
    v, n = look.system.vocabulary, look.system.length
    if look.system.target is not None or look.system.kind != PREFIX:
        if look.system.target is None:
            look.need("coupling")
        target = look.system.target if look.system.target is not None else look.system.coupling.target
        law = to_float(look.enter(target, (v,) * n, "target", "the target"))
        return law if law.size <= ENUMERABLE else law.sum(axis=tuple(range(_first(v, n), n)))
    if look.system.mixture is None and look.system.router is None:
        raise Missing("the system offers no mixture and no router")
    law = np.ones(())
    for t in range(_first(v, n)):
        rows = states_of(v, t) if t else np.zeros((1, 0), dtype=np.int64)
        reached = law.ravel() > 0
        step = np.zeros((v**t, v))
        step[reached] = to_float(look.blend(Place(t, rows[reached])))
        law = (law.ravel()[:, None] * step).reshape((v,) * (t + 1))
    return law


def _first(vocabulary: int, length: int) -> int:
    return max(1, min(length, int(math.log(ENUMERABLE) / math.log(max(2, vocabulary)))))


def _chi_square(law: np.ndarray, seen: np.ndarray, draws: int, error: float, cell: Any) -> Iterator[Told]:
    from scipy.special import chdtri

    impossible = np.flatnonzero((law == 0) & (seen > 0))
    place = [tuple(int(i) for i in cell(c)) for c in impossible]
    none = np.zeros(len(impossible))
    yield equal(
        "nothing of probability zero is drawn", seen[impossible].astype(float), none, lambda i: str(place[i[0]])
    )
    expected = law * draws
    rare = expected < POOLED
    cells = [*expected[~rare], *([expected[rare].sum()] if expected[rare].sum() > 0 else [])]
    found = [*seen[~rare], *([seen[rare].sum()] if expected[rare].sum() > 0 else [])]
    statistic = sum((f - e) ** 2 / e for f, e in zip(found, cells, strict=True))
    limit = chdtri(max(1, len(cells) - 1), error)
    chance = f"error probability {error:g}"
    text = f"chi-square {statistic:.1f}, {draws} draws over {len(cells)} cells, limit {limit:.1f} of {chance}"
    yield Told(Inequality("samples have the law", np.array([statistic]), np.array([limit])), lambda _: text)
