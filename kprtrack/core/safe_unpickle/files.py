"""The two file formats of torch.save: a zip file since torch 1.6, before that pickles and raw numbers."""

import io
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import WeightsError
from kprtrack.core.safe_unpickle.containers import PickleError
from kprtrack.core.safe_unpickle.stubs import decoded, type_in_file
from kprtrack.core.safe_unpickle.unpickler import Unpickler

ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # what files written before torch 1.6 start with
_LEGACY_PROTOCOL = 1001


def unpickle_zip(path: Path) -> object:
    """Read what torch.save (1.6 and later) wrote to `path`."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        root = _validated_root(archive, path, size)
        storages: dict[str, tuple[str, np.ndarray]] = {}

        def load_storage(reference: tuple[Any, ...]) -> np.ndarray:
            _, name, key, _, count, *_ = reference
            if key not in storages:
                raw = archive.read(f"{root}data/{key}")
                if count * type_in_file(name).itemsize != len(raw):
                    raise PickleError(f"storage {key} claims {count} elements, but has {len(raw)} bytes")
                storages[key] = name, _from_bytes(raw, name)
            if storages[key][0] != name:
                raise PickleError(f"storage {key} has two types")
            return storages[key][1]

        pickled = io.BytesIO(archive.read(f"{root}data.pkl"))
        return Unpickler(path, load_storage, size).load(pickled)


def _validated_root(archive: zipfile.ZipFile, path: Path, size: int) -> str:
    """The folder of the parts in the archive. Raises: WeightsError or PickleError if it is no checkpoint."""
    records = {entry.filename: entry for entry in archive.infolist()}
    index = [name for name in records if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(index) != 1:
        raise WeightsError(f"{path} is a zip file but no torch checkpoint: it has no data.pkl.")
    root = index[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in records:
        raise WeightsError(f"{path} is a TorchScript program, not weights. Export its state_dict.")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in records.values()):
        raise WeightsError(f"{path} is a compressed zip file, not a checkpoint. Unpack it first.")
    if len(records) != len(archive.infolist()):
        raise PickleError("two parts of it have the same name")
    if any(entry.file_size != entry.compress_size for entry in records.values()):
        raise PickleError("the sizes of its parts contradict each other")
    if sum(entry.file_size for entry in records.values()) > size:
        raise PickleError("its parts claim to be larger than the file")
    if f"{root}byteorder" in records and archive.read(f"{root}byteorder") != b"little":
        raise WeightsError(f"{path} was written on a big-endian machine, which is not supported.")
    return root


def _from_bytes(raw: bytes, name: str) -> np.ndarray:
    """The numbers of a storage, in memory of their own."""
    return decoded(np.frombuffer(bytearray(raw), type_in_file(name)), name)


def unpickle_legacy(path: Path) -> object:
    """Read what torch.save before 1.6 wrote to `path`: pickles first, then the raw storages."""

    def no_storage(reference: tuple[Any, ...]) -> np.ndarray:
        raise PickleError("a tensor in the file's header")

    size = path.stat().st_size
    storages: dict[str, np.ndarray] = {}
    names: dict[str, str] = {}  # number type of each storage
    left = size  # the bytes follow later in the file, so all storages together cannot claim more

    def reserve(reference: tuple[Any, ...]) -> np.ndarray:
        nonlocal left
        _, name, key, _, count, *view = reference
        if key not in storages:
            left -= count * type_in_file(name).itemsize
            if count < 0 or left < 0:
                raise PickleError(f"storage {key} claims {count} elements, more than the file has")
            names[key] = name
            storages[key] = decoded(np.zeros(count, type_in_file(name)), name)
        if names[key] != name or count != storages[key].size:
            raise PickleError(f"storage {key} has two types or sizes")
        if not view or view[0] is None:
            return storages[key]
        _, start, length = view[0]
        return storages[key][start : start + length]

    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as file:
        header, content = Unpickler(path, no_storage, size), Unpickler(path, reserve, size)
        magic, protocol = (header.load(file) for _ in range(2))
        if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
            raise WeightsError(f"{path} is a pickle but no torch checkpoint.")
        header.load(file)  # byte order and type sizes of the machine
        found = content.load(file)
        keys = header.load(file)
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
            raise PickleError("its storages are not those that its tensors name")
        for key in keys:
            _fill(storages[key], names[key], file)
    return found


def _fill(storage: np.ndarray, name: str, file: mmap.mmap) -> None:
    """Read the numbers of a storage from the file into `storage`."""
    (count,) = struct.unpack("<q", file.read(8))
    if count != storage.size:
        raise PickleError(f"storage holds {count} elements, expected {storage.size}")
    size = count * type_in_file(name).itemsize
    raw = file.read(size)
    if len(raw) != size:
        raise EOFError("the file ends inside a storage")
    storage[:] = _from_bytes(raw, name)
