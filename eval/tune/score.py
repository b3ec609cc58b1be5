"""How good a tracker's settings are on stored observations, without files in between."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eval.benchmarks.from_tracks import people_of
from eval.benchmarks.mot_table import read_mot_table
from eval.benchmarks.posetrack21_json import read_image_info, read_truth_poses
from eval.datatypes import People, Sequence
from eval.metrics.boxes import box_pairs
from eval.metrics.ignore_regions import without_ignored
from eval.metrics.keypoint_hota import combine_keypoint_hota, keypoint_hota
from eval.metrics.kit_mota import combine_kit_mota, kit_mota
from eval.metrics.person_hota import combine_person_hota, person_hota
from eval.workers import Tell, Worker
from kprtrack.build import build_tracker
from kprtrack.config import ComponentConfig
from kprtrack.core.errors import InputError, UserError
from kprtrack.io import SUFFIXES, ObservationFile, read_observations, read_tracks
from kprtrack.pipeline import track


@dataclass(frozen=True)
class Metric:
    """One number to raise."""

    of_one: Callable[[Sequence], Any]
    of_all: Callable[[Mapping[str, Any]], float]  # what `of_one` gave, by sequence; in percent
    joints: bool = False  # whether the truth must have PoseTrack's joints and head boxes


def _joints_together(mode: str, rows: Mapping[str, Any]) -> float:
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
            partial(_joints_together, mode),
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
    ground_truth: Path  # a ground truth file of PoseTrack21, or tracks


def videos_to_tune(observations: Path, ground_truth: Path, metric: Metric) -> list[Video]:
    """The observations in a folder with their truth, by name.

    truth: PoseTrack21's root, a folder of track files of the same names, or for one video its file.
    Raises: InputError naming what is missing; UserError if the truth is no match for the metric.
    """
    files = sorted(observations.glob("*.npz"))
    if not files:
        inside = sorted({path.parent for path in observations.glob("*/*.npz")})
        hint = f" Name one of its folders: {', '.join(map(str, inside))}." if inside else ""
        raise InputError(
            f"{observations} holds no observations (.npz). Make them: `kprtrack observe` or `bench`.{hint}"
        )
    if ground_truth.is_file() and len(files) > 1:
        raise UserError(f"{ground_truth} is one video's truth, but {observations} holds {len(files)} videos.")
    videos = [Video(file.stem, file, _truth_of(ground_truth, file.stem)) for file in files]
    for video in videos:
        if not read_observations(video.observations).complete:
            raise InputError(f"{video.observations} was cut short. Make it again, or move it away.")
        if metric.joints and not _is_posetrack(video.ground_truth):
            raise UserError(
                f"Keypoint HOTA needs PoseTrack21's ground truth with head boxes, not {video.ground_truth}."
            )
    return videos


@dataclass(frozen=True)
class Trying:
    """Makes what tries settings on one video after the other; truths are read once."""

    metric: str
    tracker: ComponentConfig

    def __call__(self, number: int) -> Worker[tuple[Video, Mapping[str, object]], tuple[str, Any]]:
        metric, truths = METRICS[self.metric], dict[str, Sequence]()

        def try_settings(job: tuple[Video, Mapping[str, object]], tell: Tell) -> tuple[str, Any]:
            video, settings = job
            if video.name not in truths:
                truths[video.name] = read_gt(video, joints=metric.joints)
            tracker = replace(self.tracker, options={**self.tracker.options, **settings})
            tracks = followed(read_observations(video.observations), tracker)
            tell(1)
            return video.name, metric.of_one(_beside(truths[video.name], tracks, video))

        return try_settings


def followed(seen: ObservationFile, tracker: ComponentConfig) -> People:
    """Who was tracked in stored observations."""
    fps = float(str(seen.header.video.get("fps", 0.0))) / float(str(seen.header.config.get("stride", 1)))
    return people_of(track(seen, build_tracker(tracker, fps)))


def read_gt(video: Video, *, joints: bool) -> Sequence:
    """The truth of a video beside no tracks. Raises: InputError naming file and place of what is wrong."""
    if not _is_posetrack(video.ground_truth):
        frames = read_tracks(video.ground_truth).frames
        count = max((tracks.frame_number for tracks in frames), default=-1) + 1
        return _sequence(video.name, people_of(frames, 0.0), ((),) * count)
    split = video.ground_truth.parent
    folder = split.parents[1] / "posetrack_mot" / "mot" / split.name / video.name
    if not joints and folder.is_dir():
        boxes = read_mot_table(folder / "gt" / "gt.txt")
        _, regions = read_image_info(folder / "image_info.json")
        return _sequence(video.name, boxes.people(np.ones(len(boxes), bool)), regions)
    poses = read_truth_poses(video.ground_truth)
    alone = _sequence(video.name, poses.people, poses.ignore_regions)
    return replace(alone, labelled=poses.labelled) if joints else alone


def _sequence(name: str, ground_truth: People, regions: tuple[tuple[np.ndarray, ...], ...]) -> Sequence:
    return Sequence(
        name, np.ones(len(regions), bool), regions, ground_truth, ground_truth.at(np.zeros(0, np.int64))
    )


def _beside(ground_truth: Sequence, tracks: People, video: Video) -> Sequence:
    """Truth and tracks of one length. Raises: InputError if the observations are of a longer video."""
    frames = int(tracks.frames.max(initial=-1)) + 1
    missing = frames - len(ground_truth.labelled)
    if missing <= 0:
        return replace(ground_truth, tracks=tracks)
    if _is_posetrack(video.ground_truth):
        raise InputError(
            f"{video.observations} has people in frame {frames - 1}, but {video.ground_truth} has only"
            f" {len(ground_truth.labelled)} frames: they are not of the same video."
        )
    # A file of tracks ends with its last person; the video goes on.
    labelled = np.ones(frames, bool)
    return replace(ground_truth, tracks=tracks, labelled=labelled, ignore_regions=((),) * frames)


def _truth_of(ground_truth: Path, name: str) -> Path:
    if ground_truth.is_file():
        return ground_truth
    found = [*ground_truth.glob(f"posetrack_data/*/{name}.json")]
    found += [path for suffix in SUFFIXES if (path := ground_truth / f"{name}{suffix}").is_file()]
    if len(found) != 1:
        what = "no truth of" if not found else f"{len(found)} truths of"
        raise InputError(
            f"{ground_truth} has {what} {name}. Give a PoseTrack21 root (posetrack_data/SPLIT/{name}.json),"
            f" or a folder with the true tracks as {name}.json (or {', '.join(list(SUFFIXES)[1:])})."
        )
    return found[0]


def _is_posetrack(ground_truth: Path) -> bool:
    return ground_truth.parent.parent.name == "posetrack_data"
