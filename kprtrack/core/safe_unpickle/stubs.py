"""What a checkpoint may name: stubs for torch, numpy and the records of training frameworks.

No name is imported: known names map to the stubs below, record classes of training frameworks turn into inert
objects, and any other name is an error.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kprtrack.core.errors import WeightsError

_MAX_REPEATED = 1_000_000  # elements of an expanded tensor whose storage is smaller
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
        flat = np.frombuffer(data, kind.dtype())  # a view: a pickle may use the same bytes again and again
        self.array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


class Function:
    """A function that a pickle may call."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)


def _tensor(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> np.ndarray:
    if not isinstance(storage, np.ndarray) or offset < 0 or min(stride, default=0) < 0:
        raise ValueError("a tensor without storage, or with a negative offset or stride")
    if math.prod(size) > max(storage.size, _MAX_REPEATED):  # the same few numbers again and again
        raise ValueError(f"a tensor claims {math.prod(size)} elements of a storage of {storage.size}")
    width = storage.itemsize
    # numpy rejects views that leave the buffer.
    return np.ndarray(
        _size(size), storage.dtype, storage, offset * width, tuple(step * width for step in stride)
    )


def _size(axes: object) -> tuple[Any, ...]:
    if not isinstance(axes, tuple | list):
        raise ValueError("a shape that is no tuple")
    return tuple(axes)


def _layout(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError("the name of a memory layout that is no text")
    return name


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
        ("_codecs", "encode"): Function(_encode),
        ("torch._utils", "_rebuild_tensor"): Function(_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): Function(_tensor),
        ("torch._utils", "_rebuild_parameter"): Function(_parameter),
        ("builtins", "getattr"): Function(_attribute),
        ("__builtin__", "getattr"): Function(_attribute),
        ("torch", "Size"): Function(_size),
        ("torch.serialization", "_get_layout"): Function(_layout),
        ("numpy", "dtype"): NumpyType,
        ("numpy", "ndarray"): NumpyArray,
    }
    for module in ("builtins", "__builtin__"):
        names.update({(module, kind.__name__): kind for kind in (set, frozenset, dict, list)})
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names[module, "scalar"] = Function(_scalar)
        names[module, "_reconstruct"] = Function(NumpyArray)
    for storage, name in _STORAGE_TYPES.items():
        for module in ("torch", "torch.storage", "torch.cuda"):
            names[module, storage] = name
    names.update({("torch", name): name for name in TORCH_TYPES})
    return names


_KNOWN = _known_names()


def shown(text: str) -> str:
    """Text of a file as a message may show it: short, and without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])


def named(module: str, name: str, path: Path) -> object:
    """What a name in a pickle stands for.

    Args:
        module: Such as "torch._utils".
        name: Such as "_rebuild_tensor_v2".
        path: The file, for messages.

    Returns:
        A stub.

    Raises:
        WeightsError: A checkpoint does not need this name.
    """
    if (module, name) in _KNOWN:
        return _KNOWN[module, name]
    if (module, name) == ("yacs.config", "CfgNode"):
        return ConfigNode
    if module.split(".")[0] in _RECORD_MODULES:
        return Inert
    raise WeightsError(
        f"Refuses to open {path}: it would run {shown(module)}.{shown(name)}. "
        "Weights need no such thing; use a file from a source you trust, or one saved as .safetensors."
    )
