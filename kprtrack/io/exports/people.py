"""Which people a converted file keeps, and keypoints from another file."""

from dataclasses import replace

import numpy as np

from kprtrack.core.assignment import assign
from kprtrack.core.datatypes import Tracks
from kprtrack.core.errors import UserError
from kprtrack.core.geometry import iou
from kprtrack.io.exports.tables import ConvertOptions
from kprtrack.io.header import TrackFile

MIN_IOU = 0.5  # of a box and the box of its pose, as for `--pose file`
_SHOWN = 20  # track IDs in a message


def only_people(file: TrackFile, options: ConvertOptions) -> TrackFile:
    """Return the tracks of the chosen people alone.

    Raises:
        UserError: One of them is not in the file.
    """
    known = sorted({track_id for tracks in file.frames for track_id in tracks.ids.tolist()})
    for track_id in options.only:
        if track_id not in known:
            shown = ", ".join(map(str, known[:_SHOWN])) + (", ..." if len(known) > _SHOWN else "")
            raise UserError(
                f"There is no person {track_id} in {options.source}. Its track IDs are: {shown or 'none'}."
            )
    if not options.only:
        return file
    return replace(file, frames=[_rows(each, np.isin(each.ids, options.only)) for each in file.frames])


def with_poses(file: TrackFile, poses: TrackFile) -> TrackFile:
    """Return the tracks with the keypoints of another file.

    A box gets those of the box in the same frame that it overlaps most, by an IoU of at least MIN_IOU; the
    keypoints of others are unknown. So identities corrected in an annotation tool keep the poses of the run.

    Args:
        file: Tracks, whose boxes and IDs are kept.
        poses: The tracks with keypoints.
    """
    by_frame = {each.frame_number: each for each in poses.frames}
    frames = [_with_keypoints(each, by_frame.get(each.frame_number)) for each in file.frames]
    header = replace(
        poses.header, video={**poses.header.video, **file.header.video}, skeleton=poses.header.skeleton
    )
    return replace(file, header=header, frames=frames)


def _with_keypoints(tracks: Tracks, poses: Tracks | None) -> Tracks:
    keypoints = np.zeros_like(tracks.keypoints)
    time_s = tracks.time_s
    if poses is not None:
        pairs = assign(1 - iou(tracks.boxes, poses.boxes), 1 - MIN_IOU)
        keypoints[pairs.rows] = poses.keypoints[pairs.columns]
        time_s = poses.time_s if np.isnan(time_s) else time_s
    return replace(tracks, keypoints=keypoints, time_s=time_s)


def _rows(tracks: Tracks, rows: np.ndarray) -> Tracks:
    names = ("ids", "boxes", "scores", "keypoints", "distances", "margins", "visible", "prompted")
    return replace(tracks, **{name: getattr(tracks, name)[rows] for name in names})
