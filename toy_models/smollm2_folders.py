"""``python -m toy_models.smollm2_folders DIR``: the first pair's experts and dense model as folders, and held-out text.

What ``ddfm check`` and ``ddfm generate`` need to be tried on real weights: ``DIR/code``, ``DIR/prose``, ``DIR/dense``
(0.5 GB each), and ``DIR/held_out.jsonl``, windows of both texts cut into prompt and answer, each naming its expert.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ddfm_theory.bridge import CheckpointExpert
from ddfm_theory.files import write_whole
from toy_models.packaged import Windows, packaged_model, packaged_texts, split
from toy_models.smollm2 import SEEDS, Say, Sizes, trained


def rows_of(held: Mapping[str, Windows], tokenizer: Any, sizes: Sizes) -> list[dict[str, Any]]:
    """Return held-out windows as rows of data: the prompt their first tokens, the answer the rest."""
    return [
        {"id": f"{text} {b}", "expert": k, "prompt": tokenizer.decode(row[: sizes.prompt]),
         "answer": tokenizer.decode(row[sizes.prompt :])}
        for k, (text, windows) in enumerate(held.items())
        for b, row in enumerate(windows[: sizes.compared])
    ]  # fmt: skip


def write_folders(
    base: CheckpointExpert, texts: Mapping[str, Mapping[str, str]], sizes: Sizes, place: Path, say: Say
) -> None:
    """Train one pair of seeds and write its models and the held-out rows.

    Args:
        base: where all start.
        texts: documents by text, one expert each.
        sizes: of the run.
        place: a folder that is not there yet.
        say: what tells of a step.

    Raises:
        ValueError: something is at ``place`` already.
    """
    if place.exists():
        raise ValueError(f"DIR must not be there yet, was {place}")
    train, held = split(base.tokenizer, texts, sizes.width, sizes.held_out, SEEDS["windows"])
    models = trained(base, train, sizes, say)
    place.mkdir(parents=True)
    for expert in models:
        expert.model.save_pretrained(place / expert.name)
        expert.tokenizer.save_pretrained(place / expert.name)
    rows = [json.dumps(row) for row in rows_of(held, base.tokenizer, sizes)]
    write_whole(place / "held_out.jsonl", "\n".join(rows) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run on the packaged model and texts."""
    parser = argparse.ArgumentParser(prog="python -m toy_models.smollm2_folders", description="experts as folders")
    parser.add_argument("place", type=Path, metavar="DIR")
    parser.add_argument("--steps", type=int, default=Sizes.steps, help="of each expert; the dense model takes twice")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        base, texts = packaged_model(), packaged_texts()
        write_folders(base, texts, Sizes(steps=chosen.steps), chosen.place, lambda words: print(words, file=sys.stderr))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
