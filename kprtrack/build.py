"""Configuration -> detector, pose estimator, encoder, tracker: the only wiring."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from kprtrack.config import ComponentConfig, TrackConfig, configure
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.renamed import COMPONENTS
from kprtrack.hub.store import ModelFile, find
from kprtrack.inference.devices import BackendName, ComputeConfig, usable_cores
from kprtrack.pipeline import Detector, Network, Networks, PoseEstimator, ReidEncoder, Tracker
from kprtrack.trackers import TRACKERS

FILE = "file"  # boxes or keypoints from a file instead of a network
NO_REID = "none"  # no encoder: position and pose alone

# Weights of a component for which none are named, by role and name: `small` is in the package, the others are
# published.
DEFAULT_WEIGHTS: dict[str, dict[str, str]] = {
    "detector": {
        "small": "small-detector",
        **{f"yolox-{size}": f"yolox-{size}-coco" for size in ("nano", "tiny", "s", "m", "l", "x")},
    },
    "pose": {
        "small": "small-pose",
        "hrnet-w32": "hrnet-w32-coco-256-udp",
        "hrnet-w48": "hrnet-w48-coco-256-udp",
    },
    "reid": {"small": "small-kpr", "kpr": "kpr-multi"},
}


def network_table(role: str) -> Mapping[str, tuple[type[Network], Any]]:
    """DETECTORS, POSES or REID_ENCODERS for the role "detector", "pose" or "reid"; imports torch."""
    if role == "detector":
        from kprtrack.detectors import DETECTORS

        return DETECTORS
    if role == "pose":
        from kprtrack.poses import POSES

        return POSES
    from kprtrack.reid_encoders import REID_ENCODERS

    return REID_ENCODERS


def takes_prompts(reid_encoder: str) -> bool:
    """Whether the ReID encoder of that name is prompted by keypoints; False for an unknown name."""
    entry = network_table("reid").get(reid_encoder)
    return entry is not None and getattr(entry[0], "takes_prompts", False)


def build_tracker(part: ComponentConfig, fps: float) -> Tracker:
    """A tracker for one video of `fps` frames per second."""
    if part.name not in TRACKERS:
        raise unknown_name("tracker", part.name, TRACKERS)
    tracker, config = TRACKERS[part.name]
    return tracker(configure(config, part.options), fps)


def build_networks(config: TrackConfig) -> Networks:
    """The three networks with their weights on their device.

    Raises: UserError for unknown names and options, WeightsError for weights that are missing or do not fit.
    """
    parts = {"detector": config.detector, "pose": config.pose, "reid": config.reid}
    # Find every file before the first is loaded: a missing one is reported at once.
    files = {role: weights_of(role, part) for role, part in parts.items()}
    compute = compute_config(config)
    configure_threads(compute)
    guard = enough_memory(config, compute)
    with guard:
        detect = build_detector(config.detector, compute)
        estimate_poses = build_pose_estimator(config.pose, compute)
        embed = build_reid_encoder(config.reid, compute)
    built: dict[str, Network] = {"detector": detect, "pose": estimate_poses, "reid": embed}
    metadata = {role: _metadata(part, files[role], built[role]) for role, part in parts.items()}
    metadata["compute"] = {"device": compute.device, "precision": compute.precision}
    guard = enough_memory(config, compute)
    return Networks(guard(detect), guard(estimate_poses), guard(embed), metadata)


def build_detector(part: ComponentConfig, compute: ComputeConfig) -> Detector:
    """A detector with its weights. Raises: as build_networks."""
    from kprtrack.detectors import DETECTORS

    path, options = _weights_and_options("detector", part)
    detector, config = DETECTORS[part.name]
    return detector(configure(config, options), path, compute)


def build_pose_estimator(part: ComponentConfig, compute: ComputeConfig) -> PoseEstimator:
    """A pose estimator with its weights. Raises: as build_networks."""
    from kprtrack.poses import POSES

    path, options = _weights_and_options("pose", part)
    estimator, config = POSES[part.name]
    return estimator(configure(config, options), path, compute)


def build_reid_encoder(part: ComponentConfig, compute: ComputeConfig) -> ReidEncoder:
    """A ReID encoder with its weights. Raises: as build_networks."""
    from kprtrack.reid_encoders import REID_ENCODERS

    path, options = _weights_and_options("reid", part)
    encoder, config = REID_ENCODERS[part.name]
    return encoder(configure(config, options), path, compute)


def _weights_and_options(role: str, part: ComponentConfig) -> tuple[Path | None, Mapping[str, Any]]:
    file = weights_of(role, part)
    return (None, part.options) if file is None else (file.path, options_of(part, file))


def weights_of(role: str, part: ComponentConfig) -> ModelFile | None:
    """The weights file of a component; None for one that needs none.

    Raises: UserError if the component has no default weights and none are named, WeightsError if they are
    missing.
    """
    check_name(role, part)
    network, _ = network_table(role)[part.name]
    if network.weights_from == "none":
        return None
    name = part.weights or DEFAULT_WEIGHTS[role].get(part.name)
    if name is None:
        raise UserError(f"--{role} {part.name} needs a file: name one with --{role}-weights FILE.")
    return ModelFile(Path(name), None, "") if network.weights_from == "path" else find(name)


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


def check_name(role: str, part: ComponentConfig) -> None:
    """Raises: UserError for a network that is not known, with the nearest that is."""
    known = network_table(role)
    if part.name not in known:
        kind = {"detector": "detector", "pose": "pose estimator", "reid": "ReID encoder"}[role]
        raise unknown_name(kind, part.name, known, COMPONENTS)


def options_of(part: ComponentConfig, file: ModelFile) -> Mapping[str, Any]:
    """The settings that belong to published weights, under those the user gave."""
    published = file.entry.settings if file.entry else {}
    fixed = ("size", "width")  # said by the part's name
    own = {key.partition(".")[2]: value for key, value in published.items()}
    return {**{key: value for key, value in own.items() if key not in fixed}, **part.options}


def compute_config(config: TrackConfig) -> ComputeConfig:
    """The concrete device, precision, batch size and number of threads.

    Raises: UserError for a device that this machine does not have: nothing falls back by itself.
    """
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
    names: Any = config.precision, config.backend  # of the known ones, see above
    return ComputeConfig(_device(config.device), names[0], config.batch, threads, names[1])


def configure_threads(compute: ComputeConfig) -> None:
    """Set the number of CPU threads of torch, for the whole process."""
    import torch

    if compute.threads:
        torch.set_num_threads(compute.threads)


def _metadata(part: ComponentConfig, file: ModelFile | None, network: Network) -> dict[str, Any]:
    """What the results record of a component, so that a run can be repeated."""
    if file is None:
        return {"name": part.name}
    known = {"weights": file.entry.name} if file.entry else {}
    backend = {"backend": network.backend} if network.backend else {}
    return {
        "name": part.name,
        "file": file.path.name,
        **known,
        "sha256": file.sha256 or None,
        "options": dict(options_of(part, file)),
        **backend,
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
