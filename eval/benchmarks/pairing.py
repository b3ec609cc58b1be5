"""Which result belongs to which truth, by name."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from kprtrack.core.errors import InputError

_SHOWN = 3  # names in a message


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """The files by their names without suffix, sorted. Raises: InputError if two share one."""
    found: dict[str, Path] = {}
    for file in sorted(files):
        if file.stem in found:
            raise InputError(f"{found[file.stem]} and {file} have the same name. Move one of them away.")
        found[file.stem] = file
    return found


def validate_all_have_results(
    ground_truth: Collection[str], results: Mapping[str, Path], folder: Path
) -> None:
    """Raises: InputError naming the first sequence of the truth that has no result, and what is like it."""
    missing = [name for name in ground_truth if name not in results]
    if not missing:
        return
    more = f" ({len(missing) - 1} more are missing)" if len(missing) > 1 else ""
    nearest = difflib.get_close_matches(
        missing[0], [name for name in results if name not in ground_truth], n=1
    )
    hint = f" Is it '{results[nearest[0]].name}'? Rename it." if nearest else ""
    raise InputError(
        f"{folder} has no result for the sequence '{missing[0]}'{more}.{hint} "
        "Every sequence of the truth needs one, an empty file if nobody was found."
    )


def unused_note(ground_truth: Collection[str], results: Mapping[str, Path]) -> tuple[str, ...]:
    """A note on results without truth, if there are any."""
    unused = [path.name for name, path in results.items() if name not in ground_truth]
    if not unused:
        return ()
    some = ", ".join(unused[:_SHOWN]) + (", ..." if len(unused) > _SHOWN else "")
    return (f"Not scored, because the truth has no such sequence: {some} ({len(unused)} in all).",)
