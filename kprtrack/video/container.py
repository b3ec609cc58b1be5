"""Opens video files, URLs and pipes with FFmpeg (PyAV), with errors a user understands."""

import math
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kprtrack.core.errors import InputError
from kprtrack.video.inputs import STANDARD_INPUT, is_stream, missing, without_secrets


@dataclass(frozen=True)
class Turn:
    """How stored pictures become upright ones: first swap the axes, then mirror."""

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False
    rotation: int = 0  # the same as degrees clockwise ...
    mirrored: bool = False  # ... after a mirror image

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The upright picture. image: [H, W, 3]."""
        turned = image.transpose(1, 0, 2) if self.swap else image
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in (self.flip_y, self.flip_x))
        return np.ascontiguousarray(turned[rows, columns])


def display_turn(picture: VideoFrame, source: str) -> Turn:
    """How the container wants this stream's pictures to be shown.

    Raises: InputError for an angle that is no quarter turn.
    Source: ISO/IEC 14496-12, 6.2.2: a stored point (x, y) is shown at (a x + c y, b x + d y).
    """
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Turn()
    values = np.frombuffer(matrix, "=i4").reshape(3, 3)[:2, :2] / 65536  # type: ignore[call-overload]
    (a, b), (c, d) = np.sign(np.where(np.abs(values) < 0.01, 0, values)).astype(int).tolist()
    mirrored = a * d - b * c < 0
    side = -1 if mirrored else 1
    rotation = round(math.degrees(math.atan2(side * b, side * a))) % 360
    if (a, d) == (0, 0) and b and c:
        return Turn(True, c < 0, b < 0, rotation, mirrored)
    if (b, c) == (0, 0) and a and d:
        return Turn(False, a < 0, d < 0, rotation, mirrored)
    raise InputError(
        f"'{source}' asks to be shown at an angle that is no quarter turn; re-encode it upright."
    )


def open_container(source: str, timeout_s: float) -> tuple[InputContainer, VideoStream]:
    """The opened source and its best video stream. timeout_s: how long a URL may stay silent, now and later.

    Raises: InputError for anything missing, empty, unreadable, silent or without video.
    """
    shown = without_secrets(source)
    if not is_stream(source):
        _validate_unreadable_file(Path(source))
    address = "pipe:0" if source == STANDARD_INPUT else source
    # Over TCP: a camera's UDP packets get lost behind most firewalls, and every loss smears the picture.
    options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
    asked = time.monotonic()
    try:
        container = av.open(address, "r", options=options, timeout=timeout_s if "://" in source else None)
    except (av.FFmpegError, OSError) as error:
        if "://" in source and timed_out(asked, timeout_s):
            raise InputError(f"'{shown}' did not answer within {timeout_s:g} s.") from error
        raise _cannot_open(shown, error) from error
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        kinds = ", ".join(sorted({other.type for other in container.streams})) or "nothing"
        container.close()
        raise InputError(f"'{shown}' has no video stream, only: {kinds}.")
    stream.thread_type = "AUTO"
    return container, stream


def timed_out(asked: float, timeout_s: float) -> bool:
    """Whether an error since `asked` (time.monotonic) comes from the timeout; FFmpeg's codes do not tell."""
    return time.monotonic() - asked > 0.95 * timeout_s


def reason(error: BaseException) -> str:
    """FFmpeg's or the system's own words, without the address, which may hold a password."""
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


def stated_duration_s(container: InputContainer, stream: VideoStream, first_pts: int | None) -> float | None:
    """From the first frame to the stated end of the stream; None where only the whole file's is known."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        # AVI's duration is read from the index at the end, which a cut destroys; the frame count is in front.
        return float(stream.frames / stream.average_rate)
    if first_pts is None or stream.time_base is None:
        return None
    first_s = float(first_pts * stream.time_base)
    if stream.duration:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base) - first_s
    if "DURATION" in stream.metadata:  # Matroska and WebM: "00:01:02.500000000"
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - first_s
    if container.duration and len(container.streams) == 1:
        return (container.duration + (container.start_time or 0)) / av.time_base - first_s
    return None


def shape_of_pixels(stream: VideoStream, turn: Turn) -> Fraction | None:
    """Width / height of one upright pixel; None where the container does not say."""
    shape = stream.sample_aspect_ratio
    return 1 / shape if shape and turn.swap else shape or None


def _validate_unreadable_file(path: Path) -> None:
    if not path.exists():
        raise missing(path)
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"'{path}' is empty (0 bytes).")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"'{path}' cannot be opened: {reason(error)}.") from error


def _cannot_open(shown: str, error: BaseException) -> InputError:
    if isinstance(error, av.InvalidDataError | av.EOFError):
        return InputError(
            f"'{shown}' is not a video FFmpeg can read, or was cut off before its index was written."
        )
    return InputError(f"'{shown}' cannot be opened: {reason(error)}.")
