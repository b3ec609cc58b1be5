"""Score tracks in MOTChallenge's format."""

from collections.abc import Callable, Mapping
from pathlib import Path

from eval.benchmarks.mot import find_mot_sequences, read_mot_sequence
from eval.datatypes import Evaluation, Measure, Scores
from eval.metrics.boxes import box_scores, combine_boxes
from eval.metrics.timeline import timeline


def score_mot(
    ground_truth: Path, results: Path, *, on_sequence: Callable[[str], None] | None = None
) -> Evaluation:
    """Score boxes in MOTChallenge's text format: HOTA, CLEAR and Identity as in TrackEval.

    Args:
        ground_truth: Folder or file, see `find_mot_sequences`.
        results: Folder or file, see `find_mot_sequences`.
        on_sequence: Called with the name of each sequence when it is scored.

    Raises:
        InputError: A file is missing or invalid; the message names file and line.
    """
    files, notes = find_mot_sequences(ground_truth, results)
    read = [read_mot_sequence(each) for each in files]
    scores, timelines = {}, {}
    for sequence in (each.sequence for each in read):
        scores[sequence.name] = box_scores(sequence, clean=False)
        timelines[sequence.name] = timeline(sequence)
        if on_sequence is not None:
            on_sequence(sequence.name)
    return Evaluation(
        benchmark="mot",
        ground_truth=str(ground_truth),
        results=str(results),
        measures=measures(scores, combine_boxes(scores)),
        timelines={name: line for name, line in timelines.items() if line},
        notes=(
            *_rules_note([each.has_classes for each in read]),
            *(note for each in read for note in each.notes),
            *notes,
        ),
    )


def measures(
    by_sequence: Mapping[str, Mapping[str, Scores]], combined: Mapping[str, Scores]
) -> dict[str, Measure]:
    """Return scores by sequence and measure as measures."""
    return {
        name: Measure(whole, {sequence: scores[name] for sequence, scores in by_sequence.items()})
        for name, whole in combined.items()
    }


def _rules_note(has_classes: list[bool]) -> tuple[str, ...]:
    if not any(has_classes):
        return ()
    return (
        f"{sum(has_classes)} of {len(has_classes)} sequences have classes: tracks on distractors are not"
        " scored, and only pedestrians whose flag is not 0 count as ground truth (MOTChallenge's rules).",
    )
