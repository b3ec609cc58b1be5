"""Score tracker settings on stored observations, in memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eval.benchmarks.from_tracks import people_from_tracks
from eval.benchmarks.mot_table import people_of, read_mot_table
from eval.benchmarks.posetrack21_json import read_gt_poses, read_image_info
from eval.datatypes import People, Sequence
from eval.metrics.boxes import box_pairs
from eval.metrics.ignore_regions import without_ignored
from eval.metrics.keypoint_hota import combine_keypoint_hota, keypoint_hota
from eval.metrics.kit_mota import combine_kit_mota, kit_mota
from eval.metrics.person_hota import combine_person_hota, person_hota
from eval.workers import OnProgress, Worker
from kprtrack.build import build_tracker
from kprtrack.config import ComponentConfig
from kprtrack.core.errors import InputError, UserError
from kprtrack.core.files.folders import visible
from kprtrack.io import SUFFIXES, ObservationFile, read_observations, read_tracks
from kprtrack.pipeline import track


@dataclass(frozen=True)
class Metric:
    """A metric to optimise.

    Attributes:
        of_one: Scores one sequence.
        of_all: Combines the results of `of_one`, by name of the sequence, to one number in percent.
        joints: Whether the ground truth needs PoseTrack's joints and head boxes.
    """

    of_one: Callable[[Sequence], Any]
    of_all: Callable[[Mapping[str, Any]], float]
    joints: bool = False


def _combined_keypoint_hota(mode: str, rows: Mapping[str, Any]) -> float:
    scores = getattr(combine_keypoint_hota(list(rows.values())), mode)
    return 100 * float(np.asarray(scores["HOTA"])[:, -1].mean())


METRICS: dict[str, Metric] = {
    "box_hota": Metric(
        lambda sequence: person_hota(box_pairs(sequence, clean=True)),
        lambda rows: 100 * float(np.mean(combine_person_hota(rows)["HOTA"])),
    ),
    **{
        name: Metric(
            lambda sequence: keypoint_hota(without_ignored(sequence)),
            partial(_combined_keypoint_hota, mode),
            joints=True,
        )
        for name, mode in (("keypoint_hota", "official"), ("keypoint_hota_fixed", "fixed"))
    },
    "idf1": Metric(kit_mota, lambda rows: 100 * float(combine_kit_mota(rows)["idf1"])),
}


@dataclass(frozen=True)
class Video:
    """One video to tune on."""

    name: str
    observations: Path
    ground_truth: Path  # a ground truth file of PoseTrack21, or a file of tracks


def videos_to_tune(observations: Path, ground_truth: Path, metric: Metric) -> list[Video]:
    """Return the observations in a folder with their ground truth, sorted by name.

    Args:
        observations: Folder of .npz files.
        ground_truth: PoseTrack21's root, a folder of track files with the same names, or the file of a single
            video.
        metric: What will be scored.

    Raises:
        InputError: A file is missing or incomplete.
        UserError: The ground truth does not suit the metric.
    """
    files = visible(observations, "*.npz")
    if not files:
        inside = sorted({path.parent for path in visible(observations, "*/*.npz")})
        hint = f" Name one of its folders: {', '.join(map(str, inside))}." if inside else ""
        raise InputError(
            f"{observations} holds no observations (.npz). Make them: `kprtrack observe` or `bench`.{hint}"
        )
    if ground_truth.is_file() and len(files) > 1:
        raise UserError(
            f"{ground_truth} is the ground truth of one video, but {observations} holds {len(files)} videos."
            " Give a folder."
        )
    videos = [Video(file.stem, file, _gt_file_of(ground_truth, file.stem)) for file in files]
    for video in videos:
        if not read_observations(video.observations).complete:
            raise InputError(f"{video.observations} is incomplete. Make it again, or move it away.")
        if metric.joints and not _is_posetrack(video.ground_truth):
            raise UserError(
                f"Keypoint HOTA needs PoseTrack21's ground truth with head boxes, not {video.ground_truth}."
            )
    return videos


@dataclass(frozen=True)
class SettingsScorer:
    """Makes the worker of one process, which scores settings on one video after another."""

    metric: str
    tracker: ComponentConfig

    def __call__(self, number: int) -> Worker[tuple[Video, Mapping[str, object]], tuple[str, Any]]:
        metric, ground_truths = METRICS[self.metric], dict[str, Sequence]()  # each is read once

        def score_settings(
            job: tuple[Video, Mapping[str, object]], on_progress: OnProgress
        ) -> tuple[str, Any]:
            video, settings = job
            if video.name not in ground_truths:
                ground_truths[video.name] = read_gt(video, joints=metric.joints)
            tracker = replace(self.tracker, options={**self.tracker.options, **settings})
            tracks = tracks_of(read_observations(video.observations), tracker)
            on_progress(1)
            return video.name, metric.of_one(_with_tracks(ground_truths[video.name], tracks, video))

        return score_settings


def tracks_of(observations: ObservationFile, tracker: ComponentConfig) -> People:
    """Return the tracks of a new tracker on stored observations."""
    return people_from_tracks(track(observations, build_tracker(tracker, observations.per_second)))


def read_gt(video: Video, *, joints: bool) -> Sequence:
    """Read the ground truth of a video as a sequence without tracks.

    Args:
        video: The video.
        joints: Read poses; else boxes, from posetrack_mot where it exists.

    Raises:
        InputError: The file is invalid; the message names the place.
    """
    if not _is_posetrack(video.ground_truth):
        frames = read_tracks(video.ground_truth).frames
        count = max((tracks.frame_number for tracks in frames), default=-1) + 1
        return _sequence(video.name, people_from_tracks(frames, 0.0), ((),) * count)
    split = video.ground_truth.parent
    folder = split.parents[1] / "posetrack_mot" / "mot" / split.name / video.name
    if not joints and folder.is_dir():
        boxes = read_mot_table(folder / "gt" / "gt.txt")
        _, regions = read_image_info(folder / "image_info.json")
        return _sequence(video.name, people_of(boxes, np.ones(len(boxes), bool)), regions)
    poses = read_gt_poses(video.ground_truth)
    sequence = _sequence(video.name, poses.people, poses.ignore_regions)
    return replace(sequence, labelled=poses.labelled) if joints else sequence


def _sequence(name: str, ground_truth: People, regions: tuple[tuple[np.ndarray, ...], ...]) -> Sequence:
    return Sequence(
        name, np.ones(len(regions), bool), regions, ground_truth, ground_truth.at(np.zeros(0, np.int64))
    )


def _with_tracks(ground_truth: Sequence, tracks: People, video: Video) -> Sequence:
    """Return the sequence with tracks, extended to the last tracked frame where that is possible.

    Raises:
        InputError: The observations belong to a longer video.
    """
    frames = int(tracks.frames.max(initial=-1)) + 1
    missing = frames - len(ground_truth.labelled)
    if missing <= 0:
        return replace(ground_truth, tracks=tracks)
    if _is_posetrack(video.ground_truth):
        raise InputError(
            f"{video.observations} has people in frame {frames - 1}, but {video.ground_truth} has only"
            f" {len(ground_truth.labelled)} frames: they belong to different videos."
        )
    # A file of tracks ends with the last tracked person; the video may be longer.
    labelled = np.ones(frames, bool)
    return replace(ground_truth, tracks=tracks, labelled=labelled, ignore_regions=((),) * frames)


def _gt_file_of(ground_truth: Path, name: str) -> Path:
    if ground_truth.is_file():
        return ground_truth
    found = visible(ground_truth / "posetrack_data", f"*/{name}.json")
    found += [path for suffix in SUFFIXES if (path := ground_truth / f"{name}{suffix}").is_file()]
    if len(found) != 1:
        what = f"{len(found)} files of ground truth" if found else "no ground truth"
        raise InputError(
            f"{ground_truth} has {what} for {name}. Give a PoseTrack21 root (posetrack_data/SPLIT/NAME.json),"
            f" or a folder of tracks as {name}.json (or {', '.join(list(SUFFIXES)[1:])})."
        )
    return found[0]


def _is_posetrack(ground_truth: Path) -> bool:
    return ground_truth.parent.parent.name == "posetrack_data"
