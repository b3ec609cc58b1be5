"""The options that choose people, the same for `track`, `draw` and `convert`."""

import argparse
import re
from typing import TYPE_CHECKING

from kprtrack.core.errors import UserError
from kprtrack.video.inputs import parse_time

if TYPE_CHECKING:
    from kprtrack.selection import Click, PeopleSelection

_CLICK = re.compile(r"(?P<time>[\d:.]+)s?@(?P<x>\d+(?:\.\d+)?),(?P<y>\d+(?:\.\d+)?)")


def add_people(parser: argparse.ArgumentParser, *aliases: str) -> None:
    """Add the options that choose people; aliases: further names of --only."""
    group = parser.add_argument_group("people (default: all)")
    group.add_argument("--only", *aliases, metavar="IDS", help="these people alone: 1,3")
    group.add_argument("--except", dest="exclude", metavar="IDS", help="all people but these: 2")
    group.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="TIMEs@X,Y",
        help="the person at this point of the image at this time: 12.4s@640,310; repeatable",
    )
    group.add_argument(
        "--roi",
        metavar="X,Y,X,Y",
        help="people whose feet are in this rectangle in at least half of their frames",
    )
    group.add_argument(
        "--min-height",
        type=float,
        metavar="PX",
        help="people at least this high in at least half of their frames",
    )
    group.add_argument(
        "--main", type=int, metavar="N", help="the N people who cover most of the image over all frames"
    )
    group.add_argument(
        "--max-people",
        type=int,
        metavar="N",
        help="at most N people in a frame, those whom --main takes first",
    )


def people_from(options: argparse.Namespace) -> "PeopleSelection":
    """Return the choice of people. Raises: UserError."""
    from kprtrack.selection import PeopleSelection

    return PeopleSelection(
        only=track_ids(options.only, "--only"),
        exclude=track_ids(options.exclude, "--except"),
        at=tuple(_click(text) for text in options.at),
        roi=_rectangle(options.roi) if options.roi is not None else None,
        min_height_px=options.min_height,
        main=options.main,
        max_people=options.max_people,
    )


def track_ids(text: str | None, option: str) -> tuple[int, ...]:
    """Return the track IDs of "1,3". Raises: UserError."""
    if text is None:
        return ()
    ids = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and part.isascii() for part in ids):
        raise UserError(f"{option} {text}: name track IDs, such as {option} 1,3.")
    return tuple(map(int, ids))


def _click(text: str) -> "Click":
    from kprtrack.selection import Click

    match = _CLICK.fullmatch(text.strip())
    if match is None:
        raise UserError(f"--at {text}: give time and point, such as --at 12.4s@640,310.")
    return Click(parse_time(match["time"]), float(match["x"]), float(match["y"]))


def _rectangle(text: str) -> tuple[float, float, float, float]:
    try:
        x1, y1, x2, y2 = map(float, text.split(","))
    except ValueError:
        raise UserError(
            f"--roi {text}: give left, upper, right and lower edge in pixels, such as --roi 100,0,800,720."
        ) from None
    return x1, y1, x2, y2
