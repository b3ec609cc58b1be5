"""How everybody stands: images + boxes -> keypoints. A new estimator is one file, one line in POSES."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from kprtrack.config import configure
from kprtrack.core.datatypes import Detections, Images, Poses
from kprtrack.inference.devices import ComputeConfig


class PoseEstimator(Protocol):
    """Places 17 keypoints on every detected person."""

    def __call__(self, images: Images, people: list[Detections]) -> list[Poses]:
        """Skeletons of each image, row i for box i, pixels of that image."""
        ...


def _hrnet(width: int, weights: Path, options: Mapping[str, Any], compute: ComputeConfig) -> PoseEstimator:
    from kprtrack.poses.hrnet import HrnetConfig, load_hrnet

    return load_hrnet(configure(HrnetConfig, options, width=width), weights, compute)


def _heatmap(weights: Path, options: Mapping[str, Any], compute: ComputeConfig) -> PoseEstimator:
    from kprtrack.poses.heatmap import HeatmapConfig, load_heatmap

    return load_heatmap(configure(HeatmapConfig, options), weights, compute)


def _small(weights: Path, options: Mapping[str, Any], compute: ComputeConfig) -> PoseEstimator:
    from kprtrack.poses.small import SmallPoseConfig, load_small

    return load_small(configure(SmallPoseConfig, options), weights, compute)


def _mmpose(weights: Path, options: Mapping[str, Any], compute: ComputeConfig) -> PoseEstimator:
    from kprtrack.poses.mmpose import MmposeConfig, load_mmpose

    return load_mmpose(configure(MmposeConfig, options), weights, compute)


# Each makes a pose estimator from a weights file and the options of its config dataclass. Keypoints from a
# file (`--pose file`) need no network and are wired in build.py.
POSES: dict[str, Callable[[Path, Mapping[str, Any], ComputeConfig], PoseEstimator]] = {
    "small": _small,
    "hrnet-w32": partial(_hrnet, 32),
    "hrnet-w48": partial(_hrnet, 48),
    "heatmap": _heatmap,
    "mmpose": _mmpose,
}
