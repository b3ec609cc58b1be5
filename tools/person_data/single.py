"""Sources of single people: Penn-Fudan and Clothing Co-Parsing with masks, crops of LSPET and CUHK."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kprtrack.core.skeleton import KEYPOINTS
from person_data.labels import (
    VISIBLE_CONFIDENCE,
    ImageRecord,
    Person,
    around,
    held_out,
    person,
    person_from_teacher,
)
from person_data.reading import Archive, SourceContext
from reid.datasets.layout import split_identities

_PF_BOX = re.compile(r"object (\d+).*\(Xmin, Ymin\).*: \((\d+), (\d+)\) - \((\d+), (\d+)\)")
_FACE = 5  # the first rows of COCO's joints
_WRONG = (
    0.3  # of the person's size: an annotated joint this far from a confident one of the teacher is dropped
)
_VERY_CONFIDENT = 0.8
_CUHK_PER_PERSON = 6  # crops of one identity
_BATCH = 32
_MIN_MASK = 0.02  # of the image: some masks of Clothing Co-Parsing are empty
_LSPET_MARGIN_PX = 8.0  # around the joints, for people without a box
CUHK03_TRAIN = 600  # identities, as in configs/reid/cuhk03_small.py with seed 0


@dataclass(frozen=True)
class Masked:
    """An image with the masks of some of its people."""

    name: str
    image: np.ndarray  # [H, W, 3] uint8 RGB
    masks: tuple[np.ndarray, ...]  # [H, W] bool each
    boxes: np.ndarray  # [N, 4] x1 y1 x2 y2
    held_out: bool


@dataclass(frozen=True)
class SportsPerson:
    """One crop of Leeds Sports Pose Extended; joints are x y known, in pixels of the crop."""

    name: str
    joints: np.ndarray  # [14, 3] float32, as annotated
    keypoints: np.ndarray  # [17, 3] float32, COCO's; the face is unknown
    neck: np.ndarray  # [3]
    top: np.ndarray  # [3] of the head
    held_out: bool


def lspet_people(context: SourceContext, source: str) -> list[SportsPerson]:
    """Return all crops; the same ones are held out in all sources made of them."""
    data = context.json("pose/lspet_crops.json", source)
    neck, top = (data["joint_order"].index(name) for name in ("neck", "head_top"))
    test = held_out([name for name, _ in data["images"]], "lspet", context.seed)
    known = [(row, target) for row, target in enumerate(data["coco17_index"]) if target is not None]
    found = []
    for name, rows in data["images"]:
        joints, keypoints = np.float32(rows), np.zeros((len(KEYPOINTS), 3), np.float32)
        for row, target in known:
            keypoints[target] = joints[row]
        found.append(SportsPerson(name, joints, keypoints, joints[neck], joints[top], name in test))
    return found


def masked_pennfudan(context: SourceContext) -> Iterator[Masked]:
    """Yield all images of Penn-Fudan."""
    archive = context.archive("detect/pennfudan.zip", "pennfudan")
    names = archive.names("pennfudan/img", ".jpg")
    test = held_out(names, "pennfudan", context.seed)
    for name in names:
        labels = archive.labels(f"pennfudan/mask/{name}.png")
        found = _PF_BOX.findall(archive.text(f"pennfudan/ann/{name}.txt"))
        masks = tuple(labels == int(number) for number, *_ in found)
        # Pixels count from 1, and the last one is inside the box.
        boxes = np.float32([[int(edge) for edge in each[1:]] for each in found]) - np.float32([1, 1, 0, 0])
        yield Masked(name, archive.image(f"pennfudan/img/{name}.jpg"), masks, boxes, name in test)


def masked_ccp(context: SourceContext) -> Iterator[Masked]:
    """Yield all images of Clothing Co-Parsing; clothes and bags belong to the person."""
    archive = context.archive("parsing/ccp_half.zip", "ccp")
    names = archive.names("ccp_half/img", ".jpg")
    test = held_out(names, "ccp", context.seed)
    for name in names:
        mask = archive.labels(f"ccp_half/mask/{name}.png") > 0
        if mask.mean() < _MIN_MASK:
            continue
        rows, columns = np.nonzero(mask)
        box = np.float32([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])
        yield Masked(name, archive.image(f"ccp_half/img/{name}.jpg"), (mask,), box, name in test)


def pennfudan(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield images with ground truth boxes; joints and ignore regions are by the teachers."""
    return (_labelled_image(context, each, 640) for each in masked_pennfudan(context))


