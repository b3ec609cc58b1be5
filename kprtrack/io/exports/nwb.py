"""NWB (Neurodata Without Borders) by pynwb and its extension ndx-pose: one PoseEstimation for each person."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.extras import missing_extra
from kprtrack.io.columns import PeopleFile
from kprtrack.io.exports.tables import (
    ConvertOptions,
    PoseTable,
    frame_rate,
    frame_times,
    ids_of_names,
    image_size,
    keypoint_rows,
    new_file,
    people_of_poses,
    pose_table,
)
from kprtrack.io.header import RunHeader, TrackFile

MODULE = "behavior"  # the processing module that NWB's guidelines name for poses
FRAME = "(0, 0) is the upper left corner of the image; x to the right, y down"


def write_nwb(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write the poses of every frame with its time; unknown keypoints are NaN.

    NWB demands the time at which a session started. It is the time at which the result file was written,
    which the description of the session states.

    Raises:
        InputError: There are no people, or no keypoints.
        UserError: pynwb or ndx-pose is not installed, or neither times nor the frame rate are known.
        OutputError: The file cannot be written.
    """
    pynwb, pose = _import_pynwb()
    table = pose_table(file, options, "NWB")
    rate = frame_rate(file, options, "NWB")
    video = file.header.video
    nwb = pynwb.NWBFile(
        session_description=f"People tracked in {video.get('path') or options.source}. The start"
        " time is that of the result file, not of the recording.",
        identifier=str(
            uuid.uuid5(uuid.NAMESPACE_URL, f"kprtrack:{video.get('sha256')}:{table.keypoints.shape}")
        ),
        session_start_time=_written(options.source),
    )
    module = nwb.create_processing_module(MODULE, "Poses of people")
    names = list(file.header.skeleton.names)
    edges = np.array(file.header.skeleton.edges, np.uint8).reshape(-1, 2)
    skeleton = pose.Skeleton(name="person_skeleton", nodes=names, edges=edges)
    module.add(pose.Skeletons(skeletons=[skeleton]))
    source = _video(pynwb, file, rate)
    if source is not None:
        nwb.add_acquisition(source)
    times = frame_times(table, rate, options)
    for column, person in enumerate(table.people):
        module.add(
            pose.PoseEstimation(
                name=person,
                pose_estimation_series=_series(pose, table, column, names, times),
                description="Keypoints of a person in pixels of the image",
                source_software="kprtrack",
                skeleton=skeleton,
                source_video=source,
            )
        )
    with new_file(path) as part, pynwb.NWBHDF5IO(str(part), "w") as output:
        output.write(nwb)
    return [path]


def _video(pynwb: Any, file: TrackFile, rate: float) -> Any:
    """The video, by the path that the header states; None if the header does not say it."""
    path, frames = (file.header.video.get(name) for name in ("path", "frames"))
    size = image_size(file.header)
    if not path:
        return None
    return pynwb.image.ImageSeries(
        name="video",
        description="The video in which people were tracked",
        external_file=[str(path)],
        format="external",
        starting_frame=[0],
        num_samples=max(frames if isinstance(frames, int) else 0, file.frames[-1].frame_number + 1),
        rate=rate,
        unit="n.a.",
        **({"dimension": list(size)} if size else {}),
    )


def _series(pose: Any, table: PoseTable, column: int, names: list[str], times: np.ndarray) -> list[Any]:
    """One series for each keypoint of a person; the first holds the times, the others refer to it."""
    series: list[Any] = []
    for row, name in enumerate(names):
        points = table.keypoints[:, column, row]
        series.append(
            pose.PoseEstimationSeries(
                name=name,
                description=f"Position of the {name.replace('_', ' ')}",
                data=points[:, :2],
                unit="pixels",
                reference_frame=FRAME,
                timestamps=series[0] if series else times,
                confidence=np.nan_to_num(points[:, 2]),
                confidence_definition="heatmap peak, 0 to 1; 0 if unknown",
            )
        )
    return series


def people_from_nwb(path: Path) -> PeopleFile:
    """Read all poses in the processing modules of a file; frames are counted by the time of the first series.

    Raises:
        InputError: It is no NWB file, has no poses, or lacks keypoints of COCO.
        UserError: pynwb or ndx-pose is not installed.
    """
    pynwb, pose = _import_pynwb()
    try:
        with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as source:
            nwb = source.read()
            found = {
                name: each
                for module in nwb.processing.values()
                for name, each in module.data_interfaces.items()
                if isinstance(each, pose.PoseEstimation)
            }
            series = {name: _arrays(each.pose_estimation_series) for name, each in found.items()}
    except Exception as error:  # h5py, hdmf and pynwb raise many kinds for damaged files
        raise InputError(f"Cannot read {path}: {' '.join(str(error).split()):.200}") from error
    if not series:
        raise InputError(f"{path} has no PoseEstimation of ndx-pose in its processing modules.")
    return _people(path, series)


Series = Mapping[str, tuple[np.ndarray, np.ndarray]]  # keypoint -> times [F], x y score [F, 3]


def _arrays(series: Mapping[str, Any]) -> Series:
    arrays = {}
    for name, each in series.items():
        points = np.asarray(each.data[:, :2], np.float64)
        score = (
            np.ones(len(points)) if each.confidence is None else np.asarray(each.confidence[:], np.float64)
        )
        if each.rate:
            times = (each.starting_time or 0.0) + np.arange(len(points)) / each.rate
        else:
            times = np.asarray(each.timestamps[:], np.float64)
        arrays[name] = times, np.concatenate([points, score[:, None]], axis=1)
    return arrays


def _people(path: Path, series: Mapping[str, Series]) -> PeopleFile:
    first = next(iter(series.values()))
    skeleton, _ = keypoint_rows(list(first), path)
    every = np.concatenate([times for person in series.values() for times, _ in person.values()])
    unique = np.unique(every[np.isfinite(every)])
    steps = np.diff(unique)
    step = float(np.median(steps)) if len(steps) else 1.0
    numbers = np.round(unique / step).astype(np.int64)
    numbers -= min(int(numbers[0]), 0) if len(numbers) else 0
    if len(np.unique(numbers)) < len(numbers):  # the frame rate varies
        numbers = np.arange(len(unique))
    poses = np.full((len(unique), len(series), len(skeleton.names), 3), np.nan)
    for column, person in enumerate(series.values()):
        _, places = keypoint_rows(list(person), path, (skeleton,))
        joints = list(person.values())
        for row, place in enumerate(places):
            times, points = joints[place]
            poses[np.searchsorted(unique, times), column, row] = points
    return people_of_poses(
        path,
        np.repeat(numbers, len(series)).tolist(),
        ids_of_names(list(series)) * len(unique),
        poses.reshape(-1, len(skeleton.names), 3),
        header=RunHeader(video={"fps": 1 / step} if len(steps) else {}, skeleton=skeleton),
        times=dict(zip(numbers.tolist(), unique.tolist(), strict=True)),
    )


def _written(source: Path) -> datetime:
    try:
        return datetime.fromtimestamp(source.stat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)


def _import_pynwb() -> tuple[Any, Any]:
    """Return pynwb and ndx_pose. Raises: UserError naming the extra to install."""
    try:
        import ndx_pose
        import pynwb
    except ImportError as error:
        raise missing_extra("NWB", ["ndx_pose", "pynwb"]) from error
    return pynwb, ndx_pose
