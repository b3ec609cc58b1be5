"""Annotations for crops of people, made with the project's own networks: keypoints, and part labels of them.

Both write the files that the dataset's options name, one for each crop, and leave those that are there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from kprtrack import build
from kprtrack.config import TrackConfig
from kprtrack.core.abandoned_parts import remove_abandoned_parts
from kprtrack.core.atomic_file import write_file
from kprtrack.core.datatypes import Detections, Frame, Poses, empty_detections
from kprtrack.core.errors import InputError, UserError, unknown_name
from reid.datasets import ReidSample
from reid.datasets.crops import read_image, skeletons_of
from reid.datasets.keypoint_files import keypoints_json
from reid.parts.mask_files import mask_file
from reid.parts.shapes import part_labels_of

Detect = Callable[[list[Frame]], list[Detections]]
EstimatePoses = Callable[[list[Frame], list[Detections]], list[Poses]]
OnCrop = Callable[[int, int], None]  # hears how many crops of how many are done

_LEAST_SCORE = 0.3  # of a detection, to count as another person
_SAME_PERSON = 0.1  # of the crop's height: skeletons closer to each other are one person's
_SURE = 0.3  # confidence of keypoints that are compared
_TALLEST = 256  # pixels of part labels; the encoder uses no more


def crop_networks(config: TrackConfig, *, detects: bool) -> tuple[EstimatePoses, Detect | None]:
    """The pose estimator of the settings and, if asked for, the detector; the encoder is not needed.

    Args:
        config: Pose estimator and detector, and how they compute.
        detects: Whether the detector is needed.

    Returns:
        The pose estimator, and the detector or None.

    Raises:
        UserError: A name or an option is unknown.
        WeightsError: Weights are missing or do not fit.
    """
    parts = {"pose": config.pose} | ({"detector": config.detector} if detects else {})
    for role, part in parts.items():
        known = [name for name in build.network_table(role) if name != build.FILE]
        if part.name not in known:
            raise unknown_name(f"{role} for crops", part.name, known)
        build.weights_of(role, part)  # a missing file is reported before the first is loaded
    compute = build.compute_config(config)
    guard = build.enough_memory(config, compute)
    estimate_poses = guard(build.build_pose_estimator(config.pose, compute))
    if not detects:
        return estimate_poses, None
    return estimate_poses, guard(build.build_detector(config.detector, compute))


def make_keypoints(
    samples: Sequence[ReidSample],
    estimate_poses: EstimatePoses,
    *,
    detect: Detect | None = None,
    batch: int = 16,
    on_crop: OnCrop | None = None,
) -> int:
    """Write a keypoint file for every crop that has none; returns how many.

    The person is whoever fills the crop: its whole area is the box. detect: finds other people in the crop,
    whose skeletons become negatives; None: no other people are searched.

    Args:
        samples: The crops.
        estimate_poses: Skeletons of given boxes.
        detect: Finds other people in a crop, whose skeletons become negatives; None: there are none.
        batch: Crops at once, 1 or more.
        on_crop: Called with the number of crops done and of all.

    Returns:
        The number of files written.

    Raises:
        UserError: The dataset names no files for keypoints.
        InputError: A file is missing or cannot be read.
        OutputError: A file cannot be written.
    """
    remove_abandoned_parts(_keypoint_file(each).parent for each in samples)
    todo = [(each, path) for each in samples if not (path := _keypoint_file(each)).exists()]
    for start in range(0, len(todo), batch):
        some = todo[start : start + batch]
        frames = [Frame(row, 0.0, read_image(each.image)) for row, (each, _) in enumerate(some)]
        others = detect(frames) if detect else [empty_detections() for _ in frames]
        people = [_crop_first(frame, found) for frame, found in zip(frames, others, strict=True)]
        poses = estimate_poses(frames, people)
        for (_, path), frame, found in zip(some, frames, poses, strict=True):
            keypoints = _without_doubles(found.skeleton.to_prompts(found.keypoints), len(frame.image))
            write_file(path, keypoints_json(keypoints), concurrent=True)
        if on_crop:
            on_crop(start + len(some), len(todo))
    return len(todo)


def make_part_labels(
    samples: Sequence[ReidSample],
    *,
    posetrack: bool = False,
    person_mask: Callable[[Path], np.ndarray] | None = None,
    on_crop: OnCrop | None = None,
) -> int:
    """Write part labels, drawn from keypoints, for every crop that has none; returns how many.

    Args:
        posetrack: The skeletons have PoseTrack's head joints.
        person_mask: Image path -> [h, w] bool, any size.

    Raises:
        UserError: The dataset names no keypoints or no files for masks.
        InputError: A file is missing or cannot be read.
        OutputError: A file cannot be written.
    """
    remove_abandoned_parts(_mask_file(each).parent for each in samples)
    todo = [(each, path) for each in samples if not (path := _mask_file(each)).exists()]
    for done, (sample, path) in enumerate(todo, start=1):
        height, width = read_image(sample.image).shape[:2]
        own = skeletons_of(sample, height, width)[0]
        scale = min(1.0, _TALLEST / height)
        own[:, :2] *= scale
        size = max(1, round(height * scale)), max(1, round(width * scale))
        person = person_mask(sample.image) if person_mask else None
        if person is not None:
            person = cv2.resize(person.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0
        labels = part_labels_of(own, *size, posetrack=posetrack, person=person)
        write_file(path, mask_file(path, labels), concurrent=True)
        if on_crop:
            on_crop(done, len(todo))
    return len(todo)


def person_masks_in(folder: Path, root: Path) -> Callable[[Path], np.ndarray]:
    """Read person masks: for an image below `root` the same path below `folder`, .png, 0: background.

    The reader raises InputError if one is missing or damaged.

    Args:
        folder: Of the masks.
        root: Of the images.

    Returns:
        A function from the path of an image to its mask, [h, w] bool.
    """

    def read(image_path: Path) -> np.ndarray:
        inner = image_path.relative_to(root)
        choices = [(folder / inner).with_suffix(".png"), folder / f"{inner}.png"]
        path = next((each for each in choices if each.exists()), choices[0])
        if not path.exists():
            raise InputError(f"There is no person mask {path} for {image_path}.")
        return read_image(path).max(axis=2) > 0

    return read


def _keypoint_file(sample: ReidSample) -> Path:
    if not isinstance(sample.keypoints, Path):
        raise UserError(
            "The keypoints of this dataset have no files of their own: "
            + ("they come with it." if sample.keypoints is not None else "name a folder with keypoints=NAME.")
        )
    return sample.keypoints


def _mask_file(sample: ReidSample) -> Path:
    if sample.keypoints is None:
        raise UserError("Part labels are drawn from keypoints: name their folder with keypoints=NAME.")
    if sample.masks is None:
        raise UserError("Say where the part labels go: masks=NAME.")
    return sample.masks


def _crop_first(frame: Frame, found: Detections) -> Detections:
    """The box of the whole crop, then the people found in it."""
    height, width = frame.image.shape[:2]
    sure = found.scores >= _LEAST_SCORE
    whole = np.array([[0, 0, width, height]], np.float32)
    return Detections(
        np.concatenate((whole, found.boxes[sure])),
        np.concatenate((np.ones(1, np.float32), found.scores[sure])),
    )


def _without_doubles(skeletons: np.ndarray, height: int) -> np.ndarray:
    """The skeletons [N, 17, 3] without those that show an earlier one's person again."""
    kept: list[np.ndarray] = []
    for each in skeletons:
        if all(_distance(each, other) > _SAME_PERSON * height for other in kept):
            kept.append(each)
    return np.stack(kept)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Median distance of the keypoints that both show; infinite if there are none."""
    both = (a[:, 2] > _SURE) & (b[:, 2] > _SURE)
    return float(np.median(np.linalg.norm(a[both, :2] - b[both, :2], axis=1))) if both.any() else np.inf
