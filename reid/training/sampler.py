"""Batches of a few crops of each of a few identities, the same at every run of a seed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from kprtrack.core.errors import UserError


@dataclass(frozen=True)
class SamplerConfig:
    """The shape of a batch, over all processes together."""

    identities: int = 16
    crops_each: int = 4

    def __post_init__(self) -> None:
        if self.identities < 2 or self.crops_each < 2:
            raise UserError(
                f"A batch of {self.identities} identities with {self.crops_each} crops each holds no pair to "
                "compare; sampler.identities and sampler.crops_each must be at least 2."
            )


@dataclass(frozen=True)
class Draw:
    """One place of a batch: what a dataset needs to make the example."""

    row: int  # of the dataset
    others: tuple[int, ...]  # the other identities of the whole batch, whom BIPO pastes
    seed: tuple[int, ...]  # of this place in the training, whichever process or worker makes it

    def generator(self) -> np.random.Generator:
        """The source of everything random about this example."""
        return np.random.default_rng(self.seed)


class IdentitySampler(Sampler[list[Draw]]):
    """A batch sampler: `DataLoader(dataset, batch_sampler=sampler)` calls `dataset[draw]`.

    An epoch depends on seed and epoch alone, so training resumes exactly with `set_epoch(epoch, batch)`. With
    several processes each gets its share of the identities of every batch: the batch stays the same
    whatever their number. Each identity's crops are cut into groups; one with too few crops gives one group
    with repetitions, a remainder waits for another epoch. The epoch ends when too few identities are left for
    a batch.
    Source: docs/reference/kpr.md 4.1.

    identities: [S] of the dataset's rows.
    Raises: UserError if there are fewer identities than a batch needs, or the processes cannot share them.
    """

    def __init__(
        self, identities: np.ndarray, config: SamplerConfig, *, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self._names, inverse = np.unique(identities, return_inverse=True)
        if len(self._names) < config.identities:
            raise UserError(
                f"The training set has {len(self._names)} identities, a batch needs {config.identities}. "
                f"Set sampler.identities={len(self._names)} or less, or add people."
            )
        if config.identities % world:
            raise UserError(
                f"The {config.identities} identities of a batch cannot be shared by {world} processes. "
                f"Set sampler.identities to a multiple of {world}."
            )
        self._rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
        self._config = config
        self._seed, self._rank, self._world = seed, rank, world
        self.set_epoch(0)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the epoch, and how many of its batches to leave out because they have been trained on."""
        self._epoch, self._first = epoch, first_batch
        self._plan = self._plan_epoch(np.random.default_rng((self._seed, epoch)))

    def __len__(self) -> int:
        return max(len(self._plan) - self._first, 0)

    def __iter__(self) -> Iterator[list[Draw]]:
        for number in range(self._first, len(self._plan)):
            yield self._share(number)

    def _share(self, number: int) -> list[Draw]:
        """This process's part of a batch."""
        batch = self._plan[number]
        each = self._config.identities // self._world
        mine = range(self._rank * each, (self._rank + 1) * each)
        names = [int(self._names[identity]) for identity, _ in batch]
        return [
            Draw(
                int(row),
                (*names[:place], *names[place + 1 :]),
                (self._seed, self._epoch, number, place, copy),
            )
            for place in mine
            for copy, row in enumerate(batch[place][1])
        ]

    def _plan_epoch(self, rng: np.random.Generator) -> list[list[tuple[int, np.ndarray]]]:
        """The batches: for each its identities (places in `_names`) with their rows."""
        waiting = [self._groups(rows, rng) for rows in self._rows]
        left = np.arange(len(waiting))
        batches = []
        while len(left) >= self._config.identities:
            chosen = rng.choice(left, self._config.identities, replace=False)
            batches.append([(int(identity), waiting[identity].pop()) for identity in chosen])
            left = np.array([identity for identity in left if waiting[identity]])
        return batches

    def _groups(self, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        size = self._config.crops_each
        if len(rows) < size:
            return [rng.choice(rows, size)]
        return list(rng.permutation(rows)[: len(rows) // size * size].reshape(-1, size))
