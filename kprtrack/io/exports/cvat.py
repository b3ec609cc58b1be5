"""CVAT for video 1.1, the XML of the annotation tool CVAT: one track of boxes for each person."""

from itertools import chain, count
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError
from kprtrack.core.files.json_file import read_limited
from kprtrack.core.files.numbers import LAST_FRAME
from kprtrack.core.files.selection import Selection
from kprtrack.io.columns import PeopleFile, people_columns
from kprtrack.io.exports.tables import ConvertOptions, frame_step, image_size
from kprtrack.io.header import RunHeader, TrackFile
from kprtrack.io.output_file import validate_target

LABEL, ATTRIBUTE = "person", "track_id"
_IDS = ("track_id", "person_id", "id")  # names of attributes that hold an identity
_CORNERS = ("xtl", "ytl", "xbr", "ybr")

Boxes = list[tuple[int, np.ndarray, bool]]  # frame number, corners, outside: the person leaves here


def write_cvat(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write every box as a keyframe; the track ID is the attribute `track_id` and the group of the track.

    Raises:
        OutputError: The file cannot be written.
    """
    validate_target(path)
    last = file.frames[-1].frame_number if file.frames else 0
    stored = file.header.video.get("frames")
    count = max(last + 1, stored if isinstance(stored, int) else 0)
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    lines += _meta(file.header, options.source.stem, count)
    for number, (track_id, boxes) in enumerate(_tracks(file, count).items()):
        lines.append(f'  <track id="{number}" label="{LABEL}" source="auto" group_id="{track_id}">')
        lines += [_box(frame, box, outside, track_id) for frame, box, outside in boxes]
        lines.append("  </track>")
    write_file(path, "\n".join([*lines, "</annotations>", ""]).encode())
    return [path]


def _tracks(file: TrackFile, count: int) -> dict[int, Boxes]:
    """The boxes of each track ID; after a span of frames a box that says that the person has left."""
    found: dict[int, Boxes] = {}
    here: dict[int, np.ndarray] = {}
    previous, step = -1, frame_step(file)
    for tracks in file.frames:
        rows = dict(zip(tracks.ids.tolist(), tracks.boxes.astype(np.float64), strict=True))
        gap = previous >= 0 and tracks.frame_number > previous + step
        for track_id, box in here.items():
            if gap or track_id not in rows:
                found[track_id].append((previous + 1, box, True))
        for track_id, box in rows.items():
            found.setdefault(track_id, []).append((tracks.frame_number, box, False))
        here, previous = rows, tracks.frame_number
    for track_id, box in here.items():
        if previous + 1 < count:
            found[track_id].append((previous + 1, box, True))
    return dict(sorted(found.items()))


def _box(frame: int, box: np.ndarray, outside: bool, track_id: int) -> str:
    corners = " ".join(f'{name}="{value:.2f}"' for name, value in zip(_CORNERS, box.tolist(), strict=True))
    return (
        f'    <box frame="{frame}" keyframe="1" outside="{int(outside)}" occluded="0" {corners} z_order="0">'
        f'<attribute name="{ATTRIBUTE}">{track_id}</attribute></box>'
    )


def _meta(header: RunHeader, name: str, count: int) -> list[str]:
    """The description of the task: its label with the attribute, and the size of the images."""
    lines = [
        "  <meta>",
        "    <task>",
        f"      <name>{escape(name)}</name>",
        f"      <size>{count}</size>",
        "      <mode>interpolation</mode>",
        "      <labels>",
        f"        <label><name>{LABEL}</name><type>rectangle</type><attributes><attribute>"
        f"<name>{ATTRIBUTE}</name><mutable>False</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute></attributes></label>",
        "      </labels>",
    ]
    size = image_size(header)
    if size:
        lines.append(
            f"      <original_size><width>{size[0]}</width><height>{size[1]}</height></original_size>"
        )
    source = str(header.video.get("path") or "")
    return [*lines, f"      <source>{escape(source)}</source>", "    </task>", "  </meta>"]


def people_from_cvat(path: Path, select: Selection) -> PeopleFile:
    """Read the boxes of all tracks of people that are not outside.

    The identity is the attribute `track_id` (or person_id, id) of a box, else the group of its track, else
    the track's own number, from 1 on, or the lowest that no other track has.

    Args:
        path: The file.
        select: The label of people, for files with several.

    Raises:
        InputError: It is no CVAT for video 1.1, or names the box that is wrong.
    """
    root = _root(path)
    select.video({}, path)
    tracks = root.findall("track")
    if not tracks and root.find("image") is not None:
        raise InputError(
            f"{path} is CVAT for images, without tracks. Export the task as 'CVAT for video 1.1'."
        )
    labels = sorted({track.get("label", "") for track in tracks})
    wanted = set(select.people({name: name for name in labels}, path)) if labels else set()
    places = [place for place, track in enumerate(tracks) if track.get("label", "") in wanted]
    fallbacks = _fallbacks([tracks[place] for place in places], places)
    rows: list[tuple[int, int, np.ndarray, str]] = []
    for place, fallback in zip(places, fallbacks, strict=True):
        track = tracks[place]
        name = f"track {track.get('id', place)}"
        for box in track.iter("box"):
            if box.get("outside") != "1":
                frame = _whole(box.get("frame"))
                if frame is None or frame >= LAST_FRAME:
                    raise InputError(f"{path}, {name}: frame {box.get('frame')!r:.40} is no frame number.")
                where = f"{name}, frame {frame}"
                rows.append((frame, _identity(box, fallback), _corners(box, f"{path}, {where}"), where))
    rows.sort(key=lambda row: row[0])
    frames = np.array([row[0] for row in rows], np.int64)
    boxes = np.stack([row[2] for row in rows]) if rows else np.zeros((0, 4))
    people = people_columns(frames, boxes, ids=np.array([row[1] for row in rows], np.int64))
    numbers = np.unique(frames)
    unknown = np.full(len(numbers), np.nan)
    return PeopleFile(path, _header(root), people, numbers, unknown, lambda row: rows[row][3], False, None)


def _fallbacks(tracks: list[ElementTree.Element], places: list[int]) -> list[int]:
    """The identity of each track for its boxes without an attribute of their own."""
    groups = [_whole(track.get("group_id")) or 0 for track in tracks]
    taken = {_identity(box, 0) for track in tracks for box in track.iter("box")} | set(groups)
    found = []
    for place, group in zip(places, groups, strict=True):
        free = chain([place + 1], count(1))
        number = group or next(each for each in free if each not in taken)
        taken.add(number)
        found.append(number)
    return found


def _root(path: Path) -> ElementTree.Element:
    text = read_limited(path)
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # which may unpack to any size
        raise InputError(f"{path} defines entities of its own. Export it from CVAT again.")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"Cannot read {path}: this is not valid XML ({error}).") from error
    if root.tag != "annotations":
        raise InputError(
            f"{path} is no file of CVAT: its first element is {root.tag!r:.40}, not 'annotations'."
        )
    return root


def _header(root: ElementTree.Element) -> RunHeader:
    size = root.find(".//original_size")
    values = {name: _whole(size.findtext(name)) for name in ("width", "height")} if size is not None else {}
    video: dict[str, object] = {name: value for name, value in values.items() if value}
    source = root.findtext(".//source")
    return RunHeader(video={"path": source, **video} if source else video)


def _identity(box: ElementTree.Element, fallback: int) -> int:
    attributes = {each.get("name"): each.text for each in box.iter("attribute")}
    found = (_whole(attributes.get(name)) for name in _IDS)
    return next((value for value in found if value), fallback)


def _corners(box: ElementTree.Element, place: str) -> np.ndarray:
    try:
        return np.array([float(box.get(name, "")) for name in _CORNERS])
    except ValueError:
        values = ", ".join(f"{name}={quoteattr(box.get(name, ''))[:40]}" for name in _CORNERS)
        raise InputError(f"{place}: a corner of the box is not a number ({values}).") from None


def _whole(text: str | None) -> int | None:
    """The whole number from 0 on that a text holds."""
    text = (text or "").strip()
    return int(text) if text.isdecimal() and len(text) <= 16 else None
