"""Score result files of kprtrack against ground truth in the same formats."""

from collections.abc import Callable
from pathlib import Path

from eval.benchmarks.score_mot import measures
from eval.benchmarks.tracks import TrackPair, find_track_files, read_track_pair
from eval.datatypes import Evaluation
from eval.metrics.boxes import box_scores, combine_boxes, combine_person_scores, person_scores
from eval.metrics.similarity import pose_similarities
from eval.metrics.timeline import timeline
from kprtrack.core.files.selection import Selection


def score_tracks(
    ground_truth: Path,
    tracks: Path,
    *,
    category: str | None = None,
    sequence: str | None = None,
    on_sequence: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score boxes and, where all files have keypoints, poses by OKS: HOTA, CLEAR and Identity.

    Args:
        ground_truth: A file of any readable format, or a folder of such files.
        tracks: A file, or a folder with files of the same names.
        category: Category of people, for COCO-like files that have several.
        sequence: Name of the video, for CocoVID files that have several.
        on_sequence: Called with the name of each video when it is scored.

    Raises:
        InputError: A file is missing or invalid.
    """
    files, notes = find_track_files(ground_truth, tracks)
    select = Selection(category, sequence, option="--{} NAME")
    pairs = [read_track_pair(name, *paths, select) for name, paths in files.items()]
    with_poses = all(pair.has_poses for pair in pairs)
    scores, timelines = {}, {}
    for video in (pair.sequence for pair in pairs):
        scores[video.name] = box_scores(video, clean=False)
        if with_poses:
            scores[video.name] |= person_scores(pose_similarities(video), "oks")
        timelines[video.name] = timeline(video)
        if on_sequence is not None:
            on_sequence(video.name)
    combined = combine_boxes(scores) | (combine_person_scores(scores, "oks") if with_poses else {})
    return Evaluation(
        benchmark="tracks",
        ground_truth=str(ground_truth),
        results=str(tracks),
        measures=measures(scores, combined),
        timelines={name: line for name, line in timelines.items() if line},
        notes=(*(note for pair in pairs for note in pair.notes), *_pose_note(pairs), *notes),
    )


def _pose_note(pairs: list[TrackPair]) -> tuple[str, ...]:
    without = [pair.sequence.name for pair in pairs if not pair.has_poses]
    if not without:
        return ()
    return (f"Poses are not scored: one side of {without[0]} has no keypoints.",)
