"""ReID datasets by name; a new one is one file and one entry in DATASETS."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kprtrack.core.errors import InputError, unknown_name
from kprtrack.core.settings import configure
from reid.datasets.cuhk import Cuhk01Config, Cuhk03Config, cuhk01, cuhk03
from reid.datasets.folder import FolderConfig, folder
from reid.datasets.market import MarketConfig, OccludedDukeConfig, market1501, occluded_duke
from reid.datasets.occluded_bodies import OccludedReidConfig, PartialReidConfig, occluded_reid, partial_reid
from reid.datasets.occluded_posetrack import OccludedPosetrackConfig, occluded_posetrack
from reid.datasets.sample import ReidData, ReidSample

__all__ = ["DATASETS", "ReidData", "ReidSample", "open_dataset", "options_of"]

# Name: (function of the dataset's folder and its config, config). A new dataset is one module and one entry.
DATASETS: dict[str, tuple[Callable[[Path, Any], ReidData], type]] = {
    "market1501": (market1501, MarketConfig),
    "occluded_duke": (occluded_duke, OccludedDukeConfig),
    "occluded_reid": (occluded_reid, OccludedReidConfig),
    "partial_reid": (partial_reid, PartialReidConfig),
    "occluded_posetrack": (occluded_posetrack, OccludedPosetrackConfig),
    "cuhk03": (cuhk03, Cuhk03Config),
    "cuhk01": (cuhk01, Cuhk01Config),
    "folder": (folder, FolderConfig),
}


def open_dataset(name: str, root: Path, options: Mapping[str, object] = {}) -> ReidData:
    """Open the dataset of that name in the folder `root`; no image is read.

    Args:
        name: A key of DATASETS.
        root: The folder of the dataset.
        options: Fields of its config, such as {"keypoints": None} to use none.

    Returns:
        The samples of the three sets.

    Raises:
        UserError: The name, an option or a value is unknown.
        InputError: The dataset is missing or one of its sets is empty.
    """
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    if not root.is_dir():
        raise InputError(f"There is no folder {root}. Name the folder of the dataset {name}.")
    known = options_of(name)
    for key in options:
        if key not in known:
            raise unknown_name(f"option of the dataset {name}", key, known)
    read, config = DATASETS[name]
    return read(root, configure(config, options))


def options_of(name: str) -> list[str]:
    """Return the options of a dataset in DATASETS.

    Args:
        name: In DATASETS.

    Returns:
        Names of the fields of its config.
    """
    return [field.name for field in dataclasses.fields(DATASETS[name][1])]
