"""Who is who over time: observations -> tracks. A new tracker is one file here and one line in TRACKERS."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from kprtrack.config import configure
from kprtrack.core.datatypes import Observation, Tracks


class Tracker(Protocol):
    """Follows people through one video, frame by frame."""

    @property
    def output_delay_s(self) -> float:
        """For how long after a frame its identities may still be corrected; 0: never."""
        ...

    def update(self, seen: Observation) -> Tracks:
        """The people of this frame with their identities. Frames come in order of time."""
        ...

    def finalize(self, tracks: Tracks) -> Tracks:
        """`tracks` of an earlier frame with the corrections known by now."""
        ...


def _kpr(options: Mapping[str, Any], fps: float) -> Tracker:
    from kprtrack.trackers.kpr import KprTracker, KprTrackerConfig

    return KprTracker(configure(KprTrackerConfig, options))


def _bytetrack(options: Mapping[str, Any], fps: float) -> Tracker:
    from kprtrack.trackers.bytetrack import ByteTrack, ByteTrackConfig

    return ByteTrack(configure(ByteTrackConfig, options), fps)


# Each makes a tracker for one video of `fps` frames per second from the options of its config dataclass.
TRACKERS: dict[str, Callable[[Mapping[str, Any], float], Tracker]] = {"kpr": _kpr, "bytetrack": _bytetrack}
