"""The moments of a result at which an identity is most likely wrong, the riskiest first."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kprtrack.edits.state import EditState
from kprtrack.identity.persons import link_probabilities
from kprtrack.io.header import RunHeader, TrackFile

RiskKind = Literal["overlap", "margin", "re-entry", "continuation", "jump", "link"]
MIN_OVERLAP = 0.35  # IoU from which on two people can be exchanged
MIN_GAP_S = 1.0  # of a track that is seen again
NEAR_S = 3.0  # a track that begins so soon after the end of another one may continue it
_JOIN_S = 1.0  # moments of the same tracks that are closer are one
_SMALL_MARGIN = 0.25  # of the median of the result
_JUMP = 1.0  # heights of the box from one frame to the next; no person is that fast
_NEAR = 0.5  # heights of a box between the end of a track and the beginning of another one, for each second
_SIMILAR = 1.5  # ratio of their heights
_SURE = 0.9  # probability of a link from which on it is no risk
_OF_CONFIDENCE = 0.5  # of what is missing to a risk of 1, for a track of confidence 0
_BORDER = 0.02  # of width and height: where people enter and leave the image


@dataclass(frozen=True)
class RiskyMoment:
    """A moment at which an identity may be wrong.

    Args:
        kind: "overlap": two people in one place; "margin": another track is almost as similar in appearance;
            "re-entry": a track is seen again after a gap; "continuation": a track begins where another one
            ended; "jump": a box moves farther than a person can; "link": the person of several videos is a
            link of low probability.
        risk: In [0, 1], to sort by; not a probability.
        track_ids: The tracks that it concerns, at most two.
        frame: Number of the frame at which it is best seen.
        time_s: Its time in seconds; None: unknown.
        first_frame: Number of its first frame.
        last_frame: Number of its last frame.
        details: What is risky, in a few words.
        edit: The edit that corrects it if the identity is wrong, for `kprtrack edit`; "": it depends.
    """

    kind: RiskKind
    risk: float
    track_ids: tuple[int, ...]
    frame: int
    time_s: float | None
    first_frame: int
    last_frame: int
    details: str
    edit: str = ""


def risky_moments(tracks: TrackFile, limit: int = 200) -> list[RiskyMoment]:
    """Find the moments at which identities are most at risk.

    Args:
        tracks: A result, with its edits applied if there are any.
        limit: The most moments to return.

    Returns:
        The moments, the riskiest first.

    Examples:
        >>> [moment.kind for moment in risky_moments(read_tracks("tracks.json"), limit=1)]
        []
    """
    rows = _Rows(tracks)
    found = [
        *_overlaps(rows),
        *_small_margins(rows),
        *_reentries(rows),
        *_continuations(rows, tracks.header.video),
        *_jumps(rows),
        *_weak_links(rows, tracks.header),
    ]
    found = [_raised(moment, tracks.header.identity_confidence) for moment in found]
    found.sort(key=lambda moment: (-moment.risk, moment.frame, moment.track_ids))
    return found[:limit]


def _raised(moment: RiskyMoment, confidence: Mapping[int, float]) -> RiskyMoment:
    """The moment with a higher risk if one of its tracks is probably two people."""
    lowest = min((confidence.get(number, 1.0) for number in moment.track_ids), default=1.0)
    risk = moment.risk + _OF_CONFIDENCE * (1 - lowest) * (1 - moment.risk)
    return replace(moment, risk=round(risk, 3))


class _Rows:
    """All boxes of a result, one row each, and the rows of each track in order of time."""

    def __init__(self, tracks: TrackFile) -> None:
        self.state = EditState.of(tracks)
        self.frame, self.boxes, self.ids = self.state.frame, self.state.boxes, self.state.ids
        self.numbers, self.times = self.state.clock.numbers, self.state.clock.times
        self.margins = np.concatenate([each.margins for each in tracks.frames] or [np.zeros(0)])
        self.heights = np.maximum(self.boxes[:, 3] - self.boxes[:, 1], 1)
        self.centres = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        self.second = self.state.clock.frames_in(1.0)  # frames
        self.by_track = np.lexsort((self.frame, self.ids))

    def moment(
        self,
        kind: RiskKind,
        risk: float,
        ids: Iterable[int],
        frames: tuple[int, int, int],
        details: str,
        edit: str,
    ) -> RiskyMoment:
        """A moment; frames: indices of the frame to look at, the first and the last one."""
        at, first, last = (int(self.numbers[index]) for index in frames)
        time_s = None if self.times is None else float(self.times[frames[0]])
        return RiskyMoment(
            kind, round(min(max(risk, 0.0), 1.0), 3), tuple(ids), at, time_s, first, last, details, edit
        )

    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows of each track but its last one, and those that follow them."""
        before, after = self.by_track[:-1], self.by_track[1:]
        same = self.ids[before] == self.ids[after]
        return before[same], after[same]

    def seconds(self, frames: int) -> float:
        return frames / self.second


