"""SubRip subtitles (.srt): the names of the people who are in the image, for players and editors."""

from pathlib import Path

import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.io.exports.tables import ConvertOptions, frame_rate
from kprtrack.io.header import TrackFile
from kprtrack.io.output_file import validate_target


def write_srt(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write one subtitle for each span of frames with the same people; frames without people have none.

    Raises:
        UserError: Neither the times nor the frame rate are known.
        OutputError: The file cannot be written.
    """
    validate_target(path)
    lines, names, persons = [], file.header.names, file.header.persons
    for number, (start, end, ids) in enumerate(_spans(file, options), 1):
        people = ", ".join(names.get(one) or f"Person {persons.get(one, one)}" for one in ids)
        lines.append(f"{number}\n{_time(start)} --> {_time(end)}\n{people}\n")
    write_file(path, "\n".join(lines).encode())
    return [path]


def _spans(file: TrackFile, options: ConvertOptions) -> list[tuple[float, float, tuple[int, ...]]]:
    """Start, end and track IDs of each span, in order of time."""
    if not file.frames:
        return []
    rate = frame_rate(file, options, "SRT")
    numbers = np.array([tracks.frame_number for tracks in file.frames], np.float64)
    times = np.array([tracks.time_s for tracks in file.frames])
    if options.fps is not None or not np.isfinite(times).all():
        times = numbers / rate
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    ends = np.append(times[1:], times[-1] + step)
    ends = np.minimum(ends, times + 2 * step)  # a frame that the file lacks has no people
    spans: list[tuple[float, float, tuple[int, ...]]] = []
    for tracks, start, end in zip(file.frames, times.tolist(), ends.tolist(), strict=True):
        ids = tuple(sorted(tracks.ids.tolist()))
        if spans and spans[-1][2] == ids and start <= spans[-1][1] + 1e-6:
            spans[-1] = spans[-1][0], end, ids
        else:
            spans.append((start, end, ids))
    return [span for span in spans if span[2]]


def _time(seconds: float) -> str:
    """00:01:02,345."""
    total = round(max(seconds, 0.0) * 1000)
    return f"{total // 3_600_000:02d}:{total // 60_000 % 60:02d}:{total // 1000 % 60:02d},{total % 1000:03d}"
