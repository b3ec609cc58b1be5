"""Reads files of torch.save without torch and without running what is in them.

A pickle names functions and the unpickler calls them: that is how a checkpoint can run a program. Here no
name is imported: known names map to the stubs below, record classes of training frameworks turn
into inert objects, and any other name is an error.
"""

import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kprtrack.core.errors import WeightsError

LoadStorage = Callable[[tuple[Any, ...]], np.ndarray]
ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # what files written before torch 1.6 start with
_LEGACY_PROTOCOL = 1001
# Frameworks whose record objects (configs, loss histories, paths) lie beside the weights. They become Inert.
_RECORD_MODULES = (
    *("argparse", "datetime", "lightning", "mmcls", "mmcv", "mmdet", "mmengine", "mmpose", "mmpretrain"),
    *("omegaconf", "pathlib", "pytorch_lightning", "typing", "yacs"),
)


# Storage class in a pickle -> name of its number type in torch. The stub is the name itself: a plain string,
# which no pickle can alter.
_STORAGE_TYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "UntypedStorage": "uint8",
    "BoolStorage": "bool",
}
TORCH_TYPES = frozenset(_STORAGE_TYPES.values())


def type_in_file(name: str) -> np.dtype[Any]:
    """The numpy type of a torch number type as its bytes are stored."""
    return np.dtype("uint16" if name == "bfloat16" else name)


def decoded(raw: np.ndarray, name: str) -> np.ndarray:
    """The numbers of stored bytes; bfloat16, which numpy lacks, widened to float32 without loss."""
    return bfloat16_to_float32(raw) if name == "bfloat16" else raw


def bfloat16_to_float32(raw: np.ndarray) -> np.ndarray:
    """Widen the bits [...] uint16 of bfloat16 numbers: they are the upper half of a float32."""
    return (raw.astype(np.uint32) << 16).view(np.float32)


class ConfigNode(dict[Any, Any]):
    """Stub for yacs' CfgNode, a dict; its own attributes are ignored."""

    def __setstate__(self, state: object) -> None:
        pass


class Inert:
    """Stub for a record object of an unknown class: keeps its arguments and does nothing."""

    state: object = None  # pickle makes objects without calling __init__

    def __init__(self, *arguments: object) -> None:
        self.state = arguments[0] if len(arguments) == 1 else arguments

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    def extend(self, items: object) -> None:
        pass


class NumpyType:
    """Stub for numpy.dtype; numbers only, so that no array of objects can be made."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[biufc](1|2|4|8|16)", code):
            raise ValueError(f"numpy type '{code}' is not a plain number")
        self.code = code
        self.order = ""

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.order = str(state[1]) if state[1] in ("<", ">") else ""

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class NumpyArray:
    """Stub for numpy.ndarray."""

    def __init__(self, *_: object) -> None:
        self.array = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        flat = np.frombuffer(data, kind.dtype())
        self.array = flat.reshape(shape[::-1]).T.copy() if fortran else flat.reshape(shape).copy()


class _Call:
    """A function that a pickle may call but not alter: setting its state ends in __setstate__."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise ValueError("a pickle tried to change a function")


def _tensor(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> np.ndarray:
    if not isinstance(storage, np.ndarray) or min(stride, default=0) < 0:
        raise ValueError("a tensor without storage or with a negative stride")
    width = storage.itemsize
    # numpy rejects views that leave the buffer.
    return np.ndarray(
        tuple(size), storage.dtype, storage, offset * width, tuple(step * width for step in stride)
    )


def _parameter(tensor: np.ndarray, *_: object) -> np.ndarray:
    return tensor


def _encode(text: str, encoding: str) -> bytes:
    """Bytes written by Python 3 in an old pickle protocol."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in encoding '{encoding}'")
    return text.encode("latin1")


def _attribute(owner: object, name: str) -> Inert:
    """An inert object: mmengine's histories name their own methods this way, and nothing needs them."""
    if not isinstance(owner, Inert) and not (isinstance(owner, type) and issubclass(owner, Inert)):
        raise ValueError(f"'{name}' of something that is no record is asked for")
    return Inert()


def _scalar(kind: NumpyType, data: bytes) -> object:
    return np.frombuffer(data, kind.dtype(), count=1)[0].item()


def _known_names() -> dict[tuple[str, str], object]:
    names: dict[tuple[str, str], object] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("_codecs", "encode"): _Call(_encode),
        ("torch._utils", "_rebuild_tensor"): _Call(_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): _Call(_tensor),
        ("torch._utils", "_rebuild_parameter"): _Call(_parameter),
        ("builtins", "getattr"): _Call(_attribute),
        ("__builtin__", "getattr"): _Call(_attribute),
        ("torch", "Size"): _Call(tuple),
        ("torch.serialization", "_get_layout"): _Call(str),
        ("numpy", "dtype"): NumpyType,
        ("numpy", "ndarray"): NumpyArray,
    }
    for module in ("builtins", "__builtin__"):
        names.update({(module, kind.__name__): kind for kind in (set, frozenset, dict, list)})
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names[module, "scalar"] = _Call(_scalar)
        names[module, "_reconstruct"] = _Call(NumpyArray)
    for storage, name in _STORAGE_TYPES.items():
        for module in ("torch", "torch.storage", "torch.cuda"):
            names[module, storage] = name
    names.update({("torch", name): name for name in TORCH_TYPES})
    return names


_KNOWN = _known_names()


class _Unpickler(pickle.Unpickler):
    """Resolves every name through _KNOWN; nothing is imported."""

    def __init__(self, file: BinaryIO, path: Path, load_storage: LoadStorage) -> None:
        super().__init__(file, encoding="utf-8")
        self._path = path
        self._load_storage = load_storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
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
