"""What the commands ``ddfm check`` and ``ddfm generate`` do, as functions: folders and files in, a summary out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge.calibration import calibration
from ddfm_theory.bridge.check import Case, Record, conformance
from ddfm_theory.bridge.data import Item, Pixels, encode, image_embeddings, read_items
from ddfm_theory.bridge.distance import MEASURES, compare
from ddfm_theory.bridge.ensemble import Ensemble
from ddfm_theory.bridge.journal import Journal
from ddfm_theory.bridge.loading import check_alike, load_encoder, load_expert, load_experts
from ddfm_theory.bridge.router_files import open_router
from ddfm_theory.bridge.routers import BayesFilter, Router
from ddfm_theory.bridge.scores import bootstrap
from ddfm_theory.bridge.scoring import Scores

Tensor = Any  # torch.Tensor
Say = Callable[[str], Any]
_LOOKED_AT = 32  # images that an encoder holds at a time
ROUTERS = ("router_at_prompt", "router_after_answer")


@dataclass
class Summary:
    """What a check of checkpoints found.

    Attributes:
        records: of the conformance suite.
        distance: by cluster and measure the mean with its interval; empty without a dense model.
        calibration: of the router at the prompt and after the answer, over the rows that name their expert.
        items: how many rows of data were compared.
    """

    records: list[Record] = field(default_factory=list)
    distance: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    calibration: dict[str, dict[str, float]] = field(default_factory=dict)
    items: int = 0

    @property
    def ok(self) -> bool:
        """Tell whether no check fails."""
        return all(record.outcome != "fails" for record in self.records)


def open_ensemble(experts: Sequence[Any], router: Any = None, gate: int | None = None, **options: Any) -> Ensemble:
    """Return an ensemble of a saved folder (one path), or of experts with a router.

    Args:
        experts: one folder of an ensemble, or K checkpoints.
        router: a router, what ``router_files.open_router`` takes, or None: the exact filter from a uniform prior.
        gate: how many experts are kept.
        options: as for ``loading.load_experts``.
    """
    if len(experts) == 1 and (Path(experts[0]) / "router").is_dir():
        return Ensemble.from_pretrained(experts[0], **options)
    given = BayesFilter.kind if router is None else router
    weighs = given if isinstance(given, Router) else open_router(given, len(experts))  # refused before weights are read
    return Ensemble(load_experts(experts, **options), weighs, gate)


def features_of(items: Sequence[Item], encoder: Any, raw: bool = False) -> Tensor | None:
    """Return the embeddings of items' images by a CLIP checkpoint's folder; None without an encoder.

    Args:
        items: rows with an image.
        encoder: the folder.
        raw: leave them as they are; otherwise they are L2-normalized.
    """
    if encoder is None:
        return None

    model = load_encoder(encoder)
    how = Pixels(getattr(model.config, "vision_config", model.config).image_size, "crop")
    missing = [item.key for item in items if item.image is None]
    if missing:
        raise ValueError(f"items must show an image for an encoder to route on, {missing[0]!r} shows none")
    blocks = [items[a : a + _LOOKED_AT] for a in range(0, len(items), _LOOKED_AT)]
    found = [image_embeddings(model, torch.stack([how.read(item.image) for item in block])) for block in blocks]
    out = torch.cat(found)
    return out if raw else out / out.norm(dim=1, keepdim=True)


def check_checkpoints(
    experts: Sequence[Any], data: Any, *, dense: Any = None, router: Any = None, gate: int | None = None,
    encoder: Any = None, batch: int = 4, sample: int = 3, out: Any = None, say: Say | None = None, **options: Any,
) -> Summary:  # fmt: skip
    """Run the conformance suite on a few rows, then measure all of them.

    Measured are the distance to a dense model, where one is given, and the router's calibration, where rows name the
    expert they belong to.

    Args:
        experts: one ensemble's folder, or K checkpoints.
        data: a file of JSON lines, see ``data.read_items``.
        dense: a checkpoint to compare with.
        router: what ``router_files.open_router`` takes; None is the exact filter from a uniform prior.
        gate: how many experts are kept.
        encoder: a CLIP checkpoint whose image embedding the router looks at.
        batch: rows at a time.
        sample: rows of the conformance suite, at least 2.
        out: a file of JSON lines; rows that an interrupted run of the same arguments wrote are not done again.
        say: told what goes on.
        options: as for ``loading.load_experts``.

    Raises:
        ValueError: whatever is wrong with folders, data or arguments; ``out`` of another run.
    """
    tell = say or (lambda words: None)
    items, ensemble = read_items(data), open_ensemble(experts, router, gate, **options)
    _check_experts(items, len(ensemble.experts))
    features = features_of(items, encoder, ensemble.router.raw)
    named = {"dense": dense, "data": data, "router": router, "encoder": encoder, **options}
    run: dict[str, Any] = {"experts": [str(path) for path in experts], "gate": gate, "rows": len(items)}
    run |= {name: None if value is None else str(value).removeprefix("torch.") for name, value in named.items()}
    journal = Journal(out, {**run, "sha256": hashlib.sha256(Path(data).read_bytes()).hexdigest()})
    summary = Summary()
    case = _case(ensemble, items[:sample], None if features is None else features[:sample])
    for record in conformance(case):
        tell(f"{record.name}: {record.outcome}")
        summary.records.append(record)
        journal.write("check", asdict(record))
    labelled = [item.expert is not None for item in items]
    if dense is None and not any(labelled):
        return summary
    central = None if dense is None else load_expert(dense, **options)
    if central is not None:
        check_alike([ensemble.experts[0], central])
    for rows in _blocks(items, journal, batch):
        tell(f"compared {len(journal.rows)} of {len(items)} rows")
        _measure(ensemble, central, items, rows, features, journal)
    found = [journal.rows[item.key] for item in items]
    summary.distance, summary.items = {} if central is None else _distance(found), len(items)
    summary.calibration = _calibration(found, [item.expert for item in items]) if any(labelled) else {}
    journal.write("summary", {"distance": summary.distance, "calibration": summary.calibration})
    return summary


def _check_experts(items: Sequence[Item], count: int) -> None:
    for item in items:
        if item.expert is not None and item.expert >= count:
            raise ValueError(f"expert of row {item.key!r} must be an index in 0..{count - 1}, was {item.expert}")


def _case(ensemble: Ensemble, items: Sequence[Item], features: Tensor | None) -> Case:
    prompts, answers = encode(items, ensemble.experts[0])
    return Case(ensemble, prompts, answers, features)


def _blocks(items: Sequence[Item], journal: Journal, batch: int) -> Iterable[list[int]]:
    due = [i for i, item in enumerate(items) if item.key not in journal.rows]
    return [due[a : a + batch] for a in range(0, len(due), batch)]


def _measure(
    ensemble: Ensemble, dense: Any, items: Sequence[Item], rows: list[int], features: Tensor | None, journal: Journal
) -> None:
    """Add to the journal each row's router, and its distance to the dense model where there is one."""
    chosen = [items[i] for i in rows]
    looked = None if features is None else features[rows]
    prompts, answers = encode(chosen, ensemble.experts[0])
    found = None if dense is None else compare(ensemble, dense, prompts, answers, looked)
    routers = _routers(ensemble.score(prompts, answers, looked)) if found is None else found.routers
    clusters = routers[0].argmax(axis=0).tolist()
    for b, item in enumerate(chosen):
        values = {} if found is None else {name: float(found.means(name)[b]) for name in MEASURES}
        weights = dict(zip(ROUTERS, routers[:, :, b].tolist(), strict=True))
        journal.add({"id": item.key, "cluster": clusters[b], "tokens": len(answers[b]), **values, **weights})


