"""Which images of each person the report shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.edits.anchors import choose_anchors
from kprtrack.rendering.contact_sheet import Place
from kprtrack.report.people import Presence, ReportedPerson
from kprtrack.report.results import ReportedResult

MOST_IMAGES = 1000  # of people in the page
_MOST_EACH = 8
_SAME_S = 0.2  # two prototypes of a person that are closer are one image


@dataclass(frozen=True)
class Sighting:
    """A person in a frame.

    Args:
        person: Index of the person.
        video: Index of the result.
        place: Frame, time and box.
    """

    person: int
    video: int
    place: Place


def choose_sightings(results: Sequence[ReportedResult], people: Sequence[ReportedPerson]) -> list[Sighting]:
    """Choose the images of people: the best prototypes, which differ, else evenly spread frames.

    Args:
        results: The results; those without a video get no images.
        people: Their people. Of very many people those who are seen longest get images.

    Returns:
        At most 8 sightings of each person and MOST_IMAGES in all, of each person in order of time.
    """
    each = min(_MOST_EACH, max(MOST_IMAGES // max(len(people), 1), 1))
    longest = sorted(range(len(people)), key=lambda index: -people[index].boxes)[: MOST_IMAGES // each]
    found = []
    for index in sorted(longest):
        shown = [one for one in people[index].presences if results[one.video].source is not None]
        for number, presence in enumerate(shown):
            count = each // len(shown) + (number < each % len(shown))
            places = _places(results[presence.video], presence, count)
            found += [Sighting(index, presence.video, place) for place in places]
    return found


def _places(result: ReportedResult, presence: Presence, count: int) -> list[Place]:
    if not count:
        return []
    places = _of_prototypes(result, presence, count) or _evenly_spread(result, presence, count)
    return sorted(places, key=lambda place: place.frame)


def _of_prototypes(result: ReportedResult, presence: Presence, count: int) -> list[Place]:
    """Prototypes, the best ones first."""
    kept = result.prototypes
    if kept is None:
        return []
    rows = np.concatenate([kept.of(track_id) for track_id in presence.track_ids])
    rows = rows[np.isin(kept.frames[rows], result.state.clock.numbers)]
    chosen: list[int] = []
    for row in rows[np.argsort(-kept.quality[rows], kind="stable")].tolist():
        if all(abs(kept.times_s[row] - kept.times_s[other]) >= _SAME_S for other in chosen):
            chosen.append(row)
        if len(chosen) == count:
            break
    return [Place(int(kept.frames[row]), float(kept.times_s[row]), kept.boxes[row]) for row in chosen]


def _evenly_spread(result: ReportedResult, presence: Presence, count: int) -> list[Place]:
    """Frames in which the person overlaps others least, one of each part of the time."""
    state, rows = result.state, presence.rows
    part = choose_anchors(state, presence.track_ids[0], rows)
    step = max(len(part.anchors) / count, 1)
    anchors = [part.anchors[int((number + 0.5) * step)] for number in range(min(count, len(part.anchors)))]
    return [place_at(result, anchor.frame, np.array(anchor.box)) for anchor in anchors]


def place_at(result: ReportedResult, frame: int, box: np.ndarray) -> Place:
    """Return the place of a box in a frame.

    Args:
        result: With that frame.
        frame: Its number.
        box: [4] x1 y1 x2 y2.
    """
    index = int(np.searchsorted(result.state.clock.numbers, frame))
    value = float(result.starts[index])
    return Place(frame, value if result.timed else frame / (result.tracks.header.fps or 25), box)
