"""PoseTrack21 results as the official evaluation takes them, and COCO's joints as PoseTrack's."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kprtrack.datatypes import Tracks
from kprtrack.results.coco import PERSON
from kprtrack.results.header import (
    POSETRACK_SKELETON,
    RunHeader,
    TracksWriter,
    compact_json,
    header_to_json,
)
from kprtrack.results.people import KEYPOINT_NUMBERS
from kprtrack.results.text_writer import Ending, FrameLog, Layout, TextWriter, left_top_size, rounded_time
from reid.errors import OutputError
from reid.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS

NOSE, LEFT_SHOULDER, RIGHT_SHOULDER = (
    KEYPOINTS.index(name) for name in ("nose", "left_shoulder", "right_shoulder")
)
HEAD_BOTTOM, HEAD_TOP, *EARS = (
    POSETRACK_KEYPOINTS.index(name) for name in ("head_bottom", "head_top", "left_ear", "right_ear")
)
# The top of the head lies beyond the nose by this share of the way from mid-shoulders to nose: the value
# with the least median error (0.47 of a head size) over 13 annotated people of PoseTrack18's validation set.
HEAD_TOP_SHARE = 0.5
Image = Mapping[str, object]


def open_posetrack(path: Path, header: RunHeader, *, images: Sequence[Image] | None = None) -> TracksWriter:
    """A writer of a PoseTrack21 pose result, one file per sequence.

    images: the `images` of the ground truth file. Frame i is its i-th image, and all of them stand in the
        result in the same order, as the official evaluation demands. None makes ids from frame numbers and
        the digits that the name of the file begins with: "000001_bonn_train.json" is video 1.
    Keypoints: `to_posetrack`, unless the header says that they are PoseTrack's. person_id is track_id: unique
        in this file only.
    """
    keep_rows = header.skeleton == POSETRACK_SKELETON
    leading = re.match(r"\d+", path.name)
    video = int(leading[0][-6:]) if leading else 1

    def image_id(number: int) -> object:
        if images is None:
            return 10_000_000_000 + video * 10_000 + number
        if number >= len(images):
            raise OutputError(
                f"Cannot write {path}: frame {number} has no image; the ground truth has {len(images)}."
            )
        return images[number]["id"]

    def frame(tracks: Tracks, log: FrameLog) -> bytes:
        keypoints = tracks.keypoints if keep_rows else to_posetrack(tracks.keypoints)
        lines = [
            compact_json(entry) for entry in _annotations(tracks, keypoints, image_id(tracks.frame_number))
        ]
        return b"".join((b",\n" if log.people or index else b"") + line for index, line in enumerate(lines))

    def footer(log: FrameLog, ending: Ending) -> bytes:
        shown: Sequence[Image] = images or [
            _image(path.stem, video, image_id(log.numbers[i]), log, i, ending.kept)
            for i in range(ending.kept)
        ]
        info = {"complete": ending.complete, "note": ending.note, "run": header_to_json(header)}
        return b'\n],"images":' + compact_json(shown) + b',"info":' + compact_json(info) + b"}\n"

    edges = [[a + 1, b + 1] for a, b in POSETRACK_SKELETON.edges]
    category = {"id": PERSON, "name": "person", "supercategory": "person"}
    categories = [category | {"keypoints": list(POSETRACK_KEYPOINTS), "skeleton": edges}]
    return TextWriter(
        path, Layout(b'{"categories":' + compact_json(categories) + b',"annotations":[\n', frame, footer)
    )


def to_posetrack(keypoints: np.ndarray) -> np.ndarray:
    """[N, 17, 3] in PoseTrack's order of [N, 17, 3] in COCO's.

    Neck (head_bottom) is the middle of the shoulders; the top of the head continues the line from there
    through the nose by half its length. Each has the least confidence of what it was made from, and is zero
    if any of that is unknown. Eyes are left out; ears are zero, because PoseTrack does not label them.
    Source: spec tracking_and_evaluation.md 1.
    """
    nose, left, right = (keypoints[:, row] for row in (NOSE, LEFT_SHOULDER, RIGHT_SHOULDER))
    result = keypoints.copy()
    neck = (left + right) / 2
    neck[:, 2] = np.minimum(left[:, 2], right[:, 2])
    top = nose + HEAD_TOP_SHARE * (nose - neck)
    top[:, 2] = np.minimum(nose[:, 2], neck[:, 2])
    result[:, HEAD_BOTTOM] = neck
    result[:, HEAD_TOP] = top
    result[:, EARS] = 0
    result[result[..., 2] <= 0] = 0
    return result


def from_posetrack(keypoints: np.ndarray) -> np.ndarray:
    """[N, 17, 3] in COCO's order of [N, 17, 3] in PoseTrack's: the eyes are unknown, so zero."""
    result = keypoints.copy()
    result[:, [HEAD_BOTTOM, HEAD_TOP]] = 0
    return result


def _annotations(tracks: Tracks, keypoints: np.ndarray, image_id: object) -> list[dict[str, object]]:
    points = keypoints.astype(np.float64)
    scores = np.round(points[..., 2], 4)
    points[..., :2] = np.round(points[..., :2], 2)
    points[..., 2] = 1
    points[scores <= 0] = 0
    rows = zip(
        tracks.ids.tolist(),
        left_top_size(tracks.boxes).tolist(),
        np.round(tracks.scores.astype(np.float64), 4).tolist(),
        points.reshape(len(tracks), KEYPOINT_NUMBERS).tolist(),
        scores.tolist(),
        strict=True,
    )
    return [
        {
            "image_id": image_id,
            "category_id": PERSON,
            "track_id": track_id,
            "person_id": track_id,
            "bbox": box,
            "score": score,
            "keypoints": flat,
            "scores": confidences,
        }
        for track_id, box, score, flat, confidences in rows
    ]


def _image(name: str, video: int, image_id: object, log: FrameLog, index: int, frames: int) -> Image:
    number = log.numbers[index]
    return {
        "id": image_id,
        "frame_id": image_id,
        "vid_id": f"{video:06d}",
        "file_name": f"images/{name}/{number:06d}.jpg",
        "nframes": frames,
        "is_labeled": True,
        "frame": number,
        "time": rounded_time(log.times[index]),
    }
