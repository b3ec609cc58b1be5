"""Measure the time of each part of KPRTrack and of a reference implementation, in the same run.

    python tools/measure_speed.py                        prompts, tracker, networks, pipeline
    python tools/measure_speed.py prompts tracker        only these; seconds instead of minutes
    python tools/measure_speed.py backends pipeline --shared DIR    real weights, and a real video

A ratio is the median time of the reference implementation (tools/timing/reference_*.py) divided by that of
KPRTrack; both alternate in one run. docs/benchmarks.md explains the rows.
"""

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from timing.clock import Times, Timing, in_turns, medians, timed

SECTIONS = ("prompts", "tracker", "networks", "backends", "pipeline")
ROOT = Path(__file__).resolve().parents[1]
# Threads that wait busily distort all times on a machine with other work.
LIBRARY_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
_WARM_UP = 20  # frames until all tracks are confirmed
# Times of the published programs on a similar machine on another day, milliseconds (docs/reference/kpr.md 9,
# docs/reference/tracking_and_evaluation.md 6): printed for orientation, not part of the ratios.
PUBLISHED_PROMPT_MS = {0: 11.1, 2: 32.7}
PUBLISHED_BYTETRACK_MS = {10: 0.51, 50: 2.06, 200: 9.1}


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument(
        "--shared", type=Path, help="folder with real/weights and real/videos, for the pipeline"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of every network")
    parser.add_argument("--rounds", type=int, default=9, help="how often each implementation runs")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; known: {', '.join(SECTIONS)}")
    # Read when the libraries are loaded, so before the imports in the functions below.
    for name, value in LIBRARY_SETTINGS.items():
        os.environ.setdefault(name, value)
    sections = options.sections or SECTIONS
    settings = ", ".join(f"{name}={os.environ[name]}" for name in LIBRARY_SETTINGS)
    print(f"{options.threads} threads, {settings}, load before {_load()}\n")
    print("| part | KPRTrack | reference | ratio, wall | ratio, processor | published, another day |")
    print("|---|---|---|---|---|---|")
    for section in sections:
        MEASURES[section](options)
    print(f"\nload after {_load()}")


def _load() -> str:
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


def _line(
    what: str, ours: Timing, reference: Timing | None = None, *, count: int = 1, published: str = ""
) -> None:
    """Print one row, in milliseconds for one of `count`."""
    cells = [what, f"{1e3 * ours.wall_s / count:.3g} ms", "", "", "", published]
    if reference:
        cells[2] = f"{1e3 * reference.wall_s / count:.3g} ms"
        cells[3:5] = [f"{reference.wall_s / ours.wall_s:.3g}", f"{reference.cpu_s / ours.cpu_s:.3g}"]
    print(f"| {' | '.join(cells)} |", flush=True)


def _prompts(options: argparse.Namespace) -> None:
    import numpy as np
    from timing.reference_prompts import reference_heatmaps, reference_prompts
    from timing.scenes import made_up_image, random_walk

    from reid.model.prompts import PromptConfig, draw_heatmaps, into_crop, make_prompts, whole_pixel_boxes

    config, image = PromptConfig(), made_up_image(1080, 1920)
    seen = next(random_walk(20, 1))
    boxes, keypoints = seen.detections.boxes.copy(), seen.poses.keypoints
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, 1920)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, 1080)
    difference = np.abs(
        make_prompts(image, boxes, keypoints, config).heatmaps
        - reference_prompts(image, boxes, keypoints, config)[1]
    )
    assert difference.max() < 1e-6, "the two implementations draw different heatmaps"
    own = into_crop(keypoints[:1], whole_pixel_boxes(boxes[:1], 1080, 1920)[0], config)[0]
    for negatives, published in PUBLISHED_PROMPT_MS.items():
        others = np.stack([own] * negatives) if negatives else own[None][:0]
        times = in_turns(
            {
                "reference": lambda others=others: reference_heatmaps(own, others, config),
                "ours": lambda others=others: draw_heatmaps(own, others, config),
            },
            options.rounds * 10,
        )
        _line(
            f"heatmaps of a person, {negatives} others in the box",
            times["ours"],
            times["reference"],
            published=f"{published} ms",
        )
    times = in_turns(
        {
            "reference": lambda: reference_prompts(image, boxes, keypoints, config),
            "ours": lambda: make_prompts(image, boxes, keypoints, config),
        },
        options.rounds,
    )
    _line("crop and heatmaps, per person of a frame with 20", times["ours"], times["reference"], count=20)


