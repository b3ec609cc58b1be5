"""ReID datasets by name; a new one is one file and one entry in DATASETS."""

import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path

from kprtrack.core.errors import InputError, unknown_name
from kprtrack.core.settings import fitting
from reid.datasets.cuhk import cuhk01, cuhk03
from reid.datasets.folder import folder
from reid.datasets.market import market1501, occluded_duke
from reid.datasets.occluded_bodies import occluded_reid, partial_reid
from reid.datasets.occluded_posetrack import occluded_posetrack
from reid.datasets.sample import ReidData, ReidSample

__all__ = ["DATASETS", "ReidData", "ReidSample", "open_dataset", "options_of"]

# Each takes the folder of the dataset, and options by keyword.
DATASETS: dict[str, Callable[..., ReidData]] = {
    "market1501": market1501,
    "occluded_duke": occluded_duke,
    "occluded_reid": occluded_reid,
    "partial_reid": partial_reid,
    "occluded_posetrack": occluded_posetrack,
    "cuhk03": cuhk03,
    "cuhk01": cuhk01,
    "folder": folder,
}


def open_dataset(name: str, root: Path, options: Mapping[str, object] = {}) -> ReidData:
    """Open the dataset of that name in the folder `root`; no image is read.

    Args:
        options: Keyword arguments of its function in DATASETS, such as {"keypoints": None} to use none.

    Raises:
        UserError: The name, an option or a value is unknown.
        InputError: The dataset is missing or one of its sets is empty.
    """
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    if not root.is_dir():
        raise InputError(f"There is no folder {root}. Name the folder of the dataset {name}.")
    open_it = DATASETS[name]
    hints = typing.get_type_hints(open_it)
    known = options_of(name)
    for key in options:
        if key not in known:
            raise unknown_name(f"option of the dataset {name}", key, known)
    return open_it(root, **{key: fitting(key, value, hints[key]) for key, value in options.items()})


def options_of(name: str) -> list[str]:
    """The options of a dataset in DATASETS."""
    return list(inspect.signature(DATASETS[name]).parameters)[1:]
