"""Keypoints from another file, for boxes and identities that were corrected."""

from dataclasses import replace

import numpy as np

from kprtrack.core.assignment import assign
from kprtrack.core.datatypes import Tracks
from kprtrack.core.geometry import iou
from kprtrack.core.skeleton import Skeleton
from kprtrack.io.header import TrackFile
from kprtrack.selection.people import rows_of

MIN_IOU = 0.5  # of a box and the box of its pose, as for `--pose file`


def with_poses(file: TrackFile, poses: TrackFile) -> TrackFile:
    """Return the tracks with the keypoints of another file.

    A box gets those of the box in the same frame that it overlaps most, by an IoU of at least MIN_IOU; the
    keypoints of others are unknown. So identities corrected in an annotation tool keep the poses of the run.
    Frames that only the other file has, as annotation tools leave out those without people, stay without.

    Args:
        file: Tracks, whose boxes and IDs are kept.
        poses: The tracks with keypoints.
    """
    by_frame = {each.frame_number: each for each in poses.frames}
    skeleton = poses.header.skeleton
    frames = [_with_keypoints(each, by_frame.get(each.frame_number), skeleton) for each in file.frames]
    known = {each.frame_number for each in frames}
    none = np.zeros(0, np.int64)
    frames += [rows_of(each, none) for each in poses.frames if each.frame_number not in known]
    frames.sort(key=lambda each: each.frame_number)
    header = replace(poses.header, video={**poses.header.video, **file.header.video})
    return replace(file, header=header, frames=frames)


def _with_keypoints(tracks: Tracks, poses: Tracks | None, skeleton: Skeleton) -> Tracks:
    keypoints, time_s = np.zeros((len(tracks), len(skeleton), 3), np.float32), tracks.time_s
    if poses is not None:
        pairs = assign(1 - iou(tracks.boxes, poses.boxes), 1 - MIN_IOU)
        keypoints[pairs.rows] = poses.keypoints[pairs.columns]
        time_s = poses.time_s if np.isnan(time_s) else time_s
    return replace(tracks, keypoints=keypoints, time_s=time_s, skeleton=skeleton)