def _tracker(options: argparse.Namespace) -> None:
    from timing.reference_bytetrack import ReferenceByteTrack
    from timing.scenes import random_walk

    from kprtrack.build import build_tracker
    from kprtrack.config import ComponentConfig, load_config
    from kprtrack.core.datatypes import Observation

    settings = {
        "kpr": ComponentConfig("kpr"),
        "kpr, configs/track/paper.py": load_config(ROOT / "configs" / "track" / "paper.py").tracker,
        "bytetrack": ComponentConfig("bytetrack"),
    }
    for count, published in PUBLISHED_BYTETRACK_MS.items():
        reference = ReferenceByteTrack()
        updates: dict[str, Callable[[Observation], object]] = {
            "reference": lambda seen, reference=reference: reference.update(
                seen.detections.boxes, seen.detections.scores
            ),
            **{name: build_tracker(part, 30.0).update for name, part in settings.items()},
        }
        times: Times = {name: [] for name in updates}
        for seen in random_walk(count, _WARM_UP + 8 * options.rounds):
            for name in list(updates) if seen.frame_number % 2 else list(updates)[::-1]:
                spent = timed(partial(updates[name], seen))
                if seen.frame_number >= _WARM_UP:
                    times[name].append(spent)
        found = medians(times)
        for name in settings:
            what = f"{name}, {count} detections a frame"
            _line(what, found[name], found["reference"], published=f"{published} ms")


def _networks(options: argparse.Namespace) -> None:
    import torch
    from timing.networks import hrnet, kpr, yolox

    torch.set_num_threads(options.threads)
    for size in ("nano", "tiny", "s"):
        times = yolox(size, options.rounds)
        _line(f"YOLOX-{size}, full canvas", times["full canvas"], times["reference"])
        _line(f"YOLOX-{size}, default (trimmed canvas)", times["default"], times["reference"])
    few = max(options.rounds // 3, 2)
    times = hrnet(few)
    _line("HRNet-w32, per crop of 8", times["ours"], times["reference"], count=8)
    times = kpr(few)
    _line("KPR SwinV2-B, per prompted crop of 8", times["ours"], times["reference"], count=8)


def _backends(options: argparse.Namespace) -> None:
    from timing.networks import backends

    if not options.shared:
        print("| ONNX and OpenVINO files: give --shared | | | | | |")
        return
    for name, times in backends(options.shared, options.threads, options.rounds).items():
        _line(f"{name}, per crop of 16", times["ours"], times["reference"], count=16)


def _pipeline(options: argparse.Namespace) -> None:
    import torch
    from timing.networks import pipeline

    torch.set_num_threads(options.threads)
    totals, frames, people = pipeline(options.shared, 16 if options.shared else 4)
    weights = "real" if options.shared else "random"
    for name, total in totals.items():
        what = f"{name}, per 720p frame ({weights} weights, {people / frames:.0f} people)"
        _line(what, total, count=frames)
    per_second = f"{frames / totals['whole'].wall_s:.2f}"
    print(f"| frames per second, whole pipeline ({weights} weights) | {per_second} | | | | |")


MEASURES = dict(zip(SECTIONS, (_prompts, _tracker, _networks, _backends, _pipeline), strict=True))

if __name__ == "__main__":
    main()
