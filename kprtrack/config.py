"""Configuration of a run: defaults in frozen dataclasses, changed by a file or by `key=value`."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.renamed import SETTINGS
from kprtrack.core.settings import assigned, fitting, read_settings, shown
from kprtrack.core.settings import configure as configure


@dataclass(frozen=True)
class ComponentConfig:
    """Configuration of one component: detector, pose estimator, ReID encoder or tracker.

    Args:
        name: A key of DETECTORS, POSES, REID_ENCODERS or TRACKERS.
        weights: A file, or a name of the model store (`kprtrack models list`); None: the default of the name.
        options: Values for fields of the component's own config dataclass.

    Examples:
        >>> ComponentConfig("bytetrack", options={"track_thresh": 0.5}).name
        'bytetrack'
    """

    name: str
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackConfig:
    """Configuration of a run. A name in place of a component stands for `ComponentConfig(name)`.

    Args:
        detector: Finds the people.
        pose: Estimates their keypoints.
        reid: Embeds their appearance; "none": tracking by position and pose alone.
        tracker: Associates them over time.
        device: auto, cpu, cuda, cuda:1, mps, ...
        precision: fp32, fp16 or bf16.
        backend: What executes torch networks on a CPU: auto, torch, onnxruntime or openvino.
        batch: Largest number of images or crops in one forward pass of a network; None: 8 on a CPU, where
            more takes memory and no less time, else 16.
        frames_at_once: Frames observed together; more keeps a GPU busy, fewer saves memory.
        threads: CPU threads of the networks; None: as many as the machine has cores.
        trust_code: Open files that can run code of their own, which only `ultralytics` and `mmpose` need. No
            config file can set it.

    Raises:
        UserError: A component is neither a name nor a `ComponentConfig`.

    Examples:
        >>> config = TrackConfig(reid="none", device="cpu")
        >>> config.reid
        ComponentConfig(name='none', weights=None, options={})
    """

    detector: ComponentConfig = ComponentConfig("small")
    pose: ComponentConfig = ComponentConfig("small")
    reid: ComponentConfig = ComponentConfig("small")
    tracker: ComponentConfig = ComponentConfig("kpr")
    device: str = "auto"
    precision: str = "fp32"
    backend: str = "auto"
    batch: int | None = None
    frames_at_once: int = 8
    threads: int | None = None
    trust_code: bool = False

    if TYPE_CHECKING:  # the fields are always ComponentConfig; __post_init__ converts names

        def __init__(  # noqa: PLR0913
            self,
            detector: ComponentConfig | str = ...,
            pose: ComponentConfig | str = ...,
            reid: ComponentConfig | str = ...,
            tracker: ComponentConfig | str = ...,
            device: str = ...,
            precision: str = ...,
            backend: str = ...,
            batch: int | None = ...,
            frames_at_once: int = ...,
            threads: int | None = ...,
            trust_code: bool = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        for role in ROLES:
            component = getattr(self, role)
            if isinstance(component, str):
                object.__setattr__(self, role, ComponentConfig(component))
            elif not isinstance(component, ComponentConfig):
                raise UserError(f"{role} must be a name or a ComponentConfig, not {component!r}.")


ROLES = ("detector", "pose", "reid", "tracker")

# Values of `--preset`: the weights of `small` are in the package, those of the others are downloaded. The
# licences of `light` allow any use, and it needs no torch.
DEFAULT_PRESET = "small"
PRESETS: dict[str, TrackConfig] = {
    DEFAULT_PRESET: TrackConfig(),
    "light": TrackConfig(
        ComponentConfig("yolox-onnx", "yolox-tiny-coco-onnx"),
        ComponentConfig("rtmpose", "rtmpose-s-body7"),
        ComponentConfig("none"),
    ),
    "balanced": TrackConfig(ComponentConfig("yolox-m"), ComponentConfig("hrnet-w32"), ComponentConfig("kpr")),
    "accurate": TrackConfig(
        ComponentConfig("yolox-x"),
        ComponentConfig("hrnet-w48", "hrnet-w48-coco-384-udp"),
        ComponentConfig("kpr"),
    ),
}


def load_config(path: str | Path, base: TrackConfig | None = None) -> TrackConfig:
    """Read a config over `base`.

    Args:
        path: A Python, JSON or YAML file, or the name of a packaged config such as `track/paper`.
        base: Values of the settings that the file leaves out; the defaults if None.

    Returns:
        The configuration.

    Raises:
        InputError: The file is missing or unreadable.
        UserError: The file has an unknown key or a wrong value, or sets `trust_code`.

    Examples:
        >>> load_config("track/bytetrack").tracker.name
        'bytetrack'
    """
    values = read_settings(path, "track")
    if values.get("trust_code"):
        raise UserError(
            f"{path} sets trust_code, which a config file cannot do. If you trust all files that it names,"
            " remove the line and add --trust-code to the command."
        )
    return merge(base or TrackConfig(), values)


def merge(config: TrackConfig, values: Mapping[str, Any]) -> TrackConfig:
    """Return `config` with some values changed.

    Args:
        config: The values that stay.
        values: Such as `{"device": "cpu", "tracker": {"name": "kpr", "high_score": 0.5}}`.

    Returns:
        The configuration.

    Raises:
        UserError: A key is unknown or a value has another type.
    """
    known = {f.name for f in dataclasses.fields(TrackConfig)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name("setting", key, known, SETTINGS)
        if key in ROLES:
            changes[key] = _merge_component(key, getattr(config, key), value)
        else:
            changes[key] = fitting(key, value, typing.get_type_hints(TrackConfig)[key])
    return dataclasses.replace(config, **changes)


def override(config: TrackConfig, assignments: list[str]) -> TrackConfig:
    """Return `config` with assignments such as `tracker.high_score=0.5` or `device=cpu`; the last one wins.

    Raises:
        UserError: An assignment is not of the form key=value, or a key is unknown.
    """
    for assignment in assignments:
        key, value = assigned(assignment, "tracker.high_score=0.5")
        role, dot, option = key.partition(".")
        config = merge(config, {role: {option: value}} if dot else {key: value})
    return config


def _merge_component(role: str, old: ComponentConfig, value: Any) -> ComponentConfig:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        raise UserError(f"'{role}' must be a name or a dict with a name, not {shown(value)}.")
    written = value.get("options", {})  # as --print-config writes them
    if not isinstance(written, Mapping):
        raise UserError(f"{role}.options must be a dict of settings, not {shown(written)}.")
    options = {**written, **{key: one for key, one in value.items() if key != "options"}}
    name, weights = options.pop("name", old.name), options.pop("weights", None)
    if not isinstance(name, str) or not isinstance(weights, str | None):
        given = f"{shown(name)} and {shown(weights)}"
        raise UserError(f"The name and the weights of '{role}' must be text, not {given}.")
    if name != old.name:
        # Options of another component do not apply to this one.
        return ComponentConfig(name, weights, options)
    return ComponentConfig(name, weights or old.weights, {**old.options, **options})
