"""Annotated people as training examples of pose networks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from kprtrack.core.errors import UserError
from kprtrack.core.skeleton import POSETRACK_SKELETON
from kprtrack.io.posetrack import EARS, to_posetrack
from kprtrack.poses.crops import cut_crops
from kprtrack.poses.topdown import Skeleton, TopDown
from kprtrack.training.annotations import LabelledImage, read_annotations
from kprtrack.training.config import Source
from kprtrack.training.detector.data import read_image
from kprtrack.training.pose.augment import Person, augment
from kprtrack.training.pose.config import PoseLabels, PoseTrainConfig
from kprtrack.training.pose.targets import ENCODERS, TargetSize
from reid.training.sampler import Draw

_STRIDE = 4  # input pixels per heatmap cell


@dataclass(frozen=True)
class LabelledPerson:
    """A person in an image file."""

    image: LabelledImage
    box: np.ndarray  # [4] x1 y1 x2 y2, pixels
    keypoints: np.ndarray  # [17, 3] float32 x y weight in the network's order; 0: unknown, -1: not visible


@dataclass(frozen=True)
class PoseBatch:
    """N training examples."""

    crops: torch.Tensor  # [N, H, W, 3] uint8 RGB
    heatmaps: torch.Tensor  # [N, 17, h, w] float32
    weights: torch.Tensor  # [N, 17] float32


class PoseExamples(Dataset[tuple[np.ndarray, np.ndarray, np.ndarray]]):
    """Crop, heatmaps and weights of every person; indexed by draws."""

    def __init__(self, people: Sequence[LabelledPerson], config: PoseTrainConfig) -> None:
        self._people = people
        self._config = config
        self._layout: TopDown = config.layout()
        width, height = self._layout.input_width, self._layout.input_height
        self._size = TargetSize(width, height, width // _STRIDE, height // _STRIDE, config.sigma)

    def __len__(self) -> int:
        return len(self._people)

    def __getitem__(self, draw: Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labelled = self._people[draw.row]
        person = Person(read_rgb(labelled.image), labelled.box, labelled.keypoints)
        sample = augment(
            person,
            self._layout,
            config=self._config.augment,
            rng=draw.generator(),
            others=self._piece_of_another,
        )
        known = sample.weights > 0
        encode = ENCODERS[self._layout.decode]
        heatmaps, reached = encode(sample.points[None], known[None], self._size)
        # Outside of the crop, or of low confidence: the target is an empty map.
        absent = np.where(sample.weights != 0, self._config.labels.absent_weight, 0)
        weights = np.where(reached[0] > 0, sample.weights, absent)
        return sample.crop, heatmaps[0], weights.astype(np.float32)

    def _piece_of_another(self, rng: np.random.Generator) -> np.ndarray:
        """A part of another person's box, at most 64 pixels wide and high."""
        other = self._people[int(rng.integers(len(self._people)))]
        size = other.box[2:] - other.box[:2]
        part = rng.uniform(0.2, 0.8, 2) * size
        corner = other.box[:2] + rng.uniform(0, 1, 2) * (size - part)
        width, height = (int(side) for side in np.clip(part, 2, 64))
        scale = np.array([width, height]) / part
        matrix = np.column_stack((np.diag(scale), -scale * corner))
        return cut_crops(read_rgb(other.image), matrix[None], width, height)[0]

    def fingerprint(self) -> str:
        """Hash of image names, boxes and keypoints."""
        found = hashlib.sha256()
        for person in self._people:
            found.update(f"{person.image.path.name} ".encode())
            found.update(np.concatenate((person.box, person.keypoints.ravel())).astype(np.float32).tobytes())
        return found.hexdigest()[:16]


def collate(examples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> PoseBatch:
    """A batch of `PoseExamples`.

    Args:
        examples: Crop [H, W, 3] uint8 RGB, heatmaps [17, h, w] and weights [17] of each person.

    Returns:
        The same with a leading axis.
    """
    crops, heatmaps, weights = (torch.from_numpy(np.stack(each)) for each in zip(*examples, strict=True))
    return PoseBatch(crops, heatmaps, weights)


def labelled_people(source: Source, skeleton: Skeleton, labels: PoseLabels) -> list[LabelledPerson]:
    """The people of a source that have enough keypoints.

    A keypoint's weight is the teacher's confidence, or 1. Keypoints of lower confidence are not visible.
    Sources in the other skeleton are converted: keypoints that they lack are unknown or, for neck and top of
    the head, derived.

    Args:
        source: The annotations.
        skeleton: The network's.
        labels: Which keypoints and people are used.

    Raises:
        UserError: No person is left.
        InputError: The annotations cannot be read.
    """
    if not source.annotations:
        raise UserError("A source of data has no annotations. Name a json file: data.train=FILE.")
    found = [
        person
        for image in read_annotations(source.annotations, source.images, source.category)
        for person in _people(image, skeleton, labels)
    ]
    if not found:
        raise UserError(
            f"{source.annotations} has no person with {labels.least_keypoints} or more keypoints of "
            f"confidence {labels.least_confidence} and "
            f"{labels.least_height_px:g} pixels of height (settings labels.…)."
        )
    return found


def read_rgb(image: LabelledImage) -> np.ndarray:
    """The image, [H, W, 3] uint8 RGB.

    Args:
        image: Path and annotated size.

    Returns:
        [H, W, 3] uint8 RGB.

    Raises:
        InputError: It is damaged or of another size.
    """
    return cv2.cvtColor(read_image(image), cv2.COLOR_BGR2RGB)


def _people(image: LabelledImage, skeleton: Skeleton, labels: PoseLabels) -> list[LabelledPerson]:
    if len(image.boxes) == 0:
        return []
    scores = np.clip(image.keypoint_scores, 0, 1)
    known = (image.keypoints[..., 2] > 0) & (scores > 0) & (scores >= labels.least_confidence)
    weights = np.where(known, scores, -np.sign(scores))
    keypoints = np.dstack((image.keypoints[..., :2], weights)).astype(np.float32)
    if skeleton == "coco" and image.skeleton == "posetrack":
        keypoints = POSETRACK_SKELETON.to_coco(keypoints)
    if skeleton == "posetrack18":
        if image.skeleton == "coco":
            keypoints = to_posetrack(np.maximum(keypoints, (-np.inf, -np.inf, 0)).astype(np.float32))
        keypoints[:, EARS] = 0  # PoseTrack labels none
    sizes = image.boxes[:, 2:] - image.boxes[:, :2]
    keep = (keypoints[..., 2] > 0).sum(axis=1) >= labels.least_keypoints
    keep &= (sizes[:, 1] >= labels.least_height_px) & (sizes[:, 0] > 0)
    return [LabelledPerson(image, image.boxes[row], keypoints[row]) for row in np.flatnonzero(keep)]
