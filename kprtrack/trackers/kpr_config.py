"""Every setting of the KPR tracker, with its best known value."""

from dataclasses import dataclass

from kprtrack.core.appearance import Metric
from kprtrack.core.errors import UserError


@dataclass(frozen=True)
class KprTrackerConfig:
    """Settings of the KPR tracker. A cost is the weighted mean of part distance, 1 - IoU and 1 - OKS."""

    high_score: float = 0.6  # detections above it are paired first (ByteTrack)
    low_score: float = 0.1  # detections between it and high_score may only prolong a track
    new_track_score: float = 0.7  # a track needs a detection above it once (ByteTrack: high_score + 0.1)
    min_track_age_s: float = 0.2  # and must stay in sight so long first; in hindsight they count
    tentative_score: float = 0.3  # in hindsight it begins with the first of its detections above this

    metric: Metric = "cosine"  # of the part distance: KPR eq. 2, or "euclidean" as the official code has it
    momentum: float = 0.9  # weight of the past in the moving average of each part
    # Looks are not learned while more than this share of the box is hidden by others; None: always.
    max_occlusion: float | None = 0.5
    # Looks are measured in units of the distance between strangers, learned from people seen at once, so that
    # the settings below hold for any encoder and the looks of a weak one decide little. 1: as they are.
    inter_identity_distance: float | None = None

    appearance_weight: float = 0.6  # of the part distance in the cost of a pair
    box_weight: float = 1.0  # overlap with the box a Kalman filter predicts; 0 turns motion off
    pose_weight: float = 0.5  # object keypoint similarity with the last pose; 0 turns it off
    match_cost: float = 0.65  # pairs of stage 1 must cost less
    low_match_cost: float = 0.6  # same for detections below high_score
    tentative_match_cost: float = 0.7  # same for people not yet sure to be people
    gating_distance: float | None = 0.6  # clear looks that differ by more are two people; None: no veto

    recent_s: float | None = 2.0  # who is unseen for longer leaves the stages above; None: never
    max_lost_s: float | None = None  # who is unseen for longer is forgotten; None: never, within the video

    # A newcomer nearer than this to a lost person is that person; None: never.
    reid_max_distance: float | None = 0.65
    reid_min_margin: float = 0.1  # and the second-best candidate must be farther by this
    reid_min_updates: int = 3  # both must have been seen clearly so many times
    reid_window_s: float = 1.5  # for so long after its birth a newcomer may turn out to be a lost person
    output_delay_s: float = (
        2.0  # `follow` holds tracks back for so long to correct them in hindsight; 0: never
    )

    def __post_init__(self) -> None:
        if not 0 <= self.low_score <= self.high_score <= 1:
            raise UserError(
                f"0 <= low_score <= high_score <= 1 must hold, not {self.low_score}, {self.high_score}."
            )
        for name in ("new_track_score", "tentative_score", "momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must lie in [0, 1], not {getattr(self, name)}.")
        for name in ("min_track_age_s", "output_delay_s", "reid_window_s"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must be 0 or more seconds, not {getattr(self, name)}.")
        if min(self.appearance_weight, self.box_weight, self.pose_weight) < 0:
            raise UserError("appearance_weight, box_weight and pose_weight must be 0 or more.")
        if not self.appearance_weight + self.box_weight + self.pose_weight:
            raise UserError("One of appearance_weight, box_weight and pose_weight must be above 0.")
        if self.inter_identity_distance is not None and self.inter_identity_distance <= 0:
            raise UserError(f"inter_identity_distance must be above 0, not {self.inter_identity_distance}.")
