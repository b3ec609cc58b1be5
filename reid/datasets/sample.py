"""A ReID dataset: crops with identities in three sets; images and annotations are read on demand."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class ReidSample:
    """One crop and the paths of its annotations; files need not exist before they are read."""

    image: Path
    identity: int  # name of the person within the dataset, not an index
    camera: int  # from 0, of one numbering for all three sets
    # A json file, or [1 + M, 17, 3] in pixels of the crop: the person, then M others. None: unknown.
    keypoints: Path | np.ndarray | None = field(default=None, compare=False)
    masks: Path | None = None  # human parsing: 36 fields (.npy) or part labels (.png); None: unknown
    # By the dataset's own rule; NaN: unknown. Left out of comparisons because NaN differs from itself.
    occlusion: float = field(default=math.nan, compare=False)
    video: int = 0  # of one numbering for all three sets


@dataclass(frozen=True)
class ReidData:
    """A dataset; those for evaluation only have no `train`."""

    name: str
    train: tuple[ReidSample, ...]
    query: tuple[ReidSample, ...]
    gallery: tuple[ReidSample, ...]
    protocol: str  # a key of reid.evaluation.metrics.PROTOCOLS

    @property
    def samples(self) -> tuple[ReidSample, ...]:
        """All crops, each once."""
        return tuple(dict.fromkeys((*self.train, *self.query, *self.gallery)))
