"""The data set of the package movement as netCDF (.nc): position and confidence by time and person."""

from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import InputError
from kprtrack.core.extras import missing_extra
from kprtrack.io.columns import PeopleFile
from kprtrack.io.exports.tables import (
    ConvertOptions,
    frame_rate,
    frame_times,
    ids_of_names,
    keypoint_rows,
    new_file,
    people_of_poses,
    pose_table,
)
from kprtrack.io.header import RunHeader, TrackFile


def write_movement(file: TrackFile, path: Path, options: ConvertOptions) -> list[Path]:
    """Write the data set that `movement.io.load_poses.from_numpy` makes, with the times of the video.

    Raises:
        InputError: There are no people, or no keypoints.
        UserError: movement is not installed, or the frame rate is not known.
        OutputError: The file cannot be written.
    """
    try:
        from movement.io.load_poses import from_numpy
    except ImportError as error:
        raise missing_extra("movement's .nc", ["movement"]) from error
    table = pose_table(file, options, "movement")
    rate = frame_rate(file, options, "movement")
    dataset = from_numpy(
        position_array=table.keypoints[..., :2].transpose(0, 3, 2, 1),  # [F, 2, K, I]
        confidence_array=table.keypoints[..., 2].transpose(0, 2, 1),
        individual_names=table.people,
        keypoint_names=list(file.header.skeleton.names),
        fps=rate / table.step,
        source_software="kprtrack",
    )
    dataset = dataset.assign_coords(time=frame_times(table, rate, options))
    dataset.attrs["first_frame"], dataset.attrs["frame_step"] = int(table.numbers[0]), table.step
    with new_file(path) as part:
        dataset.to_netcdf(part)
    return [path]


def people_from_movement(path: Path) -> PeopleFile:
    """Read the people of a data set of poses; frames are counted from its first time on.

    Raises:
        InputError: It is no such data set, or lacks keypoints of COCO.
        UserError: movement's xarray is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise missing_extra("movement's .nc", ["movement"]) from error
    try:
        dataset: Any = xarray.load_dataset(path)
        position = dataset["position"].transpose("time", "individuals", "keypoints", "space")
        confidence = dataset["confidence"].transpose("time", "individuals", "keypoints")
        joints, people = (list(map(str, dataset[name].values)) for name in ("keypoints", "individuals"))
        times = np.asarray(dataset["time"].values, np.float64)
        points = np.concatenate([position.values[..., :2], confidence.values[..., None]], axis=3)
    except Exception as error:  # xarray and its backends raise many kinds for damaged files
        raise InputError(f"Cannot read {path}: {' '.join(str(error).split()):.200}") from error
    skeleton, places = keypoint_rows(joints, path)
    first, step = (
        int(dataset.attrs.get(name, value)) for name, value in (("first_frame", 0), ("frame_step", 1))
    )
    numbers = (first + step * np.arange(len(times))).tolist()
    in_seconds = dataset.attrs.get("time_unit") == "seconds"
    fps = dataset.attrs.get("fps")
    return people_of_poses(
        path,
        np.repeat(numbers, len(people)).tolist(),
        ids_of_names(people) * len(numbers),
        points[:, :, places].reshape(-1, len(places), 3),
        header=RunHeader(video={"fps": float(fps) * step} if fps else {}, skeleton=skeleton),
        times=dict(zip(numbers, times.tolist(), strict=True)) if in_seconds else None,
    )
