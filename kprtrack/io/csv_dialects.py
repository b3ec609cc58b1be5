"""CSV as other programs and countries write it: separators, decimal commas, other names of columns."""

import csv
import io
import re
from collections.abc import Mapping, Sequence

SEPARATORS = ",;\t"
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*")

# Our name of a column -> names of other programs, in lower case.
ALIASES: dict[str, tuple[str, ...]] = {
    "frame": ("frame_id", "frame_number", "frame_index", "frame_idx", "frame_no", "frameid", "image_id"),
    "time": ("time_s", "timestamp", "seconds", "t"),
    "track_id": ("id", "person_id", "object_id", "tracker_id", "identity", "track", "trackid", "player_id"),
    "x": ("left", "bb_left", "bbox_left", "x1", "xmin", "x_min", "xtl", "bbox_x", "bbox_x1"),
    "y": ("top", "bb_top", "bbox_top", "y1", "ymin", "y_min", "ytl", "bbox_y", "bbox_y1"),
    "width": ("w", "bb_width", "bbox_width", "bbox_w"),
    "height": ("h", "bb_height", "bbox_height", "bbox_h"),
    "right": ("x2", "xmax", "x_max", "xbr", "bbox_x2"),
    "bottom": ("y2", "ymax", "y_max", "ybr", "bbox_y2"),
    "score": ("confidence", "conf", "detection_score", "det_score"),
}


def rows_of(text: str) -> list[list[str]]:
    """Split a table into rows of cells; blank lines are left out.

    The separator is the one of SEPARATORS that is most frequent in the first line. Where it is no comma,
    numbers may have a decimal comma, which becomes a point.

    Raises:
        csv.Error: A cell is too long, or a quote is not closed.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    if separator == ",":
        return rows
    return [
        [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows
    ]


def with_our_names(columns: Mapping[str, Sequence[object]]) -> dict[str, Sequence[object]]:
    """Return the columns by our names; other names, in any case, stand for ours where ours is missing."""
    lower = {name.strip().lower().replace(" ", "_"): name for name in columns}
    found = dict(columns)
    for ours, others in ALIASES.items():
        theirs = next((lower[each] for each in (ours, *others) if each in lower), None)
        if ours not in columns and theirs is not None:
            found[ours] = columns[theirs]
    return found
