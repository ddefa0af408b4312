"""Torch modules as systems: a causal network holds in its own precision; batches and padding that leak are caught."""

import pytest
import torch

from ddfm_theory.ledger.records import FAILS, HOLDS, UNDECIDED
from ddfm_theory.testing import checks
from ddfm_theory.testing.adapters import from_modules
from ddfm_theory.testing.parametrize import report

V, WIDTH, LENGTH = 5, 16, 3


class Network(torch.nn.Module):
    """One attention layer; causal unless told otherwise, attending to what stands on the right of a row's end."""

    def __init__(self, seed, causal=True, centred=False):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.token, self.place = torch.nn.Embedding(V, WIDTH), torch.nn.Embedding(8, WIDTH)
        self.layer = torch.nn.TransformerEncoderLayer(WIDTH, 2, 24, 0.0, batch_first=True)
        self.head, self.causal, self.centred = torch.nn.Linear(WIDTH, V), causal, centred
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)

    def forward(self, ids, mask=None):
        n = ids.shape[1]
        h = self.token(ids) + self.place(torch.arange(n))
        causal = torch.triu(torch.full((n, n), -torch.inf, dtype=h.dtype), 1) if self.causal else None
        h = self.layer(h, src_mask=causal, src_key_padding_mask=None if mask is None else ~mask)
        return self.head(h - h.mean(dim=0) / 2 if self.centred else h)


def system(dtype=torch.float64, forward=None, **options):
    modules = [Network(seed, **options).to(dtype).eval() for seed in (0, 1)]
    return from_modules("networks", modules, [0.4, 0.6], length=LENGTH, vocabulary=V, start=0, pad=1, forward=forward)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_causal_network_holds_in_its_own_precision(dtype):
    found = report(system(dtype), examples=12)
    assert {name for name, check in found.items() if check.outcome == HOLDS} == {
        "check_laws", "check_router", "check_filter", "check_router_posterior", "check_one_expert",
        "check_permutation", "check_duplicates", "check_batch", "check_order", "check_padding",
    }  # fmt: skip
    assert FAILS not in {check.outcome for check in found.values()}


@pytest.mark.parametrize("modules", [[], [1, 2], torch.nn.Embedding(3, 2)])
def test_what_is_no_modules_is_refused_by_name(modules):
    with pytest.raises(ValueError, match="modules must be"):
        from_modules("wrong", modules, [0.5, 0.5], length=2, vocabulary=2, start=2)


def test_bfloat16_is_too_coarse_and_said_to_be():
    record = checks.check_router_posterior(system(torch.bfloat16), examples=4)
    assert record.outcome == UNDECIDED
    assert "offer a finer precision" in record.note


def test_padding_that_is_attended_is_caught_and_a_mask_repairs_it():
    leaking = checks.check_padding(system(causal=False), examples=8)
    assert leaking.outcome == FAILS
    assert leaking.where.startswith("padded as alone at expert ")
    masked = system(causal=False, forward=lambda module, ids, mask: module(ids, mask))
    assert checks.check_padding(masked, examples=8).outcome == HOLDS


def test_statistics_of_the_batch_are_caught():
    record = checks.check_batch(system(centred=True), examples=8)
    assert record.outcome == FAILS
    assert record.where.startswith("experts: in a batch as alone at expert ")


def test_another_dense_network_is_not_the_mixture_and_by_how_much():
    modules = [Network(seed).double().eval() for seed in (0, 1, 2)]
    whole = from_modules(
        "two and one", modules[:2], [0.4, 0.6], length=LENGTH, vocabulary=V, start=0, central=modules[2]
    )  # fmt: skip
    record = checks.check_central(whole, examples=12)
    assert record.outcome == FAILS
    assert float(record.residual) > 0.05
