"""Checkpoints of a training between two batches: written atomically, read without running code.

No random state is stored: every batch is seeded by its own number (`devices.seed_batch`).
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
_SECTIONS = ("position", "run")  # of the header
_OPTIMISER_KEYS = {"momentum_buffer", "step", "exp_avg", "exp_avg_sq"}  # of SGD, Adam and AdamW
_LONGEST_REASON = 300  # characters of an error in a message
_ERRORS = (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, OSError)


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training has come."""

    epoch: int = 0  # the current one, from 0
    batch: int = 0  # batches of it that are done
    sums: Mapping[str, float] = field(default_factory=dict)  # of the logged values, over those batches
    seconds: float = 0.0  # that they took
    rows: tuple[Mapping[str, float], ...] = ()  # metrics of each epoch that is done
    best: float = -1.0  # greatest validation score


@dataclass(frozen=True)
class TrainState:
    """Everything that changes during a training."""

    network: nn.Module  # all trained modules and averages
    optimiser: torch.optim.Optimizer
    scaler: Any = None  # of fp16 gradients


def save_state(
    path: Path, state: TrainState, progress: TrainingProgress, fingerprint: Mapping[str, Any]
) -> None:
    """Write a checkpoint.

    Args:
        path: The file; an older one stays in place until the new one is complete.
        state: Networks, optimiser and gradient scaler.
        progress: How far the training has come.
        fingerprint: What must be equal for the run to be resumed.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors = {f"{_NETWORK}{name}": value for name, value in state.network.state_dict().items()}
    tensors |= _optimiser_tensors(state)
    scaler = state.scaler.state_dict() if state.scaler is not None else None
    header = {"position": asdict(progress), "run": fingerprint, "scaler": scaler}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_file(path, serialise(plain, {_HEADER: json.dumps(header)}))


def load_state(path: Path, state: TrainState) -> TrainingProgress:
    """Load a checkpoint into networks, optimiser and scaler.

    Args:
        path: The checkpoint, safetensors.
        state: Receives the tensors.

    Returns:
        How far the training is.

    Raises:
        WeightsError: The file is damaged or of another network.
    """
    header = _read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        own = {
            name.removeprefix(_NETWORK): each for name, each in tensors.items() if name.startswith(_NETWORK)
        }
        state.network.load_state_dict(own)
        _fill_optimiser(state, tensors)
        if state.scaler is not None and header["scaler"]:
            state.scaler.load_state_dict(header["scaler"])
        return _progress(header["position"])
    except _ERRORS as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise WeightsError(
            f"{path} is damaged or of another network ({reason}). Remove its folder and train again."
        ) from error


def validate_fingerprint(path: Path, fingerprint: Mapping[str, Any]) -> None:
    """Check that a checkpoint belongs to a training with this fingerprint.

    Args:
        path: The checkpoint.
        fingerprint: Of the training that would resume it: nested settings that JSON can hold.

    Raises:
        UserError: A setting differs; the message names the first.
    """
    now = json.loads(json.dumps(fingerprint))  # what is read has lists where tuples were written
    different = list(_differences(_read_header(path)["run"], now, ""))
    if different:
        key, old, new = different[0]
        more = f" ({len(different) - 1} more differ)" if len(different) > 1 else ""
        raise UserError(
            f"{path.parent} holds a run with {key}={old}, not {new}{more}. Use the same settings to resume "
            "it, or another out=FOLDER for a new run."
        )


def _optimiser_tensors(state: TrainState) -> dict[str, torch.Tensor]:
    """State of the optimiser by the name of the parameter."""
    names = {id(parameter): name for name, parameter in state.network.named_parameters()}
    return {
        f"optimiser.{names[id(parameter)]}/{key}": value
        for parameter, kept in state.optimiser.state.items()
        for key, value in kept.items()
        if isinstance(value, torch.Tensor)
    }


def _fill_optimiser(state: TrainState, tensors: Mapping[str, torch.Tensor]) -> None:
    parameters = dict(state.network.named_parameters())
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            parameter, _, key = name.removeprefix("optimiser.").rpartition("/")
            if value.ndim and value.shape != parameters[parameter].shape:
                raise ValueError(f"{name} has the shape {list(value.shape)}")
            if key not in _OPTIMISER_KEYS:
                raise ValueError(f"unknown state {name:.100}")
            kept = state.optimiser.state.setdefault(parameters[parameter], {})
            # Adam counts its steps on the CPU.
            kept[key] = value if value.ndim == 0 else value.to(parameters[parameter].device)


def _progress(position: Mapping[str, Any]) -> TrainingProgress:
    """Raises: TypeError or ValueError if a value is not of its kind."""
    found = TrainingProgress(**position)
    counts, numbers = (found.epoch, found.batch), (found.seconds, found.best, *found.sums.values())
    rows = [*found.rows]
    values = [value for row in rows for value in row.values()]
    if not all(type(one) is int and one >= 0 for one in counts):
        raise ValueError(f"epoch {found.epoch!r:.40}, batch {found.batch!r:.40}")
    if not all(type(one) in (int, float) for one in (*numbers, *values)):
        raise ValueError("a metric that is no number")
    return replace(found, rows=tuple(rows))


def _read_header(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
        if not isinstance(header, dict) or not all(isinstance(header[key], dict) for key in _SECTIONS):
            raise ValueError(f"its header lacks {' or '.join(_SECTIONS)}")
        return header
    except (SafetensorError, KeyError, ValueError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise WeightsError(
            f"{path} is damaged or not a training checkpoint ({reason}). Remove its folder and train again."
        ) from error


def _differences(old: Any, new: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    """(key, old, new) of every leaf that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key, old, new
