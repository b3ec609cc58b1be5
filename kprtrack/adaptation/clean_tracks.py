"""Choose, from the tracks of a video, the crops whose identity is reliable.

Two tracks that are seen at once are two people, and one track is one person as long as it is neither
interrupted nor overlapped: only its longest stretch without a gap and without a close encounter is used.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import UserError
from kprtrack.core.geometry import iou, occluded_fraction

_APART = 0.3  # IoU: two boxes below it are not two detections of one person
_MIN_SHARED_S = 0.2  # two tracks seen at once for less may be one person and a false detection


@dataclass(frozen=True)
class CleanTrackConfig:
    """Which crops of a track are used.

    Raises:
        UserError: A value is outside its range.
    """

    min_height_px: int = 64  # of a box
    max_crops: int = 32  # of a person, evenly spaced in time
    min_crops: int = 6  # a person with fewer is left out
    min_score: float = 0.5  # of the detector
    max_occlusion: float = 0.5  # share of the box under boxes in front of it
    max_overlap: float = 0.5  # IoU with any other box
    max_gap_s: float = 0.5  # a stretch ends where the person is not seen well for longer

    def __post_init__(self) -> None:
        if self.min_height_px < 1 or not 2 <= self.min_crops <= self.max_crops:
            raise UserError(
                f"min_height_px={self.min_height_px} must be 1 or more, min_crops={self.min_crops} 2 or "
                f"more, max_crops={self.max_crops} not below it."
            )


@dataclass(frozen=True)
class CleanTracks:
    """The people of a video.

    Args:
        frames: By track ID the numbers of the frames to cut, ascending.
        left_out: By track ID why a track is not used.
        seen_at_once: Pairs of used track IDs that are two people, the lower ID first.
    """

    frames: Mapping[int, tuple[int, ...]]
    left_out: Mapping[int, str]
    seen_at_once: frozenset[tuple[int, int]]


@dataclass(frozen=True)
class _Row:
    """A person in a frame."""

    frame: int
    time_s: float
    clean: bool
    margin: float  # NaN: unknown


def choose_clean_tracks(frames: Sequence[Tracks], config: CleanTrackConfig) -> CleanTracks:
    """Choose the tracks and frames to cut crops from.

    Args:
        frames: All frames of a result, in order of time.
        config: Which crops are used.

    Returns:
        The chosen frames of each person.
    """
    rows = _rows_of_tracks(frames, config)
    chosen: dict[int, tuple[int, ...]] = {}
    left_out: dict[int, str] = {}
    for track_id, of_track in sorted(rows.items()):
        stretch = _longest_stretch(of_track, config.max_gap_s)
        margins = np.array([row.margin for row in stretch])
        if len(stretch) < config.min_crops:
            left_out[track_id] = f"{len(stretch)} clean frames in a row"
        elif np.isfinite(margins).any() and np.nanmedian(margins) < 0:
            left_out[track_id] = "appearance closer to another track"
        else:
            chosen[track_id] = tuple(row.frame for row in _spaced(stretch, config.max_crops))
    return CleanTracks(chosen, left_out, _pairs_seen_at_once(frames, chosen))


def _rows_of_tracks(frames: Sequence[Tracks], config: CleanTrackConfig) -> dict[int, list[_Row]]:
    rows: dict[int, list[_Row]] = defaultdict(list)
    for tracks in frames:
        overlaps = iou(tracks.boxes, tracks.boxes)
        np.fill_diagonal(overlaps, 0)
        clean = (
            (tracks.boxes[:, 3] - tracks.boxes[:, 1] >= config.min_height_px)
            & (tracks.scores >= config.min_score)
            & (occluded_fraction(tracks.boxes) <= config.max_occlusion)
            & (overlaps.max(axis=1, initial=0) <= config.max_overlap)
        )
        for row, track_id in enumerate(tracks.ids.tolist()):
            margin = float(tracks.margins[row])
            rows[track_id].append(_Row(tracks.frame_number, tracks.time_s, bool(clean[row]), margin))
    return rows


def _longest_stretch(rows: Sequence[_Row], max_gap_s: float) -> list[_Row]:
    """The clean rows of the longest stretch, the first of several."""
    stretches: list[list[_Row]] = [[]]
    for row in rows:
        if not row.clean:
            continue
        if stretches[-1] and row.time_s - stretches[-1][-1].time_s > max_gap_s:
            stretches.append([])
        stretches[-1].append(row)
    return max(stretches, key=len)


def _spaced(rows: Sequence[_Row], most: int) -> list[_Row]:
    """At most `most` of the rows, evenly spaced, the first and the last among them."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))
    return [rows[place] for place in places]


def _pairs_seen_at_once(
    frames: Sequence[Tracks], chosen: Mapping[int, Sequence[int]]
) -> frozenset[tuple[int, int]]:
    """Pairs of tracks whose boxes lie apart for long enough, within the stretches that are used.

    Before and after its stretch a track may have followed another person.
    """
    spans = {track_id: (numbers[0], numbers[-1]) for track_id, numbers in chosen.items()}
    seconds: dict[tuple[int, int], float] = defaultdict(float)
    times = [tracks.time_s for tracks in frames]
    step_s = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    for tracks in frames:
        number = tracks.frame_number
        rows = [
            row
            for row, track_id in enumerate(tracks.ids.tolist())
            if track_id in spans and spans[track_id][0] <= number <= spans[track_id][1]
        ]
        ids, boxes = tracks.ids[rows], tracks.boxes[rows]
        for a, b in np.argwhere(np.triu(iou(boxes, boxes) < _APART, 1)):
            first, second = sorted((int(ids[a]), int(ids[b])))
            seconds[first, second] += step_s
    return frozenset(pair for pair, shared_s in seconds.items() if shared_s >= _MIN_SHARED_S)
