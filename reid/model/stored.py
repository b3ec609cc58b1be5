"""Reads files of weights of KPR: architecture, input specification and tensors; no file can run code."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kprtrack.core.checkpoints import Checkpoint, header_json, read_checkpoint
from kprtrack.core.errors import UserError, WeightsError
from kprtrack.core.tensors import Shapes, misfits, validate_finite
from reid.model.config import KprConfig
from reid.model.published import is_published, known_input_spec, own_tensors, shape_of

HEADER = "kpr_config"  # in the header of this project's files: JSON of a KprConfig
_SHOWN = 5

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class InputSpec:
    """Input specification that published checkpoints may not record; None: from the file or its name."""

    height: int | None = None  # pixels of the crop
    width: int | None = None
    mean: Triple | None = None  # of RGB in [0, 1]
    std: Triple | None = None
    semantic_weight: float | None = None  # SOLIDER only


class StoredKpr(NamedTuple):
    """Content of a file of weights."""

    config: KprConfig
    tensors: Mapping[str, np.ndarray]  # by their names in Kpr


def read_kpr(path: Path, spec: InputSpec | None = None) -> StoredKpr:
    """Read an encoder that `reid.model.weights.save` has written, or a published checkpoint.

    Args:
        path: The file.
        spec: What the file does not record; an error where it contradicts the file.

    Returns:
        Architecture and tensors; `validate_kpr` checks whether they belong together.

    Raises:
        WeightsError: The file is missing, damaged or not for this network.
        UserError: A published checkpoint of unknown name needs its crop size, mean and deviation.
    """
    checkpoint = read_checkpoint(path)
    spec = spec or InputSpec()
    if is_published(checkpoint.tensors):
        tensors = own_tensors(checkpoint.tensors)
        return StoredKpr(_published_config(tensors, checkpoint, path, spec), tensors)
    return StoredKpr(_agreed(_stored_config(checkpoint, path), spec, path), checkpoint.tensors)


def validate_kpr(stored: StoredKpr, expected: Shapes, path: Path) -> None:
    """Check the tensors of a file.

    Args:
        stored: From `read_kpr`.
        expected: Names and shapes of the tensors of the network.
        path: The file, for messages.

    Raises:
        WeightsError: Names or shapes differ, or a number is not finite.
    """
    tensors, wrong = stored.tensors, misfits(stored.tensors, expected)
    misshaped = [
        f"{name} {list(tensors[name].shape)} instead of {list(expected[name])}" for name in wrong.misshaped
    ]
    problems = [
        f"{len(names)} {kind} ({_first(names)})"
        for kind, names in (
            ("missing", wrong.missing),
            ("unknown", wrong.unexpected),
            ("of another shape", misshaped),
        )
        if names
    ]
    if problems:
        raise WeightsError(
            f"{path} does not fit a {stored.config.backbone} encoder: tensors {'; '.join(problems)}."
            f" The file looks like this: {guess_network(tensors)}."
        )
    validate_finite(tensors, expected, path)


def _stored_config(checkpoint: Checkpoint, path: Path) -> KprConfig:
    stored = header_json(checkpoint, HEADER)
    if stored is None:
        raise WeightsError(f"{path} is not a KPR encoder: {guess_network(checkpoint.tensors)}.")
    known = {field.name for field in fields(KprConfig)}
    if set(stored) - known:
        raise WeightsError(f"{path} was written by a newer version: unknown {sorted(set(stored) - known)}.")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
    try:
        return KprConfig(**values)
    except (TypeError, UserError) as error:
        raise WeightsError(f"{path} describes an impossible model: {error}") from error


def _agreed(config: KprConfig, spec: InputSpec, path: Path) -> KprConfig:
    """`config`, if the requested specification agrees with it."""
    for name, wanted in asdict(spec).items():
        if wanted is not None and wanted != getattr(config, name):
            raise UserError(
                f"{path} was trained with {name} = {getattr(config, name)}, not {wanted}. Omit this option."
            )
    return config


def _published_config(
    tensors: Mapping[str, np.ndarray], checkpoint: Checkpoint, path: Path, spec: InputSpec
) -> KprConfig:
    """Shape from the tensors; crop size, mean and deviation from the user, else the file, else its name."""
    height, mean, std = known_input_spec(path.name) or (None, None, None)
    by_name = {"height": height, "width": 128 if height else None, "mean": mean, "std": std}
    told = {name: value for name, value in asdict(spec).items() if value is not None}
    merged = (
        {name: value for name, value in by_name.items() if value is not None} | _recorded(checkpoint) | told
    )
    missing = [name for name in ("height", "mean", "std") if name not in merged]
    if missing:
        raise UserError(
            f"{path} does not record {', '.join(missing)}. Set the options image_height, mean and std"
            " (SOLIDER models: 384, 0.5 and 0.5; others 256, 0.485,0.456,0.406 and 0.229,0.224,0.225)."
        )
    return shape_of(tensors, replace(KprConfig(), **merged))


def _recorded(checkpoint: Checkpoint) -> dict[str, Any]:
    """Crop size, mean, deviation and semantic weight as the training configuration in the file has them."""
    config = checkpoint.meta.get("config")
    found: dict[str, Any] = {}
    for name, *keys in (
        ("height", "data", "height"),
        ("width", "data", "width"),
        ("mean", "data", "norm_mean"),
        ("std", "data", "norm_std"),
        ("semantic_weight", "model", "solider", "semantic_weight"),
    ):
        value: Any = config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, list | tuple) and len(value) == 3:
            found[name] = tuple(float(number) for number in value)
        # A negative semantic weight is the official way to say "none".
        elif isinstance(value, int | float) and value >= 0 and name not in ("mean", "std"):
            found[name] = value
    return found


def guess_network(tensors: Mapping[str, Any]) -> str:
    """Guess the kind of network from its tensor names."""
    signs = {
        "backbone_appearance_feature_extractor.": "a published KPR encoder",
        "backbone.backbone.stem": "a YOLOX detector",
        "stage2.0.branches": "an HRNet",
        "keypoint_head.": "a pose estimator of mmpose",
        "prompt_tokens.": "a KPR encoder of this project",
        "conv0.": "a MobileNet or OSNet",
        "layer1.0.conv1": "a ResNet",
        "backbone.stages.": "a backbone only, such as SOLIDER's pretraining",
        "layers.0.blocks.0": "a Swin transformer only",
        "blocks.0.attn": "a vision transformer",
    }
    for sign, meaning in signs.items():
        if any(name.startswith(sign) for name in tensors):
            return meaning
    return f"{len(tensors)} tensors, the first are {_first(list(tensors))}"


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
