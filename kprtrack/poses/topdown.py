"""Top-down pose estimation with heatmap networks: boxes -> crops -> heatmaps -> keypoints in the frame."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kprtrack.core import skeleton as sets
from kprtrack.core.datatypes import Detections, Frame, Poses, empty_poses
from kprtrack.core.errors import UserError
from kprtrack.inference.source import OpenNetwork
from kprtrack.pipeline import PoseEstimator
from kprtrack.poses.crops import cut_crops, pose_windows, standard_matrices, to_frame, udp_matrices
from kprtrack.poses.decode import DECODERS, Decode, unmirror

Skeleton = Literal["coco", "posetrack18"]  # as settings name the two sets of 17 keypoints
Heatmaps = Callable[[np.ndarray], np.ndarray]  # crops [N, H, W, 3] uint8 RGB -> [N, K, h, w] float32

_SETS: dict[Skeleton, sets.Skeleton] = {"coco": sets.COCO_SKELETON, "posetrack18": sets.POSETRACK_SKELETON}
_EARS = (sets.KEYPOINTS.index("left_ear"), sets.KEYPOINTS.index("right_ear"))


@dataclass(frozen=True)
class TopDown:
    """How crops for a network are cut and how its heatmaps are decoded."""

    input_width: int  # pixels
    input_height: int
    decode: Decode
    skeleton: Skeleton  # posetrack18: rows 1 and 2 are head_bottom and head_top, the ears are unknown
    flip_test: bool  # average with the heatmaps of the mirrored crop
    box_padding: float  # crop size relative to the box

    def __post_init__(self) -> None:
        _choice("decode", self.decode, tuple(DECODERS))
        _choice("skeleton", self.skeleton, tuple(_SETS))
        if not self.box_padding > 0:
            raise UserError(f"box_padding is {self.box_padding}; it must be above 0 (1.25 is usual).")

    @property
    def keypoints(self) -> sets.Skeleton:
        """The set of keypoints of a network with 17 heatmaps."""
        return _SETS[self.skeleton]


class TopDownPose(PoseEstimator):
    """A pose estimator of one heatmap network, which subclasses open with their weights."""

    _network: OpenNetwork
    _layout: TopDown
    _batch: int  # crops at once

    @property
    def skeleton(self) -> sets.Skeleton:  # type: ignore[override]
        """The set of keypoints of its poses."""
        return self._layout.keypoints

    def __call__(self, frames: list[Frame], detections: list[Detections]) -> list[Poses]:
        """Estimate the pose in each box.

        Returns:
            Poses of each frame, row i for box i, in pixels of that frame.
        """
        return estimate_poses(frames, detections, self.heatmaps, self._layout, self._batch)

    def heatmaps(self, crops: np.ndarray) -> np.ndarray:
        """Run the network on crops [N, H, W, 3] uint8 RGB: heatmaps [N, 17, H/4, W/4]."""
        return self._network.run(crops)[0]


def estimate_poses(
    frames: list[Frame],
    detections: list[Detections],
    heatmaps: Heatmaps,
    layout: TopDown,
    batch: int,
    skeleton: sets.Skeleton | None = None,
) -> list[Poses]:
    """Estimate the pose in each box; the people of all frames share batches.

    Args:
        frames: Any number of frames.
        detections: Those of each frame.
        heatmaps: The network.
        layout: Crops, decoding and flip test.
        batch: Largest number of crops in a call of the network.
        skeleton: The set of the K keypoints; None: that of the layout.

    Returns:
        Poses of each frame, row i for box i. The confidence is the maximum of the heatmap clipped to [0, 1];
        it is 0 for the ears of PoseTrack's set.

    Raises:
        ValueError: A box has no area.
        UserError: The network gives numbers that are not finite.
    """
    skeleton = skeleton or layout.keypoints
    images = [frame.image for frame in frames]
    owners = np.repeat(np.arange(len(images)), [len(found) for found in detections])
    if len(owners) == 0:
        return [empty_poses(0, skeleton) for _ in images]
    boxes = np.concatenate([found.boxes for found in detections])
    windows = pose_windows(boxes, layout.input_width, layout.input_height, padding=layout.box_padding)
    keypoints = np.zeros((len(owners), len(skeleton), 3), np.float32)
    for start in range(0, len(owners), batch):
        rows = slice(start, start + batch)
        crops = _crops(images, owners[rows], windows[rows], layout)
        points, scores = DECODERS[layout.decode](
            _averaged(crops, heatmaps, layout, skeleton.flip), layout.input_width, layout.input_height
        )
        keypoints[rows, :, :2] = to_frame(points, windows[rows], layout.input_width, layout.input_height)
        keypoints[rows, :, 2] = np.clip(scores, 0, 1)
    if skeleton == sets.POSETRACK_SKELETON:
        keypoints[:, _EARS, 2] = 0  # not annotated in PoseTrack, so these channels are untrained
    return [Poses(keypoints[owners == number], skeleton) for number in range(len(images))]


def _crops(images: list[np.ndarray], owners: np.ndarray, windows: np.ndarray, layout: TopDown) -> np.ndarray:
    """Cut the crops [N, H, W, 3] uint8; `owners`, the frame of each, are sorted."""
    make_matrices = udp_matrices if layout.decode == "udp" else standard_matrices
    matrices = make_matrices(windows, layout.input_width, layout.input_height)
    return np.concatenate(
        [
            cut_crops(images[owner], matrices[owners == owner], layout.input_width, layout.input_height)
            for owner in np.unique(owners)
        ]
    )


def _averaged(crops: np.ndarray, heatmaps: Heatmaps, layout: TopDown, flip: tuple[int, ...]) -> np.ndarray:
    found = heatmaps(crops)
    if layout.flip_test:
        mirrored = heatmaps(np.ascontiguousarray(crops[:, :, ::-1]))
        with np.errstate(over="ignore"):  # infinite then
            found = (found + unmirror(mirrored, flip, layout.decode)) * np.float32(0.5)
    if not np.isfinite(found).all():
        raise UserError(
            "The pose network gave numbers that are not finite. Try precision fp32, or other weights."
        )
    return found


def _choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"{name} is '{value}'; known: {', '.join(known)}.")
