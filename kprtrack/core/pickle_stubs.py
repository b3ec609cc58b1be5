"""What the names in a checkpoint's pickle stand for: plain stand-ins that hold values and run nothing."""

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Shape = tuple[int, ...]
_STORAGE_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "UntypedStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class ConfigNode(dict):
    """Stands for yacs' CfgNode, which is a dict; its own attributes are ignored."""

    def __setstate__(self, state: object) -> None:
        pass


class Inert:
    """Stands for a record object of an unknown class: remembers what it was built from, does nothing."""

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
    """Stands for numpy.dtype; numbers only, so no array of objects can come to be."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[biufc](1|2|4|8|16)", code):
            raise ValueError(f"numpy type '{code}' is not a plain number")
        self.code = code
        self.order = ""

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.order = str(state[1]) if state[1] in ("<", ">") else ""

    def dtype(self) -> np.dtype:
        return np.dtype(self.order + self.code)


class NumpyArray:
    """Stands for numpy.ndarray while its state arrives."""

    def __init__(self, *_: object) -> None:
        self.array = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        flat = np.frombuffer(data, kind.dtype())
        self.array = flat.reshape(shape[::-1]).T.copy() if fortran else flat.reshape(shape).copy()


class _Call:
    """A function a pickle may call and cannot alter: every attempt to set its state ends in __setstate__."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise ValueError("a pickle tried to change a function")


def _tensor(
    storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> object:
    # as_strided refuses views that leave the storage.
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


def _parameter(tensor: torch.Tensor, *_: object) -> torch.Tensor:
    return tensor


def _encode(text: str, encoding: str) -> bytes:
    """Bytes written by Python 3 in an old pickle protocol."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in encoding '{encoding}'")
    return text.encode("latin1")


def _attribute(owner: object, name: str) -> Inert:
    """An inert shell: mmengine's histories name their own methods this way, and nothing needs them."""
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
    for storage, dtype in _STORAGE_DTYPES.items():
        for module in ("torch", "torch.storage", "torch.cuda"):
            names[module, storage] = dtype
    names.update({("torch", str(dtype).split(".")[1]): dtype for dtype in _STORAGE_DTYPES.values()})
    return names


KNOWN = _known_names()
