"""Write one video of a set: result, prototypes and ground truth, whose track IDs are person IDs."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kprtrack.core.datatypes import Observation, Poses, Tracks, empty_poses
from kprtrack.identity import PrototypeCollector, write_beside
from kprtrack.io import RunHeader, TrackFile, write_tracks
from kprtrack.pipeline import BaseTracker, track
from kprtrack.run import prototypes_header

GROUND_TRUTH = "ground_truth"  # folder beside the results
SUFFIX = ".tracks.json"


def write_video(
    folder: Path,
    name: str,
    header: RunHeader,
    observations: Iterable[Observation],
    tracker: BaseTracker | Sequence[Tracks],
    ground_truth: Sequence[Tracks],
) -> None:
    """Track observations, and write NAME.tracks.json, its prototypes, and its ground truth.

    Args:
        folder: Of the set.
        name: Of the video.
        header: Of the run; the video gets the name and a hash of its own.
        observations: One per frame.
        tracker: Makes the tracks; or these themselves.
        ground_truth: Frames of the same numbers, with person IDs.
    """
    sha256 = hashlib.sha256(f"{folder.name}/{name}".encode()).hexdigest()
    header = replace(header, video={**header.video, "path": f"{name}.mp4", "sha256": sha256})
    collector = PrototypeCollector(prototypes_header(header))
    observed = collector.observed(observations)
    if isinstance(tracker, Sequence):
        frames = [tracks for tracks, _ in zip(tracker, observed, strict=True)]
    else:
        frames = list(track(observed, tracker))
        collector.evidence.add(tracker.take_evidence())
    for tracks in frames:
        collector.add(tracks)
    for path, content in ((folder, frames), (folder / GROUND_TRUTH, ground_truth)):
        path.mkdir(parents=True, exist_ok=True)
        write_tracks(TrackFile(header, list(content), complete=True), path / f"{name}{SUFFIX}")
    ids = {track_id for tracks in frames for track_id in tracks.ids.tolist()}
    write_beside(folder / f"{name}{SUFFIX}", collector.result(complete=True, ids=ids))


def labelled(
    number: int, time_s: float, ids: np.ndarray, boxes: np.ndarray, poses: Poses | None = None
) -> Tracks:
    """Return the ground truth of a frame; without poses, they are unknown."""
    poses = poses or empty_poses(len(ids))
    unknown = np.full(len(ids), np.nan, np.float32)
    return Tracks(
        number,
        time_s,
        ids.astype(np.int64),
        boxes.astype(np.float32),
        np.ones(len(ids), np.float32),
        poses.keypoints,
        unknown,
        unknown,
        np.zeros((len(ids), 0), bool),
        np.zeros(len(ids), bool),
        skeleton=poses.skeleton,
    )
