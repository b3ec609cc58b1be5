"""The format `coco`: COCO keypoints for annotation tools, one image per frame, with track_id."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.geometry import left_top_size
from kprtrack.io.header import RunHeader, TracksWriter, compact_json, header_to_json
from kprtrack.io.journal import JournalWriter
from kprtrack.io.text_writer import Footer, FrameLog, Layout, TextWriter, rounded_time

VISIBLE_SCORE = 0.3  # keypoints with this score or more are visible (v = 2), below hidden (v = 1)
PERSON = 1  # the category id of people in COCO and PoseTrack


def open_coco(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of COCO keypoints."""
    return JournalWriter(path, header, "coco", lambda target: coco_writer(target, header))


def coco_writer(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of the annotations, then the images; memory: 16 bytes per frame."""
    annotation_ids = count(1)

    def frame(tracks: Tracks, log: FrameLog) -> bytes:
        lines = [compact_json(entry | {"id": next(annotation_ids)}) for entry in _annotations(tracks)]
        return b"".join((b",\n" if log.people or index else b"") + line for index, line in enumerate(lines))

    def footer(log: FrameLog, ending: Footer) -> bytes:
        images = [_image(log.numbers[i], log.times[i], header.video) for i in range(ending.kept)]
        info = {"description": "people tracked by kprtrack", **ending.to_json()}
        info["run"] = header_to_json(header)
        return b'\n],"images":' + compact_json(images) + b',"info":' + compact_json(info) + b"}\n"

    edges = [[a + 1, b + 1] for a, b in header.skeleton.edges]
    category = {"id": PERSON, "name": "person", "supercategory": "person"}
    categories = [category | {"keypoints": list(header.skeleton.names), "skeleton": edges}]
    return TextWriter(
        path, Layout(b'{"categories":' + compact_json(categories) + b',"annotations":[\n', frame, footer)
    )


def image_name(number: int) -> str:
    """Return the file name of a frame's image, as in the exports of CVAT."""
    return f"frame_{number:06d}.png"


def _annotations(tracks: Tracks) -> list[dict[str, object]]:
    points = tracks.keypoints.astype(np.float64)
    scores = np.round(points[..., 2], 4)
    visibility = np.where(scores >= VISIBLE_SCORE, 2, np.where(scores > 0, 1, 0))
    flat = np.concatenate([np.round(points[..., :2], 2), visibility[..., None]], axis=2)
    flat[visibility == 0] = 0
    boxes = left_top_size(tracks.boxes)
    rows = zip(
        tracks.ids.tolist(),
        boxes.tolist(),
        np.round(boxes[:, 2] * boxes[:, 3], 2).tolist(),
        np.round(tracks.scores.astype(np.float64), 4).tolist(),
        flat.reshape(len(tracks), 3 * flat.shape[1]).tolist(),
        (visibility > 0).sum(axis=1).tolist(),
        scores.tolist(),
        strict=True,
    )
    return [
        {
            "image_id": tracks.frame_number + 1,
            "category_id": PERSON,
            "track_id": track_id,
            "bbox": box,
            "area": area,
            "iscrowd": 0,
            "score": score,
            "keypoints": [int(value) if index % 3 == 2 else value for index, value in enumerate(keypoints)],
            "num_keypoints": known,
            "keypoint_scores": confidences,
            "attributes": {"track_id": track_id},  # as annotation tools store it
        }
        for track_id, box, area, score, keypoints, known, confidences in rows
    ]


def _image(number: int, time_s: float, video: Mapping[str, object]) -> dict[str, object]:
    size = {key: video[key] for key in ("width", "height") if key in video}
    return {
        "id": number + 1,
        "file_name": image_name(number),
        "frame": number,
        "time": rounded_time(time_s),
        **size,
    }
