"""Find the files of PoseTrack21's sequences and read a sequence as ground truth and tracks."""

from collections.abc import Sequence as List
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval.benchmarks.mot_table import people_of, read_mot_table
from eval.benchmarks.posetrack21_json import PoseFile, read_gt_poses, read_image_info, read_track_poses
from eval.datatypes import People, Sequence
from kprtrack.core.errors import InputError, unknown_name
from kprtrack.core.files.folders import visible

_POSES, _BOXES = "posetrack_data", Path("posetrack_mot", "mot")
_SHOWN = 3  # names in a message
_MAX_CLASS = 1  # in column 8 of box files (docs/reference/tracking_and_evaluation.md 1)


@dataclass(frozen=True)
class SequenceFiles:
    """The files of one sequence."""

    name: str
    gt_poses: Path
    track_poses: Path
    gt_boxes: Path | None  # folder with image_info.json and gt/gt.txt; None: the boxes of gt_poses
    track_boxes: Path | None  # text; None: the boxes of track_poses

    @property
    def size(self) -> int:
        """Return the bytes of the pose files, an estimate of the work."""
        return self.gt_poses.stat().st_size + self.track_poses.stat().st_size


@dataclass(frozen=True)
class SequencePair:
    """Poses and boxes of a video: poses are scored in labelled frames, boxes in all frames."""

    poses: Sequence
    boxes: Sequence | None  # None if the pose file of the tracks has no boxes and there is no box file
    gt_has_person_ids: bool
    tracks_have_person_ids: bool

    @property
    def have_person_ids(self) -> bool:
        """Return whether both sides have identities across videos."""
        return self.gt_has_person_ids and self.tracks_have_person_ids


def read_sequences(
    ground_truth: Path, results: Path, *, split: str = "val", box_results: Path | None = None
) -> list[SequenceFiles]:
    """Find the files of all sequences of a split.

    Args:
        ground_truth: Folder with posetrack_data and, for its own box files, posetrack_mot.
        results: Folder of pose JSON files, named as those of the ground truth, or a folder that has them in
            `sequences` or `NAME/sequences`.
        split: Folder name below posetrack_data.
        box_results: Folder with a text file for each sequence; None uses the boxes of the JSON files.

    Returns:
        The files of all sequences of the ground truth, ordered by name.

    Raises:
        InputError: A file or folder is missing.
        UserError: The split is unknown.
    """
    paths = _gt_files(ground_truth, split)
    names = [path.stem for path in paths]
    poses = _result_files(results, names, ".json", inside="sequences")
    boxes = _result_files(box_results, names, ".txt", inside="data") if box_results else [None] * len(names)
    gt_boxes = _gt_box_folders(ground_truth / _BOXES / split, names)
    return [SequenceFiles(*files) for files in zip(names, paths, poses, gt_boxes, boxes, strict=True)]


def read_sequence(files: SequenceFiles) -> SequencePair:
    """Read one sequence.

    Raises:
        InputError: A file is invalid; the message names file, frame and person.
    """
    ground_truth = read_gt_poses(files.gt_poses)
    tracks = read_track_poses(files.track_poses, ground_truth)
    poses = Sequence(
        files.name, ground_truth.labelled, ground_truth.ignore_regions, ground_truth.people, tracks.people
    )
    has_boxes = files.track_boxes is not None or tracks.has_boxes or not len(tracks.people)
    return SequencePair(
        poses,
        _boxes(files, ground_truth, poses) if has_boxes else None,
        ground_truth.has_person_ids,
        tracks.has_person_ids,
    )


def _boxes(files: SequenceFiles, ground_truth: PoseFile, poses: Sequence) -> Sequence:
    """Return the boxes: ground truth from posetrack_mot and tracks from the box file, where these exist."""
    if files.gt_boxes:
        ids: list[object]
        ids, regions = read_image_info(files.gt_boxes / "image_info.json")
        gt_people = _box_text(files.gt_boxes / "gt" / "gt.txt", len(ids))
    elif ground_truth.has_boxes or not len(ground_truth.people):
        ids, regions, gt_people = (
            list(ground_truth.image_ids),
            ground_truth.ignore_regions,
            ground_truth.people,
        )
    else:
        raise InputError(
            f"{ground_truth.path} has no boxes (bbox), and there is no posetrack_mot beside posetrack_data."
        )
    if files.track_boxes:
        tracks = _box_text(files.track_boxes, len(ids))
    else:
        frame_of = {image_id: frame for frame, image_id in enumerate(ids)}
        frames = np.array([frame_of.get(image_id, -1) for image_id in ground_truth.image_ids])
        listed = frames[frames >= 0]
        if len(listed) < len(ids) or (np.diff(listed) < 0).any():
            raise InputError(
                f"{files.gt_boxes}/image_info.json lists other images than {ground_truth.path}, or in another"
                " order, so the boxes of pose files cannot be used. Give box files with --box-results."
            )
        frames = frames[poses.tracks.frames]
        tracks = replace(poses.tracks, frames=frames).at(frames >= 0)
    return Sequence(files.name, np.ones(len(ids), bool), regions, gt_people, tracks)


