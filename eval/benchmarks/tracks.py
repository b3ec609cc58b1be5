"""Two result files of kprtrack of the same video, read as ground truth and tracks."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval.benchmarks.pairing import by_stem, unused_note, validate_all_have_results
from eval.datatypes import People, Sequence
from kprtrack.core.errors import InputError
from kprtrack.core.files.folders import visible
from kprtrack.core.files.selection import ONLY, Selection
from kprtrack.identity.results import LINKS_FILE
from kprtrack.io import SUFFIXES, RunHeader, TrackFile, read_tracks
from kprtrack.io.same_video import difference_notes, validate_size, video_size


@dataclass(frozen=True)
class TrackPair:
    """Ground truth and tracks of a video; keypoints are COCO's 17, by name of any set."""

    sequence: Sequence
    has_poses: bool  # whether both files have keypoints
    headers: tuple[RunHeader, RunHeader]  # of both files
    notes: tuple[str, ...]


def find_track_files(
    ground_truth: Path, tracks: Path
) -> tuple[dict[str, tuple[Path, Path]], tuple[str, ...]]:
    """Return pairs of files by name, and notes for the reader.

    Args:
        ground_truth: A file, or a folder of files.
        tracks: A file, or a folder with files of the same names.

    Raises:
        InputError: A file or folder is missing.
    """
    for path in (ground_truth, tracks):
        if not path.exists():
            raise InputError(f"There is no file or folder {path}.")
    if ground_truth.is_dir() != tracks.is_dir():
        folder, file = (ground_truth, tracks) if ground_truth.is_dir() else (tracks, ground_truth)
        raise InputError(f"{folder} is a folder, but {file} is a file. Give two files or two folders.")
    if not ground_truth.is_dir():
        return {tracks.stem: (ground_truth, tracks)}, ()
    sides = [by_stem(file for file in visible(side) if _readable(file)) for side in (ground_truth, tracks)]
    if not sides[0]:
        raise InputError(f"{ground_truth} has no result files ({', '.join(SUFFIXES)}).")
    validate_all_have_results(sides[0], sides[1], tracks)
    pairs = {name: (file, sides[1][name]) for name, file in sides[0].items()}
    return pairs, unused_note(*sides)


def read_track_pair(name: str, gt_path: Path, tracks_path: Path, select: Selection = ONLY) -> TrackPair:
    """Read the people of both files, in all frames of either file.

    Args:
        name: Of the sequence.
        gt_path: The ground truth.
        tracks_path: The tracks.
        select: Category of people and video of the ground truth, and of the tracks if these have several.

    Returns:
        Both sides, and notes on their differences.

    Raises:
        InputError: A file is invalid, or the files are of videos of different size.
        UserError: A format is unknown.
    """
    ground_truth = read_tracks(gt_path, select=select)
    tracks = read_tracks(tracks_path, select=replace(select, where_several=True))
    size, own_video = video_size(tracks.header.video), ground_truth.header.video
    validate_size(own_video, str(gt_path), size, str(tracks_path))
    numbers = np.unique([frame.frame_number for file in (ground_truth, tracks) for frame in file.frames])
    sequence = Sequence(
        name,
        np.ones(len(numbers), bool),
        ((),) * len(numbers),
        _people(ground_truth, numbers),
        _people(tracks, numbers),
    )
    has_poses = all((side.keypoints != 0).any() for side in (sequence.ground_truth, sequence.tracks))
    notes = _mismatch_notes(ground_truth, gt_path, tracks, tracks_path)
    return TrackPair(sequence, has_poses, (ground_truth.header, tracks.header), notes)


def _readable(file: Path) -> bool:
    return file.is_file() and file.suffix.lower() in SUFFIXES and file.name != LINKS_FILE


def _people(file: TrackFile, numbers: np.ndarray) -> People:
    """Return the people of a file; `numbers` are the frame numbers of the sequence."""
    counts = [len(frame) for frame in file.frames]
    total = sum(counts)
    places = np.searchsorted(numbers, [frame.frame_number for frame in file.frames])
    boxes, scores, ids = (
        np.concatenate([empty, *(getattr(frame, field) for frame in file.frames)])
        for field, empty in (
            ("boxes", np.zeros((0, 4))),
            ("scores", np.zeros(0)),
            ("ids", np.zeros(0, np.int64)),
        )
    )
    poses = [frame.skeleton.to_coco(frame.keypoints) for frame in file.frames]
    keypoints = np.concatenate([np.zeros((0, 17, 3)), *poses])
    known = keypoints[:, :, 2:] > 0
    return People(
        frames=np.repeat(places, counts),
        ids=ids,
        boxes=np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]),
        scores=scores,
        keypoints=np.where(known, keypoints[:, :, :2], 0),
        joint_scores=keypoints[:, :, 2],
        head_sizes=np.full(total, np.nan),
        person_ids=np.full(total, -1),
    )


def _mismatch_notes(
    ground_truth: TrackFile, gt_path: Path, tracks: TrackFile, tracks_path: Path
) -> tuple[str, ...]:
    """Return notes on differences that suggest that the files are of different videos."""
    names = f"{gt_path.name} and {tracks_path.name}"
    notes = [*difference_notes(ground_truth.header.video, tracks.header.video, names)]
    for file, path in ((ground_truth, gt_path), (tracks, tracks_path)):
        if file.complete is False:
            notes.append(f"{path.name} is incomplete: the frames after its end count as empty.")
    if not any(len(frame) for frame in ground_truth.frames):
        notes.append(f"{gt_path.name} has no people: every tracked box counts as a false positive.")
    known = {frame.frame_number for frame in ground_truth.frames}
    beyond = sum(len(frame) for frame in tracks.frames if frame.frame_number not in known)
    if beyond:
        notes.append(
            f"{tracks_path.name} has {beyond} boxes in frames that {gt_path.name} lacks; they count as false"
            " positives. Was it made with another stride, or from another part of the video?"
        )
    return tuple(notes)
