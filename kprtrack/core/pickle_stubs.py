"""Stubs for the names in a checkpoint's pickle: they hold values and run nothing."""

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

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


KNOWN = _known_names()
