"""Batches of training examples, read by worker processes and divided among the training processes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from torch.utils.data import DataLoader, Dataset, Sampler

from kprtrack.core.errors import UserError
from reid.training.sampler import Draw
from reid.training.workers import init_worker, worker_count


class BatchSampler(Protocol):
    """Draws the batches of an epoch; the same ones whenever the epoch is set."""

    @property
    def batch_size(self) -> int:
        """Examples of a batch, over all processes."""
        ...

    @property
    def batches(self) -> int:
        """Batches of the whole epoch."""
        ...

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the epoch, and how many of its batches to skip.

        Args:
            epoch: Its number, counted from 0.
            first_batch: Batches that have been trained on.
        """
        ...

    def __iter__(self) -> Iterator[list[Draw]]:
        """The batches that are left of the epoch."""
        ...


class ProcessShare(Sampler[list[Draw]]):
    """The part of every batch that one of several training processes computes.

    Args:
        sampler: Of whole batches.
        process: Index of this process, from 0.
        processes: How many train together.

    Raises:
        UserError: The batch size is no multiple of `processes`.
    """

    def __init__(self, sampler: BatchSampler, process: int = 0, processes: int = 1) -> None:
        if sampler.batch_size % processes:
            raise UserError(
                f"A batch of {sampler.batch_size} cannot be divided among {processes} processes. "
                f"Set a batch size that is a multiple of {processes}."
            )
        self._sampler = sampler
        count = sampler.batch_size // processes
        self._share = slice(process * count, (process + 1) * count)

    def __iter__(self) -> Iterator[list[Draw]]:
        for batch in self._sampler:
            yield batch[self._share]


def load_batches(
    examples: "Dataset[Any]",
    sampler: ProcessShare,
    *,
    workers: int,
    collate: Callable[[list[Any]], Any],
) -> "DataLoader[Any]":
    """A DataLoader of collated batches, in the sampler's order for any number of workers.

    A UserError raised by an example is returned in place of its batch, for the training process to raise.

    Args:
        examples: The training set.
        sampler: The batches of this process.
        workers: Processes that read examples; 0: the training process itself.
        collate: Makes a batch of a list of examples.

    Returns:
        The loader; what it yields is a batch or a UserError.
    """
    workers = worker_count(workers)
    return DataLoader(
        _ErrorsAsValues(examples),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=partial(_collate_or_error, collate),
        persistent_workers=workers > 0,
        worker_init_fn=init_worker,
    )


@contextmanager
def worker_errors() -> Iterator[None]:
    """Report a killed worker, of which torch raises RuntimeError at any moment.

    Raises:
        UserError: The system ended a worker process.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise UserError(
            f"A data loading worker was killed, often for lack of memory ({error}). Run the same command to "
            "resume; computing.workers=1 needs less memory."
        ) from error


class _ErrorsAsValues(Dataset[Any]):
    """Examples, with errors as values: what a worker raises would reach the user with its traceback."""

    def __init__(self, examples: "Dataset[Any]") -> None:
        self._examples = examples

    def __getitem__(self, draw: Draw) -> Any:
        try:
            return self._examples[draw]
        except UserError as error:
            return error


def _collate_or_error(collate: Callable[[list[Any]], Any], examples: list[Any]) -> Any:
    error = next((each for each in examples if isinstance(each, UserError)), None)
    if error is not None:
        return error
    try:
        return collate(examples)
    except UserError as error:
        return error
