"""KPRTrack as the paper describes it: association by appearance only, without later corrections.

Source: KPR (Somers et al., ECCV 2024), section 4.5 and supplement "KPRTrack details";
docs/reference/tracking_and_evaluation.md 4.1. The paper takes life cycle and stages from ByteTrack and leaves
most numbers open; each line names the source of its number. The paper's networks for PoseTrack21 were never
published as a set, so this is its tracker; its scores cannot be reproduced.
"""

reid = dict(vectors="parts")  # equation 2 has no foreground vector

tracker = dict(
    name="kpr",
    # Detections: ByteTrack's split into high and low scores; a new track needs 0.1 more than the split.
    high_score=0.6,
    low_score=0.1,
    new_track_score=0.7,
    min_track_age_s=0.0,  # ByteTrack: two frames
    tentative_score=0.7,  # no track starts retroactively
    # Equation 2, and the moving average of section "KPRTrack details" (its weight is unsaid; 0.9: TrackLab).
    metric="cosine",
    inter_identity_distance=1.0,  # distances as they are
    momentum=0.9,
    max_occlusion=None,  # every match updates the embedding
    # "Solely on appearance": no motion, no overlap, no pose.
    appearance_weight=1.0,
    box_weight=0.0,
    pose_weight=0.0,
    gating_distance=None,
    # "Only pairs with a distance below 0.2"; the paper knows one threshold, so every stage has it.
    match_cost=0.2,
    low_match_cost=0.2,
    tentative_match_cost=0.2,
    # ByteTrack's life cycle. The memory is unsaid: ByteTrack's own is 1 s, TrackLab's part tracker, in whose
    # framework the paper's figures were made, remembers 300 frames.
    recent_s=None,
    max_lost_s=10.0,
    reid_max_distance=None,
    output_delay_s=0.0,
)
