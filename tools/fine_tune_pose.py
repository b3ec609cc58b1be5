"""Fine-tune PP-TinyPose as the pose network of the package: at 256x192, or at a smaller or narrower input.

    python tools/fine_tune_pose.py --origin tinypose_256x192.onnx --out RUN --input-height 192 \
        --input-width 128 --source PERSON/train/sports.json:0.3 PERSON/train/everyday.json:0.7 \
        --cutouts PERSON/cutouts

The teacher is the origin: it sees the clean crop of a person and its mirror image at 256x192; the student is
to predict the mean heatmaps from the same crop after people, objects and the edge of the frame have been put
over it. Keypoints that people labelled replace heatmaps of the teacher that lie elsewhere. The lists are
those of tools/make_person_data.py; SHARE is the probability with which a list is drawn from.

The same command resumes an interrupted run. RUN/weights.safetensors is the moving average.
"""

import argparse
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from pose_tuning.examples import HEIGHT, WIDTH, PairMaker, read_examples
from pose_tuning.targets import middle_columns, targets

from kprtrack.core.atomic_file import write_file
from kprtrack.inference.compile import normalised
from kprtrack.inference.devices import ComputeConfig
from kprtrack.inference.pixels import IMAGENET_PIXELS
from kprtrack.poses.heatmap import HeatmapConfig, HeatmapPose
from kprtrack.poses.lite_hrnet import LiteHrnet, load_tinypose_onnx
from kprtrack.poses.shapes import LiteHrnetShape
from kprtrack.poses.small_network import load_small_pose, small_pose_file
from kprtrack.training.ema import Ema
from kprtrack.training.optimiser import set_learning_rate, weight_decay_groups

_SAVE_EVERY_S = 180.0
_CLIP, _EMA, _EMA_RAMP, _WARMUP, _FLOOR = 5.0, 0.998, 60, 60, 0.02


def main() -> None:
    """Train, or resume."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--origin", type=Path, required=True, help="tinypose_256x192.onnx: also the teacher")
    parser.add_argument("--source", nargs="+", required=True, metavar="LIST.json:SHARE")
    parser.add_argument("--cutouts", type=Path, required=True, help="folder of people to paste, .npz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="initial weights; default: the origin's")
    parser.add_argument("--input-height", type=int, default=256, help="pixels")
    parser.add_argument("--input-width", type=int, help="pixels; default: 3/4 of the height, at most that")
    parser.add_argument("--samples", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak", type=float, default=3e-4, help="learning rate")
    parser.add_argument("--clean", type=float, default=0.5, help="share of crops without occlusion")
    parser.add_argument("--paste", type=float, default=0.3, help="share of the others with a person in front")
    parser.add_argument("--seed", type=int, default=1)
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """Train to the end."""
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    shape = _shape(options)
    maker = _pair_maker(options, shape.input_width / shape.input_height)
    compute = ComputeConfig("cpu", threads=1, batch=options.batch)
    teacher = HeatmapPose(HeatmapConfig(), options.origin, compute).heatmaps
    network = LiteHrnet(shape)
    start = load_small_pose(options.init) if options.init else load_tinypose_onnx(options.origin)
    network.load_state_dict(start.state_dict())
    network.train().to(memory_format=torch.channels_last)
    ema = Ema(network, _EMA, _EMA_RAMP)
    optimiser = torch.optim.AdamW(weight_decay_groups(network, 1e-3), lr=options.peak)
    state, first = options.out / "state.pt", 0
    if state.exists():
        stored = torch.load(state, weights_only=True)
        network.load_state_dict(stored["network"])
        ema.load_state_dict(stored["ema"])
        optimiser.load_state_dict(stored["optimiser"])
        first = stored["step"]
    steps, saved, losses = options.samples // options.batch, time.monotonic(), []
    print(f"steps {first} to {steps}", flush=True)
    for step in range(first, steps):
        rng = np.random.default_rng((options.seed, step))
        pairs = [maker.pair(rng) for _ in range(options.batch)]
        wanted = torch.from_numpy(targets(pairs, teacher, shape))
        crops = _to_input(np.stack([each.occluded for each in pairs]), shape, rng)
        cosine = (1 + math.cos(math.pi * step / steps)) / 2
        rate = options.peak * min(1.0, (step + 1) / _WARMUP) * (_FLOOR + (1 - _FLOOR) * cosine)
        set_learning_rate(optimiser, rate)
        found = network(normalised(crops, IMAGENET_PIXELS).contiguous(memory_format=torch.channels_last))
        loss = (found - wanted).square().sum((2, 3)).mean()
        if not math.isfinite(loss.item()):
            raise SystemExit(f"fine_tune_pose: the loss of step {step} is {loss.item()}; lower --peak.")
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimiser.step()
        ema.update(network)
        losses.append(loss.item())
        if (step + 1) % 25 == 0:
            print(
                f"step {step + 1} of {steps}: loss {np.mean(losses[-50:]):.4f}, rate {rate:.1e}", flush=True
            )
        if time.monotonic() - saved > _SAVE_EVERY_S or step + 1 == steps:
            parts = {"network": network.state_dict(), "ema": ema.state_dict()}
            part = state.with_suffix(".part")
            torch.save({**parts, "optimiser": optimiser.state_dict(), "step": step + 1}, part)
            part.replace(state)
            write_file(options.out / "weights.safetensors", small_pose_file(ema.mean))
            saved = time.monotonic()


def _shape(options: argparse.Namespace) -> LiteHrnetShape:
    full = options.input_height * WIDTH // HEIGHT
    shape = LiteHrnetShape(options.input_height, options.input_width or full)
    if shape.input_width > full:
        raise SystemExit(
            f"fine_tune_pose: --input-width {shape.input_width} is over {full}, what the teacher sees."
        )
    return shape


def _pair_maker(options: argparse.Namespace, aspect: float) -> PairMaker:
    sources = [source.rpartition(":") for source in options.source]
    people = [each for file, _, share in sources for each in read_examples(Path(file), float(share))]
    cutouts = [dict(np.load(path)) for path in sorted(options.cutouts.glob("*.npz"))]
    print(f"{len(people)} people, {len(cutouts)} cut-outs")
    return PairMaker(people, cutouts, clean=options.clean, paste=options.paste, aspect=aspect)


def _to_input(crops: np.ndarray, shape: LiteHrnetShape, rng: np.random.Generator) -> torch.Tensor:
    size = (shape.input_height * WIDTH // HEIGHT, shape.input_height)
    if crops.shape[1] != shape.input_height:
        ways = (cv2.INTER_AREA, cv2.INTER_LINEAR)
        crops = np.stack(
            [cv2.resize(each, size, interpolation=ways[int(rng.random() < 0.5)]) for each in crops]
        )
    return torch.from_numpy(middle_columns(crops, shape.input_width, axis=2))


if __name__ == "__main__":
    main()
