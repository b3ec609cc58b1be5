"""The format `jsonl`: JSON lines, which other programs can read while they are written."""

import json
from collections.abc import Iterator
from pathlib import Path

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError
from kprtrack.io.columns import PeopleFile
from kprtrack.io.header import RunHeader, TracksWriter, compact_json, header_from_json, header_to_json
from kprtrack.io.kprtrack_json import NO_HEADER, ending_to_json, frame_to_json, people_from_frames
from kprtrack.io.text_writer import Footer, FrameLog, Layout, TextWriter


def open_jsonl(path: Path, header: RunHeader) -> TracksWriter:
    """Open a writer of `.jsonl`; every frame can be read as soon as it is written."""
    head = compact_json(header_to_json(header)) + b"\n"

    def line(tracks: Tracks, log: FrameLog) -> bytes:
        return compact_json(frame_to_json(tracks, header.labels)) + b"\n"

    def footer(log: FrameLog, ending: Footer) -> bytes:
        return jsonl_footer(log, ending, header)

    return TextWriter(path, Layout(head, line, footer), streams=True)


def people_from_jsonl(path: Path) -> PeopleFile:
    """Read the people of a `.jsonl` file; it is incomplete if its last line, the ending, is missing.

    Raises:
        InputError: Names the line that is wrong. A truncated last line is skipped.
    """
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{path} is empty. Make or copy it again.")
    frames = list(lines)
    ending = frames.pop() if frames and isinstance(frames[-1], dict) and "complete" in frames[-1] else {}
    header = header_from_json(first, path, ending)
    complete = isinstance(ending, dict) and bool(ending.get("complete", False))
    return people_from_frames(frames, path, header, complete=complete)


def _lines(path: Path) -> Iterator[object]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    if not line.strip():
                        continue
                    if not line.endswith("\n"):
                        return  # the writer was killed while writing this line
                    raise InputError(f"{path}, line {number}: this is not valid JSON ({error}).") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {path}: {error}.") from error


def jsonl_footer(log: FrameLog, ending: Footer, header: RunHeader = NO_HEADER) -> bytes:
    """Return the end of the file."""
    return compact_json(ending_to_json(log, ending, header)) + b"\n"