def _routers(scores: Scores) -> np.ndarray:
    return np.asarray(scores.log_router[:, :, [0, -1]].exp().movedim(-1, 0))


def _calibration(rows: Sequence[dict[str, Any]], experts: Sequence[int | None]) -> dict[str, dict[str, float]]:
    named = [b for b, expert in enumerate(experts) if expert is not None]
    truth = [experts[b] for b in named]
    return {name: calibration(np.array([rows[b][name] for b in named]).T, truth) for name in ROUTERS}


def _distance(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    groups = {"all": list(rows)}
    clusters = sorted({row["cluster"] for row in rows})
    if len(clusters) > 1:
        groups |= {f"cluster {k}": [row for row in rows if row["cluster"] == k] for k in clusters}
    out: dict[str, dict[str, dict[str, float]]] = {}
    for name, members in groups.items():
        out[name] = {}
        for measure in MEASURES:
            values = np.array([row[measure] for row in members])
            low, high = bootstrap(values)
            out[name][measure] = {"mean": float(values.mean()), "low": low, "high": high, "n": len(values)}
    return out


def generate_text(
    experts: Sequence[Any], prompts: Sequence[str], *, router: Any = None, gate: int | None = None,
    images: Sequence[Any] | None = None, encoder: Any = None, chat: bool = False, load: dict[str, Any] | None = None,
    **decoding: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """Generate from an ensemble: text in, text out with the router's weights and what was left out.

    Args:
        experts: one ensemble's folder, or K checkpoints.
        prompts: B texts.
        router: what ``router_files.open_router`` takes; None is the exact filter from a uniform prior.
        gate: how many experts are kept.
        images: one a prompt.
        encoder: a CLIP checkpoint whose image embedding the router looks at.
        chat: put each prompt into the tokenizer's chat template.
        load: options for ``loading.load_experts``.
        decoding: options of ``generation.Decoding``; without ``stop`` the tokenizer's end-of-text token ends a row.

    Returns:
        One row a prompt: prompt, text, tokens, log_likelihood, router, dropped.
    """
    ensemble = open_ensemble(experts, router, gate, **(load or {}))
    words = ensemble.tokenizer
    if images is not None and len(images) != len(prompts):
        raise ValueError(f"images must be one a prompt, {len(prompts)}, were {len(images)}")
    shown = [_in_chat(words, text) if chat else text for text in prompts]
    paths = [None] * len(shown) if images is None else [Path(image) for image in images]
    items = [Item(str(b), image, text, "") for b, (text, image) in enumerate(zip(shown, paths, strict=True))]
    encoded, _ = encode(items, ensemble.experts[0])
    if decoding.get("stop") is None:
        decoding["stop"] = [] if words.eos_token_id is None else [words.eos_token_id]
    made = ensemble.generate(encoded, features_of(items, encoder, ensemble.router.raw), **decoding)
    return [
        {"prompt": text, "text": words.decode(made.tokens[b], skip_special_tokens=True), "tokens": made.tokens[b],
         "log_likelihood": float(made.log_likelihoods[b]), "router": made.log_router[:, b].exp().tolist(),
         "dropped": float(made.dropped[b])}
        for b, text in enumerate(prompts)
    ]  # fmt: skip


def _in_chat(tokenizer: Any, text: str) -> str:
    message = [{"role": "user", "content": text}]
    return str(tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))
