"""What an edits file holds: edits, bound to boxes and times, and what undoes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kprtrack.edits.grammar import Kind, Moment

VERSION = 1  # of a line of the file
Box = tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels
# The parts of tracks that an edit of each kind is bound to, and whose track of the text each belongs to.
PARTS: dict[Kind, dict[str, int]] = {
    "merge": {"part": 0, "target": 1},
    "swap": {"first_before": 0, "first_after": 0, "second_before": 1, "second_after": 1},
    "split": {"before": 0, "after": 0},
    "delete": {"part": 0},
    "name": {"part": 0},
}
Status = Literal["applied", "already so", "does not apply"]


@dataclass(frozen=True)
class Anchor:
    """One box of a track, by which the track is found in another result.

    Args:
        frame: Number of its frame.
        time_s: Its time in seconds; None: unknown.
        box: x1 y1 x2 y2 in pixels.
        others: Boxes of other tracks of the frame that overlap it, which must not be taken for it.
    """

    frame: int
    time_s: float | None
    box: Box
    others: tuple[Box, ...] = ()


@dataclass(frozen=True)
class TrackPart:
    """A part of a track, bound to some of its boxes.

    Args:
        track_id: Its ID in the result that the edit was written for.
        anchors: A few of its boxes, spread over the part; none if the part is empty.
    """

    track_id: int
    anchors: tuple[Anchor, ...]


@dataclass(frozen=True)
class Edit:
    """One edit.

    Args:
        number: Its number in the file, from 1.
        text: As it was written.
        written: When, ISO 8601 in UTC.
        kind: What it does.
        parts: The parts of tracks that it concerns, by the names in PARTS.
        start: First moment; None: the first frame.
        end: Last moment; None: the last frame.
        name: Of a person, of the kind "name".
    """

    number: int
    text: str
    written: str
    kind: Kind
    parts: Mapping[str, TrackPart]
    start: Moment | None = None
    end: Moment | None = None
    name: str = ""


@dataclass(frozen=True)
class Undo:
    """An edit that no longer counts.

    Args:
        undone: Its number.
        text: As it was written.
        written: When, ISO 8601 in UTC.
    """

    undone: int
    text: str
    written: str


@dataclass(frozen=True)
class EditResult:
    """What an edit did to a result.

    Args:
        edit: The edit.
        status: "applied"; "already so": the result needs no change; "does not apply": it is left out.
        details: What was changed, or why it does not apply.
    """

    edit: Edit
    status: Status
    details: str

    def __str__(self) -> str:
        return f"{self.edit.number}  {self.edit.text}: {self.status}, {self.details}"
