"""Configuration -> detector, pose estimator, encoder, tracker: the only wiring."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from kprtrack.config import ComponentConfig, TrackConfig
from kprtrack.core.appearance import Appearance, empty_appearance
from kprtrack.core.datatypes import Detections, Frame, Poses
from kprtrack.core.errors import UserError, WeightsError, unknown_name
from kprtrack.core.renamed import COMPONENTS
from kprtrack.detectors import DETECTORS
from kprtrack.hub.store import ModelFile, find
from kprtrack.inference.devices import BackendName, ComputeConfig, usable_cores
from kprtrack.pipeline import Networks
from kprtrack.poses import POSES
from kprtrack.reid_encoders import REID_ENCODERS
from kprtrack.trackers import TRACKERS, Tracker

FILE = "file"  # boxes or keypoints from a file instead of a network
NO_REID = "none"  # no encoder: position and pose alone

TAKE_ONNX = ("heatmap", "onnx", "ultralytics")

# Weights a name stands for when none are named: those in the package, else published ones.
DEFAULT_WEIGHTS = {
    **{f"yolox-{size}": f"yolox-{size}-coco" for size in ("tiny", "s", "m", "l", "x")},
    "yolox-nano": "small-detector",
    "small": "small-pose",
    "kpr": "small-kpr",
    "hrnet-w32": "hrnet-w32-coco-256-udp",
    "hrnet-w48": "hrnet-w48-coco-256-udp",
}


def detector_names() -> list[str]:
    """What `--detector` takes."""
    return [*DETECTORS, FILE]


def pose_names() -> list[str]:
    """What `--pose` takes."""
    return [*POSES, FILE]


def reid_encoder_names() -> list[str]:
    """What `--reid` takes."""
    return [*REID_ENCODERS, NO_REID]


def build_tracker(part: ComponentConfig, fps: float) -> Tracker:
    """A tracker for one video of `fps` frames per second."""
    if part.name not in TRACKERS:
        raise unknown_name("tracker", part.name, TRACKERS)
    return TRACKERS[part.name](part.options, fps)


def build_networks(config: TrackConfig) -> Networks:
    """The three networks with their weights on their device.

    Raises: UserError for unknown names and options, WeightsError for weights that are missing or do not fit.
    """
    check_names(config)
    # Look for every file first: a missing third model is told before the first is loaded.
    parts = {"detector": config.detector, "pose": config.pose, "reid": config.reid}
    files = {role: weights_of(role, part) for role, part in parts.items()}
    compute = compute_config(config)
    with enough_memory(config, compute):
        detect = open_detector(config.detector, files["detector"], compute)
        estimate_poses = open_pose_estimator(config.pose, files["pose"], compute)
        embed = _embed(config.reid, files["reid"], compute)
    opened: dict[str, object] = {"detector": detect, "pose": estimate_poses, "reid": embed}
    metadata = {role: _facts(part, files[role]) | _backend_of(opened[role]) for role, part in parts.items()}
    metadata["compute"] = {"device": compute.device, "precision": compute.precision}
    guard = enough_memory(config, compute)
    return Networks(guard(detect), guard(estimate_poses), guard(embed), metadata)


def weights_of(role: str, part: ComponentConfig) -> ModelFile | None:
    """The weights file a part runs on; None for `--reid none`.

    Raises: UserError if the part has no published weights and none are named, WeightsError if they are
    missing or plainly of another kind.
    """
    if part.name == NO_REID:
        return None
    if part.name == FILE and part.weights is None:
        raise UserError(f"--{role} file needs a file: --{role}-weights FILE (kprtrack JSON, MOT or COCO).")
    name = part.weights or DEFAULT_WEIGHTS.get(part.name)
    if name is None:
        raise UserError(
            f"--{role} {part.name} has no weights of its own: name a file with --{role}-weights FILE."
        )
    if part.name == FILE:
        return ModelFile(Path(name), None, "")
    if part.name not in TAKE_ONNX and Path(name).suffix in (".onnx", ".xml"):
        takers = " or ".join(f"--{role} {taker}" for role, taker in (("pose", "heatmap"), ("reid", "onnx")))
        raise WeightsError(
            f"{name} is an ONNX or OpenVINO network, which only {takers} can run; --{role} {part.name} needs"
            " the weights as .pth, .pth.tar or .safetensors."
        )
    return find(name)


@contextmanager
def enough_memory(config: TrackConfig, compute: ComputeConfig) -> Iterator[None]:
    """Raises: UserError that says what to make smaller if the memory of the device or machine is full."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UserError(
            f"The memory of the device '{compute.device}' is full. Make --batch (now {config.batch}) or --set"
            f" frames_at_once (now {config.frames_at_once}) smaller, free memory that other programs hold, or"
            " take smaller models."
        ) from error


