"""Write a synthetic sequence in PoseTrack21's layout, with masks, COCO annotations, tracks and a video."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import orjson

from eval.report.output import make_folder
from eval.synthetic.frame import SyntheticConfig, SyntheticFrame
from kprtrack.core.atomic_file import write_file
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import OutputError
from kprtrack.core.skeleton import KEYPOINTS, LIMBS, POSETRACK_KEYPOINTS
from kprtrack.io import RunHeader, open_writer
from kprtrack.video.writer import VideoWriter

# PoseTrack21's own 19 edges, 1-based.
_POSETRACK_EDGES = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10)),
    *((9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)
_HIDDEN_SCORE = 0.35  # confidence of an occluded joint in the result file
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)
Entry = dict[str, object]


def gt_path(root: Path, split: str, name: str) -> Path:
    """Return the file that is written last: if it exists, the sequence is complete."""
    return root / "posetrack_data" / split / f"{name}.json"


def write_sequence(
    root: Path, config: SyntheticConfig, name: str, frames: Iterator[SyntheticFrame], *, video: bool
) -> None:
    """Write all files of a sequence; after an OutputError it is not marked complete."""
    split = config.split
    folders = {kind: root / kind / split / name for kind in ("images", "masks", "parts")}
    boxes = root / "posetrack_mot" / "mot" / split / name
    for folder in (*folders.values(), boxes):
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
    others = (root / "coco" / split, root / "tracks", root / "videos", boxes / "gt")
    for folder in (*others, gt_path(root, split, name).parent):
        make_folder(folder)
    images: list[Entry] = []
    annotations: list[Entry] = []
    coco: list[Entry] = []
    with ExitStack() as files:
        tracks = files.enter_context(open_writer(root / "tracks" / f"{name}.json", _header(config, name)))
        video_file = None
        if video:
            target = root / "videos" / f"{name}.mp4"
            video_file = files.enter_context(VideoWriter(target, config.width, config.height, config.fps))
        for frame in frames:
            _write_images(frame, folders, config.jpeg_quality)
            tracks.write(_tracks(frame))
            if video_file:
                video_file.write(frame.image, frame.time_s)
            images.append(_image(frame, config))
            annotations += _annotations(frame)
            coco += _coco(frame, config)
    shared = {"images": images, "categories": [_category(POSETRACK_KEYPOINTS, _POSETRACK_EDGES)]}
    _write_boxes(boxes, images, annotations)
    edges = tuple((a + 1, b + 1) for a, b in LIMBS)
    sizes = [image | {"width": config.width, "height": config.height} for image in images]
    in_coco = {"images": sizes, "annotations": coco, "categories": [_category(KEYPOINTS, edges)]}
    write_file(root / "coco" / split / f"{name}.json", orjson.dumps(in_coco))
    write_file(gt_path(root, split, name), orjson.dumps({**shared, "annotations": annotations}))


def _write_images(frame: SyntheticFrame, folders: dict[str, Path], quality: int) -> None:
    deep = frame.mask if frame.mask.max(initial=0) > 255 else frame.mask.astype(np.uint8)
    stem = f"{frame.number:06d}"
    jobs = (
        (folders["images"] / f"{stem}.jpg", frame.image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality)),
        (folders["masks"] / f"{stem}.png", deep, _PNG),
        (folders["parts"] / f"{stem}.png", frame.parts, _PNG),
    )
    for path, image, options in jobs:
        _, data = cv2.imencode(path.suffix, image, options)
        try:
            path.write_bytes(data.tobytes())
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from error


def image_id(frame: SyntheticFrame) -> int:
    """Return PoseTrack's ID of an image."""
    return 10_000_000_000 + frame.video * 10_000 + frame.number


def _image(frame: SyntheticFrame, config: SyntheticConfig) -> Entry:
    regions = [np.round(region, 2).tolist() for region in frame.ignore_regions]
    return {
        "id": image_id(frame),
        "frame_id": image_id(frame),
        "vid_id": f"{frame.video:06d}",
        "file_name": f"images/{config.split}/{frame.sequence}/{frame.number:06d}.jpg",
        "nframes": config.frames,
        "is_labeled": frame.labelled,
        "has_labeled_person": len(frame.ids) > 0,
        "ignore_regions_x": [[x for x, _ in region] for region in regions],
        "ignore_regions_y": [[y for _, y in region] for region in regions],
    }


