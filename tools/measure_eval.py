"""Measures the evaluation of PoseTrack21 against the plain way and TrackEval, all in turns in one run.

    python tools/measure_eval.py                              170 sequences, 3 rounds; minutes
    python tools/measure_eval.py --sequences 20 --rounds 1    seconds

The files are made first (tools/timing/val_sized_files.py) and are the same every time. The script stops if
the results differ. docs/benchmarks.md explains the lines.
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

# What the published programs took for such a set on another day, seconds
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
    parser.add_argument("--rounds", type=int, default=3, help="times every way is tried")
    parser.add_argument("--processes", type=int, default=2, help="of ours; the others have one")
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
    plain = {"keypoints": partial(_reference_keypoints, folder), "boxes": partial(_trackeval, folder)}
    ways: dict[str, Callable[[], object]] = {f"ours: {what}": way for what, way in ours.items()}
    ways |= {f"plain: {what}": way for what, way in plain.items()}
    _compare(ways["ours: both"](), ways["plain: keypoints"](), ways["plain: boxes"]())  # and warms up

    times: Times = {name: [] for name in ways}
    for turn in range(rounds):
        for name in list(ways) if turn % 2 else list(ways)[::-1]:
            times[name].append(_timed(ways[name]))
    found = medians(times)
    plain_both = Timing(*(sum(found[f"plain: {what}"][i] for what in plain) for i in (0, 1)))
    print(f"\n{processes} processes, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    print("Seconds by the clock, of all processors in brackets.\n")
    print("| from files to HOTA of | ours | plain | plain / ours, wall | processor | published |")
    print("|---|---|---|---|---|---|")
    both = PUBLISHED_S["keypoints"] + PUBLISHED_S["boxes"]
    for what in ours:
        other = found.get(f"plain: {what}", plain_both)
        _line(what, found[f"ours: {what}"], other, PUBLISHED_S.get(what, both))
    print(f"\npublished TrackEval, HOTA and 3 more metrics of boxes: {PUBLISHED_S['TrackEval, 4 metrics']} s")


def _line(what: str, ours: Timing, plain: Timing, published_s: float) -> None:
    cells = [what, *(f"{spent.wall_s:.2f} ({spent.cpu_s:.2f}) s" for spent in (ours, plain))]
    cells += [f"{plain.wall_s / ours.wall_s:.3g}", f"{plain.cpu_s / ours.cpu_s:.3g}", f"{published_s:.1f} s"]
    print(f"| {' | '.join(cells)} |")


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of a call and all processes it started and ended."""
    wall, cpu = time.perf_counter(), _processor_s()
    call()
    wall = time.perf_counter() - wall
    for process in multiprocessing.active_children():
        process.join()  # else their processor time is not known yet
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
    """Box HOTA by the class of TrackEval's package, on boxes read and cleaned in the plain way."""
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
    """Print how far the numbers are apart; the program ends if they are not the same."""
    for measure, plain in ((KEYPOINTS, keypoints), (BOXES, boxes)):
        scores = ours.measures[measure].combined
        shared = plain.keys() & scores.keys()
        worst = max(float(abs(scores[name] - plain[name]).max()) for name in shared)
        print(f"{measure}: {len(shared)} fields, largest difference {worst:.1e}")
        if not worst <= SAME or "HOTA" not in shared:
            sys.exit("The ways do not give the same numbers.")


if __name__ == "__main__":
    main()
