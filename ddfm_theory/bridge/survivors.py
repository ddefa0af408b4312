"""Going on without lost ranks, by a store that all processes agree on.

With point-to-point messages survivors need not agree on who is gone, and gloo closes every pair of a process once one
of its receives has timed out. Here laws travel through the rendezvous store of torch.distributed, which outlives every
rank but its host, and it is the judge as well: for every law there is one key that its owner sets to *ok* behind the
law, and that a reader who has waited long enough sets to *lost*, both by compare-and-set. The first word stands for
all, so that survivors condition their mixture on the same experts from the same step on, and a rank that was only slow
finds that it counts as lost and stops. Losing the host of the store (rank 0, or under ``torchrun`` the first agent) is
always an error.

``torchrun`` itself ends all processes of its machine when one of them fails: what is survived is the loss of another
machine, with one agent a rank (``--nnodes K --nproc-per-node 1``; the agents left then wait some minutes for the lost
one before they exit), or of processes that were started otherwise.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch

from ddfm_theory.bridge.losses import LostRank

Tensor = Any  # torch.Tensor
OK, LOST = b"ok", b"lost"
START = timedelta(seconds=300)  # what a process may take to come up and load its expert
PAUSE = 0.02  # seconds between two looks at who has left


class Survivors:
    """The processes of a run that may lose some of them.

    Args:
        seconds: after which the owner of a law that is waited for counts as lost; more than any step takes.
        store: a store, this process's rank and how many there are; None takes them from the environment that
            ``torchrun`` sets (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).

    Raises:
        ValueError: seconds that are not positive.
    """

    def __init__(self, seconds: float = 120.0, store: tuple[Any, int, int] | None = None) -> None:
        if not seconds > 0:
            raise ValueError(f"seconds must be positive, was {seconds}")
        if store is None:
            from torch.distributed.rendezvous import rendezvous

            store = next(iter(rendezvous("env://", timeout=START)))
        self.store, self.rank, self.world = store[0], int(store[1]), int(store[2])
        self.seconds, self.lost = seconds, set[int]()

    def announce(self, expert: int, facts: Sequence[int] | None) -> list[int]:
        """Tell all processes of an expert, or hear of it; every rank must be there at the start."""
        key = f"facts/{expert}"
        with self._host():
            if facts is not None:
                self.store.set(key, json.dumps(list(facts)))
            if not self._there(key, START):
                raise LostRank(f"every rank must be there at the start, expert {expert}'s did not come")
            return [int(fact) for fact in json.loads(self.store.get(key))]

    def share(self, key: str, owner: int, payload: bytes | None) -> bytes | None:
        """Hand a law to all processes, or take it: None where the owner is lost.

        Raises:
            LostRank: this process counts as lost itself, or the store's host is gone.
        """
        with self._host():
            return self._tell(key, payload) if owner == self.rank else self._hear(key, owner)

    def _tell(self, key: str, payload: bytes | None) -> bytes | None:
        self.store.set(f"{key}/law", payload)
        if self.store.compare_set(f"{key}/word", b"", OK) != OK:
            raise LostRank(f"rank {self.rank} must answer within {self.seconds} seconds, did not at {key}: the others "
                           "went on without it")  # fmt: skip
        return payload

    def _hear(self, key: str, owner: int) -> bytes | None:
        word, law = f"{key}/word", f"{key}/law"
        late = owner in self.lost or not self._there(word, timedelta(seconds=self.seconds))
        found = self.store.compare_set(word, b"", LOST) if late else self.store.get(word)
        if found == LOST:
            self.lost.add(owner)
            return None
        if not self.store.check([law]):
            raise LostRank(f"rank {self.rank} must keep up, the others went on without it at {key}")
        out = self.store.get(law)
        if self.store.add(f"{key}/read", 1) >= self.world - 1 - len(self.lost):
            self.store.delete_key(law)
        return bytes(out)

    def _there(self, key: str, limit: timedelta) -> bool:
        import torch.distributed as dist

        try:
            self.store.wait([key], limit)
        except dist.DistNetworkError:
            raise
        except dist.DistStoreError:
            return False
        return True

    @contextmanager
    def _host(self) -> Iterator[None]:
        import torch.distributed as dist

        try:
            yield
        except (dist.DistNetworkError, dist.DistStoreError) as error:
            raise LostRank("the host of the store must stay in the run, was lost to "
                           f"rank {self.rank}: {str(error).splitlines()[0]}") from error  # fmt: skip

    def leave(self) -> None:
        """Say that this process has all it needs; the host of the store waits for the others."""
        with self._host():
            left, end = self.store.add("left", 1), time.monotonic() + self.seconds
            while self.rank == 0 and left < self.world - len(self.lost) and time.monotonic() < end:
                time.sleep(PAUSE)
                left = self.store.add("left", 0)


class StoreLink:
    """How laws of one expert travel through the store of :class:`Survivors`."""

    def __init__(self, survivors: Survivors, expert: int, owner: int, dtype: Any) -> None:
        self.survivors, self.expert, self.owner, self.dtype = survivors, expert, owner, dtype
        self.shared, self.lost = 0, False

    def share(self, value: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
        """Hand on what the owner computes, or take it; None from the loss of the owner on."""
        if self.lost:
            return None
        self.shared += 1
        mine = None if value is None else value.detach().cpu().to(self.dtype).contiguous()
        payload = None if mine is None else mine.numpy().tobytes()
        found = self.survivors.share(f"{self.expert}/{self.shared}", self.owner, payload)
        self.lost = found is None
        if found is None or mine is not None:
            return mine
        wide = np.float64 if self.dtype == torch.float64 else np.float32
        return torch.from_numpy(np.frombuffer(found, wide).reshape(shape).copy())
