"""Settings: defaults live in frozen dataclasses, a file or `--set key=value` changes single values.

A part of the pipeline (detector, pose, reid, tracker) is a name, weights and options; the options are the
fields of the dataclass beside the class that the name stands for, so a misspelt key is refused before
anything runs.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kprtrack.core.errors import UserError, unknown_name
from kprtrack.core.renamed import SETTINGS
from kprtrack.core.settings import assigned, fitting, read_settings
from kprtrack.core.settings import configure as configure


@dataclass(frozen=True)
class ComponentConfig:
    """One exchangeable part of the pipeline."""

    name: str  # key of DETECTORS, POSES, EMBEDDERS or TRACKERS
    weights: str | None = None  # a file or a name of the model store; None: build.DEFAULT_WEIGHTS of the name
    options: Mapping[str, Any] = field(default_factory=dict)  # fields of the part's own config dataclass


@dataclass(frozen=True)
class TrackConfig:
    """Everything that decides what comes out, besides the video itself."""

    detector: ComponentConfig = ComponentConfig("small")
    pose: ComponentConfig = ComponentConfig("small")
    reid: ComponentConfig = ComponentConfig("small")
    tracker: ComponentConfig = ComponentConfig("kpr")
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    precision: str = "fp32"  # fp32, fp16, bf16
    backend: str = "auto"  # of the networks of torch on a CPU: auto, torch, onnxruntime, openvino
    batch: int = 16  # most images or crops in one forward pass of a network
    frames_at_once: int = 8  # frames observed together; more keeps a GPU busy, fewer saves memory
    threads: int | None = None  # CPU threads of the networks; None: as many as the machine has cores


PARTS = ("detector", "pose", "reid", "tracker")

# What `--preset` stands for: `small` lies in the package, the others are published weights to be downloaded.
DEFAULT_PRESET = "small"
PRESETS: dict[str, TrackConfig] = {
    DEFAULT_PRESET: TrackConfig(),
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
        UserError: The file has an unknown key or a wrong value.

    Example:
        >>> load_config("track/bytetrack").tracker.name
        'bytetrack'
    """
    return merge(base or TrackConfig(), read_settings(path, "track"))


def merge(config: TrackConfig, values: Mapping[str, Any]) -> TrackConfig:
    """`config` with `values`: {"device": "cpu", "tracker": {"name": "kpr", "high_score": 0.5}}."""
    known = {f.name for f in dataclasses.fields(TrackConfig)}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise unknown_name("setting", key, known, SETTINGS)
        if key in PARTS:
            changes[key] = _merge_part(key, getattr(config, key), value)
        else:
            changes[key] = fitting(key, value, typing.get_type_hints(TrackConfig)[key])
    return dataclasses.replace(config, **changes)


def override(config: TrackConfig, assignments: list[str]) -> TrackConfig:
    """`config` with command-line assignments such as `tracker.high_score=0.5` or `device=cpu`."""
    for assignment in assignments:
        key, value = assigned(assignment, "tracker.high_score=0.5")
        part, dot, option = key.partition(".")
        config = merge(config, {part: {option: value}} if dot else {key: value})
    return config


def _merge_part(role: str, old: ComponentConfig, value: Any) -> ComponentConfig:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        raise UserError(f"'{role}' must be a name or a dict with a name, not {value!r}.")
    options = dict(value)
    name, weights = options.pop("name", old.name), options.pop("weights", None)
    if name != old.name:
        return ComponentConfig(
            name, weights, options
        )  # options of another network say nothing about this one
    return ComponentConfig(name, weights or old.weights, {**old.options, **options})
