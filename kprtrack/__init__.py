"""Tracks the poses of people through video and keeps their identities through occlusion.

Examples:
    >>> import kprtrack
    >>> summary = kprtrack.track_video("video.mp4", "tracks.json", networks=networks)
    >>> summary.frames, sorted(summary.ids)
    (12, [1, 2])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from kprtrack.build import build_detector as build_detector
    from kprtrack.build import build_networks as build_networks
    from kprtrack.build import build_pose_estimator as build_pose_estimator
    from kprtrack.build import build_reid_encoder as build_reid_encoder
    from kprtrack.build import build_tracker as build_tracker
    from kprtrack.config import ComponentConfig as ComponentConfig
    from kprtrack.config import TrackConfig as TrackConfig
    from kprtrack.config import load_config as load_config
    from kprtrack.core.appearance import Appearance as Appearance
    from kprtrack.core.appearance import empty_appearance as empty_appearance
    from kprtrack.core.appearance import part_distance as part_distance
    from kprtrack.core.datatypes import Detections as Detections
    from kprtrack.core.datatypes import Frame as Frame
    from kprtrack.core.datatypes import Observation as Observation
    from kprtrack.core.datatypes import Poses as Poses
    from kprtrack.core.datatypes import Tracks as Tracks
    from kprtrack.core.datatypes import empty_detections as empty_detections
    from kprtrack.core.datatypes import empty_poses as empty_poses
    from kprtrack.core.errors import InputError as InputError
    from kprtrack.core.errors import OutputError as OutputError
    from kprtrack.core.errors import UserError as UserError
    from kprtrack.core.errors import WeightsError as WeightsError
    from kprtrack.core.skeleton import KEYPOINTS as KEYPOINTS
    from kprtrack.core.skeleton import Skeleton as Skeleton
    from kprtrack.core.skeletons import SKELETONS as SKELETONS
    from kprtrack.inference.devices import ComputeConfig as ComputeConfig
    from kprtrack.io import ConvertOptions as ConvertOptions
    from kprtrack.io import ObservationFile as ObservationFile
    from kprtrack.io import RunHeader as RunHeader
    from kprtrack.io import TrackFile as TrackFile
    from kprtrack.io import convert as convert
    from kprtrack.io import open_writer as open_writer
    from kprtrack.io import read_observations as read_observations
    from kprtrack.io import read_tracks as read_tracks
    from kprtrack.io import write_observations as write_observations
    from kprtrack.online.live_tracks import LiveTracks as LiveTracks
    from kprtrack.online.tracker import Tracker as Tracker
    from kprtrack.outputs import Summary as Summary
    from kprtrack.pipeline import BaseTracker as BaseTracker
    from kprtrack.pipeline import Detector as Detector
    from kprtrack.pipeline import Networks as Networks
    from kprtrack.pipeline import PoseEstimator as PoseEstimator
    from kprtrack.pipeline import ReidEncoder as ReidEncoder
    from kprtrack.pipeline import observe as observe
    from kprtrack.pipeline import track as track
    from kprtrack.rendering.draw import Trails as Trails
    from kprtrack.rendering.draw import draw_tracks as draw_tracks
    from kprtrack.rendering.options import RenderOptions as RenderOptions
    from kprtrack.rendering.video import draw_video as draw_video
    from kprtrack.rendering.viewer import view_video as view_video
    from kprtrack.run import observe_video as observe_video
    from kprtrack.run import track_observations as track_observations
    from kprtrack.run import track_video as track_video
    from kprtrack.selection import Click as Click
    from kprtrack.selection import PeopleSelection as PeopleSelection
    from kprtrack.selection import select_people as select_people
    from kprtrack.trackers.bytetrack import ByteTrack as ByteTrack
    from kprtrack.trackers.bytetrack import ByteTrackConfig as ByteTrackConfig
    from kprtrack.trackers.kpr import KprTracker as KprTracker
    from kprtrack.trackers.kpr_config import KprTrackerConfig as KprTrackerConfig
    from kprtrack.video.clip import Clip as Clip
    from kprtrack.video.source import open_source as open_source
    from kprtrack.video.writer import VideoWriter as VideoWriter

# Imported at first use, so that `import kprtrack` loads neither numpy nor torch.
_MODULES = {
    "Appearance": "kprtrack.core.appearance",
    "BaseTracker": "kprtrack.pipeline",
    "ByteTrack": "kprtrack.trackers.bytetrack",
    "ByteTrackConfig": "kprtrack.trackers.bytetrack",
    "Click": "kprtrack.selection",
    "Clip": "kprtrack.video.clip",
    "ComponentConfig": "kprtrack.config",
    "ComputeConfig": "kprtrack.inference.devices",
    "ConvertOptions": "kprtrack.io",
    "Detections": "kprtrack.core.datatypes",
    "Detector": "kprtrack.pipeline",
    "Frame": "kprtrack.core.datatypes",
    "InputError": "kprtrack.core.errors",
    "KEYPOINTS": "kprtrack.core.skeleton",
    "KprTracker": "kprtrack.trackers.kpr",
    "KprTrackerConfig": "kprtrack.trackers.kpr_config",
    "LiveTracks": "kprtrack.online.live_tracks",
    "Networks": "kprtrack.pipeline",
    "Observation": "kprtrack.core.datatypes",
    "ObservationFile": "kprtrack.io",
    "OutputError": "kprtrack.core.errors",
    "PeopleSelection": "kprtrack.selection",
    "PoseEstimator": "kprtrack.pipeline",
    "Poses": "kprtrack.core.datatypes",
    "ReidEncoder": "kprtrack.pipeline",
    "RenderOptions": "kprtrack.rendering.options",
    "RunHeader": "kprtrack.io",
    "SKELETONS": "kprtrack.core.skeletons",
    "Skeleton": "kprtrack.core.skeleton",
    "Summary": "kprtrack.outputs",
    "TrackConfig": "kprtrack.config",
    "TrackFile": "kprtrack.io",
    "Tracker": "kprtrack.online.tracker",
    "Tracks": "kprtrack.core.datatypes",
    "Trails": "kprtrack.rendering.draw",
    "UserError": "kprtrack.core.errors",
    "VideoWriter": "kprtrack.video.writer",
    "WeightsError": "kprtrack.core.errors",
    "build_detector": "kprtrack.build",
    "build_networks": "kprtrack.build",
    "build_pose_estimator": "kprtrack.build",
    "build_reid_encoder": "kprtrack.build",
    "build_tracker": "kprtrack.build",
    "convert": "kprtrack.io",
    "draw_tracks": "kprtrack.rendering.draw",
    "draw_video": "kprtrack.rendering.video",
    "empty_appearance": "kprtrack.core.appearance",
    "empty_detections": "kprtrack.core.datatypes",
    "empty_poses": "kprtrack.core.datatypes",
    "load_config": "kprtrack.config",
    "observe": "kprtrack.pipeline",
    "observe_video": "kprtrack.run",
    "open_source": "kprtrack.video.source",
    "open_writer": "kprtrack.io",
    "part_distance": "kprtrack.core.appearance",
    "read_observations": "kprtrack.io",
    "read_tracks": "kprtrack.io",
    "select_people": "kprtrack.selection",
    "track": "kprtrack.pipeline",
    "track_observations": "kprtrack.run",
    "track_video": "kprtrack.run",
    "view_video": "kprtrack.rendering.viewer",
    "write_observations": "kprtrack.io",
}

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'kprtrack' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
