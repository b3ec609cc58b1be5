"""Sources of whole scenes: videos, MOT17, PoseTrack18, the samples of mmpose, images without people."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.skeleton import POSETRACK_KEYPOINTS
from kprtrack.video.source import open_source
from person_data.labels import (
    ImageRecord,
    Person,
    around,
    clipped,
    held_out,
    ignored,
    named_keypoints,
    overlaps,
    person,
)
from person_data.reading import SourceContext
from person_data.single import lspet_people
from person_data.split import is_honest
from person_data.teachers import NOTHING, SAME

_FRAMES = 80  # maximum of a video
_MIN_GAP_S = 0.1  # minimum time between two frames
_WIDE = 900  # pixels of the long side from which on the canvas is larger
_CANVAS, _WIDE_CANVAS, _SMALL_CANVAS = 640, 832, 416  # pixels
_MOT_PERSON, _MOT_UNCLEAR = (
    1,
    (2, 7, 8, 12),
)  # MOT17's classes: people; on vehicle, static, distractor, reflection
_MOT_VISIBLE = 0.25  # visible share below which a person is ignored
_MOT_POSED = 0.6  # the same for pose training: the teacher may place joints on the occluding person
_POSETRACK_HEAD = 0.6  # PCKh's head size, relative to the head box's diagonal
_MPII_MARGIN = 0.08  # around the joints, relative to their extent: MPII has no boxes
_MPII = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax"),
    *("neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow"),
    "left_wrist",
)
# ImageNet classes with hands that hold an animal, found by inspecting all images without detections.
_WITH_HANDS = ("n01742172", "n02342885")
_COCO_LIKE = {
    "coco": "coco/test_coco.json",
    "crowdpose": "crowdpose/test_crowdpose.json",
    "ochuman": "ochuman/test_ochuman.json",
    "jhmdb": "jhmdb/test_jhmdb_sub1.json",
    "aic": "aic/test_aic.json",
}


def videos(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield frames of all videos, labelled by the teachers."""
    folder = context.path("videos", "videos")
    for path in sorted(folder.glob("*.mp4")):
        with open_source(path) as video:
            count = video.info.frames or _FRAMES
            stride = max(-(-count // _FRAMES), round(_MIN_GAP_S * (video.info.fps or 25)))
        with open_source(path, stride=stride) as video:
            for frame in video:
                people = tuple(context.teachers.label_all(frame.image, _canvas(frame.image)))
                name = f"{path.stem}_{frame.number:05d}"
                yield ImageRecord(name, frame.image, people, "teacher", is_honest("videos", name))


def mot17(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield all frames of MOT17-mini with ground truth boxes of whole bodies, and the teacher's joints."""
    folder = context.path("tracking/MOT17-mini/train", "mot17")
    for sequence in sorted(path for path in folder.iterdir() if path.is_dir()):
        inner = f"tracking/MOT17-mini/train/{sequence.name}"
        rows = np.loadtxt(context.path(f"{inner}/gt/gt.txt", "mot17"), delimiter=",", ndmin=2)
        for path in sorted((sequence / "img1").glob("*.jpg")):
            image = context.image(f"{inner}/img1/{path.name}", "mot17")
            known, unclear, shares = _mot_boxes(rows[rows[:, 0] == int(path.stem)], image.shape)
            found = zip(context.teachers.label(image, known), shares, strict=True)
            people = [replace(each, posed=bool(share >= _MOT_POSED)) for each, share in found]
            people += map(ignored, unclear)
            name = f"{sequence.name}_{path.stem}"
            yield ImageRecord(name, image, tuple(people), "true", is_honest("mot17", name))


def posetrack18(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield the annotated frames of PoseTrack18; unannotated people are ignored."""
    folder = "tracking/mmpose_posetrack18"
    data = context.json(f"{folder}/annotations/test_posetrack18_val.json", "posetrack18")
    test = held_out([image["file_name"] for image in data["images"]], "posetrack18", context.seed)
    for entry in data["images"]:
        image = context.image(f"{folder}/{entry['file_name']}", "posetrack18")
        people = []
        for each in _of_image(data, entry):
            each["keypoints"][2::3] = [2 * state for state in each["keypoints"][2::3]]  # 1: visible
            head = np.hypot(*each["bbox_head"][2:]) * _POSETRACK_HEAD
            people.append(_annotated(each, POSETRACK_KEYPOINTS, image.shape, head_px=float(head)))
        for xs, ys in zip(entry["ignore_regions_x"], entry["ignore_regions_y"], strict=True):
            people.append(ignored(np.float32([min(xs), min(ys), max(xs), max(ys)])))
        yield _with_others(
            context,
            ImageRecord(entry["vid_id"], image, tuple(people), "true", entry["file_name"] in test, "true"),
        )


def mmpose(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield a few images with ground truth of COCO, CrowdPose, OCHuman, JHMDB, AI Challenger and MPII."""
    sets = {name: context.json(f"pose/mmpose_samples/{file}", "mmpose") for name, file in _COCO_LIKE.items()}
    mpii = context.json("pose/mmpose_samples/mpii/test_mpii.json", "mmpose")
    by_file = {file: list(rows) for file, rows in groupby(mpii, key=lambda row: row["image"])}
    pairs = [(name, image["file_name"]) for name, data in sets.items() for image in data["images"]]
    pairs += [("mpii", file) for file in by_file]
    test = held_out([f"{name}/{file}" for name, file in pairs], "mmpose", context.seed)
    for name, file in pairs:
        image = context.image(f"pose/mmpose_samples/{name}/{file}", "mmpose")
        people = (
            [_from_mpii(row, image.shape) for row in by_file[file]]
            if name == "mpii"
            else _from_coco(sets[name], file, image.shape)
        )
        short = f"{name}_{Path(file).with_suffix('').as_posix().replace('/', '_')}"
        yield _with_others(
            context, ImageRecord(short, image, tuple(people), "true", f"{name}/{file}" in test, "true")
        )


def backgrounds(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield images of ImageNet without detections of the teacher, even at a very low score."""
    for name, image, test in _imagenet(context, "backgrounds"):
        if name.partition("_")[0] in _WITH_HANDS:
            continue
        if all((context.teachers.people(image, each)[:, 4] < 2 * NOTHING).all() for each in (416, 640)):
            yield ImageRecord(name, image, (), "true", test, poses=False)


def everyday(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield images of ImageNet with detections of the teacher."""
    for name, image, test in _imagenet(context, "everyday"):
        people = context.teachers.label_all(image, _SMALL_CANVAS)
        if any(not each.ignore for each in people):
            yield ImageRecord(name, image, tuple(people), "teacher", test, poses=False)


def sports(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield crops of Leeds Sports Pose Extended with the teacher's boxes; missed people are ignored."""
    archive = context.archive("pose/lspet_crops.zip", "sports")
    for each in lspet_people(context, "sports"):
        image = archive.image(f"lspet_crops/{each.name}")
        people = context.teachers.label_all(image, _SMALL_CANVAS)
        found = np.float32([one.box for one in people if not one.ignore]).reshape(-1, 4)
        posed = around(each.joints[each.joints[:, 2] > 0, :2], image.shape, 0)
        if (overlaps(posed[None], found) < SAME).all():
            people.append(ignored(posed))
        name = each.name.partition(".")[0]
        yield ImageRecord(name, image, tuple(people), "teacher", each.held_out, poses=False)


def _imagenet(context: SourceContext, source: str) -> Iterator[tuple[str, np.ndarray, bool]]:
    """Yield name, image and whether it is held out, the same for all sources made of them."""
    archive = context.archive("detect/imagenet_samples.zip", source)
    names = archive.names("imagenet_samples", ".jpg")
    test = held_out(names, "backgrounds", context.seed)
    for name in names:
        yield name, archive.image(f"imagenet_samples/{name}.jpg"), name in test


def _canvas(image: np.ndarray) -> int:
    return _WIDE_CANVAS if max(image.shape) >= _WIDE else _CANVAS


def _with_others(context: SourceContext, record: ImageRecord) -> ImageRecord:
    """Add ignore regions for detections of the teacher without annotation."""
    boxes = np.float32([each.box for each in record.people]).reshape(-1, 4)
    others = context.teachers.unlabelled(record.image, boxes, _canvas(record.image))
    return replace(record, people=(*record.people, *others))


def _mot_boxes(rows: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes of people [N, 4], of ambiguous ones [M, 4], and the visible share [N] of the people."""
    # MOT counts pixels from 1.
    corners = np.concatenate((rows[:, 2:4] - 1, rows[:, 2:4] + rows[:, 4:6] - 1), axis=1)
    boxes = np.float32([clipped(each, shape) for each in corners]).reshape(-1, 4)
    people = rows[:, 7] == _MOT_PERSON
    clear = people & (rows[:, 6] == 1) & (rows[:, 8] >= _MOT_VISIBLE)
    return boxes[clear], boxes[(people & ~clear) | np.isin(rows[:, 7], _MOT_UNCLEAR)], rows[clear, 8]


def _of_image(data: dict[str, Any], image: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in data["annotations"] if each["image_id"] == image["id"]]


def _annotated(
    each: dict[str, Any], names: Any, shape: tuple[int, ...], *, head_px: float | None = None
) -> Person:
    x, y, width, height = each["bbox"]
    box = clipped(np.float32([x, y, x + width, y + height]), shape)
    if each.get("iscrowd"):
        return ignored(box)
    joints = np.float32(each["keypoints"]).reshape(-1, 3)
    return person(box, named_keypoints(names, joints), head_px=head_px)


def _from_coco(data: dict[str, Any], file: str, shape: tuple[int, ...]) -> list[Person]:
    names = data["categories"][0]["keypoints"]
    (image,) = [each for each in data["images"] if each["file_name"] == file]
    return [_annotated(each, names, shape) for each in _of_image(data, image)]


def _from_mpii(row: dict[str, Any], shape: tuple[int, ...]) -> Person:
    seen = np.float32(row["joints_vis"])[:, None]
    joints = np.concatenate((np.float32(row["joints"]), 2 * seen), axis=1)
    if len(joints) != len(_MPII):
        raise InputError(f"{row['image']} has {len(joints)} joints, not MPII's {len(_MPII)}.")
    neck, top = joints[_MPII.index("neck")], joints[_MPII.index("head_top")]
    known = joints[joints[:, 2] > 0, :2]
    box = around(known, shape, _MPII_MARGIN * float(np.ptp(known, axis=0).max()))
    return person(box, named_keypoints(_MPII, joints), head_px=float(np.hypot(*(neck - top)[:2])))
