"""The texts of edits: "7 = 3 from 0:41", "swap 2 5 at 1:02", "split 4 at frame 750", "name 3 Anna"."""

import re
from dataclasses import dataclass
from typing import Literal

from kprtrack.core.errors import UserError
from kprtrack.core.files.numbers import LARGEST_ID, LAST_FRAME
from kprtrack.core.tables.names import NAME_RULE, is_name
from kprtrack.video.inputs import parse_time

Kind = Literal["merge", "swap", "split", "delete", "name", "undo"]
GRAMMAR = (
    '"7 = 3 from 0:41 to 0:50", "swap 2 5 at 1:02", "split 4 at frame 750", "delete 9", "name 3 Anna" or'
    ' "undo", each in quotes; `from` and `to` may be left out'
)

_ID = r"\s*(\d{1,16})\s*"
_TIME = r"\s*(frame\s*\d{1,16}|[\d.:]+\s*s?)\s*"
_RANGE = rf"(?:from\b{_TIME})?(?:\bto\b{_TIME})?"
_PATTERNS: dict[Kind, str] = {
    "merge": rf"{_ID}={_ID}{_RANGE}",
    "swap": rf"\s*swap\b{_ID}(?:\band\b|,|\s){_ID}at\b{_TIME}",
    "split": rf"\s*split\b{_ID}at\b{_TIME}",
    "delete": rf"\s*delete\b{_ID}{_RANGE}",
    "undo": r"\s*undo(?:\s+(\d{1,9}))?\s*",
}
_NAME = re.compile(rf"\s*name\b{_ID}(?<=\s)(\S.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Moment:
    """A time of the video, by seconds, frame number, or both.

    Args:
        time_s: Seconds; None: unknown.
        frame: Number of the frame, from 0; None: as the time says.

    Examples:
        >>> print(Moment(62.5), Moment(None, 120))
        1:02.5 frame 120
    """

    time_s: float | None = None
    frame: int | None = None

    def __str__(self) -> str:
        return f"frame {self.frame}" if self.time_s is None else clock_text(self.time_s)


@dataclass(frozen=True)
class Command:
    """A parsed text.

    Args:
        text: As it was written, without spaces around it.
        kind: What is done.
        ids: The track IDs, in the order of the text.
        start: First moment (`from` or `at`); None: the first frame.
        end: Last moment (`to`); None: the last frame.
        name: Of a person, of "name".
        number: Of the edit that is undone; None: the last one.
    """

    text: str
    kind: Kind
    ids: tuple[int, ...] = ()
    start: Moment | None = None
    end: Moment | None = None
    name: str = ""
    number: int | None = None


def parse_edit(text: str) -> Command:
    """Parse the text of one edit.

    Args:
        text: Such as "7 = 3 from 0:41"; times are `0:41`, `41s`, `1:02.5` or `frame 120`.

    Raises:
        UserError: It is no edit; the message shows what can be written.

    Examples:
        >>> parse_edit("swap 2 5 at 1:02").ids
        (2, 5)
    """
    text = text.strip()
    if match := _NAME.fullmatch(text):
        name = match[2].strip()
        if not is_name(name):
            raise UserError(f"'{text:.60}': {NAME_RULE}")
        return Command(text, "name", _ids(text, match[1]), name=name)
    for kind, pattern in _PATTERNS.items():
        match = re.fullmatch(pattern, text, re.IGNORECASE | re.ASCII)
        if match is None:
            continue
        groups = match.groups()
        if kind == "undo":
            return Command(text, kind, number=int(groups[0]) if groups[0] else None)
        count = 2 if kind in ("merge", "swap") else 1
        moments = [_moment(text, each) for each in groups[count:]]
        start, end = (*moments, None)[:2]
        return Command(text, kind, _ids(text, *groups[:count]), start, end)
    raise UserError(f"'{text:.60}' is no edit. Write {GRAMMAR}.")


def clock_text(time_s: float) -> str:
    """Return seconds as minutes and seconds, or hours, such as "1:02.5"; to a thousandth.

    Examples:
        >>> clock_text(62.5), clock_text(41), clock_text(3723.04)
        ('1:02.5', '0:41', '1:02:03.04')
    """
    thousandths = round(time_s * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 1000:02}" + (f".{rest % 1000:03}".rstrip("0") if rest % 1000 else "")
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def _ids(text: str, *numbers: str) -> tuple[int, ...]:
    ids = tuple(map(int, numbers))
    if not all(1 <= track_id <= LARGEST_ID for track_id in ids):
        raise UserError(f"'{text:.60}': track IDs are numbers from 1 on.")
    if len(set(ids)) < len(ids):
        raise UserError(f"'{text:.60}' names track {ids[0]} twice. Name two tracks.")
    return ids


def _moment(text: str, time: str | None) -> Moment | None:
    if time is None:
        return None
    if time.lower().startswith("frame"):
        number = int(time[len("frame") :])
        if number > LAST_FRAME:
            raise UserError(f"'{text:.60}': frame numbers are smaller than {LAST_FRAME}.")
        return Moment(None, number)
    try:
        return Moment(parse_time(time.rstrip(" sS")))
    except UserError as error:
        raise UserError(f"'{text:.60}': {error}") from error
