import subprocess
import sys

import pytest
import torch

from ddfm_theory.autoregression import next_token_law, next_token_velocity
from ddfm_theory.bridge import CheckpointExpert, Prompts
from ddfm_theory.bridge.noise import MARGIN, forward_noise, law_gap

KINDS = ["llama", "gpt2", "llava", "internvl"]  # gpt2: absolute positions, which padding would shift
TOKENS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])


def near(expert, prompts, a, b):
    assert law_gap(a, b) <= MARGIN * forward_noise(expert, prompts)


@pytest.mark.parametrize("kind", KINDS)
def test_the_law_is_that_of_the_model_itself(kind, make_expert, make_prompts):
    expert, prompts = make_expert(kind), make_prompts(kind, lengths=(6,))
    ids, mask = prompts.padded()
    pixels = {} if prompts.pixel_values is None else {"pixel_values": prompts.pixel_values}
    with torch.no_grad():
        logits = expert.model(input_ids=ids, attention_mask=mask, **pixels).logits[:, -1]
    near(expert, prompts, expert.prefill(prompts).log_law, torch.log_softmax(logits, -1))


@pytest.mark.parametrize("kind", KINDS)
def test_stepping_reading_and_reading_anew_agree(kind, make_expert, make_prompts):
    expert, prompts = make_expert(kind), make_prompts(kind)
    stepped, read, blocks = (expert.prefill(prompts) for _ in range(3))
    found = torch.stack([_step(stepped, TOKENS[:, t]) for t in range(4)], dim=1)
    near(expert, prompts, found, read.read(TOKENS))
    near(expert, prompts, found, blocks.read(TOKENS, block=3))
    longer = Prompts([a + b for a, b in zip(prompts.ids, TOKENS.tolist(), strict=True)], prompts.pixel_values)
    for prefix in (stepped, read, blocks):
        near(expert, prompts, prefix.log_law, expert.prefill(longer).log_law)


def _step(prefix, tokens):
    found = prefix.log_law.gather(1, tokens[:, None])[:, 0]
    prefix.step(tokens)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_is_independent_and_rolling_back_restores(kind, make_expert, make_prompts):
    expert, prompts = make_expert(kind), make_prompts(kind)
    prefix = expert.prefill(prompts)
    start = prefix.log_law
    prefix.step(TOKENS[:, 0])
    middle = prefix.log_law
    fork = prefix.fork([2, 0, 0])
    fork.read(TOKENS[[2, 0, 0], 1:])
    assert torch.equal(prefix.log_law, middle)
    near(expert, prompts, prefix.step(TOKENS[:, 1]), expert.prefill(_longer(prompts, 2)).log_law)
    near(expert, prompts, fork.log_law[[1, 2]], expert.prefill(_longer(prompts, 4)).log_law[[0, 0]])
    prefix.step(TOKENS[:, 2])
    prefix.roll_back(2)
    near(expert, prompts, prefix.log_law, middle)
    prefix.roll_back(1)
    assert torch.equal(prefix.log_law, start)
    with pytest.raises(ValueError, match="count"):
        prefix.roll_back(1)


def _longer(prompts, count):
    tails = TOKENS[:, :count].tolist()
    return Prompts([a + b for a, b in zip(prompts.ids, tails, strict=True)], prompts.pixel_values)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_and_padding_change_nothing_beyond_noise(kind, make_expert, make_prompts):
    expert, prompts = make_expert(kind), make_prompts(kind)
    together = expert.prefill(prompts).log_law
    for b in range(3):
        near(expert, prompts, together[b], expert.prefill(prompts.select([b])).log_law[0])
    near(expert, prompts, together[[2, 0]], expert.prefill(prompts.select([2, 0])).log_law)


def test_wrong_positions_are_seen_by_the_same_measure(make_expert, make_prompts):
    """The control: a prefix that forgets the padding moves the law by far more than the noise."""
    expert, prompts = make_expert("llama"), make_prompts("llama")
    padded = Prompts([[0] * (6 - len(row)) + row for row in prompts.ids])
    shift = (expert.prefill(padded).log_law - expert.prefill(prompts).log_law).abs().max()
    assert float(shift) > 1000 * forward_noise(expert, prompts)


def test_features_computed_once_give_the_same_law(make_expert, make_prompts):
    for kind in ("llava", "internvl"):
        expert, prompts = make_expert(kind), make_prompts(kind)
        shared = expert.image_features(prompts.pixel_values)
        assert torch.equal(expert.prefill(prompts, shared).log_law, expert.prefill(prompts).log_law)


