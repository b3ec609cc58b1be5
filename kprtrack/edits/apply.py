"""Apply edits to a result, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.edits.anchors import Found, find_track
from kprtrack.edits.grammar import Kind
from kprtrack.edits.model import PARTS, Edit, EditResult
from kprtrack.edits.state import DELETED, EditState

# A deleted track of another result may be longer, for it holds another person, too: at least this share of
# its boxes must be in the time of the one that was deleted.
_MIN_DELETED_SHARE = 0.5


class _DoesNotApplyError(Exception):
    """An edit does not fit the result; the message says why."""


class _AlreadySoError(Exception):
    """The result is as the edit wants it; the message says how."""


def apply_edit(state: EditState, edit: Edit) -> tuple[EditState, EditResult]:
    """Apply an edit, if it applies.

    Args:
        state: The result after the edits before.
        edit: The edit.

    Returns:
        The state, which is the same if the edit does not apply, and what was done.
    """
    found = {role: find_track(state, part) for role, part in edit.parts.items() if part.anchors}
    try:
        edited, details = _KINDS[edit.kind](state, edit, found)
    except _DoesNotApplyError as why:
        return state, EditResult(edit, "does not apply", str(why))
    except _AlreadySoError as how:
        return state, EditResult(edit, "already so", str(how))
    return edited, EditResult(edit, "applied", details)


def _merge(state: EditState, edit: Edit, found: Mapping[str, Found]) -> tuple[EditState, str]:
    part, target = _track(edit, found, "part"), _track(edit, found, "target")
    if part == target:
        raise _AlreadySoError(f"it is one track, {part}")
    first, last = _range(state, edit)
    rows = _rows(state, part, first, last)
    _validate_apart(state, rows, state.rows(target), (part, target))
    names, edited = state.names, state.with_ids((rows, target))
    if part in names and part not in edited.names:  # no box is left of it
        if names.get(target, names[part]) != names[part]:
            raise _DoesNotApplyError(
                f"track {part} is named {names[part]} and track {target} {names[target]}"
            )
        edited = replace(edited, names={**edited.names, target: names[part]})
    persons = edited.persons
    if part in state.persons and part not in persons and target not in persons:
        edited = replace(edited, persons={**persons, target: state.persons[part]})
    return edited, f"{_span(state, rows)} of track {part} become track {target}"


def _swap(state: EditState, edit: Edit, found: Mapping[str, Found]) -> tuple[EditState, str]:
    """Each person continues the track that the other one had before, which may have ended in this result."""
    first, last = _range(state, edit)
    before, after = (
        [_track(edit, found, role) if role in found else None for role in PARTS[edit.kind] if time in role]
        for time in ("before", "after")
    )
    for one, two in (before, after):
        if one is not None and one == two:
            raise _DoesNotApplyError(f"its two people are one track here, {one}")
    moves = []
    for person, other in ((0, 1), (1, 0)):
        source, target = after[person], before[other]
        if target is None:  # the other one was not there: any track but that of this person will do
            target = after[other] if after[other] != before[person] else source
        if source is not None and target is not None and source != target:
            moves.append((state.rows(source, first, last), source, target))
    if not any(len(rows) for rows, _, _ in moves):
        raise _AlreadySoError("its two people have the right tracks")
    moved = np.concatenate([rows for rows, _, _ in moves])
    for rows, source, target in moves:
        _validate_apart(state, rows, np.setdiff1d(state.rows(target, first, last), moved), (source, target))
    edited = state.with_ids(*((rows, target) for rows, _, target in moves))
    changes = " and ".join(f"{source} becomes {target}" for _, source, target in moves)
    return edited, f"track {changes} in {_span(state, moved)}"


def _split(state: EditState, edit: Edit, found: Mapping[str, Found]) -> tuple[EditState, str]:
    before, after = _track(edit, found, "before"), _track(edit, found, "after")
    if before != after:
        raise _AlreadySoError(f"they are two tracks, {before} and {after}")
    rows = _rows(state, before, *_range(state, edit))
    return state.with_ids((rows, state.next_id)), (
        f"{_span(state, rows)} of track {before} become the new track {state.next_id}"
    )


def _delete(state: EditState, edit: Edit, found: Mapping[str, Found]) -> tuple[EditState, str]:
    track_id = _track(edit, found, "part")
    rows = _rows(state, track_id, *_range(state, edit))
    anchors = edit.parts["part"].anchors
    ends = [state.clock.nearest(each.frame, each.time_s) for each in (anchors[0], anchors[-1])]
    if edit.start is None and edit.end is None:
        # The anchors are within equal spans of the track.
        first = 0 if ends[0] is None else ends[0]
        last = len(state.clock.numbers) - 1 if ends[1] is None else ends[1]
        margin = max((last - first) / max(len(anchors) - 1, 1), 1)
        inside = (state.frame[rows] >= first - margin) & (state.frame[rows] <= last + margin)
        if inside.mean() < _MIN_DELETED_SHARE:
            raise _DoesNotApplyError(
                f"track {track_id} is seen much longer here than the one that was deleted; delete a part:"
                f' "delete {track_id} from {state.clock.moment(first)} to {state.clock.moment(last)}"'
            )
    return state.with_ids((rows, DELETED)), f"{_span(state, rows)} of track {track_id} are deleted"


def _name(state: EditState, edit: Edit, found: Mapping[str, Found]) -> tuple[EditState, str]:
    track_id = _track(edit, found, "part")
    if state.names.get(track_id) == edit.name:
        raise _AlreadySoError(f"track {track_id} is named {edit.name}")
    for other, name in state.names.items():
        if name == edit.name:
            raise _DoesNotApplyError(
                f'track {other} is named {name}; if they are one person, write "{track_id} = {other}"'
            )
    before = f", not {state.names[track_id]}," if track_id in state.names else ""
    return replace(state, names={**state.names, track_id: edit.name}), (
        f"track {track_id} is{before} {edit.name}"
    )


_Apply = Callable[[EditState, Edit, Mapping[str, Found]], tuple[EditState, str]]
_KINDS: dict[Kind, _Apply] = {
    "merge": _merge,
    "swap": _swap,
    "split": _split,
    "delete": _delete,
    "name": _name,
}


def _validate_apart(state: EditState, rows: np.ndarray, others: np.ndarray, ids: tuple[int, int]) -> None:
    """Raise _DoesNotApplyError if two people who are to be one are in the same frame."""
    shared = np.intersect1d(state.frame[rows], state.frame[others])
    if len(shared):
        moment = state.clock.moment(int(shared[0]))
        raise _DoesNotApplyError(
            f"tracks {ids[0]} and {ids[1]} are both seen at {moment} (frame {moment.frame}) and in"
            f" {len(shared)} frames in all, so they are two people"
        )


def _track(edit: Edit, found: Mapping[str, Found], role: str) -> int:
    one = found.get(role)
    was = edit.parts[role].track_id
    if one is None:
        raise _DoesNotApplyError(f"track {was} has no boxes there")
    if one.track_id is None:
        best = f"the best has {one.votes}" if one.votes else "none has any"
        raise _DoesNotApplyError(
            f"no track is at most of the {one.anchors} boxes by which track {was} was stored; {best}"
        )
    return one.track_id


def _range(state: EditState, edit: Edit) -> tuple[int, int]:
    try:
        return state.clock.range(edit.start, edit.end)
    except UserError as error:
        raise _DoesNotApplyError(str(error).rstrip(".")) from error


def _rows(state: EditState, track_id: int, first: int, last: int) -> np.ndarray:
    rows = state.rows(track_id, first, last)
    if not len(rows):
        raise _DoesNotApplyError(f"track {track_id} has no boxes there")
    return rows


def _span(state: EditState, rows: np.ndarray) -> str:
    """How many boxes, and from when to when."""
    if len(rows) == 1:
        return f"1 box ({state.clock.moment(int(state.frame[rows[0]]))})"
    first, last = (state.clock.moment(int(state.frame[row])) for row in (rows.min(), rows.max()))
    return f"{len(rows)} boxes ({first} to {last})"
