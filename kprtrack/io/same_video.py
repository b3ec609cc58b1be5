"""Compare the video that a result was made from with another one: its size, content and number of frames."""

from collections.abc import Mapping

from kprtrack.core.errors import InputError

Video = Mapping[str, object]  # `RunHeader.video`
_CHECK = "check that it is the same video."


def video_size(video: Video) -> tuple[int, int] | None:
    """Return width and height in pixels; None if the header does not have them."""
    sides = video.get("width"), video.get("height")
    width, height = (side if isinstance(side, int) and side > 0 else None for side in sides)
    return (width, height) if width and height else None


def validate_size(video: Video, name: str, size: tuple[int, int] | None, other: str) -> None:
    """Validate that a result belongs to a video of this size.

    Args:
        video: Of the header of the result.
        name: What the result is called in the message.
        size: Width and height of the other video in pixels; None: unknown.
        other: What the other video is called in the message.

    Raises:
        InputError: Both sizes are known and differ.
    """
    own = video_size(video)
    if own is not None and size is not None and own != size:
        raise InputError(
            f"The video of {name} has {own[0]} x {own[1]} pixels, that of {other} {size[0]} x {size[1]}."
            " Use files of the same video."
        )


def difference_notes(video: Video, other: Video, names: str) -> tuple[str, ...]:
    """Return notes on differences that suggest that two videos are not the same.

    Args:
        video: Of the header of a result.
        other: The video it is compared with, in the same form.
        names: What the two are called in a note, such as "a.json and b.json".

    Examples:
        >>> difference_notes({"frames": 4}, {"frames": 5}, "a.json and b.json")  # doctest: +ELLIPSIS
        ('a.json and b.json were made from videos with different number of frames (4 and 5); check that ...',)
    """
    notes = []
    if _differ("sha256", video, other):
        notes.append(f"{names} were made from videos with different content (sha256); {_CHECK}")
    if _differ("frames", video, other):
        counts = f"{video['frames']} and {other['frames']}"
        notes.append(f"{names} were made from videos with different number of frames ({counts}); {_CHECK}")
    return tuple(notes)


def _differ(key: str, video: Video, other: Video) -> bool:
    values = video.get(key), other.get(key)
    return None not in values and values[0] != values[1]
