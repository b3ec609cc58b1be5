"""Configuration -> detector, pose estimator, encoder, tracker: the only wiring."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kprtrack.config import Part, TrackConfig
from kprtrack.datatypes import Detections, Frame, Poses
from kprtrack.detectors import DETECTORS
from kprtrack.embedders import EMBEDDERS
from kprtrack.models import ModelFile, find
from kprtrack.pipeline import Networks
from kprtrack.poses import POSES
from kprtrack.runtime import Runtime
from kprtrack.trackers import TRACKERS, Tracker
from reid.appearance import Appearance, empty_appearance
from reid.errors import UserError, WeightsError, unknown_name

GIVEN = "given"  # boxes or keypoints from a file instead of a network
NO_REID = "none"  # no encoder: position and pose alone

TAKE_ONNX = ("heatmap", "onnx", "ultralytics")

# Published weights a name stands for when none are named.
DEFAULT_WEIGHTS = {
    **{f"yolox-{size}": f"yolox-{size}-coco" for size in ("nano", "tiny", "s", "m", "l", "x")},
    "hrnet-w32": "hrnet-w32-coco-256-udp",
    "hrnet-w48": "hrnet-w48-coco-256-udp",
    "kpr": "kpr-multi",
}


def detector_names() -> list[str]:
    """What `--detector` takes."""
    return [*DETECTORS, GIVEN]


def pose_names() -> list[str]:
    """What `--pose` takes."""
    return [*POSES, GIVEN]


def embedder_names() -> list[str]:
    """What `--reid` takes."""
    return [*EMBEDDERS, NO_REID]


def build_tracker(part: Part, fps: float) -> Tracker:
    """A tracker for one video of `fps` frames per second."""
    if part.name not in TRACKERS:
        raise unknown_name("tracker", part.name, TRACKERS)
    return TRACKERS[part.name](part.options, fps)


def build_networks(config: TrackConfig) -> Networks:
    """The three networks with their weights on their device.

    Raises: UserError for unknown names and options, WeightsError for weights that are missing or do not fit.
    """
    _check_names(config)
    # Look for every file first: a missing third model is told before the first is loaded.
    parts = {"detector": config.detector, "pose": config.pose, "reid": config.reid}
    files = {role: weights_of(role, part) for role, part in parts.items()}
    runtime = _runtime(config)
    facts = {role: _facts(part, files[role]) for role, part in parts.items()}
    with _enough_memory(config, runtime):
        networks = Networks(
            detect=_detect(config.detector, files["detector"], runtime),
            estimate_poses=_estimate_poses(config.pose, files["pose"], runtime),
            embed=_embed(config.reid, files["reid"], runtime),
            facts={**facts, "runtime": {"device": runtime.device, "precision": runtime.precision}},
        )
    guard = _enough_memory(config, runtime)
    return replace(
        networks,
        detect=guard(networks.detect),
        estimate_poses=guard(networks.estimate_poses),
        embed=guard(networks.embed),
    )


def weights_of(role: str, part: Part) -> ModelFile | None:
    """The weights file a part runs on; None for `--reid none`.

    Raises: UserError if the part has no published weights and none are named, WeightsError if they are
    missing or plainly of another kind.
    """
    if part.name == NO_REID:
        return None
    if part.name == GIVEN and part.weights is None:
        raise UserError(f"--{role} given needs a file: --{role}-weights FILE (kprtrack JSON, MOT or COCO).")
    name = part.weights or DEFAULT_WEIGHTS.get(part.name)
    if name is None:
        raise UserError(
            f"--{role} {part.name} has no weights of its own: name a file with --{role}-weights FILE."
        )
    if part.name == GIVEN:
        return ModelFile(Path(name), None, "")
    if part.name not in TAKE_ONNX and Path(name).suffix in (".onnx", ".xml"):
        takers = " or ".join(f"--{role} {taker}" for role, taker in (("pose", "heatmap"), ("reid", "onnx")))
        raise WeightsError(
            f"{name} is an ONNX or OpenVINO network, which only {takers} can run; --{role} {part.name} needs"
            " the weights as .pth, .pth.tar or .safetensors."
        )
    return find(name)


@contextmanager
def _enough_memory(config: TrackConfig, runtime: Runtime) -> Iterator[None]:
    """Raises: UserError that says what to make smaller if the memory of the device or machine is full."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UserError(
            f"The memory of the device '{runtime.device}' is full. Make --batch (now {config.batch}) or --set"
            f" frames_at_once (now {config.frames_at_once}) smaller, free memory that other programs hold, or"
            " take smaller models."
        ) from error