def test_several_images_a_row(make_expert):
    expert = make_expert("llava")
    pixels = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    rows = [[1, *[39] * 4, 5, *[39] * 4, 6], [1, 7, 8], [1, *[39] * 4, 9]]
    prompts = Prompts(rows, pixels, images=[2, 0, 1])
    law = expert.prefill(prompts).log_law
    for b, images in enumerate([[0, 1], [], [2]]):
        alone = Prompts([rows[b]], pixels[images] if images else None, [len(images)] if images else None)
        near(expert, alone, law[b], expert.prefill(alone).log_law[0])
        assert prompts.select([b]).images == [len(images)]


def test_padding_is_never_taken_for_an_image(make_prompts):
    from bridge.tiny_models import llava

    model = llava(3)
    model.config.image_token_id = 0  # which is also what rows are padded with
    expert, shown = CheckpointExpert(model), make_prompts("llava")
    prompts = Prompts([[0 if token == 39 else token for token in row] for row in shown.ids], shown.pixel_values)
    together = expert.prefill(prompts).log_law
    for b in range(3):
        near(expert, prompts, together[b], expert.prefill(prompts.select([b])).log_law[0])


def test_a_velocity_is_the_law_minus_the_mask(make_expert, make_prompts):
    law = make_expert().prefill(make_prompts()).log_law.exp()
    velocity = next_token_velocity(law)
    assert velocity.shape == (3, 41)
    assert torch.equal(next_token_law(velocity), law)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_learned_positions_end_with_a_message(cache):
    """Past the last one a lookup would fail, on a GPU with the whole process; rotary ones have no end."""
    from bridge.tiny_models import gpt2, llama

    expert = CheckpointExpert(gpt2(), cache=cache)
    assert expert.context == 64
    prefix = expert.prefill(Prompts([[5] * 62, [6] * 3]))
    prefix.step(torch.tensor([7, 8]))
    prefix.step(torch.tensor([7, 8]))
    for longer in (lambda: prefix.step(torch.tensor([9, 9])), lambda: expert.prefill(Prompts([[5] * 65]))):
        with pytest.raises(ValueError, match="prompt and text must be at most 64 tokens for expert, were 65"):
            longer()
    assert CheckpointExpert(llama(), cache=cache).prefill(Prompts([[5] * 130])).log_law.isfinite().all()


def test_refusals_name_what_is_wrong(make_expert, make_prompts):
    language, sees = make_expert("llama"), make_expert("llava")
    shown = make_prompts("llava")
    with pytest.raises(ValueError, match=r"ids must be tokens in 0..39 for llama-0, row 1 had 40"):
        language.prefill(Prompts([[1], [40]]))
    with pytest.raises(ValueError, match="language model without images"):
        language.prefill(shown, torch.zeros(3, 4, 32))
    with pytest.raises(ValueError, match=r"row 0 must hold 4 image tokens \(39\) for 1 images of 4, held 3"):
        sees.prefill(Prompts([[1, 39, 39, 39, 5]], torch.zeros(1, 3, 8, 8)))
    with pytest.raises(ValueError, match="must hold 0 image tokens"):
        sees.prefill(shown.without_images())
    with pytest.raises(ValueError, match="one row a prefix"):
        language.prefill(Prompts([[1]])).step(torch.tensor([1, 2]))
    with pytest.raises(ValueError, match="features must be of 3 images"):
        sees.prefill(shown, torch.zeros(2, 4, 32))
    with pytest.raises(ValueError, match="must accept"):
        CheckpointExpert(torch.nn.Linear(1, 1))


@pytest.mark.parametrize(("arguments", "message"), [
    (([],), "at least one prompt"),
    (([[]],), "nonempty rows"),
    (([[1, -1]],), "row 0"),
    (([[1]], torch.zeros(3, 8, 8)), "pixel_values must have shape"),
    (([[1]], torch.zeros(2, 3, 8, 8)), "sum to 2 images"),
    (([[1]], None, [1]), "zero without pixel_values"),
])  # fmt: skip
def test_prompts_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Prompts(*arguments)


def test_importing_the_bridge_loads_neither_torch_nor_transformers():
    code = "import sys, ddfm_theory.bridge as b; assert not {'torch', 'transformers'} & set(sys.modules); b.Prompts; " \
           "assert 'transformers' not in sys.modules; dir(b)"  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)
