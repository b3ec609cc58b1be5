"""The span of a source that a run reads."""

from dataclasses import dataclass, replace
from pathlib import Path

from kprtrack.video.inputs import OnDamage, is_camera, is_stream
from kprtrack.video.source import Source, open_source


@dataclass(frozen=True)
class Clip:
    """A span of a source.

    Args:
        source: Video file, folder or pattern of images, camera number, URL or "-" (standard input).
        start_s: Seconds from the first frame.
        end_s: Seconds from the first frame; a frame exactly at it is left out.
        stride: 3 takes every third frame from the start on.
        on_damage: "skip": continue after damaged frames and report them; "stop": end there.
        allow_playlists: Also open local playlists, which name other files.
        reconnect_s: How long a live source that breaks off is tried again; 0: not at all.
        path: What results name as the path of the video, where `source` is a copy of it; None: `source`.

    Examples:
        >>> with Clip("video.mp4", start_s=0.5, stride=2).open() as video:
        ...     [frame.number for frame in video]
        [5, 7, 9, 11]
    """

    source: str | int | Path
    start_s: float | None = None
    end_s: float | None = None
    stride: int = 1
    on_damage: OnDamage = "skip"
    allow_playlists: bool = False
    reconnect_s: float = 60.0
    path: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether it can be read more than once: no camera, address or standard input."""
        return not is_camera(self.source) and not is_stream(str(self.source))

    def open(self) -> Source:
        """Open the source.

        Raises:
            InputError: The source cannot be read.
            UserError: The span is empty or negative.
        """
        video = open_source(
            self.source,
            start_s=self.start_s,
            end_s=self.end_s,
            stride=self.stride,
            on_damage=self.on_damage,
            allow_playlists=self.allow_playlists,
            reconnect_s=self.reconnect_s,
        )
        if self.path is not None:
            video.info = replace(video.info, path=self.path)
        return video
