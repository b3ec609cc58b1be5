"""Open video files, URLs and pipes with FFmpeg (PyAV) and describe what goes wrong."""

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
from kprtrack.video.inputs import STANDARD_INPUT, is_stream, not_found, without_secrets


@dataclass(frozen=True)
class Orientation:
    """How stored images become upright ones: first swap the axes, then flip."""

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False
    rotation: int = 0  # the same as degrees clockwise ...
    mirrored: bool = False  # ... after a mirror image

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the upright image, [H, W, 3]; image: as stored, [H, W, 3]."""
        turned = image.transpose(1, 0, 2) if self.swap else image
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in (self.flip_y, self.flip_x))
        return np.ascontiguousarray(turned[rows, columns])


def display_orientation(frame: VideoFrame, source: str) -> Orientation:
    """Return the orientation in which the container wants this frame to be shown.

    Args:
        frame: A decoded frame with its side data.
        source: The name of the source, for messages.

    Raises:
        InputError: The angle is no multiple of 90 degrees.

    Source: ISO/IEC 14496-12, 6.2.2: a stored point (x, y) is shown at (a x + c y, b x + d y).
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    values = np.frombuffer(matrix, "=i4").reshape(3, 3)[:2, :2] / 65536  # type: ignore[call-overload]
    (a, b), (c, d) = np.sign(np.where(np.abs(values) < 0.01, 0, values)).astype(int).tolist()
    mirrored = a * d - b * c < 0
    side = -1 if mirrored else 1
    rotation = round(math.degrees(math.atan2(side * b, side * a))) % 360
    if (a, d) == (0, 0) and b and c:
        return Orientation(True, c < 0, b < 0, rotation, mirrored)
    if (b, c) == (0, 0) and a and d:
        return Orientation(False, a < 0, d < 0, rotation, mirrored)
    raise InputError(f"'{source}' has a rotation that is no multiple of 90 degrees; re-encode it upright.")


def open_container(source: str, timeout_s: float) -> tuple[InputContainer, VideoStream]:
    """Open a source and its best video stream.

    Args:
        source: A file, a URL or "-" for standard input.
        timeout_s: How long a URL may send nothing, now and later.

    Raises:
        InputError: The source is missing, empty, unreadable, sends nothing or has no video.
    """
    shown = without_secrets(source)
    if not is_stream(source):
        _validate_readable(Path(source))
    address = "pipe:0" if source == STANDARD_INPUT else source
    # Over TCP: a camera's UDP packets get lost behind most firewalls, and every loss corrupts the image.
    options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
    asked = time.monotonic()
    try:
        container = av.open(address, "r", options=options, timeout=timeout_s if "://" in source else None)
    except (av.FFmpegError, OSError) as error:
        if "://" in source and timed_out(asked, timeout_s):
            raise InputError(f"'{shown}' did not respond within {timeout_s:g} s.") from error
        raise _cannot_open(shown, error) from error
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        kinds = ", ".join(sorted({other.type for other in container.streams})) or "nothing"
        container.close()
        raise InputError(f"'{shown}' has no video stream, only: {kinds}.")
    stream.thread_type = "AUTO"
    return container, stream


def timed_out(asked: float, timeout_s: float) -> bool:
    """Whether an error since `asked` (time.monotonic) is a timeout; FFmpeg's codes do not distinguish it."""
    return time.monotonic() - asked > 0.95 * timeout_s


def reason(error: BaseException) -> str:
    """Return the message of FFmpeg or the system without the address, which may contain a password."""
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


def stated_duration_s(container: InputContainer, stream: VideoStream, first_pts: int | None) -> float | None:
    """Return the stored duration from the first frame to the end of the stream; None if there is none."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        # AVI's duration comes from the index at the end, which truncated files lack, the frame count not.
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


def pixel_aspect_ratio(stream: VideoStream, orientation: Orientation) -> Fraction | None:
    """Return width / height of one upright pixel; None if the container does not store it."""
    shape = stream.sample_aspect_ratio
    return 1 / shape if shape and orientation.swap else shape or None


def _validate_readable(path: Path) -> None:
    if not path.exists():
        raise not_found(path)
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"'{path}' is empty (0 bytes).")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"'{path}' cannot be opened: {reason(error)}.") from error


def _cannot_open(shown: str, error: BaseException) -> InputError:
    if isinstance(error, av.InvalidDataError | av.EOFError):
        return InputError(
            f"'{shown}' is not a video that FFmpeg can read, or was truncated before its index was written."
        )
    return InputError(f"'{shown}' cannot be opened: {reason(error)}.")
