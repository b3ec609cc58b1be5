"""What every number of a report means: for a line under the table, and in two sentences."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """One word of the report."""

    line: str
    sentences: str


# By name of the measure: how truth and tracks are compared.
MEASURES: dict[str, Term] = {
    "keypoint_hota": Term(
        "joint by joint, distance in head sizes: PoseTrack21's multi-person pose tracking",
        "Each of 15 joints is compared by itself; a joint half a head size or more away is no match."
        " These are the numbers of PoseTrack21's own program, faults included.",
    ),
    "keypoint_hota_fixed": Term(
        "as above, but a frame without tracks misses its own joints only (PoseTrack21 issue 10)",
        "In the official program a labelled frame without any track counts the misses of the whole sequence."
        " Here it counts its own, so use these numbers to judge a tracker and the official ones to compare.",
    ),
    "oks_hota": Term(
        "whole poses, by object keypoint similarity (OKS)",
        "All joints of a person together make one similarity, with COCO's tolerance for each joint."
        " It needs no head sizes, and is no benchmark's official number.",
    ),
    "box_hota": Term(
        "whole boxes, by their overlap (IoU)",
        "Boxes are compared by intersection over union, in every frame. The arithmetic is TrackEval's.",
    ),
    "kit_mota": Term(
        "boxes as PoseTrack21's MOTA program cuts them (whole pixels), at IoU 0.5",
        "True boxes are cut to whole pixels and tracked ones moved by one, as PoseTrack21's program does."
        " The counting is py-motmetrics', and boxes in ignore regions are not counted as false.",
    ),
    "box_clear": Term(
        "boxes at IoU 0.5, counted as TrackEval does",
        "Boxes match at IoU 0.5 or more. The counting is that of TrackEval's classes CLEAR and Identity.",
    ),
    "oks_clear": Term(
        "whole poses at OKS 0.5, counted as TrackEval does",
        "Poses match at OKS 0.5 or more. The counting is that of TrackEval's classes CLEAR and Identity.",
    ),
    "pose_ap": Term(
        "poses without identities, right within half a head size",
        "Every person's pose is judged frame by frame, identities ignored."
        " A joint is right within half a head size of the truth.",
    ),
    "cross_video_hota": Term(
        "as keypoints, but identities must hold across all videos (person_id)",
        "Identities are person ids that hold across all videos, so a person who returns in another video must"
        " be known again. There is one result for all videos together.",
    ),
    "cross_video_hota_fixed": Term(
        "as above, with the fixed count of misses",
        "The same with the misses of a frame without tracks counted once. See keypoints, fixed.",
    ),
}

MEASURES |= {f"{kind}_identity": MEASURES[f"{kind}_clear"] for kind in ("box", "oks")}

# By name of the field within its measure.
FIELDS: dict[str, Term] = {
    "HOTA": Term(
        "people found and identities kept, in balance: sqrt(DetA x AssA), mean of 19 thresholds",
        "The geometric mean of DetA and AssA, averaged over 19 thresholds of similarity from 0.05 to 0.95."
        " It is high only if people are found and keep their identity.",
    ),
    "DetA": Term(
        "how well people are found: hits / (hits + misses + false ones)",
        "Hits divided by hits, misses and false detections together. Identities play no part.",
    ),
    "AssA": Term(
        "how well identities hold: of each hit, the share of its person and track that agree",
        "For every hit, the share of frames of its person and its track in which the two belong together."
        " The mean over all hits says how well identities hold.",
    ),
    "num_switches": Term(
        "identity switches, as PoseTrack21's MOTA program counts them",
        "How often a true person's track changes to another one, in the counting of PoseTrack21's"
        " MOTA program. A change during a gap counts, too.",
    ),
    "IDSW": Term(
        "identity switches: a person's track is another than the one last matched",
        "How often a true person is matched to another track than the one last matched."
        " Fewer is better; a track that is lost and never replaced costs nothing here.",
    ),
    "mota": Term(
        "1 - (misses + false ones + switches) / true boxes",
        "One minus misses, false detections and identity switches, divided by the number of true boxes."
        " It is ruled by detection, and negative where false ones outnumber hits.",
    ),
    "idf1": Term(
        "share of boxes with the right identity, one track for one person",
        "Persons and tracks are paired once for the whole video, one to one, as well as possible."
        " IDF1 is the F1 score of the boxes that agree with this pairing.",
    ),
    "num_misses": Term("true boxes nobody found", "True boxes without a track. Fewer is better."),
    "num_false_positives": Term(
        "boxes where nobody is", "Tracked boxes without a true one. Fewer is better."
    ),
    "MT": Term(
        "persons followed in more than 80 % of their frames",
        "Mostly tracked: persons found in more than 80 % of their frames. The identity may change meanwhile.",
    ),
    "ML": Term(
        "persons followed in less than 20 % of their frames",
        "Mostly lost: persons found in less than 20 % of their frames. Fewer is better.",
    ),
    "Frag": Term(
        "how often a person is lost and found again",
        "Fragmentations: how often a person is lost and found again. Fewer is better.",
    ),
    "AP": Term(
        "average precision of the joints, mean of 15",
        "Average precision of each joint over all confidences, then the mean of the 15 joints."
        " It judges poses alone, not tracking.",
    ),
}
FIELDS |= {
    "MOTA": FIELDS["mota"],
    "IDF1": FIELDS["idf1"],
    "CLR_FN": FIELDS["num_misses"],
    "CLR_FP": FIELDS["num_false_positives"],
}
