"""Errors a user can mend. Their text is the whole message: what was wrong, the value, what to do.

UserError                 a wrong option, value or configuration     exit code 2
├── InputError            a file or stream that cannot be read       exit code 3
├── WeightsError          weights missing, damaged or for another model   exit code 4
└── OutputError           a result that cannot be written            exit code 5
"""

import difflib
from collections.abc import Iterable


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


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """A UserError that names the wrong value, the nearest known one and all known ones."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return UserError(f"Unknown {kind} '{name}'.{hint} Known: {', '.join(names)}.")
