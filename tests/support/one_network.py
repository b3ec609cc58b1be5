"""Builds one of the networks of a configuration: the others take seconds and play no part."""

from kprtrack import build
from kprtrack.config import TrackConfig

_BUILD = {
    "detector": build.build_detector,
    "pose": build.build_pose_estimator,
    "reid": build.build_reid_encoder,
}


def build_network(config: TrackConfig, role: str) -> object:
    """The network of a role: detector, pose or reid."""
    return _BUILD[role](getattr(config, role), build.compute_config(config))
