"""Save and load the encoder, and read published checkpoints; loading is strict and runs no code."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise

from kprtrack.core.atomic_file import write_file
from kprtrack.core.checkpoints import Checkpoint, header_json, read_checkpoint
from kprtrack.core.errors import UserError, WeightsError
from reid.model.kpr import Kpr, KprConfig
from reid.model.published import is_published, known_input_spec, own_tensors, shape_of
from reid.model.tensors import tensors_of, validate_finite

_HEADER = "kpr_config"
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


def save(path: Path, model: Kpr) -> None:
    """Write the weights with the model's shape in the header, as .safetensors; complete or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    write_file(path, to_bytes(model))


def to_bytes(model: Kpr) -> bytes:
    """The content of the file that `save` writes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return serialise(tensors, {"format": "pt", _HEADER: json.dumps(asdict(model.config))})


def load(path: Path, device: str = "cpu", *, spec: InputSpec | None = None) -> Kpr:
    """The encoder in `path`, ready to embed: written by `save` or a published checkpoint.

    Args:
        spec: What the file does not record; an error where it contradicts the file.

    Raises:
        WeightsError: The file is missing, damaged or not for this network.
        UserError: A published checkpoint of unknown name needs its crop size, mean and deviation.
    """
    checkpoint = read_checkpoint(path)
    spec = spec or InputSpec()
    if is_published(checkpoint.tensors):
        tensors = own_tensors(tensors_of(checkpoint))
        config = _published_config(tensors, checkpoint, path, spec)
    else:
        tensors = tensors_of(checkpoint)
        config = _agreed(_stored_config(checkpoint, path), spec, path)
    model = Kpr(config)
    _fill(model, tensors, path)
    return model.eval().to(device)


def convert(source: Path, target: Path, *, spec: InputSpec | None = None) -> KprConfig:
    """Convert a published checkpoint to .safetensors with its configuration in the header.

    Raises: as load and save.
    """
    model = load(source, spec=spec)
    save(target, model)
    return model.config


def _stored_config(checkpoint: Checkpoint, path: Path) -> KprConfig:
    stored = header_json(checkpoint, _HEADER)
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
    tensors: Mapping[str, torch.Tensor], checkpoint: Checkpoint, path: Path, spec: InputSpec
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


def _fill(model: Kpr, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load the tensors; names and shapes must match exactly."""
    wanted = model.state_dict()
    missing = [name for name in wanted if name not in tensors]
    extra = [name for name in tensors if name not in wanted]
    misshaped = [
        f"{name} {list(tensors[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    problems = [
        f"{len(names)} {kind} ({_first(names)})"
        for kind, names in (("missing", missing), ("unknown", extra), ("of another shape", misshaped))
        if names
    ]
    if problems:
        raise WeightsError(
            f"{path} does not fit a {model.config.backbone} encoder: tensors {'; '.join(problems)}."
            f" The file looks like this: {guess_network(tensors)}."
        )
    validate_finite(tensors, wanted, path)
    model.load_state_dict(dict(tensors))


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
