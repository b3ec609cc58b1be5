"""PoseTrack21's folders: which files belong to a sequence, and one sequence of them as truth and tracks."""

from collections.abc import Sequence as List
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval.benchmarks.mot_table import people_of, read_mot_table
from eval.benchmarks.posetrack21_json import PoseFile, read_gt_poses, read_image_info, read_track_poses
from eval.datatypes import People, Sequence
from kprtrack.core.errors import InputError, unknown_name

_POSES, _BOXES = "posetrack_data", Path("posetrack_mot", "mot")
_SHOWN = 3  # names in a message
_GREATEST_CLASS = 1  # in column 8 of box files (docs/reference/tracking_and_evaluation.md 1)


@dataclass(frozen=True)
class SequenceFiles:
    """Where the truth and the tracks of one sequence lie."""

    name: str
    gt_poses: Path
    track_poses: Path
    gt_boxes: Path | None  # folder with image_info.json and gt/gt.txt; None: the boxes of truth_poses
    track_boxes: Path | None  # text; None: the boxes of track_poses

    @property
    def size(self) -> int:
        """Bytes of the pose files, a measure of the work."""
        return self.gt_poses.stat().st_size + self.track_poses.stat().st_size


@dataclass(frozen=True)
class SequencePair:
    """The two sides of a video: poses are scored in labelled frames, boxes in all."""

    poses: Sequence
    boxes: Sequence | None  # None where the pose file of the tracks has no boxes and no text was given
    gt_has_person_ids: bool
    tracks_have_person_ids: bool

    @property
    def have_person_ids(self) -> bool:
        """Whether people can be told across videos on both sides."""
        return self.gt_has_person_ids and self.tracks_have_person_ids


def read_sequences(
    ground_truth: Path, results: Path, *, split: str = "val", box_results: Path | None = None
) -> list[SequenceFiles]:
    """The files of all sequences of a split, by name; the truth says which there are.

    truth: holds posetrack_data and, for its own box files, posetrack_mot.
    results: the pose json files, named as those of the truth; or holds them in `sequences` or in a tracker's
        `NAME/sequences`.
    box_results: a text file for each sequence; None takes the boxes of the json files.
    Raises: InputError, UserError for an unknown split.
    """
    paths = _gt_files(ground_truth, split)
    names = [path.stem for path in paths]
    poses = _result_files(results, names, ".json", inside="sequences")
    boxes = _result_files(box_results, names, ".txt", inside="data") if box_results else [None] * len(names)
    gt_boxes = _gt_box_folders(ground_truth / _BOXES / split, names)
    return [SequenceFiles(*files) for files in zip(names, paths, poses, gt_boxes, boxes, strict=True)]


def read_sequence(files: SequenceFiles) -> SequencePair:
    """One sequence. Raises: InputError naming file, frame and person."""
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
    """The box side: truth from posetrack_mot if it is there, tracks from the text if it is there."""
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
                " order, so boxes of pose files have no place in it. Give box files with --box-results."
            )
        frames = frames[poses.tracks.frames]
        tracks = replace(poses.tracks, frames=frames).at(frames >= 0)
    return Sequence(files.name, np.ones(len(ids), bool), regions, gt_people, tracks)


def _box_text(path: Path, frame_count: int) -> People:
    """The boxes of gt.txt or of a result."""
    table = read_mot_table(path)
    table.reject(table.frames >= frame_count, f"after the last frame of the sequence, {frame_count}.")
    foreign = np.any(table.rest[:, :1] > _GREATEST_CLASS, axis=1)
    table.reject(foreign, "a class above 1. Remove all but people, or write -1 in column 8.")
    return people_of(table, np.ones(len(table), bool))


def _gt_files(ground_truth: Path, split: str) -> list[Path]:
    poses = ground_truth / _POSES
    if not ground_truth.is_dir():
        raise InputError(
            f"There is no folder {ground_truth}. Name the root of PoseTrack21, which holds {_POSES}."
        )
    if not poses.is_dir():
        above = next(
            (folder.parent for folder in (ground_truth, *ground_truth.parents) if folder.name == _POSES), None
        )
        hint = f" Did you mean {above}?" if above else ""
        raise InputError(
            f"{ground_truth} does not hold the folder {_POSES}. Name the root of PoseTrack21: it holds"
            f" {_POSES}/{split}/*.json and {_BOXES}/{split}/*.{hint}"
        )
    splits = {path.name: path for path in poses.iterdir() if path.is_dir()}
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
                    f"{file} is missing, but other boxes of the truth are there. Unpack posetrack_mot again,"
                    f" or move it away: then the boxes of {_POSES} are used."
                )
    return [folder / name for name in names]


def _result_files(results: Path, names: List[str], suffix: str, *, inside: str) -> list[Path]:
    if not results.is_dir():
        raise InputError(f"There is no folder {results}. Name the one with the results, NAME{suffix} each.")
    folder = _tracker_folder(results, set(names), suffix, inside)
    missing = [name + suffix for name in names if not (folder / (name + suffix)).is_file()]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        raise InputError(
            f"{folder} lacks {len(missing)} of {len(names)} sequences: {shown}. Each needs a file,"
            " also where nobody was found."
        )
    return [folder / (name + suffix) for name in names]


def _tracker_folder(results: Path, names: set[str], suffix: str, inside: str) -> Path:
    """The folder of the results: the given one, or one inside that the official program would take."""

    def holds(folder: Path) -> bool:
        return any(path.stem in names for path in _files(folder, suffix))

    nested = sorted(path for path in results.glob(f"*/{inside}") if holds(path))
    found = [folder for folder in (results, results / inside) if holds(folder)][:1] or nested
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(str(folder) for folder in found[:_SHOWN])
        raise InputError(f"{results} holds the results of several trackers: {several}. Name one of them.")
    near = next((folder for folder in sorted(results.iterdir()) if folder.is_dir() and holds(folder)), None)
    there = _files(results, suffix)
    has = f"such as {there[0].name}, but none named as the truth" if there else f"no {suffix} files"
    hint = f" Did you mean {near}?" if near else f" Name the folder with {min(names)}{suffix} and the others."
    raise InputError(f"{results} holds {has}.{hint}")


def _files(folder: Path, suffix: str) -> list[Path]:
    """Files of the suffix by name, without hidden ones."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.glob(f"*{suffix}") if path.is_file() and path.name[0] != ".")
