"""Batches of images from one or several sources."""

from collections.abc import Sequence

import numpy as np

from kprtrack.core.errors import UserError
from reid.training.sampler import Draw


class SourceBatches:
    """Plans batches over all sources (an EpochPlan).

    Examples that fill no whole batch are left out, other ones in every epoch.

    Args:
        sizes: Rows of each source; the dataset has them one source after the other.
        shares: How often an epoch uses each row of a source; 0.5 is another half of the rows in every epoch.
        batch_size: Examples of a batch.
        seed: Of the training.

    Raises:
        UserError: An epoch fills no batch.
    """

    def __init__(self, sizes: Sequence[int], shares: Sequence[float], *, batch_size: int, seed: int) -> None:
        self._rows = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        self._counts = [round(share * size) for share, size in zip(shares, sizes, strict=True)]
        self.batch_size, self._seed = batch_size, seed
        self._batches = sum(self._counts) // batch_size
        if self._batches < 1:
            raise UserError(
                f"An epoch has {sum(self._counts)} examples, too few for one batch of {batch_size}. "
                "Add training images, use them more often (share) or make the batch smaller."
            )

    def __call__(self, epoch: int) -> list[list[Draw]]:
        """All batches of the epoch."""
        rng = np.random.default_rng((self._seed, epoch))
        drawn = [_repeat(rows, count, rng) for rows, count in zip(self._rows, self._counts, strict=True)]
        rows = rng.permutation(np.concatenate(drawn))[: self._batches * self.batch_size]
        draws = [
            Draw(row, epoch, place // self.batch_size, (self._seed, epoch, place))
            for place, row in enumerate(rows.tolist())
        ]
        return [draws[start : start + self.batch_size] for start in range(0, len(draws), self.batch_size)]


def _repeat(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows: each as often as any other, or once more."""
    whole, rest = divmod(count, max(len(rows), 1))
    return np.concatenate([*[rows] * whole, rng.permutation(rows)[:rest]])
