"""Write the images that a COCO file names, for tools that take annotations and images together."""

from collections.abc import Collection, Iterator
from pathlib import Path

from kprtrack.core.atomic_file import write_file
from kprtrack.core.datatypes import Frame
from kprtrack.core.errors import InputError, OutputError, UserError
from kprtrack.core.progress import Progress
from kprtrack.io.coco import image_name
from kprtrack.io.header import TrackFile
from kprtrack.io.same_video import validate_size
from kprtrack.video.clip import Clip


def write_frame_images(
    tracks: TrackFile, folder: Path, video: str | Path | None = None, *, quiet: bool = True
) -> int:
    """Write each frame of a result file as FOLDER/frame_000000.png, as `coco` names it.

    Args:
        tracks: The result.
        folder: It is made if it is missing; images in it are replaced.
        video: The video that was tracked; None: the one that the header names.
        quiet: Show no progress.

    Returns:
        Number of images.

    Raises:
        UserError: No video is named.
        InputError: The video cannot be read, has another size, or ends before the last frame of the result.
        OutputError: An image cannot be written.
    """
    import cv2

    named = tracks.header.video.get("path")
    source = video if video is not None else named
    if not source:
        raise UserError("The result does not name its video. Name it: --video FILE.")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"Cannot write {folder}: it is not a folder. Choose another name.")
    wanted = {each.frame_number for each in tracks.frames}
    for frame in tracked_frames(tracks, wanted, str(source), label="images", quiet=quiet):
        encoded = cv2.imencode(".png", frame.image[..., ::-1])[1]
        write_file(folder / image_name(frame.number), encoded.tobytes())
    return len(wanted)


def tracked_frames(
    tracks: TrackFile, numbers: Collection[int], video: str | Path, *, label: str, quiet: bool
) -> Iterator[Frame]:
    """Yield some frames of the video that a result was made from.

    Args:
        tracks: The result.
        numbers: Of the frames.
        video: Its video.
        label: Of the progress, such as "images".
        quiet: Show no progress.

    Yields:
        The frames in the order of the video.

    Raises:
        InputError: The video cannot be read, has another size, or ends before the last of the frames.
    """
    wanted, found = set(numbers), 0
    with Clip(str(video)).open() as opened, Progress(len(wanted), label, quiet) as progress:
        size = opened.info.width, opened.info.height
        validate_size(tracks.header.video, "the tracks", size, f"'{opened.info.name}'")
        for frame in opened:
            if frame.number in wanted:
                yield frame
                found += 1
                progress.advance()
            if found == len(wanted):
                break
    if found < len(wanted):
        raise InputError(
            f"'{opened.info.name}' has {found} of the {len(wanted)} frames of the result. Name the video"
            " that it was made from."
        )
