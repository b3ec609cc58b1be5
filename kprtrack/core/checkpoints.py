"""Reads the tensors and plain values of any checkpoint file as numpy arrays; no file can run code."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from kprtrack.core.errors import WeightsError
from kprtrack.core.safe_unpickle import (
    ZIP_MAGIC,
    Inert,
    NumpyArray,
    NumpyType,
    bfloat16_to_float32,
    unpickle_legacy,
    unpickle_zip,
)

_PICKLE_MAGIC = b"\x80"
_LONGEST_HEADER = 100_000_000  # bytes of a safetensors file, as its own readers have it
_WRAPPERS = ("state_dict", "teacher", "model")
_TRAINING_STATE = frozenset(
    ("optimizer", "scheduler", "lr_scheduler", "scaler", "amp")
)  # large, and of no use here
_MAX_DEPTH = 50


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a file of weights."""

    # Names without DataParallel's "module."; bfloat16 as float32. Arrays may share memory.
    tensors: dict[str, np.ndarray]
    meta: dict[str, Any]  # every other value, as plain Python: nested dict, list, number, string


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a .safetensors file or anything torch.save wrote (.pth, .ckpt), by content, not by suffix.

    Args:
        path: The file; weights may be under state_dict, teacher, model or at the root.

    Returns:
        Tensors and other values.

    Raises:
        WeightsError: The file is missing, empty, no checkpoint, cut short, or names code to run.
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
    """Whether the file starts with the length of a JSON header; a pickle starts with a huge number."""
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
        with safe_open(path, framework="np") as file:
            meta = dict(file.metadata() or {})
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            tensors = {
                name: _read_bfloat16(path, name) if kind == "BF16" else file.get_tensor(name)
                for name, kind in kinds.items()
            }
    except SafetensorError as error:
        raise WeightsError(f"{path} is cut short or damaged ({error}). Download it again.") from error
    except (AttributeError, TypeError) as error:  # a number type that numpy lacks
        found = ", ".join(sorted(set(kinds.values())))
        raise WeightsError(
            f"{path} has numbers of the types {found}, one of which cannot be read. Convert it to F32."
        ) from error
    return Checkpoint(tensors, meta)


def _read_bfloat16(path: Path, name: str) -> np.ndarray:
    """Read one tensor of a file that safe_open has validated; numpy, and so safe_open, lacks bfloat16."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        begin, end = entry["data_offsets"]
        file.seek(8 + length + begin)
        raw = np.frombuffer(file.read(end - begin), np.uint16)
    return bfloat16_to_float32(raw).reshape(entry["shape"])


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
        if name not in skip and not isinstance(value, np.ndarray)
    }
    named = {
        str(name).removeprefix("module."): value
        for name, value in tensors.items()
        if isinstance(value, np.ndarray)
    }
    return Checkpoint(named, meta)


def _has_tensors(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(item, np.ndarray) for item in value.values())


def _some(names: dict[Any, Any]) -> str:
    return ", ".join(str(name) for name in list(names)[:5]) or "none"


def plain(value: Any, depth: int = 0) -> Any:
    """Return `value` in plain types: dict, list, tuple, number, string, numpy array."""
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
    """Return the JSON object stored under `name` in a safetensors header; None if there is none."""
    text = checkpoint.meta.get(name)
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
