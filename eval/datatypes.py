"""Data of an evaluation, from files to scores. Row i of every array of a side belongs to the same person."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kprtrack.core.datatypes import check_shape

# A score is a number, or an array over thresholds, joints or both (see the docstring of the metric).
Scores = Mapping[str, "float | int | np.ndarray"]

POSETRACK_JOINTS = 17  # in the order of PoseTrack21's files, ears included


@dataclass(frozen=True)
class People:
    """Ground truth or tracks of a sequence: a row is one person in one frame; rows are ordered by frame."""

    frames: np.ndarray  # [N] int64, index of the frame in the sequence, from 0, ascending
    ids: np.ndarray  # [N] int64, identity within the sequence, at most once in a frame
    boxes: np.ndarray  # [N, 4] float64, x y w h as in the files: the official MOTA truncates them
    scores: np.ndarray  # [N] float64, confidence of the box; 1 in ground truth
    keypoints: np.ndarray  # [N, 17, 2] float64, x y in pixels, order of PoseTrack21; a missing joint is 0, 0
    joint_scores: np.ndarray  # [N, 17] float64, confidence, used by AP alone; -9999 where a file has none
    head_sizes: np.ndarray  # [N] float64, 0.6 x diagonal of the head box, pixels; NaN in tracks
    person_ids: np.ndarray  # [N] int64, identity across all sequences; -1 where a file has none

    def __post_init__(self) -> None:
        count = len(self.frames)
        check_shape("People.boxes", self.boxes, (count, 4))
        check_shape("People.keypoints", self.keypoints, (count, POSETRACK_JOINTS, 2))
        check_shape("People.joint_scores", self.joint_scores, (count, POSETRACK_JOINTS))
        for name in ("frames", "ids", "scores", "head_sizes", "person_ids"):
            check_shape(f"People.{name}", getattr(self, name), (count,))

    def __len__(self) -> int:
        return len(self.frames)

    def at(self, rows: np.ndarray) -> "People":
        """Return some of the people.

        Args:
            rows: Ascending numbers of rows, or a mask [N].

        Returns:
            The people of these rows.
        """
        return People(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Sequence:
    """Ground truth and tracks of one video."""

    name: str
    labelled: np.ndarray  # [F] bool, frames with annotated poses; boxes are scored in all F frames
    ignore_regions: tuple[tuple[np.ndarray, ...], ...]  # polygons of each frame, each [V, 2] x y
    ground_truth: People
    tracks: People

    def __post_init__(self) -> None:
        check_shape("Sequence.labelled", self.labelled, (len(self.ignore_regions),))


@dataclass(frozen=True)
class Timeline:
    """The track matched to each ground truth person in each frame, at IoU 0.5, for the plot of identities."""

    gt_ids: np.ndarray  # [G] int64
    track_ids: np.ndarray  # [G, F] int64, ID of the matched track, MISSED or ABSENT (not in the frame)


MISSED, ABSENT = -1, -2


@dataclass(frozen=True)
class Measure:
    """The scores of one metric, for each sequence and for all together."""

    combined: Scores
    sequences: Mapping[str, Scores]  # by name of the sequence; empty for metrics across sequences


@dataclass(frozen=True)
class Evaluation:
    """The scores of one tracker: what `kprtrack eval` prints, writes and draws."""

    benchmark: str  # "posetrack21", "mot", "tracks", "linked"
    ground_truth: str  # path of the ground truth
    results: str  # path of the tracks
    measures: Mapping[str, Measure]  # by name, see below
    timelines: Mapping[str, Timeline]  # by name of the sequence
    notes: tuple[str, ...]  # what a reader must know, such as a difference between two modes

    # Names of measures, in the order of the report:
    #   keypoint_hota, keypoint_hota_fixed   arrays [19 thresholds, 15 joints + total]
    #   box_hota                             arrays [19 thresholds]
    #   box_clear, box_identity              numbers (trackeval's field names)
    #   kit_mota                             numbers (the official kit's py-motmetrics field names)
    #   pose_ap                              "AP": [15 joints + mean], in percent as in the kit
    #   cross_video_hota, cross_video_hota_fixed   as keypoint_hota, without sequences
    #   oks_hota, oks_clear, oks_identity    whole poses, for files without head boxes
    #   unlinked_hota, unlinked_identity, linked_hota, linked_identity   boxes of all videos as one sequence
    #   links, names                         numbers, see eval.metrics.links
