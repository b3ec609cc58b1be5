"""Which parts of each frame are blurred: by identity, and where it is uncertain rather too much."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kprtrack.core.assignment import assign
from kprtrack.core.datatypes import Detections, Tracks
from kprtrack.core.geometry import iou
from kprtrack.rendering.heads import head_boxes, upper_parts
from kprtrack.rendering.moving_boxes import REACH_S, MovingBoxes
from kprtrack.rendering.options import Blur
from kprtrack.rendering.people import Person, people_of
from kprtrack.selection import PeopleSelection, select_people

_HEAD_GROWTH, _BODY_GROWTH = 3.0, 1.0  # sides of the box a second, in frames without a box
_SAME_PERSON_IOU = 0.5  # of a detection and the box of a track
_PART_SCORE = 0.3  # of a detection, from which on it is a person by itself
_INSIDE_SHARE = 0.8  # of a detection's area
_CONTINUES_IOU = 0.3  # of the last box of a track and the first of another that may be the same person
_SMALL_PX = 150  # height of a person whose keypoints may be those of the next one
_BODY_MARGIN = 0.08  # of the box: hands and feet reach beyond it


class UnknownRegion(NamedTuple):
    """A region of a person of unknown identity."""

    box: np.ndarray  # [4] x1 y1 x2 y2, pixels
    likely: bool  # the score of the detection is that of a person, not of a part or a group of people


class BlurPlan:
    """The parts of each frame to be blurred.

    Chosen people are blurred in every frame with a box, in gaps of their track and shortly before and after
    it, where the box grows with the time. If faces are blurred, that is of people lower than 150 pixels the
    whole upper part of the box. Detections without a track are of unknown identity: they are
    blurred where all but some excluded people are, in frames before the first and after the last tracked one,
    and where a blurred person is missing; but not those of low score that lie inside the box of an excluded
    person, which are parts of this one; nor do those of low score hide the head of an excluded person.
    A track that begins where that of a blurred person ends, or ends where it begins, may be the same person
    and is blurred, too.

    Args:
        frames: The tracks of all frames, in order.
        people: Who is blurred.
        kind: What is blurred of them.
        fps: Frames per second.
        names: Names of the keypoints.

    Raises:
        UserError: A chosen person is not there.
    """

    def __init__(
        self,
        frames: Sequence[Tracks],
        people: PeopleSelection,
        kind: Blur,
        *,
        fps: float,
        names: Sequence[str],
    ) -> None:
        self._kind: Blur = kind
        self._all_unknown = people == PeopleSelection(exclude=people.exclude)
        everyone = people_of(frames)
        if self._all_unknown and everyone.keys() == set(people.exclude):
            chosen: set[int] = set()  # only people without a track are blurred
        else:
            chosen = set(people_of(select_people(frames, people, fps=fps)))
        self.also = () if self._all_unknown else _may_be_the_same(everyone, chosen, fps)
        self._bodies = {
            track_id: MovingBoxes(person.numbers, person.boxes, fps, _BODY_GROWTH)
            for track_id, person in everyone.items()
        }
        growth = _HEAD_GROWTH if kind == "face" else _BODY_GROWTH
        self._regions = {
            track_id: MovingBoxes(
                everyone[track_id].numbers, _region(everyone[track_id], kind, names), fps, growth
            )
            for track_id in sorted({*chosen, *self.also})
        }
        self._clear = [
            _certain_heads(person, names, fps)
            for track_id, person in everyone.items()
            if track_id not in self._regions
        ]
        self._first = min((tracks.frame_number for tracks in frames), default=0)
        self._last = max((tracks.frame_number for tracks in frames), default=-1)

    def regions(self, number: int) -> list[np.ndarray]:
        """Return the boxes [4] of tracked people to blur in a frame, x1 y1 x2 y2 in pixels."""
        return [box for each in self._regions.values() if (box := each.around(number)) is not None]

    def clear_heads(self, number: int) -> list[np.ndarray]:
        """Return the boxes [4] of heads that stay clear of detections of low score, x1 y1 x2 y2 in pixels."""
        return [box for each in self._clear if each.known(number) and (box := each.at(number)) is not None]

    def unknown_regions(self, number: int, detections: Detections) -> list[UnknownRegion]:
        """Return what is blurred of detections of unknown identity."""
        rows = self._unknown(number, detections)
        boxes = detections.boxes[rows]
        regions = upper_parts(boxes) if self._kind == "face" else boxes.astype(np.float64)
        likely = detections.scores[rows] >= _PART_SCORE
        return [UnknownRegion(box, bool(each)) for box, each in zip(regions, likely, strict=True)]

    def _unknown(self, number: int, detections: Detections) -> np.ndarray:
        """The rows [U] of detections that may be a person to be blurred and belong to no track."""
        expected: dict[int, np.ndarray] = {}
        for track_id, body in self._bodies.items():
            # A detection shortly after the last box of an excluded person may be another person.
            box = body.at(number) if track_id in self._regions else body.certain(number)
            if box is not None:
                expected[track_id] = box
        boxes = detections.boxes
        tracked = np.array(list(expected.values()), np.float32).reshape(-1, 4)
        pairs = assign(1 - iou(boxes, tracked), 1 - _SAME_PERSON_IOU)
        rows = np.setdiff1d(np.arange(len(boxes)), pairs.rows)
        excluded = [box for track_id, box in expected.items() if track_id not in self._regions]
        parts = _inside(boxes[rows], excluded) & (detections.scores[rows] < _PART_SCORE)
        rows = rows[~parts]
        if self._all_unknown or not self._first <= number <= self._last:
            return rows
        missing = [
            box
            for track_id, box in expected.items()
            if track_id in self._regions and not self._bodies[track_id].known(number)
        ]
        near = iou(boxes[rows], np.array(missing, np.float32).reshape(-1, 4)).max(axis=1, initial=0) > 0
        return rows[near]


def _inside(boxes: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Which of the boxes [N, 4] lie almost completely inside one of the others, [N] bool."""
    inside = np.zeros(len(boxes), bool)
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    for other in others:
        low, high = np.maximum(boxes[:, :2], other[:2]), np.minimum(boxes[:, 2:], other[2:])
        inside |= np.maximum(high - low, 0).prod(axis=1) >= _INSIDE_SHARE * areas
    return inside


