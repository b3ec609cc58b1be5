"""The riskiest moments of a result, and where they are seen."""

from dataclasses import dataclass

import numpy as np

from kprtrack.rendering.contact_sheet import Place
from kprtrack.report.results import ReportedResult
from kprtrack.report.sightings import place_at
from kprtrack.review import RiskyMoment, risky_moments

MOST_RISKS = 12  # that are shown; all are counted
_COUNTED = 100_000
_WITH_GAP = ("re-entry", "continuation", "jump")  # seen by comparing the frames before and after it
_MARGIN = 0.3  # of the height of the people, on all sides


@dataclass(frozen=True)
class Risk:
    """A moment and what to show of it.

    Args:
        moment: The moment.
        places: One, or before and after a gap; the box has all people concerned.
    """

    moment: RiskyMoment
    places: tuple[Place, ...]


def risks_of(result: ReportedResult) -> tuple[list[Risk], int]:
    """Return the riskiest moments, and the number of all.

    Args:
        result: A result.
    """
    moments = risky_moments(result.tracks, limit=_COUNTED)
    return [Risk(moment, _places(result, moment)) for moment in moments[:MOST_RISKS]], len(moments)


def _places(result: ReportedResult, moment: RiskyMoment) -> tuple[Place, ...]:
    frames = [moment.first_frame, moment.frame] if moment.kind in _WITH_GAP else [moment.frame]
    state, found = result.state, []
    for frame in frames:
        rows = state.in_frame(int(np.searchsorted(state.clock.numbers, frame)))
        boxes = state.boxes[rows[np.isin(state.ids[rows], moment.track_ids)]]
        if len(boxes):
            box = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
            margin = _MARGIN * (box[3] - box[1])
            found.append(place_at(result, frame, box + margin * np.array([-1, -1, 1, 1])))
    return tuple(found)
