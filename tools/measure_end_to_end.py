"""Measure `kprtrack VIDEO --out FILE` end to end, with decoding and writing.

    python tools/measure_end_to_end.py                    a synthetic video, 1280 x 720, default networks
    python tools/measure_end_to_end.py --video VIDEO      another video
    python tools/measure_end_to_end.py --set pose=hrnet-w32

Wall times; the backends alternate in one run. docs/benchmarks.md has the table.
"""

import argparse
import os
import tempfile
from pathlib import Path

from timing.clock import medians, timed

_BACKENDS = ("torch", "onnxruntime", "openvino")


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, help="default: a synthetic one")
    parser.add_argument("--people", type=int, default=5, help="people in the synthetic video")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of the video to track")
    parser.add_argument("--rounds", type=int, default=3, help="how often each backend runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the pipeline"
    )
    options = parser.parse_args()
    # Read when the libraries are loaded, so before the imports in the functions below.
    os.environ.update({"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"})
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        _measure(options, Path(folder))
    print(f"\n{options.threads} threads, load {load:.1f} on {os.cpu_count()} cores when it began.")


def _measure(options: argparse.Namespace, folder: Path) -> None:
    from importlib.util import find_spec

    from kprtrack import TrackConfig, build_networks, read_tracks, track_video
    from kprtrack.config import override
    from kprtrack.video.clip import Clip

    clip = Clip(options.video or _drawn(options, folder), end_s=options.seconds)
    out = folder / "tracks.json"
    backends = [name for name in _BACKENDS if find_spec(name)]
    settings = ["device=cpu", f"threads={options.threads}", *options.set]
    configs = {name: override(TrackConfig(), [f"backend={name}", *settings]) for name in backends}
    networks = {name: build_networks(config) for name, config in configs.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in backends}
    people = {}
    for turn in range(options.rounds + 1):
        for name in backends:
            spent = timed(lambda name=name: track_video(clip, out, configs[name], networks=networks[name]))
            if turn:  # the first round warms up
                times[name].append(spent)
            frames = read_tracks(out).frames
            people[name] = sum(len(each.ids) for each in frames) / len(frames)
    print("| backend | frames/s | times torch | processor time a frame | people a frame |")
    print("|---|---|---|---|---|")
    found = medians(times)
    for name, spent in found.items():
        ratio, cost = found[backends[0]].wall_s / spent.wall_s, 1e3 * spent.cpu_s / len(frames)
        cells = f"{len(frames) / spent.wall_s:.1f} | {ratio:.2f} | {cost:.0f} ms | {people[name]:.1f}"
        print(f"| {name} | {cells} |")


def _drawn(options: argparse.Namespace, folder: Path) -> Path:
    from eval.synthetic.benchmark import SyntheticConfig
    from eval.synthetic.files import write_sequence
    from eval.synthetic.scene import Scene

    fps = 25.0
    frames = round(options.seconds * fps)
    config = SyntheticConfig(1, frames=frames, people=options.people, width=1280, height=720, fps=fps, seed=5)
    scene = Scene(config, 0)
    write_sequence(folder, config, scene.name, scene.frames(), video=True)
    return folder / "videos" / f"{scene.name}.mp4"


if __name__ == "__main__":
    main()
