"""Joins frames with the tracks that come seconds after them, and draws both into a video."""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from kprtrack.core.datatypes import Frame, Tracks
from kprtrack.core.signals import DeferredInterrupts
from kprtrack.video.draw import Trails, draw_tracks
from kprtrack.video.inputs import VideoInfo
from kprtrack.video.writer import VideoWriter


class AnnotatedVideoWriter:
    """A video with its tracks drawn; keeps the frames whose tracks are not final yet.

    stride: every so many frames of the source are drawn. Raises: as VideoWriter does.
    """

    def __init__(self, path: Path, info: VideoInfo, stride: int) -> None:
        self._writer = VideoWriter(
            path,
            info.width,
            info.height,
            info.fps / stride,
            sample_aspect_ratio=info.sample_aspect_ratio,
        )
        self._trails = Trails()
        self._kept: deque[Frame] = deque()

    def __enter__(self) -> "AnnotatedVideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        with DeferredInterrupts():
            self._writer.close()

    def keep(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Pass the frames on and remember them until `write`."""
        for frame in frames:
            self._kept.append(frame)
            yield frame

    def write(self, tracks: Tracks) -> None:
        """Draw the tracks on the oldest frame kept, which is theirs."""
        self.draw(self._kept.popleft(), tracks)

    def draw(self, frame: Frame, tracks: Tracks | None) -> None:
        """Append the frame, with its tracks if there are any."""
        image = frame.image
        if tracks is not None:
            self._trails.add(tracks)
            image = draw_tracks(image, tracks, self._trails)
        self._writer.write(image, frame.time_s)
