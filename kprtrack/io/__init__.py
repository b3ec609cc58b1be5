"""Read and write result files. A new format is one module here and one entry in FORMATS."""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kprtrack.core.atomic_file import PART_SUFFIX
from kprtrack.core.errors import InputError, UserError, unknown_name
from kprtrack.core.files.json_file import load_json
from kprtrack.core.files.paths import real_path
from kprtrack.core.files.selection import ONLY, Selection
from kprtrack.io.annotations import people_from_annotations
from kprtrack.io.coco import open_coco
from kprtrack.io.columns import PeopleFile, to_track_file
from kprtrack.io.csv_table import open_csv, people_from_csv
from kprtrack.io.exports import EXPORT_SUFFIXES, EXPORTS, UNCHANGED, ConvertOptions, detect_export
from kprtrack.io.exports.other_poses import with_poses
from kprtrack.io.header import FORMAT, FrameWriter, RunHeader, TrackFile, TracksWriter
from kprtrack.io.jsonl import open_jsonl, people_from_jsonl
from kprtrack.io.kprtrack_json import open_json, people_from_json
from kprtrack.io.mot import open_mot, people_from_mot
from kprtrack.io.observations.reader import ObservationFile, read_observations
from kprtrack.io.observations.writer import ObservationWriter, write_observations
from kprtrack.io.output_file import PARTIAL_SUFFIX, validate_target
from kprtrack.io.parquet import open_parquet, people_from_parquet
from kprtrack.io.posetrack import open_posetrack
from kprtrack.selection import select_people

__all__ = [
    "EXPORTS",
    "FORMATS",
    "SUFFIXES",
    "ConvertOptions",
    "Format",
    "FrameWriter",
    "ObservationFile",
    "PeopleFile",
    "RunHeader",
    "Selection",
    "TrackFile",
    "TracksWriter",
    "convert",
    "open_observations_writer",
    "open_writer",
    "read_observations",
    "read_people",
    "read_tracks",
    "suffix_of",
    "validate_observations_output",
    "validate_output",
    "write_observations",
    "write_tracks",
]


Reader = Callable[[Path, Selection], PeopleFile]


def _people_from_any_json(path: Path, select: Selection) -> PeopleFile:
    """Read a `.json` file of any of the three formats."""
    data = load_json(path)
    if isinstance(data, dict) and data.get("format") == FORMAT:
        select.validate_unused(path)
        return people_from_json(data, path)
    if isinstance(data, list) or (isinstance(data, dict) and "annotations" in data):
        return people_from_annotations(data, path, select)
    raise InputError(
        f'{path} is no result file: it has neither "format": "{FORMAT}" nor the "annotations" of COCO.'
    )


def _whole(read: Callable[[Path], PeopleFile]) -> Reader:
    """The reader of a format without categories and videos."""

    def read_whole(path: Path, select: Selection) -> PeopleFile:
        select.validate_unused(path)
        return read(path)

    return read_whole


@dataclass(frozen=True)
class Format:
    """A result format."""

    writer: Callable[[Path, RunHeader], TracksWriter]
    reader: Reader
    suffix: str  # of several formats with one suffix the first is chosen by it
    streams: bool = False  # other programs can read it while it grows; pipes and devices can take it


FORMATS: dict[str, Format] = {
    "kprtrack": Format(open_json, _people_from_any_json, ".json"),
    "jsonl": Format(open_jsonl, _whole(people_from_jsonl), ".jsonl", streams=True),
    "csv": Format(open_csv, _whole(people_from_csv), ".csv"),
    "parquet": Format(open_parquet, _whole(people_from_parquet), ".parquet"),
    "mot": Format(open_mot, _whole(people_from_mot), ".txt"),
    "coco": Format(open_coco, _people_from_any_json, ".json"),
    "posetrack21": Format(open_posetrack, _people_from_any_json, ".json"),
}
# Suffix -> name of the first format that has it.
SUFFIXES = {
    suffix: next(name for name, format in FORMATS.items() if format.suffix == suffix)
    for suffix in dict.fromkeys(format.suffix for format in FORMATS.values())
}


