"""Experts skipped row by row: what is left out is bounded, what wakes is right again."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.bounds import law_bound, mass_bound, router_bound
from ddfm_theory.arrays import gamma
from ddfm_theory.bridge import BayesFilter, Ensemble, FixedPrior, Prompts
from ddfm_theory.bridge.generation import Decoder, Decoding
from ddfm_theory.bridge.lanes import Lane, asleep, settle
from ddfm_theory.stability import total_variation

PRIOR = [0.2, 0.5, 0.3]


@pytest.fixture(scope="module")
def trio(make_expert):
    return [make_expert("llama", seed) for seed in (0, 1, 2)]


@pytest.fixture
def build(trio):
    return lambda router=None: Ensemble(trio, router or BayesFilter(FixedPrior(PRIOR)))


def forced(ensemble, prompts, tokens, bound):
    """Force a text through a decoder: its laws, its steps, who slept at each (K, B), and what each expert read."""
    decoder = Decoder(ensemble, prompts, None, Decoding(skip_below=bound, max_new_tokens=len(tokens[0])))
    queue, laws, slept = [torch.tensor(column) for column in zip(*tokens, strict=True)], [], []
    original = decoder.mixture

    def mixture():
        laws.append(original())
        slept.append(torch.stack([lane.sleeping(len(prompts)) for lane in decoder.lanes]))
        return laws[-1]

    decoder.mixture = mixture
    object.__setattr__(decoder, "decoding", _Forced(decoder.decoding, queue))
    steps = list(decoder)
    return [law for law, _ in laws], steps, slept, [lane.read for lane in decoder.lanes]


class _Forced:
    def __init__(self, inner, queue):
        self.inner, self.queue = inner, list(queue)

    def choose(self, *_):
        return self.queue.pop(0)

    def __getattr__(self, name):
        return getattr(self.inner, name)


def a_text(build, prompts, length=16):
    return build().generate(prompts, max_new_tokens=length, seed=5).tokens


@pytest.mark.parametrize("bound", [0.0, 1e-3, 0.05, 0.3])
def test_skipped_experts_cost_less_and_the_bound_holds_at_every_step_and_row(bound, build, trio, make_prompts):
    prompts = make_prompts()
    text = a_text(build, prompts)
    exact, _, _, whole = forced(build(), prompts, text, 0.0)
    laws, steps, slept, read = forced(build(), prompts, text, bound)
    noise, moved = router_bound(trio, prompts, 16), 0.0
    for law, full, step, sleeping in zip(laws, exact, steps, slept, strict=True):
        shift = total_variation(law.exp().double(), full.exp().double())
        assert bool((shift <= step.dropped + noise).all())
        assert float(step.dropped.max()) <= bound + gamma(torch.float64, 8)
        assert torch.equal(step.dropped > 0, sleeping.any(0))
        assert float((law.exp().double().sum(-1) - 1).abs().max()) <= mass_bound(40, 3, float(torch.tensor(40.0).log()))
        moved = max(moved, float(shift.max()))
    assert whole == [45, 45, 45]
    assert (sum(read) < sum(whole)) == (bound > 0)
    if bound >= 0.05:
        assert moved > noise
    if bound == 0.0:
        assert moved == 0.0


def test_rows_sleep_apart(build, make_prompts):
    """In some steps an expert runs over some rows while others of the same batch leave it out."""
    prompts = make_prompts()
    _, _, slept, _ = forced(build(), prompts, a_text(build, prompts), 0.3)
    assert any(bool(lane.any()) and not bool(lane.all()) for sleeping in slept for lane in sleeping)


def test_what_sleeps_has_a_bound_above_and_what_wakes_its_exact_weight_and_law(build, trio, make_prompts):
    prompts = make_prompts()
    text = a_text(build, prompts)
    scores = build().score(prompts, text)
    exact, _, _, _ = forced(build(), prompts, text, 0.0)
    laws, steps, slept, read = forced(build(), prompts, text, 0.05)
    noise, woken = router_bound(trio, prompts, 16), 0
    for t in range(1, 16):
        above, true = steps[t].log_router, scores.log_router[:, :, t]
        assert bool((above >= true - noise)[slept[t]].all())
        back = slept[t - 1].any(0) & ~slept[t].any(0)  # rows whose last sleepers read what they had missed
        for b in back.nonzero()[:, 0].tolist():
            assert float((above - true)[:, b].abs().max()) <= noise
            assert float((laws[t][b].exp() - exact[t][b].exp()).abs().max()) <= noise
            woken += 1
    assert woken > 0
    assert 0 < min(read) < 45


def test_a_static_router_stays_when_a_row_wakes(trio):
    """Expert 3 is the lightest of row 1 alone; row 0's sleepers sleep on although row 1 reads with them."""
    weights = torch.tensor([[0.45, 0.34], [0.1, 0.33], [0.2, 0.32], [0.25, 0.01]], dtype=torch.float64)
    router = FixedPrior([0.25] * 4)
    router.prior = lambda features, rows: torch.log(weights)
    ensemble = Ensemble([*trio, trio[0]], router)
    steps = list(ensemble.stream(Prompts([[1, 5, 6], [4, 9]]), max_new_tokens=8, skip_below=0.31, seed=4))
    assert all(torch.equal(step.log_router, torch.log(weights)) for step in steps)
    assert all(float(step.dropped.max()) <= 0.31 for step in steps)


