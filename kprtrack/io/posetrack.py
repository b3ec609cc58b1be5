"""The format `posetrack21` of the official evaluation; conversion between COCO's and PoseTrack's joints."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import OutputError
from kprtrack.core.geometry import left_top_size
from kprtrack.core.skeleton import KEYPOINTS, POSETRACK_KEYPOINTS, POSETRACK_SKELETON, Skeleton
from kprtrack.io.coco import PERSON
from kprtrack.io.header import (
    RunHeader,
    TracksWriter,
    compact_json,
    header_to_json,
)
from kprtrack.io.journal import JournalWriter
from kprtrack.io.text_writer import Footer, FrameLog, Layout, TextWriter, rounded_time

NOSE, LEFT_EAR, RIGHT_EAR, LEFT_SHOULDER, RIGHT_SHOULDER = (
    KEYPOINTS.index(name) for name in ("nose", "left_ear", "right_ear", "left_shoulder", "right_shoulder")
)
HEAD_BOTTOM, HEAD_TOP, *EARS = (
    POSETRACK_KEYPOINTS.index(name) for name in ("head_bottom", "head_top", "left_ear", "right_ear")
)
# Positions of the joints that COCO lacks, as fractions of the way from the middle of the shoulders. Fitted to
# people of LSP Extended with PP-TinyPose's keypoints by tools/fit_head_joints.py, and validated on others
# there and in PoseTrack18.
NECK_TO_NOSE = 0.28
TOP_TO_EARS = 1.66
TOP_TO_NOSE = 1.40  # if both ears are unknown
_NEVER_ZERO = 1e-12
Image = Mapping[str, object]


def open_posetrack(path: Path, header: RunHeader, *, images: Sequence[Image] | None = None) -> TracksWriter:
    """Open a writer of a PoseTrack21 pose result, one file per sequence.

    Keypoints are converted by `to_posetrack`, from COCO's keypoints among those of the header's skeleton,
    unless that is PoseTrack's. person_id is the track ID, unique in this file only.

    Args:
        path: The file.
        header: Its header.
        images: The `images` of the ground truth file. Frame i is its i-th image, and the result lists all
            of them in the same order, as the official evaluation requires. None: image IDs are made from
            frame numbers and the digits at the start of the file name: "000001_bonn_train.json" is video 1.
    """
    return JournalWriter(
        path,
        header,
        "posetrack21",
        lambda target: posetrack_writer(target, header, images, path),
        {"images": None if images is None else list(images)},
        lambda tracks: _validate_image(tracks.frame_number, images, path),
    )


def _validate_image(number: int, images: Sequence[Image] | None, path: Path) -> None:
    if images is not None and number >= len(images):
        raise OutputError(
            f"Cannot write {path}: frame {number} has no image; the ground truth has {len(images)}."
        )


def posetrack_writer(
    path: Path, header: RunHeader, images: Sequence[Image] | None, final: Path
) -> TracksWriter:
    """Open a writer of the result itself; `final`: the name that it gets."""
    leading = re.match(r"\d+", final.name)
    video = int(leading[0][-6:]) if leading else 1

    def image_id(number: int) -> object:
        return 10_000_000_000 + video * 10_000 + number if images is None else images[number]["id"]

    def frame(tracks: Tracks, log: FrameLog) -> bytes:
        keypoints = posetrack_keypoints(tracks.keypoints, header.skeleton)
        lines = [
            compact_json(entry) for entry in _annotations(tracks, keypoints, image_id(tracks.frame_number))
        ]
        return b"".join((b",\n" if log.people or index else b"") + line for index, line in enumerate(lines))

    def footer(log: FrameLog, ending: Footer) -> bytes:
        shown: Sequence[Image] = images or [
            _image(final.stem, video, image_id(log.numbers[i]), log, i, ending.kept)
            for i in range(ending.kept)
        ]
        info = {**ending.to_json(), "run": header_to_json(header)}
        return b'\n],"images":' + compact_json(shown) + b',"info":' + compact_json(info) + b"}\n"

    edges = [[a + 1, b + 1] for a, b in POSETRACK_SKELETON.edges]
    category = {"id": PERSON, "name": "person", "supercategory": "person"}
    categories = [category | {"keypoints": list(POSETRACK_KEYPOINTS), "skeleton": edges}]
    return TextWriter(
        path, Layout(b'{"categories":' + compact_json(categories) + b',"annotations":[\n', frame, footer)
    )


def posetrack_keypoints(keypoints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Convert keypoints [N, K, 3] of any set to PoseTrack's, [N, 17, 3]; its own stay as they are."""
    return keypoints if skeleton == POSETRACK_SKELETON else to_posetrack(skeleton.to_coco(keypoints))


def to_posetrack(keypoints: np.ndarray) -> np.ndarray:
    """Convert keypoints from COCO's order to PoseTrack's.

    The neck (head_bottom) is slightly above the middle of the shoulders, towards the nose or, if that is
    unknown, the ears; the top of the head is on the line from there through the ears, or else the nose. Each
    has the lowest score of the keypoints it is made from; of the ears the higher one counts. Without
    shoulders both are zero; without any keypoint of the face the top is zero. Eyes are dropped; ears are
    zero, because PoseTrack does not label them.

    Args:
        keypoints: [N, 17, 3] x y score, in COCO's order.

    Returns:
        [N, 17, 3] x y score, in PoseTrack's order; unknown joints are zero.

    Source: docs/reference/tracking_and_evaluation.md 1.
    """
    nose, left, right = (keypoints[:, row] for row in (NOSE, LEFT_SHOULDER, RIGHT_SHOULDER))
    shoulders = (left + right) / 2
    shoulders[:, 2] = np.minimum(left[:, 2], right[:, 2])
    ears = keypoints[:, [LEFT_EAR, RIGHT_EAR]]
    ear_score = ears[..., 2].max(axis=1)
    middle = (ears * ears[..., 2:]).sum(axis=1) / np.maximum(ears[..., 2:].sum(axis=1), _NEVER_ZERO)
    middle[:, 2] = ear_score
    has_ears, has_nose = ear_score[:, None] > 0, nose[:, 2:] > 0
    through_ears, through_nose = (
        _beyond(shoulders, middle, TOP_TO_EARS),
        _beyond(shoulders, nose, TOP_TO_NOSE),
    )
    towards = np.where(has_nose, nose, np.where(has_ears, middle, shoulders))
    result = keypoints.copy()
    result[:, HEAD_BOTTOM] = _beyond(shoulders, towards, NECK_TO_NOSE)
    result[:, HEAD_TOP] = np.where(has_ears, through_ears, through_nose)
    result[:, EARS] = 0
    result[result[..., 2] <= 0] = 0
    return result


def _beyond(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """[N, 3] the point at this fraction of the way between two points, with the lower score."""
    point: np.ndarray = start + share * (end - start)
    point[:, 2] = np.minimum(start[:, 2], end[:, 2])
    return point


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
        points.reshape(len(tracks), 3 * points.shape[1]).tolist(),
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
