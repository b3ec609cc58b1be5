"""What a reader must know of PoseTrack21's scores: which are missing and why, which are not as official."""

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
    """Measures that the files do not allow, and why.

    Raises: InputError if some of the pose files have boxes and others none.
    """
    metadata = {one.name: one.metadata for one in scored}
    skipped = {}
    boxless = [name for name, one in metadata.items() if not one.has_boxes]
    if boxless:
        if any(one.has_boxes and one.has_tracks for one in metadata.values()):
            raise InputError(
                f"The pose file of {boxless[0]} has no boxes (bbox), but others have. Write them in all, or"
                " give --box-results."
            )
        skipped[_BOX_SIDE] = "Boxes are not scored: the pose files have none (bbox). Give --box-results."
    nameless = [
        (name, "results" if one.gt_has_person_ids else "truth")
        for name, one in metadata.items()
        if not (one.gt_has_person_ids and one.tracks_have_person_ids)
    ]
    if nameless:
        name, whose = nameless[0]
        skipped[_ACROSS] = (
            "Cross-video HOTA is not scored: everybody needs a person_id, and in"
            f" {len(nameless)} of {len(metadata)} sequences some have none, first in the {whose} of {name}."
        )
    return skipped


def notes(
    files: List[SequenceFiles], scored: List[SequenceScores], measures: Mapping[str, Measure]
) -> Iterator[str]:
    """What must be known of the measures that are there."""
    yield from _official_and_fixed(scored, measures)
    yield from _crashes_of_the_official_program(scored, measures)
    if measures.keys() & _BOX_SIDE:
        if not files[0].gt_boxes:
            yield (
                "Boxes of the truth are those of posetrack_data, for there is no posetrack_mot, whose boxes"
                " the official program takes."
            )
        if not files[0].track_boxes:
            yield "Boxes of the tracks are those of their pose files, for no --box-results were given."
    copies = [one.metadata.copies_track_ids for one in scored if one.metadata.has_tracks]
    if measures.keys() & _ACROSS and len(copies) > 1 and all(copies):
        yield (
            "Every person_id of the results is the track_id. If those begin anew in each video, cross-video"
            " HOTA takes different people for the same."
        )


def _official_and_fixed(scored: List[SequenceScores], measures: Mapping[str, Measure]) -> Iterator[str]:
    unanswered = sum(one.metadata.frames_without_tracks for one in scored)
    modes = (("Keypoint", KEYPOINT_MEASURES), ("Cross-video", CROSS_VIDEO_MEASURES))
    for title, (official, fixed) in modes:
        if unanswered and {official, fixed} <= measures.keys():
            was, rightly = (_percent(measures[name].combined) for name in (official, fixed))
            yield (
                f"{title} HOTA is {was:.2f} as the official program counts, {rightly:.2f} counted rightly. In"
                " a labelled frame with people and no track it adds the joints of the whole sequence to the"
                f" misses (PoseTrack21 issue 10). Such frames in all: {unanswered}. Compare with published"
                " numbers by the first, judge a tracker by the second."
            )


def _crashes_of_the_official_program(
    scored: List[SequenceScores], measures: Mapping[str, Measure]
) -> Iterator[str]:
    empty = sum(one.metadata.frames_without_gt for one in scored)
    if empty:
        yield (
            "The official program stops at a labelled frame in which nobody is annotated, or everybody is"
            f" ignored. Here the joints tracked in it are false positives. Such frames in all: {empty}."
        )
    silent = [one.name for one in scored if not one.metadata.has_tracks_to_score]
    if silent and measures.keys() & _ACROSS:
        yield (
            "The official cross-video HOTA stops at a sequence without tracks in labelled frames. Here its"
            f" joints are misses. Such sequences: {len(silent)} of {len(scored)}, first {silent[0]}."
        )


def _percent(scores: Scores) -> float:
    """HOTA as it is printed: the mean over thresholds of the total."""
    return 100 * float(np.mean(np.asarray(scores["HOTA"])[:, -1]))
