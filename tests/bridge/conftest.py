"""Fixtures over the tiny checkpoints of tiny_models."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import pytest
import torch

from bridge.tiny_models import IMAGE, MAKERS, SIDE, tokenizer

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_expert():
    from ddfm_theory.bridge import CheckpointExpert

    return lambda kind="llama", seed=0: CheckpointExpert(MAKERS[kind](seed), name=f"{kind}-{seed}")


@pytest.fixture(scope="session")
def make_prompts():
    from ddfm_theory.bridge import Prompts

    def make(kind="llama", lengths=(3, 6, 5), seed=0):
        generator = torch.Generator().manual_seed(seed)
        rows = [torch.randint(3, IMAGE, (n,), generator=generator).tolist() for n in lengths]
        if kind in ("llama", "gpt2"):
            return Prompts(rows)
        pixels = torch.randn(len(lengths), 3, SIDE[kind], SIDE[kind], generator=generator)
        return Prompts([[1] + [IMAGE] * 4 + row for row in rows], pixels)

    return make


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Checkpoint folders of two language models, two LLaVA and one InternVL."""
    place = tmp_path_factory.mktemp("checkpoints")
    for kind, seed in (("llama", 0), ("llama", 1), ("llava", 0), ("llava", 1), ("internvl", 0)):
        folder = place / f"{kind}_{seed}"
        MAKERS[kind](seed).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
    return place
