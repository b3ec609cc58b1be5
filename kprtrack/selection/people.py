"""Choose people of a result: by ID, by a click, by place and size, and the main ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import UserError
from kprtrack.selection.clicks import Click, track_at

_SHOWN = 20  # track IDs in a message


@dataclass(frozen=True)
class PeopleSelection:
    """Which people to keep. Every choice but `max_people` keeps or drops people with all their boxes.

    The named people (`only` and `at`) come first; without any, all people. Then the excluded ones are
    dropped, then those that are too small or outside, then all but the main ones.

    Args:
        only: Track IDs to keep.
        exclude: Track IDs to drop.
        at: Points; the person at each is kept.
        roi: x1, y1, x2, y2 in pixels. People are kept whose feet (the middle of the lower edge of the box)
            are in this rectangle in at least half of their frames.
        min_height_px: People are kept whose box has at least this height in at least half of their frames.
        main: This many people are kept, those who cover most of the image over all frames: the area of their
            boxes, summed.
        max_people: Most people in one frame; of more, those are kept there who are first by the rule of
            `main`.

    Raises:
        UserError: A number out of range.

    Examples:
        >>> PeopleSelection(only=(1, 3)).selective
        True
    """

    only: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()
    at: tuple[Click, ...] = ()
    roi: tuple[float, float, float, float] | None = None
    min_height_px: float | None = None
    main: int | None = None
    max_people: int | None = None

    def __post_init__(self) -> None:
        if self.roi is not None:
            x1, y1, x2, y2 = self.roi
            if not all(map(math.isfinite, self.roi)) or x2 <= x1 or y2 <= y1:
                given = ",".join(f"{value:g}" for value in self.roi)
                raise UserError(f"--roi {given}: give left, upper, right and lower edge: 100,0,800,720.")
        if self.min_height_px is not None and not 0 < self.min_height_px < math.inf:
            raise UserError(f"--min-height must be a number of pixels above 0, not {self.min_height_px:g}.")
        for name in ("main", "max_people"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise UserError(f"--{name.replace('_', '-')} is {number}. Give 1 or more.")

    @property
    def selective(self) -> bool:
        """Whether anything is chosen."""
        return self != EVERYONE

    def to_json(self) -> dict[str, object]:
        """Return the choices that are made, for the header of a file."""
        chosen = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: [str(click) for click in value] if name == "at" else value
            for name, value in chosen.items()
            if value not in ((), None)
        }


EVERYONE = PeopleSelection()


def select_people(
    frames: Sequence[Tracks],
    people: PeopleSelection,
    *,
    fps: float | None = None,
    source: object = "the result",
) -> list[Tracks]:
    """Return the tracks of the chosen people; every frame stays, also one without any of them.

    Args:
        frames: The tracks of all frames, in order of time.
        people: The choice.
        fps: Frame rate, for `at` where the tracks have no times; None: unknown.
        source: The file of the tracks, for messages.

    Returns:
        As many frames.

    Raises:
        UserError: A person is not there, or none is left; the message says who comes nearest.

    Examples:
        >>> frames = read_tracks("tracks.json").frames
        >>> [tracks.ids.tolist() for tracks in select_people(frames, PeopleSelection(main=1))][:2]
        [[1], [1]]
    """
    if not people.selective:
        return list(frames)
    ids = chosen_ids(frames, people, fps=fps, source=source)
    kept = [rows_of(tracks, np.isin(tracks.ids, ids)) for tracks in frames]
    if people.max_people is None:
        return kept
    rank = {track_id: place for place, track_id in enumerate(_main_first(kept))}
    return [_at_most(tracks, people.max_people, rank) for tracks in kept]


def chosen_ids(
    frames: Sequence[Tracks],
    people: PeopleSelection,
    *,
    fps: float | None = None,
    source: object = "the result",
) -> list[int]:
    """Return the IDs of the chosen people, ascending. Arguments and errors: as `select_people`."""
    known = track_ids(frames)
    for track_id in (*people.only, *people.exclude):
        if track_id not in known:
            shown = ", ".join(map(str, known[:_SHOWN])) + (", ..." if len(known) > _SHOWN else "")
            raise UserError(f"There is no person {track_id} in {source}. Its IDs are: {shown or 'none'}.")
    named = {*people.only, *(track_at(frames, click, fps, source) for click in people.at)}
    ids = sorted((named or set(known)) - set(people.exclude))
    if known and not ids:
        raise UserError(f"No person of {source} is left: all that are chosen are excluded.")
    boxes = _boxes_by_id(frames)
    if people.roi is not None:
        ids = _inside(boxes, people.roi, ids)
    if people.min_height_px is not None:
        ids = _high_enough(boxes, people.min_height_px, ids)
    if people.main is not None:
        first = [track_id for track_id in _main_first(frames) if track_id in ids]
        ids = sorted(first[: people.main])
    return ids


def track_ids(frames: Sequence[Tracks]) -> list[int]:
    """Return the IDs of all people, ascending."""
    return sorted({track_id for tracks in frames for track_id in tracks.ids.tolist()})


def rows_of(tracks: Tracks, rows: np.ndarray) -> Tracks:
    """Return some people of a frame; rows: [M] bool, or their indices."""
    names = ("ids", "boxes", "scores", "keypoints", "distances", "margins", "visible", "prompted")
    return replace(tracks, **{name: getattr(tracks, name)[rows] for name in names})


def _boxes_by_id(frames: Sequence[Tracks]) -> dict[int, np.ndarray]:
    """The boxes [K, 4] of each person in all frames."""
    found: dict[int, list[np.ndarray]] = {}
    for tracks in frames:
        for track_id, box in zip(tracks.ids.tolist(), tracks.boxes, strict=True):
            found.setdefault(track_id, []).append(box)
    return {track_id: np.stack(boxes) for track_id, boxes in found.items()}


def _inside(boxes: dict[int, np.ndarray], roi: tuple[float, ...], ids: list[int]) -> list[int]:
    x1, y1, x2, y2 = roi
    share = {}
    for track_id in ids:
        left, _, right, low = boxes[track_id].T
        middle = (left + right) / 2
        share[track_id] = float(np.mean((middle >= x1) & (middle <= x2) & (low >= y1) & (low <= y2)))
    if ids and max(share.values()) < 0.5:
        best = max(ids, key=share.__getitem__)
        raise UserError(
            f"--roi {','.join(f'{value:g}' for value in roi)}: no person's feet are inside in half of the"
            f" frames; person {best} has most, {share[best]:.0%}. Enlarge it."
        )
    return [track_id for track_id in ids if share[track_id] >= 0.5]


def _high_enough(boxes: dict[int, np.ndarray], least: float, ids: list[int]) -> list[int]:
    # The upper median: at least half of the boxes have this height or more.
    height = {
        track_id: float(np.sort(boxes[track_id][:, 3] - boxes[track_id][:, 1])[len(boxes[track_id]) // 2])
        for track_id in ids
    }
    if ids and max(height.values()) < least:
        best = max(ids, key=height.__getitem__)
        raise UserError(
            f"--min-height {least:g}: no person is as high in half of the frames; person {best} is the"
            f" highest, {height[best]:.0f} pixels."
        )
    return [track_id for track_id in ids if height[track_id] >= least]


def _main_first(frames: Sequence[Tracks]) -> list[int]:
    """All IDs, those whose boxes cover most of the image first."""
    areas: dict[int, float] = {}
    for tracks in frames:
        sides = tracks.boxes[:, 2:].astype(np.float64) - tracks.boxes[:, :2]
        for track_id, area in zip(tracks.ids.tolist(), sides.prod(axis=1).tolist(), strict=True):
            areas[track_id] = areas.get(track_id, 0.0) + area
    return sorted(areas, key=lambda track_id: (-areas[track_id], track_id))


def _at_most(tracks: Tracks, most: int, rank: dict[int, int]) -> Tracks:
    if len(tracks) <= most:
        return tracks
    order = np.argsort([rank[track_id] for track_id in tracks.ids.tolist()], kind="stable")
    return rows_of(tracks, np.sort(order[:most]))
