"""Explanations of the measures and fields of a report: a line below the table, and two sentences."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """The explanation of one measure or field."""

    line: str
    sentences: str


# By name of the measure: how ground truth and tracks are compared.
MEASURES: dict[str, Term] = {
    "keypoint_hota": Term(
        "each joint, by distance in head sizes: PoseTrack21's multi-person pose tracking",
        "Each of 15 joints is compared separately; a joint half a head size or more away is not a match."
        " These are the numbers of PoseTrack21's own program, including its known bug.",
    ),
    "keypoint_hota_fixed": Term(
        "as above, but a frame without tracks misses its own joints only (PoseTrack21 issue 10)",
        "In the official program a labelled frame without any track counts the misses of the whole sequence."
        " Here it counts its own: use these numbers to judge a tracker and the official ones to compare.",
    ),
    "oks_hota": Term(
        "whole poses, by object keypoint similarity (OKS)",
        "All joints of a person are compared together, with COCO's tolerance for each joint."
        " This needs no head sizes and is not an official number of a benchmark.",
    ),
    "box_hota": Term(
        "whole boxes, by intersection over union (IoU)",
        "Boxes are compared by intersection over union in every frame. The formulas are those of TrackEval.",
    ),
    "kit_mota": Term(
        "boxes as in PoseTrack21's MOTA program (whole pixels), at IoU 0.5",
        "Ground truth boxes are truncated to whole pixels and tracked boxes shifted by one, as in"
        " PoseTrack21's program. Counts are those of py-motmetrics; boxes in ignore regions are not counted.",
    ),
    "box_clear": Term(
        "boxes at IoU 0.5, counted as in TrackEval",
        "Boxes match at IoU 0.5 or more. Counts are those of TrackEval's classes CLEAR and Identity.",
    ),
    "oks_clear": Term(
        "whole poses at OKS 0.5, counted as in TrackEval",
        "Poses match at OKS 0.5 or more. Counts are those of TrackEval's classes CLEAR and Identity.",
    ),
    "pose_ap": Term(
        "poses without identities, correct within half a head size",
        "The pose of each person is scored in each frame; identities are ignored."
        " A joint is correct within half a head size of the ground truth.",
    ),
    "cross_video_hota": Term(
        "as keypoints, with identities across all videos (person_id)",
        "Identities are person IDs that are the same in all videos, so a person who appears in another video"
        " must be re-identified. There is one result for all videos.",
    ),
    "cross_video_hota_fixed": Term(
        "as above, with the fixed count of misses",
        "The same with the fixed count of misses in frames without tracks. See keypoints, fixed.",
    ),
}

MEASURES["unlinked_hota"] = Term(
    "boxes of all videos as one sequence, each track a person of its own",
    "The frames of all videos are one sequence, and track IDs of different videos are different persons, as"
    " they are without linking.",
)
MEASURES["linked_hota"] = Term(
    "the same with the persons of the results",
    "The frames of all videos are one sequence, and tracks of the same person have one identity. Tracks"
    " without a person have one of their own.",
)
MEASURES["links"] = Term(
    "pairs of tracks of different videos that are one person",
    "A track belongs to the person that it is matched with in most frames, at IoU 0.5, unless more than"
    " half of it is unmatched. A pair of tracks of"
    " different videos is right if both belong to one person; of two tracks of no person nothing is known.",
)
MEASURES["names"] = Term(
    "names of tracks, where the ground truth names its persons",
    "Known persons are those with a name in the ground truth; all other tracks are of unknown persons, or"
    " of none.",
)
MEASURES |= {f"{kind}_identity": MEASURES[f"{kind}_hota"] for kind in ("unlinked", "linked")}
MEASURES |= {f"{kind}_identity": MEASURES[f"{kind}_clear"] for kind in ("box", "oks")}

# By name of the field within its measure.
FIELDS: dict[str, Term] = {
    "HOTA": Term(
        "detection and association in balance: sqrt(DetA x AssA), mean of 19 thresholds",
        "The geometric mean of DetA and AssA, averaged over 19 thresholds of similarity from 0.05 to 0.95."
        " It is high only if people are detected and keep their identity.",
    ),
    "DetA": Term(
        "detection accuracy: TP / (TP + FN + FP)",
        "True positives divided by true positives, false negatives and false positives."
        " Identities are ignored.",
    ),
    "AssA": Term(
        "association accuracy: how consistently tracks and people match over time",
        "For each true positive, the share of frames of its person and its track in which the two match."
        " AssA is the mean over all true positives.",
    ),
    "num_switches": Term(
        "identity switches, as counted by PoseTrack21's MOTA program",
        "How often the track of a ground truth person changes to another one, as counted by PoseTrack21's"
        " MOTA program. A change after a gap counts as well.",
    ),
    "IDSW": Term(
        "identity switches: a person's track differs from the one matched before",
        "How often a ground truth person is matched to another track than the one matched before."
        " Fewer is better; a track that is lost and never replaced is not counted.",
    ),
    "mota": Term(
        "1 - (FN + FP + switches) / ground truth boxes",
        "One minus false negatives, false positives and identity switches, divided by the number of ground"
        " truth boxes. Detection errors dominate it, and it may be negative.",
    ),
    "idf1": Term(
        "F1 score of boxes with the correct identity, one track for one person",
        "People and tracks are assigned once for the whole video, one to one, in the optimal way."
        " IDF1 is the F1 score of the boxes that agree with this assignment.",
    ),
    "num_misses": Term(
        "false negatives: ground truth boxes without a match",
        "False negatives: ground truth boxes without a matched track. Fewer is better.",
    ),
    "num_false_positives": Term(
        "false positives: tracked boxes without a match",
        "False positives: tracked boxes without matched ground truth. Fewer is better.",
    ),
    "MT": Term(
        "mostly tracked: people matched in more than 80 % of their frames",
        "Mostly tracked: people matched in more than 80 % of their frames. The track may change.",
    ),
    "ML": Term(
        "mostly lost: people matched in less than 20 % of their frames",
        "Mostly lost: people matched in less than 20 % of their frames. Fewer is better.",
    ),
    "Frag": Term(
        "fragmentations: how often tracking of a person is interrupted",
        "Fragmentations: how often tracking of a person is interrupted and resumed. Fewer is better.",
    ),
    "AP": Term(
        "average precision of the joints, mean of 15",
        "Average precision of each joint over all confidences, then the mean of the 15 joints."
        " It measures poses, not tracking.",
    ),
}
FIELDS |= {
    "precision": Term(
        "share of the links that are right",
        "Precision: the share of the links between tracks of different videos that are right.",
    ),
    "recall": Term(
        "share of the true pairs that are linked",
        "Recall: the share of the pairs of tracks of one person in different videos that are linked.",
    ),
    "F1": Term("2 P R / (P + R)", "The harmonic mean of precision and recall."),
    "wrong_links": Term("links that are wrong", "The number of links that are wrong. Fewer is better."),
    "missed_links": Term(
        "pairs of tracks of one person that are not linked",
        "How many pairs of tracks of one person in different videos are not linked. Fewer is better.",
    ),
    "FPIR": Term(
        "share of the tracks of unknown persons that are linked, or named",
        "False positive identification rate. Of links: the share of the tracks of persons of one video alone"
        " that are linked with a track of another video. Of names: the share of the tracks of persons without"
        " a name, and of no person, that have a name. Less is better.",
    ),
    "right_names": Term(
        "share of the tracks of known persons that have the right name",
        "The share of the tracks of known persons that have the right name.",
    ),
    "wrong_names": Term(
        "share of the tracks of known persons that have the name of another one",
        "The share of the tracks of known persons that have the name of another one. Less is better.",
    ),
    "missed_names": Term(
        "share of the tracks of known persons without a name",
        "The share of the tracks of known persons that were left without a name. Less is better.",
    ),
    "MOTA": FIELDS["mota"],
    "IDF1": FIELDS["idf1"],
    "CLR_FN": FIELDS["num_misses"],
    "CLR_FP": FIELDS["num_false_positives"],
}
