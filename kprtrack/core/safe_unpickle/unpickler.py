"""Carries out the operations of a pickle, one by one and within limits.

Source of the operations: the standard library's pickletools, which also reads their arguments and checks
declared lengths against the bytes that are there.
"""

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kprtrack.core.safe_unpickle.containers import PickleError, container, extend, key, set_items
from kprtrack.core.safe_unpickle.stubs import (
    TORCH_TYPES,
    ConfigNode,
    Function,
    Inert,
    NumpyArray,
    NumpyType,
    named,
)

LoadStorage = Callable[[tuple[Any, ...]], np.ndarray]


class ReadableFile(Protocol):
    """What the operations are read from: a file whose `read` takes no more memory than it has bytes left."""

    def read(self, n: int, /) -> bytes:
        """Read up to `n` bytes."""

    def readline(self) -> bytes:
        """Read up to and with the next line break."""

    def tell(self) -> int:
        """The position in the file."""


# A checkpoint of 1,000 tensors has 25,000 operations.
_MAX_OPERATIONS = 3_000_000
_MAX_INTEGER_BITS = 2048  # the number that old files of torch begin with has 77
_CLASSES: tuple[Any, ...] = (
    Inert,
    ConfigNode,
    NumpyType,
    NumpyArray,
    OrderedDict,
    dict,
    list,
    set,
    frozenset,
)
_WITH_STATE = (Inert, ConfigNode, NumpyType, NumpyArray)


