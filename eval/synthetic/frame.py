"""The settings of the synthetic benchmark, and one frame of it."""

from dataclasses import dataclass

import numpy as np

from kprtrack.core.errors import UserError

_PER_SPLIT = 5000  # videos, and people
FIRST_OF_SPLIT = {"train": 0, "val": _PER_SPLIT}  # offset of the numbers of videos and people
# Limits of PoseTrack21's image numbers and of the renderer.
_LIMITS = {
    "sequences": (1, _PER_SPLIT),
    "frames": (2, 10_000),
    "people": (1, 90),
    "width": (64, 7680),
    "height": (64, 4320),
    "labelled_every": (1, 10_000),
    "jpeg_quality": (1, 100),
}


@dataclass(frozen=True)
class SyntheticConfig:
    """Settings of the benchmark; two configs that differ only in `sequences` share their first sequences."""

    sequences: int = 4
    frames: int = 200  # in each sequence
    people: int = 5  # in each sequence
    width: int = 640  # pixels
    height: int = 360
    fps: float = 25.0
    seed: int = 0
    split: str = "val"  # "train" or "val": different people and videos
    labelled_every: int = 1  # poses are annotated in every n-th frame and the middle 30; PoseTrack21 val: 4
    jpeg_quality: int = 92  # 1 to 100

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UserError(f"{name} is {getattr(self, name)}; it must be {least} to {most}.")
        if self.first_person(self.sequences) + self.people > _PER_SPLIT:
            raise UserError(
                f"{self.sequences} sequences of {self.people} people are too many for a split; use fewer."
            )
        if self.split not in FIRST_OF_SPLIT:
            raise UserError(f"There is no split '{self.split}'. Choose train or val.")
        if not 0.1 <= self.fps <= 1000:
            raise UserError(f"fps is {self.fps}; it must be 0.1 to 1000.")

    def first_person(self, number: int) -> int:
        """Return the number of the first person of a sequence; adjacent ones share half of their people.

        Args:
            number: Number of the sequence.

        Returns:
            The number of the person.
        """
        return number * -(-self.people // 2)


@dataclass(frozen=True)
class SyntheticFrame:
    """One image with its ground truth. Row i of every array belongs to the same person."""

    sequence: str
    video: int  # number of the sequence in the files of its split
    number: int  # 0-based
    time_s: float
    labelled: bool  # whether poses are annotated
    image: np.ndarray  # [H, W, 3] uint8 RGB
    ids: np.ndarray  # [N] int64, within the sequence, from 1
    person_ids: np.ndarray  # [N] int64, across sequences
    boxes: np.ndarray  # [N, 4] float32, x1 y1 x2 y2
    head_boxes: np.ndarray  # [N, 4] float32; may extend beyond the image
    keypoints: np.ndarray  # [N, 17, 3] float32 COCO: x y, 2 visible, 1 occluded, 0 outside the image
    posetrack: np.ndarray  # [N, 17, 3] float32 PoseTrack: x y, 1 visible, 0 occluded; ears and outside all 0
    visibility: np.ndarray  # [N] float32, visible pixels relative to the area of the box
    # [N] float32, 0 to 1: visible pixels relative to those of the person alone, times the share of the whole
    # box that is inside the image; MOTChallenge's visibility.
    visible_fraction: np.ndarray
    mask: np.ndarray  # [H, W] uint16, track ID of the visible person, 0 is background
    parts: np.ndarray  # [H, W] uint8, index of shapes.PARTS
    ignore_regions: tuple[np.ndarray, ...]  # each [V, 2] x y: distant people without annotations
