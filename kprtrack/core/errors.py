"""Errors that a user can fix. The message says what is wrong, the value, and what to do.

UserError                 a wrong option, value or configuration              exit code 2
├── InputError            a file or stream that cannot be read                exit code 3
├── WeightsError          weights missing, damaged or for another model       exit code 4
└── OutputError           a result that cannot be written                     exit code 5
"""

import difflib
from collections.abc import Iterable, Mapping

_LONGEST_NAME = 100  # characters of an unknown name in a message


class UserError(Exception):
    """An error that the user can fix; the command line prints it as one line without a traceback.

    Examples:
        >>> try:
        ...     TrackConfig(reid=None)
        ... except UserError as error:
        ...     print(error, error.exit_code)
        reid must be a name or a ComponentConfig, not None. 2
    """

    exit_code = 2


class InputError(UserError):
    """A video, image, detection or observation file cannot be read.

    Examples:
        >>> try:
        ...     read_tracks("missing.json")
        ... except InputError as error:
        ...     print(error)
        There is no file missing.json.
    """

    exit_code = 3


class WeightsError(UserError):
    """Weights are missing, damaged, unsafe to open or made for another model.

    Examples:
        >>> try:
        ...     build_detector(ComponentConfig("yolox-s", "missing.pth"), ComputeConfig())
        ... except WeightsError as error:
        ...     print(error)
        No file of weights at missing.pth.
    """

    exit_code = 4


class OutputError(UserError):
    """A result file cannot be written.

    Examples:
        >>> try:
        ...     open_writer(Path("missing") / "tracks.json", RunHeader())
        ... except OutputError as error:
        ...     print(error)  # doctest: +ELLIPSIS
        Cannot write ...
    """

    exit_code = 5


def printable(text: str, keep: str = "") -> str:
    """Return a text with its control characters, such as terminal commands in a file name, written out.

    Args:
        text: May come from a name or a file.
        keep: Control characters to leave as they are.

    Returns:
        A text that any terminal shows as it is, and that can be encoded.

    Examples:
        >>> print(printable("clip\\x1b[2J.mp4"))
        clip\\x1b[2J.mp4
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode() for one in text
    )


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

    Examples:
        >>> print(unknown_name("detector", "yolox-nan", ["yolox-nano", "file"]))
        Unknown detector 'yolox-nan'. Did you mean 'yolox-nano'? Known: file, yolox-nano.
    """
    names = sorted(known)
    name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
    prefix, dot, last = name.rpartition(".")
    successor = (renamed or {}).get(last)
    if successor and prefix + dot + successor in names:
        return UserError(f"'{name}' is now '{prefix}{dot}{successor}'.")
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    return UserError(f"Unknown {kind} '{name}'.{hint} Known: {', '.join(names)}.")
