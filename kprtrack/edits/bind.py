"""Bind the text of an edit to boxes and times of the result it is written for."""

import numpy as np

from kprtrack.core.errors import UserError
from kprtrack.edits.anchors import choose_anchors
from kprtrack.edits.apply import apply_edit
from kprtrack.edits.grammar import Command, Moment
from kprtrack.edits.model import PARTS, Edit, EditResult
from kprtrack.edits.state import DELETED, Clock, EditState

NEAR_S = 2.0  # of a track before and after the frame at which it is merged, exchanged or split
_SHOWN = 20  # track IDs in a message


def bind(state: EditState, command: Command, number: int, written: str) -> tuple[EditState, Edit, EditResult]:
    """Make an edit from its text and apply it.

    Args:
        state: The result after the edits before.
        command: The parsed text, not "undo".
        number: Of the edit.
        written: Now, ISO 8601 in UTC.

    Returns:
        The state after the edit, the edit and what it did.

    Raises:
        UserError: A track or time is not there, or the edit contradicts the result; it would change nothing.
    """
    _validate_ids(state, command)
    try:
        first, last = state.clock.range(command.start, command.end)
    except UserError as error:
        raise UserError(f"'{command.text}': {error}") from error
    roles = {role: command.ids[place] for role, place in PARTS[command.kind].items()}
    rows = {
        role: _part_rows(state, command, role, track_id, (first, last)) for role, track_id in roles.items()
    }
    near = _near_change(state, command, rows, first)
    parts = {role: choose_anchors(state, track_id, near[role]) for role, track_id in roles.items()}
    _validate_parts(command, {role: len(part.anchors) for role, part in parts.items()})
    edit = Edit(
        number,
        command.text,
        written,
        command.kind,
        parts,
        None if command.start is None else _both(state.clock, command.start, first),
        None if command.end is None else _both(state.clock, command.end, last - 1),
        command.name,
    )
    edited, result = apply_edit(state, edit)
    if result.status == "does not apply":
        raise UserError(f"'{command.text}': {result.details}.")
    return edited, edit, result


def _part_rows(
    state: EditState, command: Command, role: str, track_id: int, frames: tuple[int, int]
) -> np.ndarray:
    first, last = frames
    if role.endswith("before"):
        return state.rows(track_id, 0, first)
    if role == "target":
        return state.rows(track_id)
    return state.rows(track_id, first, last)


def _near_change(
    state: EditState, command: Command, rows: dict[str, np.ndarray], first: int
) -> dict[str, np.ndarray]:
    """The rows of each part that are near the change; of a track that is named or deleted, all.

    Another tracker may continue a track differently long before or after the frames that the edit is about.
    """
    if command.kind in ("swap", "split"):
        return {role: _nearest(state, own, np.array([first])) for role, own in rows.items()}
    if command.kind == "merge":
        part, target = (state.frame[rows[role]] for role in ("part", "target"))
        return {
            "part": _nearest(state, rows["part"], target),
            "target": _nearest(state, rows["target"], part),
        }
    return rows


def _nearest(state: EditState, rows: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The rows up to NEAR_S farther from the nearest of some frames, [K] rising indices, than the first."""
    if not len(rows) or not len(frames):
        return rows
    at = state.frame[rows]
    after = np.searchsorted(frames, at).clip(0, len(frames) - 1)
    away = np.minimum(np.abs(frames[after] - at), np.abs(frames[(after - 1).clip(0)] - at))
    return rows[away <= away.min() + state.clock.frames_in(NEAR_S)]


def _both(clock: Clock, moment: Moment, index: int) -> Moment:
    """The moment with number and time of its frame where it lacks one of them."""
    at = clock.moment(index)
    return Moment(at.time_s if moment.time_s is None else moment.time_s, at.frame)


def _validate_ids(state: EditState, command: Command) -> None:
    for track_id in command.ids:
        if not len(state.rows(track_id)):
            known = [each for each in np.unique(state.ids).tolist() if each != DELETED]
            shown = ", ".join(map(str, known[:_SHOWN])) + (", ..." if len(known) > _SHOWN else "")
            raise UserError(
                f"'{command.text}': there is no track {track_id}. The track IDs are: {shown or 'none'}."
            )


def _validate_parts(command: Command, counts: dict[str, int]) -> None:
    """Raise UserError where the tracks have no boxes in the time of the edit."""
    if command.kind == "swap":
        if not counts["first_after"] and not counts["second_after"]:
            raise UserError(
                f"'{command.text}': neither track has boxes from {command.start} on. Give an earlier time."
            )
        if not counts["first_before"] and not counts["second_before"]:
            raise UserError(
                f"'{command.text}': neither track has boxes before {command.start}. Give a later time."
            )
        return
    for role, count in counts.items():
        if count == 0:
            track_id = command.ids[PARTS[command.kind][role]]
            where = {"before": f"before {command.start}", "after": f"from {command.start} on"}
            when = where.get(role, "in that time")
            raise UserError(f"'{command.text}': track {track_id} has no boxes {when}. Give another time.")
