"""Measure the networks and the whole pipeline, with random weights unless real ones are available."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from kprtrack.build import build_networks, build_tracker
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.detectors.suppression import suppress
from kprtrack.detectors.yolox import YoloxConfig, YoloxDetector
from kprtrack.detectors.yolox_network import Yolox, decode
from kprtrack.detectors.yolox_shapes import YoloxSize
from kprtrack.inference.backends import open_network_file
from kprtrack.inference.devices import ComputeConfig
from kprtrack.pipeline import Networks, observe
from kprtrack.poses.hrnet import HrnetConfig, HrnetPose
from kprtrack.poses.hrnet_network import Hrnet
from kprtrack.reid_encoders.kpr import KprEncoder, KprEncoderConfig
from kprtrack.video.source import open_source
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.prompts import make_prompts
from timing.clock import Times, Timing, in_turns, medians, timed
from timing.scenes import five_people, made_up_image, skeletons

HEIGHT, WIDTH = 720, 1280
_FRAMES_AT_ONCE = 8
_PAUSE_S = 0.05  # the threads of onnxruntime wait busily for a while after every call


def yolox(size: YoloxSize, rounds: int) -> dict[str, Timing]:
    """Measure one 720p frame: the network as trained, and ours on the full and on the default canvas."""
    torch.manual_seed(0)
    network = Yolox(size, 80).eval()
    frame, batch = Frame(0, 0.0, made_up_image(HEIGHT, WIDTH)), ComputeConfig(batch=1)
    full = YoloxDetector(YoloxConfig(size=size, padding="full"), network, batch)
    trimmed = YoloxDetector(YoloxConfig(size=size), network, batch)
    side = YoloxConfig(size=size).canvas_hw[0]
    canvas = torch.rand(1, 3, side, side) * 255

    @torch.inference_mode()
    def as_trained() -> None:
        suppress(decode(network(canvas), side, side)[0].numpy(), 0.1, 0.65)

    ways = {
        "reference": as_trained,
        "full canvas": lambda: full([frame]),
        "default": lambda: trimmed([frame]),
    }
    return in_turns(ways, rounds)


def hrnet(rounds: int, people: int = 8) -> dict[str, Timing]:
    """Measure `people` crops of 256 x 192 through HRNet-w32, without flip test."""
    torch.manual_seed(0)
    network = Hrnet(32).eval()
    ours = HrnetPose(HrnetConfig(), network, ComputeConfig())
    crops = np.random.default_rng(0).integers(0, 256, (people, 256, 192, 3), dtype=np.uint8)
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float().contiguous()

    @torch.inference_mode()
    def as_trained() -> None:
        network(pixels)

    return in_turns({"reference": as_trained, "ours": lambda: ours.heatmaps(crops)}, rounds)


def kpr(rounds: int, people: int = 8) -> dict[str, Timing]:
    """Measure `people` prompted crops of one frame through KPR on SwinV2-B, one by one and in one batch."""
    torch.manual_seed(0)
    model = Kpr(KprConfig()).eval()
    reid_encoder = KprEncoder(KprEncoderConfig(), model, ComputeConfig(batch=people))
    image, boxes = made_up_image(HEIGHT, WIDTH), np.concatenate([five_people(WIDTH, HEIGHT, 0)] * 2)[:people]
    found = Detections(boxes, np.ones(len(boxes), np.float32))
    keypoints = skeletons(boxes, np.random.default_rng(0))
    drawn = make_prompts(image, boxes, keypoints, KprConfig().prompts())

    @torch.inference_mode()
    def one_by_one() -> None:
        crops, heatmaps = torch.from_numpy(drawn.crops), torch.from_numpy(drawn.heatmaps)
        for crop, heatmap in zip(crops, heatmaps, strict=True):
            model.embed(crop[None], heatmap[None], vectors="foreground+parts")

    poses = [Poses(keypoints)]
    return in_turns(
        {"reference": one_by_one, "ours": lambda: reid_encoder([Frame(0, 0.0, image)], [found], poses)},
        rounds,
    )


def backends(shared: Path, threads: int, rounds: int) -> dict[str, dict[str, Timing]]:
    """16 crops through a file's network: one call of its backend with all threads, and ours."""
    import onnxruntime
    import openvino

    weights, found = shared / "real" / "weights", {}
    rng, compute = np.random.default_rng(0), ComputeConfig(threads=threads)
    path = weights / "osnet_x0_25_msmt17.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, crops = session.get_inputs()[0].name, rng.standard_normal((16, 3, 256, 128), dtype=np.float32)
    ours = open_network_file(path, compute).run
    ways = {"reference": lambda: session.run(None, {name: crops}), "ours": lambda: ours(crops)}
    found["OSNet x0.25, ONNX"] = in_turns(ways, rounds, pause_s=_PAUSE_S)
    path = weights / "tinypose_256x192_fp16.xml"
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    model = openvino.Core().read_model(path)
    model.reshape([-1, 3, 256, 192])
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    people = rng.standard_normal((16, 3, 256, 192), dtype=np.float32)
    pose = open_network_file(path, compute).run
    ways = {"reference": lambda: request.infer([people]), "ours": lambda: pose(people)}
    found["PP-TinyPose, OpenVINO"] = in_turns(ways, rounds, pause_s=_PAUSE_S)
    return found


