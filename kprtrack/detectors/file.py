"""People from a file instead of a network, in any format that kprtrack.io reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Detections
from kprtrack.io import read_people
from kprtrack.io.columns import PeopleFile, reject, validate_bad_numbers


@dataclass(frozen=True)
class FileDetections:
    """Boxes by frame number, best score first; a frame that the file lacks has no people."""

    boxes: np.ndarray  # [N, 4] float32, x1 y1 x2 y2, pixels; ordered by frame, then score
    scores: np.ndarray  # [N] float32 in [0, 1]
    frames: np.ndarray  # [N] int64

    def for_frames(self, frame_numbers: Sequence[int]) -> list[Detections]:
        """People of each frame, by its 0-based number in the source."""
        starts = np.searchsorted(self.frames, frame_numbers, side="left")
        ends = np.searchsorted(self.frames, frame_numbers, side="right")
        return [Detections(self.boxes[a:b], self.scores[a:b]) for a, b in zip(starts, ends, strict=True)]


def load_file_detections(path: Path, format: str | None = None) -> FileDetections:
    """The boxes in a file of any format in READERS; identities are ignored, a missing score is 1.

    Raises: InputError naming file and place of a box that is missing, empty or not finite, or of a score
    outside [0, 1].
    """
    file = checked_people(read_people(path, format))
    people = file.people
    order = best_first(file)
    return FileDetections(
        people.boxes[order].astype(np.float32), filled_scores(file)[order], people.frame[order].copy()
    )


def checked_people(file: PeopleFile) -> PeopleFile:
    """`file`, if a detector could have found its people. Raises: InputError as load_given_detections."""
    validate_bad_numbers(file)
    sizes = file.people.boxes[:, 2:] - file.people.boxes[:, :2]
    reject(
        file,
        (sizes <= 0).any(axis=1),
        "a box without area",
        "Boxes are left, top, width, height.",
    )
    scores = file.people.scores
    reject(
        file, (scores < 0) | (scores > 1), "a score outside 0 to 1", "Scale the scores, or leave them out."
    )
    return file


def filled_scores(file: PeopleFile) -> np.ndarray:
    """[N] float32; a missing score is 1."""
    return np.nan_to_num(file.people.scores, nan=1).astype(np.float32)


def best_first(file: PeopleFile) -> np.ndarray:
    """[N] rows ordered by frame, within a frame by score, equal ones as in the file."""
    return np.lexsort((-filled_scores(file), file.people.frame))
