"""Measure whether the tracker becomes slower or larger with the number of people it has ever tracked.

    python tools/benchmark_tracker_past.py                    100 and 100,000 past tracks; about two minutes
    python tools/benchmark_tracker_past.py --past 5000        seconds
    python tools/benchmark_tracker_past.py --set max_lost_tracks=none     without the cap

Both trackers then get the same frames in alternation: once with all people new, so that each is compared with
the lost tracks in every frame (`new`), and once they have been tracked for longer than `reid_window_s`
(`known`). The ratio is the median time of the tracker with many past tracks divided by that with few.
"""

import argparse
import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from timing.clock import Times, medians, timed

if TYPE_CHECKING:
    from kprtrack.core.datatypes import Observation
    from kprtrack.pipeline import BaseTracker

FEW = 100
_GENERATION_FRAMES, _FRAME_S, _PAUSE_S = 4, 0.1, 3.0  # long enough to be confirmed, then to be lost


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--past", type=int, default=100_000, help="past tracks of the larger tracker")
    parser.add_argument("--detections", type=int, default=50, help="people in a frame")
    parser.add_argument("--parts", type=int, default=9)
    parser.add_argument("--dimensions", type=int, default=512, help="length of a part embedding")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a tracker setting")
    options = parser.parse_args()
    # Read when numpy is loaded; threads that wait busily distort all times on a machine with other work.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from kprtrack.build import build_tracker
    from kprtrack.config import TrackConfig, override

    component = override(TrackConfig(), [f"tracker.{setting}" for setting in options.set]).tracker
    shape = options.parts, options.dimensions
    trackers: dict[int, BaseTracker] = {past: build_tracker(component, 30.0) for past in (FEW, options.past)}
    print(f"{options.detections} detections a frame, embeddings of {shape[0]} x {shape[1]} numbers")
    for past, tracker in trackers.items():
        before = _resident_mb()
        for observation in past_people(past, options.detections, shape):
            tracker.update(observation)
        grown = _resident_mb() - before
        print(f"{past:,} past tracks: {grown:.1f} MB", flush=True)
    start_s = _duration_s(options.past, options.detections)
    print(
        "\n| people | past tracks | wall ms a frame | processor ms a frame | ratio, wall | ratio, processor |"
    )
    print("|---|---|---|---|---|---|")
    for kind, times in _times(trackers, options.detections, shape, start_s).items():
        found = medians(times)
        few = found[str(FEW)]
        for past in trackers:
            many = found[str(past)]
            ratios = f"{many.wall_s / few.wall_s:.2f} | {many.cpu_s / few.cpu_s:.2f}"
            print(f"| {kind} | {past:,} | {1e3 * many.wall_s:.2f} | {1e3 * many.cpu_s:.2f} | {ratios} |")


def past_people(
    count: int, detections: int, shape: tuple[int, int], seed: int = 0
) -> Iterator["Observation"]:
    """Yield frames of `count` people, `detections` at a time for 0.4 s; none returns."""
    import numpy as np
    from timing.scenes import skeletons

    from kprtrack.core.appearance import Appearance
    from kprtrack.core.datatypes import Detections, Observation, Poses

    rng = np.random.default_rng(seed)
    columns = math.ceil(math.sqrt(2 * detections))
    for first in range(0, count, detections):
        people = min(detections, count - first)
        # Each in a cell of a grid of its own: no one occludes another.
        cell = np.array([1920 / columns, 1080 / -(-detections // columns)])
        left_top = np.stack(np.divmod(np.arange(people), columns)[::-1], 1) * cell
        left_top += rng.uniform(0, 0.4, (people, 2)) * cell
        boxes = np.concatenate([left_top, left_top + 0.6 * cell], 1).astype(np.float32)
        features = rng.standard_normal((people, *shape), dtype=np.float32)
        features /= np.linalg.norm(features, axis=2, keepdims=True)
        visible = np.ones((people, shape[0]), bool)
        found = Detections(boxes, np.full(people, 0.9, np.float32))
        poses = Poses(skeletons(boxes, rng))
        embeddings = Appearance(features, visible, np.ones(people, bool))
        generation = first // detections
        for frame in range(_GENERATION_FRAMES):
            number = generation * _GENERATION_FRAMES + frame
            yield Observation(number, _time_s(generation, frame), found, poses, embeddings)


def _time_s(generation: int, frame: int) -> float:
    return generation * (_GENERATION_FRAMES * _FRAME_S + _PAUSE_S) + frame * _FRAME_S


def _duration_s(count: int, detections: int) -> float:
    return _time_s(-(-count // detections), 0)


def _times(
    trackers: dict[int, "BaseTracker"], detections: int, shape: tuple[int, int], start_s: float
) -> dict[str, Times]:
    """Times of the same frames, by kind and number of past tracks."""
    from dataclasses import replace

    from timing.scenes import random_walk

    times: dict[str, Times] = {kind: {str(past): [] for past in trackers} for kind in ("new", "known")}
    for observation in random_walk(detections, 120, seed=1, shape=shape):
        later = replace(observation, time_s=start_s + observation.time_s)
        # Confirmed after 0.2 s, and new for 1.5 s more.
        kind = {0: "", 1: "new", 2: "", 3: "known"}[
            sum(later.time_s - start_s > edge for edge in (0.5, 1.5, 2.2))
        ]
        for past in list(trackers) if observation.frame_number % 2 else list(trackers)[::-1]:
            spent = timed(partial(trackers[past].update, later))
            if kind:
                times[kind][str(past)].append(spent)
    return times


def _resident_mb() -> float:
    """Memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
