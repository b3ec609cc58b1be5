"""Evidence of re-identifications: what a run keeps of each in the header of its prototypes."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.files.numbers import LARGEST, LARGEST_ID, LAST_FRAME
from kprtrack.core.geometry import iou
from kprtrack.trackers.reidentification import Reidentification

EVIDENCE = "evidence"  # in the header
MOST_RECORDS = 2000  # of a run; beyond it the clearest re-identifications are left out
_SAME_BOX_IOU = 0.9  # text formats round boxes
_DIGITS = 5
_FIELDS = tuple(field.name for field in fields(Reidentification))
_IDS, _OTHERS = ("track_id", "new_id"), ("other_lost", "other_new")
_NUMBERS = ("distance", "limit", "least_margin", "time_s", "lost_s", "seen_s")


class EvidenceLog:
    """Takes the re-identifications of a run, in a memory that does not grow with the video."""

    def __init__(self) -> None:
        self._records: list[Reidentification] = []
        self._names: dict[int, int] = {}  # ID of a new track -> the one that it got

    def add(self, records: Iterable[Reidentification]) -> None:
        """Add re-identifications, in order of time."""
        for record in records:
            self._names[record.new_id] = record.track_id
            self._records.append(record)
        if len(self._records) > 2 * MOST_RECORDS:
            self._records = _riskiest(self._records)

    def records(self, ids: Collection[int]) -> list[Reidentification]:
        """Return the re-identifications of the tracks `ids`, with the IDs that tracks have in the end."""
        final = (_renamed(record, self._final) for record in _riskiest(self._records))
        return [record for record in final if record.track_id in ids]

    def _final(self, number: int) -> int:
        while number in self._names:
            number = self._names[number]
        return number


def evidence_to_json(records: Iterable[Reidentification]) -> list[dict[str, Any]]:
    """Return the entry "evidence" of the header of prototypes; an infinite margin is null."""
    return [{key: _plain(value) for key, value in asdict(record).items()} for record in records]


def evidence_of(header: Mapping[str, Any]) -> list[Reidentification]:
    """Read the re-identifications from the header of prototypes.

    Args:
        header: As `TrackPrototypes.header`; without "evidence" there are none.

    Returns:
        The re-identifications in order of time.

    Raises:
        ValueError: A record is wrong.

    Examples:
        >>> evidence_of(read_prototypes("tracks.json").header)
        []
    """
    stored = header.get(EVIDENCE, [])
    if not isinstance(stored, list):
        raise ValueError("its evidence is no list")
    return [_record(entry) for entry in stored]


def relabelled_evidence(
    records: Iterable[Reidentification], frames: Sequence[Tracks], names: Mapping[int, int]
) -> list[Reidentification]:
    """Return the re-identifications that still hold in a corrected result, with its track IDs.

    Args:
        records: Of the result before.
        frames: The corrected tracks. A re-identification holds if the track at its box was seen before.
        names: New ID by ID before, for the other candidates; those without one are left out.
    """
    by_number = {tracks.frame_number: tracks for tracks in frames}
    first_s: dict[int, float] = {}
    for tracks in reversed(frames):
        first_s.update(dict.fromkeys(tracks.ids.tolist(), tracks.time_s))
    kept = []
    for record in records:
        found = by_number.get(record.frame)
        if found is None or not len(found):
            continue
        overlap = iou(np.array([record.box], np.float32), found.boxes)[0]
        own = int(found.ids[int(overlap.argmax())])
        if overlap.max() >= _SAME_BOX_IOU and first_s[own] < record.seen_s:
            lost, new = (
                tuple((names[one], far) for one, far in others if names.get(one, own) != own)
                for others in (record.other_lost, record.other_new)
            )
            kept.append(replace(record, track_id=own, other_lost=lost, other_new=new))
    return kept


def _riskiest(records: list[Reidentification]) -> list[Reidentification]:
    """The records with the smallest margins, in order of time."""
    if len(records) <= MOST_RECORDS:
        return records
    rows = sorted(range(len(records)), key=lambda row: (records[row].margin, row))[:MOST_RECORDS]
    return [records[row] for row in sorted(rows)]


def _renamed(record: Reidentification, final: Callable[[int], int]) -> Reidentification:
    lost, new = (
        tuple((final(one), far) for one, far in others) for others in (record.other_lost, record.other_new)
    )
    return replace(record, track_id=final(record.track_id), other_lost=lost, other_new=new)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value


def _record(entry: Any) -> Reidentification:
    if not isinstance(entry, dict) or set(entry) != set(_FIELDS):
        raise ValueError("its evidence has a record with other fields")
    if not all(type(entry[name]) is int and 0 < entry[name] <= LARGEST_ID for name in _IDS):
        raise ValueError("its evidence names no track")
    if type(entry["frame"]) is not int or not 0 <= entry["frame"] < LAST_FRAME:
        raise ValueError("its evidence has a frame that is out of range")
    margin = math.inf if entry["margin"] is None else entry["margin"]
    numbers = [entry[name] for name in _NUMBERS] + [0.0 if entry["margin"] is None else margin]
    box, parts = entry["box"], entry["parts"]
    if not (isinstance(box, list) and len(box) == 4 and isinstance(parts, list)):
        raise ValueError("its evidence has no box or no parts")
    numbers += [*box, *(one for one in parts if one is not None)]
    others = {name: _others(entry[name]) for name in _OTHERS}
    if not all(type(one) in (int, float) and abs(one) < LARGEST for one in numbers):
        raise ValueError("its evidence has numbers that are out of range")
    values = {name: entry[name] for name in _FIELDS}
    return Reidentification(**values | {"margin": margin, "box": tuple(box), "parts": tuple(parts)} | others)


def _others(entry: Any) -> tuple[tuple[int, float], ...]:
    if not isinstance(entry, list):
        raise ValueError("its evidence has no list of candidates")
    for one in entry:
        if not (isinstance(one, list) and len(one) == 2 and type(one[0]) is int and 0 < one[0] <= LARGEST_ID):
            raise ValueError("its evidence has a candidate that is no track")
        if type(one[1]) not in (int, float) or not abs(one[1]) < LARGEST:
            raise ValueError("its evidence has a distance that is out of range")
    return tuple((number, distance) for number, distance in entry)
