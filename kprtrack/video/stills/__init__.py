"""Single frames of a video, by their numbers and times."""

from kprtrack.video.stills.frame_reader import FrameReader
from kprtrack.video.stills.jpeg import to_jpeg

__all__ = ["FrameReader", "to_jpeg"]
