"""One file of MOTChallenge, ground truth or result, checked for scoring."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.datatypes import POSETRACK_JOINTS, People
from kprtrack.core.files.numbers import LARGEST
from kprtrack.io.columns import validate_crowds
from kprtrack.io.mot import ROW, MotRows, read_mot_rows

LAST_FRAME = 10_000_000  # four days of video; a larger number is no frame number


def read_mot_table(path: Path) -> MotRows:
    """Read the boxes of a gt.txt or a result; an empty file has none.

    Args:
        path: The file.

    Returns:
        Its rows by frame; a missing score is 1.

    Raises:
        InputError: Names the line that cannot be scored.
    """
    rows = read_mot_rows(path)
    scores = rows.scores if rows.has_scores else np.ones(len(rows))
    finite = (np.abs(np.column_stack([rows.boxes, scores, rows.rest])) < LARGEST).all(axis=1)
    rows.reject(~finite, "a number that is not finite or too large. Remove that row.")
    rows.reject(rows.frames >= LAST_FRAME, f"frame numbers must be at most {LAST_FRAME}.")
    rows.reject(rows.ids == -1, "id -1, as in detections. Only tracks with an id in every row can be scored.")
    rows.reject(rows.ids < 0, "ids must not be negative.")
    rows.reject(rows.boxes[:, 2:].min(axis=1) < 0, f"a negative width or height. {ROW}")
    _validate_unique(rows)
    validate_crowds(rows.frames, path, first=1)
    return replace(rows, scores=scores)


def people_of(rows: MotRows, mask: np.ndarray) -> People:
    """Return the people of the rows where the mask [N] is True; they have boxes and no joints."""
    count = int(mask.sum())
    # Read-only views of one number: crowds have half a million boxes.
    joints = np.broadcast_to(0.0, (count, POSETRACK_JOINTS, 2))
    return People(
        frames=rows.frames[mask],
        ids=rows.ids[mask],
        boxes=rows.boxes[mask],
        scores=rows.scores[mask],
        keypoints=joints,
        joint_scores=joints[:, :, 0],
        head_sizes=np.broadcast_to(np.nan, count),
        person_ids=np.broadcast_to(-1, count),
    )


def _validate_unique(rows: MotRows) -> None:
    order = np.lexsort((rows.ids, rows.frames))
    again = np.logical_and(np.diff(rows.frames[order]) == 0, np.diff(rows.ids[order]) == 0)
    repeated = np.zeros(len(rows), bool)
    repeated[order[1:][again]] = True
    rows.reject(repeated, "this id already has a box in this frame. Keep one of the two.")
