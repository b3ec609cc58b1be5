"""Write an annotated video: join frames with their tracks, which are final some seconds later."""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from kprtrack.core.datatypes import Frame, Tracks
from kprtrack.core.signals import DeferredInterrupts
from kprtrack.rendering.draw import Trails, draw_tracks
from kprtrack.video.source import Source
from kprtrack.video.writer import VideoWriter


class AnnotatedVideoWriter:
    """Writes a video with its tracks; keeps the frames whose tracks are not final yet.

    Args:
        path: Output file.
        video: The source.
        stride: Every `stride`-th frame of the source is written.

    Raises:
        UserError: The suffix is not one of a video.
        OutputError: The file cannot be written.
    """

    def __init__(self, path: Path, video: Source, stride: int) -> None:
        info = video.info
        self._writer = VideoWriter(
            path,
            info.width,
            info.height,
            info.fps / stride,
            sample_aspect_ratio=info.sample_aspect_ratio,
            sound=video.sound,
            colour=video.colour,
            deep=video.deep,
        )
        self._trails = Trails()
        self._kept: deque[Frame] = deque()

    def __enter__(self) -> "AnnotatedVideoWriter":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close(complete=error is None)

    @property
    def saved(self) -> Path | None:
        """The file that holds the frames, once it is closed."""
        return self._writer.saved

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the sound was not copied as it is."""
        return self._writer.notes

    def close(self, complete: bool = True) -> None:
        """Finish the file; see VideoWriter.close."""
        with DeferredInterrupts():
            self._writer.close(complete)

    def keep(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames and keep them until `write`."""
        for frame in frames:
            self._kept.append(frame)
            yield frame

    def write(self, tracks: Tracks) -> None:
        """Draw the tracks on the oldest frame kept, to which they belong, and append it."""
        frame = self._kept.popleft()
        self._trails.add(tracks)
        self._writer.write(draw_tracks(frame.image, tracks, self._trails), frame.time_s, frame)
