"""Formats of other software, written from a finished result by `kprtrack convert`, and read where sensible.

A new one is one module here and one entry in EXPORTS. The formats of runs are in kprtrack.io.FORMATS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kprtrack.core.files.json_file import load_json
from kprtrack.core.files.selection import Selection
from kprtrack.io.columns import PeopleFile
from kprtrack.io.exports.alphapose import is_alphapose, people_from_alphapose, write_alphapose
from kprtrack.io.exports.c3d import write_c3d
from kprtrack.io.exports.cvat import people_from_cvat, write_cvat
from kprtrack.io.exports.dlc import is_dlc, people_from_dlc, write_dlc
from kprtrack.io.exports.label_studio import is_label_studio, people_from_label_studio, write_label_studio
from kprtrack.io.exports.movement_nc import people_from_movement, write_movement
from kprtrack.io.exports.nwb import people_from_nwb, write_nwb
from kprtrack.io.exports.openpose import is_openpose, people_from_openpose, write_openpose
from kprtrack.io.exports.slp import people_from_slp, write_slp
from kprtrack.io.exports.srt import write_srt
from kprtrack.io.exports.tables import UNCHANGED, ConvertOptions
from kprtrack.io.exports.trc import write_trc
from kprtrack.io.exports.xlsx import people_from_xlsx, write_xlsx
from kprtrack.io.header import TrackFile

__all__ = ["EXPORTS", "EXPORT_SUFFIXES", "UNCHANGED", "ConvertOptions", "Export", "detect_export"]


@dataclass(frozen=True)
class Export:
    """A format that is written from a finished result.

    Args:
        write: Writes the tracks to a path and returns the paths of all files.
        reader: Reads people from a path; None: the format is only written.
        suffix: Of the file; empty: a folder. Formats with a suffix of kprtrack.io.FORMATS need `--to`.
    """

    write: Callable[[TrackFile, Path, ConvertOptions], list[Path]]
    reader: Callable[[Path, Selection], PeopleFile] | None
    suffix: str


def _whole(read: Callable[[Path], PeopleFile]) -> Callable[[Path, Selection], PeopleFile]:
    """The reader of a format without categories and videos."""

    def read_whole(path: Path, select: Selection) -> PeopleFile:
        select.validate_unused(path)
        return read(path)

    return read_whole


def _alphapose(path: Path, select: Selection) -> PeopleFile:
    select.validate_unused(path)
    return people_from_alphapose(load_json(path), path)


def _label_studio(path: Path, select: Selection) -> PeopleFile:
    return people_from_label_studio(load_json(path), path, select)


_START = 4096  # bytes that show what a file is

EXPORTS: dict[str, Export] = {
    "trc": Export(write_trc, None, ".trc"),
    "c3d": Export(write_c3d, None, ".c3d"),
    "slp": Export(write_slp, _whole(people_from_slp), ".slp"),
    "dlc": Export(write_dlc, _whole(people_from_dlc), ".csv"),
    "nwb": Export(write_nwb, _whole(people_from_nwb), ".nwb"),
    "movement": Export(write_movement, _whole(people_from_movement), ".nc"),
    "openpose": Export(write_openpose, _whole(people_from_openpose), ""),
    "alphapose": Export(write_alphapose, _alphapose, ".json"),
    "cvat": Export(write_cvat, people_from_cvat, ".xml"),
    "label-studio": Export(write_label_studio, _label_studio, ".json"),
    "srt": Export(write_srt, None, ".srt"),
    "xlsx": Export(write_xlsx, _whole(people_from_xlsx), ".xlsx"),
}
# Suffix -> name, of the suffixes that say the format.
EXPORT_SUFFIXES = {
    export.suffix: name for name, export in EXPORTS.items() if export.suffix not in ("", ".csv", ".json")
}


def detect_export(path: Path) -> str | None:
    """Return the name of the export that a file holds although its suffix stands for another format.

    Args:
        path: A file or folder that exists.

    Returns:
        "openpose", "dlc", "alphapose" or "label-studio"; None: the suffix decides.
    """
    if is_openpose(path):
        return "openpose"
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".json") or not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(_START)
    if suffix == ".csv":
        return "dlc" if is_dlc(start) else None
    if is_label_studio(start):
        return "label-studio"
    return "alphapose" if is_alphapose(start) else None
