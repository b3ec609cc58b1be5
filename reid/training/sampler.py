"""Batch samplers whose epochs depend on the seed and the number of the epoch only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch.utils.data import Sampler

from kprtrack.core.errors import UserError


@dataclass(frozen=True)
class Draw:
    """One place of a batch: what a dataset needs to make the example."""

    row: int  # of the dataset
    epoch: int
    batch: int  # number in the epoch
    seed: tuple[int, ...]  # of this place in the training; the first number is the training's seed
    others: tuple[int, ...] = ()  # the other identities of the batch, from which BIPO takes occluders

    def generator(self) -> np.random.Generator:
        """The random generator of this example, the same in every process and worker."""
        return np.random.default_rng(self.seed)


class EpochPlan(Protocol):
    """Which rows of a dataset each batch of an epoch holds."""

    batch_size: int

    def __call__(self, epoch: int) -> list[list[Draw]]:
        """All batches of the epoch."""
        ...


class EpochSampler(Sampler[list[Draw]]):
    """Batch sampler: `DataLoader(dataset, batch_sampler=sampler)` calls `dataset[draw]`.

    `set_epoch(epoch, first_batch)` resumes within an epoch with the batches that are left.
    """

    def __init__(self, plan: EpochPlan) -> None:
        self.batch_size = plan.batch_size
        self._plan = plan
        self.set_epoch(0)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the epoch, and how many of its batches to skip because they have been trained on.

        Args:
            epoch: Its number, counted from 0.
            first_batch: Number of batches to skip.
        """
        self._first, self._batches = first_batch, self._plan(epoch)

    @property
    def batches(self) -> int:
        """Batches of the whole epoch."""
        return len(self._batches)

    def __len__(self) -> int:
        return max(len(self._batches) - self._first, 0)

    def __iter__(self) -> Iterator[list[Draw]]:
        yield from self._batches[self._first :]


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


class IdentityBatches:
    """Plans batches of a few crops of each of a few identities.

    Each identity's crops are cut into groups; one with too few crops gives one group with repetitions, and a
    remainder is left for another epoch. The epoch ends when too few identities are left for a batch.
    Source: docs/reference/kpr.md 4.1.

    Args:
        identities: [S] identity of each row of the dataset.
        config: The shape of a batch.
        seed: Of the training.

    Raises:
        UserError: There are fewer identities than a batch needs.
    """

    def __init__(self, identities: np.ndarray, config: SamplerConfig, *, seed: int) -> None:
        self._names, inverse = np.unique(identities, return_inverse=True)
        if len(self._names) < config.identities:
            raise UserError(
                f"The training set has {len(self._names)} identities, a batch needs {config.identities}. "
                f"Set sampler.identities={len(self._names)} or less, or add people."
            )
        self._rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
        self._config, self._seed = config, seed
        self.batch_size = config.identities * config.crops_each

    def __call__(self, epoch: int) -> list[list[Draw]]:
        """All batches of the epoch."""
        rng = np.random.default_rng((self._seed, epoch))
        waiting = [self._groups(rows, rng) for rows in self._rows]
        left = np.arange(len(waiting))
        batches: list[list[Draw]] = []
        while len(left) >= self._config.identities:
            chosen = rng.choice(left, self._config.identities, replace=False)
            groups = [waiting[identity].pop() for identity in chosen]
            batches.append(self._draws(chosen, groups, epoch, len(batches)))
            left = np.array([identity for identity in left if waiting[identity]])
        return batches

    def _draws(self, chosen: np.ndarray, groups: list[np.ndarray], epoch: int, number: int) -> list[Draw]:
        names = [int(self._names[identity]) for identity in chosen]
        return [
            Draw(
                int(row),
                epoch,
                number,
                (self._seed, epoch, number, place, copy),
                (*names[:place], *names[place + 1 :]),
            )
            for place, rows in enumerate(groups)
            for copy, row in enumerate(rows)
        ]

    def _groups(self, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        size = self._config.crops_each
        if len(rows) < size:
            return [rng.choice(rows, size)]
        return list(rng.permutation(rows)[: len(rows) // size * size].reshape(-1, size))