def _region(person: Person, kind: Blur, names: Sequence[str]) -> np.ndarray:
    """What is blurred of a person, [K, 4]."""
    if kind == "face":
        return head_boxes(person.keypoints, person.boxes, names, least_height=_SMALL_PX)[0]
    margin = _BODY_MARGIN * (person.boxes[:, 2:] - person.boxes[:, :2])
    return np.concatenate([person.boxes[:, :2] - margin, person.boxes[:, 2:] + margin], axis=1)


def _certain_heads(person: Person, names: Sequence[str], fps: float) -> MovingBoxes:
    heads, certain = head_boxes(person.keypoints, person.boxes, names)
    return MovingBoxes(person.numbers[certain], heads[certain], fps, 0)


def _may_be_the_same(people: dict[int, Person], chosen: set[int], fps: float) -> tuple[int, ...]:
    """IDs of other people whose track begins where that of a chosen one ends, or ends where it begins."""
    found = set(chosen)
    waiting = sorted(chosen)
    while waiting:
        person = people[waiting.pop()]
        for track_id, other in people.items():
            if track_id not in found and (_continues(person, other, fps) or _continues(other, person, fps)):
                found.add(track_id)
                waiting.append(track_id)
    return tuple(sorted(found - chosen))


def _continues(person: Person, other: Person, fps: float) -> bool:
    """Whether the second track begins where the first one ends, or pauses."""
    start = other.numbers[0]
    before = np.searchsorted(person.numbers, start) - 1
    if before < 0 or start - person.numbers[before] > REACH_S * fps:
        return False
    if (
        before + 1 < len(person.numbers)
        and person.numbers[before + 1] - person.numbers[before] <= REACH_S * fps
    ):
        return False  # both are there at once
    return bool(iou(person.boxes[before][None], other.boxes[:1])[0, 0] >= _CONTINUES_IOU)
