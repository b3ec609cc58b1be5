"""Convert tracks in memory to what the evaluation would read from their result file."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from eval.datatypes import People
from kprtrack.core.datatypes import Tracks
from kprtrack.core.geometry import left_top_size
from kprtrack.io.posetrack import posetrack_keypoints

# Keypoint HOTA counts every joint with coordinates, whatever its confidence. 0.3 is TrackLab's threshold.
MIN_JOINT_SCORE = 0.3
_PIXEL_DIGITS, _SCORE_DIGITS = 2, 4  # of our result files


def without_low_score_joints(tracks: Tracks, min_score: float) -> Tracks:
    """Return `tracks` with zeros for every joint whose confidence is below `min_score`."""
    kept = tracks.keypoints[..., 2:] >= min_score
    return replace(tracks, keypoints=np.where(kept, tracks.keypoints, np.float32(0)))


def people_from_tracks(frames: Iterable[Tracks], min_joint_score: float = MIN_JOINT_SCORE) -> People:
    """Return the people of all frames, rounded as in result files.

    Args:
        frames: Tracks in order of time.
        min_joint_score: Joints below this confidence count as missing.

    Returns:
        People with PoseTrack's keypoints.
    """
    some = [without_low_score_joints(tracks, min_joint_score) for tracks in frames if len(tracks)]
    numbers = [np.full(len(tracks), tracks.frame_number, np.int64) for tracks in some]
    count = sum(map(len, some))
    poses = (posetrack_keypoints(tracks.keypoints, tracks.skeleton) for tracks in some)
    points = np.concatenate([np.zeros((0, 17, 3)), *poses])
    joint_scores = np.round(points[..., 2], _SCORE_DIGITS)
    known = joint_scores[..., None] > 0
    return People(
        frames=np.concatenate([np.zeros(0, np.int64), *numbers]),
        ids=np.concatenate([np.zeros(0, np.int64), *(tracks.ids for tracks in some)]),
        boxes=left_top_size(np.concatenate([np.zeros((0, 4)), *(tracks.boxes for tracks in some)])),
        scores=np.concatenate([np.zeros(0), *(tracks.scores for tracks in some)]).round(_SCORE_DIGITS),
        keypoints=np.where(known, np.round(points[..., :2], _PIXEL_DIGITS), 0),
        joint_scores=joint_scores,
        head_sizes=np.full(count, np.nan),
        person_ids=np.full(count, -1, np.int64),
    )
