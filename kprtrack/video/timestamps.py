"""Read the time stamps of a file without decoding it, where its header does not tell how long it is."""

from dataclasses import dataclass

import av
from av.container import InputContainer
from av.video.stream import VideoStream

# Containers with one index of the whole file; files of all others may be several joined ones.
_INDEXED = frozenset({"mov", "mp4", "matroska", "webm", "avi", "gif", "mxf"})


@dataclass(frozen=True)
class TimeStamps:
    """What the time stamps of a whole file say."""

    restarts: bool  # they go back, as where recordings were joined: a time is not one place in the file
    duration_s: float  # of all parts one after the other


def may_restart(container: InputContainer) -> bool:
    """Whether files of this format can be joined end to end, each part with its own time stamps."""
    return not _INDEXED & set(container.format.name.split(","))


def scan_time_stamps(container: InputContainer, stream: VideoStream, fps: float) -> TimeStamps | None:
    """Read all packets of an open container.

    Args:
        container: At its beginning; it is at its end afterwards.
        stream: Its video stream.
        fps: Frame rate, for the time between two parts.

    Returns:
        None if the stream has no time stamps.
    """
    parts: list[list[int]] = [[]]
    last_dts: int | None = None
    try:
        for packet in container.demux(stream):
            if packet.dts is not None and last_dts is not None and packet.dts < last_dts:
                parts.append([])
            last_dts = packet.dts if packet.dts is not None else last_dts
            if packet.pts is not None and packet.size:
                parts[-1].append(packet.pts)
    except av.FFmpegError:
        pass  # reading reports it with the frame
    parts = [part for part in parts if part]
    if not parts or stream.time_base is None:
        return None
    tick_s, first, time_s = float(stream.time_base), min(parts[0]), -1 / fps
    for part in parts:
        for pts in sorted(part):
            # The rule of ContainerVideo: where the time does not increase, it continues at the frame rate.
            stated_s = (pts - first) * tick_s
            time_s = stated_s if stated_s > time_s else time_s + 1 / fps
    return TimeStamps(restarts=len(parts) > 1, duration_s=time_s + 1 / fps)
