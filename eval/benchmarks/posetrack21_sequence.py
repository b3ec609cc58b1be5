"""Score one sequence of PoseTrack21, independently of the others."""

from dataclasses import dataclass

import numpy as np

from eval.benchmarks.posetrack21 import SequenceFiles, SequencePair, read_sequence
from eval.datatypes import Scores, Sequence, Timeline
from eval.metrics.boxes import box_scores
from eval.metrics.cross_video import cross_video_parts
from eval.metrics.ignore_regions import without_ignored
from eval.metrics.keypoint_hota import keypoint_hota
from eval.metrics.kit_mota import kit_mota
from eval.metrics.pose_ap import ApParts, pose_ap, pose_ap_parts
from eval.metrics.pose_matching import PoseMatches
from eval.metrics.timeline import timeline

KEYPOINT_MEASURES = ("keypoint_hota", "keypoint_hota_fixed")
BOX_MEASURES = ("box_hota", "box_clear", "box_identity")
CROSS_VIDEO_MEASURES = ("cross_video_hota", "cross_video_hota_fixed")
MEASURES = (
    *KEYPOINT_MEASURES,
    *BOX_MEASURES,
    "kit_mota",
    "pose_ap",
    *CROSS_VIDEO_MEASURES,
)  # in the order of the report


@dataclass(frozen=True)
class SequenceMetadata:
    """Properties of a sequence that the notes of the report depend on."""

    frames_without_tracks: int  # labelled, with ground truth, in a sequence with tracks elsewhere
    frames_without_gt: int  # labelled
    has_gt_to_score: bool  # in labelled frames, outside ignored regions
    has_tracks: bool
    has_tracks_to_score: bool  # in labelled frames, outside ignored regions
    has_boxes: bool
    gt_has_person_ids: bool
    tracks_have_person_ids: bool
    copies_track_ids: bool  # there are tracks and every person ID equals the track ID


@dataclass(frozen=True)
class SequenceScores:
    """Scores of a sequence by measure, and its share of the scores of all sequences."""

    name: str
    metadata: SequenceMetadata
    scores: dict[str, Scores]
    cross_video: PoseMatches | None
    ap: ApParts | None
    timeline: Timeline | None


@dataclass(frozen=True)
class SequenceScorer:
    """Reads and scores one sequence after another; picklable for worker processes."""

    wanted: frozenset[str]  # measures
    timelines: bool  # whether to make timelines

    def __call__(self, files: SequenceFiles) -> SequenceScores:
        """Read and score a sequence.

        Raises:
            InputError: A file is invalid; the message names file, frame and person.
        """
        pair = read_sequence(files)
        poses, boxes, wanted = without_ignored(pair.poses), pair.boxes, self.wanted
        scores: dict[str, Scores] = {}
        if wanted.intersection(KEYPOINT_MEASURES):
            scores |= dict(zip(KEYPOINT_MEASURES, keypoint_hota(poses), strict=True))
        if boxes and wanted.intersection(BOX_MEASURES):
            scores |= box_scores(boxes, clean=True, only=wanted)
        if boxes and "kit_mota" in wanted:
            scores["kit_mota"] = kit_mota(boxes)
        ap = pose_ap_parts(poses) if "pose_ap" in wanted else None
        if ap:
            scores["pose_ap"] = pose_ap([ap])
        across = pair.have_person_ids and bool(wanted.intersection(CROSS_VIDEO_MEASURES))
        return SequenceScores(
            files.name,
            _metadata(pair, poses),
            scores,
            cross_video_parts(poses) if across else None,
            ap,
            timeline(boxes) if boxes and self.timelines else None,
        )


def _metadata(pair: SequencePair, poses: Sequence) -> SequenceMetadata:
    """Return the properties of a sequence; `poses` are those of the pair without ignored people."""
    with_gt = np.unique(poses.ground_truth.frames)
    tracks = pair.poses.tracks
    return SequenceMetadata(
        frames_without_tracks=len(np.setdiff1d(with_gt, poses.tracks.frames)) if len(poses.tracks) else 0,
        frames_without_gt=len(poses.labelled) - len(with_gt),
        has_gt_to_score=len(poses.ground_truth) > 0,
        has_tracks=len(tracks) > 0,
        has_tracks_to_score=len(poses.tracks) > 0,
        has_boxes=pair.boxes is not None,
        gt_has_person_ids=pair.gt_has_person_ids,
        tracks_have_person_ids=pair.tracks_have_person_ids,
        copies_track_ids=len(tracks) > 0 and bool((tracks.person_ids == tracks.ids).all()),
    )
