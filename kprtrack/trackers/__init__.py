"""Trackers: observations -> tracks. None imports torch."""

from typing import Any

from kprtrack.pipeline import BaseTracker
from kprtrack.trackers.bytetrack import ByteTrack, ByteTrackConfig
from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

# `--tracker NAME`: (class, config). A new tracker is one module with a class that inherits from
# kprtrack.pipeline.BaseTracker and is made as Class(config, fps), its config dataclass, and one entry here.
TRACKERS: dict[str, tuple[type[BaseTracker], Any]] = {
    "kpr": (KprTracker, KprTrackerConfig),
    "bytetrack": (ByteTrack, ByteTrackConfig),
}
