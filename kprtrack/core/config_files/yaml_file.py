"""Reads a config written in YAML, with PyYAML's safe loader."""

import re
from typing import Any

import yaml

from kprtrack.core.config_files.limits import MAX_SIZE, ConfigContentError, too_deep

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(
    _TAG + name for name in ("bool", "float", "int", "map", "merge", "null", "seq", "str")
)
# 1e-3 is a number in JSON, Python and YAML 1.2, but text in YAML 1.1, which PyYAML reads.
_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")


def read_yaml(text: str) -> Any:
    """Read a YAML document.

    Args:
        text: Content of the file.

    Returns:
        Its value; an empty document is an empty dict.

    Raises:
        ConfigContentError: The text is no YAML, has tags that make other objects than plain values, or grows
            beyond all limits by its references.

    Examples:
        >>> read_yaml("batch: 4")
        {'batch': 4}
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return {}
            _Nodes().size(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigContentError(f"it is no valid YAML{line} ({error.problem})") from error
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise ConfigContentError(f"it is no valid YAML ({str(error).partition(chr(10))[0]})") from error
    except RecursionError as error:
        raise too_deep() from error
    except ConfigContentError:
        raise
    except (ValueError, OverflowError) as error:
        raise ConfigContentError(f"it has a value that cannot be read ({error})") from error


class _Nodes:
    """The nodes of a document, checked before any value is made of them."""

    def __init__(self) -> None:
        self._sizes: dict[int, int | None] = {}  # None: a node within which we are

    def size(self, node: Any) -> int:
        """Values and characters below a node, with its references written out. Raises: ConfigContentError."""
        line = node.start_mark.line + 1
        if id(node) in self._sizes:
            known = self._sizes[id(node)]
            if known is None:
                raise ConfigContentError(f"line {line} refers to itself")
            return known
        if node.tag not in _PLAIN_TAGS:
            tag = node.tag.replace(_TAG, "!!")[:60]
            raise ConfigContentError(f"line {line} has the tag '{tag}'; a config holds plain values only")
        self._sizes[id(node)] = None
        if isinstance(node, yaml.ScalarNode):
            if node.tag == _TAG + "str" and node.style is None and _EXPONENT.fullmatch(node.value):
                node.tag = _TAG + "float"
            size = 1 + len(node.value)
        else:
            size = 1 + sum(map(self.size, _children(node)))
        if size > MAX_SIZE:
            raise ConfigContentError(f"it holds more than {MAX_SIZE:,} values and characters")
        self._sizes[id(node)] = size
        return size


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise ConfigContentError(f"line {node.start_mark.line + 1}: the key {twice!r} is there twice")
    return [one for pair in node.value for one in pair]
