"""Corrections of tracks: merge, swap, split, delete and name people, kept in a file beside the result.

The result is never changed. Edits are bound to boxes and times, and apply to another result of the same
video, too.

Examples:
    >>> from kprtrack.edits import Edits, edits_path
    >>> tracks = read_tracks("tracks.json")
    >>> edits = Edits(edits_path("tracks.json")).append(tracks, "name 1 Anna", "delete 2")
    >>> for result in edits.apply(tracks).report:
    ...     print(result)
    1  name 1 Anna: applied, track 1 is Anna
    2  delete 2: applied, 12 boxes (0:00 to 0:01.1) of track 2 are deleted
"""

from kprtrack.edits.edits import EditedTracks, Edits, new_records
from kprtrack.edits.file import edits_path
from kprtrack.edits.grammar import Command, Moment, parse_edit
from kprtrack.edits.model import Anchor, Edit, EditResult, TrackPart, Undo

__all__ = [
    "Anchor",
    "Command",
    "Edit",
    "EditResult",
    "EditedTracks",
    "Edits",
    "Moment",
    "TrackPart",
    "Undo",
    "edits_path",
    "new_records",
    "parse_edit",
]