class Spy:
    """A prefix of laws that say what it has read: the law of a row is its tokens so far, written out."""

    def __init__(self, rows, texts=None):
        self.texts = [list(text) for text in (texts or [[]] * rows)]

    @property
    def log_law(self):
        return torch.tensor([[-1.0 - len(text)] * 4 for text in self.texts])

    def step(self, tokens):
        for text, token in zip(self.texts, tokens.tolist(), strict=True):
            text.append(token)

    def read(self, tokens, block=None):
        found = torch.tensor([[-1.0 - len(text) - i for i in range(tokens.shape[1])] for text in self.texts])
        for column in tokens.T:
            self.step(column)
        return found

    def fork(self, rows=None):
        return Spy(0, [self.texts[b] for b in (range(len(self.texts)) if rows is None else rows)])

    def join(self, other):
        self.texts += other.texts


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_row_that_is_awake_has_read_its_whole_text(data):
    """Whatever weights say, a lane's cache holds each row's own tokens: all of them, or up to where it fell asleep."""
    count, batch = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 5))
    lanes = [Lane(Spy(batch), torch.arange(batch)) for _ in range(count)]
    texts, alive = [[] for _ in range(batch)], torch.ones(batch, dtype=torch.bool)
    for _ in range(data.draw(st.integers(1, 8))):
        raw = data.draw(st.lists(st.integers(0, 12), min_size=count * batch, max_size=count * batch))
        weights = torch.log_softmax(-2.0 * torch.tensor(raw, dtype=torch.float64).reshape(count, batch), 0)
        tokens = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=batch, max_size=batch)))
        settle(lanes, weights, tokens, alive, 0.25, follows=False)
        for b, token in enumerate(tokens.tolist()):
            texts[b] += [token] if bool(alive[b]) else []
        for lane in lanes:
            awake = dict(zip(lane.rows.tolist(), lane.prefix.texts if lane.prefix else [], strict=True))
            resting = {b: text + [int(step[b]) for step in group.pending]
                       for group in lane.asleep
                       for b, text in zip(group.rows.tolist(), group.prefix.texts, strict=True)}  # fmt: skip
            for b in alive.nonzero()[:, 0].tolist():
                assert (awake | resting)[b] == texts[b]
            assert not awake.keys() & resting.keys()
        alive &= torch.tensor(data.draw(st.lists(st.integers(0, 5), min_size=batch, max_size=batch))) > 0
        if not bool(alive.any()):
            return


def test_asleep_takes_the_lightest_within_the_bound_row_by_row():
    weights = torch.tensor([[0.625, 0.5], [0.25, 0.125], [0.125, 0.375]], dtype=torch.float64)
    assert asleep(weights, 0.0).tolist() == [[False, False]] * 3
    assert asleep(weights, 0.125).tolist() == [[False, False], [False, True], [True, False]]
    assert asleep(weights, 0.5).tolist() == [[False, False], [True, True], [True, True]]
    assert asleep(torch.tensor([[1.0], [0.0]]), 0.0).tolist() == [[False], [True]]
    assert asleep(torch.tensor([[1.0], [0.0]]), -1.0).tolist() == [[False], [False]]
    assert asleep(torch.ones(1, 2), 1.0).tolist() == [[False, False]]  # the heaviest is always awake


def test_laws_of_joined_prefixes_are_those_of_the_rows(trio, make_prompts):
    prompts = make_prompts()
    prefix, token = trio[0].prefill(prompts), torch.tensor([5, 6, 7])
    prefix.step(token)
    late = prefix.fork([0, 2])
    prefix.step(token)
    late.read(token[[0, 2]][:, None])
    first = prefix.fork([1])
    first.join(late)
    assert float((first.log_law - prefix.log_law[[1, 0, 2]]).abs().max()) <= law_bound(trio, prompts)
    first.roll_back(1)
    with pytest.raises(ValueError, match="of 1 tokens"):
        first.join(prefix)
    with pytest.raises(ValueError, match="other must be a prefix"):
        prefix.join(trio[1].prefill(prompts))
