"""Batches of pictures from one or several sources, the same at every run of a seed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from kprtrack.core.errors import UserError
from reid.training.data import quiet_worker, readers


@dataclass(frozen=True)
class Draw:
    """One place of an epoch: all that a dataset needs to make the example."""

    row: int  # of the dataset
    seed: int
    epoch: int
    batch: int
    place: int  # in the whole epoch

    def generator(self) -> np.random.Generator:
        """The source of everything random about this example, whichever worker makes it."""
        return np.random.default_rng((self.seed, self.epoch, self.place))


class EpochSampler(Sampler[list[Draw]]):
    """A batch sampler: `DataLoader(dataset, batch_sampler=sampler)` calls `dataset[draw]`.

    An epoch depends on seed and epoch alone, so training resumes exactly with `set_epoch(epoch, batch)`. The
    examples that fill no whole batch are left out, other ones in every epoch.

    sizes: rows of each source; the dataset has them one source after the other.
    shares: how often an epoch shows each row of a source; 0.5 is another half of the rows in every epoch.
    Raises: UserError if an epoch fills no batch.
    """

    def __init__(self, sizes: Sequence[int], shares: Sequence[float], *, batch: int, seed: int) -> None:
        self._rows = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        self._counts = [round(share * size) for share, size in zip(shares, sizes, strict=True)]
        self.batch = batch
        self._seed = seed
        self._batches = sum(self._counts) // batch
        if self._batches < 1:
            raise UserError(
                f"An epoch shows {sum(self._counts)} examples, too few for one batch of {batch}. "
                "Add training pictures, show them more often (share) or make the batch smaller."
            )
        self.set_epoch(0)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the epoch, and how many of its batches to leave out because they have been trained on."""
        self._epoch, self._first = epoch, first_batch
        rng = np.random.default_rng((self._seed, epoch))
        drawn = [_so_many(rows, count, rng) for rows, count in zip(self._rows, self._counts, strict=True)]
        self._plan = rng.permutation(np.concatenate(drawn))

    def seed_of(self, epoch: int, batch: int) -> tuple[int, int, int]:
        """What everything random about a batch as a whole depends on."""
        return self._seed, epoch, batch

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return self._batches

    def __iter__(self) -> Iterator[list[Draw]]:
        for number in range(self._first, self._batches):
            places = range(number * self.batch, (number + 1) * self.batch)
            yield [Draw(int(self._plan[at]), self._seed, self._epoch, number, at) for at in places]


def load_batches(
    examples: "Dataset[Any]", sampler: EpochSampler, *, workers: int, collate: Callable[[list[Any]], Any]
) -> "DataLoader[Any]":
    """What `collate` makes of each batch of examples, in the sampler's order for any number of workers.

    A UserError of an example comes in place of its batch, to be raised by whoever goes over the batches.
    """
    workers = readers(workers)
    return DataLoader(
        _Careful(examples),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=partial(_collated, collate),
        persistent_workers=workers > 0,
        worker_init_fn=quiet_worker,
    )


class _Careful(Dataset[Any]):
    """Examples, and errors as values: what a worker raises would reach the user with its traceback."""

    def __init__(self, examples: "Dataset[Any]") -> None:
        self._examples = examples

    def __getitem__(self, draw: Draw) -> Any:
        try:
            return self._examples[draw]
        except UserError as error:
            return error


def _collated(collate: Callable[[list[Any]], Any], made: list[Any]) -> Any:
    return next((each for each in made if isinstance(each, UserError)), None) or collate(made)


def _so_many(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows: each as often as any other, or once more."""
    whole, rest = divmod(count, max(len(rows), 1))
    return np.concatenate([*[rows] * whole, rng.permutation(rows)[:rest]])