def _overlaps(rows: _Rows) -> Iterator[RiskyMoment]:
    """Two people in one place; the longer they overlap and the more, the riskier."""
    first, second, overlap = _overlapping_pairs(rows)
    low, high = np.minimum(rows.ids[first], rows.ids[second]), np.maximum(rows.ids[first], rows.ids[second])
    for run in _runs(np.lexsort((rows.frame[first], high, low)), (low, high), rows.frame[first], rows.second):
        at, ids = run[overlap[run].argmax()], (int(low[run[0]]), int(high[run[0]]))
        frames = rows.frame[first[[at, run[0], run[-1]]]].tolist()
        iou = float(overlap[at])
        edit = f"swap {ids[0]} {ids[1]} at frame {rows.numbers[frames[0]]}"
        yield rows.moment(
            "overlap",
            0.3 + 0.6 * iou,
            ids,
            tuple(frames),
            f"{iou:.0%} overlap of {ids[0]} and {ids[1]}",
            edit,
        )


def _overlapping_pairs(rows: _Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the same frame whose boxes overlap, and their IoU."""
    areas = np.prod(np.maximum(rows.boxes[:, 2:] - rows.boxes[:, :2], 0), axis=1)
    firsts, seconds, overlaps = [], [], []
    for step in range(1, int(np.bincount(rows.frame).max(initial=0))):
        a = np.flatnonzero(rows.frame[:-step] == rows.frame[step:])
        b = a + step
        top = np.maximum(rows.boxes[a, :2], rows.boxes[b, :2])
        shared = np.prod(np.maximum(np.minimum(rows.boxes[a, 2:], rows.boxes[b, 2:]) - top, 0), axis=1)
        iou = shared / np.maximum(areas[a] + areas[b] - shared, 1e-9)
        high = iou >= MIN_OVERLAP
        firsts.append(a[high])
        seconds.append(b[high])
        overlaps.append(iou[high])
    if not firsts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(overlaps)


def _small_margins(rows: _Rows) -> Iterator[RiskyMoment]:
    """Frames in which another track is almost as similar as the own one."""
    known = np.isfinite(rows.margins)
    if not known.any():
        return
    usual = max(float(np.median(rows.margins[known])), 1e-6)
    limit = _SMALL_MARGIN * usual
    order = rows.by_track[known[rows.by_track] & (rows.margins[rows.by_track] < limit)]
    for run in _runs(order, (rows.ids,), rows.frame, rows.second):
        at = run[rows.margins[run].argmin()]
        margin, track_id = float(rows.margins[at]), int(rows.ids[at])
        frames = rows.frame[[at, run[0], run[-1]]].tolist()
        what = "another track is nearer in appearance" if margin < 0 else "another track is about as similar"
        yield rows.moment(
            "margin",
            0.4 + 0.4 * (1 - float(np.exp((margin - limit) / usual))),
            (track_id,),
            tuple(frames),
            f"{what} (margin {margin:.3f})",
            "",
        )


def _reentries(rows: _Rows) -> Iterator[RiskyMoment]:
    """Tracks that are seen again after a gap; the longer, the riskier."""
    before, after = rows.neighbours()
    gap = rows.frame[after] - rows.frame[before]
    for index in np.flatnonzero((gap > 1) & (gap >= MIN_GAP_S * rows.second)).tolist():
        row, track_id = int(after[index]), int(rows.ids[after[index]])
        seconds = rows.seconds(int(gap[index]))
        margin = float(rows.margins[row])
        small = 0.0 if np.isnan(margin) else 0.2 * float(np.exp(-5 * max(margin, 0.0)))
        frame = int(rows.frame[row])
        yield rows.moment(
            "re-entry",
            0.45 + 0.3 * (1 - float(np.exp(-seconds / 10))) + small,
            (track_id,),
            (frame, int(rows.frame[before[index]]), frame),
            f"{track_id} is seen again after {seconds:.1f} s",
            f"split {track_id} at frame {rows.numbers[frame]}",
        )


def _continuations(rows: _Rows, video: object) -> Iterator[RiskyMoment]:
    """Tracks that begin inside the image, soon after another one ended near that place."""
    ids, starts = np.unique(rows.ids[rows.by_track], return_index=True)
    if not len(ids):
        return
    first, last = rows.by_track[starts], rows.by_track[np.append(starts[1:], len(rows.by_track)) - 1]
    inside = ~_at_border(rows.boxes, video)
    ends = rows.frame[last]
    order = np.argsort(ends)
    for new in np.flatnonzero(inside[first]).tolist():
        begin = int(rows.frame[first[new]])
        low, high = np.searchsorted(ends[order], (begin - NEAR_S * rows.second, begin))
        old = order[low:high]
        old = old[inside[last[old]]]
        if not len(old):
            continue
        away, ratio = _apart(rows, last[old], int(first[new]))
        seconds = (begin - ends[old]) / rows.second
        score = away / (_NEAR * (1 + seconds))
        score[ratio > _SIMILAR] = np.inf
        best = int(score.argmin())
        if score[best] >= 1:
            continue
        one, other = int(ids[new]), int(ids[old[best]])
        yield rows.moment(
            "continuation",
            0.9 - 0.4 * float(score[best]),
            (one, other),
            (begin, int(ends[old[best]]), begin),
            f"{one} begins where {other} ended {float(seconds[best]):.1f} s before",
            f"{one} = {other}",
        )


def _jumps(rows: _Rows) -> Iterator[RiskyMoment]:
    """Boxes that move farther in one frame than a person can."""
    before, after = rows.neighbours()
    height = np.maximum(rows.heights[before], rows.heights[after])
    away = np.hypot(*(rows.centres[after] - rows.centres[before]).T) / height
    near = rows.frame[after] - rows.frame[before] <= 2
    for index in np.flatnonzero(near & (away > _JUMP)).tolist():
        track_id, frame = int(rows.ids[after[index]]), int(rows.frame[after[index]])
        yield rows.moment(
            "jump",
            0.6 + 0.1 * float(away[index]),
            (track_id,),
            (frame, int(rows.frame[before[index]]), frame),
            f"{track_id} moves by {float(away[index]):.1f} heights in a frame",
            f"split {track_id} at frame {rows.numbers[frame]}",
        )


def _weak_links(rows: _Rows, header: RunHeader) -> Iterator[RiskyMoment]:
    """Tracks of a linked result whose link to their person has a low probability."""
    for track_id, probability in link_probabilities(header.config).items():
        at, person = rows.frame[rows.ids == track_id], header.persons.get(track_id)
        if probability < _SURE and len(at):
            yield rows.moment(
                "link",
                0.5 + 0.5 * (1 - probability),
                (track_id,),
                (int(at[len(at) // 2]), int(at[0]), int(at[-1])),
                f"{track_id} is person {person} with a probability of {probability:.2f}",
                "",
            )


def _apart(rows: _Rows, ended: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances of boxes to one, in heights, and the ratio of their heights, 1 or more."""
    height = rows.heights[row]
    away = np.hypot(*(rows.centres[ended] - rows.centres[row]).T) / np.maximum(rows.heights[ended], height)
    ratio = rows.heights[ended] / height
    return away, np.maximum(ratio, 1 / ratio)


def _at_border(boxes: np.ndarray, video: object) -> np.ndarray:
    """[N] bool, whether boxes are at the left or right border of the image; all are not if it is unknown."""
    width = video.get("width") if isinstance(video, dict) else None
    if not isinstance(width, int) or width <= 0:
        return np.zeros(len(boxes), bool)
    return (boxes[:, 0] < _BORDER * width) | (boxes[:, 2] > (1 - _BORDER) * width)


def _runs(
    order: np.ndarray, keys: tuple[np.ndarray, ...], frame: np.ndarray, second: int
) -> Iterator[np.ndarray]:
    """Split rows, sorted by keys and frame, where a key changes or the frames are far apart."""
    if not len(order):
        return
    apart = np.diff(frame[order]) > _JOIN_S * second
    for key in keys:
        apart |= np.diff(key[order]) != 0
    yield from np.split(order, np.flatnonzero(apart) + 1)
