"""Errors a user can mend. Their text is the whole message: what was wrong, the value, what to do.

UserError                 a wrong option, value or configuration     exit code 2
├── InputError            a file or stream that cannot be read       exit code 3
├── WeightsError          weights missing, damaged or for another model   exit code 4
└── OutputError           a result that cannot be written            exit code 5
"""

import difflib
from collections.abc import Iterable, Mapping


class UserError(Exception):
    """A mistake the user can mend; the command line prints it as one line, without a traceback."""

    exit_code = 2


class InputError(UserError):
    """A video, image, detection or observation file that cannot be read."""

    exit_code = 3


class WeightsError(UserError):
    """Weights that are missing, damaged, unsafe to open or made for another model."""

    exit_code = 4


class OutputError(UserError):
    """A result file that cannot be written."""

    exit_code = 5


def unknown_name(
    kind: str, name: str, known: Iterable[str], renamed: Mapping[str, str] | None = None
) -> UserError:
    """Describe an unknown name: the value, the nearest known name and all known names.

    Args:
        kind: What was named, such as "option" or "detector".
        name: The unknown name; a dotted key may be given with its prefix.
        known: All known names.
        renamed: Former names and their successors.

    Returns:
        The error, to be raised by the caller.

    Example:
        >>> print(unknown_name("detector", "yolox-nan", ["yolox-nano", "file"]))
        Unknown detector 'yolox-nan'. Did you mean 'yolox-nano'? Known: file, yolox-nano.
    """
    names = sorted(known)
    prefix, dot, last = name.rpartition(".")
    successor = (renamed or {}).get(last)
    if successor and prefix + dot + successor in names:
        return UserError(f"'{name}' is now '{prefix}{dot}{successor}'.")
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return UserError(f"Unknown {kind} '{name}'.{hint} Known: {', '.join(names)}.")
