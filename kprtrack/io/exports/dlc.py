"""DeepLabCut's table of results as CSV: one row a frame, columns by individual, keypoint and x, y, score."""

import csv
import io
from pathlib import Path

import numpy as np

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import InputError
from kprtrack.core.files.json_file import read_limited
from kprtrack.core.files.numbers import LAST_FRAME
from kprtrack.io.columns import PeopleFile
from kprtrack.io.exports.tables import (
    ConvertOptions,
    ids_of_names,
    keypoint_rows,
    people_of_poses,
    pose_table,
)
from kprtrack.io.header import RunHeader, TrackFile
from kprtrack.io.output_file import validate_target

SCORER = "kprtrack"
COORDINATES = ("x", "y", "likelihood")
_LEVELS = ("scorer", "individuals", "bodyparts", "coords")


def write_dlc(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write the table of a multi-animal project; unknown keypoints are empty cells.

    Raises:
        InputError: There are no people, or no keypoints.
        OutputError: The file cannot be written.
    """
    validate_target(path)
    table = pose_table(file, options, "DeepLabCut", from_zero=True)
    joints = file.header.skeleton.names
    columns = [(person, joint, part) for person in table.people for joint in joints for part in COORDINATES]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["scorer", *[SCORER] * len(columns)])
    for level, name in enumerate(_LEVELS[1:]):
        writer.writerow([name, *(column[level] for column in columns)])
    for number, row in zip(table.numbers, table.keypoints.reshape(len(table.numbers), -1), strict=True):
        writer.writerow([int(number), *("" if np.isnan(value) else f"{value:.4f}" for value in row)])
    write_file(path, text.getvalue().encode())
    return [path]


def is_dlc(start: bytes) -> bool:
    """Whether a file that starts like this is DeepLabCut's: its first cell is "scorer"."""
    return start.lstrip(b"\xef\xbb\xbf").startswith(b"scorer,")


def people_from_dlc(path: Path) -> PeopleFile:
    """Read the people of a single-animal or multi-animal table.

    Raises:
        InputError: It is no such table, or lacks keypoints of COCO.
    """
    try:
        rows = list(csv.reader(io.StringIO(read_limited(path).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read {path}: {error}.") from error
    levels = {row[0]: row[1:] for row in rows[:4] if row and row[0] in _LEVELS}
    if "scorer" not in levels or "bodyparts" not in levels or "coords" not in levels:
        raise InputError(
            f"{path} is no table of DeepLabCut: its first cells are not scorer, bodyparts, coords."
        )
    people = levels.get("individuals") or ["1"] * len(levels["bodyparts"])
    names = list(dict.fromkeys(people))
    joints = list(dict.fromkeys(levels["bodyparts"]))
    skeleton, places = keypoint_rows(joints, path)
    frames, values = _numbers(rows[len(levels) :], len(people), len(levels), path)
    poses = np.full((len(frames), len(names), len(joints), len(COORDINATES)), np.nan)
    for column, (person, joint, part) in enumerate(
        zip(people, levels["bodyparts"], levels["coords"], strict=True)
    ):
        if part in COORDINATES:
            poses[:, names.index(person), joints.index(joint), COORDINATES.index(part)] = values[:, column]
    return people_of_poses(
        path,
        np.repeat(frames, len(names)).tolist(),
        ids_of_names(names) * len(frames),
        poses[:, :, places].reshape(-1, len(places), 3),
        header=RunHeader(skeleton=skeleton),
    )


def _numbers(rows: list[list[str]], width: int, skipped: int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """[F] frame numbers and [F, width] numbers, NaN for empty cells."""
    cells = np.full((len(rows), width + 1), np.nan)
    for index, row in enumerate(rows):
        place = f"{path}, line {index + skipped + 1}"
        if len(row) != width + 1:
            raise InputError(f"{place}: {len(row)} cells, but there are {width + 1} columns.")
        try:
            cells[index] = [float(cell) if cell.strip() else np.nan for cell in row]
        except ValueError:
            raise InputError(
                f"{place}: a cell is not a number. Results of `analyze_videos` are read."
            ) from None
    frames = cells[:, 0]
    for index in np.flatnonzero(~((frames >= 0) & (frames < LAST_FRAME) & (frames == np.floor(frames))))[:1]:
        raise InputError(f"{path}, line {index + skipped + 1}: {rows[index][0]!r:.40} is no frame number.")
    return frames.astype(np.int64), cells[:, 1:]
