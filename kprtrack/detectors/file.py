"""Boxes from a file instead of a network, in any format of kprtrack.io."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.datatypes import Detections, Frame
from kprtrack.io import Selection, read_people
from kprtrack.io.columns import PeopleFile, reject, validate_numbers
from kprtrack.io.same_video import validate_size
from kprtrack.pipeline import Detector


@dataclass(frozen=True)
class FileConfig:
    """How the file is read."""

    format: str | None = None  # a name of kprtrack.io.FORMATS; None: by suffix and content
    category: str | None = None  # of people, in a COCO-like file of several; None: person, or the only one
    sequence: str | None = None  # name of the video, in a CocoVID file of several


class FileDetector(Detector):
    """Returns the boxes of a file by frame number; a frame without record has no detections."""

    weights_from = "path"

    def __init__(self, config: FileConfig, weights: Path, compute: Any = None) -> None:
        """Read the file; track IDs are ignored, a missing score is 1.

        Args:
            config: How the file is read.
            weights: The file of boxes.
            compute: Not used.

        Raises:
            InputError: A box is missing, empty or not finite, or a score is outside [0, 1].
        """
        file = checked_people(read_file(weights, config, "detector"))
        order = best_first(file)
        self._boxes = file.people.boxes[order].astype(np.float32)  # [N, 4] x1 y1 x2 y2, pixels
        self._scores = filled_scores(file)[order]  # [N] float32 in [0, 1]
        self._frames = file.people.frame[order].copy()  # [N] int64, ascending
        self._file = file

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        """Return the detections of each frame by its number in the source, best score first.

        Raises:
            InputError: The file is of a video of another size.
        """
        validate_frame_sizes(self._file, frames)
        numbers = [frame.number for frame in frames]
        starts = np.searchsorted(self._frames, numbers, side="left")
        ends = np.searchsorted(self._frames, numbers, side="right")
        return [Detections(self._boxes[a:b], self._scores[a:b]) for a, b in zip(starts, ends, strict=True)]


def read_file(path: Path, config: FileConfig, role: str) -> PeopleFile:
    """Read the people of the file; `role`, detector or pose, names the setting in messages."""
    option = f"--set {role}.{{}}=NAME"
    return read_people(path, config.format, Selection(config.category, config.sequence, option=option))


def validate_frame_sizes(file: PeopleFile, frames: list[Frame]) -> None:
    """Raises: InputError if the header of the file gives another size than that of the frames."""
    for frame in frames[:1]:  # all frames of a video have one size
        height, width = frame.image.shape[:2]
        validate_size(file.header.video, str(file.path), (width, height), "this run")


def checked_people(file: PeopleFile) -> PeopleFile:
    """Validate boxes and scores. Raises: as FileDetector."""
    validate_numbers(file)
    sizes = file.people.boxes[:, 2:] - file.people.boxes[:, :2]
    reject(
        file,
        (sizes <= 0).any(axis=1),
        "a box without area",
        "Boxes are left, top, width, height.",
    )
    return file


def filled_scores(file: PeopleFile) -> np.ndarray:
    """Return the scores [N] float32; a missing score is 1."""
    return np.nan_to_num(file.people.scores, nan=1).astype(np.float32)


def best_first(file: PeopleFile) -> np.ndarray:
    """Sort the rows [N] by frame, then by score; equal scores keep the order of the file."""
    return np.lexsort((-filled_scores(file), file.people.frame))
