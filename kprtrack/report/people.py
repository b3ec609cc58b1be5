"""The people of one or more results: the tracks of each, and when they were seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.tables.drawing import colour_of
from kprtrack.report.results import ReportedResult
from kprtrack.review import MIN_GAP_S

_JOIN_S = 0.25  # shorter gaps are not shown


@dataclass(frozen=True)
class Presence:
    """A person in one video.

    Args:
        video: Index of the result.
        track_ids: The tracks of the person, in order of their beginning.
        rows: [N] int64, rows of the boxes in `ReportedResult.state`, in order of time.
        spans: [S, 2] float64, beginning and end of each time in which the person was seen, as in
            `ReportedResult.starts`.
        visible: The sum of all frames in which the person was seen, in the same unit.
        confidence: The identity confidence of the least certain track; None: unknown.
    """

    video: int
    track_ids: tuple[int, ...]
    rows: np.ndarray
    spans: np.ndarray
    visible: float
    confidence: float | None = None


@dataclass(frozen=True)
class ReportedPerson:
    """A person, in one or more videos.

    Args:
        key: Unique in the page, in letters, digits and "-".
        label: The name, or "Person 3", or "Track 7" where results are not linked.
        colour: As "#rrggbb".
        presences: One for each video with the person.
    """

    key: str
    label: str
    colour: str
    presences: tuple[Presence, ...]

    @property
    def boxes(self) -> int:
        """The number of all boxes."""
        return sum(len(presence.rows) for presence in self.presences)


def people_of(results: Sequence[ReportedResult]) -> list[ReportedPerson]:
    """Group the tracks of results by person: by the person ID of linked results, else each for itself.

    Args:
        results: Of different videos.

    Returns:
        The people in order of their first appearance.
    """
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}  # (video or -1, person or track) -> tracks
    rows = [_rows(result) for result in results]
    for video, result in enumerate(results):
        persons = result.tracks.header.persons
        for track_id in rows[video]:
            key = (-1, persons[track_id]) if track_id in persons else (video, track_id)
            groups.setdefault(key, []).append((video, track_id))
    return [_person(results, rows, key, tracks) for key, tracks in groups.items()]


def _rows(result: ReportedResult) -> dict[int, np.ndarray]:
    """The rows of each track, those that begin first first."""
    ids = result.state.ids
    order = np.argsort(ids, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(ids[order])) + 1) if len(ids) else []
    return {int(ids[each[0]]): each for each in sorted(rows, key=lambda each: int(each[0]))}


def _person(
    results: Sequence[ReportedResult],
    rows: Sequence[Mapping[int, np.ndarray]],
    key: tuple[int, int],
    tracks: Sequence[tuple[int, int]],
) -> ReportedPerson:
    video, number = key
    names = [results[index].tracks.header.names.get(track_id) for index, track_id in tracks]
    default = f"Person {number}" if video < 0 else f"Track {number}"
    label = next((name for name in names if name), default)
    of_video: dict[int, dict[int, np.ndarray]] = {}
    for index, track_id in tracks:
        of_video.setdefault(index, {})[track_id] = rows[index][track_id]
    return ReportedPerson(
        f"person-{number}" if video < 0 else f"video-{video + 1}-track-{number}",
        label,
        "#{:02x}{:02x}{:02x}".format(*colour_of(number)),
        tuple(_presence(results[index], index, own) for index, own in of_video.items()),
    )


def _presence(result: ReportedResult, video: int, tracks: Mapping[int, np.ndarray]) -> Presence:
    rows = np.sort(np.concatenate(list(tracks.values())))
    frames = np.unique(result.state.frame[rows])
    begins, ends = result.starts[frames], result.ends[frames]
    join = _JOIN_S if result.timed else max(_JOIN_S * (result.tracks.header.fps or 25), 1)
    apart = np.flatnonzero(begins[1:] - ends[:-1] > join)
    firsts, lasts = np.append(0, apart + 1), np.append(apart, len(frames) - 1)
    spans = np.stack([begins[firsts], ends[lasts]], axis=1)
    known = result.tracks.header.identity_confidence
    confidence = min((known[track_id] for track_id in tracks if track_id in known), default=None)
    return Presence(video, tuple(tracks), rows, spans, float((ends - begins).sum()), confidence)


def gaps(result: ReportedResult, presence: Presence) -> np.ndarray:
    """Return when a person was away before being seen again, [G, 2], from MIN_GAP_S on."""
    least = MIN_GAP_S if result.timed else MIN_GAP_S * (result.tracks.header.fps or 25)
    between = np.stack([presence.spans[:-1, 1], presence.spans[1:, 0]], axis=1)
    return between[between[:, 1] - between[:, 0] >= least]
