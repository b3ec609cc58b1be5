"""Measure `kprtrack VIDEOS --workers N` against one worker, alternating in one run.

    python tools/measure_many.py                                20 videos, 2 workers, 2 rounds; minutes
    python tools/measure_many.py --videos 4 --rounds 1          about a minute

The videos are cut from the clip of the demo and have different lengths. The frames per second are those from
the start of the first worker on; the start of Ray and the loading of the networks are given beside them. The
script stops if the results of two runs differ. docs/scale.md explains the rows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import av

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "kprtrack" / "demo" / "clip.mp4"
_SHORTEST = 8  # frames


def main() -> None:
    """Print one line for each run, and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "videos").mkdir()
        for index in range(options.videos):
            cut(folder / "videos" / f"v{index:03}.mp4", _SHORTEST + 2 * (index * 7 % options.videos))
        speeds: dict[int, list[float]] = {1: [], options.workers: []}
        for number in range(options.rounds):
            for workers in speeds:
                out = folder / f"{workers}-{number}"
                run = measure(folder / "videos", out, workers)
                speeds[workers].append(run["frames"] / run["working_seconds"])
                start_s = run["seconds"] - run["working_seconds"]
                print(
                    f"{workers} workers: {run['frames']} frames, {speeds[workers][-1]:.2f} frames/s, start"
                    f" {start_s:.1f} s, load {os.getloadavg()[0]:.1f}"
                )
                compare(out, folder / "1-0")
    print(f"ratio of the medians: {median(speeds[options.workers]) / median(speeds[1]):.2f}")


def measure(videos: Path, out: Path, workers: int) -> dict[str, float]:
    """Return the summary of one call; every worker has one thread."""
    words = ["-m", "kprtrack", videos, "--out", out, "--workers", workers, "--threads", 1, "--json", "-"]
    command = [sys.executable, *map(str, words), "--quiet"]
    summary: dict[str, float] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    return summary


def compare(out: Path, first: Path) -> None:
    """Stop if a result differs."""
    for file in first.glob("v*"):
        if file.read_bytes() != (out / file.name).read_bytes():
            sys.exit(f"{out.name}/{file.name} differs from {first.name}/{file.name}")


def cut(path: Path, frames: int) -> None:
    """Write the first frames of the clip of the demo."""
    with av.open(str(CLIP)) as clip, av.open(str(path), "w") as container:
        source = clip.streams.video[0]
        stream = container.add_stream("libx264", rate=source.average_rate)
        stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
        for frame, _ in zip(clip.decode(source), range(frames), strict=False):
            image = av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
