"""The lines of an edits file: one JSON object each."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from kprtrack.core.errors import InputError
from kprtrack.core.files.numbers import LARGEST, LARGEST_ID, LAST_FRAME, whole_number
from kprtrack.core.tables.names import is_name
from kprtrack.edits.grammar import Kind, Moment
from kprtrack.edits.model import PARTS, VERSION, Anchor, Box, Edit, TrackPart, Undo

_MOST_ANCHORS, _MOST_OTHERS = 100, 2000
_LONGEST_TEXT = 1000  # characters

Record = Edit | Undo


def record_to_line(record: Record) -> bytes:
    """Return the line of an edit or undo, with its end."""
    head = {"version": VERSION, "written": record.written, "text": record.text}
    data: dict[str, object]
    if isinstance(record, Undo):
        data = {**head, "undo": record.undone}
    else:
        data = {**head, "edit": record.number, "kind": record.kind}
        for key, moment in (("from", record.start), ("to", record.end)):
            if moment is not None:
                data[key] = {"time_s": moment.time_s, "frame": moment.frame}
        if record.name:
            data["name"] = record.name
        data["parts"] = {role: _part_to_json(part) for role, part in record.parts.items()}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def record_from_line(line: bytes, place: str) -> Record:
    """Read a line.

    Args:
        line: Its bytes.
        place: File and line, for messages.

    Raises:
        InputError: It is no line of an edits file, or of a newer version.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: this is not valid JSON. Restore the line, or remove it.") from error
    if not isinstance(data, dict) or "version" not in data:
        raise InputError(f'{place}: it has no "version", so it is no line of an edits file.')
    if data["version"] != VERSION:
        raise InputError(
            f"{place}: it has version {data['version']!r:.20}; this reads {VERSION}. Update kprtrack."
        )
    try:
        return _record(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{place}: {error.args[0] if error.args else 'a value'!s:.60} is missing or wrong."
            " Restore the line, or remove it."
        ) from error


def read_records(data: bytes, path: Path) -> tuple[list[Record], int]:
    """Read the lines of a file.

    Args:
        data: The whole file.
        path: For messages.

    Returns:
        The records, and the number of bytes up to the end of the last one: what follows is the beginning of a
        line that a killed process did not finish.

    Raises:
        InputError: A line is wrong; names it.
    """
    records: list[Record] = []
    count, undone, end = 0, set[int](), 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n") and not _is_json(line):
            break
        end += len(line)
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        record = record_from_line(line, place)
        if isinstance(record, Edit):
            count += 1
            if record.number != count:
                raise InputError(f"{place}: edit {record.number} comes after {count - 1}. Restore the file.")
        elif not 1 <= record.undone <= count or record.undone in undone:
            raise InputError(f"{place}: there is no edit {record.undone} to undo. Restore the file.")
        else:
            undone.add(record.undone)
        records.append(record)
    return records, end


def edits_of(records: list[Record]) -> tuple[list[Edit], set[int]]:
    """Return all edits, and the numbers of those that are undone."""
    undone = {record.undone for record in records if isinstance(record, Undo)}
    return [record for record in records if isinstance(record, Edit)], undone


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _record(data: dict[str, Any]) -> Record:
    text, written = _text(data["text"], "text"), _text(data["written"], "written")
    if "undo" in data:
        return Undo(_whole(data["undo"], "undo"), text, written)
    kind = cast(Kind, data["kind"])
    if kind not in PARTS or set(data["parts"]) != set(PARTS[kind]):
        raise ValueError("kind or parts")
    name = data.get("name", "")
    if (kind == "name") != is_name(name):
        raise ValueError("name")
    parts = {role: _part(data["parts"][role]) for role in PARTS[kind]}
    return Edit(
        _whole(data["edit"], "edit"),
        text,
        written,
        kind,
        parts,
        _moment(data, "from"),
        _moment(data, "to"),
        name,
    )


def _part_to_json(part: TrackPart) -> Mapping[str, object]:
    anchors = [
        {"frame": each.frame, "time_s": each.time_s, "box": each.box}
        | ({"others": each.others} if each.others else {})
        for each in part.anchors
    ]
    return {"track_id": part.track_id, "anchors": anchors}


def _part(data: dict[str, Any]) -> TrackPart:
    anchors = data["anchors"]
    if not isinstance(anchors, list) or len(anchors) > _MOST_ANCHORS:
        raise ValueError("anchors")
    track_id = _whole(data["track_id"], "track_id")
    if not 1 <= track_id <= LARGEST_ID:
        raise ValueError("track_id")
    return TrackPart(track_id, tuple(_anchor(each) for each in anchors))


def _anchor(data: dict[str, Any]) -> Anchor:
    others = data.get("others", [])
    if not isinstance(others, list) or len(others) > _MOST_OTHERS:
        raise ValueError("others")
    return Anchor(
        _frame(data["frame"]), _seconds(data["time_s"]), _box(data["box"]), tuple(map(_box, others))
    )


def _box(value: object) -> Box:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise ValueError("box")
    x1, y1, x2, y2 = map(float, value)
    return x1, y1, x2, y2


def _moment(data: dict[str, Any], key: str) -> Moment | None:
    value = data.get(key)
    if value is None:
        return None
    frame = value["frame"]
    return Moment(_seconds(value["time_s"]), None if frame is None else _frame(frame))


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if not _is_number(value):
        raise ValueError("time_s")
    return float(cast(float, value))


def _is_number(value: object) -> bool:
    return (
        type(value) in (int, float)
        and math.isfinite(cast(float, value))
        and abs(cast(float, value)) < LARGEST
    )


def _frame(value: object) -> int:
    number = _whole(value, "frame")
    if not 0 <= number <= LAST_FRAME:
        raise ValueError("frame")
    return number


def _whole(value: object, name: str) -> int:
    number = whole_number(value)
    if number is None:
        raise ValueError(name)
    return number


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isprintable():
        raise ValueError(name)
    return value
