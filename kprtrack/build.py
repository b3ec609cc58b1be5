"""Builds detector, pose estimator, ReID encoder and tracker from their configuration."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from kprtrack.config import ComponentConfig, TrackConfig, configure
from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.renamed import COMPONENTS
from kprtrack.hub.store import ModelFile, find
from kprtrack.inference.devices import BackendName, ComputeConfig, usable_cores, usable_device
from kprtrack.pipeline import BaseTracker, Detector, Network, Networks, PoseEstimator, ReidEncoder
from kprtrack.trackers import TRACKERS

FILE = "file"  # boxes or keypoints from a file instead of a network
NO_REID = "none"  # no encoder: position and pose alone
_CPU_BATCH = 8

# Weights of a component for which none are named, by role and name: `small` is in the package, the others are
# published.
DEFAULT_WEIGHTS: dict[str, dict[str, str]] = {
    "detector": {
        "small": "small-detector",
        "rtmo": "rtmo-s-body7",
        "yolox-onnx": "yolox-tiny-coco-onnx",
        **{f"yolox-{size}": f"yolox-{size}-coco" for size in ("nano", "tiny", "s", "m", "l", "x")},
    },
    "pose": {
        "small": "small-pose",
        "small-accurate": "small-pose-accurate",
        "hrnet-w32": "hrnet-w32-coco-256-udp",
        "hrnet-w48": "hrnet-w48-coco-256-udp",
        "rtmpose": "rtmpose-s-body7",
    },
    "reid": {"small": "small-kpr", "kpr": "kpr-multi"},
}


def network_table(role: str) -> Mapping[str, tuple[type[Network], Any]]:
    """DETECTORS, POSES or REID_ENCODERS for the role "detector", "pose" or "reid"."""
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
    from kprtrack.reid_encoders import REID_ENCODERS

    return reid_encoder in REID_ENCODERS and REID_ENCODERS[reid_encoder][0].takes_prompts


def poses_from_detector(pose: str) -> bool:
    """Whether the pose estimator of that name is made with the detector in place of weights."""
    known = network_table("pose")
    return pose in known and known[pose][0].weights_from == "detector"


def build_tracker(component: ComponentConfig | str, fps: float) -> BaseTracker:
    """Build a tracker for one video.

    Args:
        component: Name and options; a name alone takes the defaults.
        fps: Observations per second of video (the frame rate divided by the stride).

    Returns:
        A tracker without tracks.

    Raises:
        UserError: Unknown name or option, or a value outside its range.

    Examples:
        >>> from kprtrack import build_tracker
        >>> build_tracker("kpr", fps=25).output_delay_s
        2.0
    """
    component = ComponentConfig(component) if isinstance(component, str) else component
    if component.name not in TRACKERS:
        raise unknown_name("tracker", component.name, TRACKERS)
    tracker, config = TRACKERS[component.name]
    return tracker(configure(config, component.options), fps)


def build_networks(config: TrackConfig) -> Networks:
    """Load the three networks.

    Args:
        config: Components, device, precision, batch size, threads and backend.

    Returns:
        The networks. Each call raises UserError if the memory of the device is full.

    Raises:
        UserError: Unknown name or option, or a device that this machine does not have.
        WeightsError: Weights are missing or do not fit.

    Examples:
        >>> from kprtrack import TrackConfig, build_networks
        >>> networks = build_networks(TrackConfig(device="cpu", reid="none"))
        >>> networks.metadata["detector"]["weights"]
        'small-detector'
    """
    components = {"detector": config.detector, "pose": config.pose, "reid": config.reid}
    # Find every file before the first is loaded: a missing one is reported at once.
    files = {role: weights_of(role, component) for role, component in components.items()}
    compute = compute_config(config)
    guard = enough_memory(config, compute)
    with guard:
        detect = build_detector(config.detector, compute)
        estimate_poses = build_pose_estimator(config.pose, compute, detect)
        embed = build_reid_encoder(config.reid, compute)
    built: dict[str, Network] = {"detector": detect, "pose": estimate_poses, "reid": embed}
    metadata = {
        role: _metadata(component, files[role], built[role]) for role, component in components.items()
    }
    metadata["compute"] = {"device": compute.device, "precision": compute.precision}
    guard = enough_memory(config, compute)
    return Networks(guard(detect), guard(estimate_poses), guard(embed), metadata, estimate_poses.skeleton)


def build_detector(component: ComponentConfig | str, compute: ComputeConfig) -> Detector:
    """Load a detector.

    Args:
        component: Name, weights and options; a name alone takes the defaults.
        compute: Device, precision, batch size, threads and backend.

    Returns:
        The detector.

    Raises:
        UserError: Unknown name or option.
        WeightsError: Weights are missing or do not fit.

    Examples:
        >>> import numpy as np
        >>> from kprtrack import ComputeConfig, Frame, build_detector
        >>> detect = build_detector("small", ComputeConfig("cpu"))
        >>> detections, = detect([Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8))])
        >>> detections.boxes.shape
        (0, 4)
    """
    from kprtrack.detectors import DETECTORS

    component, path, options = _resolved("detector", component)
    detector, config = DETECTORS[component.name]
    return detector(configure(config, options), path, compute)


def build_pose_estimator(
    component: ComponentConfig | str, compute: ComputeConfig, detector: Detector | None = None
) -> PoseEstimator:
    """Load a pose estimator.

    Args:
        component: Name, weights and options; a name alone takes the defaults.
        compute: Device, precision, batch size, threads and backend.
        detector: That of the run, for estimators that take their poses from it (`rtmo`).

    Returns:
        The pose estimator.

    Raises:
        UserError: Unknown name or option.
        WeightsError: Weights are missing or do not fit.

    Examples:
        >>> import numpy as np
        >>> from kprtrack import ComputeConfig, Detections, Frame, build_pose_estimator
        >>> estimate_poses = build_pose_estimator("small", ComputeConfig("cpu"))
        >>> detections = Detections(np.float32([[8, 4, 40, 44]]), np.float32([0.9]))
        >>> poses, = estimate_poses([Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8))], [detections])
        >>> poses.keypoints.shape
        (1, 17, 3)
    """
    from kprtrack.poses import POSES

    component, path, options = _resolved("pose", component)
    estimator, config = POSES[component.name]
    weights = detector if poses_from_detector(component.name) else path
    return estimator(configure(config, options), weights, compute)


def build_reid_encoder(component: ComponentConfig | str, compute: ComputeConfig) -> ReidEncoder:
    """Load a ReID encoder.

    Args:
        component: Name, weights and options; a name alone takes the defaults.
        compute: Device, precision, batch size, threads and backend.

    Returns:
        The encoder.

    Raises:
        UserError: Unknown name or option.
        WeightsError: Weights are missing or do not fit.

    Examples:
        >>> import numpy as np
        >>> from kprtrack import ComputeConfig, Detections, Frame, build_reid_encoder, empty_poses
        >>> embed = build_reid_encoder("small", ComputeConfig("cpu"))
        >>> detections = Detections(np.float32([[8, 4, 40, 44]]), np.float32([0.9]))
        >>> frame = Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8))
        >>> embeddings, = embed([frame], [detections], [empty_poses(1)])
        >>> len(embeddings), embeddings.prompted.tolist()  # no keypoint was known
        (1, [False])
    """
    from kprtrack.reid_encoders import REID_ENCODERS

    component, path, options = _resolved("reid", component)
    encoder, config = REID_ENCODERS[component.name]
    return encoder(configure(config, options), path, compute)


def _resolved(
    role: str, component: ComponentConfig | str
) -> tuple[ComponentConfig, Path | None, Mapping[str, Any]]:
    """The component, the path of its weights, and its options over those of published weights."""
    component = ComponentConfig(component) if isinstance(component, str) else component
    file = weights_of(role, component)
    if file is None:
        return component, None, component.options
    return component, file.path, options_of(component, file)


def weights_of(role: str, component: ComponentConfig) -> ModelFile | None:
    """Find the weights file of a component.

    Args:
        role: detector, pose or reid.
        component: Name and weights.

    Returns:
        The file; None for a component that needs none.

    Raises:
        UserError: Unknown name, or no weights are named and there are no default ones.
        WeightsError: The weights are missing.
    """
    check_name(role, component)
    network, _ = network_table(role)[component.name]
    if network.weights_from == "detector" and component.weights:
        raise UserError(f"--pose {component.name} has the weights of the detector: leave --pose-weights out.")
    if network.weights_from in ("none", "detector"):
        return None
    name = weights_name(role, component)
    if name is None:
        raise UserError(f"--{role} {component.name} needs a file: name one with --{role}-weights FILE.")
    return ModelFile(Path(name), None, "") if network.weights_from == "path" else find(name)


def weights_name(role: str, component: ComponentConfig) -> str | None:
    """Return the file or the name of the weights of a component; None if it names none and has no default."""
    return component.weights or DEFAULT_WEIGHTS[role].get(component.name)


@contextmanager
def enough_memory(config: TrackConfig, compute: ComputeConfig) -> Iterator[None]:
    """Turn an error of full memory into a UserError that says what to make smaller."""
    try:
        yield
    except Exception as error:
        torch = sys.modules.get("torch")  # imported only by what computes with it
        if not isinstance(error, (MemoryError, *([torch.OutOfMemoryError] if torch else []))):
            raise
        raise UserError(
            f"The memory of the device '{compute.device}' is full. Make --batch (now {compute.batch}) or"
            f" --set frames_at_once (now {config.frames_at_once}) smaller, free memory that other programs"
            " hold, or take smaller models."
        ) from error


def check_name(role: str, component: ComponentConfig) -> None:
    """Raise UserError if there is no component of that name."""
    known = network_table(role)
    if component.name not in known:
        kind = {"detector": "detector", "pose": "pose estimator", "reid": "ReID encoder"}[role]
        raise unknown_name(kind, component.name, known, COMPONENTS)


def options_of(component: ComponentConfig, file: ModelFile) -> Mapping[str, Any]:
    """The options that belong to published weights, overridden by those of the component."""
    published = file.entry.settings if file.entry else {}
    fixed = ("size", "width")  # given by the component's name
    own = {key.partition(".")[2]: value for key, value in published.items()}
    return {**{key: value for key, value in own.items() if key not in fixed}, **component.options}


def compute_config(config: TrackConfig) -> ComputeConfig:
    """Resolve device and number of threads.

    Args:
        config: Device, precision, batch size, threads, backend and trust in files.

    Returns:
        The same values with `auto` resolved.

    Raises:
        UserError: A value is wrong, or this machine does not have the device; there is no fallback.
    """
    if config.precision not in ("fp32", "fp16", "bf16"):
        raise unknown_name("precision", config.precision, ("fp32", "fp16", "bf16"))
    if config.backend not in get_args(BackendName):
        raise unknown_name("backend", config.backend, get_args(BackendName))
    for name in ("batch", "frames_at_once", "threads"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UserError(f"{name} must be at least 1, not {value}.")
    threads = config.threads or usable_cores()
    names: Any = config.precision, config.backend  # of the known ones, see above
    device = usable_device(config.device, names[1])
    batch = config.batch or (_CPU_BATCH if device == "cpu" else ComputeConfig.batch)
    return ComputeConfig(device, names[0], batch, threads, names[1], trust_code=config.trust_code)


def _metadata(component: ComponentConfig, file: ModelFile | None, network: Network) -> dict[str, Any]:
    """What result files store of a component, so that a run can be repeated."""
    if file is None:
        return {"name": component.name}
    known = {"weights": file.entry.name} if file.entry else {}
    backend = {"backend": network.backend} if network.backend else {}
    return {
        "name": component.name,
        "file": file.path.name,
        **known,
        "sha256": file.sha256 or None,
        "options": dict(options_of(component, file)),
        **backend,
    }
