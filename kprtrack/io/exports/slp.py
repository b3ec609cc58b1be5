"""SLEAP's labels file (.slp) by the library sleap-io: one predicted instance for each person and frame."""

from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.extras import missing_extra
from kprtrack.io.columns import PeopleFile
from kprtrack.io.exports.tables import (
    ConvertOptions,
    ids_of_names,
    keypoint_rows,
    known_keypoints,
    new_file,
    people_of_poses,
    person_name,
    validate_poses,
)
from kprtrack.io.header import RunHeader, TrackFile


def write_slp(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write the poses as predicted instances with tracks; unknown keypoints are NaN.

    Raises:
        InputError: There are no people, or no keypoints.
        UserError: sleap-io is not installed.
        OutputError: The file cannot be written.
    """
    sio = _import_sleap_io()
    validate_poses(file, options, "SLEAP")
    names = list(file.header.skeleton.names)
    skeleton = sio.Skeleton(
        nodes=names, edges=[(names[a], names[b]) for a, b in file.header.skeleton.edges], name="person"
    )
    video = sio.Video(str(file.header.video.get("path") or options.source), open_backend=False)
    ids = np.unique(np.concatenate([tracks.ids for tracks in file.frames])).tolist()
    tracks_of = {track_id: sio.Track(person_name(track_id)) for track_id in ids}
    frames = []
    for tracks in file.frames:
        points = known_keypoints(tracks.keypoints.astype(np.float64))
        instances = [
            sio.PredictedInstance.from_numpy(
                points[row, :, :2],
                skeleton,
                np.nan_to_num(points[row, :, 2]),
                float(tracks.scores[row]),
                tracks_of[track_id],
                float(tracks.scores[row]),
            )
            for row, track_id in enumerate(tracks.ids.tolist())
        ]
        if instances:
            frames.append(sio.LabeledFrame(video, tracks.frame_number, instances))
    labels = sio.Labels(frames, [video], [skeleton], list(tracks_of.values()))
    with new_file(path) as part:
        sio.save_slp(labels, str(part), embed=False, verbose=False)
    return [path]


def people_from_slp(path: Path) -> PeopleFile:
    """Read the instances of a file with one video; those without a track have no ID.

    Raises:
        InputError: It is no labels file, has several videos or lacks keypoints of COCO.
        UserError: sleap-io is not installed.
    """
    sio = _import_sleap_io()
    try:
        labels = sio.load_slp(str(path), open_videos=False)
    except Exception as error:  # h5py and sleap-io raise many kinds for damaged files
        raise InputError(f"Cannot read {path}: {' '.join(str(error).split()):.200}") from error
    if len(labels.videos) > 1 or len(labels.skeletons) != 1:
        raise InputError(
            f"{path} has {len(labels.videos)} videos and {len(labels.skeletons)} skeletons; files of one are"
            " read. Save the labels of each video by themselves."
        )
    skeleton, places = keypoint_rows(labels.skeletons[0].node_names, path)
    ids = dict(
        zip(map(id, labels.tracks), ids_of_names([track.name for track in labels.tracks]), strict=True)
    )
    frames: list[int] = []
    numbers: list[int] = []
    poses: list[np.ndarray] = []
    scores: list[float] = []
    for frame in labels.labeled_frames:
        for instance in frame.instances:
            frames.append(int(frame.frame_idx))
            numbers.append(ids.get(id(instance.track), -1))
            poses.append(_points(instance)[places])
            scores.append(float(getattr(instance, "score", np.nan)))
    video = labels.videos[0].filename if labels.videos else None
    keypoints = np.stack(poses) if poses else np.zeros((0, len(places), 3))
    header = RunHeader(video={"path": video} if isinstance(video, str) else {}, skeleton=skeleton)
    known = np.clip(np.array(scores), 0, 1)
    return people_of_poses(path, frames, numbers, keypoints, scores=known, header=header)


def _points(instance: Any) -> np.ndarray:
    """[K, 3] x y score of an instance; 1 for points that a person has set."""
    points = instance.numpy()
    scores = instance.points["score"] if "score" in instance.points.dtype.names else np.ones(len(points))
    return np.concatenate([points[:, :2], np.asarray(scores, np.float64)[:, None]], axis=1)


def _import_sleap_io() -> Any:
    try:
        import sleap_io
    except ImportError as error:
        raise missing_extra("SLEAP's .slp", ["sleap_io"]) from error
    return sleap_io