class Unpickler:
    """Reads the pickles of one file.

    Args:
        path: The file, for messages.
        load_storage: Makes the numbers that a tensor refers to.
        size: Bytes of the file; what its operations copy is limited by it.
    """

    def __init__(self, path: Path, load_storage: LoadStorage, size: int) -> None:
        self._path, self._load_storage = path, load_storage
        self._operations_left, self._items_left = _MAX_OPERATIONS, 4 * size + 1_000_000
        self._clear()

    def _clear(self) -> None:
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []  # stacks below the marks
        self._memo: dict[int, Any] = {}

    def load(self, file: ReadableFile) -> Any:
        """Read one pickle, and leave the file behind its end.

        Returns:
            The object it holds.

        Raises:
            WeightsError: It names what weights do not need.
            PickleError: It is damaged, or takes more than a file of its size can need.
        """
        self._clear()
        for operation, argument, _ in pickletools.genops(file):  # type: ignore[arg-type]
            self._operations_left -= 1
            if self._operations_left < 0:
                raise PickleError(f"more than {_MAX_OPERATIONS:,} operations")
            if operation.name == "STOP":
                break
            self._carry_out(operation.name, argument)
        return self._pop()

    def _carry_out(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self._stack.append(_value(name, argument))
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise PickleError(f"the operation {name}, which checkpoints do not need")

    def _pop(self) -> Any:
        if not self._stack:
            raise PickleError("an operation without its operand")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise PickleError("an operation without its operand")
        return self._stack[-1]

    def _spend(self, values: Iterable[Any]) -> None:
        """Account for what a call copies."""
        for value in values:
            if isinstance(value, str | bytes | tuple | list | dict | set | frozenset):
                self._items_left -= len(value)
        if self._items_left < 0:
            raise PickleError("it makes more of its content than its size allows")

    # Marks and the stack

    def _mark(self, _: Any) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Any]:
        """The items above the last mark, which is removed."""
        if not self._outer:
            raise PickleError("an operation without its mark")
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _remove_marked(self, _: Any) -> None:
        self._marked()

    def _remove(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def _duplicate(self, _: Any) -> None:
        self._stack.append(self._top())

    # The memo

    def _put(self, index: int) -> None:
        self._memo[index] = self._top()

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._top()

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise PickleError(f"it refers to object {index}, which it does not hold")
        self._stack.append(self._memo[index])

    # Containers

    def _tuple(self, count: int | None) -> None:
        items = self._marked() if count is None else [self._pop() for _ in range(count)][::-1]
        self._stack.append(tuple(items))

    def _list(self, _: Any) -> None:
        items = self._marked()
        self._stack.append(items)

    def _dict(self, _: Any) -> None:
        items = self._marked()
        made: dict[Any, Any] = {}
        set_items(made, items)
        self._stack.append(made)

    def _frozenset(self, _: Any) -> None:
        self._stack.append(frozenset(map(key, self._marked())))

    def _append(self, _: Any) -> None:
        item = self._pop()
        extend(self._top(), [item])

    def _appends(self, _: Any) -> None:
        items = self._marked()
        extend(self._top(), items)

    def _set_item(self, _: Any) -> None:
        items = [self._pop() for _ in range(2)][::-1]
        set_items(self._top(), items)

    def _set_all(self, _: Any) -> None:
        items = self._marked()
        set_items(self._top(), items)

    def _add_items(self, _: Any) -> None:
        items = self._marked()
        if not isinstance(self._top(), set):
            raise PickleError("items of a set for what is no set")
        self._top().update(map(key, items))

    # Names and objects

    def _name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(named(module, name, self._path))

    def _name_on_stack(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise PickleError("a name that is no text")
        self._stack.append(named(module, name, self._path))

    def _reduce(self, _: Any) -> None:
        arguments, function = self._pop(), self._pop()
        self._stack.append(self._call(function, arguments))

    def _instance(self, argument: str) -> None:
        arguments = self._marked()
        module, _, name = argument.partition(" ")
        self._stack.append(self._call(named(module, name, self._path), tuple(arguments)))

    def _object(self, _: Any) -> None:
        function, *arguments = self._marked() or [None]
        self._stack.append(self._call(function, tuple(arguments)))

    def _new_object(self, count: int) -> None:
        """An object that its class makes without __init__; Inert keeps no arguments then."""
        operands = [self._pop() for _ in range(count)]
        kind = operands[-1]
        if not _is_class(kind):
            raise PickleError("an object of what is no class")
        self._stack.append(object.__new__(Inert) if kind is Inert else kind())

    def _call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(arguments, tuple):
            raise PickleError("a call with arguments that are no tuple")
        self._spend(arguments)
        if isinstance(function, Function) or function in (Inert, NumpyType, NumpyArray):
            return function(*arguments)
        if not _is_class(function) or len(arguments) > 1:
            raise PickleError("a call of what is no function")
        return container(function, arguments[0] if arguments else ())

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, _WITH_STATE):
            target.__setstate__(state)
        elif not isinstance(
            target, OrderedDict
        ):  # torch gives its state dicts attributes; nothing needs them
            raise PickleError("a pickle tried to change a function or a class")

    def _reference(self, _: Any) -> None:
        reference = self._pop()
        if (
            not isinstance(reference, tuple)
            or len(reference) < 5
            or reference[0] != "storage"
            or not isinstance(reference[1], str)
            or reference[1] not in TORCH_TYPES
            or not isinstance(reference[2], str)
            or not isinstance(reference[4], int)
        ):
            raise PickleError("a reference to what is no storage of numbers")
        self._stack.append(self._load_storage(reference))


def _value(name: str, argument: Any) -> Any:
    if isinstance(argument, int) and argument.bit_length() > _MAX_INTEGER_BITS:
        raise PickleError(f"a whole number of {argument.bit_length()} bits")
    if name in ("STRING", "BINSTRING", "SHORT_BINSTRING"):  # of Python 2, bytes in an unknown encoding
        argument = argument.encode("latin-1").decode("utf-8")
    if isinstance(argument, str) and not argument.isascii():
        argument.encode("utf-8")  # an error for halves of characters, which cannot be printed
    return bytes(argument) if isinstance(argument, bytearray) else argument


def _is_class(value: Any) -> bool:
    return isinstance(value, type) and value in _CLASSES


_VALUES = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    )
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_OPERATIONS: dict[str, Callable[[Unpickler, Any], None]] = {
    "MARK": Unpickler._mark,
    "POP": Unpickler._remove,
    "POP_MARK": Unpickler._remove_marked,
    "DUP": Unpickler._duplicate,
    "PUT": Unpickler._put,
    "BINPUT": Unpickler._put,
    "LONG_BINPUT": Unpickler._put,
    "MEMOIZE": Unpickler._memoize,
    "GET": Unpickler._get,
    "BINGET": Unpickler._get,
    "LONG_BINGET": Unpickler._get,
    "TUPLE": Unpickler._tuple,
    "TUPLE1": lambda self, _: self._tuple(1),
    "TUPLE2": lambda self, _: self._tuple(2),
    "TUPLE3": lambda self, _: self._tuple(3),
    "LIST": Unpickler._list,
    "DICT": Unpickler._dict,
    "FROZENSET": Unpickler._frozenset,
    "APPEND": Unpickler._append,
    "APPENDS": Unpickler._appends,
    "SETITEM": Unpickler._set_item,
    "SETITEMS": Unpickler._set_all,
    "ADDITEMS": Unpickler._add_items,
    "GLOBAL": Unpickler._name,
    "STACK_GLOBAL": Unpickler._name_on_stack,
    "REDUCE": Unpickler._reduce,
    "INST": Unpickler._instance,
    "OBJ": Unpickler._object,
    "NEWOBJ": lambda self, _: self._new_object(2),
    "NEWOBJ_EX": lambda self, _: self._new_object(3),
    "BUILD": Unpickler._build,
    "BINPERSID": Unpickler._reference,
}
