"""Label Studio's JSON of a task with video tracks: one region of type `videorectangle` for each person."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.numbers import LAST_FRAME
from kprtrack.core.files.selection import Selection
from kprtrack.io.columns import PeopleFile, people_columns
from kprtrack.io.exports.tables import ConvertOptions, frame_rate, frame_step, image_size
from kprtrack.io.header import RunHeader, TrackFile, compact_json
from kprtrack.io.output_file import validate_target

LABEL = "Person"
REGION = "videorectangle"
_TASK = re.compile(rb'\s*\[?\s*\{\s*"(data"\s*:\s*\{|id"[^{}]*"annotations"\s*:)')
_BOX = ("x", "y", "width", "height")  # in percent of the image
_NUMBER, _PERSON = re.compile(r"0*([1-9]\d{0,15})"), re.compile(r"person0*([1-9]\d{0,15})")


def write_label_studio(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write a task with an annotation whose regions have a keyframe in every frame of the person.

    The track ID is the region's `id` (person3) and its meta text. Boxes are in percent of the image.

    Raises:
        UserError: The size of the images or the frame rate is not known.
        OutputError: The file cannot be written.
    """
    validate_target(path)
    size = image_size(file.header)
    if size is None:
        raise UserError(
            f"The size of the images of {options.source} is not known, and Label Studio needs it. Convert a"
            " result that has it, such as the .json of `kprtrack VIDEO --out tracks.json`."
        )
    rate = frame_rate(file, options, "Label Studio")
    last = file.frames[-1].frame_number if file.frames else 0
    stored = file.header.video.get("frames")
    frames = max(last + 1, stored if isinstance(stored, int) else 0)
    step = frame_step(file)
    video = str(file.header.video.get("path") or options.source.with_suffix(".mp4").name)
    ids = sorted({track_id for tracks in file.frames for track_id in tracks.ids.tolist()})
    sequences: dict[int, list[dict[str, object]]] = {track_id: [] for track_id in ids}
    before: dict[int, int] = {}  # track ID -> frame of its last keyframe
    scale = 100 / np.array([*size, *size], np.float64)
    for tracks in file.frames:
        corners = tracks.boxes.astype(np.float64) * scale
        boxes = np.round(np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1), 4)
        for track_id, box in zip(tracks.ids.tolist(), boxes.tolist(), strict=True):
            sequence = sequences[track_id]
            if sequence and tracks.frame_number + 1 - step > before.get(track_id, 0):
                sequence[-1]["enabled"] = False  # the person has left after that frame
            # Frames count from 1. The next keyframe is in the next frame, if the person is still there.
            keyframe = {"frame": tracks.frame_number + 1, "enabled": True, "rotation": 0}
            time_s = round(tracks.frame_number / rate, 4)
            sequence.append(keyframe | dict(zip(_BOX, box, strict=True)) | {"time": time_s})
            before[track_id] = tracks.frame_number + 1
    result = [
        {
            "id": f"person{track_id}",
            "type": REGION,
            "from_name": "box",
            "to_name": "video",
            "origin": "prediction",
            "value": {
                "framesCount": frames,
                "duration": round(frames / rate, 4),
                "sequence": _ended(sequence),
                "labels": [LABEL],
            },
            "meta": {"text": [str(track_id)]},
        }
        for track_id, sequence in sequences.items()
    ]
    task = {"video": video, "width": size[0], "height": size[1]}  # Label Studio keeps what it does not know
    write_file(path, compact_json([{"data": task, "annotations": [{"result": result}]}]))
    return [path]


def _ended(sequence: list[dict[str, object]]) -> list[dict[str, object]]:
    """The sequence, whose last keyframe says that the person leaves after it."""
    return [*sequence[:-1], sequence[-1] | {"enabled": False}]


def is_label_studio(start: bytes) -> bool:
    """Whether a JSON file that starts like this is Label Studio's: tasks with video regions."""
    return b'"videorectangle"' in start or _TASK.match(start) is not None


