"""Reads the tensors and plain values of any checkpoint file; no file can run code."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from kprtrack.core.errors import WeightsError
from kprtrack.core.pickle_stubs import Inert, NumpyArray, NumpyType
from kprtrack.core.safe_unpickle import ZIP_MAGIC, unpickle_legacy, unpickle_zip

_PICKLE_MAGIC = b"\x80"
_LONGEST_HEADER = 100_000_000  # bytes of a safetensors file, as its own readers have it
_WRAPPERS = ("state_dict", "teacher", "model")
_TRAINING_STATE = frozenset(
    ("optimizer", "scheduler", "lr_scheduler", "scaler", "amp")
)  # large, and of no use here
_MAX_DEPTH = 50


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds."""

    tensors: dict[str, torch.Tensor]  # on the CPU, names without DataParallel's "module."
    meta: dict[str, Any]  # every other value, as plain Python: nested dict, list, number, string


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors and other values of a .safetensors file or of anything torch.save wrote (.pth, .ckpt).

    Kind is told by content, not by suffix. Weights may lie under state_dict, teacher, model or at the root.
    Raises: WeightsError if the file is missing, empty, no checkpoint, cut short, or names code to run.
    """
    head = _head(path)
    if path.suffix in (".onnx", ".xml"):
        raise WeightsError(
            f"{path} is an ONNX or OpenVINO network, which only --pose heatmap and --reid onnx can run; here"
            " the weights must be a checkpoint: .pth, .pth.tar or .safetensors."
        )
    if _is_safetensors(head):
        return _read_safetensors(path)
    if head.startswith((ZIP_MAGIC, _PICKLE_MAGIC)):
        return _unwrap(_unpickled(path, head), path)
    raise WeightsError(f"{path} holds no weights: {_describe(head)}. Download it again.")


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes say how long the JSON is that follows; as that number, a pickle begins with a huge one."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_HEADER


def _head(path: Path) -> bytes:
    if not path.exists():
        raise WeightsError(f"No weights at {path}.")
    if not path.is_file():
        raise WeightsError(f"{path} is not a file. Name the file of weights itself.")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise WeightsError(f"{path} is empty. Download it again.")
    return head


def _describe(head: bytes) -> str:
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "it is a web page (HTML), probably a sign-in or error page saved in place of the file"
    if text.startswith(b"version https://git-lfs"):
        return "it is a git-lfs pointer, not the file it points to"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return f"it is text, starting with {head[:40].decode('ascii')!r}"
    return "it is neither a safetensors file nor one written by torch.save"


def _unpickled(path: Path, head: bytes) -> object:
    try:
        return unpickle_zip(path) if head.startswith(ZIP_MAGIC) else unpickle_legacy(path)
    except WeightsError:
        raise
    # A broken or hostile pickle can fail in any way; whatever it is, the file is at fault.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{path} is cut short or damaged ({reason}). Download it again.") from error


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            meta = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(f"{path} is cut short or damaged ({error}). Download it again.") from error
    return Checkpoint(tensors, meta)


def _unwrap(content: object, path: Path) -> Checkpoint:
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors.")
    inner = next((name for name in _WRAPPERS if _has_tensors(content.get(name))), None)
    tensors = content[inner] if inner else content
    if not _has_tensors(tensors):
        raise WeightsError(f"{path} holds no tensors; its entries are {_some(content)}.")
    skip = {inner, *_TRAINING_STATE}
    meta = {
        str(name): plain(value)
        for name, value in content.items()
        if name not in skip and not isinstance(value, torch.Tensor)
    }
    named = {
        str(name).removeprefix("module."): value
        for name, value in tensors.items()
        if isinstance(value, torch.Tensor)
    }
    return Checkpoint(named, meta)


def _has_tensors(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(item, torch.Tensor) for item in value.values())


def _some(names: dict[Any, Any]) -> str:
    return ", ".join(str(name) for name in list(names)[:5]) or "none"


def plain(value: Any, depth: int = 0) -> Any:
    """`value` in plain Python types: dict, list, tuple, set, number, string, numpy array, tensor."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {plain(key, depth + 1): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = (plain(item, depth + 1) for item in value)
        return tuple(items) if isinstance(value, tuple) else list(items)
    if isinstance(value, Inert):
        return plain(value.state, depth + 1)
    if isinstance(value, NumpyArray):
        return value.array
    if isinstance(value, NumpyType):
        return str(value.dtype())
    return value


def header_json(checkpoint: Checkpoint, name: str) -> dict[str, Any] | None:
    """The JSON object stored under `name` in a safetensors header; None where there is none."""
    text = checkpoint.meta.get(name)
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
