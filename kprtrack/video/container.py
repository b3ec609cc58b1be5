"""Open video files, URLs and pipes with FFmpeg (PyAV) and describe what goes wrong."""

import math
import re
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kprtrack.core.errors import InputError
from kprtrack.video.inputs import OnDamage, is_stream, not_found, without_secrets
from kprtrack.video.protocols import address_and_options, can_be_encoded, is_playlist

MOST_PIXELS = 16384 * 8192  # of a frame; a few kilobytes can claim any size


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
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # FFmpeg attached data of a kind that PyAV does not know: PyAV can name none of them
        matrix = None
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


@dataclass(frozen=True)
class OpenSettings:
    """How a source is opened and read."""

    timeout_s: float = 10.0  # longest wait for data of a URL, now and later
    on_damage: OnDamage = "skip"
    allow_playlists: bool = False  # local playlists, which name other files


def open_container(source: str, settings: OpenSettings) -> tuple[InputContainer, VideoStream]:
    """Open a source and its best video stream.

    Args:
        source: A file, a URL or "-" for standard input.
        settings: Its timeout counts for URLs.

    Raises:
        InputError: The source is missing, empty, unreadable, sends nothing or has no video.
    """
    shown = without_secrets(source)
    if not is_stream(source):
        _validate_readable(Path(source))
    address, options = address_and_options(source, allow_playlists=settings.allow_playlists)
    waits = settings.timeout_s if "://" in source else None
    asked = time.monotonic()
    try:
        container = _open(address, options, waits)
    except (av.FFmpegError, OSError, UnicodeError) as error:
        if waits is not None and timed_out(asked, waits):
            raise InputError(f"'{shown}' did not respond within {waits:g} s.") from error
        if not is_stream(source) and not settings.allow_playlists and is_playlist(source):
            raise InputError(
                f"'{shown}' is a playlist, which can open other files and addresses. Give the video itself;"
                " or add --allow-playlists (allow_playlists=True), if you trust the playlist."
            ) from error
        raise _cannot_open(shown, error) from error
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        kinds = ", ".join(sorted({other.type for other in container.streams})) or "nothing"
        container.close()
        raise InputError(f"'{shown}' has no video stream, only: {kinds}.")
    if stream.codec_context is None:
        container.close()
        raise InputError(
            f"'{shown}' has a video stream in a coding that this FFmpeg cannot decode. Convert it to H.264."
        )
    if stream.width * stream.height > MOST_PIXELS:
        container.close()
        raise InputError(
            f"'{shown}' has frames of {stream.width}x{stream.height} pixels; at most {MOST_PIXELS} are read."
            " Scale it down."
        )
    return container, stream


def _open(address: str, options: dict[str, str], timeout_s: float | None) -> InputContainer:
    file: str | BinaryIO = address
    if not can_be_encoded(address):  # FFmpeg takes names in UTF-8 only, Linux has others
        file = Path(address.removeprefix("file:")).open("rb")  # noqa: SIM115 - read until the end
    return av.open(file, "r", options=options, timeout=timeout_s, metadata_errors="replace")


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
        return _clock_s(stream.metadata["DURATION"], first_s)
    if container.duration and len(container.streams) == 1:
        return (container.duration + (container.start_time or 0)) / av.time_base - first_s
    return None


def _clock_s(text: str, first_s: float) -> float | None:
    """Seconds of "00:01:02.5" after the first frame; None for anything else, which programs also write."""
    clock = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d*)?)\0*", text.strip(), re.ASCII)
    if clock is None or max(map(len, clock.groups())) > 20:
        return None
    end_s = int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])
    return end_s - first_s if end_s > first_s else None


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
    unreadable = isinstance(error, av.InvalidDataError | av.EOFError)
    if unreadable and "://" in shown:
        return InputError(f"'{shown}' sent nothing that FFmpeg can read as a video.")
    if unreadable:
        return InputError(
            f"'{shown}' is not a video that FFmpeg can read, or was truncated before its index was written."
        )
    return InputError(f"'{shown}' cannot be opened: {reason(error)}.")
