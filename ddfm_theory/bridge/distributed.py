"""Experts one to a process: every process runs the same program on the same prompts, and only log-laws travel.

Expert k lives on the process of rank k modulo the number of processes. Its owner computes and sends, the others
receive; what a process does itself it does first, so processes work at the same time. The program above (mixing,
drawing with the same seeds) is the same everywhere, so results equal those of one process. A rank that is lost ends the
run with a :class:`LostRank`; weights are renormalized over those that are left only where that was asked for, by giving
:func:`distribute` a :class:`ddfm_theory.bridge.survivors.Survivors`.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import torch

from ddfm_theory.bridge.experts import Expert, Prefix
from ddfm_theory.bridge.losses import LostRank
from ddfm_theory.bridge.prompts import Prompts
from ddfm_theory.bridge.survivors import StoreLink, Survivors

Tensor = Any  # torch.Tensor
IN_FLIGHT = 16  # messages to a peer that may be on their way: more than one step of any program sends
_DTYPES = (torch.float32, torch.float64)


class _Link:
    """How laws of one expert travel: from its owner to every other process; no loss is survived."""

    def __init__(self, expert: int, owner: int, dtype: Any) -> None:
        import torch.distributed as dist

        self.expert, self.owner, self.dtype, self.dist = expert, owner, dtype, dist
        self.rank, self.others = dist.get_rank(), [r for r in range(dist.get_world_size()) if r != owner]
        self.device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else "cpu"
        self.outbox: deque[tuple[Any, Tensor]] = deque()  # buffers must live until they have arrived

    def share(self, value: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        """Send the owner's value without waiting for it to arrive, or receive it."""
        if self.rank != self.owner:
            out = torch.empty(shape, dtype=self.dtype, device=self.device)
            self._try(self.owner, lambda: self.dist.recv(out, self.owner, tag=self.expert))
            return out
        outgoing = torch.as_tensor(value).detach().to(self.device).contiguous()
        for peer in self.others:
            work = self._try(peer, partial(self.dist.isend, outgoing, peer, tag=self.expert))
            self.outbox.append((work, outgoing))
        while len(self.outbox) > IN_FLIGHT * len(self.others):
            self._try(self.rank, self.outbox.popleft()[0].wait)
        return value

    def _try(self, peer: int, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except RuntimeError as error:
            raise LostRank(f"rank {peer} must stay in the run, was lost to rank {self.rank} over expert {self.expert}: "
                           f"{str(error).splitlines()[0]}") from error  # fmt: skip


class DistributedExpert:
    """An expert that one process holds and all use.

    Args:
        inner: the expert on its owner, None elsewhere.
        index: k.
        owner: the rank that holds it.
        facts: what all processes know of it, by ``_facts``.
        survivors: those that go on without a lost rank; None where none do.
    """

    tokenizer = None

    def __init__(
        self, inner: Any, index: int, owner: int, facts: Sequence[int], survivors: Survivors | None = None
    ) -> None:
        self.inner, self.index, self.owner, self.local = inner, index, owner, inner is not None
        self.vocabulary = int(facts[0])
        self.image_token = None if facts[2] < 0 else int(facts[2])
        self.name = f"expert {index} of rank {owner}"
        dtype = _DTYPES[int(facts[1])]
        self.link = _Link(index, owner, dtype) if survivors is None else StoreLink(survivors, index, owner, dtype)

    def prefill(self, prompts: Prompts, features: Tensor | None = None) -> DistributedPrefix:
        """Read prompts on the owner and return the prefixes everywhere."""
        inner = self.inner.prefill(prompts, features) if self.local else None
        return DistributedPrefix(self.link, inner, len(prompts), self.vocabulary)


class DistributedPrefix:
    """The prefixes of a :class:`DistributedExpert`: on its owner with a cache, elsewhere their laws alone.

    Attributes:
        lost: the rank that the expert was lost with, None while it lives; laws are minus infinity then.
    """

    lost: int | None = None

    def __init__(self, link: _Link | StoreLink, inner: Prefix | None, rows: int, vocabulary: int) -> None:
        self.link, self.inner, self.rows, self.vocabulary = link, inner, rows, vocabulary
        self.local = inner is not None
        self.log_law = self._law()

    def _law(self) -> Tensor:
        return self._shared(self.inner.log_law if self.inner else None, (self.rows, self.vocabulary))

    def _shared(self, value: Tensor | None, shape: tuple[int, ...]) -> Tensor:
        found = self.link.share(value, shape)
        if found is None:
            self.lost = self.link.owner
            return torch.full(shape, -torch.inf, dtype=self.link.dtype)
        return found

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token a row and return the next log-law."""
        if self.inner:
            self.inner.step(tokens)
        self.log_law = self._law()
        return self.log_law

    def read(self, tokens: Tensor, block: int | None = None) -> Tensor:
        """Append tokens of shape (B, T) and return their log-likelihoods."""
        found = self._shared(self.inner.read(tokens, block) if self.inner else None, tuple(tokens.shape))
        self.log_law = self._law()
        return found

    def fork(self, rows: Sequence[int] | None = None) -> DistributedPrefix:
        """Return an independent copy of some rows."""
        chosen = list(range(self.rows)) if rows is None else list(rows)
        out = object.__new__(DistributedPrefix)
        out.link, out.rows, out.vocabulary, out.local = self.link, len(chosen), self.vocabulary, self.local
        out.inner, out.log_law = self.inner.fork(chosen) if self.inner else None, self.log_law[chosen]
        return out

    def join(self, other: DistributedPrefix) -> None:
        """Take in the rows of another prefix of the same length, behind one's own."""
        if self.inner and other.inner:
            self.inner.join(other.inner)
        self.rows, self.log_law = self.rows + other.rows, torch.cat([self.log_law, other.log_law])

    def roll_back(self, count: int) -> None:
        """Take back the last tokens."""
        if self.inner:
            self.inner.roll_back(count)
        self.log_law = self._law()


def join(backend: str = "gloo", seconds: float = 120.0) -> int:
    """Join the processes that ``torchrun`` started and return this one's rank.

    Args:
        backend: ``gloo``, by which laws travel through the CPU wherever experts live, or ``nccl``.
        seconds: after which a silent rank counts as lost.
    """
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group(backend, timeout=timedelta(seconds=seconds))
    return int(dist.get_rank())


def leave() -> None:
    """Wait until every process has every law, and part; experts must be alive until here.

    Raises:
        LostRank: a process that is gone.
    """
    import torch.distributed as dist

    try:
        dist.barrier()
    except RuntimeError as error:
        raise LostRank(f"every rank must stay to the end, one was lost: {str(error).splitlines()[0]}") from error
    dist.destroy_process_group()


def distribute(
    count: int, make: Callable[[int], Expert], survivors: Survivors | None = None
) -> list[DistributedExpert]:
    """Build each expert on the process that owns it, and hand all of them to every process.

    Args:
        count: K.
        make: k to the expert; called on its owner alone.
        survivors: those that go on without a rank that is lost later, renormalizing the router and saying so; they need
            no :func:`join`, and part by their own ``leave``. None: a lost rank ends the run.

    Raises:
        ValueError: experts of unlike tokenizers, or survivors that hold no expert.
        LostRank: a process that is gone.
    """
    rank, world = _who(survivors)
    if survivors is not None and world > count:
        raise ValueError(f"survivors must hold an expert each, {count} experts were for {world} ranks")
    owners = [k % world for k in range(count)]
    held = {k: make(k) for k in range(count) if owners[k] == rank}
    told = {k: _facts(expert) for k, expert in held.items()}
    tell = survivors.announce if survivors else lambda k, known: _broadcast(known, owners[k])
    facts = [tell(k, told.get(k)) for k in range(count)]
    for k, other in enumerate(facts[1:], start=1):
        if other[3:] != facts[0][3:] and -1 not in (other[3], facts[0][3]):
            raise ValueError(f"experts must have one tokenizer, expert {k}'s differs from expert 0's")
    return [DistributedExpert(held.get(k), k, owners[k], facts[k], survivors) for k in range(count)]


def _who(survivors: Survivors | None) -> tuple[int, int]:
    if survivors is not None:
        return survivors.rank, survivors.world
    rank = join()
    import torch.distributed as dist

    return rank, int(dist.get_world_size())


def _facts(expert: Any) -> list[int]:
    """Return an expert's vocabulary, dtype, image token and its tokenizer's fingerprint."""
    double = getattr(getattr(expert, "model", None), "dtype", None) == torch.float64
    image = getattr(expert, "image_token", None)
    head = [expert.vocabulary, int(double), -1 if image is None else image]
    return head + _fingerprint(getattr(expert, "tokenizer", None))


def _broadcast(facts: Sequence[int] | None, owner: int) -> list[int]:
    import torch.distributed as dist

    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else "cpu"
    values = torch.tensor([0] * 35 if facts is None else list(facts), device=device)
    dist.broadcast(values, owner)
    return [int(value) for value in values]


def _fingerprint(tokenizer: Any) -> list[int]:
    if tokenizer is None:
        return [-1] * 32
    words = json.dumps(sorted(tokenizer.get_vocab().items()), ensure_ascii=True)
    return list(hashlib.sha256(words.encode()).digest())