def _annotations(frame: SyntheticFrame) -> Iterator[Entry]:
    poses = np.round(frame.posetrack.astype(np.float64), 2)
    if not frame.labelled:
        poses = np.zeros_like(poses)
    for row, (track, person) in enumerate(zip(frame.ids.tolist(), frame.person_ids.tolist(), strict=True)):
        yield {
            "id": image_id(frame) * 100 + row,
            "image_id": image_id(frame),
            "category_id": 1,
            "track_id": track,
            "person_id": person,
            "bbox": _left_top_size(frame.boxes[row]),
            "bbox_head": _left_top_size(frame.head_boxes[row]),
            "keypoints": poses[row].ravel().tolist(),
        }


def _coco(frame: SyntheticFrame, config: SyntheticConfig) -> Iterator[Entry]:
    """Yield people with all 17 joints; ignore regions have `iscrowd` 1."""
    poses = np.round(frame.keypoints.astype(np.float64), 2)
    poses[poses[..., 2] == 0] = 0
    number = image_id(frame) * 100
    for row, track in enumerate(frame.ids.tolist()):
        yield {
            "id": number + row,
            "image_id": image_id(frame),
            "category_id": 1,
            "track_id": track,
            "person_id": int(frame.person_ids[row]),
            "bbox": _left_top_size(frame.boxes[row]),
            "area": int(np.count_nonzero(frame.mask == track)),
            "visibility": round(float(frame.visibility[row]), 4),
            "iscrowd": 0,
            "num_keypoints": int(np.count_nonzero(poses[row, :, 2])),
            "keypoints": poses[row].ravel().tolist(),
        }
    for row, region in enumerate(frame.ignore_regions):
        box = _left_top_size(np.concatenate((region.min(0), region.max(0))))
        yield {
            "id": number + 99 - row,
            "image_id": image_id(frame),
            "category_id": 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 1,
            "num_keypoints": 0,
            "keypoints": [0] * (3 * len(KEYPOINTS)),
        }


def _write_boxes(folder: Path, images: list[Entry], annotations: list[Entry]) -> None:
    names = ("file_name", "id", "frame_id", "vid_id", "ignore_regions_x", "ignore_regions_y")
    order = {image["id"]: index + 1 for index, image in enumerate(images)}
    info = [{key: image[key] for key in names} | {"frame_index": order[image["id"]]} for image in images]
    write_file(folder / "image_info.json", orjson.dumps(info))
    lines = [
        ",".join(
            map(str, (order[entry["image_id"]], entry["track_id"], *_numbers(entry["bbox"]), 1, -1, -1, -1))
        )
        for entry in annotations
    ]
    write_file(folder / "gt" / "gt.txt", "".join(line + "\n" for line in lines).encode())


def _numbers(box: object) -> list[float]:
    assert isinstance(box, list)
    return box


def _tracks(frame: SyntheticFrame) -> Tracks:
    """Return the ground truth as tracks; the confidence of joints expresses their visibility."""
    poses = frame.keypoints.copy()
    states = poses[..., 2]
    poses[..., 2] = np.select([states == 2, states == 1], [1, _HIDDEN_SCORE], 0)
    poses[states == 0] = 0
    count = len(frame.ids)
    unknown = np.full(count, np.nan, np.float32)
    no_parts = np.zeros((count, 0), bool)
    scores, prompted = np.ones(count, np.float32), np.zeros(count, bool)
    columns = (frame.ids, frame.boxes, scores, poses, unknown, unknown, no_parts, prompted)
    return Tracks(frame.number, frame.time_s, *columns)


def _header(config: SyntheticConfig, name: str) -> RunHeader:
    video = {
        "path": f"images/{config.split}/{name}",
        "width": config.width,
        "height": config.height,
        "fps": config.fps,
        "frames": config.frames,
    }
    return RunHeader(video=video, models={"truth": {"name": "eval.synthetic.benchmark"}})


def _category(names: tuple[str, ...], edges: tuple[tuple[int, int], ...]) -> Entry:
    shape = {"keypoints": list(names), "skeleton": [list(edge) for edge in edges]}
    return {"id": 1, "name": "person", "supercategory": "person"} | shape


def _left_top_size(box: np.ndarray) -> list[float]:
    left, top, right, bottom = np.round(box.astype(np.float64), 2).tolist()
    return [left, top, round(right - left, 2), round(bottom - top, 2)]
