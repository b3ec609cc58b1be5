"""All scores of a tracker on PoseTrack21, from its folders to an Evaluation."""

import gc
import multiprocessing
import signal
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

_BYTES_FOR_A_PROCESS = 20_000_000  # of pose files: fewer are scored before another process has started
_MAX_PROCESSES = 61  # that Windows can wait for


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
    """Every measure of MEASURES, or `only` those, for each sequence and for all together.

    truth, results, split, box_results: as `read_sequences` takes them. processes: None takes as many as pay
        off. on_sequence: hears the name of each sequence when it is done. Timelines come unless `only` is.
    Raises: InputError naming file, frame and person, if any file is wrong; then there are no scores at all.
        UserError for an unknown split or measure.
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
    """In the order of the files."""
    size_of = {one.name: one.size for one in files}
    if processes is not None and processes < 1:
        raise UserError(f"processes must be at least 1, not {processes}.")
    if processes is None:
        processes = max(1, min(cores(), sum(size_of.values()) // _BYTES_FOR_A_PROCESS))
    largest_first = sorted(files, key=lambda one: -size_of[one.name])
    scored = {}
    for one in _as_ready(scorer, largest_first, processes):
        scored[one.name] = one
        if on_sequence:
            on_sequence(one.name)
    return [scored[one.name] for one in files]


def _as_ready(scorer: SequenceScorer, files: List[SequenceFiles], processes: int) -> Iterator[SequenceScores]:
    """The scores of all sequences in any order; leaving the loop early drops those not begun."""
    processes = min(processes, len(files), _MAX_PROCESSES)
    if processes == 1:
        yield from map(scorer, files)
        return
    # A forked process starts at once and, unlike a new one, does not run the script of the caller again.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(processes, context, initializer=_start_process) as pool:
        try:
            for job in as_completed([pool.submit(scorer, one) for one in files]):
                yield job.result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process was ended from outside, perhaps for want of memory. Use fewer processes."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_process() -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all processes; the first one stops the others
    gc.disable()  # a sixth of the time of reading, and nothing that is read refers to itself


def _measures(scored: List[SequenceScores], wanted: frozenset[str]) -> dict[str, Measure]:
    """What was wanted, in the order of the report."""
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