def people_from_label_studio(data: object, path: Path, select: Selection) -> PeopleFile:
    """Read the video regions of the first annotation of a task; boxes between keyframes are interpolated.

    The identity is the region's meta text if that is a number, else that of its `id` if it is "person" and a
    number, else the next free one.

    Args:
        data: The document.
        path: Its file, for messages.
        select: The label of people, for files with several.

    Raises:
        InputError: There are several tasks, the images have no size, or names the region that is wrong.
    """
    tasks: list[Any] = data if isinstance(data, list) else [data]
    if len(tasks) != 1 or not isinstance(tasks[0], dict) or not isinstance(tasks[0].get("data"), dict):
        raise InputError(f"{path} has {len(tasks)} tasks; files with one task of Label Studio are read.")
    select.video({}, path)
    values = tasks[0]["data"]
    size = np.array([_number(values, name, f'{path}, "data"') for name in ("width", "height")] * 2)
    regions = [each for each in _regions(tasks[0], path) if each.get("type") == REGION]
    labels = sorted({_label(region) for region in regions})
    wanted = set(select.people({name: name for name in labels}, path)) if labels else set()
    regions = [region for region in regions if _label(region) in wanted]
    rows = [
        (frame, track_id, box)
        for track_id, region in zip(_identities(regions), regions, strict=True)
        for frame, box in _boxes(region, f"{path}, region {region.get('id')}")
    ]
    rows.sort(key=lambda row: row[0])
    boxes = np.stack([row[2] for row in rows]) * size / 100 if rows else np.zeros((0, 4))
    boxes[:, 2:] += boxes[:, :2]
    frames, ids = (np.array([row[column] for row in rows], np.int64) for column in (0, 1))
    people = people_columns(frames, boxes, ids=ids)
    numbers = np.unique(frames)
    video: dict[str, object] = {"width": int(size[0]), "height": int(size[1])}
    if isinstance(values.get("video"), str):
        video["path"] = values["video"]
    unknown = np.full(len(numbers), np.nan)
    place: Callable[[int], str] = lambda row: f"frame {frames[row] + 1}, person {ids[row]}"  # noqa: E731
    return PeopleFile(path, RunHeader(video=video), people, numbers, unknown, place, False, None)


def _regions(task: Mapping[str, object], path: Path) -> list[dict[str, object]]:
    annotations = task.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else {}
    result = first.get("result") if isinstance(first, dict) else None
    if not isinstance(result, list) or not all(isinstance(region, dict) for region in result):
        raise InputError(
            f'{path}: the task has no annotation with a "result". Submit the annotation, then export.'
        )
    return result


def _label(region: Mapping[str, object]) -> str:
    value = region.get("value")
    labels = value.get("labels") if isinstance(value, dict) else None
    return str(labels[0]) if isinstance(labels, list) and labels else LABEL


def _identities(regions: list[dict[str, object]]) -> list[int]:
    """The track ID of each region."""
    found: list[int | None] = []
    for region in regions:
        meta = region.get("meta")
        texts = meta.get("text") if isinstance(meta, dict) else None
        match = _NUMBER.fullmatch(str(texts[0]).strip()) if isinstance(texts, list) and texts else None
        match = match or _PERSON.fullmatch(str(region.get("id")))
        found.append(int(match[1]) if match else None)
    free = (number for number in count(1) if number not in found)
    return [next(free) if number is None else number for number in found]


def _boxes(region: Mapping[str, object], place: str) -> Iterator[tuple[int, np.ndarray]]:
    """Frame number from 0 and box in percent, of every frame in which a region is shown."""
    value = region.get("value")
    sequence = value.get("sequence") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(sequence, list):
        raise InputError(f'{place} has no "sequence" of boxes.')
    keyframes = sorted((_keyframe(each, place) for each in sequence), key=lambda each: each[0])
    last = value.get("framesCount")
    for (frame, box, enabled), following in zip(keyframes, [*keyframes[1:], None], strict=True):
        if not enabled:
            end, next_box = frame + 1, box
        elif following is not None:
            end, next_box = following[0], following[1]
        else:
            end, next_box = (last if isinstance(last, int) and 0 < last < LAST_FRAME else frame + 1), box
        for number in range(frame, end):
            yield number, box + (next_box - box) * (number - frame) / max(end - frame, 1)


def _keyframe(keyframe: object, place: str) -> tuple[int, np.ndarray, bool]:
    """Frame number from 0, box in percent, and whether it is shown in the frames after it."""
    if not isinstance(keyframe, dict):
        raise InputError(f'{place}: an entry of "sequence" is {keyframe!r:.40}, not a keyframe.')
    frame = keyframe.get("frame")
    if not isinstance(frame, int) or not 1 <= frame <= LAST_FRAME:
        raise InputError(f"{place}: frame {frame!r:.40} must be a whole number from 1 on.")
    where = f"{place}, frame {frame}"
    if keyframe.get("rotation"):
        raise InputError(
            f"{where}: the box is rotated by {keyframe['rotation']!r:.40}; upright boxes are read."
        )
    box = np.array([_number(keyframe, name, where) for name in _BOX])
    return frame - 1, box, bool(keyframe.get("enabled", True))


def _number(values: Mapping[str, object], name: str, place: str) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f'{place}: "{name}" must be a number, not {value!r:.40}.')
    return float(value)
