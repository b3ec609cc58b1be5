"""Tracks to and from files. A new format is one file here and one line in WRITERS and READERS."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kprtrack.core.atomic_file import PART_SUFFIX
from kprtrack.core.errors import InputError, UserError, unknown_name
from kprtrack.io.annotations import people_from_annotations
from kprtrack.io.coco import open_coco
from kprtrack.io.columns import PeopleFile, to_track_file
from kprtrack.io.frame_file import validate_target
from kprtrack.io.header import (
    COCO_SKELETON,
    FORMAT,
    POSETRACK_SKELETON,
    RunHeader,
    Skeleton,
    TrackFile,
    TracksWriter,
)
from kprtrack.io.jsonl import open_jsonl, people_from_jsonl
from kprtrack.io.kprtrack_json import load_json, open_json, people_from_json
from kprtrack.io.mot import open_mot, people_from_mot
from kprtrack.io.observations import (
    ObservationFile,
    ObservationWriter,
    read_observations,
    write_observations,
)
from kprtrack.io.parquet import ParquetWriter
from kprtrack.io.posetrack import open_posetrack
from kprtrack.io.table import open_csv, people_from_csv, people_from_parquet

__all__ = [
    "COCO_SKELETON",
    "POSETRACK_SKELETON",
    "READERS",
    "WRITERS",
    "ObservationFile",
    "ObservationWriter",
    "PeopleFile",
    "RunHeader",
    "Skeleton",
    "TrackFile",
    "TracksWriter",
    "convert",
    "open_observations_writer",
    "open_writer",
    "read_observations",
    "read_people",
    "read_tracks",
    "refuse_output",
    "suffix_of",
    "validate_observations_output",
    "write_observations",
]


def _people_from_any_json(path: Path) -> PeopleFile:
    """People of a `.json` file, whichever of our formats it is."""
    data = load_json(path)
    if isinstance(data, dict) and data.get("format") == FORMAT:
        return people_from_json(data, path)
    if isinstance(data, list) or (isinstance(data, dict) and "annotations" in data):
        return people_from_annotations(data, path)
    raise InputError(
        f'{path} is no result file: it has neither "format": "{FORMAT}" nor the "annotations" of COCO.'
    )


WRITERS: dict[str, Callable[[Path, RunHeader], TracksWriter]] = {
    "kprtrack": open_json,
    "jsonl": open_jsonl,
    "csv": open_csv,
    "parquet": ParquetWriter,
    "mot": open_mot,
    "coco": open_coco,
    "posetrack21": open_posetrack,
}
READERS: dict[str, Callable[[Path], PeopleFile]] = {
    "kprtrack": _people_from_any_json,
    "jsonl": people_from_jsonl,
    "csv": people_from_csv,
    "parquet": people_from_parquet,
    "mot": people_from_mot,
    "coco": _people_from_any_json,
    "posetrack21": _people_from_any_json,
}
SUFFIXES = {".json": "kprtrack", ".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet", ".txt": "mot"}
STREAMED = ("jsonl",)  # written in place, so that a pipe or device can take it


def open_writer(
    path: Path,
    header: RunHeader,
    format: str | None = None,
    *,
    images: Sequence[Mapping[str, object]] | None = None,
) -> TracksWriter:
    """An open result file; its format is `format`, else what the suffix of `path` says.

    images: the images of a PoseTrack21 ground truth file, whose ids and order the result shall have.
    Raises: UserError for an unknown format or suffix; OutputError if the file cannot be written.
    """
    name = _format(path, format)
    if images is None:
        return WRITERS[name](path, header)
    if name != "posetrack21":
        raise UserError(f"Only the format posetrack21 takes the images of a ground truth, not {name}.")
    return open_posetrack(path, header, images=images)


def open_observations_writer(path: Path, header: RunHeader) -> ObservationWriter:
    """An open file of observations, whose suffix must be .npz. Raises: UserError, OutputError."""
    validate_observations_output(path)
    return ObservationWriter(path, header)


def validate_output(path: Path, format: str | None = None) -> None:
    """Raise what `open_writer` would, before hours of work; leaves the file alone."""
    validate_target(path, in_place=_format(path, format) in STREAMED)


def validate_observations_output(path: Path) -> None:
    """Raise what `open_observations_writer` would; leaves the file alone."""
    if path.suffix.lower() != ".npz":
        raise UserError(
            f"Observations are stored as .npz, not as '{path.name}'. Use {path.with_suffix('.npz')}."
        )
    validate_target(path, in_place=False)


def read_people(path: Path, format: str | None = None) -> PeopleFile:
    """The people of a file, with or without identities; finer checks are the caller's.

    Raises: InputError naming file, place and what is wrong; UserError for an unknown format or suffix.
    """
    if path.suffix == PART_SUFFIX:
        raise InputError(
            f"{path} is what a broken-off run left behind, not a result. Delete it and run again."
        )
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a result file in it.")
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    return READERS[_format(path, format)](path)


def read_tracks(path: str | Path, format: str | None = None) -> TrackFile:
    """The tracks in a file of any format in READERS.

    Raises: InputError naming file, place and what is wrong; UserError for an unknown format or suffix.
    """
    return to_track_file(read_people(Path(path), format))


def convert(
    source: Path, target: Path, source_format: str | None = None, target_format: str | None = None
) -> None:
    """Write the tracks of one file in another format; docs/formats.md says what each format keeps.

    A source that was cut short gives a target that says so, if its format can.
    Raises: InputError, OutputError, UserError as reading and writing do; UserError if both are the same file.
    """
    if source.resolve() == target.resolve():
        raise UserError(f"Source and target are the same file, {source}. Choose another target.")
    tracks = read_tracks(source, source_format)
    with open_writer(target, tracks.header, target_format) as writer:
        for frame in tracks.frames:
            writer.write(frame)
        writer.close(complete=tracks.complete is not False)


def suffix_of(format: str | None) -> str:
    """The usual suffix of a format; of none: `.json`. Raises: UserError for an unknown format."""
    if format is not None and format not in WRITERS:
        raise unknown_name("format", format, WRITERS)
    return next((suffix for suffix, name in SUFFIXES.items() if name == format), ".json")


def _format(path: Path, format: str | None) -> str:
    if format is not None:
        if format not in WRITERS:
            raise unknown_name("format", format, WRITERS)
        return format
    if path.suffix.lower() not in SUFFIXES:
        raise unknown_name(f"suffix of {path}:", path.suffix or path.name, SUFFIXES)
    return SUFFIXES[path.suffix.lower()]
