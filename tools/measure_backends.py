"""Measure each network and the whole pipeline on a CPU with every installed backend.

    python tools/measure_backends.py                          networks with random weights; a minute
    python tools/measure_backends.py yolox-nano small-cnn     only these
    python tools/measure_backends.py none --video VIDEO --set reid=kpr       a pipeline on a video

All backends alternate in one run. Times are processor times of all threads. docs/benchmarks.md has the table.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing.clock import Timing, in_turns, timed

_BACKENDS = ("torch", "onnxruntime", "openvino")
_POSES = {"small-pose": (192, 128), "small-pose-accurate": (256, 192)}  # height, width of the input
_NETWORKS = ("yolox-nano", *_POSES, "small-pose-v1", "small-cnn", "hrnet-w32", "swinv2-base")
_PEOPLE = 5  # crops in a batch; detectors get one image at a time


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(_NETWORKS)}; default: all; or none")
    parser.add_argument("--rounds", type=int, default=9, help="how often each backend runs")
    parser.add_argument("--threads", type=int, default=1, help="threads of every network")
    parser.add_argument("--video", type=Path, help="also the whole pipeline on this video")
    parser.add_argument("--frames", type=int, default=32, help="frames of the video in each round")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the pipeline"
    )
    options = parser.parse_args()
    names = [name for name in options.networks or _NETWORKS if name != "none"]
    if unknown := set(names) - set(_NETWORKS):
        parser.error(f"no network {', '.join(sorted(unknown))}; known: {', '.join(_NETWORKS)}")
    # Read when the libraries are loaded, so before the imports in the functions below.
    os.environ.update({"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"})
    load = os.getloadavg()[0]
    print(f"{options.threads} threads, load {load:.1f} on {os.cpu_count()} cores; random weights\n")
    if names:
        print("| network, batch | backend | processor time an image | times torch as trained | difference |")
        print("|---|---|---|---|---|")
    for name in names:
        _network(name, options)
    if options.video:
        _pipeline(options)


def _network(name: str, options: argparse.Namespace) -> None:
    import torch

    from kprtrack.inference.compile import relative_difference
    from kprtrack.inference.devices import ComputeConfig
    from kprtrack.inference.network import open_network
    from kprtrack.inference.source import NetworkSource

    torch.set_num_threads(options.threads)
    network, shapes, count, free_axes = _made(name)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as built it changes nothing, and folding it is exact
            torch.nn.init.uniform_(module.weight, 0.2, 0.8)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    rows = [torch.rand(count, *shape) for shape in shapes]
    example = [torch.rand(2, *shape) for shape in shapes]

    @torch.inference_mode()
    def as_trained() -> tuple[torch.Tensor, ...]:
        found = network(*rows)
        return found if isinstance(found, tuple) else (found,)

    ways: dict[str, Callable[[], Any]] = {"torch, as trained": as_trained}
    for backend in _installed():
        compute = ComputeConfig(threads=options.threads, backend=backend)
        source = NetworkSource(
            lambda: network,
            [one.numpy() for one in example],
            free_axes,
            inputs=[f"input{number}" for number in range(len(example))],
        )
        found = open_network(source, compute)
        arrays = [one.numpy() for one in rows]
        ways[found.backend] = lambda run=found.run, arrays=arrays: run(*arrays)
    wanted = [one.numpy() for one in as_trained()]
    times = in_turns(ways, options.rounds)
    for way, call in ways.items():
        ratio = times["torch, as trained"].cpu_s / times[way].cpu_s
        apart = max(map(relative_difference, map(np.asarray, call()), wanted))
        cost = f"{1e3 * times[way].cpu_s / count:.1f} ms"
        print(f"| {name}, {count} | {way} | {cost} | {ratio:.2f} | {apart:.0e} |", flush=True)


def _installed() -> list[Any]:
    from importlib.util import find_spec

    return [name for name in _BACKENDS if find_spec(name)]


def _made(name: str) -> tuple[Any, list[tuple[int, int, int]], int, tuple[int, ...]]:
    """Return a network with random weights, the shapes of its inputs, the batch size and its dynamic axes."""
    import torch

    from kprtrack.detectors.yolox_network import Yolox
    from kprtrack.poses.hrnet_network import Hrnet
    from kprtrack.poses.lite_hrnet import LiteHrnet
    from kprtrack.poses.shapes import LiteHrnetShape, SmallPoseShape
    from kprtrack.poses.small_network import SmallPose
    from reid.model.config import KprConfig
    from reid.model.kpr import Kpr
    from reid.model.part_vectors import PartVectors

    torch.manual_seed(0)
    if name == "yolox-nano":  # the default canvas of a 16:9 image
        return Yolox("nano", 1).eval(), [(3, 256, 416)], 1, (0, 2, 3)
    if name in _POSES:
        return LiteHrnet(LiteHrnetShape(*_POSES[name])).eval(), [(3, *_POSES[name])], _PEOPLE, (0,)
    if name == "small-pose-v1":
        shape = SmallPoseShape()
        return SmallPose(shape).eval(), [(3, shape.input_height, shape.input_width)], _PEOPLE, (0,)
    if name == "hrnet-w32":
        return Hrnet(32).eval(), [(3, 256, 192)], _PEOPLE, (0,)
    small = KprConfig("small_cnn", 192, 96, parts=5, prompt_groups="cck6", fused_width=256, dimensions=128)
    config = KprConfig() if name == "swinv2-base" else small
    crops = [(channels, config.height, config.width) for channels in (3, config.prompts().channels)]
    return PartVectors(Kpr(config)).eval(), crops, _PEOPLE, (0,)


def _pipeline(options: argparse.Namespace) -> None:
    from timing.networks import stages

    from kprtrack.build import build_networks
    from kprtrack.config import TrackConfig, override
    from kprtrack.video.source import open_source

    with open_source(options.video) as video:
        clip = [frame for _, frame in zip(range(options.frames), video, strict=False)]
    print(
        "\n| backend | detector | pose | reid | tracker | a frame | times torch | boxes, poses, embeddings |"
    )
    print("|---|---|---|---|---|---|---|---|")
    base = 0.0
    for backend in _installed():
        settings = ["device=cpu", f"threads={options.threads}", f"backend={backend}", *options.set]
        networks = build_networks(override(TrackConfig(), settings))
        totals, boxes = stages(networks, clip, video.info.fps)
        costs = {name: 1e3 * total.cpu_s / len(clip) for name, total in totals.items()}
        base = base or costs["whole"]
        cells = [f"{cost:.1f} ms" for cost in costs.values()]
        cells += [f"{base / costs['whole']:.2f}", ", ".join(f"{count / len(clip):.1f}" for count in boxes)]
        print(f"| {backend} | {' | '.join(cells)} |", flush=True)
    spent = Timing(*timed(lambda: _decode(options.video, len(clip))))
    print(f"\nDecoding takes another {1e3 * spent.cpu_s / len(clip):.1f} ms a frame.")


def _decode(path: Path, frames: int) -> None:
    from kprtrack.video.source import open_source

    with open_source(path) as video:
        for _ in zip(range(frames), video, strict=False):
            pass


if __name__ == "__main__":
    main()