def _box_text(path: Path, frame_count: int) -> People:
    """Return the boxes of gt.txt or of a result."""
    table = read_mot_table(path)
    table.reject(table.frames >= frame_count, f"a frame after the last one of the sequence, {frame_count}.")
    other_class = np.any(table.rest[:, :1] > _MAX_CLASS, axis=1)
    table.reject(other_class, "a class above 1. Remove all but people, or write -1 in column 8.")
    return people_of(table, np.ones(len(table), bool))


def _gt_files(ground_truth: Path, split: str) -> list[Path]:
    poses = ground_truth / _POSES
    if not ground_truth.is_dir():
        raise InputError(
            f"There is no folder {ground_truth}. Give the root of PoseTrack21, which holds {_POSES}."
        )
    if not poses.is_dir():
        above = next(
            (folder.parent for folder in (ground_truth, *ground_truth.parents) if folder.name == _POSES), None
        )
        hint = f" Did you mean {above}?" if above else ""
        raise InputError(
            f"{ground_truth} does not hold the folder {_POSES}. Give the root of PoseTrack21, with"
            f" {_POSES}/{split}/*.json and {_BOXES}/{split}/*.{hint}"
        )
    splits = {path.name: path for path in visible(poses) if path.is_dir()}
    if not splits:
        raise InputError(f"{poses} holds no splits. Put the json files into {poses / split}.")
    if split not in splits:
        raise unknown_name(f"split of {poses}", split, splits)
    files = _files(splits[split], ".json")
    if not files:
        raise InputError(f"{splits[split]} holds no json files. Unpack PoseTrack21's annotations there.")
    return files


def _gt_box_folders(folder: Path, names: List[str]) -> list[Path | None]:
    if not folder.is_dir():
        return [None] * len(names)
    for name in names:
        for file in (folder / name / "image_info.json", folder / name / "gt" / "gt.txt"):
            if not file.is_file():
                raise InputError(
                    f"{file} is missing, but other ground truth boxes exist. Unpack posetrack_mot again, or"
                    " move"
                    f" it away to use the boxes of {_POSES}."
                )
    return [folder / name for name in names]


def _result_files(results: Path, names: List[str], suffix: str, *, inside: str) -> list[Path]:
    if not results.is_dir():
        raise InputError(f"There is no folder {results}. Give the folder of the results, NAME{suffix}.")
    folder = _tracker_folder(results, set(names), suffix, inside)
    missing = [name + suffix for name in names if not (folder / (name + suffix)).is_file()]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        raise InputError(
            f"{folder} lacks {len(missing)} of {len(names)} sequences: {shown}. Each sequence"
            " needs a file, also if there are no tracks."
        )
    return [folder / (name + suffix) for name in names]


def _tracker_folder(results: Path, names: set[str], suffix: str, inside: str) -> Path:
    """Return the folder of the results: `results`, or one below it that the official program would use."""

    def holds(folder: Path) -> bool:
        return any(path.stem in names for path in _files(folder, suffix))

    nested = [path for path in visible(results, f"*/{inside}") if holds(path)]
    found = [folder for folder in (results, results / inside) if holds(folder)][:1] or nested
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(str(folder) for folder in found[:_SHOWN])
        raise InputError(f"{results} holds the results of several trackers: {several}. Give one of them.")
    near = next((folder for folder in visible(results) if folder.is_dir() and holds(folder)), None)
    found_files = _files(results, suffix)
    has = (
        f"files such as {found_files[0].name}, but none named as in the ground truth"
        if found_files
        else f"no {suffix} files"
    )
    hint = f" Did you mean {near}?" if near else f" Give the folder with {min(names)}{suffix} and the others."
    raise InputError(f"{results} holds {has}.{hint}")


def _files(folder: Path, suffix: str) -> list[Path]:
    """Return the files with this suffix, sorted by name, without hidden files."""
    return [path for path in visible(folder, f"*{suffix}") if path.is_file()]
