"""Measure whole processes of `kprtrack VIDEO --out FILE`, with decoding and writing, beside other programs.

    python tools/benchmark_end_to_end.py                    a synthetic video of five people, 1280 x 720
    python tools/benchmark_end_to_end.py --video VIDEO      another video
    python tools/benchmark_end_to_end.py --before CHECKOUT --yolo ENV/bin/python

Each program runs on the first frame alone and on all frames: the first gives the time to the first tracked
frame, the difference the time of the others. All programs alternate in one run. `--before` is a checkout of
an older commit; `--yolo` the Python of an environment with ultralytics, which runs the architecture
YOLO11n-pose at 640 with ByteTrack, untrained: only its speed means something. docs/benchmarks.md has the
tables.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from timing.process import Spent, run

ROOT = Path(__file__).resolve().parents[1]
_BACKENDS = ("onnxruntime", "openvino", "torch")
_YOLO = ROOT / "tools" / "timing" / "reference_yolo.py"


class Program(NamedTuple):
    """Its command, with the number of `{frames}` or their `{end}` in seconds; and the folder of its code."""

    command: Sequence[str]
    root: Path | None = ROOT


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, help="default: a synthetic one")
    parser.add_argument("--people", type=int, default=5, help="people in the synthetic video")
    parser.add_argument("--frames", type=int, default=100, help="frames of the video to track")
    parser.add_argument("--rounds", type=int, default=3, help="how often each program runs")
    parser.add_argument("--backends", nargs="*", default=_BACKENDS, help="of kprtrack; default: %(default)s")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of kprtrack")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="an older commit of kprtrack")
    parser.add_argument("--yolo", type=Path, metavar="PYTHON", help="of an environment with ultralytics")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        video = (options.video or _drawn(options, Path(folder))).resolve()
        programs = _programs(options, video, Path(folder) / "tracks.json")
        found = _measure(programs, options, _frames_a_second(video))
    print("| program | frames/s | processor time a frame | to the first frame | memory |")
    print("|---|---|---|---|---|")
    for name, (first, whole) in found.items():
        others = options.frames - 1
        rate = others / (whole.wall_s - first.wall_s)
        cost = 1e3 * (whole.cpu_s - first.cpu_s) / others
        start = f"{first.cpu_s:.1f} s of processor, {first.wall_s:.1f} s"
        print(f"| {name} | {rate:.1f} | {cost:.0f} ms | {start} | {whole.memory_mb:.0f} MB |")
    print(f"\n{options.frames} frames, load {load:.1f} on {os.cpu_count()} cores when it began.")


def _programs(options: argparse.Namespace, video: Path, out: Path) -> dict[str, Program]:
    track = [
        sys.executable,
        "-m",
        "kprtrack",
        str(video),
        "--out",
        str(out),
        "--device",
        "cpu",
        "--end",
        "{end}",
    ]
    track += [part for each in options.set for part in ("--set", each)]
    programs = {f"kprtrack, {name}": Program([*track, "--backend", name]) for name in options.backends}
    if options.before:
        programs["kprtrack before"] = Program(track, options.before.resolve())
    programs["kprtrack, one person at a time in one thread"] = Program(
        [*track, "--batch", "1", "--threads", "1"]
    )
    if options.yolo:
        programs["YOLO11n-pose + ByteTrack, ultralytics"] = Program(
            [str(options.yolo), str(_YOLO), str(video), "{frames}"], None
        )
    return programs


def _measure(
    programs: dict[str, Program], options: argparse.Namespace, fps: float
) -> dict[str, tuple[Spent, Spent]]:
    spent: dict[str, list[tuple[Spent, Spent]]] = {name: [] for name in programs}
    for _ in range(options.rounds):
        for name, (command, root) in programs.items():
            first, whole = (
                run([part.format(frames=frames, end=(frames - 0.5) / fps) for part in command], root)
                for frames in (1, options.frames)
            )
            spent[name].append((first, whole))
    return {name: _medians(rounds) for name, rounds in spent.items()}


def _medians(rounds: list[tuple[Spent, Spent]]) -> tuple[Spent, Spent]:
    first, whole = (Spent(*map(median, zip(*each, strict=True))) for each in zip(*rounds, strict=True))
    return first, whole


def _frames_a_second(video: Path) -> float:
    from kprtrack.video.source import open_source

    with open_source(video) as source:
        return source.info.fps


def _drawn(options: argparse.Namespace, folder: Path) -> Path:
    from eval.synthetic.benchmark import SyntheticConfig
    from eval.synthetic.files import write_sequence
    from eval.synthetic.scene import Scene

    config = SyntheticConfig(
        1, frames=options.frames, people=options.people, width=1280, height=720, fps=25.0, seed=5
    )
    scene = Scene(config, 0)
    write_sequence(folder, config, scene.name, scene.frames(), video=True)
    return folder / "videos" / f"{scene.name}.mp4"


if __name__ == "__main__":
    main()
