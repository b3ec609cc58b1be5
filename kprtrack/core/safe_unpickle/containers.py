"""Fills the lists, sets and dicts of a pickle, with keys whose hash is computed at once."""

from typing import Any

from kprtrack.core.safe_unpickle.stubs import Inert

_MAX_KEY_INTEGER = 2**60  # Python's hashes of larger ones can be made equal
_MAX_KEY_ITEMS = 100


class PickleError(ValueError):
    """A pickle that is damaged, or that no program writes for weights."""


def extend(target: Any, items: list[Any]) -> None:
    """Append items to a list. Raises: PickleError."""
    if not isinstance(target, list | Inert):
        raise PickleError("items of a list for what is no list")
    target.extend(items)


def set_items(target: Any, items: list[Any]) -> None:
    """Set keys and values, in turn, of a dict. Raises: PickleError."""
    if len(items) % 2 or not isinstance(target, dict | Inert):
        raise PickleError("items of a dict for what is no dict")
    for name, value in zip(items[::2], items[1::2], strict=True):
        target[key(name)] = value


def container(kind: Any, content: Any) -> Any:
    """A list, set or dict made of another container."""
    if not isinstance(content, tuple | list | dict | set | frozenset):
        raise PickleError("a container made of what is none")
    if kind is list:
        return list(content)
    if kind in (set, frozenset):
        return kind(map(key, content))
    pairs = content.items() if isinstance(content, dict) else content
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise PickleError("a dict made of what are no pairs")
    return kind((key(name), value) for name, value in pairs)


def key(value: Any) -> Any:
    """A key of a dict or an item of a set, if its hash is computed at once. Raises: PickleError."""
    waiting, seen = [value], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if isinstance(one, tuple):
            waiting += one[:_MAX_KEY_ITEMS]
            seen += len(one)
        elif isinstance(one, int) and abs(one) >= _MAX_KEY_INTEGER:
            raise PickleError("a whole number as a key that is larger than any index")
        elif isinstance(one, list | dict | set):
            raise PickleError("a list, dict or set as a key")
        if seen > _MAX_KEY_ITEMS:
            raise PickleError(f"a key of more than {_MAX_KEY_ITEMS} values")
    return value
