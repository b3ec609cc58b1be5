"""Score tracks on PoseTrack21."""

import gc
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from collections.abc import Sequence as List
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from eval.benchmarks.posetrack21 import SequenceFiles, read_sequences
from eval.benchmarks.posetrack21_notes import notes, skipped_measures
from eval.benchmarks.posetrack21_sequence import (
    BOX_MEASURES,
    CROSS_VIDEO_MEASURES,
    KEYPOINT_MEASURES,
    MEASURES,
    SequenceScorer,
    SequenceScores,
)
from eval.datatypes import Evaluation, Measure, Scores
from eval.metrics.boxes import combine_boxes
from eval.metrics.cross_video import cross_video_hota
from eval.metrics.keypoint_hota import KeypointHota, combine_keypoint_hota
from eval.metrics.kit_mota import combine_kit_mota
from eval.metrics.pose_ap import pose_ap
from eval.workers import cores
from kprtrack.core.errors import InputError, UserError, unknown_name
from kprtrack.core.signals import leave_signals_to_parent

_BYTES_PER_PROCESS = 20_000_000  # of pose files: fewer are scored before another process has started
_MAX_PROCESSES = 61  # the limit on Windows


def score_posetrack21(
    ground_truth: Path,
    results: Path,
    *,
    split: str = "val",
    box_results: Path | None = None,
    processes: int | None = None,
    only: frozenset[str] | None = None,
    on_sequence: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score all sequences of a split, each by itself and all together.

    Args:
        ground_truth: PoseTrack21's root, see `read_sequences`.
        results: Folder of pose files, see `read_sequences`.
        split: Folder name below posetrack_data.
        box_results: Folder of box files, see `read_sequences`.
        processes: Number of worker processes; None chooses it by the size of the files.
        only: Measures to compute, of MEASURES, without timelines; None computes all.
        on_sequence: Called with the name of each sequence when it is scored.

    Raises:
        InputError: A file is missing or invalid; the message names file, frame and person.
        UserError: The split or a measure is unknown.
    """
    for name in sorted(only or ()):
        if name not in MEASURES:
            raise unknown_name("measure", name, MEASURES)
    files = read_sequences(ground_truth, results, split=split, box_results=box_results)
    scorer = SequenceScorer(frozenset(MEASURES) if only is None else only, timelines=only is None)
    scored = _score_all(files, scorer, processes=processes, on_sequence=on_sequence)
    skipped = skipped_measures(scored)
    for measures, why in skipped.items():
        if only and only & measures:
            raise InputError(f"{min(only & measures)}: {why}")
    known = _measures(scored, scorer.wanted.difference(*skipped))
    return Evaluation(
        benchmark="posetrack21",
        ground_truth=str(ground_truth),
        results=str(results),
        measures=known,
        timelines={one.name: one.timeline for one in scored if one.timeline},
        notes=(*notes(files, scored, known), *skipped.values()),
    )


def _score_all(
    files: List[SequenceFiles],
    scorer: SequenceScorer,
    *,
    processes: int | None,
    on_sequence: Callable[[str], None] | None,
) -> list[SequenceScores]:
    """Return the scores in the order of the files."""
    size_of = {one.name: one.size for one in files}
    if processes is not None and processes < 1:
        raise UserError(f"processes must be at least 1, not {processes}.")
    if processes is None:
        processes = max(1, min(cores(), sum(size_of.values()) // _BYTES_PER_PROCESS))
    largest_first = sorted(files, key=lambda one: -size_of[one.name])
    scored = {}
    for one in _as_ready(scorer, largest_first, processes):
        scored[one.name] = one
        if on_sequence:
            on_sequence(one.name)
    return [scored[one.name] for one in files]


def _as_ready(scorer: SequenceScorer, files: List[SequenceFiles], processes: int) -> Iterator[SequenceScores]:
    """Yield the scores of all sequences in any order; leaving the loop early cancels the remaining ones."""
    processes = min(processes, len(files), _MAX_PROCESSES)
    if processes == 1:
        yield from map(scorer, files)
        return
    # A forked process starts at once and, unlike a spawned one, does not import the caller's script again.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(processes, context, initializer=_start_process) as pool:
        try:
            for job in as_completed([pool.submit(scorer, one) for one in files]):
                yield job.result()
        except BrokenProcessPool as error:
            raise UserError(
                "A worker process was killed, perhaps because memory ran out. Use fewer processes."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_process() -> None:
    leave_signals_to_parent()
    gc.disable()  # a sixth of the reading time, and parsed JSON has no reference cycles


def _measures(scored: List[SequenceScores], wanted: frozenset[str]) -> dict[str, Measure]:
    """Return the wanted measures in the order of the report."""
    combined: dict[str, Scores] = {}
    if wanted.intersection(KEYPOINT_MEASURES):
        each = [KeypointHota(*(one.scores[name] for name in KEYPOINT_MEASURES)) for one in scored]
        combined |= zip(KEYPOINT_MEASURES, combine_keypoint_hota(each), strict=True)
    if wanted.intersection(BOX_MEASURES):
        combined |= combine_boxes({one.name: one.scores for one in scored})
    if "kit_mota" in wanted:
        combined["kit_mota"] = combine_kit_mota({one.name: one.scores["kit_mota"] for one in scored})
    if "pose_ap" in wanted:
        combined["pose_ap"] = pose_ap(one.ap for one in scored if one.ap)
    if wanted.intersection(CROSS_VIDEO_MEASURES):
        parts = [one.cross_video for one in scored if one.cross_video]
        combined |= zip(CROSS_VIDEO_MEASURES, cross_video_hota(parts), strict=True)
    return {
        name: Measure(combined[name], {one.name: one.scores[name] for one in scored if name in one.scores})
        for name in MEASURES
        if name in wanted
    }
