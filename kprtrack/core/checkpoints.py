"""Reads the tensors and plain values of any checkpoint file as numpy arrays; no file can run code."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from safetensors import SafetensorError, safe_open

from kprtrack.core.errors import WeightsError
from kprtrack.core.files.folders import is_file, is_folder
from kprtrack.core.safe_unpickle import (
    ZIP_MAGIC,
    Inert,
    NumpyArray,
    NumpyType,
    bfloat16_to_float32,
    shown,
    unpickle_legacy,
    unpickle_zip,
)

_PICKLE_MAGIC = b"\x80"
_LONGEST_HEADER = 100_000_000  # bytes of a safetensors file, as its own readers have it
# Where training programs put the weights, the first that has any counts. Averages come last: programs that
# write both (mmdet, mmengine) have put the averages into state_dict when they write.
_WRAPPERS = (
    *("state_dict", "model_state_dict", "teacher", "model", "net", "network"),
    *("ema_state_dict", "state_dict_ema", "model_ema", "ema"),
)
_TRAINING_STATE = frozenset(
    ("optimizer", "scheduler", "lr_scheduler", "scaler", "amp")
)  # large, and of no use here
_MAX_DEPTH = 50
_MAX_VALUES = 1_000_000  # beside the weights
# What wrappers of torch put into the names of the tensors within them.
_COMPILED = "_orig_mod."  # torch.compile, anywhere in a name
_PARALLEL = "module."  # DataParallel, DistributedDataParallel and averages, in front
# Modules of trackers and training programs that hold the whole network, if all tensors are in one of them.
_ROOTS = ("detector.", "model.", "net.", "network.")
_NOT_WEIGHTS = ("data_preprocessor.",)  # mean and deviation of mmdet's and mmpose's images
_COUNTERS = ("n_averaged", "steps")  # of averages, beside the network in a wrapper


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a file of weights."""

    # Names as the network itself has them, see `network_names`; bfloat16 as float32. Arrays may share memory.
    tensors: dict[str, np.ndarray]
    meta: dict[str, Any]  # every other value, as plain Python: nested dict, list, number, string


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a .safetensors file or anything torch.save wrote (.pth, .ckpt), by content, not by suffix.

    Args:
        path: The file; weights may be at the root or under one of the names that training programs use:
            state_dict, model_state_dict, teacher, model, net, ...

    Returns:
        Tensors and other values.

    Raises:
        WeightsError: The file is missing, empty, no checkpoint, cut short, or names code to run.
    """
    head = _head(path)
    if path.suffix in (".onnx", ".xml"):
        raise WeightsError(
            f"{path} is an ONNX or OpenVINO network, which --detector yolox-onnx, --pose rtmpose, --pose"
            " heatmap and --reid onnx run; here the weights must be a checkpoint: .pth, .pth.tar or"
            " .safetensors."
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
    if not is_file(path):
        if is_folder(path):
            raise WeightsError(f"{path} is not a file. Name the file of weights itself.")
        raise WeightsError(f"No weights at {path}.")
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
    return Checkpoint(network_names(tensors, path), meta)


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
    tensors = _find_tensors(content)
    if tensors is None:
        raise WeightsError(f"{path} holds no tensors; its entries are {_some(content)}.")
    skip = {*_WRAPPERS, *_TRAINING_STATE}
    plain = _Plain(path)
    meta = {
        str(name): plain.of(value)
        for name, value in content.items()
        if name not in skip and not isinstance(value, np.ndarray)
    }
    arrays = {str(name): value for name, value in tensors.items() if isinstance(value, np.ndarray)}
    return Checkpoint(network_names(arrays, path), meta)


def _find_tensors(content: dict[Any, Any], depth: int = 0) -> dict[Any, Any] | None:
    """The dict of tensors in a file: under a known name, at the root, or one level further down."""
    wrapped = [content[name] for name in _WRAPPERS if isinstance(content.get(name), dict)]
    for candidate in (*wrapped, content):
        if _has_tensors(candidate):
            return candidate
    inner = (_find_tensors(each, depth + 1) for each in wrapped if depth < 1)
    return next((found for found in inner if found is not None), None)


def network_names(tensors: Mapping[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """Name tensors as the network itself does, without what training programs add.

    Removed are the prefixes of DataParallel (`module.`), torch.compile (`_orig_mod.`) and of modules that
    hold the whole network (`detector.`, `model.`, `net.`, `network.`); left out are mmdet 2's averages
    (`ema_backbone_conv_weight`, a copy of `backbone.conv.weight`), counters of averages, and the mean and
    deviation of images (`data_preprocessor.`).

    Args:
        tensors: Tensors by their names in the file.
        path: The file, for messages.

    Returns:
        The tensors of the network.

    Raises:
        WeightsError: Two tensors have the same name then.

    Examples:
        >>> list(network_names({"module._orig_mod.stem.weight": np.zeros(1)}, Path("w.pth")))
        ['stem.weight']
    """
    wrapped = [name for name in tensors if name.startswith(_PARALLEL)]
    names = {name: _unwrapped(name) for name in tensors}
    averages = {"ema_" + name.replace(".", "_") for name in names.values()}
    kept = {
        name: short
        for name, short in names.items()
        if short not in averages
        and not short.startswith(_NOT_WEIGHTS)
        and not (short in _COUNTERS and len(wrapped) >= len(tensors) - len(_COUNTERS))
    }
    while root := next((each for each in _ROOTS if _all_in(kept.values(), each)), None):
        kept = {name: _unwrapped(short.removeprefix(root)) for name, short in kept.items()}
        kept = {name: short for name, short in kept.items() if not short.startswith(_NOT_WEIGHTS)}
    found = {short: tensors[name] for name, short in kept.items()}
    if len(found) < len(kept):
        twice = next(short for short in found if list(kept.values()).count(short) > 1)
        raise WeightsError(
            f"{path} holds the tensor '{twice}' twice, in different wrappers. Save one of them."
        )
    return found


def _unwrapped(name: str) -> str:
    name = name.replace(_COMPILED, "")
    while name.startswith(_PARALLEL):
        name = name.removeprefix(_PARALLEL)
    return name


def _all_in(names: Collection[str], root: str) -> bool:
    return bool(names) and all(name.startswith(root) for name in names)


def _has_tensors(value: object) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict) and any(isinstance(item, np.ndarray) for item in value.values())


def _some(names: dict[Any, Any]) -> str:
    return ", ".join(shown(str(name)) for name in list(names)[:5]) or "none"


class _Plain:
    """Converts values to dict, list, tuple, number, string and numpy array, within limits."""

    def __init__(self, path: Path) -> None:
        self._path, self._left = path, _MAX_VALUES

    def of(self, value: Any, depth: int = 0) -> Any:
        """Convert a value; what is nested too deeply becomes None. Raises: WeightsError for too many."""
        self._left -= 1
        if self._left < 0:
            raise WeightsError(
                f"{self._path} holds more than {_MAX_VALUES:,} values beside the weights, or a list that"
                " holds itself. Save the weights alone."
            )
        if depth > _MAX_DEPTH:
            return None
        if isinstance(value, dict):
            return {self._key(key, depth): self.of(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            items = [self.of(item, depth + 1) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        if isinstance(value, Inert):
            return self.of(value.state, depth + 1)
        if isinstance(value, NumpyArray):
            return value.array
        if isinstance(value, NumpyType):
            return str(value.dtype())
        return value

    def _key(self, key: Any, depth: int) -> Any:
        key = self.of(key, depth + 1)
        return key if isinstance(key, str | bytes | int | float | None) else str(key)


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
