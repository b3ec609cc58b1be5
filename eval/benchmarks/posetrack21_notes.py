"""Notes on PoseTrack21's scores: which ones are missing and why, and which differ from the official ones."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as List

import numpy as np

from eval.benchmarks.posetrack21 import SequenceFiles
from eval.benchmarks.posetrack21_sequence import (
    BOX_MEASURES,
    CROSS_VIDEO_MEASURES,
    KEYPOINT_MEASURES,
    SequenceScores,
)
from eval.datatypes import Measure, Scores
from kprtrack.core.errors import InputError

_BOX_SIDE = frozenset((*BOX_MEASURES, "kit_mota"))
_ACROSS = frozenset(CROSS_VIDEO_MEASURES)


def skipped_measures(scored: List[SequenceScores]) -> dict[frozenset[str], str]:
    """Return the measures that the files do not allow, with the reason.

    Raises:
        InputError: Some of the pose files have boxes and others have none.
    """
    metadata = {one.name: one.metadata for one in scored}
    skipped = {}
    boxless = [name for name, one in metadata.items() if not one.has_boxes]
    if boxless:
        if any(one.has_boxes and one.has_tracks for one in metadata.values()):
            raise InputError(
                f"The pose file of {boxless[0]} has no boxes (bbox), but others have. Add boxes to all"
                " files, or give --box-results."
            )
        skipped[_BOX_SIDE] = "Boxes are not scored: the pose files have no boxes (bbox). Give --box-results."
    without_ids = [
        (name, "results" if one.gt_has_person_ids else "ground truth")
        for name, one in metadata.items()
        if not (one.gt_has_person_ids and one.tracks_have_person_ids)
    ]
    if without_ids:
        name, whose = without_ids[0]
        skipped[_ACROSS] = (
            "Cross-video HOTA is not scored: it needs a person_id for each person, and some are missing in"
            f" {len(without_ids)} of {len(metadata)} sequences, first in the {whose} of {name}."
        )
    return skipped


def notes(
    files: List[SequenceFiles], scored: List[SequenceScores], measures: Mapping[str, Measure]
) -> Iterator[str]:
    """Yield notes on the scored measures."""
    ignored = [one.name for one in scored if not one.metadata.has_gt_to_score]
    if ignored:
        yield (
            "No person of the ground truth counts, because all are in ignore regions or in frames without"
            f" labels, in {len(ignored)} of {len(scored)} sequences, first {ignored[0]}."
        )
    yield from _official_and_fixed(scored, measures)
    yield from _crashes_of_the_official_program(scored, measures)
    if measures.keys() & _BOX_SIDE:
        if not files[0].gt_boxes:
            yield (
                "Ground truth boxes are those of posetrack_data because there is no posetrack_mot, whose"
                " boxes the official program uses."
            )
        if not files[0].track_boxes:
            yield "Boxes of the tracks are those of the pose files because --box-results was not given."
    copies = [one.metadata.copies_track_ids for one in scored if one.metadata.has_tracks]
    if measures.keys() & _ACROSS and len(copies) > 1 and all(copies):
        yield (
            "Every person_id of the results equals the track_id. If track IDs restart in each video,"
            " cross-video HOTA treats different people as the same."
        )


def _official_and_fixed(scored: List[SequenceScores], measures: Mapping[str, Measure]) -> Iterator[str]:
    frames = sum(one.metadata.frames_without_tracks for one in scored)
    modes = (("Keypoint", KEYPOINT_MEASURES), ("Cross-video", CROSS_VIDEO_MEASURES))
    for title, (official, fixed) in modes:
        if frames and {official, fixed} <= measures.keys():
            official_hota, fixed_hota = (_percent(measures[name].combined) for name in (official, fixed))
            yield (
                f"{title} HOTA is {official_hota:.2f} as the official program counts and {fixed_hota:.2f}"
                " with the fixed count. In a labelled frame with people but without tracks, the official"
                " program adds the joints of the whole sequence to the misses (PoseTrack21 issue 10); such"
                f" frames: {frames}. Use the first number to compare with published results, the"
                " second to judge a tracker."
            )


def _crashes_of_the_official_program(
    scored: List[SequenceScores], measures: Mapping[str, Measure]
) -> Iterator[str]:
    empty = sum(one.metadata.frames_without_gt for one in scored)
    if empty:
        yield (
            "The official program crashes at a labelled frame without ground truth, or with ignored people"
            f" only. Here the tracked joints of these frames ({empty} in total) are false positives."
        )
    without_tracks = [one.name for one in scored if not one.metadata.has_tracks_to_score]
    if without_tracks and measures.keys() & _ACROSS:
        yield (
            "The official cross-video HOTA crashes at a sequence without tracks in labelled frames. Here its"
            f" joints are misses. Such sequences: {len(without_tracks)} of {len(scored)}, first"
            f" {without_tracks[0]}."
        )


def _percent(scores: Scores) -> float:
    """Return HOTA as printed: the mean over thresholds of the total."""
    return 100 * float(np.mean(np.asarray(scores["HOTA"])[:, -1]))
