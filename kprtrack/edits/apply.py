"""Apply edits to a result, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.edits.anchors import Found, find_track
from kprtrack.edits.grammar import Kind
from kprtrack.edits.model import Edit, EditResult
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
    shared = np.intersect1d(state.frame[rows], state.frame[state.rows(target)])
    if len(shared):
        moment = state.clock.moment(int(shared[0]))
        raise _DoesNotApplyError(
            f"tracks {part} and {target} are both seen at {moment} (frame {moment.frame}) and in"
            f" {len(shared)} frames in all, so they are two people"
        )
    names, edited = state.names, state.with_ids((rows, target))
    if part in names and part not in edited.names:  # no box is left of it
        if names.get(target, names[part]) != names[part]:
            raise _DoesNotApplyError(
                f"track {part} is named {names[part]} and track {target} {names[target]}"
            )
        edited = replace(edited, names={**edited.names, target: names[part]})
    return edited, f"{_span(state, rows)} of track {part} become track {target}"


def _swap(state: EditState, edit: Edit, found: Mapping[str, Found]) -> tuple[EditState, str]:
    first, last = _range(state, edit)
    ids = {role: _track(edit, found, role) for role in found}

    def pairs_equal(*pairs: tuple[str, str]) -> bool:
        return all(ids[a] == ids[b] for a, b in pairs if a in ids and b in ids)

    own = (("first_before", "first_after"), ("second_before", "second_after"))
    crossed = (("first_before", "second_after"), ("second_before", "first_after"))
    one, two = ids.get("first_before", ids.get("first_after")), ids.get("second_before")
    two = ids.get("second_after") if two is None else two
    apart = (("first_before", "second_before"), ("first_after", "second_after"))
    if any(a in ids and pairs_equal((a, b)) and b in ids for a, b in apart):
        raise _DoesNotApplyError(f"its two people are one track here, {one}")
    if pairs_equal(*own) and one is not None and two is not None and one != two:
        rows = [state.rows(track_id, first, last) for track_id in (one, two)]
        edited = state.with_ids((rows[0], two), (rows[1], one))
        return edited, f"tracks {one} and {two} are exchanged in {_span(state, np.concatenate(rows))}"
    if pairs_equal(*crossed):
        raise _AlreadySoError(f"tracks {' and '.join(map(str, sorted(set(ids.values()))))} are right there")
    listed = ", ".join(map(str, sorted(set(ids.values()))))
    raise _DoesNotApplyError(f"its two people have other tracks here before and after it: {listed}")


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
