"""Reads files of torch.save without torch and without running what is in them.

A pickle names functions and the unpickler calls them: that is how a checkpoint can run a program. Here no
name is imported: known names map to the stubs of pickle_stubs.py, record classes of training frameworks turn
into inert objects, and any other name is an error.
"""

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kprtrack.core.errors import WeightsError
from kprtrack.core.pickle_stubs import (
    KNOWN,
    TORCH_TYPES,
    ConfigNode,
    Inert,
    decoded,
    type_in_file,
)

LoadStorage = Callable[[tuple[Any, ...]], np.ndarray]
ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # what files written before torch 1.6 start with
_LEGACY_PROTOCOL = 1001
# Frameworks whose record objects (configs, loss histories, paths) lie beside the weights. They become Inert.
_RECORD_MODULES = (
    *("argparse", "datetime", "lightning", "mmcls", "mmcv", "mmdet", "mmengine", "mmpose", "mmpretrain"),
    *("omegaconf", "pathlib", "pytorch_lightning", "typing", "yacs"),
)


class _Unpickler(pickle.Unpickler):
    """Resolves every name through KNOWN; nothing is imported."""

    def __init__(self, file: BinaryIO, path: Path, load_storage: LoadStorage) -> None:
        super().__init__(file, encoding="utf-8")
        self._path = path
        self._load_storage = load_storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        if (module, name) == ("yacs.config", "CfgNode"):
            return type("CfgNode", (ConfigNode,), {})
        if module.split(".")[0] in _RECORD_MODULES:
            # A fresh class each time: a pickle that alters it alters nothing else.
            return type("Record", (Inert,), {})
        raise WeightsError(
            f"Refuses to open {self._path}: it would run {module}.{name}. "
            "Weights need no such thing; use a file from a source you trust, or one saved as .safetensors."
        )

    def persistent_load(self, reference: Any) -> np.ndarray:
        if (
            not isinstance(reference, tuple)
            or reference[0] != "storage"
            or not isinstance(reference[1], str)
            or reference[1] not in TORCH_TYPES
        ):
            raise ValueError(f"unknown reference {str(reference)[:60]}")
        return self._load_storage(reference)


def unpickle_zip(path: Path) -> object:
    """Read what torch.save (1.6 and later) wrote to `path`."""
    with zipfile.ZipFile(path) as archive:
        records = {entry.filename: entry for entry in archive.infolist()}
        index = [name for name in records if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(index) != 1:
            raise WeightsError(f"{path} is a zip file but no torch checkpoint: it has no data.pkl.")
        root = index[0].removesuffix("data.pkl")
        if f"{root}constants.pkl" in records:
            raise WeightsError(f"{path} is a TorchScript program, not weights. Export its state_dict.")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in records.values()):
            raise WeightsError(f"{path} is a compressed zip file, not a checkpoint. Unpack it first.")
        if f"{root}byteorder" in records and archive.read(f"{root}byteorder") != b"little":
            raise WeightsError(f"{path} was written on a big-endian machine, which is not supported.")
        storages: dict[str, np.ndarray] = {}

        def load_storage(reference: tuple[Any, ...]) -> np.ndarray:
            _, name, key, _, _ = reference
            if key not in storages:
                storages[key] = _from_bytes(archive.read(f"{root}data/{key}"), name)
            return storages[key]

        with archive.open(index[0]) as file:
            return _Unpickler(file, path, load_storage).load()  # type: ignore[arg-type]


def _from_bytes(raw: bytes, name: str) -> np.ndarray:
    """The numbers of a storage, in memory of their own."""
    return decoded(np.frombuffer(bytearray(raw), type_in_file(name)), name)


def unpickle_legacy(path: Path) -> object:
    """Read what torch.save before 1.6 wrote to `path`: pickles first, then the raw storages."""

    def no_storage(reference: tuple[Any, ...]) -> np.ndarray:
        raise ValueError("a tensor in the file's header")

    storages: dict[str, np.ndarray] = {}
    names: dict[str, str] = {}  # number type of each storage

    def reserve(reference: tuple[Any, ...]) -> np.ndarray:
        _, name, key, _, count, *view = reference
        # The bytes follow later in the file, so a claimed size must not exceed it.
        if not 0 <= count * type_in_file(name).itemsize <= path.stat().st_size:
            raise ValueError(f"storage {key} claims {count} elements")
        names.setdefault(key, name)
        whole = storages.setdefault(key, decoded(np.zeros(count, type_in_file(name)), name))
        if not view or view[0] is None:
            return whole
        _, start, length = view[0]
        return whole[start : start + length]

    with path.open("rb") as file:
        magic, protocol = (_Unpickler(file, path, no_storage).load() for _ in range(2))
        if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
            raise WeightsError(f"{path} is a pickle but no torch checkpoint.")
        _Unpickler(file, path, no_storage).load()  # byte order and type sizes of the machine
        content = _Unpickler(file, path, reserve).load()
        for key in _Unpickler(file, path, no_storage).load():
            _fill(storages[key], names[key], file)
    return content


def _fill(storage: np.ndarray, name: str, file: BinaryIO) -> None:
    """Read the numbers of a storage from the file into `storage`."""
    (count,) = struct.unpack("<q", file.read(8))
    if count != storage.size:
        raise ValueError(f"storage holds {count} elements, expected {storage.size}")
    size = count * type_in_file(name).itemsize
    raw = file.read(size)
    if len(raw) != size:
        raise EOFError("the file ends inside a storage")
    storage[:] = _from_bytes(raw, name)
