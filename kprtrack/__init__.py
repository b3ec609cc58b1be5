"""Tracks every person's pose through video and keeps identities through occlusion.

    from kprtrack import track_video
    summary = track_video("video.mp4", "tracks.json")

`observe` and `follow` are the two halves; `Observation` and `Tracks` are what goes in and comes out.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from kprtrack.build import build_networks as build_networks
    from kprtrack.build import build_tracker as build_tracker
    from kprtrack.config import TrackConfig as TrackConfig
    from kprtrack.config import load_config as load_config
    from kprtrack.core.datatypes import Detections as Detections
    from kprtrack.core.datatypes import Frame as Frame
    from kprtrack.core.datatypes import Observation as Observation
    from kprtrack.core.datatypes import Poses as Poses
    from kprtrack.core.datatypes import Tracks as Tracks
    from kprtrack.io import read_tracks as read_tracks
    from kprtrack.pipeline import Networks as Networks
    from kprtrack.pipeline import observe as observe
    from kprtrack.pipeline import track as track
    from kprtrack.run import track_video as track_video
    from kprtrack.trackers.bytetrack import ByteTrack as ByteTrack
    from kprtrack.trackers.kpr import KprTracker as KprTracker
    from kprtrack.video.source import open_source as open_source

# Loaded at first use, so that `import kprtrack` costs nothing.
_HOMES = {
    "ByteTrack": "kprtrack.trackers.bytetrack",
    "Detections": "kprtrack.core.datatypes",
    "Frame": "kprtrack.core.datatypes",
    "KprTracker": "kprtrack.trackers.kpr",
    "Networks": "kprtrack.pipeline",
    "Observation": "kprtrack.core.datatypes",
    "Poses": "kprtrack.core.datatypes",
    "TrackConfig": "kprtrack.config",
    "Tracks": "kprtrack.core.datatypes",
    "build_networks": "kprtrack.build",
    "build_tracker": "kprtrack.build",
    "track": "kprtrack.pipeline",
    "load_config": "kprtrack.config",
    "observe": "kprtrack.pipeline",
    "open_source": "kprtrack.video.source",
    "read_tracks": "kprtrack.io",
    "track_video": "kprtrack.run",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kprtrack' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
