"""Settings of the KPR tracker."""

from dataclasses import dataclass

from kprtrack.core.errors import UserError
from kprtrack.core.part_distance import Metric


@dataclass(frozen=True)
class KprTrackerConfig:
    """Settings of the KPR tracker, each with its best known value.

    The cost of a pair is the weighted mean of part distance, 1 - IoU and 1 - OKS. Distances are in units of
    the inter-identity distance, times in seconds.

    Raises:
        UserError: A value is outside its range.

    Examples:
        >>> KprTrackerConfig(max_lost_s=60.0).max_lost_s
        60.0
    """

    high_score: float = 0.6  # detections above it are matched first (ByteTrack)
    low_score: float = 0.1  # detections between it and high_score may only continue a track
    new_track_score: float = 0.7  # to be confirmed, a track needs one detection above it (ByteTrack)
    min_track_age_s: float = 0.2  # to be confirmed, a track must be this old
    tentative_score: float = 0.3  # a tentative track starts from a detection above it

    metric: Metric = "cosine"  # of the part distance: KPR eq. 2, or "euclidean" as in the official code
    momentum: float = 0.9  # weight of the past in the moving average of each part
    # Embeddings are not updated while more than this share of the box is occluded; None: always updated.
    max_occlusion: float | None = 0.5
    # Inter-identity distance of the encoder: the unit of the distances below, so that they hold for any
    # encoder. None: estimated from people visible at once; 1: distances as they are.
    inter_identity_distance: float | None = None

    appearance_weight: float = 0.6  # of the part distance in the cost of a pair
    box_weight: float = 1.0  # of the overlap with the box a Kalman filter predicts; 0: no motion
    pose_weight: float = 0.5  # of the object keypoint similarity with the last pose; 0: no pose
    match_cost: float = 0.65  # highest cost of a match in stage 1
    low_match_cost: float = 0.6  # highest cost of a match of detections below high_score
    tentative_match_cost: float = 0.7  # highest cost of a match of tentative tracks
    gating_distance: float | None = 0.6  # unoccluded pairs farther apart cannot match; None: no gating

    recent_s: float | None = 2.0  # tracks lost for longer can only be re-identified; None: no limit
    max_lost_s: float | None = None  # tracks lost for longer are removed; None: never
    # Only the last this many lost tracks are kept for re-identification, so that hours of video and live
    # sources need no more time and memory than minutes; None: all.
    max_lost_tracks: int | None = 1000

    # A new track nearer than this to a lost one is re-identified as that; None: no re-identification.
    reid_max_distance: float | None = 0.65
    reid_min_margin: float = 0.1  # the next candidate must be farther by this
    reid_min_updates: int = 3  # both tracks need this many unoccluded embeddings
    reid_window_s: float = 1.5  # how long after its confirmation a track may be re-identified
    # Tracks that are clear by position and overlap no one get a new embedding only this often, and detections
    # up to high_score a pose only where they can continue a track; None: every detection gets both.
    reid_interval_s: float | None = 0.5
    output_delay_s: float = 2.0  # how long tracks are held back to be corrected; 0: not at all
    # Where a track has no detection for up to this long, its boxes and keypoints are interpolated, as far as
    # output_delay_s allows; 0: not at all.
    interpolation_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.low_score <= self.high_score <= 1:
            raise UserError(
                f"0 <= low_score <= high_score <= 1 must hold, not {self.low_score}, {self.high_score}."
            )
        for name in ("new_track_score", "tentative_score", "momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must be in [0, 1], not {getattr(self, name)}.")
        for name in (
            "min_track_age_s",
            "output_delay_s",
            "interpolation_s",
            "reid_window_s",
            "reid_interval_s",
            "max_lost_tracks",
        ):
            value, unit = getattr(self, name), " seconds" if name.endswith("_s") else ""
            if value is not None and not value >= 0:
                raise UserError(f"{name} must be 0 or more{unit}, not {value}.")
        if min(self.appearance_weight, self.box_weight, self.pose_weight) < 0:
            raise UserError("appearance_weight, box_weight and pose_weight must be 0 or more.")
        if not self.appearance_weight + self.box_weight + self.pose_weight:
            raise UserError("One of appearance_weight, box_weight and pose_weight must be above 0.")
        if self.inter_identity_distance is not None and self.inter_identity_distance <= 0:
            raise UserError(f"inter_identity_distance must be above 0, not {self.inter_identity_distance}.")
