"""The state of a training between two batches: written whole or not at all, read without running code.

Nothing random needs to be kept: every batch draws from a seed of its own (`seed_batch` of the trainer).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import nn

from kprtrack.core.atomic_file import write_file
from kprtrack.core.errors import UserError, WeightsError

_HEADER = "kpr_training"
_NETWORK = "network."


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training has come."""

    epoch: int = 0  # the one at work, from 0
    batch: int = 0  # batches of it that are done
    sums: Mapping[str, float] = field(default_factory=dict)  # of what is logged, over those batches
    seconds: float = 0.0  # that they took
    rows: tuple[Mapping[str, float], ...] = ()  # what is known of each epoch that is done
    best: float = -1.0  # greatest mAP so far


@dataclass(frozen=True)
class TrainState:
    """All that changes while a training goes on."""

    network: nn.Module  # with what is trained beside the encoder
    optimiser: torch.optim.Optimizer
    scaler: Any = None  # of fp16 gradients; None: there is none


def save_state(path: Path, learner: TrainState, position: TrainingProgress, run: Mapping[str, Any]) -> None:
    """Writes where the training stands. run: what it must still be when it goes on.

    Raises: OutputError if it cannot be written; the file of before is then untouched.
    """
    tensors = {f"{_NETWORK}{name}": value for name, value in learner.network.state_dict().items()}
    tensors |= _optimiser_tensors(learner)
    scaler = learner.scaler.state_dict() if learner.scaler is not None else None
    told = {"position": asdict(position), "run": run, "scaler": scaler}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_file(path, serialise(plain, {_HEADER: json.dumps(told)}))


def load_state(path: Path, learner: TrainState) -> TrainingProgress:
    """Puts the learner where it stood. Raises: WeightsError if the file is damaged or of another network."""
    told = _told(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    own = {name.removeprefix(_NETWORK): each for name, each in tensors.items() if name.startswith(_NETWORK)}
    try:
        learner.network.load_state_dict(own)
    except RuntimeError as error:
        raise WeightsError(f"{path} is of another network: {str(error)[:300]}") from error
    _fill_optimiser(learner, tensors)
    if learner.scaler is not None and told["scaler"]:
        learner.scaler.load_state_dict(told["scaler"])
    position = TrainingProgress(**told["position"])
    return replace(position, rows=tuple(position.rows))


def validate_other_settings(path: Path, run: Mapping[str, Any]) -> None:
    """Raises: UserError naming the first setting that the run in `path` had otherwise."""
    now = json.loads(json.dumps(run))  # what is read has lists where tuples were written
    different = list(_differences(_told(path)["run"], now, ""))
    if different:
        key, old, new = different[0]
        more = f" ({len(different) - 1} more differ)" if len(different) > 1 else ""
        raise UserError(
            f"{path.parent} holds a run with {key}={old}, not {new}{more}. Give the same settings to go on "
            "with it, or another out=FOLDER to begin a new one."
        )


def _optimiser_tensors(learner: TrainState) -> dict[str, torch.Tensor]:
    """What the optimiser remembers, by the name of the parameter."""
    names = {id(parameter): name for name, parameter in learner.network.named_parameters()}
    return {
        f"optimiser.{names[id(parameter)]}/{key}": value
        for parameter, kept in learner.optimiser.state.items()
        for key, value in kept.items()
        if isinstance(value, torch.Tensor)
    }


def _fill_optimiser(learner: TrainState, tensors: Mapping[str, torch.Tensor]) -> None:
    parameters = dict(learner.network.named_parameters())
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            parameter, _, key = name.removeprefix("optimiser.").rpartition("/")
            kept = learner.optimiser.state.setdefault(parameters[parameter], {})
            # Adam counts its steps on the processor.
            kept[key] = value if value.ndim == 0 else value.to(parameters[parameter].device)


def _told(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {})[_HEADER])
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise WeightsError(
            f"{path} is damaged or no state of a training ({error}). Remove its folder and train again."
        ) from error


def _differences(old: Any, new: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    """(key, old, new) of every leaf that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key, old, new
