"""Save and load the encoder, and read published checkpoints; loading is strict and runs no code."""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save as serialise

from kprtrack.core.atomic_file import write_file
from reid.model.config import KprConfig
from reid.model.kpr import Kpr
from reid.model.stored import HEADER, InputSpec, StoredKpr, read_kpr, validate_kpr
from reid.model.tensors import torch_tensors


def save(path: Path, model: Kpr) -> None:
    """Write the weights with the model's shape in the header, as .safetensors; complete or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    write_file(path, to_bytes(model))


def to_bytes(model: Kpr) -> bytes:
    """The content of the file that `save` writes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return serialise(tensors, {"format": "pt", HEADER: json.dumps(asdict(model.config))})


def load(path: Path, device: str = "cpu", *, spec: InputSpec | None = None) -> Kpr:
    """The encoder in `path`, ready to embed: written by `save` or a published checkpoint.

    Args:
        spec: What the file does not record; an error where it contradicts the file.

    Raises:
        WeightsError: The file is missing, damaged or not for this network.
        UserError: A published checkpoint of unknown name needs its crop size, mean and deviation.
    """
    return from_stored(read_kpr(path, spec), path).to(device)


def from_stored(stored: StoredKpr, path: Path) -> Kpr:
    """Make the encoder of a file that was read.

    Args:
        stored: Its content.
        path: The file, for messages.

    Returns:
        The encoder in evaluation mode, on the CPU.

    Raises:
        WeightsError: Tensors are missing, damaged or of another network.
    """
    model = Kpr(stored.config)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    validate_kpr(stored, expected, path)
    model.load_state_dict(torch_tensors(stored.tensors), strict=False)
    return model.eval()


def convert(source: Path, target: Path, *, spec: InputSpec | None = None) -> KprConfig:
    """Convert a published checkpoint to .safetensors with its configuration in the header.

    Raises: as load and save.
    """
    model = load(source, spec=spec)
    save(target, model)
    return model.config
