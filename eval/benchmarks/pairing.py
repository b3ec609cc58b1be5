"""Pair results with ground truth by file name."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from kprtrack.core.errors import InputError

_SHOWN = 3  # names in a message


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Return the files by name without suffix, sorted; NAME.tracks.json is NAME.

    Raises:
        InputError: Two files have the same name.
    """
    found: dict[str, Path] = {}
    for file in sorted(files):
        name = file.stem.removesuffix(".tracks")
        if name in found:
            raise InputError(f"{found[name]} and {file} have the same name. Move one of them away.")
        found[name] = file
    return found


def validate_all_have_results(
    ground_truth: Collection[str], results: Mapping[str, Path], folder: Path
) -> None:
    """Raise InputError about the first sequence of the ground truth without a result, with a similar name."""
    missing = [name for name in ground_truth if name not in results]
    if not missing:
        return
    more = f" ({len(missing) - 1} more are missing)" if len(missing) > 1 else ""
    nearest = difflib.get_close_matches(
        missing[0], [name for name in results if name not in ground_truth], n=1
    )
    hint = f" Did you mean '{results[nearest[0]].name}'? Rename it." if nearest else ""
    raise InputError(
        f"{folder} has no result for the sequence '{missing[0]}'{more}.{hint} "
        "Each sequence of the ground truth needs one: an empty file if there are no tracks."
    )


def unused_note(ground_truth: Collection[str], results: Mapping[str, Path]) -> tuple[str, ...]:
    """Return a note on results without ground truth, if there are any."""
    unused = [path.name for name, path in results.items() if name not in ground_truth]
    if not unused:
        return ()
    some = ", ".join(unused[:_SHOWN]) + (", ..." if len(unused) > _SHOWN else "")
    return (f"Not scored, because the ground truth has no such sequence: {some} ({len(unused)} in total).",)
