"""The runner: fill the table of claims with evidence."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ddfm_theory.arrays import sequence
from ddfm_theory.ledger.claims import CLAIMS
from ddfm_theory.ledger.derived import derivation_evidence
from ddfm_theory.ledger.evidence import (
    ERRORS,
    PROFILES,
    Profile,
    exact_evidence,
    numeric_evidence,
    property_evidence,
    symbolic_evidence,
    witness,
)
from ddfm_theory.ledger.formal import formal_evidence
from ddfm_theory.ledger.rates import RATES
from ddfm_theory.ledger.records import FAILS, HOLDS, KINDS, Check, Witness

_EVIDENCE: dict[str, Callable[..., Check]] = {
    "numeric": numeric_evidence,
    "property": property_evidence,
    "exact": exact_evidence,
    "symbolic": symbolic_evidence,
}


@dataclass(frozen=True)
class Report:
    """The filled ledger.

    Attributes:
        profile: quick, default or exhaustive.
        seed: the seed of every draw.
        data: the name of the real data set, or empty.
        checks: the evidence found.
        witnesses: the controls, each failing where it must.
    """

    profile: str
    seed: int
    data: str
    checks: tuple[Check, ...]
    witnesses: tuple[Witness, ...]

    @property
    def claims(self) -> tuple[str, ...]:
        """Return the claims looked at, in order."""
        return tuple(sorted({check.claim for check in self.checks}))

    def evidence(self, claim: str, kind: str) -> list[Check]:
        """Return what was found of a kind for a claim."""
        return [check for check in self.checks if (check.claim, check.kind) == (claim, kind)]

    def faults(self) -> list[str]:
        """Return what keeps the ledger from standing: failing claims, controls that pass, rows without proof."""
        found = [
            f"{c.claim} fails ({c.kind}): {c.where}: got {c.residual}, expected {c.bound}"
            for c in self.checks
            if c.outcome == FAILS
        ]
        found += [
            f"{w.claim} control does not fail as stated ({w.says}): "
            f"measured {w.measured}, stated {w.stated}, restored {w.restored}"
            for w in self.witnesses
            if w.outcome != FAILS
        ]
        for claim in self.claims:
            if not any(c.outcome == HOLDS for kind in ("exact", "symbolic") for c in self.evidence(claim, kind)):
                found.append(f"{claim} has neither exact nor symbolic evidence")
        return found

    @property
    def ok(self) -> bool:
        """Tell whether no claim fails, every control fails with its witness, and every row is proved."""
        return not self.faults()

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, without dates, so that equal runs give equal bytes."""
        return {
            "profile": self.profile,
            "seed": self.seed,
            "data": self.data,
            "versions": versions(),
            "claims": [
                {
                    "id": name,
                    "title": CLAIMS[name].title,
                    "statement": CLAIMS[name].statement,
                    "hypotheses": CLAIMS[name].hypotheses,
                    "source": CLAIMS[name].source,
                    "evidence": [asdict(check) for check in self.checks if check.claim == name],
                    "controls": [asdict(w) for w in self.witnesses if w.claim == name],
                }
                for name in self.claims
            ],
            "faults": self.faults(),
        }

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.as_dict(), indent=1, sort_keys=True) + "\n"

    def _repr_html_(self) -> str:
        from ddfm_theory.ledger.report import html

        return html(self)


def versions() -> dict[str, str]:
    """Return what the numbers depend on: versions, machine, threads."""
    import torch

    names = ("array-api-compat", "hypothesis", "numpy", "python-flint", "sympy", "torch")
    found = {name: importlib.metadata.version(name) for name in names}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        **found,
        "ddfm-theory": importlib.metadata.version("ddfm-theory"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
        "cuda": device,
    }


def verify(
    profile: str = "quick",
    claims: Sequence[str] | None = None,
    data: Any = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Fill the ledger with evidence.

    Args:
        profile: quick, default or exhaustive.
        claims: which rows, as C01..C22; None is all.
        data: ``"digits"``, the path of a ``.npy`` or ``.npz`` of integer tokens, or None for generated systems alone.
        seed: the seed of every draw.
        progress: called with a few words before each step.

    Returns:
        The report.

    Raises:
        ValueError: an unknown profile or claim, or data that cannot be used.
    """
    if not isinstance(profile, str) or profile not in PROFILES:
        raise ValueError(f"profile must be one of {sorted(PROFILES)}, was {profile!r}")
    names = list(CLAIMS) if claims is None else sequence(claims, "claims")
    unknown = [name for name in names if not isinstance(name, str) or name not in CLAIMS]
    if unknown:
        raise ValueError(f"claims must be among C01..C22, was {unknown}")
    chosen = list(dict.fromkeys(names))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be a nonnegative integer, was {seed!r}")
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be a function of a few words, was {progress!r}")
    source = _load(data)
    say = progress or (lambda words: None)
    checks, witnesses = [], []
    for name in chosen:
        say(f"{name} {CLAIMS[name].title}")
        checks += _evidence(name, PROFILES[profile], seed)
        witnesses += [witness(CLAIMS[name], control) for control in CLAIMS[name].controls]
    if source is not None:
        from ddfm_theory.ledger.data import data_evidence

        checks += data_evidence(source, chosen, profile, seed, say)
    return Report(profile, seed, "" if source is None else source.name, tuple(checks), tuple(witnesses))


def _load(data: Any) -> Any:
    if data is None:
        return None
    from ddfm_theory.ledger.data import load

    return load(data)


def _evidence(name: str, profile: Profile, seed: int) -> list[Check]:
    claim = CLAIMS[name]
    found = [_EVIDENCE[kind](claim, profile, seed) for kind in KINDS]
    found += [_guarded(name, rate) for rate in RATES.get(name, ())]
    if profile.derivations:
        found += derivation_evidence(name)
    return found + formal_evidence(name)


def _guarded(name: str, rate: Callable[[], Check]) -> Check:
    """Measure a rate; what a broken formula raises is evidence against the claim."""
    try:
        return rate()
    except ERRORS as error:
        return Check(name, "numeric", FAILS, 0, repr(error), "", "a rate of convergence")
