"""A benchmark of two tiny videos in PoseTrack21's layout, and networks that log their calls."""

import json
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from eval.bench.run import run_bench
from kprtrack.build import build_networks
from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Detections, Frame, Poses, empty_poses
from kprtrack.core.skeleton import POSETRACK_KEYPOINTS
from kprtrack.pipeline import Networks
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.weights import save

FRAMES, HEIGHT, WIDTH = 6, 96, 160
VIDEOS = ("000001_tiny_test", "000002_tiny_test")
PEOPLE = np.array([[10, 10, 24, 72], [90, 12, 24, 72]], np.float64)  # x y w h in the first frame
_MINI = KprConfig(
    backbone="swin_mini", height=64, width=32, parts=5, prompt_groups="cck6", fused_width=32, dimensions=8
)


NO_REID = ComponentConfig("none")


def make_root(root: Path, videos: tuple[str, ...] = VIDEOS) -> Path:
    """Write videos of two people who walk to the right, in different colours."""
    for number, name in enumerate(videos, start=1):
        _make_video(root, name, number)
    return root


def file_config(root: Path, reid: ComponentConfig = NO_REID) -> TrackConfig:
    """Return a configuration with ground truth boxes and poses instead of networks."""
    ground_truth = str(root / "posetrack_data" / "val")
    return TrackConfig(
        ComponentConfig("file", ground_truth),
        ComponentConfig("file", ground_truth),
        reid,
        device="cpu",
        threads=1,
        backend="torch",  # exporting a network takes longer than running it here
    )


def run_until_killed(root: Path, out: Path, log: Path) -> None:
    """Run the benchmark; the process kills itself when the second video is embedded."""

    def build(config: TrackConfig) -> Networks:
        networks = counting(log, config)

        def embed(*arguments: Any) -> Any:
            if "embed" in log.read_text():
                os.kill(os.getpid(), signal.SIGKILL)
            return networks.embed(*arguments)

        return replace(networks, embed=embed)

    run_bench(root, out, file_config(root), build=build)


def mini_kpr(path: Path) -> ComponentConfig:
    """Save a small encoder with prompts and return its configuration."""
    torch.manual_seed(1)
    model = Kpr(_MINI)
    torch.nn.init.normal_(model.prompt_tokens.conv.weight)
    save(path, model)
    return ComponentConfig("kpr", str(path))


def counting(log: Path, config: TrackConfig) -> Networks:
    """Return the networks of `config`; each call is a line in `log`, also from other processes."""
    networks = build_networks(config)
    log_call(log, "build")

    def counted(name: str, call):  # type: ignore[no-untyped-def]
        def run(frames, *rest):  # type: ignore[no-untyped-def]
            log_call(log, name)
            return call(frames, *rest)

        return run

    return replace(
        networks,
        detect=counted("detect", networks.detect),
        estimate_poses=counted("pose", networks.estimate_poses),
        embed=counted("embed", networks.embed),
    )


def fake_networks(log: Path, config: TrackConfig) -> Networks:
    """Return networks that output the people of `make_root`, logged as in `counting`."""

    def detect(frames: list[Frame]) -> list[Detections]:
        log_call(log, "detect")
        return [
            Detections((_corners(PEOPLE) + [3 * f.number, 0] * 2).astype(np.float32), np.ones(2, np.float32))
            for f in frames
        ]

    def estimate_poses(frames: list[Frame], people: list[Detections]) -> list[Poses]:
        log_call(log, "pose")
        return [empty_poses(len(found)) for found in people]

    def embed(frames: list[Frame], people: list[Detections], poses: list[Poses]) -> list[Appearance]:
        log_call(log, "embed")
        return [empty_appearance(len(found)) for found in people]

    return Networks(detect, estimate_poses, embed, {})


def counter(log: Path) -> "partial[Networks]":
    """Return a builder that can be pickled."""
    return partial(counting, log)


def log_call(log: Path, word: str) -> None:
    with log.open("a") as file:
        file.write(f"{word}\n")


def logged_calls(log: Path) -> list[str]:
    """Return the calls since the last time, and empty the log."""
    words = log.read_text().split() if log.exists() else []
    log.write_text("")
    return words


def _corners(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _make_video(root: Path, name: str, number: int) -> None:
    images, annotations, rows = [], [], []
    folder = root / "images" / "val" / name
    folder.mkdir(parents=True)
    for frame in range(FRAMES):
        boxes = PEOPLE + np.array([3.0 * frame, 0, 0, 0])
        image_id = 10_000_000_000 + number * 10_000 + frame
        # The order differs from that of the names: the order of the ground truth applies.
        file = folder / f"{FRAMES - frame:06d}.png"
        _draw(boxes, number).save(file)
        images.append(_image(file.relative_to(root), image_id, number))
        for person, box in enumerate(boxes):
            annotations.append(_annotation(image_id, len(annotations), person, box, number))
            rows.append(f"{frame + 1},{person},{','.join(f'{x:g}' for x in box)},1,-1,-1,-1\n")
    _write(root / "posetrack_data" / "val" / f"{name}.json", _document(images, annotations))
    boxes_folder = root / "posetrack_mot" / "mot" / "val" / name
    info = [{**image, "frame_index": i} for i, image in enumerate(images, start=1)]
    _write(boxes_folder / "image_info.json", json.dumps(info))
    _write(boxes_folder / "gt" / "gt.txt", "".join(rows))


def _draw(boxes: np.ndarray, number: int) -> Image.Image:
    image = np.full((HEIGHT, WIDTH, 3), 40 * number, np.uint8)
    for (x, y, width, height), colour in zip(boxes.astype(int), [(200, 30, 30), (30, 30, 200)], strict=True):
        image[y : y + height, x : x + width] = colour
    return Image.fromarray(image)


def _image(file: Path, image_id: int, number: int) -> dict[str, object]:
    return {
        "file_name": file.as_posix(),
        "id": image_id,
        "frame_id": image_id,
        "vid_id": f"{number:06d}",
        "nframes": FRAMES,
        "is_labeled": True,
        "has_labeled_person": True,
        "ignore_regions_x": [],
        "ignore_regions_y": [],
    }


def _annotation(image_id: int, number: int, person: int, box: np.ndarray, video: int) -> dict[str, object]:
    x, y, width, height = box.tolist()
    across = np.linspace(0.2, 0.8, 17)
    points = np.stack([x + across * width, y + np.linspace(0.05, 0.95, 17) * height, np.ones(17)], axis=1)
    points[3:5] = 0  # the ears are never labelled
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "track_id": person,
        "person_id": 10 * video + person,
        "bbox": [x, y, width, height],
        "bbox_head": [x, y, width, 12.0],
        "keypoints": points.reshape(-1).tolist(),
    }


def _document(images: list[dict[str, object]], annotations: list[dict[str, object]]) -> str:
    categories = [{"id": 1, "name": "person", "keypoints": list(POSETRACK_KEYPOINTS)}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