def check_names(config: TrackConfig) -> None:
    """Raises: UserError for a network that is not known, with the nearest that is."""
    for kind, part, known in (
        ("detector", config.detector, detector_names()),
        ("pose estimator", config.pose, pose_names()),
        ("reid encoder", config.reid, reid_encoder_names()),
    ):
        if part.name not in known:
            raise unknown_name(kind, part.name, known, COMPONENTS)


def open_detector(
    part: ComponentConfig, file: ModelFile | None, compute: ComputeConfig
) -> Callable[[list[Frame]], list[Detections]]:
    """A detector with its weights. Raises: as build_networks."""
    assert file is not None
    if part.name == FILE:
        from kprtrack.detectors.file import load_file_detections

        stored = load_file_detections(file.path)
        return lambda frames: stored.for_frames([frame.number for frame in frames])
    detector = DETECTORS[part.name](file.path, options_of(part, file), compute)
    return _OnFrames(detector)


def open_pose_estimator(
    part: ComponentConfig, file: ModelFile | None, compute: ComputeConfig
) -> Callable[[list[Frame], list[Detections]], list[Poses]]:
    """A pose estimator with its weights. Raises: as build_networks."""
    assert file is not None
    if part.name == FILE:
        from kprtrack.poses.file import load_file_poses

        stored = load_file_poses(file.path)
        return lambda frames, people: stored.for_frames([frame.number for frame in frames], people)
    estimator = POSES[part.name](file.path, options_of(part, file), compute)
    return _OnFrames(estimator)


def options_of(part: ComponentConfig, file: ModelFile) -> Mapping[str, Any]:
    """The settings that belong to published weights, under those the user gave."""
    published = file.entry.settings if file.entry else {}
    fixed = ("size", "width")  # said by the part's name
    own = {key.partition(".")[2]: value for key, value in published.items()}
    return {**{key: value for key, value in own.items() if key not in fixed}, **part.options}


def compute_config(config: TrackConfig) -> ComputeConfig:
    """The concrete device, after setting the number of CPU threads.

    Raises: UserError for a device that this machine does not have: nothing falls back by itself.
    """
    import torch

    if config.precision not in ("fp32", "fp16", "bf16"):
        raise unknown_name("precision", config.precision, ("fp32", "fp16", "bf16"))
    if config.backend not in get_args(BackendName):
        raise unknown_name("backend", config.backend, get_args(BackendName))
    if config.batch < 1 or config.frames_at_once < 1:
        raise UserError(
            f"batch and frames_at_once must be at least 1, not {config.batch}, {config.frames_at_once}."
        )
    if config.threads is not None and config.threads < 1:
        raise UserError(f"threads must be at least 1, not {config.threads}.")
    threads = config.threads or usable_cores()
    if threads:
        torch.set_num_threads(threads)
    names: Any = config.precision, config.backend  # of the known ones, see above
    return ComputeConfig(_device(config.device), names[0], config.batch, threads, names[1])


def _embed(
    part: ComponentConfig, file: ModelFile | None, compute: ComputeConfig
) -> Callable[[list[Frame], list[Detections], list[Poses]], list[Appearance]]:
    if file is None:
        return lambda frames, people, poses: [empty_appearance(len(found)) for found in people]
    reid_encoder = REID_ENCODERS[part.name](file.path, options_of(part, file), compute)
    return _OnFrames(reid_encoder)


@dataclass(frozen=True)
class _OnFrames:
    """A network of images, for frames."""

    network: Callable[..., Any]

    def __call__(self, frames: list[Frame], *seen: Any) -> Any:
        return self.network([frame.image for frame in frames], *seen)


def _backend_of(opened: object) -> dict[str, str]:
    """What computes a network, if that is a matter of choice."""
    found = getattr(opened.network, "backend", None) if isinstance(opened, _OnFrames) else None
    return {"backend": found} if found else {}


def _facts(part: ComponentConfig, file: ModelFile | None) -> dict[str, Any]:
    """What the results say of a part, so that a run can be repeated."""
    if file is None:
        return {"name": part.name}
    known = {"weights": file.entry.name} if file.entry else {}
    return {
        "name": part.name,
        "file": file.path.name,
        **known,
        "sha256": file.sha256 or None,
        "options": dict(options_of(part, file)),
    }


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
