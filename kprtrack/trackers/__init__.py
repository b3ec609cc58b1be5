"""Who is who over time: observations -> tracks. A new tracker is one file here and one line in TRACKERS."""

from typing import Protocol

from kprtrack.datatypes import Observation, Tracks


class Tracker(Protocol):
    """Follows people through one video, frame by frame."""

    def update(self, seen: Observation) -> Tracks:
        """The people of this frame with their identities. Frames come in order of time."""
        ...