def ccp(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield the same of Clothing Co-Parsing."""
    return (_labelled_image(context, each, 416) for each in masked_ccp(context))


def lspet(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield crops with 14 ground truth joints; the face is the teacher's where confident."""
    archive = context.archive("pose/lspet_crops.zip", "lspet")
    for rows in _parts(lspet_people(context, "lspet")):
        images = [archive.image(f"lspet_crops/{each.name}") for each in rows]
        boxes = [
            around(each.joints[each.joints[:, 2] > 0, :2], image.shape, _LSPET_MARGIN_PX)
            for each, image in zip(rows, images, strict=True)
        ]
        skeletons = context.teachers.skeletons(images, [box[None] for box in boxes])
        for each, image, box, found in zip(rows, images, boxes, skeletons, strict=True):
            ends = np.stack((each.neck, each.top))
            head = float(np.hypot(*(ends[0] - ends[1])[:2])) if (ends[:, 2] > 0).all() else None
            keypoints = each.keypoints * np.float32([1, 1, 2])
            someone = person(box, keypoints, head_px=head)
            if not each.held_out:  # held-out annotations stay unchanged
                someone = _with_face(_corrected(someone, found[0]), found[0])
            name = each.name.partition(".")[0]
            yield ImageRecord(name, image, (someone,), "true", each.held_out, "true", detects=False)


def cuhk03(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield crops of the training identities of ReID; the others are its test set."""
    return _cuhk(context, "cuhk03", "reid/cuhk03_train.zip", lambda name: int(name.partition("_")[0]))


def cuhk01(context: SourceContext) -> Iterator[ImageRecord]:
    """Yield crops of CUHK01, whose people may also be in CUHK03, which does not matter for poses."""
    return _cuhk(context, "cuhk01", "reid/cuhk01.zip", lambda name: int(name[:4]))


def _cuhk(
    context: SourceContext, source: str, file: str, identity: Callable[[str], int]
) -> Iterator[ImageRecord]:
    archive = context.archive(file, source)
    names = archive.names(source, ".jpg")
    chosen = {identity(name) for name in names}
    if source == "cuhk03":
        chosen = set(split_identities(chosen, CUHK03_TRAIN, 0))
    test = held_out([f"{each:04d}" for each in chosen], source, context.seed)
    some: list[str] = []
    for each in sorted(chosen):
        own = [name for name in names if identity(name) == each]
        rows = np.linspace(0, len(own) - 1, min(len(own), _CUHK_PER_PERSON)).round().astype(int)
        some += [own[row] for row in rows]
    for part in _parts(some):
        for name, image, skeleton in _crops(context, archive, source, part):
            box = np.float32([0, 0, image.shape[1], image.shape[0]])
            tested = f"{identity(name):04d}" in test
            yield ImageRecord(
                name, image, (person_from_teacher(box, skeleton),), "teacher", tested, detects=False
            )


def _crops(
    context: SourceContext, archive: Archive, source: str, names: Sequence[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    images = [archive.image(f"{source}/{name}.jpg") for name in names]
    boxes = [np.float32([[0, 0, image.shape[1], image.shape[0]]]) for image in images]
    for name, image, found in zip(names, images, context.teachers.skeletons(images, boxes), strict=True):
        yield name, image, found[0]


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))


def _labelled_image(context: SourceContext, masked: Masked, canvas_px: int) -> ImageRecord:
    people = context.teachers.label(masked.image, masked.boxes)
    others = context.teachers.unlabelled(masked.image, masked.boxes, canvas_px)
    return ImageRecord(masked.name, masked.image, (*people, *others), "true", masked.held_out)


def _corrected(someone: Person, teacher: np.ndarray) -> Person:
    """Drop joints far from confident joints of the teacher: LSPET sometimes confuses left and right."""
    size = max(someone.box[2:] - someone.box[:2])
    away = np.hypot(*(teacher[:, :2] - someone.keypoints[:, :2]).T) > _WRONG * size
    wrong = away & (teacher[:, 2] >= _VERY_CONFIDENT) & (someone.keypoints[:, 2] > 0)
    keypoints = np.where(wrong[:, None], 0, someone.keypoints)
    return replace(someone, keypoints=keypoints, keypoint_scores=np.where(wrong, 0, someone.keypoint_scores))


def _with_face(someone: Person, teacher: np.ndarray) -> Person:
    """Add nose, eyes and ears of the teacher where it is confident."""
    face = np.arange(len(KEYPOINTS)) < _FACE
    confident = face & (teacher[:, 2] >= VISIBLE_CONFIDENCE)
    keypoints = np.where(
        confident[:, None],
        np.concatenate((teacher[:, :2], np.full_like(teacher[:, 2:], 2)), 1),
        someone.keypoints,
    )
    scores = np.where(confident, teacher[:, 2], someone.keypoint_scores)
    return replace(someone, keypoints=np.float32(keypoints), keypoint_scores=np.float32(scores))
