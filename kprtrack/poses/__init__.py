"""Pose estimators: frames and boxes -> the keypoints of each person."""

from functools import partial
from typing import Any

from kprtrack.pipeline import PoseEstimator
from kprtrack.poses.file import FileConfig, FilePose
from kprtrack.poses.heatmap import HeatmapConfig, HeatmapPose
from kprtrack.poses.hrnet import HrnetConfig, HrnetPose
from kprtrack.poses.mmpose import MmposeConfig, MmposePose
from kprtrack.poses.rtmo import RtmoPose, RtmoPoseConfig
from kprtrack.poses.rtmpose import RtmPose, RtmPoseConfig
from kprtrack.poses.small import SmallPoseConfig, SmallPoseEstimator

# `--pose NAME`: (class, config). A new pose estimator is one module with a class that implements
# kprtrack.pipeline.PoseEstimator, its config dataclass, and one entry here. `partial` fixes a field of the
# config.
POSES: dict[str, tuple[type[PoseEstimator], Any]] = {
    "small": (SmallPoseEstimator, SmallPoseConfig),
    "small-accurate": (SmallPoseEstimator, SmallPoseConfig),  # other weights
    "hrnet-w32": (HrnetPose, partial(HrnetConfig, width=32)),
    "hrnet-w48": (HrnetPose, partial(HrnetConfig, width=48)),
    "heatmap": (HeatmapPose, HeatmapConfig),
    "rtmo": (RtmoPose, RtmoPoseConfig),  # of --detector rtmo
    "rtmpose": (RtmPose, RtmPoseConfig),
    "mmpose": (MmposePose, MmposeConfig),
    "file": (FilePose, FileConfig),
}
