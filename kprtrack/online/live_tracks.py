"""The tracks of a frame as `kprtrack.Tracker` returns them, with what became known about earlier frames."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kprtrack.core.datatypes import Tracks


@dataclass(frozen=True)
class LiveTracks(Tracks):
    """The tracks of a frame, known at once, and those of earlier frames that are final now.

    Args:
        rows: [M] int64, the row of each track among the detections that were given for the frame.
        finalized: Earlier frames whose tracks cannot change any more, in order: what a file should hold.
        corrections: Those of them that differ from what was returned for them: people who were confirmed or
            re-identified since.
        detections: The `supervision.Detections` that were given; None: another kind of detections.

    Examples:
        >>> import numpy as np
        >>> tracker = Tracker(TrackConfig(reid="none"), poses=False, fps=1)
        >>> people = np.array([[10, 20, 60, 180], [200, 20, 250, 180]])
        >>> for _ in range(4):
        ...     tracks = tracker.update(boxes=people)
        >>> tracks.frame_number, [final.frame_number for final in tracks.finalized], tracks.corrections
        (3, [1], ())
    """

    rows: np.ndarray
    finalized: tuple[Tracks, ...] = ()
    corrections: tuple[Tracks, ...] = ()
    detections: Any = None

    def to_supervision(self) -> Any:
        """Make `supervision.Detections` with tracker IDs.

        Returns:
            If supervision.Detections were given, their rows, with masks, classes and data; else as
            `Tracks.to_supervision`.

        Raises:
            UserError: supervision is not installed.
        """
        if self.detections is None:
            return super().to_supervision()
        found = self.detections[self.rows]
        found.tracker_id = self.ids.astype(int)
        return found