def _check_names(config: TrackConfig) -> None:
    for kind, part, known in (
        ("detector", config.detector, detector_names()),
        ("pose estimator", config.pose, pose_names()),
        ("reid encoder", config.reid, embedder_names()),
    ):
        if part.name not in known:
            raise unknown_name(kind, part.name, known)


def _detect(
    part: Part, file: ModelFile | None, runtime: Runtime
) -> Callable[[list[Frame]], list[Detections]]:
    assert file is not None
    if part.name == GIVEN:
        from kprtrack.detectors.given import load_given_detections

        given = load_given_detections(file.path)
        return lambda frames: given.for_frames([frame.number for frame in frames])
    detector = DETECTORS[part.name](file.path, _options(part, file), runtime)
    return lambda frames: detector([frame.image for frame in frames])


def _estimate_poses(
    part: Part, file: ModelFile | None, runtime: Runtime
) -> Callable[[list[Frame], list[Detections]], list[Poses]]:
    assert file is not None
    if part.name == GIVEN:
        from kprtrack.poses.given import load_given_poses

        given = load_given_poses(file.path)
        return lambda frames, people: given.for_frames([frame.number for frame in frames], people)
    estimator = POSES[part.name](file.path, _options(part, file), runtime)
    return lambda frames, people: estimator([frame.image for frame in frames], people)


def _embed(
    part: Part, file: ModelFile | None, runtime: Runtime
) -> Callable[[list[Frame], list[Detections], list[Poses]], list[Appearance]]:
    if file is None:
        return lambda frames, people, poses: [empty_appearance(len(found)) for found in people]
    embedder = EMBEDDERS[part.name](file.path, _options(part, file), runtime)
    return lambda frames, people, poses: embedder([frame.image for frame in frames], people, poses)


def _options(part: Part, file: ModelFile) -> Mapping[str, Any]:
    """The settings that belong to published weights, under those the user gave."""
    published = file.entry.settings if file.entry else {}
    fixed = ("size", "width")  # said by the part's name
    own = {key.partition(".")[2]: value for key, value in published.items()}
    return {**{key: value for key, value in own.items() if key not in fixed}, **part.options}


def _facts(part: Part, file: ModelFile | None) -> dict[str, Any]:
    """What the results say of a part, so that a run can be repeated."""
    if file is None:
        return {"name": part.name}
    known = {"weights": file.entry.name} if file.entry else {}
    return {
        "name": part.name,
        "file": file.path.name,
        **known,
        "sha256": file.sha256 or None,
        "options": dict(_options(part, file)),
    }


def _runtime(config: TrackConfig) -> Runtime:
    """The concrete device, after setting the number of CPU threads.

    Raises: UserError for a device that this machine does not have: nothing falls back by itself.
    """
    import torch

    if config.precision not in ("fp32", "fp16", "bf16"):
        raise unknown_name("precision", config.precision, ("fp32", "fp16", "bf16"))
    if config.batch < 1 or config.frames_at_once < 1:
        raise UserError(
            f"batch and frames_at_once must be at least 1, not {config.batch}, {config.frames_at_once}."
        )
    if config.threads is not None and config.threads < 1:
        raise UserError(f"threads must be at least 1, not {config.threads}.")
    threads = (
        config.threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else config.threads
    )
    if threads:
        torch.set_num_threads(threads)
    return Runtime(_device(config.device), config.precision, config.batch, threads)  # type: ignore[arg-type]


def _device(name: str) -> str:
    """`name` with `auto` resolved: CUDA, else Apple's MPS, else the CPU."""
    import torch

    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if has[device])
    kind, _, number = name.partition(":")
    if kind not in has:
        raise unknown_name("device", name, ("auto", *has))
    if not has[kind]:
        there = ", ".join(device for device, present in has.items() if present)
        raise UserError(
            f"--device {name}: this machine has no such device that torch can use. It has: {there}."
        )
    if number and kind != "cuda":
        raise UserError(f"--device {name}: only CUDA devices are numbered; write --device {kind}.")
    if number and not (number.isdigit() and int(number) < torch.cuda.device_count()):
        raise UserError(
            f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, counted from 0."
        )
    return name