def pipeline(shared: Path | None, frames: int) -> tuple[dict[str, Timing], int, int]:
    """Return the total time of each stage over `frames` 720p frames, and the numbers of frames and people."""
    networks, clip, fps = _real(shared, frames) if shared else _made_up(frames)
    totals, boxes = stages(networks, clip, fps)
    return totals, len(clip), boxes.found


class Boxes(NamedTuple):
    """Numbers of detections, and of those with a pose and with an embedding."""

    found: int
    posed: int
    embedded: int


def stages(networks: Networks, clip: list[Frame], fps: float) -> tuple[dict[str, Timing], Boxes]:
    """Return the total times of all stages and of the whole over a clip, and the numbers of boxes."""
    times: Times = {}
    counts: Counter[str] = Counter()

    def measured(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: Any) -> object:
            results: list[object] = []
            if len(arguments) > 1:
                counts[name] += sum(map(len, arguments[1]))
            times.setdefault(name, []).append(timed(lambda: results.append(call(*arguments))))
            return results[0]

        return run

    list(observe(clip[:2], networks, 2))  # warm up
    measured_networks = Networks(
        measured("detector", networks.detect),
        measured("pose", networks.estimate_poses),
        measured("reid", networks.embed),
    )
    tracker = build_tracker(ComponentConfig("kpr"), fps)
    update = measured("tracker", tracker.update)

    def run_all() -> None:
        for observation in observe(clip, measured_networks, _FRAMES_AT_ONCE, tracker):
            counts["found"] += len(observation)
            update(observation)

    whole = timed(run_all)
    totals = {
        name: Timing(sum(w for w, _ in spent), sum(c for _, c in spent)) for name, spent in times.items()
    }
    return {**totals, **medians({"whole": [whole]})}, Boxes(counts["found"], counts["pose"], counts["reid"])


def _made_up(frames: int) -> tuple[Networks, list[Frame], float]:
    """Return YOLOX-s, HRNet-w32 and KPR with random weights, whose outputs are replaced by five people."""
    torch.manual_seed(0)
    compute, rng = ComputeConfig(), np.random.default_rng(0)
    detect = YoloxDetector(YoloxConfig(size="s"), Yolox("s", 80).eval(), compute)
    pose = HrnetPose(HrnetConfig(), Hrnet(32).eval(), compute)
    embed = KprEncoder(KprEncoderConfig(), Kpr(KprConfig()), compute)
    background = made_up_image(HEIGHT, WIDTH)

    def boxes(batch: list[Frame]) -> list[Detections]:
        detect(batch)
        found = [five_people(WIDTH, HEIGHT, frame.number) for frame in batch]
        return [Detections(each, np.full(5, 0.9, np.float32)) for each in found]

    def poses(batch: list[Frame], people: list[Detections]) -> list[Poses]:
        found = pose(batch, people)
        for one, detections in zip(found, people, strict=True):
            one.keypoints[:] = skeletons(detections.boxes, rng)  # random weights give random joints
        return found

    networks = Networks(boxes, poses, embed)
    return networks, [Frame(number, number / 30, background) for number in range(frames)], 30.0


def _real(shared: Path, frames: int) -> tuple[Networks, list[Frame], float]:
    """Return YOLOX-nano, PP-TinyPose and OSNet with real weights, and a street video."""
    weights = shared / "real" / "weights"
    config = TrackConfig(
        detector=ComponentConfig("yolox-nano", str(weights / "yolox_nano_torch_from_onnx.pth")),
        pose=ComponentConfig("heatmap", str(weights / "tinypose_256x192_fp16.xml")),
        reid=ComponentConfig("onnx", str(weights / "osnet_x0_25_msmt17.onnx")),
        device="cpu",
    )
    video = open_source(shared / "real" / "videos" / "rknn_people_walking.mp4")
    clip = [frame for _, frame in zip(range(frames), video, strict=False)]
    return build_networks(config), clip, video.info.fps
