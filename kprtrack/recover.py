"""Finish the file that a killed run has left: NAME.part, with all its whole frames, becomes NAME."""

import json
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kprtrack.core.atomic_file import OLD_SUFFIX, PART_SUFFIX, open_part
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import InputError, UserError
from kprtrack.io.coco import coco_writer
from kprtrack.io.header import RunHeader, TracksWriter, header_from_json
from kprtrack.io.journal import JOURNAL, JournalWriter
from kprtrack.io.jsonl import jsonl_footer
from kprtrack.io.kprtrack_json import json_footer
from kprtrack.io.observations.writer import ObservationWriter
from kprtrack.io.output_file import OutputFile
from kprtrack.io.parquet import parquet_writer
from kprtrack.io.posetrack import posetrack_writer
from kprtrack.io.text_writer import FrameLog, Layout, TextWriter, no_footer
from kprtrack.video.writer import FORMATS as VIDEO_FORMATS
from kprtrack.video.writer import playable_frames

NOTE = "recovered from the file of a killed run"
_ZIP, _JSON = b"PK\x03\x04", b"{"
_TABLES = {".csv": 1, ".txt": 0}  # suffix -> lines before the first row; a row starts with its frame number
_BLOCK = 512  # bytes: a write is only ever torn at the end of a block
Renderers = dict[str, Callable[[Path, RunHeader, dict[str, Any], Path], TracksWriter]]
_RENDERERS: Renderers = {
    "coco": lambda target, header, options, final: coco_writer(target, header),
    "parquet": lambda target, header, options, final: parquet_writer(target, header),
    "posetrack21": lambda target, header, options, final: posetrack_writer(
        target, header, options.get("images"), final
    ),
}


@dataclass(frozen=True)
class Recovered:
    """A finished file.

    Args:
        path: The file; NAME.partial if there was a NAME.
        frames: Number of its frames.
    """

    path: Path
    frames: int


def recover(part: Path) -> Recovered:
    """Finish the file of a killed run, marked as incomplete if its format stores that.

    Args:
        part: NAME.part or NAME.old.part of a result, of observations or of an annotated video. It becomes
            NAME, or NAME.partial if there is a NAME.

    Returns:
        The finished file.

    Raises:
        UserError: It has another name.
        InputError: It does not exist, or holds no whole frame.
        OutputError: The run still writes it, or the file cannot be written.
    """
    if not part.name.endswith(PART_SUFFIX):
        raise UserError(f"{part} is not the file of a killed run: those end in {PART_SUFFIX}.")
    if not part.exists():
        raise InputError(f"There is no file {part}.")
    path = _final(part)
    start = _first_bytes(part, path)
    if not start:
        raise _no_frame(path)
    if start == _ZIP:
        return _recover_observations(path)
    if start[:1] == _JSON:
        return _recover_json(path)
    if path.suffix.lower() in _TABLES:
        return _recover_table(path)
    if path.suffix.lower() in VIDEO_FORMATS:
        return _recover_video(path)
    raise InputError(f"{part} is no result, observations or video of kprtrack.")


def _final(part: Path) -> Path:
    """The name of the finished file; NAME.old.part gets the name NAME.part first."""
    if not part.name.endswith(OLD_SUFFIX):
        return part.with_name(part.name.removesuffix(PART_SUFFIX))
    path = part.with_name(part.name.removesuffix(OLD_SUFFIX))
    newer = part.with_name(path.name + PART_SUFFIX)
    if newer.exists():
        raise InputError(f"There is also a newer {newer}. Recover or remove that first.")
    part.replace(newer)
    return path


def _first_bytes(part: Path, path: Path) -> bytes:
    """The first bytes of NAME.part, which show its kind.

    Raises:
        InputError: It no longer exists.
        OutputError: A run still writes it, perhaps nothing so far.
    """
    handle = open_part(path.with_name(path.name + PART_SUFFIX), path)
    if handle is None:
        raise InputError(f"There is no file {part}.")
    with handle:
        return handle.read(len(_ZIP)) or b""


def _recover_observations(path: Path) -> Recovered:
    writer = ObservationWriter(path, None, resume=True)
    writer.close(complete=False, note=NOTE)
    return Recovered(writer.saved or path, writer.resumed)


def _recover_video(path: Path) -> Recovered:
    file = OutputFile(path, existing=True)
    frames = playable_frames(file.present)
    if not frames:
        file.keep()
        raise _no_frame(path)
    return Recovered(file.finish(replace=False), frames)


def _recover_json(path: Path) -> Recovered:
    """Finish .json or .jsonl, or render the format that a journal is for."""
    part = path.with_name(path.name + PART_SUFFIX)
    with part.open("rb") as file:
        head = file.readline()
        array_head = head.endswith(b',"frames":[\n')
        try:
            header = json.loads(head[: -len(b',"frames":[\n')] + b"}" if array_head else head)
        except (ValueError, RecursionError) as error:
            raise _no_frame(path) from error
        run = header_from_json(header, path)
        log, ends = FrameLog(), array("q", [len(head)])
        for record, end in _records(file, len(head), separated=array_head):
            try:
                log.add_record(record)
            except (KeyError, TypeError, ValueError, OverflowError):
                break
            ends.append(end)
    if not len(log):
        raise _no_frame(path)
    format = header.get(JOURNAL)
    if format is None:
        layout = Layout(head, _no_more, json_footer if array_head else jsonl_footer)
        writer: TracksWriter = TextWriter(path, layout, existing=(log, ends))
    elif format in _RENDERERS:
        options = header.get("options") or {}
        writer = JournalWriter(
            path, run, format, lambda target: _RENDERERS[format](target, run, options, path), existing=ends
        )
    else:
        raise InputError(f"{part} is for the unknown format {format!r:.40}. Update kprtrack.")
    writer.close(complete=False, note=NOTE)
    return Recovered(writer.saved or path, len(log))


def _records(file: Any, start: int, *, separated: bool) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each whole frame record and where it ends; `separated`: by commas, as in an array."""
    for line in file:
        text = line.rstrip(b"\n")
        if separated:
            text = text.removesuffix(b",")
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(record, dict) or "people" not in record:
            return
        if not separated and not line.endswith(b"\n"):
            return
        yield record, start + len(text if separated else line)
        start += len(line)


def _recover_table(path: Path) -> Recovered:
    part = path.with_name(path.name + PART_SUFFIX)
    log, place, frame = FrameLog(), 0, None
    ends = array("q")
    with part.open("rb") as file:
        head = b"".join(file.readline() for _ in range(_TABLES[path.suffix.lower()]))
        place = len(head)
        ends.append(place)
        for line in file:
            number = line.partition(b",")[0]
            if number != frame and frame is not None:
                log.add_number(int(frame))
                ends.append(place)
            if not line.endswith(b"\n") or not number.isdigit():
                frame = None  # written in part
                break
            frame, place = number, place + len(line)
    # The last frame may be written in part, too, if it ends where a block ends.
    if frame is not None and place % _BLOCK:
        log.add_number(int(frame))
        ends.append(place)
    if not len(log):
        raise _no_frame(path)
    writer = TextWriter(path, Layout(head, _no_more, no_footer), existing=(log, ends))
    writer.close(complete=False, note=NOTE)
    return Recovered(writer.saved or path, len(log))


def _no_more(tracks: Tracks, log: FrameLog) -> bytes:
    raise AssertionError("the file is finished")


def _no_frame(path: Path) -> InputError:
    return InputError(f"{path.name}{PART_SUFFIX} holds no whole frame. Remove it, and run again.")
