"""Measure the evaluation of PoseTrack21, a reference implementation and TrackEval, alternating in one run.

    python tools/measure_eval.py                              170 sequences, 3 rounds; minutes
    python tools/measure_eval.py --sequences 20 --rounds 1    seconds

The files are made first (tools/timing/val_sized_files.py) and are the same in every run. The script stops if
the scores differ. docs/benchmarks.md explains the rows.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from timing.clock import Times, Timing, medians

if TYPE_CHECKING:
    import numpy as np

    from eval.datatypes import Evaluation

# Seconds of the published programs for such a set on another day
# (docs/reference/tracking_and_evaluation.md 6).
PUBLISHED_S = {"keypoints": 63.6, "boxes": 8.8, "TrackEval, 4 metrics": 5.3}
KEYPOINTS, BOXES = "keypoint_hota", "box_hota"
SAME = 1e-9
Scores = Mapping[str, "np.ndarray"]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=170)
    parser.add_argument("--rounds", type=int, default=3, help="how often each implementation runs")
    parser.add_argument("--processes", type=int, default=2, help="processes of KPRTrack; the others use one")
    parser.add_argument("--folder", type=Path, help="keep the files here; default: a folder that is removed")
    options = parser.parse_args()
    # Read when numpy is loaded, so before the imports in the functions below.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from timing.val_sized_files import write_val_sized

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        write_val_sized(folder, sequences=options.sequences)
        _measure(folder, options.rounds, options.processes)


def _measure(folder: Path, rounds: int, processes: int) -> None:
    ours = {
        "keypoints": partial(_ours, folder, {KEYPOINTS}, processes),
        "boxes": partial(_ours, folder, {BOXES}, processes),
        "both": partial(_ours, folder, {KEYPOINTS, BOXES}, processes),
        "both, one process": partial(_ours, folder, {KEYPOINTS, BOXES}, 1),
    }
    reference = {"keypoints": partial(_reference_keypoints, folder), "boxes": partial(_trackeval, folder)}
    calls: dict[str, Callable[[], object]] = {f"ours: {what}": call for what, call in ours.items()}
    calls |= {f"reference: {what}": call for what, call in reference.items()}
    # This also warms up.
    _compare(calls["ours: both"](), calls["reference: keypoints"](), calls["reference: boxes"]())

    times: Times = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls) if turn % 2 else list(calls)[::-1]:
            times[name].append(_timed(calls[name]))
    found = medians(times)
    reference_both = Timing(*(sum(found[f"reference: {what}"][i] for what in reference) for i in (0, 1)))
    print(f"\n{processes} processes, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    print("Wall seconds, processor seconds in brackets.\n")
    print("| from files to HOTA of | KPRTrack | reference | ratio, wall | ratio, processor | published |")
    print("|---|---|---|---|---|---|")
    both = PUBLISHED_S["keypoints"] + PUBLISHED_S["boxes"]
    for what in ours:
        other = found.get(f"reference: {what}", reference_both)
        _line(what, found[f"ours: {what}"], other, PUBLISHED_S.get(what, both))
    print(
        f"\npublished, TrackEval, HOTA and 3 more metrics of boxes: {PUBLISHED_S['TrackEval, 4 metrics']} s"
    )


def _line(what: str, ours: Timing, reference: Timing, published_s: float) -> None:
    cells = [what, *(f"{spent.wall_s:.2f} ({spent.cpu_s:.2f}) s" for spent in (ours, reference))]
    cells += [
        f"{reference.wall_s / ours.wall_s:.3g}",
        f"{reference.cpu_s / ours.cpu_s:.3g}",
        f"{published_s:.1f} s",
    ]
    print(f"| {' | '.join(cells)} |")


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds of a call, including processes that it started and ended."""
    wall, cpu = time.perf_counter(), _processor_s()
    call()
    wall = time.perf_counter() - wall
    for process in multiprocessing.active_children():
        process.join()  # adds its processor time to that of the children
    return wall, _processor_s() - cpu


def _processor_s() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _ours(folder: Path, only: set[str], processes: int) -> "Evaluation":
    from eval.benchmarks.score_posetrack21 import score_posetrack21

    return score_posetrack21(
        folder / "truth",
        folder / "poses",
        box_results=folder / "boxes",
        processes=processes,
        only=frozenset(only),
    )


def _reference_keypoints(folder: Path) -> Scores:
    from timing.reference_evaluation import combine_reference, read_frames, reference_keypoint_hota

    files = sorted((folder / "truth" / "posetrack_data" / "val").iterdir())
    return combine_reference(
        [reference_keypoint_hota(read_frames(file, folder / "poses" / file.name)) for file in files]
    )


def _trackeval(folder: Path) -> Scores:
    """Return box HOTA of the TrackEval package, on boxes of the reference implementation."""
    from timing.reference_evaluation import read_boxes
    from trackeval.metrics import HOTA

    metric, ground_truth = HOTA(), folder / "truth" / "posetrack_mot" / "mot" / "val"
    names = sorted(path.name for path in ground_truth.iterdir())
    scores = {
        name: metric.eval_sequence(read_boxes(ground_truth / name, folder / "boxes" / f"{name}.txt"))
        for name in names
    }
    return metric.combine_sequences(scores)


def _compare(ours: "Evaluation", keypoints: Scores, boxes: Scores) -> None:
    """Print the largest differences; exit if the scores are not the same."""
    for measure, reference in ((KEYPOINTS, keypoints), (BOXES, boxes)):
        scores = ours.measures[measure].combined
        shared = reference.keys() & scores.keys()
        worst = max(float(abs(scores[name] - reference[name]).max()) for name in shared)
        print(f"{measure}: {len(shared)} fields, largest difference {worst:.1e}")
        if not worst <= SAME or "HOTA" not in shared:
            sys.exit("The implementations do not give the same scores.")


if __name__ == "__main__":
    main()