def open_writer(
    path: str | Path,
    header: RunHeader | None = None,
    format: str | None = None,
    *,
    images: Sequence[Mapping[str, object]] | None = None,
) -> TracksWriter:
    """Open a result file for writing.

    Args:
        path: The file.
        header: Video, skeleton, models and config to store; None: of an unknown video, with COCO's keypoints.
        format: A name of FORMATS; None: by the suffix of the path.
        images: The images of a PoseTrack21 ground truth file; the result gets their IDs and order.

    Returns:
        The writer, a context manager.

    Raises:
        UserError: Unknown format or suffix.
        OutputError: The file cannot be written.

    Examples:
        >>> file = read_tracks("tracks.json")
        >>> with open_writer("copy.csv", file.header) as writer:
        ...     for tracks in file.frames:
        ...         writer.write(tracks)
    """
    path, header = Path(path), header or RunHeader()
    name = _format(path, format)
    if name in EXPORTS:
        raise _only_converted(name, path)
    if images is None:
        return FORMATS[name].writer(path, header)
    if name != "posetrack21":
        raise UserError(f"Only the format posetrack21 takes the images of a ground truth, not {name}.")
    return open_posetrack(path, header, images=images)


def open_observations_writer(
    path: Path, header: RunHeader, *, resume: bool = False, multiple_of: int = 1
) -> ObservationWriter:
    """Open a file of observations, whose suffix must be .npz; see ObservationWriter.

    Args:
        path: The file.
        header: Video, models and config of the run.
        resume: Continue the file of a run that was stopped or killed.
        multiple_of: Of that run, this many frames or a multiple are kept.

    Raises:
        UserError: Another suffix, or the file to be continued is of another run.
        OutputError: The file cannot be written.
    """
    validate_observations_output(path)
    return ObservationWriter(path, header, resume=resume, multiple_of=multiple_of)


def validate_output(path: Path, format: str | None = None) -> None:
    """Raise what `open_writer` would raise, without touching the file."""
    name = _format(path, format)
    if name in EXPORTS:
        raise _only_converted(name, path)
    validate_target(path, streams=FORMATS[name].streams)


def validate_observations_output(path: Path) -> None:
    """Raise what `open_observations_writer` would raise, without touching the file."""
    if path.suffix.lower() != ".npz":
        raise UserError(
            f"Observations are stored as .npz, not as '{path.name}'. Use {path.with_suffix('.npz')}."
        )
    validate_target(path)


def read_people(path: Path, format: str | None = None, select: Selection = ONLY) -> PeopleFile:
    """Read the people of a file, with or without track IDs. Boxes, scores and keypoints are not validated.

    Args:
        path: A file of any format in FORMATS, or of one in EXPORTS that has a reader.
        format: Its name; None: by suffix and content.
        select: Category of people and video, for COCO-like files that have several.

    Raises:
        InputError: Names the file, the place and what is wrong.
        UserError: Unknown format or suffix, or a selection for a format without categories and videos.
    """
    if path.suffix == PART_SUFFIX:
        raise InputError(f"{path} is an unfinished file. Get its frames with: kprtrack recover {path}")
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    name = format or detect_export(path)
    if path.is_dir() and name != "openpose":
        raise InputError(f"{path} is a folder; name a result file in it.")
    name = _format(path, name)
    reader = EXPORTS[name].reader if name in EXPORTS else FORMATS[name].reader
    if reader is None:
        raise InputError(f"{path}: files of the format {name} are written, but not read.")
    return reader(path, select)


def read_tracks(path: str | Path, format: str | None = None, *, select: Selection = ONLY) -> TrackFile:
    """Read the tracks of a result file.

    Args:
        path: A file of any format in FORMATS, or of one in EXPORTS that has a reader.
        format: Its name; None: by suffix and content.
        select: Category of people and video, for COCO-like files that have several.

    Returns:
        The header and one `Tracks` per frame, in order of time.

    Raises:
        InputError: Names the file, the place and what is wrong.
        UserError: Unknown format or suffix.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "tracks.txt"
        >>> _ = file.write_text("1,7,10,20,30,40,0.9,-1,-1,-1")
        >>> for tracks in read_tracks(file).frames:
        ...     print(tracks.frame_number, tracks.ids.tolist(), tracks.boxes.tolist())
        0 [7] [[10.0, 20.0, 40.0, 60.0]]
    """
    return to_track_file(read_people(Path(path), format, select))


