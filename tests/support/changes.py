"""Changes of single settings, written a__b=1 for a.b."""

from collections.abc import Mapping
from typing import Any


def nested_changes(changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each change as nested settings: {"a": {"b": 1}}."""
    found = []
    for key, value in changes.items():
        nested: Any = value
        for part in reversed(key.split("__")):
            nested = {part: nested}
        found.append(nested)
    return found