def convert(
    source: Path,
    target: Path,
    source_format: str | None = None,
    target_format: str | None = None,
    *,
    select: Selection = ONLY,
    options: ConvertOptions = UNCHANGED,
) -> list[Path]:
    """Convert a result file to another format; docs/formats.md lists what each format keeps.

    If the source is incomplete, the target is marked as incomplete, if its format stores that.

    Args:
        source: The file to read.
        target: The file to write.
        source_format: A name of FORMATS or EXPORTS; None: by suffix and content.
        target_format: A name of FORMATS or EXPORTS; None: by suffix.
        select: Category of people and video of the source, for COCO-like files that have several.
        options: People to keep, poses to add, frame rate and scale.

    Returns:
        The files that were written: the target, or one for each person where the format has one person.

    Raises:
        InputError: The source cannot be read, or lacks what the target needs.
        OutputError: The target cannot be written.
        UserError: Unknown format, suffix or person, or source and target are the same file.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "tracks.txt").write_text("1,7,10,20,30,40,0.9,-1,-1,-1")
        >>> _ = convert(folder / "tracks.txt", folder / "tracks.json")
        >>> read_tracks(folder / "tracks.json").frames[0].ids.tolist()
        [7]
    """
    if _is_loop(source):
        raise InputError(f"{source} is a link that leads to itself.")
    if real_path(source) == real_path(target):
        raise UserError(f"Source and target are the same file, {source}. Choose another target.")
    name, options = _format(target, target_format), replace(options, source=source)
    tracks = read_tracks(source, source_format, select=select)
    if options.edit is not None:
        tracks = options.edit(tracks)
    fps = options.fps or tracks.header.fps
    tracks = replace(tracks, frames=select_people(tracks.frames, options.people, fps=fps, source=source))
    if options.poses is not None:
        tracks = with_poses(tracks, read_tracks(options.poses))
    return write_tracks(tracks, target, name, options=options)


def write_tracks(
    tracks: TrackFile, target: Path, format: str | None = None, *, options: ConvertOptions = UNCHANGED
) -> list[Path]:
    """Write tracks in any format.

    Args:
        tracks: Header and frames; if they are incomplete, the target is marked so, if its format stores that.
        target: The file to write.
        format: A name of FORMATS or EXPORTS; None: by suffix.
        options: Frame rate and scale.

    Returns:
        The files that were written: the target, or one for each person where the format has one person.

    Raises:
        InputError: The tracks lack what the format needs.
        OutputError: The target cannot be written.
        UserError: Unknown format or suffix.

    Examples:
        >>> write_tracks(read_tracks("tracks.json"), Path("copy.csv"))
        [PosixPath('copy.csv')]
    """
    name = _format(target, format)
    if name in EXPORTS:
        return EXPORTS[name].write(tracks, target, options)
    with open_writer(target, tracks.header, name) as writer:
        for frame in tracks.frames:
            writer.write(frame)
        writer.close(complete=tracks.complete is not False, replace=True)
    return [target]


def _is_loop(path: Path) -> bool:
    """Whether a path is a symbolic link that leads to itself."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def suffix_of(format: str | None) -> str:
    """Return the suffix of a format, `.json` of None. Raises: UserError for an unknown format."""
    name = "kprtrack" if format is None else _known(format)
    return EXPORTS[name].suffix if name in EXPORTS else FORMATS[name].suffix


def _only_converted(format: str, path: Path) -> UserError:
    return UserError(
        f"The format {format} is made from a finished result: write tracks.json, then run"
        f" `kprtrack convert tracks.json {path.name} --to {format}`."
    )


def _format(path: Path, format: str | None) -> str:
    if format is not None:
        return _known(format)
    if path.suffix == PARTIAL_SUFFIX:
        path = path.with_suffix("")
    known = SUFFIXES | EXPORT_SUFFIXES
    if path.suffix.lower() not in known:
        raise unknown_name(f"suffix of {path}:", path.suffix or path.name, known)
    return known[path.suffix.lower()]


def _known(format: str) -> str:
    if format not in FORMATS and format not in EXPORTS:
        raise unknown_name("format", format, [*FORMATS, *EXPORTS])
    return format
